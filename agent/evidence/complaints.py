"""What went wrong by the evidence: pieces that tell of the same fault of the same SPN are one complaint."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from agent.evidence.captured import Captured
from agent.evidence.known import Known
from agent.evidence.tried import Tried, tried
from agent.names import HostName, Spn, fold, host_name, http_spn, spn

Sort = Literal[
    "undecryptable",
    "unknown-name",
    "duplicate",
    "no-key",
    "expired",
    "clock",
    "not-for-us",
    "ntlm",
    "refused-write",
    "channel-binding",
    "too-long",
    "logon-denied",
    "other",
]

BY_ERROR: Mapping[int, Sort] = {
    7: "unknown-name",
    8: "duplicate",
    14: "no-key",
    31: "undecryptable",
    32: "expired",
    33: "clock",
    35: "not-for-us",
    37: "clock",
    41: "undecryptable",
    44: "undecryptable",
    45: "undecryptable",
}
"""Codes of KRB-ERROR and of event 4769. What is not here is told as `unknown`, but for `NO_FAULTS`."""

NO_FAULTS = frozenset({0, 25, 52, 68})
"""A logon begins with 25 (PREAUTH_REQUIRED); 52 asks for TCP, 68 is a referral to another realm."""

BY_WIN32: Mapping[int, Sort] = {
    0x80090322: "undecryptable",
    0x80090324: "clock",
    0x80090346: "channel-binding",
    0x8009030C: "logon-denied",
}
"""SEC_E_WRONG_PRINCIPAL, TIME_SKEW, BAD_BINDINGS, LOGON_DENIED in a 401.1 of IIS (rule 10.3). 0x8009030E stands in
every exchange of NTLM; which one goes with MODIFIED is not documented.
"""

ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST = 8647


class Complaint(Struct, frozen=True, kw_only=True):
    """One fault. `who` tried to decrypt; `host` is the name in the URL, `spn` what was asked for, where that is known.

    `is_inferred`: it is taken from the name in the URL, which may be an alias, or is the only one of which a ticket was
    seen.
    """

    sort: Sort
    spn: Spn | None = None
    who: Tried | None = None
    host: HostName | None = None
    is_inferred: bool = False
    said: tuple[Captured, ...] = ()


def complaints(known: Known) -> list[Complaint]:
    """What the evidence complains of, each once; one without an SPN joins the one with it."""
    found: dict[object, list[Complaint]] = {}
    for one in known.evidence:
        complaint = _complaint(one)
        if complaint is not None:
            complaint = _with_spn(complaint, known)
            key = (complaint.sort, complaint.spn, complaint.who.name if complaint.who else None)
            found.setdefault(key, []).append(complaint)
    return list(_without_doubles([_joined(same) for same in found.values()]))


def _complaint(one: Captured) -> Complaint | None:
    sort = next((sort for told in _SORTS if (sort := told(one)) is not None), None)
    if sort is None:
        return None
    facts = one.facts
    names = facts.host_names if one.kind != "iis-log" or len(facts.host_names or ()) == 1 else None
    return Complaint(
        sort=sort,
        spn=spn(facts.spn) if facts.spn else None,
        who=tried(facts.server, facts.realm) if facts.server else None,
        host=host_name(names[0]) if names else None,
        said=(one,),
    )


def _by_kind(one: Captured) -> Sort | None:
    kinds: Mapping[str, Sort] = {
        "event-4": "undecryptable",
        "event-11": "duplicate",
        "event-etype": "no-key",
        "event-40970": "unknown-name",
        "event-2974": "refused-write",
        "ntlm": "ntlm",
    }
    return kinds.get(one.kind)


def _by_error(one: Captured) -> Sort | None:
    code = one.facts.error_code
    return None if code is None or code in NO_FAULTS else BY_ERROR.get(code, "other")


def _by_output(one: Captured) -> Sort | None:
    if one.kind == "setspn" and len(one.facts.holders or ()) > 1:
        return "duplicate"
    if one.kind == "setspn" and one.facts.win32_status == ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST:
        return "refused-write"
    return None


def _by_status(one: Captured) -> Sort | None:
    """A 401.2 begins every exchange, and a 401.1 with NO_CREDENTIALS (0x8009030E) every exchange of NTLM."""
    status, facts = str(one.facts.status or ""), one.facts
    if one.kind not in {"iis-log", "freb"}:
        return None
    if facts.message in {"FieldLength", "RequestLength"}:
        return "too-long"
    if not status.startswith("401") or facts.win32_status is None:
        return None
    return BY_WIN32.get(facts.win32_status)


_SORTS: Sequence[Callable[[Captured], Sort | None]] = (_by_kind, _by_error, _by_output, _by_status)


# -- which SPN -----------------------------------------------------------------------------------------------------


def _with_spn(complaint: Complaint, known: Known) -> Complaint:
    """The complaint with the SPN that it speaks of, where one alone fits."""
    if complaint.spn is not None or complaint.sort in {"clock", "expired", "too-long", "channel-binding"}:
        return complaint
    for way in (_sent_before, _of_the_only_ticket, _of_the_url, _of_the_configuration):
        name = way(complaint, known)
        if name is not None:
            is_sure = way in {_sent_before, _of_the_configuration} or known.is_no_alias(name.host)
            return replace(complaint, spn=name, is_inferred=not is_sure)
    return complaint


def _sent_before(complaint: Complaint, known: Known) -> Spn | None:
    """The ticket in the request that stands before the answer in the same source."""
    if complaint.who is None:
        return None
    last = complaint.said[-1]
    sent = known.sent.get(last.source, [])
    at = bisect_right(sent, last.line, key=lambda one: one.line)
    return spn(sent[at - 1].facts.spn or "") if at else None


def _of_the_only_ticket(complaint: Complaint, known: Known) -> Spn | None:
    if complaint.who is None:
        return None
    return next(iter(known.web_tickets)) if len(known.web_tickets) == 1 else None


def _of_the_url(complaint: Complaint, _known: Known) -> Spn | None:
    host = complaint.host
    return None if host is None or host.is_address or host.is_loopback else http_spn(host)


def _of_the_configuration(complaint: Complaint, known: Known) -> Spn | None:
    """The only SPN that this account decrypts for and that does not lead to it."""
    if complaint.who is None:
        return None
    broken = {
        one.spn for one in known.decrypted_by(complaint.who) if one.matters and one.outcome in {"modified", "duplicate"}
    }
    return next(iter(broken)) if len(broken) == 1 else None


# -- together ------------------------------------------------------------------------------------------------------


def _joined(same: Sequence[Complaint]) -> Complaint:
    """Several of the same fault; what was said of the realm counts."""
    named = [one.who for one in same if one.who is not None]
    return replace(
        same[0],
        who=next((who for who in named if who.realm), named[0] if named else None),
        host=next((one.host for one in same if one.host is not None), None),
        is_inferred=all(one.is_inferred for one in same),
        said=tuple(chain.from_iterable(one.said for one in same)),
    )


def _without_doubles(found: Sequence[Complaint]) -> Iterator[Complaint]:
    """One that names no SPN, or nobody who tried, joins the only other of its sort that does."""
    joined = [one for one in found if _is_whole(one)]
    for one in (each for each in found if not _is_whole(each)):
        fits = [at for at, other in enumerate(joined) if _fits(one, other)]
        if len(fits) == 1:
            joined[fits[0]] = _joined((joined[fits[0]], one))
        else:
            yield one
    yield from joined


def _is_whole(one: Complaint) -> bool:
    return one.spn is not None and (one.who is not None or one.sort != "undecryptable")


def _fits(part: Complaint, whole: Complaint) -> bool:
    same_name = part.spn is None or part.spn == whole.spn
    same_account = part.who is None or (whole.who is not None and fold(part.who.name) == fold(whole.who.name))
    return part.sort == whole.sort and same_name and same_account
