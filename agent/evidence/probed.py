"""What a probe means: which protocol was used, what the server said, and the outcome in the words of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from agent.evidence.captured import Captured
from agent.evidence.diagnosis import PossibleCause
from agent.evidence.encryption_types import etype_name
from agent.evidence.kerberos_errors import name_of
from agent.evidence.observed import NoTicket, Reply, Seen
from agent.evidence.tokens import Token, read_token
from agent.model import Outcome
from agent.names import AccountName, Guess, Spn, computer_account, fold

Used = Literal["kerberos", "ntlm", "none"]


class Ticket(Struct, frozen=True, kw_only=True):
    """The ticket that was sent: the realm that issued it, the principal it is for, and by which key; a number each."""

    realm: str | None
    server: str | None
    etype: int | None
    kvno: int | None
    endtime: str | None


class KerberosError(Struct, frozen=True, kw_only=True):
    """An error of the KDC, or of the server, which then names the account that tried to decrypt."""

    error_code: int
    error_name: str | None
    realm: str | None
    server: str | None


class Probe(Struct, frozen=True, kw_only=True):
    """One URL as a client of one kind. `observed` is None where no ticket was asked for, "unchecked" where nobody could
    look; `predicted` None where nothing was to compare with.

    `used` "ntlm": NTLM was the next step, which is never taken. `decrypts_as` is who was seen to decrypt, or to try.
    `causes` are those of `diagnose`, for what the server says against a ticket.
    """

    url: str
    client: str
    spn: Spn | None
    ticket: Ticket | None
    status: int | None
    used: Used
    error: KerberosError | None
    observed: Outcome | None
    predicted: Outcome | None
    decrypts_as: AccountName | None
    because: tuple[str, ...]
    evidence: tuple[Captured, ...]
    causes: tuple[PossibleCause, ...] = ()

    @property
    def was_seen(self) -> bool:
        """Whether the probe came to an answer, whatever it is."""
        return self.observed != "unchecked"


def judged(seen: Seen) -> Probe:
    """What was seen, in the words of the report; nothing is compared yet."""
    tokens = _answers(seen.reply)
    used, observed, why = _outcome(seen, tokens)
    sent = seen.sent.token.facts if seen.sent is not None else None
    error = _error(seen, tokens)
    last = seen.reply or seen.first
    return Probe(
        url=seen.url,
        client=seen.client,
        spn=seen.spn,
        ticket=None
        if sent is None or seen.sent is None
        else Ticket(realm=sent.realm, server=sent.spn, etype=sent.etype, kvno=sent.kvno, endtime=seen.sent.ends),
        status=None if last is None else last.status,
        used=used,
        error=error,
        observed=observed,
        predicted=None,
        decrypts_as=None if error is None or error.server is None else account_of(error),
        because=(*seen.steps, *_asked(seen), *why),
        evidence=tuple(_evidence(seen)),
    )


def account_of(error: KerberosError) -> AccountName | None:
    """The account that a server names in its error: by name, or a computer's as `host/name`; None for another name.

    The NetBIOS name of its domain nobody said: the first label of the realm stands for it, which is a guess.
    """
    service, slash, host = (error.server or "").partition("/")
    if not error.realm or not service:
        return None
    netbios = Guess(error.realm.partition(".")[0].upper())
    if slash:
        return computer_account(netbios, host, error.realm) if fold(service) == "host" else None
    return AccountName(netbios, service, fold(error.realm))


# -- what was answered ---------------------------------------------------------------------------------------------


def _answers(reply: Reply | None) -> Sequence[Token]:
    return [] if reply is None else [read_token(offer.text) for offer in reply.offers if offer.text]


def _error(seen: Seen, tokens: Sequence[Token]) -> KerberosError | None:
    if seen.refusal is not None and seen.refusal.code is not None:
        code = seen.refusal.code
        return KerberosError(error_code=code, error_name=name_of(code), realm=None, server=None)
    for facts in (token.facts for token in tokens if seen.sent is not None):
        if facts.error_code is not None:
            return KerberosError(
                error_code=facts.error_code, error_name=facts.error_name, realm=facts.realm, server=facts.server
            )
    return None


def _evidence(seen: Seen) -> Iterator[Captured]:
    """What travelled, in its order: the ticket (a secret), then each token of the answer."""
    tokens = [*([seen.sent.token] if seen.sent is not None else []), *_answers(seen.reply)]
    for line, token in enumerate(tokens, 1):
        yield Captured(
            kind=token.kind,
            source=seen.url,
            line=line,
            readable=token.readable,
            secret=token.secret,
            facts=token.facts,
        )


# -- what it means -------------------------------------------------------------------------------------------------

_CANNOT_DECRYPT = frozenset({31, 35, 41, 44, 45})
"""BAD_INTEGRITY, NOT_US, MODIFIED, BADKEYVER, NOKEY: what acceptors say of a ticket for another key."""
_BY_THE_CLOCK = frozenset({32, 33, 37})
"""TKT_EXPIRED, TKT_NYV, SKEW."""
_NO_LONGER_READ = frozenset({400, 413, 414, 431})
_NOT_UNIQUE, _NO_ETYPE = 8, 14

_Ending = tuple[Used, Outcome | None, list[str]]


def _outcome(seen: Seen, tokens: Sequence[Token]) -> _Ending:
    if seen.failure:
        return "none", "unchecked", [f"No answer: {seen.failure}."]
    if seen.first is None or seen.first.status != 401 or not seen.first.offers:
        return "none", None, [_not_asked(seen.first)]
    if seen.refusal is not None:
        return _without_ticket(seen, seen.refusal, tokens)
    if seen.sent is None or seen.reply is None:
        used, told = _next(seen, tokens)
        why = (
            "the URL holds an address or a loopback name" if seen.spn is None else "the server does not offer Negotiate"
        )
        return used, "ntlm-fallback", [f"No ticket is asked for: {why}.", told]
    return _with_ticket(seen, seen.reply, tokens)


def _not_asked(first: Reply | None) -> str:
    status = 0 if first is None else first.status
    if status == 401:
        return "It answers 401, and offers neither Negotiate nor NTLM: no ticket is asked for."
    if 200 <= status < 300:
        return f"It answers {status} without asking who is there: no ticket is asked for."
    return f"It answers {status} before it asks who is there: no ticket is asked for."


def _without_ticket(seen: Seen, refusal: NoTicket, tokens: Sequence[Token]) -> _Ending:
    name = "" if refusal.code is None else f" ({name_of(refusal.code) or refusal.code})"
    told = f"No ticket: {refusal.reason}{name}."
    if not refusal.is_said_of_spn:
        return "none", "unchecked", [told]
    used, further = _next(seen, tokens)
    outcomes: dict[int, Outcome] = {_NOT_UNIQUE: "duplicate", _NO_ETYPE: "uncertain"}
    return used, outcomes.get(refusal.code or 0, "ntlm-fallback"), [told, further]


def _next(seen: Seen, tokens: Sequence[Token]) -> tuple[Used, str]:
    """What comes next for a client without a ticket."""
    challenge = next((token.facts for token in tokens if token.facts.message == "challenge"), None)
    if challenge is not None:
        who = f" of {challenge.computer}" if challenge.computer else ""
        return "ntlm", f"NTLM is the next step: the server{who} has sent its challenge, which is not answered."
    if seen.first is not None and "NTLM" in seen.first.schemes:
        return "ntlm", "NTLM is the next step: the server offers it."
    return "none", "The server takes no NTLM either: users are not let in."


def _with_ticket(seen: Seen, reply: Reply, tokens: Sequence[Token]) -> _Ending:
    error = _error(seen, tokens)
    if error is not None:
        return (
            "none",
            "modified" if error.error_code in _CANNOT_DECRYPT else "uncertain",
            [_refused(reply, error, _time(tokens))],
        )
    if seen.proof:
        return "kerberos", "kerberos", [f"The server answers {reply.status} and proves that it has the ticket's key."]
    if any(token.facts.message == "ap-rep" for token in tokens):
        return "none", "uncertain", [f"The server answers {reply.status}, but its proof of the ticket's key is wrong."]
    if reply.status == 401:
        return _refused_silently(tokens)
    if reply.status in _NO_LONGER_READ:
        return (
            "none",
            "uncertain",
            [f"The server answers {reply.status} to the ticket: a header that is too long for it?"],
        )
    if reply.status >= 500:
        return (
            "none",
            "uncertain",
            [f"The server answers {reply.status} to the ticket: whether it took it is not seen."],
        )
    return (
        "kerberos",
        "kerberos",
        [f"The server takes the ticket: it answers {reply.status} where it answered 401 before."],
    )


def _time(tokens: Sequence[Token]) -> str | None:
    return next((token.facts.time for token in tokens if token.facts.error_code is not None), None)


def _refused(reply: Reply, error: KerberosError, time: str | None) -> str:
    name = f"{error.error_name} ({error.error_code})" if error.error_name else f"Kerberos error {error.error_code}"
    who = f" {error.server} of {error.realm}" if error.server and error.realm else f" {error.server or 'the server'}"
    did = "cannot decrypt the ticket" if error.error_code in _CANNOT_DECRYPT else "does not take the ticket"
    clock = f", by its clock, which says {time}" if time and error.error_code in _BY_THE_CLOCK else ""
    return f"The server answers {reply.status} with {name}:{who} {did}{clock}."


def _refused_silently(tokens: Sequence[Token]) -> _Ending:
    if any(token.facts.message == "challenge" for token in tokens):
        return "ntlm", "uncertain", ["The server answers the ticket with a challenge of NTLM, which is not answered."]
    why = "extended protection (a channel binding that does not fit), a ticket for another key, or who may not read it"
    return "none", "uncertain", [f"The server answers 401 and does not say why: {why}."]


def _asked(seen: Seen) -> Iterator[str]:
    if seen.spn is not None and (seen.sent is not None or seen.refusal is not None):
        yield f"{seen.client} asks the KDC for {seen.spn}."
    if seen.sent is not None:
        facts = seen.sent.token.facts
        version = "" if facts.kvno is None else f", key version {facts.kvno}"
        ends = "" if seen.sent.ends is None else f", valid until {seen.sent.ends}"
        kind = "" if facts.etype is None else f", {etype_name(facts.etype)}"
        yield f"The KDC of {facts.realm} gives a ticket{kind}{version}{ends}."
