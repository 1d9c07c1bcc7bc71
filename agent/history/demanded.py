"""Which SPNs are needed, what happens with them, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agent.history.change import Change, Kind, in_common
from agent.history.sides import Side
from agent.model import Outcome, Requirement, Severity
from agent.names import AccountName, Spn

BROKEN = frozenset({"modified", "duplicate", "impossible"})
_WHOLE = frozenset({"dns", "farm", "names", "client", "url"})
"""The sources that show which names clients use."""


def changes(old: Side, new: Side) -> Iterator[Change]:
    """Those of requirements, then those of holders."""
    for spn in dict.fromkeys((*old.requirements, *new.requirements)):
        yield from _of_spn(old, new, old.requirements.get(spn, ()), new.requirements.get(spn, ()))
    yield from _holders(old, new)


# -- requirements --------------------------------------------------------------------------------------------------


def _of_spn(old: Side, new: Side, before: Sequence[Requirement], after: Sequence[Requirement]) -> Iterator[Change]:
    pairs, gone, come = _paired(old, new, before, after)
    for one, two in pairs:
        if (one.outcome, one.matters) != (two.outcome, two.matters):
            yield _change("changed", two, one, two)
    for requirement in come:
        yield _change("appeared", requirement, None, requirement)
    for requirement in gone:
        if new.denies((old.key(one.server) for one in requirement.applications), _WHOLE):
            yield _change("vanished", requirement, requirement, None)


_Pairs = list[tuple[Requirement, Requirement]]


def _paired(
    old: Side, new: Side, before: Sequence[Requirement], after: Sequence[Requirement]
) -> tuple[_Pairs, list[Requirement], list[Requirement]]:
    """The same need on both sides: on the same account, else of the same application, else the only one left."""
    gone, come, pairs = list(before), list(after), []

    def take(one: Requirement, two: Requirement) -> None:
        pairs.append((one, two))
        gone.remove(one)
        come.remove(two)

    for one in before:
        same = [two for two in come if old.account(one.account) == new.account(two.account)]
        if same:
            take(one, next((two for two in same if _share(old, new, one, two)), same[0]))
    for one in list(gone):
        shared = next((two for two in come if _share(old, new, one, two)), None)
        if shared is not None:
            take(one, shared)
    if len(gone) == len(come) == 1:
        take(gone[0], come[0])
    return pairs, gone, come


def _share(old: Side, new: Side, one: Requirement, two: Requirement) -> bool:
    return not {old.place(ref) for ref in one.applications}.isdisjoint(map(new.place, two.applications))


def _change(kind: Kind, shown: Requirement, before: Requirement | None, after: Requirement | None) -> Change:
    server, site, path = in_common(shown.applications)
    return Change(
        kind=kind,
        what="requirement",
        server=server,
        site=site,
        path=path,
        spn=shown.spn,
        before=_state(before),
        after=_state(after),
        severity=_severity(before, after),
        because=_because(after),
    )


def _state(requirement: Requirement | None) -> str | None:
    if requirement is None:
        return None
    return requirement.outcome if requirement.matters else f"{requirement.outcome} (optional)"


def _severity(before: Requirement | None, after: Requirement | None) -> Severity:
    """Becoming broken is an error, NTLM where it was none a warning, and neither for a name that nobody needs."""
    if after is None or not after.matters:
        return "info"
    was: Outcome | None = before.outcome if before is not None and before.matters else None
    if after.outcome in BROKEN:
        return "info" if was in BROKEN else "error"
    return "warning" if after.outcome == "ntlm-fallback" and was not in {*BROKEN, "ntlm-fallback"} else "info"


def _because(after: Requirement | None) -> str:
    if after is None:
        return "Nothing inspected needs it any more."
    wanted = f"it must be on {after.account}" if after.account is not None else "no account can serve it"
    if after.outcome == "unchecked" or after.answers is None:
        return f"{wanted[0].upper()}{wanted[1:]}, and nobody looked who answers for it."
    answering = " and ".join(map(str, after.answers)) or "nobody"
    return f"{wanted[0].upper()}{wanted[1:]}, and {answering} answer{'' if len(after.answers) > 1 else 's'} for it."


# -- holders -------------------------------------------------------------------------------------------------------

_Held = Mapping[tuple[Spn, tuple[str, str] | None], tuple[Spn, AccountName]]


def _holders(old: Side, new: Side) -> Iterator[Change]:
    before, after = _held(old), _held(new)
    for key, (spn, account) in after.items():
        if key not in before and _looked(old, spn, key[1]):
            yield _moved(new, spn, account, is_there=True)
    for key, (spn, account) in before.items():
        if key not in after and _looked(new, spn, key[1]):
            yield _moved(old, spn, account, is_there=False)


def _held(side: Side) -> _Held:
    """Who holds what: of the SPNs that are needed, and of what else their accounts hold."""
    found = {}
    for requirement in side.report.requirements:
        for account in requirement.holders or ():
            found[requirement.spn, side.account(account)] = (requirement.spn, account)
    for use in side.report.accounts:
        for spn in (*(use.holds or ()), *(use.elsewhere or ())):
            found.setdefault((spn, side.account(use.account)), (spn, use.account))
    return found


def _looked(side: Side, spn: Spn, account: tuple[str, str] | None) -> bool:
    """Whether a side that does not show it would have shown that an account holds an SPN."""
    if "directory" in side.silent:
        return False
    requirements = side.requirements.get(spn, ())
    if requirements:
        return all(requirement.holders is not None for requirement in requirements)
    return any(use.elsewhere is not None and side.account(use.account) == account for use in side.report.accounts)


def _moved(side: Side, spn: Spn, account: AccountName, *, is_there: bool) -> Change:
    needed = side.requirements.get(spn, ())
    server, site, path = in_common(ref for requirement in needed for ref in requirement.applications)
    right = {side.account(requirement.account) for requirement in needed}
    meant = "no inspected server needs it" if not needed else "it must be there"
    if needed and side.account(account) not in right:
        meant = f"it must be on {needed[0].account}" if needed[0].account is not None else "no account can serve it"
    verb = "is registered on" if is_there else "is no longer on"
    return Change(
        kind="appeared" if is_there else "vanished",
        what="holder",
        server=server,
        site=site,
        path=path,
        spn=spn,
        before=None if is_there else str(account),
        after=str(account) if is_there else None,
        severity="warning",
        because=f"{spn} {verb} {account}; {meant}.",
    )
