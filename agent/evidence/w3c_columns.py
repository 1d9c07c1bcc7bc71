"""The columns of an IIS log in the W3C extended format, as its `#Fields:` line names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

HOST, STATUS, SUBSTATUS, WIN32 = b"cs-host", b"sc-status", b"sc-substatus", b"sc-win32-status"
REASON = b"s-reason"
"""Why http.sys refused a request, in its own log (HTTPERR), which has no substatus."""
_ENDS = [STATUS, SUBSTATUS, WIN32]

DEFAULT_FIELDS: Mapping[int, tuple[bytes, ...]] = {
    14 + len(more): (
        *(b"date", b"time", b"s-ip", b"cs-method", b"cs-uri-stem", b"cs-uri-query", b"s-port", b"cs-username"),
        *(b"c-ip", b"cs(User-Agent)", *more, *_ENDS, b"time-taken"),
    )
    for more in ((), (b"cs(Referer)",))
}
"""What IIS 7 and IIS 8.5 log unless they are told otherwise, by the number of columns: `cs-host` is not among it."""

_DATE, _TIME = re.compile(rb"\d{4}-\d\d-\d\d\Z"), re.compile(rb"\d\d:\d\d:\d\d\Z")


class Values(NamedTuple):
    """What of a line is counted; empty where the log does not have the column. `substatus` may be a reason."""

    host: bytes
    status: bytes
    substatus: bytes
    win32: bytes


class Columns(Struct, frozen=True, dict=True):
    """The names of the columns; none before the first `#Fields:` line."""

    names: Sequence[bytes] = ()

    @property
    def has_host(self) -> bool:
        return HOST in self.names

    @cached_property
    def splits(self) -> int:
        """How often a line is split from its end to have the wanted columns apart; 0 where they do not stand side by
        side with another one after them, which is the order that IIS has.
        """
        wanted = [HOST, *_ENDS] if self.has_host else _ENDS
        at = self.names.index(wanted[0]) if wanted[0] in self.names else 0
        is_side_by_side = list(self.names[at : at + len(wanted)]) == wanted
        return len(self.names) - at if 0 < at < len(self.names) - len(wanted) and is_side_by_side else 0

    def values(self, line: bytes) -> Values | None:
        """What of a line is counted; None for one that has not these columns."""
        cells = line.split()
        if not self.names or len(cells) != len(self.names):
            return None
        held = dict(zip(self.names, cells, strict=True))
        held.setdefault(SUBSTATUS, held.get(REASON, b""))
        found = Values(*(held.get(name, b"") for name in (HOST, *_ENDS)))
        return found if found.status.isdigit() and len(found.status) == 3 else None

    def moment(self, line: bytes, day: bytes) -> str | None:
        """When a request ended, in UTC; `day` is what stands above, for a log without dates."""
        held = dict(zip(self.names, line.split(), strict=False))
        date, time = held.get(b"date", day), held.get(b"time", b"")
        return f"{date.decode()}T{time.decode()}Z" if _DATE.match(date) and _TIME.match(time) else None
