"""One URL looked at: a request without a logon, then, where one is asked for, a request with a ticket.

The first message of NTLM is sent where the KDC has no ticket, to see whether NTLM is the next step; its challenge is
never answered.
"""

from __future__ import annotations

import base64
import ssl
from urllib.parse import urljoin

from msgspec.structs import replace

from agent.errors import UsageError
from agent.evidence.observed import NoTicket, Reply, Seen, Sent
from agent.evidence.tokens import read_bytes
from agent.names import printable
from agent.sources.web.exchange import Connection, UnansweredError, addresses_of
from agent.sources.web.tickets import Tickets
from agent.story.probing import Look
from agent.story.url import Url, read_url

MOST_REDIRECTS = 5
_REFUSES_HEAD = frozenset({400, 403, 404, 405, 501})
"""IIS answers 404.6 for a verb that its request filtering denies."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NTLM_NEGOTIATE = base64.b64encode(
    b"NTLMSSP\0"
    + (1).to_bytes(4, "little")
    + (0xA2088207).to_bytes(4, "little")
    + bytes(16)
    + b"\x0a\0\x61\x4a\0\0\0\x0f"
).decode()
"""NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1) as Windows 10 sends it, without a name."""


def looked_at(look: Look, tickets: Tickets, tls: ssl.SSLContext) -> Seen:
    """Send the requests; what fails is told in what comes back."""
    return _Looking(look, tickets, tls).seen()


class _Looking:
    def __init__(self, look: Look, tickets: Tickets, tls: ssl.SSLContext) -> None:
        self._look = look
        self._url = look.url
        self._tickets = tickets
        self._tls = tls
        self._method = "HEAD"
        self._steps = list(look.steps)

    def seen(self) -> Seen:
        seen = Seen(url=self._look.url.text, client=self._look.client, spn=self._look.spn)
        try:
            seen = replace(seen, first=self._first())
            seen = self._with_logon(seen)
        except UnansweredError as error:
            seen = replace(seen, failure=str(error))
        return replace(seen, steps=tuple(self._steps))

    def _first(self) -> Reply:
        """The answer to a request without a logon, at the end of all redirects on the same host."""
        reply = self._asked()
        if not reply.offers and reply.status in _REFUSES_HEAD:
            self._method = "GET"
            reply = self._asked()
        for _ in range(MOST_REDIRECTS):
            target = self._redirected(reply)
            if target is None:
                break
            self._steps.append(f"It answers {reply.status} and leads to {target}.")
            self._url = target
            reply = self._asked()
        return reply

    def _redirected(self, reply: Reply) -> Url | None:
        """Where to go on: to the same host only, and never out of TLS."""
        if reply.status not in _REDIRECTS or not reply.location:
            return None
        try:
            target = read_url(urljoin(str(self._url), reply.location))
        except (UsageError, ValueError):
            return None
        if target.host != self._url.host or (self._url.scheme, target.scheme) == ("https", "http"):
            self._steps.append(f"It answers {reply.status} and leads to {printable(str(target))}: not followed.")
            return None
        return target

    def _with_logon(self, seen: Seen) -> Seen:
        first = seen.first
        if first is None or first.status != 401 or not first.offers:
            return seen
        scheme = next((each for each in ("Negotiate", "Kerberos") if each in first.schemes), None)
        if scheme is None or seen.spn is None:
            return self._with_ntlm(seen, first)
        return self._with_ticket(seen, scheme, first)

    def _with_ticket(self, seen: Seen, scheme: str, first: Reply) -> Seen:
        """The ticket is bound to the certificate of the very connection that it is sent on."""
        assert seen.spn is not None  # noqa: S101 - the caller has looked
        connection = self._connected()
        ticket = self._tickets.ticket(seen.spn, connection.certificate)
        if isinstance(ticket, NoTicket):
            connection.close()
            refused = replace(seen, refusal=ticket)
            return self._with_ntlm(refused, first) if ticket.is_said_of_spn else refused
        seen = replace(seen, sent=Sent(token=read_bytes(ticket.token), ends=ticket.ends))
        reply = connection.ask(self._method, f"{scheme} {base64.b64encode(ticket.token).decode()}")
        answers = [token for offer in reply.offers if (token := _bytes(offer.text))]
        return replace(seen, reply=reply, proof=ticket.proves(answers[0]) if answers else None)

    def _with_ntlm(self, seen: Seen, first: Reply) -> Seen:
        """What a client does next that has no ticket; NTLM may travel in Negotiate."""
        scheme = next((each for each in ("Negotiate", "NTLM") if each in first.schemes), None)
        if scheme is None:
            return seen
        return replace(seen, reply=self._connected().ask(self._method, f"{scheme} {_NTLM_NEGOTIATE}"))

    def _asked(self) -> Reply:
        return self._connected().ask(self._method)

    def _connected(self) -> Connection:
        """A new connection; what `--dns` says of the host holds for all of them."""
        addresses = self._look.addresses
        return Connection(self._url, addresses_of(self._url) if addresses is None else addresses, self._tls)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
