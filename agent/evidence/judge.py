"""From complaints to causes: what each may come from, with what speaks for and against it.

"certain" needs both sides: what the directory or a KDC says, and who tried to decrypt or what the client got. That is
not left to care: `weighed` lowers what has only one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.evidence.captured import Captured
from agent.evidence.causes import words
from agent.evidence.complaints import Complaint, Sort, complaints
from agent.evidence.diagnosis import Likelihood, PossibleCause, Reason
from agent.evidence.known import Answer, Known, configured_reason, holder_reason
from agent.evidence.told import reason
from agent.evidence.tried import Tried
from agent.model import Finding, Requirement
from agent.names import fold, http_spn, netbios_name
from agent.spn.directory import Account
from agent.spn.encryption import weakness


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A cause as a rule of this file sees it, before its words are chosen."""

    id: str
    likelihood: Likelihood
    more: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()
    holder: str | None = None
    fix: tuple[str, ...] = ()


Rule = Callable[[Complaint, Known], Iterator[Suspicion]]


def causes(known: Known) -> tuple[PossibleCause, ...]:
    """What the evidence may come from, the likeliest first; of one fault that is certain nothing else is told."""
    found: list[PossibleCause] = []
    for complaint in complaints(known):
        suspected = [weighed(one, complaint) for one in RULES[complaint.sort](complaint, known)]
        settled = [one for one in suspected if one.likelihood == "certain"]
        found += settled or suspected
    merged = _merged(found)
    return tuple(sorted(merged, key=lambda one: (one.rank, -len(one.for_))))


def weighed(one: Suspicion, complaint: Complaint) -> PossibleCause:
    """The suspicion in words, no likelier than its reasons allow."""
    said = tuple(reason(each) for each in complaint.said)
    for_ = tuple(dict.fromkeys((*said, *one.more)))
    sides = {each.side for each in for_}
    is_both = "directory" in sides and bool(sides & {"server", "client"})
    is_open = one.likelihood == "certain" and (not is_both or complaint.is_inferred)
    likelihood: Likelihood = "likely" if is_open else one.likelihood
    who = complaint.who.text if complaint.who is not None else None
    host = complaint.host or (complaint.spn.host if complaint.spn is not None else None)
    names = {"spn": complaint.spn, "who": who, "holder": one.holder, "host": host}
    row = words(one.id, **{name: str(value) for name, value in names.items() if value is not None})
    return PossibleCause(
        id=one.id,
        likelihood=likelihood,
        spn=complaint.spn,
        account=who or one.holder,
        for_=for_,
        against=one.against,
        decide=None if likelihood == "certain" else row.decide,
        fix=one.fix or row.fix,
    )


def _merged(found: Iterable[PossibleCause]) -> list[PossibleCause]:
    """Each cause of an SPN once, with the reasons of all complaints."""
    by_key: dict[object, PossibleCause] = {}
    for one in found:
        key = (one.id, one.spn)
        earlier = by_key.get(key)
        if earlier is None:
            by_key[key] = one
            continue
        better, other = sorted((earlier, one), key=lambda each: each.rank)
        by_key[key] = replace(
            better,
            account=better.account or other.account,
            for_=tuple(dict.fromkeys((*better.for_, *other.for_))),
            against=tuple(dict.fromkeys((*better.against, *other.against))),
        )
    return list(by_key.values())


# -- a ticket that a server could not decrypt ----------------------------------------------------------------------


def _undecryptable(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield from _by_the_issued_key(complaint, known)
    elif not answer.accounts:
        yield from _held_by_nobody(complaint, answer)
    elif len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(holder_reason(answer, complaint.spn),))
    elif complaint.who is None:
        yield Suspicion(id="spn-misplaced", likelihood="likely", more=(holder_reason(answer, complaint.spn),))
    else:
        yield from _by_the_holder(complaint, complaint.who, answer, known)


def _held_by_nobody(complaint: Complaint, answer: Answer) -> Iterator[Suspicion]:
    """A ticket was issued, by a KDC that knows more, or knew more."""
    against = (holder_reason(answer, complaint.spn),) if complaint.spn is not None else ()
    yield Suspicion(id="spn-not-replicated", likelihood="likely", more=against)
    yield Suspicion(id="same-name-two-domains", likelihood="possible", against=against)
    yield Suspicion(id="spn-misplaced", likelihood="possible", against=against)


