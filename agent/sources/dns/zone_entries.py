"""A zone file as its records, each with its line: several lines may be one, where parentheses join them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from agent.sources.dns.zone_origin import NOISE

LONGEST_RECORD = 256 * 1024
"""Characters."""
_LONGEST_SPAN = 256


class Entries:
    """Line number and text of every record: a line, or several that parentheses join (RFC 1035 section 5.1).

    They are made anew each time they are gone through, so that a file costs its text. A parenthesis that is not closed
    within 256 lines does not swallow the rest: its line comes alone, for the tokenizer to refuse.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[tuple[int, str]]:
        joined = _Joined()
        for line in _lines(self._text):
            if joined.is_empty and "(" not in line and ")" not in line:
                yield joined.passed(), line
                continue
            joined.add(line)
            yield from joined.ready()
        yield from joined.ready(is_end=True)

    @property
    def cut(self) -> int | None:
        """The number of the last record, where its line has no end."""
        if not self._text or self._text.endswith("\n"):
            return None
        ((number, _),) = deque(self, maxlen=1)
        return number


def _lines(text: str) -> Iterator[str]:
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


class _Joined:
    """Lines on their way into records: at most 256 wait for the parenthesis that the first of them opens."""

    def __init__(self) -> None:
        self._held: deque[str] = deque()
        self._first = 1
        self._level = 0
        self._open: deque[tuple[int, int]] = deque()
        """The number of each line that opens a parenthesis, and how many were open before it."""
        self._ends: dict[int, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no line waits."""
        return not self._held

    def passed(self) -> int:
        """The number of a line that is a record by itself."""
        self._first += 1
        return self._first - 1

    def add(self, line: str) -> None:
        number, before = self._first + len(self._held), self._level
        self._held.append(line)
        self._level += _depth(line)
        while self._open and self._level <= self._open[-1][1]:
            self._ends[self._open.pop()[0]] = number
        if self._level > before:
            self._open.append((number, before))

    def ready(self, *, is_end: bool = False) -> Iterator[tuple[int, str]]:
        while self._held:
            is_open = bool(self._open) and self._open[0][0] == self._first
            if is_open and len(self._held) < _LONGEST_SPAN and not is_end:
                return
            if is_open:
                self._open.popleft()
            yield self._take(self._ends.get(self._first, self._first))

    def _take(self, end: int) -> tuple[int, str]:
        first, count = self._first, end - self._first + 1
        for number in range(first, end + 1):
            self._ends.pop(number, None)
        self._first += count
        return first, "\n".join([self._held.popleft() for _ in range(count)])


def _depth(line: str) -> int:
    """How many more parentheses a line opens than it closes; those in strings and comments do not count."""
    if ("(" not in line and ")" not in line) or len(line) > LONGEST_RECORD:
        return 0
    bare = NOISE.sub("", line)
    return bare.count("(") - bare.count(")")
