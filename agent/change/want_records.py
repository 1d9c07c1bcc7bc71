"""Where DNS leads a name that is wanted: the record, the alias that has to end, the load balancer that nobody reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from agent.change.overlay import Overlay
from agent.change.want import Aim, ObstacleError
from agent.change.want_move import ALIAS, BALANCER, MOVED_RECORD, RECORD, Move, in_words
from agent.checks.actions import address_record, by_hand
from agent.checks.case import Case
from agent.checks.commands import dnscmd_record
from agent.model import ApplicationRef, Step
from agent.names import Address, HostName, printable
from agent.spn.nameservice import Resolution

BALANCED = Address("192.0.2.1")
"""Stands for the address of a load balancer, which nobody reads (RFC 5737): it is none of an inspected server's, and
any server with the name may stand behind it.
"""


def records(overlay: Overlay, aim: Aim, *, is_new: bool) -> Iterator[Move]:
    """The record, or the load balancer, that leads the name to all these servers and to no others."""
    case, host = overlay.case, aim.want.host
    views = [case.by_label[label] for label, _ in aim.sites]
    if any(host in view.names.own for view in views):
        return
    found = views[0].names.resolve(host)
    if found is None:
        if is_new:
            yield _balanced(aim, "DNS was not asked")
        return
    if found.addresses is None:
        raise ObstacleError(f"{host} is an alias of {found.canonical}, and where that leads is not known.")
    if found.is_alias and any(found.canonical in view.names.own for view in case.servers):
        yield from _without_alias(overlay, aim, found)
        return
    led, mine = set(found.addresses), {address for view in views for address in view.names.mine}
    if not led:
        yield _new_record(overlay, aim)
    elif not all(view.names.mine for view in views):
        return  # where the servers are is not known
    elif len(views) == 1 and not led & mine and led <= views[0].names.inspected.addresses:
        yield _moved_record(overlay, aim, found)
    elif len(views) > 1:
        yield from _several(overlay, aim, led, is_new=is_new)


def _several(overlay: Overlay, aim: Aim, led: set[Address], *, is_new: bool) -> Iterator[Move]:
    """All of them, by a record each, or by an address of nobody inspected: a load balancer that is there already."""
    views = [overlay.case.by_label[label] for label, _ in aim.sites]
    stays = not is_new and not led <= views[0].names.inspected.addresses
    if not stays and not all(led & {*view.names.mine} for view in views):
        overlay.record(aim.want.host, BALANCED)
        yield _balanced(aim, f"today it leads to {', '.join(sorted(led))}")


def unseen_balancer(case: Case, aim: Aim, others: Collection[Move]) -> list[Move]:
    """Of several servers of which something changes somebody has to look that requests reach all of them, where DNS was
    not asked.
    """
    asked = case.by_label[aim.sites[0][0]].names.resolve(aim.want.host) is not None
    if asked or len(aim.sites) < 2 or not others or any(move.stage == BALANCER for move in others):
        return []
    return [_balanced(aim, "DNS was not asked")]


def _balanced(aim: Aim, why: str) -> Move:
    """What stands between clients and servers is not read: a person sees to it."""
    servers = " and ".join(printable(label) for label, _ in aim.sites)
    if len(aim.sites) > 1:
        words = f"Let the load balancer for {aim.want.host} send requests to {servers}, and DNS lead to it ({why})."
    else:
        words = f"Let DNS lead {aim.want.host} to {servers}, with an A record and no alias ({why})."
    return Move(by_hand(words), BALANCER)


def _without_alias(overlay: Overlay, aim: Aim, found: Resolution) -> Iterator[Move]:
    """Clients ask for the name that an alias leads to: a computer's own, which is on that computer's account."""
    case, host = overlay.case, aim.want.host
    if len(aim.sites) > 1:
        overlay.record(host, BALANCED)
        yield _balanced(aim, f"today it is an alias of {found.canonical}")
    elif aim.identity is not None:
        addresses = case.by_label[aim.sites[0][0]].names.mine
        action = address_record(case, host, found.canonical, addresses)
        if action.step.command is None:
            yield Move(by_hand(action.sentence), ALIAS)
        else:
            overlay.record(host, addresses[0])
            note = f"clients that know the alias ask for HTTP/{found.canonical} until its time to live has passed: wait"
            yield Move(action._replace(step=replace(action.step, note=note)), ALIAS)


def _new_record(overlay: Overlay, aim: Aim) -> Move:
    address, node = _address(overlay, aim), _node(overlay, aim.want.host)
    if address is None or node is None:
        if len(aim.sites) > 1:
            overlay.record(aim.want.host, BALANCED)
        return _balanced(aim, "it has no record")
    overlay.record(aim.want.host, address)
    kind = "AAAA" if ":" in address else "A"
    command = dnscmd_record("/RecordAdd", *node, kind, address)
    rollback = dnscmd_record("/RecordDelete", *node, kind, address)
    return Move(
        in_words(Step(kind="dns", command=command, rollback=rollback), f"let {aim.want.host} lead to {address}"), RECORD
    )


def _moved_record(overlay: Overlay, aim: Aim, found: Resolution) -> Move:
    """The name leads to another inspected server: it is asked no more, before the SPN is on the new account."""
    address, node = _address(overlay, aim), _node(overlay, aim.want.host)
    old = found.addresses[0] if found.addresses is not None and len(found.addresses) == 1 else None
    if address is None or node is None or old is None or found.is_alias or (":" in old) != (":" in address):
        return _balanced(aim, f"today it leads to {', '.join(found.addresses or ())}")._replace(stage=MOVED_RECORD)
    overlay.record(aim.want.host, address)
    kind = "AAAA" if ":" in address else "A"
    there = [dnscmd_record("/RecordDelete", *node, kind, old), dnscmd_record("/RecordAdd", *node, kind, address)]
    back = [dnscmd_record("/RecordDelete", *node, kind, address), dnscmd_record("/RecordAdd", *node, kind, old)]
    step = Step(kind="dns", command=_both(there), rollback=_both(back), note=f"it leads to {old} until then")
    at = tuple(ref for label, site in aim.sites for ref in _references(overlay.case, label, site))
    return Move(in_words(step, f"let {aim.want.host} lead to {address}"), MOVED_RECORD, at)


def _both(commands: Sequence[str | None]) -> str | None:
    lines = [line for line in commands if line is not None]
    return " && ".join(lines) if len(lines) == len(commands) else None


def _address(overlay: Overlay, aim: Aim) -> Address | None:
    """The one address of the one server."""
    mine = overlay.case.by_label[aim.sites[0][0]].names.mine
    return mine[0] if len(aim.sites) == 1 and len(mine) == 1 else None


def _node(overlay: Overlay, host: HostName) -> tuple[str, str] | None:
    """Zone and name within it, as `dnscmd` takes them."""
    zone = overlay.service.zone_of(host) if overlay.service is not None else None
    return None if zone is None else (zone.spn_text, host.spn_text[: -len(zone.key) - 1])


def _references(case: Case, label: str, site: str) -> list[ApplicationRef]:
    return [each.reference for each in case.of_site(label, site)]
