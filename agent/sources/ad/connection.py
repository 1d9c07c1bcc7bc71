"""One LDAP connection: requests and their answers, paged search (RFC 2696) and range retrieval (MS-ADTS 3.1.1.3.1.3.3).

No host that a server names is ever contacted. Only reading is here; `exchange` sends any request whose answer is a
single message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.names import fold, printable
from agent.sources.ad.results import REFERRAL, SUCCESS, LdapError, code_of, result_of, result_words
from agent.sources.ad.wire import Deadline, Seal, Server, connect

if TYPE_CHECKING:
    import sansldap

MAX_PAGE = 256 * 1024 * 1024
"""Bytes of one page of results; more is not kept in memory at once."""
PAGE_SIZE = 500
MAX_PAGES = 2000
MAX_RANGES = 1000

BASE, ONE_LEVEL, SUBTREE = 0, 1, 2
START_TLS = "1.3.6.1.4.1.1466.20037"
DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"
"""LDAP_SERVER_DOMAIN_SCOPE: the server is asked not to refer us to other partitions (MS-ADTS 3.1.1.3.4.1.4)."""

RawEntry = tuple[str, Mapping[str, Sequence[bytes]]]


class LdapConnection:
    """An open connection; `round_trips` counts requests that were answered, binds and StartTLS included."""

    def __init__(self, server: Server, deadline: Deadline) -> None:
        """Connect, and turn to TLS where that is asked for. Raises LdapError."""
        import sansldap

        self.server = server
        self.deadline = deadline
        self.round_trips = 0
        self.certificate: bytes | None = None
        self._client = sansldap.LDAPClient()
        self._wire = connect(server, deadline)
        try:
            self._protect()
        except BaseException:
            self._wire.close()
            raise

    def __enter__(self) -> LdapConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the server understands that as unbind."""
        self._wire.close()

    @property
    def is_tls(self) -> bool:
        return self.certificate is not None

    def use_seal(self, seal: Seal) -> None:
        self._wire.use_seal(seal)

    def _protect(self) -> None:
        if self.server.protection == "starttls":
            answer = self.exchange(lambda client: client.extended_request(START_TLS))
            result = result_of(answer)
            if code_of(result) != SUCCESS:
                raise LdapError(f"{self.server} refuses StartTLS: {result_words(result)}", code_of(result))
        if self.server.protection != "seal":
            self.certificate = self._wire.use_tls()

    # .. requests ..

    def exchange(self, request: Callable[[sansldap.LDAPClient], int]) -> sansldap.LDAPMessage:
        """Send what `request` puts together and give the one message that answers it."""
        self._send(request)
        answer = self._next()
        self.round_trips += 1
        return answer

    def search(
        self, base: str, scope: int, filter_: sansldap.LDAPFilter | None, attributes: Sequence[str]
    ) -> Iterator[RawEntry]:
        """All entries, page by page, each attribute with all its values; LdapError after the last one that came."""
        cookie = b""
        for _ in range(MAX_PAGES):
            page = self._page(base, scope, filter_, attributes, cookie)
            for dn, values in page.entries:
                yield dn, self._with_whole_ranges(dn, values)
            if page.failure:
                raise page.failure
            cookie = page.cookie
            if not cookie:
                return
        raise LdapError(f"{self.server} goes on after {MAX_PAGES} pages of results")

    def _page(
        self, base: str, scope: int, filter_: sansldap.LDAPFilter | None, attributes: Sequence[str], cookie: bytes
    ) -> _Page:
        import sansldap

        paged = sansldap.PagedResultControl(critical=True, size=PAGE_SIZE, cookie=cookie)
        controls = [paged, sansldap.LDAPControl(DOMAIN_SCOPE, False, None)] if scope != BASE else []
        self._send(
            lambda client: client.search_request(
                base,
                scope,
                time_limit=int(self.deadline.left()) + 1,
                filter=filter_,
                attributes=list(attributes),
                controls=controls,
            )
        )
        page = _Page(self.server)
        while not page.add(self._next()):
            self.deadline.left()
        self.round_trips += 1
        return page

    def _send(self, request: Callable[[sansldap.LDAPClient], int]) -> None:
        request(self._client)
        self._wire.send(self._client.data_to_send())

    def _next(self) -> sansldap.LDAPMessage:
        data = self._wire.message()
        try:
            messages = self._client.receive(data)
        except Exception as error:  # noqa: BLE001 - sansldap lets IndexError, RecursionError and others through
            words = f"{self.server} sent what is no answer to the question: {printable(str(error))[:200]}"
            raise LdapError(words) from None
        if len(messages) != 1:  # a whole message whose inside ends too early
            raise LdapError(f"{self.server} sent a broken message")
        return messages[0]

    # .. ranges (MS-ADTS 3.1.1.3.1.3.3) ..

    def _with_whole_ranges(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> Mapping[str, Sequence[bytes]]:
        if not any(";" in name for name in attributes):
            return attributes
        whole: dict[str, Sequence[bytes]] = {}
        for name, values in attributes.items():
            match = _RANGE.match(name)
            if match:
                whole[match["name"]] = self._whole_range(dn, match, values)
            else:
                whole.setdefault(name, values)
        return whole

    def _whole_range(self, dn: str, match: re.Match[str], values: Sequence[bytes]) -> Sequence[bytes]:
        collected = list(values)
        name, first, last = match["name"], int(match["first"]), match["last"]
        if first != 0:
            raise LdapError(f"{self.server} gives {name} of {printable(dn)} without its beginning")
        for _ in range(MAX_RANGES):
            if last == "*":
                return collected
            first = int(last) + 1
            match, values = self._range_from(dn, name, first)
            last = match["last"]
            if int(match["first"]) != first or (last != "*" and int(last) < first):
                break
            collected += values
        raise LdapError(f"{self.server} does not come to an end with {name} of {printable(dn)}")

    def _range_from(self, dn: str, name: str, first: int) -> tuple[re.Match[str], Sequence[bytes]]:
        page = self._page(dn, BASE, None, [f"{name};range={first}-*"], b"")
        if page.failure:
            raise page.failure
        for _, attributes in page.entries:
            for option, values in attributes.items():
                match = _RANGE.match(option)
                if match and match["name"].lower() == name.lower():
                    return match, values
        raise LdapError(f"{self.server} does not give the rest of {name} of {printable(dn)}")


_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d{1,9})-(?P<last>\d{1,9}|\*)\Z", re.IGNORECASE)


