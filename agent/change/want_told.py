"""What is said of a want: what is so today, and whom the steps break elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.change.want import Aim
from agent.change.want_order import Ordered
from agent.change.want_spns import Now, wanted_of
from agent.checks.holders import wrong_holders
from agent.model import ApplicationRef, Requirement
from agent.names import printable


def told(now: Now, aim: Aim, steps: Sequence[Ordered]) -> Iterator[str]:
    """Sentences: who decrypts, who holds the SPNs, where DNS leads; then what else is touched."""
    yield from _decrypting(now, aim)
    yield from dict.fromkeys(map(_held, wanted_of(now.today, aim)))
    yield from _led(now, aim)
    yield from _elsewhere(now, aim, steps)


def _decrypting(now: Now, aim: Aim) -> Iterator[str]:
    by_account: dict[str, list[str]] = {}
    for application in now.today.applications:
        if (application.server, application.site) in aim.sites:
            for place in application.negotiating:
                where = f"{application.site}{place.path} on {application.server}"
                by_account.setdefault(str(place.decrypts_as or "nobody that is known"), []).append(where)
    for account, places in by_account.items():
        yield f"today {account} decrypts for {printable(', '.join(dict.fromkeys(places)))}"


def _held(requirement: Requirement) -> str:
    if requirement.answers is None:
        return f"who holds {requirement.spn} was not looked up"
    if not requirement.answers:
        return f"nobody holds {requirement.spn}"
    by = "" if requirement.holders else " by its HOST/ SPN"
    return f"{requirement.spn} leads to {' and '.join(map(str, requirement.answers))}{by}"


def _led(now: Now, aim: Aim) -> Iterator[str]:
    found = now.today.by_label[aim.sites[0][0]].names.resolve(aim.want.host)
    if found is None:
        yield f"where DNS leads {aim.want.host} was not looked up"
    elif not found.addresses:
        yield f"DNS has no address for {aim.want.host}"
    else:
        alias = f", as an alias of {found.canonical}" if found.is_alias else ""
        yield f"DNS leads {aim.want.host} to {', '.join(found.addresses)}{alias}"


def _elsewhere(now: Now, aim: Aim, steps: Sequence[Ordered]) -> Iterator[str]:
    """Other sites and names for which another account decrypts then."""
    names = {requirement.spn for requirement in wanted_of(now.after, aim)}
    touched = {ref: None for one in steps for ref in one.move.switched if (ref.server, ref.site) not in aim.sites}
    for ref in touched:
        served = [
            j.requirement.spn for j in now.today.judged if _needs(j.requirement, ref) and j.requirement.spn not in names
        ]
        told = f", with {', '.join(map(str, served))}" if served else ""
        yield f"{printable(f'{ref.site}{ref.path} on {ref.server}')} has the same pool or file, and moves along{told}"
    added = {one.step.spn: None for one in steps if one.step.is_add and one.step.spn is not None}
    moved = [name for name in added if name not in names] if not touched else []
    if moved:
        yield f"these names are served by the same applications and move along: {', '.join(map(str, moved))}"
    yield from _machine_names(now, aim)
    for one in steps:
        if one.step.kind == "spn-delete" and one.step.confirm:
            yield f"step {one.step.order} takes it from {one.step.account}: {one.step.note}"


def _machine_names(now: Now, aim: Aim) -> Iterator[str]:
    """What is left of a machine name on another account, once people come by the name that is wanted (rule R6.7)."""
    labels = {label for label, _ in aim.sites}
    for name, server in now.today.own_spns.items():
        if server.label in labels and name.host != aim.want.host and server.account is not None:
            for holder in wrong_holders(now.today, name, server.account):
                yield (
                    f"{name} is on {holder}, which breaks WinRM on {printable(server.label)}: when nobody comes by "
                    "that name any more, remove it there"
                )


def _needs(requirement: Requirement, ref: ApplicationRef) -> bool:
    return requirement.need != "optional" and ref in requirement.applications