def _by_the_holder(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> Iterator[Suspicion]:
    """One account holds it: is it the one that tried?"""
    assert complaint.spn is not None  # noqa: S101  an answer is one about an SPN
    (holder,) = answer.accounts
    held = holder_reason(answer, complaint.spn)
    match = who.match(holder)
    if match == "namesake":
        yield Suspicion(id="same-name-two-domains", likelihood="certain", more=(held,), holder=str(holder.name))
    elif match == "other":
        yield from _on_another(complaint, who, answer, known)
    else:
        yield from _right_account(complaint, who, holder, held, known, is_sure=match == "same")


def _right_account(
    complaint: Complaint, who: Tried, holder: Account, held: Reason, known: Known, *, is_sure: bool
) -> Iterator[Suspicion]:
    """The account that holds it tried, and has another key than the KDC."""
    keys = tuple(_key_versions(complaint, holder, known))
    id_ = "computer-password" if who.is_computer else "stale-password"
    likelihood: Likelihood = "certain" if is_sure or len(known.named(who)) == 1 else "likely"
    yield Suspicion(id=id_, likelihood=likelihood, more=(held, *keys), holder=str(holder.name))
    if likelihood != "certain":
        yield Suspicion(id="same-name-two-domains", likelihood="possible", against=(held,))


def _key_versions(complaint: Complaint, holder: Account, known: Known) -> Iterator[Reason]:
    """What the key version of the ticket says beside that of the account; the upper half is an RODC's number."""
    for one in known.evidence:
        if one.facts.kvno is None or one.facts.spn is None or holder.key_version is None:
            continue
        if fold(one.facts.spn) == (complaint.spn.key if complaint.spn is not None else None):
            version = one.facts.kvno & 0xFFFF
            present = f"the present one of {holder.name} is {holder.key_version}"
            whose = "the server has an older key" if version == holder.key_version else "the ticket is for another key"
            yield Reason(one.source, one.line, f"the ticket has key version {version}, {present}: {whose}", "client")


def _on_another(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> Iterator[Suspicion]:
    """Another account holds it than the one that tried: is the SPN wrong, the server, or the settings?"""
    assert complaint.spn is not None  # noqa: S101  as above
    (holder,) = answer.accounts
    held = holder_reason(answer, complaint.spn)
    wanted = known.requirements(complaint.spn)
    expected = [one for one in wanted if one.account is not None]
    if any(one.account is not None and who.match(one.account) in {"same", "unknown"} for one in expected):
        yield _as_found(complaint, answer, known, expected)
    elif expected:
        yield from _unexpected(complaint, who, answer, known, expected)
    elif _is_other_machine(who, holder, complaint):
        yield Suspicion(id="wrong-server", likelihood="likely", more=(held,), holder=str(holder.name))
        yield Suspicion(id="spn-misplaced", likelihood="possible", more=(held,), holder=str(holder.name))
    else:
        id_ = _of_an_alias(complaint, who, answer, known) or _misplaced(answer)
        more = (held, *(said for _, said in known.aliases_of(complaint.spn.host)))
        yield Suspicion(id=id_, likelihood="certain", more=more, holder=str(holder.name))
        if who.is_computer and holder.name.name.endswith("$"):
            yield Suspicion(id="wrong-server", likelihood="possible", more=(held,), holder=str(holder.name))


def _misplaced(answer: Answer) -> str:
    return "spn-misplaced" if answer.is_exact else "spn-shadowed-by-host"


def _of_an_alias(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> str | None:
    """The name that people type is an alias, and its own SPN is on the account that tried (rule R3.1)."""
    spn = complaint.spn
    if spn is None or answer.is_exact:
        return None
    for alias, _ in known.aliases_of(spn.host):
        typed = known.answer(http_spn(alias))
        if typed is not None and any(who.match(account) != "other" for account in typed.accounts):
            return "client-spn-variant"
    return None


def _is_other_machine(who: Tried, holder: Account, complaint: Complaint) -> bool:
    """The name is the holder's own computer name, and another computer answered."""
    if complaint.spn is None or not who.is_computer:
        return False
    own = fold(netbios_name(complaint.spn.host.key))
    return fold(holder.name.name.removesuffix("$")) == own and who.name.removesuffix("$") != own


_MISMATCHES = (
    *("spn-duplicate", "spn-conflict", "farm-machine-identity", "farm-nodes-differ", "client-spn-variant"),
    *("spn-shadowed-by-host", "spn-misplaced"),
)
"""Findings that say why an SPN leads to another account than the one that decrypts."""


def _as_found(complaint: Complaint, answer: Answer, known: Known, wanted: Sequence[Requirement]) -> Suspicion:
    """The configuration says the same account as the evidence: what inspect finds is the cause."""
    assert complaint.spn is not None  # noqa: S101  as above
    found = _finding(complaint, known)
    id_ = (
        found.id if found is not None and found.id in {"farm-machine-identity", "spn-conflict"} else _misplaced(answer)
    )
    applications = [one for each in wanted for one in known.applications(each)]
    configured = configured_reason(applications, complaint.spn)
    more = (holder_reason(answer, complaint.spn), *((configured,) if configured is not None else ()))
    fix = found.fix if found is not None else ()
    return Suspicion(id=id_, likelihood="certain", more=more, holder=str(answer.accounts[0].name), fix=fix)


def _finding(complaint: Complaint, known: Known) -> Finding | None:
    found = known.findings(complaint.spn) if complaint.spn is not None else iter(())
    return next((one for one in found if one.id in _MISMATCHES), None)


def _unexpected(
    complaint: Complaint, who: Tried, answer: Answer, known: Known, wanted: Sequence[Requirement]
) -> Iterator[Suspicion]:
    """Who tried is not who should by the configuration that was given."""
    assert complaint.spn is not None  # noqa: S101  as above
    (holder,) = answer.accounts
    configured = configured_reason([one for each in wanted for one in known.applications(each)], complaint.spn)
    more = (holder_reason(answer, complaint.spn), *((configured,) if configured is not None else ()))
    is_elsewhere = who.is_computer and who.name.removesuffix("$") not in known.servers_of(wanted)
    if is_elsewhere:
        yield Suspicion(id="wrong-server", likelihood="certain", more=more, holder=str(holder.name))
        return
    yield Suspicion(id="running-identity-differs", likelihood="likely", more=more, holder=str(holder.name))
    yield Suspicion(id=_misplaced(answer), likelihood="possible", more=more, holder=str(holder.name))
    yield Suspicion(id="wrong-server", likelihood="possible", more=more, holder=str(holder.name))


def _by_the_issued_key(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """Nobody looked who holds it; event 4769 may say whose key encrypted."""
    issued = [one for one in known.evidence if _is_issued(one)]
    accounts = {fold(one.facts.account or "") for one in issued}
    if complaint.who is None or len(accounts) != 1:
        yield from _blind(complaint, known)
        return
    (account,) = accounts
    told = tuple(reason(one) for one in issued)
    if account != complaint.who.name:
        yield Suspicion(id="spn-misplaced", likelihood="certain", more=told, holder=issued[0].facts.account)
        return
    id_ = "computer-password" if complaint.who.is_computer else "stale-password"
    yield Suspicion(id=id_, likelihood="likely", more=told, holder=issued[0].facts.account)
    yield Suspicion(id="same-name-two-domains", likelihood="possible", more=told)


def _is_issued(one: Captured) -> bool:
    account = one.facts.account
    return one.kind == "event-4769" and not one.facts.status and account is not None and fold(account) != "krbtgt"


def _blind(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """Only who tried is known, at most."""
    realms = {(fold(one.facts.realm or ""), fold(one.facts.client_realm or "")) for one in complaint.said}
    crosses = any(target and client and target != client for target, client in realms)
    who = complaint.who
    if crosses:
        yield Suspicion(id="same-name-two-domains", likelihood="likely")
    aliases = [said for _, said in known.aliases_of(complaint.spn.host)] if complaint.spn is not None else []
    if aliases:  # the ticket is for the end of the alias, not for the name that people type (rule R3.1)
        yield Suspicion(id="client-spn-variant", likelihood="likely", more=tuple(aliases))
    yield Suspicion(id="spn-misplaced", likelihood="likely")
    yield Suspicion(id="spn-duplicate", likelihood="possible")
    yield Suspicion(
        id="computer-password" if who is not None and who.is_computer else "stale-password", likelihood="possible"
    )
    yield Suspicion(id="wrong-server", likelihood="possible")


# -- no ticket -----------------------------------------------------------------------------------------------------


def _unknown_name(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-missing", likelihood="likely")
        yield Suspicion(id="spn-duplicate", likelihood="possible")
        return
    held = holder_reason(answer, complaint.spn)
    if not answer.accounts:
        yield Suspicion(
            id="spn-missing", likelihood="certain", more=(held,), fix=_fix_of("spn-missing", complaint, known)
        )
    elif len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(held,))
    else:
        yield Suspicion(id="spn-not-replicated", likelihood="likely", more=(held,), holder=str(answer.accounts[0].name))


def _fix_of(id_: str, complaint: Complaint, known: Known) -> tuple[str, ...]:
    """What a finding of the report says about this SPN."""
    found = known.findings(complaint.spn) if complaint.spn is not None else iter(())
    return next((one.fix for one in found if one.id == id_), ())


def _ntlm(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    host = complaint.host
    if host is not None and host.is_address:
        yield Suspicion(id="ip-only-binding", likelihood="likely")
    elif host is not None and host.is_loopback:
        yield Suspicion(id="loopback", likelihood="likely")
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is not None and complaint.spn is not None:
        held = holder_reason(answer, complaint.spn)
        if not answer.accounts:
            fix = _fix_of("spn-missing", complaint, known)
            yield Suspicion(id="spn-missing", likelihood="certain", more=(held,), fix=fix)
        elif len(answer.accounts) > 1:
            yield Suspicion(id="spn-duplicate", likelihood="likely", more=(held,))
    elif (asked := known.not_found(complaint.spn)) is not None:
        yield Suspicion(id="spn-missing", likelihood="likely", more=(asked,))
    yield from _without_negotiate(complaint, known)
    yield Suspicion(id="not-kerberos", likelihood="likely")


def _without_negotiate(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """The application that answers the name does not offer Negotiate, or not first."""
    report, host = known.report, complaint.host
    if report is None or host is None:
        return
    places = {(a.server, a.site, a.path) for a in report.applications for each in a.hosts if each.host == host}
    for found in report.findings:
        if found.id in {"negotiate-missing", "providers-order"} and (found.server, found.site, found.path) in places:
            said = Reason(found.server, None, found.message, "configuration")
            yield Suspicion(id=found.id, likelihood="likely", more=(said,), fix=found.fix)


def _duplicate(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-duplicate", likelihood="likely")
        return
    held = holder_reason(answer, complaint.spn)
    if len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(held,))
    else:
        yield Suspicion(id="spn-duplicate", likelihood="possible", against=(held,))
        yield Suspicion(id="spn-not-replicated", likelihood="possible", more=(held,))


def _no_key(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    for account in answer.accounts if answer is not None else ():
        found = weakness(account, answer.directory) if answer is not None else None
        if found is not None and answer is not None:
            said = Reason(answer.directory.source, None, f"{account.name} {found.text}", "directory")
            yield Suspicion(
                id="etype-mismatch", likelihood="certain", more=(said,), holder=str(account.name), fix=found.fix
            )
            return
    yield Suspicion(id="etype-mismatch", likelihood="likely")


def _refused_write(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """A domain controller refused an SPN: somebody holds it, or HOST/ for its name (rules R4.12, R4.13)."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-misplaced", likelihood="likely")
        yield Suspicion(id="plan-blocked-by-alias", likelihood="possible")
        return
    held = holder_reason(answer, complaint.spn)
    id_ = "spn-misplaced" if answer.is_exact and answer.accounts else "plan-blocked-by-alias"
    yield Suspicion(id=id_, likelihood="likely", more=(held,))


def _one(id_: str, likelihood: Likelihood) -> Rule:
    def rule(_complaint: Complaint, _known: Known) -> Iterator[Suspicion]:
        yield Suspicion(id=id_, likelihood=likelihood)

    return rule


def _logon_denied(_complaint: Complaint, _known: Known) -> Iterator[Suspicion]:
    """401.1 with LOGON_DENIED: NTLM with a wrong password, or the server itself by another name (KB896861)."""
    yield Suspicion(id="not-kerberos", likelihood="possible")
    yield Suspicion(id="loopback", likelihood="possible")


RULES: Mapping[Sort, Rule] = {
    "undecryptable": _undecryptable,
    "unknown-name": _unknown_name,
    "duplicate": _duplicate,
    "no-key": _no_key,
    "expired": _one("ticket-expired", "likely"),
    "clock": _one("clock-skew", "likely"),
    "not-for-us": _one("wrong-server", "likely"),
    "ntlm": _ntlm,
    "refused-write": _refused_write,
    "channel-binding": _one("channel-binding", "likely"),
    "too-long": _one("header-too-long", "likely"),
    "logon-denied": _logon_denied,
    "other": _one("unknown", "possible"),
}
"""THE TABLE: what each sort of fault may come from."""
