"""What one request with one ticket showed, step by step: facts of a probe that nobody has judged yet."""

from __future__ import annotations

from msgspec import Struct

from agent.evidence.tokens import Challenge, Token
from agent.names import Spn


class Reply(Struct, frozen=True, kw_only=True):
    """An answer of a web server: its HTTP status, what `WWW-Authenticate` offers, and where it redirects to ("")."""

    status: int
    offers: tuple[Challenge, ...] = ()
    location: str = ""

    @property
    def schemes(self) -> frozenset[str]:
        """Of Negotiate, Kerberos and NTLM those that are offered."""
        return frozenset(offer.scheme for offer in self.offers)


class NoTicket(Struct, frozen=True, kw_only=True):
    """Why the KDC gave no ticket: its error number (RFC 4120 7.5.9) where it answered one, and words.

    `is_said_of_spn`: it is an answer about the SPN. Else nobody could look: no logon, no KDC.
    """

    code: int | None
    reason: str
    is_said_of_spn: bool


class Sent(Struct, frozen=True, kw_only=True):
    """The ticket that was sent, as it stands in clear in its AP-REQ; `ends` is ISO 8601 in UTC, None: not known."""

    token: Token
    ends: str | None


class Seen(Struct, frozen=True, kw_only=True):
    """All that a probe of one URL saw, as a client of one kind.

    `steps` tell how it got to the server; `failure` why it did not get on, empty where it did. `first` is the answer to
    a request without a logon; then come either `refusal` or `sent`, and `reply` to what was sent: the ticket, or after
    a refusal the first message of NTLM, which holds no name. `proof` is whether the server has shown that it has the
    ticket's key; None: it sent nothing that could show it.
    """

    url: str
    client: str
    spn: Spn | None
    steps: tuple[str, ...] = ()
    failure: str = ""
    first: Reply | None = None
    refusal: NoTicket | None = None
    sent: Sent | None = None
    reply: Reply | None = None
    proof: bool | None = None
