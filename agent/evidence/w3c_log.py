"""IIS logs in the W3C extended format: how often each status came, for which names, from when until when.

A log has gigabytes, so nothing of a line is kept but the first and the last one of a kind, and a line costs one split
and the look-ups of what it ends with. Times are UTC, and a column holds no blank: IIS writes `+`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct, field

from agent.evidence.captured import Captured, Facts, Unread
from agent.evidence.w3c_columns import Columns, Values
from agent.names import HostName, host_fault, host_name, printable

MOST_ROWS = 50_000
"""Names and statuses that are told apart; whoever scans a server sends any name."""
MOST_FAULTS = 20
"""Lines that are told one by one."""


class Row(NamedTuple):
    """All requests for one name that ended alike; `host` is None where the log does not say it, or it is no name.

    `reason` is why http.sys refused them. `line` is the first of them.
    """

    host: HostName | None
    status: str
    reason: str | None
    win32: int | None
    requests: int
    line: int
    first: str | None
    last: str | None


class Log(Struct):
    """One log, fed with its lines as they stand in the file. `lacks_host`: a stretch of it has no `cs-host`."""

    source: str
    rows: list[Row] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    lacks_host: bool = False
    columns: Columns = field(default_factory=Columns)
    day: bytes = b""

    def take(self, lines: Iterable[bytes], first: int = 1) -> None:
        """Count lines; `first` is the number of the first one. May be called again for others."""
        rest = iter(lines)
        while True:
            stretch = _Stretch(self.columns, first, self.day)
            try:
                directive = stretch.count(rest)
            finally:  # what was counted before the file turned out to be damaged
                self._told(stretch)
            if directive is None:
                return
            first, self.day = stretch.next_line, stretch.day
            self.columns = Columns(tuple(directive.split()[1:]))

    def _told(self, stretch: _Stretch) -> None:
        self.rows += stretch.rows()
        self.lacks_host |= bool(stretch.rows()) and not stretch.columns.has_host
        self.unread += [Unread(self.source, line, stretch.why) for line in stretch.faults[:MOST_FAULTS]]
        more = len(stretch.faults) - MOST_FAULTS
        if more > 0:
            self.unread.append(Unread(self.source, None, f"{more} more lines have not the columns of the log"))
        if stretch.is_full:
            why = f"it has more than {MOST_ROWS} names and statuses; the names of the others are not told"
            self.unread.append(Unread(self.source, None, why))

    def captured(self) -> Iterator[Captured]:
        """One piece of evidence for each status."""
        ends = attrgetter("status", "win32", "reason")
        in_order = sorted(self.rows, key=lambda row: (row.status, row.win32 or 0, row.reason or ""))
        for (status, win32, reason), group in groupby(in_order, ends):
            rows = list(group)
            names = sorted({str(row.host).lower() for row in rows if row.host is not None})
            first, last = span(rows)
            facts = Facts(
                status=status,
                win32_status=win32,
                message=reason,
                count=sum(row.requests for row in rows),
                host_names=tuple(names) or (None if self.lacks_host else ()),
                time=first,
                first=first,
                last=last,
            )
            yield Captured(kind="iis-log", source=self.source, line=min(row.line for row in rows), facts=facts)


def span(rows: Sequence[Row]) -> tuple[str | None, str | None]:
    """The first and the last moment, ISO 8601 in UTC."""
    moments = [moment for row in rows for moment in (row.first, row.last) if moment is not None]
    return min(moments, default=None), max(moments, default=None)


# -- one stretch of lines with the same columns --------------------------------------------------------------------


class _Seen:
    __slots__ = ("count", "first", "last", "line")

    def __init__(self, line: int, first: bytes) -> None:
        self.count = 0
        self.line = line
        self.first = self.last = first


_Table = dict[bytes, dict[bytes, dict[bytes, dict[bytes, _Seen]]]]


class _Stretch:
    """Counts by name, status, substatus and Win32 status: a look-up in each costs less than one of all four."""

    def __init__(self, columns: Columns, first: int, day: bytes) -> None:
        self.columns = columns
        self.day = day
        self.faults: list[int] = []
        self.is_full = False
        self.next_line = first
        self._table: _Table = {}
        self._seen: list[tuple[Values, _Seen]] = []

    @property
    def why(self) -> str:
        if not self.columns.names:
            return "no #Fields line stands above it: what its columns are nobody says"
        return "it has not the columns that the #Fields line names: cut off or damaged"

    def count(self, lines: Iterator[bytes]) -> bytes | None:
        """Count until a `#Fields:` line, which is given back; None at the end."""
        if self.columns.has_host and self.columns.splits:
            return self._count_with_names(lines)
        if self.columns.splits:
            return self._count_without_names(lines)
        numbered = enumerate(lines, self.next_line)
        return next((line for number, line in numbered if self._changes(line, number)), None)

    def _count_with_names(self, lines: Iterator[bytes]) -> bytes | None:
        """The loop that gigabytes go through."""
        table, splits = self._table, self.columns.splits
        for number, line in enumerate(lines, self.next_line):
            cells = line.rsplit(b" ", splits)
            try:
                seen = table[cells[1]][cells[2]][cells[3]][cells[4]]
            except (KeyError, IndexError):
                if self._changes(line, number):
                    return line
            else:
                seen.count += 1
                seen.last = line
        return None

    def _count_without_names(self, lines: Iterator[bytes]) -> bytes | None:
        table, splits = self._table.setdefault(b"", {}), self.columns.splits
        for number, line in enumerate(lines, self.next_line):
            cells = line.rsplit(b" ", splits)
            try:
                seen = table[cells[1]][cells[2]][cells[3]]
            except (KeyError, IndexError):
                if self._changes(line, number):
                    return line
            else:
                seen.count += 1
                seen.last = line
        return None

    def _changes(self, line: bytes, number: int) -> bool:
        """Whether a line begins other columns; any other is counted as what it is."""
        if line.startswith(b"#"):
            self.next_line = number + 1
            if line.startswith(b"#Date:"):
                self.day = line[6:].split(maxsplit=1)[0] if line[6:].strip() else b""
            return line.startswith(b"#Fields:")
        values = self.columns.values(line)
        if values is None:
            if line.endswith(b"\n") and line.strip():  # the last line of a log that is being written has no end yet
                self.faults.append(number)
        else:
            self._count_one(line, values, number)
        return False

    def _count_one(self, line: bytes, values: Values, number: int) -> None:
        if len(self._seen) >= MOST_ROWS and values.host not in self._table:
            self.is_full, values = True, values._replace(host=b"")
        by_substatus = self._table.setdefault(values.host, {}).setdefault(values.status, {})
        by_win32 = by_substatus.setdefault(values.substatus, {})
        seen = by_win32.get(values.win32)
        if seen is None:
            seen = by_win32[values.win32] = _Seen(number, line)
            self._seen.append((values, seen))
        seen.count += 1
        seen.last = line

    def rows(self) -> list[Row]:
        """What was counted."""
        return [
            Row(
                host=logged_name(values.host),
                status=_status(values),
                reason=None if not values.substatus or values.substatus.isdigit() else _text(values.substatus),
                win32=int(values.win32) if values.win32.isdigit() else None,
                requests=seen.count,
                line=seen.line,
                first=self.columns.moment(seen.first, self.day),
                last=self.columns.moment(seen.last, self.day),
            )
            for values, seen in self._seen
        ]


def _status(values: Values) -> str:
    """`401.1`; `400` where a word stands in the place of the substatus."""
    return _text(values.status + b"." + values.substatus if values.substatus.isdigit() else values.status)


def _text(value: bytes) -> str:
    return printable(value.decode("utf-8", "replace"))


_PORT = re.compile(r":\d{1,5}\Z")


def logged_name(text: bytes) -> HostName | None:
    """The name in a value of `cs-host`, which is what the client sent: with a port, an address, or anything at all."""
    name = host_name(_PORT.sub("", text.decode("utf-8", "replace")))
    return None if name.is_address or name.is_wildcard or host_fault(name) is not None else name
