"""One LDAP connection: requests and their answers, several searches under way at once (RFC 4511 3.1), results in pages
where the server wants them (RFC 2696), and range retrieval (MS-ADTS 3.1.1.3.1.3.3).

No host that a server names is ever contacted. Only reading is here; `exchange` sends any request whose answer is a
single message.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.names import fold, printable
from agent.sources.ad.answers import Answers
from agent.sources.ad.results import SUCCESS, LdapError, code_of, result_of, result_words
from agent.sources.ad.search_messages import (
    ENTRY,
    REFERENCE,
    Control,
    Equal,
    RawEntry,
    Search,
    answer_in,
    entry_in,
    paged,
    search_request,
)
from agent.sources.ad.wire import Deadline, Seal, Server, connect
from agent.sources.borrowed import send_ldap_bytes

if TYPE_CHECKING:
    import sansldap

MAX_WAITING = 256 * 1024 * 1024
"""Bytes that answers take which have come and which nobody has looked at yet."""
MOST_UNPAGED = 20_000
"""Entries of an answer without pages: 20 times what AD gives if nobody changed it (MaxPageSize, KB315071)."""
PAGE_SIZE = 500
MAX_PAGES = 2000
MAX_RANGES = 1000
UNDER_WAY = 8
"""Searches that are sent before the first of them is answered."""
BYTES_UNDER_WAY = 64 * 1024
"""A search waits while those before it take more: what was sent has room between two machines while neither reads."""

BASE, ONE_LEVEL, SUBTREE = 0, 1, 2
START_TLS = "1.3.6.1.4.1.1466.20037"
DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"
"""LDAP_SERVER_DOMAIN_SCOPE: the server is asked not to refer us to other partitions (MS-ADTS 3.1.1.3.4.1.4)."""
PAGED_RESULTS = "1.2.840.113556.1.4.319"

_TIME_LIMIT, _SIZE_LIMIT, _ADMIN_LIMIT, _BUSY = 3, 4, 11, 51
_AGAIN = frozenset({_TIME_LIMIT, _SIZE_LIMIT, _ADMIN_LIMIT, _BUSY})
"""What AD says to a search of more than 1,000 entries or two minutes that wants no pages, and to one too many at the
same time (KB315071): it is asked again, in pages."""


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
        self._unanswered: dict[int, Answers] = {}
        self._waiting = 0
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
        request(self._client)
        self._wire.send(self._client.data_to_send())
        answer = self._decoded(self._wire.message())
        self.round_trips += 1
        return answer

    def search(
        self,
        base: str,
        scope: int,
        wanted: Sequence[Equal] | None,
        attributes: Sequence[str],
        in_pages: bool = False,
    ) -> Iterator[RawEntry]:
        """All entries, each attribute with all its values; LdapError after the last one that came."""
        for _, entries in self.searches([Search(base, scope, wanted, attributes, in_pages)]):
            yield from entries

    def searches(self, wanted: Iterable[Search]) -> Iterator[tuple[Search, Iterator[RawEntry]]]:
        """For each in turn what `search` gives, while those behind it are under way; who leaves early hangs up."""
        sent: deque[tuple[Search, Answers]] = deque()
        try:
            for search in wanted:
                while not _has_room(sent):
                    first, answers = sent.popleft()
                    yield first, self._entries(first, answers)
                sent.append((search, self._ask(search)))
            for first, answers in sent:
                yield first, self._entries(first, answers)
        except GeneratorExit:
            if self._unanswered:
                self.close()
            raise

    def _entries(self, search: Search, answers: Answers) -> Iterator[RawEntry]:
        """What has come and is to come; in pages all over again where it was cut off, since entries have no order."""
        self._await(answers)
        if answers.failure and answers.failure.code in _AGAIN and search.scope != BASE and not search.in_pages:
            answers = self._ask(search._replace(in_pages=True))
            self._await(answers)
        for _ in range(MAX_PAGES):
            for dn, attributes in answers.entries:
                yield dn, self._with_whole_ranges(dn, attributes)
            if answers.failure:
                raise answers.failure
            if not answers.cookie:
                return
            answers = self._ask(search, answers.cookie)
            self._await(answers)
        raise LdapError(f"{self.server} goes on after {MAX_PAGES} pages of results")

    def _ask(self, search: Search, cookie: bytes = b"") -> Answers:
        """Send a search, or with a cookie the question for the next page of its answer."""
        is_paged, seconds = search.in_pages or bool(cookie), int(self.deadline.left()) + 1
        most = PAGE_SIZE if is_paged else MOST_UNPAGED
        controls = [Control(DOMAIN_SCOPE)] if search.scope != BASE else []
        controls += [Control(PAGED_RESULTS, critical=True, value=paged(PAGE_SIZE, cookie))] if is_paged else []
        number = send_ldap_bytes(
            self._client,
            lambda number: search_request(
                number, search, most=0 if is_paged else most, seconds=seconds, controls=controls
            ),
        )
        data = self._client.data_to_send()
        self._unanswered[number] = answers = Answers(self.server, asked=len(data), most=most)
        self._wire.send(data)
        return answers

    def _await(self, answers: Answers) -> None:
        """Take what comes, to whichever search, until this one has all."""
        while not answers.is_whole:
            self.deadline.left()
            self._take(self._wire.message())
        self._waiting -= answers.bytes

    def _take(self, message: bytes) -> None:
        """Give a message to the search that it answers."""
        try:
            answer = answer_in(message)
            answers = self._unanswered.get(answer.number)
            if answers is None or answer.tag not in (ENTRY, REFERENCE):
                self._finish(answers, self._decoded(message))
            elif answer.tag == ENTRY:
                self._waiting += answers.add(entry_in(message, answer), len(message))
            else:
                answers.refer()
        except ValueError:
            raise LdapError(f"{self.server} sent a broken message") from None
        if self._waiting > MAX_WAITING:
            raise LdapError(f"{self.server} sends answers of more than {MAX_WAITING} bytes at once")

    def _finish(self, answers: Answers | None, message: sansldap.LDAPMessage) -> None:
        import sansldap

        if answers is None or not isinstance(message, sansldap.SearchResultDone):
            raise LdapError(f"{self.server} answered a search with something else")
        answers.finish(message)
        del self._unanswered[message.message_id]
        self.round_trips += 1

    def _decoded(self, data: bytes) -> sansldap.LDAPMessage:
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
            if sum(map(len, collected)) > MAX_WAITING:
                break
        raise LdapError(f"{self.server} does not come to an end with {name} of {printable(dn)}")

    def _range_from(self, dn: str, name: str, first: int) -> tuple[re.Match[str], Sequence[bytes]]:
        answers = self._ask(Search(dn, BASE, None, [f"{name};range={first}-*"]))
        self._await(answers)
        if answers.failure:
            raise answers.failure
        for _, attributes in answers.entries:
            for option, values in attributes.items():
                match = _RANGE.match(option)
                if match and match["name"].lower() == name.lower():
                    return match, values
        raise LdapError(f"{self.server} does not give the rest of {name} of {printable(dn)}")


def _has_room(sent: Collection[tuple[Search, Answers]]) -> bool:
    under_way = [answers.asked for _, answers in sent if not answers.is_whole]
    return len(sent) < UNDER_WAY and sum(under_way) < BYTES_UNDER_WAY


_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d{1,9})-(?P<last>\d{1,9}|\*)\Z", re.IGNORECASE)


def first_texts(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """The first value of each attribute that has one, by folded name."""
    return {fold(name): found[0].decode("utf-8", "replace") for name, found in attributes.items() if found}
