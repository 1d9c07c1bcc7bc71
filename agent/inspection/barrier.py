"""A fault of this program while servers are judged together costs the servers it comes from, never the others.

They are found by halving: of a thousand servers one is found by judging some twenty times. The sources are asked anew
each time, so that what they say of one server cannot cost another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from msgspec.structs import replace

from agent.errors import IisSpnError
from agent.iis.snapshot import Machine
from agent.inspection.servers import Read, left_out
from agent.inspection.sources import Sources

P = ParamSpec("P")
T = TypeVar("T")
Judge = Callable[[Sequence[Read], Sources], T]


def judged_apart(reads: Sequence[Read], sources: Sources, judge: Judge[T]) -> T:
    """What `judge` gives for all servers, but those with which it fails. Raises what is no one server's fault."""
    try:
        ask = sources.directory if sources.directory is None else _own(sources.directory)
        return _judged(reads, replace(sources, directory=ask, names=_own(sources.names)), judge)
    except _SourceFault as fault:
        raise fault.error from None


def _judged(reads: Sequence[Read], sources: Sources, judge: Judge[T]) -> T:
    try:
        return judge(reads, sources)
    except (IisSpnError, _SourceFault):
        raise
    except Exception:
        sound = _sound(reads, sources, judge)
        if sound == list(reads):
            raise
        return judge(sound, sources)


def _sound(reads: Sequence[Read], sources: Sources, judge: Judge[T]) -> list[Read]:
    """The servers, those emptied with which alone it fails."""
    try:
        judge(reads, sources)
    except (IisSpnError, _SourceFault):
        raise
    except Exception as error:  # noqa: BLE001  # the barrier between servers
        if len(reads) > 1:
            middle = len(reads) // 2
            return [*_sound(reads[:middle], sources, judge), *_sound(reads[middle:], sources, judge)]
        emptied = [read._replace(configuration=None, machine=Machine()) for read in reads]
        return list(reads) if emptied == list(reads) else [left_out(read, error) for read in emptied]
    return list(reads)


class _SourceFault(Exception):  # noqa: N818
    """A source itself failed: that is no server's fault."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _own(ask: Callable[P, T]) -> Callable[P, T]:
    def asked(*given: P.args, **named: P.kwargs) -> T:
        try:
            return ask(*given, **named)
        except IisSpnError:
            raise
        except Exception as error:
            raise _SourceFault(error) from error

    return asked
