"""What a piece of evidence says, in one sentence; never a part of a ticket or a hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.evidence.captured import Captured, Facts
from agent.evidence.diagnosis import Reason, Side
from agent.evidence.encryption_types import etype_name
from agent.evidence.kerberos_errors import is_of_a_server


def reason(one: Captured) -> Reason:
    """The evidence as a reason, with who says it."""
    return Reason(one.source, one.line, sentence(one), side_of(one))


def side_of(one: Captured) -> Side:
    """Who says it."""
    if one.kind in {"event-11", "event-4769", "event-2974", "setspn", "ldif"}:
        return "directory"
    if one.kind == "event-4" or (one.kind == "krb-error" and is_of_a_server(one.facts.error_code)):
        return "server"
    return "client"


def sentence(one: Captured) -> str:
    """One sentence."""
    facts = one.facts
    words = _SENTENCES.get(one.kind, _other)(facts)
    damaged = "" if one.readable else " (damaged)"
    return f"{words}{damaged}"


def _asked(facts: Facts) -> str:
    return f" for {facts.spn}" if facts.spn else ""


def _who(facts: Facts) -> str:
    return f"{facts.server or 'a server'}{f' of {facts.realm}' if facts.realm else ''}"


def _error(facts: Facts) -> str:
    name = facts.error_name or f"Kerberos error {facts.error_code}"
    if is_of_a_server(facts.error_code):
        return f"{_who(facts)} answers {name} ({facts.error_code}) to a ticket{_asked(facts)}"
    return f"a KDC{f' of {facts.realm}' if facts.realm else ''} answers {name} ({facts.error_code}){_asked(facts)}"


def _event_4(facts: Facts) -> str:
    return f"event 4: {_who(facts)} could not decrypt a ticket{_asked(facts)}"


def _key(facts: Facts) -> str:
    parts = [
        f"encryption {etype_name(facts.etype)}" if facts.etype is not None else "",
        f"key version {facts.kvno}" if facts.kvno is not None else "",
    ]
    told = ", ".join(filter(None, parts))
    return f" ({told})" if told else ""


def _ticket(facts: Facts) -> str:
    if facts.error_code is not None or (facts.win32_status and facts.spn):
        return f"klist get got no ticket{_asked(facts)} ({facts.win32_status or 0:#x})"
    return f"a ticket{_asked(facts)}{f' of {facts.realm}' if facts.realm else ''}{_key(facts)}"


def _event_4769(facts: Facts) -> str:
    if facts.status:
        return f"event 4769: no ticket{_asked(facts)}: {facts.error_name or facts.status}"
    return f"event 4769: a ticket was encrypted with the key of {facts.account}{_key(facts)}"


def _setspn(facts: Facts) -> str:
    if facts.spns is not None:
        return f"setspn: {facts.account} holds {len(facts.spns)} SPNs"
    if facts.count == 0:
        return f"setspn -Q {facts.spn}: no account was found where it was asked"
    if facts.holders == ():
        return f"setspn: nobody holds {facts.spn}"
    if facts.holders is not None:
        return f"setspn: {facts.spn} is on {len(facts.holders)} accounts: {'; '.join(facts.holders)}"
    return f"setspn: refused for {facts.account} ({facts.win32_status or 0:#x})"


def _names(facts: Facts) -> str:
    name = ", ".join(facts.host_names or ())
    if facts.alias_of:
        return f"DNS: {name} is an alias of {facts.alias_of}"
    return f"DNS: {name} leads to {', '.join(facts.addresses or ()) or 'nothing'}"


def _log(facts: Facts) -> str:
    win32 = f", sc-win32-status {facts.win32_status} ({facts.win32_status:#x})" if facts.win32_status else ""
    names = f" for {', '.join(facts.host_names[:3])}" if facts.host_names else ""
    times = f"{facts.count} x " if facts.count else ""
    return f"{times}{facts.status}{win32}{names}"


def _ntlm(facts: Facts) -> str:
    host = f" for {facts.host_names[0]}" if facts.host_names else ""
    return f"a message of NTLM{f' ({facts.message})' if facts.message else ''}{host}"


def _no_key(facts: Facts) -> str:
    number = f"event {facts.event_id}" if facts.event_id else "an event"
    return f"{number} of a KDC: no key of a wanted encryption type{_asked(facts) or f' for {facts.account}'}"


def _other(facts: Facts) -> str:
    said = ", ".join(f"{name} {value}" for name, value in facts.known.items() if isinstance(value, str | int))
    return said or "nothing that could be read"


_SENTENCES: Mapping[str, Callable[[Facts], str]] = {
    "krb-error": _error,
    "event-4": _event_4,
    "event-11": lambda facts: f"event 11: several accounts hold {facts.spn}",
    "event-4769": _event_4769,
    "event-2974": lambda facts: f"event 2974: a domain controller refused {facts.spn}, which is not unique",
    "event-etype": _no_key,
    "event-40970": lambda facts: f"event 40970: no ticket{_asked(facts)}, and NTLM was not allowed instead",
    "ap-req": _ticket,
    "klist": _ticket,
    "setspn": _setspn,
    "ldif": lambda facts: f"an export of {facts.count} entries",
    "dns": _names,
    "ipconfig": lambda facts: f"ipconfig of {facts.computer}: {', '.join(facts.addresses or ())}",
    "iis-log": _log,
    "freb": _log,
    "ntlm": _ntlm,
    "spnego": lambda facts: f"an answer of SPNEGO: {facts.state or facts.message or 'of no known form'}",
}
