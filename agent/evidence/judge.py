"""From complaints to causes: what each may come from, with what speaks for and against it.

"certain" needs both sides: what the directory or a KDC says, and who tried to decrypt or what the client got. That is
not left to care: `weighed` lowers what has only one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from agent.evidence.causes import can_stand, words
from agent.evidence.complaints import Complaint, Sort, complaints
from agent.evidence.diagnosis import Likelihood, PossibleCause
from agent.evidence.known import Known
from agent.evidence.no_ticket import always, duplicate, logon_denied, no_key, ntlm, refused_write, unknown_name
from agent.evidence.suspicion import Rule, Suspicion
from agent.evidence.told import reason
from agent.evidence.undecryptable import undecryptable


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
    row = words(one.id, **{name: str(value) for name, value in names.items() if value is not None and can_stand(value)})
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


RULES: Mapping[Sort, Rule] = {
    "undecryptable": undecryptable,
    "unknown-name": unknown_name,
    "duplicate": duplicate,
    "no-key": no_key,
    "expired": always("ticket-expired", "likely"),
    "clock": always("clock-skew", "likely"),
    "not-for-us": always("wrong-server", "likely"),
    "ntlm": ntlm,
    "refused-write": refused_write,
    "channel-binding": always("channel-binding", "likely"),
    "too-long": always("header-too-long", "likely"),
    "logon-denied": logon_denied,
    "other": always("unknown", "possible"),
}
"""THE TABLE: what each sort of fault may come from."""