class _Page:
    """What one search request brought, until its SearchResultDone."""

    def __init__(self, server: Server) -> None:
        self.entries: list[tuple[str, dict[str, Sequence[bytes]]]] = []
        self.cookie = b""
        self.failure: LdapError | None = None
        self._server = server
        self._referrals = 0
        self._bytes = 0

    def add(self, message: sansldap.LDAPMessage) -> bool:
        """Take one message; True when it was the last one."""
        import sansldap

        if isinstance(message, sansldap.SearchResultEntry):
            self._add_entry(message)
        elif isinstance(message, sansldap.SearchResultReference):
            self._referrals += 1
        elif isinstance(message, sansldap.SearchResultDone):
            self._finish(message)
            return True
        else:
            raise LdapError(f"{self._server} answered a search with something else")
        if len(self.entries) > PAGE_SIZE or self._referrals > PAGE_SIZE:
            raise LdapError(f"{self._server} sends more than the {PAGE_SIZE} results per page that were asked for")
        return False

    def _add_entry(self, message: sansldap.SearchResultEntry) -> None:
        attributes: dict[str, Sequence[bytes]] = {}
        for attribute in message.attributes:
            attributes.setdefault(attribute.name, attribute.values)
            self._bytes += len(attribute.name) + sum(map(len, attribute.values))
        if self._bytes > MAX_PAGE:
            raise LdapError(f"{self._server} sends more than {MAX_PAGE} bytes in one page")
        self.entries.append((message.object_name, attributes))

    def _finish(self, message: sansldap.SearchResultDone) -> None:
        import sansldap

        for control in message.controls:
            if isinstance(control, sansldap.PagedResultControl):
                self.cookie = control.cookie
        code = code_of(message.result)
        if code != SUCCESS:
            words = result_words(message.result)
            self.failure = LdapError(f"{self._server} did not answer a search: {words}", code)
        elif self._referrals:
            words = "refers to other servers for a part of the answer; name a domain controller of that domain"
            self.failure = LdapError(f"{self._server} {words}", REFERRAL)


def first_texts(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """The first value of each attribute that has one, by folded name."""
    return {fold(name): found[0].decode("utf-8", "replace") for name, found in attributes.items() if found}
