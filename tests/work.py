"""What a piece of work costs, counted: the same figure on every machine, however busy it is.

`calls` counts what Python calls. What the engine of `re` does within one call is not seen there: `Counted` stands in
the place of a pattern and counts the characters it looks at and the ways it tries.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType, ModuleType
from typing import Any, AnyStr, Generic

import pytest

from agent.errors import MalformedError


def calls(work: Callable[[], object]) -> int:
    """How often Python calls something, functions written in C as well, until the work is done or refused."""
    count = 0

    def called(*_event: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        with contextlib.suppress(MalformedError):
            work()
    finally:
        sys.setprofile(before)
    return count


def calls_by_function(work: Callable[[], object]) -> Counter[str]:
    """How often each function of the program is called, by file and name, comprehensions left out."""
    count: Counter[str] = Counter()

    def called(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        _, program, place = code.co_filename.rpartition("/agent/")
        if event == "call" and program and not code.co_name.startswith("<"):
            count[f"{place} {code.co_name}"] += 1

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def instructions(work: Callable[[], object]) -> Counter[str]:
    """How many bytecode instructions each function of the program runs: a loop within one call counts too."""
    count: Counter[str] = Counter()

    def traced(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        place = frame.f_code.co_filename.rpartition("/agent/")[2]
        if event == "call":
            if place == frame.f_code.co_filename:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count[f"{place}:{frame.f_code.co_firstlineno} {frame.f_code.co_name}"] += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def peak(work: Callable[[], object]) -> int:
    """Most bytes that Python has in use for the work at one time."""
    tracemalloc.start()
    try:
        with contextlib.suppress(MalformedError):
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Tally:
    """Characters looked at, and ways tried."""

    def __init__(self) -> None:
        self.steps = 0

    def growth(self, work: Callable[[int], object], size: int) -> float:
        """How many times the steps of `size` it takes for twice the size: 2 is in proportion, 4 is squared."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(1_000_000)  # `Counted` goes as deep as a match is long
        try:
            return self._steps(work, 2 * size) / self._steps(work, size)
        finally:
            sys.setrecursionlimit(before)

    def _steps(self, work: Callable[[int], object], size: int) -> int:
        self.steps = 0
        work(size)
        return self.steps


def counted(module: ModuleType, patch: pytest.MonkeyPatch) -> Tally:
    """All patterns of a module, counted until the end of the test."""
    tally = Tally()
    for name, value in list(vars(module).items()):
        if isinstance(value, re.Pattern):
            patch.setattr(module, name, Counted(value, tally))
    return tally


class CountedBytes(bytes):
    """Bytes that count how many of them are looked at in search of others."""

    tally: Tally

    @classmethod
    def of(cls, data: bytes, tally: Tally) -> CountedBytes:
        made = cls(data)
        made.tally = tally
        return made

    def lower(self) -> CountedBytes:
        return self.of(super().lower(), self.tally)

    def find(self, sub: Any, start: Any = 0, end: Any = sys.maxsize) -> int:
        found = super().find(sub, start, end)
        self._looked_at(start, end if found < 0 else found + len(sub))
        return found

    def rfind(self, sub: Any, start: Any = 0, end: Any = sys.maxsize) -> int:
        found = super().rfind(sub, start, end)
        self._looked_at(max(start, found), end)
        return found

    def _looked_at(self, start: int, end: int) -> None:
        self.tally.steps += 1 + max(0, min(end, len(self)) - start)


Then = Callable[[int], int]
"""What matches behind a position: where it ends, -1 where it does not."""
Way = Callable[[int, Then], int]
"""A part of a pattern, from a position on and with what must match behind it."""

_SINGLE = {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}
_ASSERTIONS = {op.ASSERT, op.ASSERT_NOT}
_REPEATS = {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}


