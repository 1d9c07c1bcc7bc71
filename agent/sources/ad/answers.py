"""What one search brought, until its SearchResultDone (RFC 4511 4.5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sources.ad.results import REFERRAL, SUCCESS, LdapError, code_of, result_words
from agent.sources.ad.search_messages import RawEntry
from agent.sources.ad.wire import Server

if TYPE_CHECKING:
    import sansldap

_ELEMENT = 64
"""Bytes that an attribute or a value takes in memory beside its letters."""


class Answers:
    """The entries of one search, or of one page; `failure` where they are not all that there are.

    `asked` is the size of its request, `most` how many entries were asked for, `bytes` what they take in memory.
    """

    def __init__(self, server: Server, *, asked: int, most: int) -> None:
        self.asked = asked
        self.entries: list[RawEntry] = []
        self.bytes = 0
        self.cookie = b""
        self.failure: LdapError | None = None
        self.is_whole = False
        self._server = server
        self._most = most
        self._references = 0

    def add(self, entry: RawEntry, letters: int) -> int:
        """Take one entry, that came in so many bytes; the bytes that it takes."""
        _, attributes = entry
        size = letters + _ELEMENT * (1 + len(attributes) + sum(map(len, attributes.values())))
        self.entries.append(entry)
        self.bytes += size
        self._hold_to(len(self.entries))
        return size

    def refer(self) -> None:
        """Take a reference to another server."""
        self._references += 1
        self._hold_to(self._references)

    def _hold_to(self, count: int) -> None:
        if count > self._most:
            raise LdapError(f"{self._server} sends more than the {self._most} results that were asked for")

    def finish(self, message: sansldap.SearchResultDone) -> None:
        """Take the last message."""
        import sansldap

        for control in message.controls:
            if isinstance(control, sansldap.PagedResultControl):
                self.cookie = control.cookie
        code = code_of(message.result)
        if code != SUCCESS:
            words = result_words(message.result)
            self.failure = LdapError(f"{self._server} did not answer a search: {words}", code)
        elif self._references:
            words = "refers to other servers for a part of the answer; name a domain controller of that domain"
            self.failure = LdapError(f"{self._server} {words}", REFERRAL)
        self.is_whole = True