class Counted(Generic[AnyStr]):
    """A pattern that goes the ways of `re`, backtracking, and counts its steps; the answers are those of `re`.

    Each search is checked against the answer, so that the ways counted are the ways gone.
    """

    def __init__(self, pattern: re.Pattern[AnyStr], tally: Tally) -> None:
        self._real = pattern
        self._tally = tally
        parsed = parser.parse(pattern.pattern, pattern.flags)
        self._state = parsed.state
        self._way = self._sequence(list(parsed))
        self._text: Any = b""
        self._end = 0

    def search(self, text: AnyStr, start: int = 0, end: int = sys.maxsize) -> re.Match[AnyStr] | None:
        return self._checked(self._real.search(text, start, end), text, start, end)

    def match(self, text: AnyStr, start: int = 0, end: int = sys.maxsize) -> re.Match[AnyStr] | None:
        return self._from(start, self._real.match(text, start, end), text, end, _here)

    def fullmatch(self, text: AnyStr, start: int = 0, end: int = sys.maxsize) -> re.Match[AnyStr] | None:
        found = self._real.fullmatch(text, start, end)
        return self._from(start, found, text, end, lambda at: at if at == self._end else -1)

    def finditer(self, text: AnyStr, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[AnyStr]]:
        for found in self._real.finditer(text, start, end):
            yield self._checked(found, text, start, end)
            start = found.end() + (found.end() == found.start())
        self._checked(None, text, start, end)

    def sub(self, replacement: Any, text: AnyStr) -> AnyStr:
        for _found in self.finditer(text):
            pass
        return self._real.sub(replacement, text)

    def _checked(self, found: Any, text: AnyStr, start: int, end: int) -> Any:
        last = min(end, len(text)) if found is None else found.start()
        for position in range(start, last):
            self._from(position, None, text, end, _here)
        return self._from(last, found, text, end, _here)

    def _from(self, start: int, found: Any, text: AnyStr, end: int, then: Then) -> Any:
        self._text, self._end = text, min(end, len(text))
        assert self._way(start, then) == (-1 if found is None else found.end())
        return found

    # .. the parts of a pattern ..

    def _sequence(self, parts: list[Any]) -> Way:
        ways = [self._part(kind, what) for kind, what in parts]

        def way(position: int, then: Then, number: int = 0) -> int:
            if number == len(ways):
                return then(position)
            return ways[number](position, lambda at: way(at, then, number + 1))

        return ways[0] if len(ways) == 1 else way

    def _part(self, kind: Any, what: Any) -> Way:
        if kind in _SINGLE:
            return self._fixed(self._plain(kind, what), 1)
        if kind is op.AT or (kind in _ASSERTIONS and what[0] < 0):
            return self._fixed(self._plain(kind, what), 0)
        if kind in _ASSERTIONS:
            return self._ahead(self._sequence(list(what[1])), wanted=kind is op.ASSERT)
        if kind in _REPEATS:
            return self._repeat(kind, *what)
        if kind is op.BRANCH:
            return self._branch([self._sequence(list(one)) for one in what[1]])
        if kind is op.SUBPATTERN and what[1:3] == (0, 0):
            return self._sequence(list(what[3]))
        raise NotImplementedError(f"{kind} in {self._real.pattern!r}")

    def _plain(self, kind: Any, what: Any) -> re.Pattern[AnyStr]:
        """A part as a pattern of its own, for what looks at characters of a fixed number."""
        return re._compiler.compile(parser.SubPattern(self._state, [(kind, what)]), self._real.flags)  # type: ignore[attr-defined,no-any-return]

    def _fixed(self, pattern: re.Pattern[AnyStr], width: int) -> Way:
        def way(position: int, then: Then) -> int:
            self._tally.steps += 1
            return then(position + width) if pattern.match(self._text, position, self._end) else -1

        return way

    def _ahead(self, inner: Way, *, wanted: bool) -> Way:
        return lambda position, then: then(position) if (inner(position, _here) >= 0) == wanted else -1

    def _branch(self, branches: list[Way]) -> Way:
        def way(position: int, then: Then) -> int:
            return next((end for branch in branches if (end := branch(position, then)) >= 0), -1)

        return way

    def _repeat(self, kind: Any, least: int, most: int, parts: Any) -> Way:
        inner = self._sequence(list(parts))
        ways = {op.MAX_REPEAT: self._greedy, op.MIN_REPEAT: self._lazy, op.POSSESSIVE_REPEAT: self._possessive}
        return ways[kind](inner, least, most)

    def _greedy(self, inner: Way, least: int, most: int) -> Way:
        def way(position: int, then: Then, done: int = 0) -> int:
            def onward(at: int) -> int:
                return -1 if at == position and done >= least else way(at, then, done + 1)

            end = inner(position, onward) if done < most else -1
            return end if end >= 0 or done < least else then(position)

        return way

    def _lazy(self, inner: Way, least: int, most: int) -> Way:
        def way(position: int, then: Then, done: int = 0) -> int:
            end = then(position) if done >= least else -1
            if end >= 0 or done >= most:
                return end
            return inner(position, lambda at: way(at, then, done + 1))

        return way

    def _possessive(self, inner: Way, least: int, most: int) -> Way:
        def way(position: int, then: Then) -> int:
            done = 0
            while done < most and (end := inner(position, _here)) >= 0:
                done += 1
                if end == position:
                    break
                position = end
            return then(position) if done >= least else -1

        return way


def _here(position: int) -> int:
    return position
