"""How far a long run is, on a terminal while it lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from agent.names import printable

T = TypeVar("T")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / task.elapsed:.1f}/s" if task.elapsed and task.completed else "")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Who looks on went away: the sweep goes on unseen. Rich itself would end the program."""
        self.quiet = True


def reading(stream: TextIO, servers: Iterable[T], total: int) -> Iterator[T]:
    """The servers as they are read, with a bar on a terminal and nothing elsewhere."""
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn())
    console = _Console(file=stream, highlight=False, markup=False)
    with Progress(*columns, console=console, transient=True, disable=not stream.isatty()) as progress:
        task = progress.add_task("", total=total)
        for server in servers:
            yield server
            with contextlib.suppress(OSError):
                progress.advance(task)


class SweepProgress:
    """A bar with counts and rate on a terminal, nothing elsewhere; with `verbose` also a line for each server."""

    def __init__(self, stream: TextIO, total: int, *, verbose: bool) -> None:
        self._console = _Console(file=stream, highlight=False, markup=False)
        self._verbose = verbose
        self._stream = stream
        columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
        self._progress = Progress(
            *columns, _Rate(), TimeElapsedColumn(), console=self._console, transient=True, disable=not stream.isatty()
        )
        self._task = self._progress.add_task("", total=total, failed=0)
        self._failed = 0

    def __enter__(self) -> SweepProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def told(self, server: str, text: str, seconds: float, *, failed: bool) -> None:
        """One more server is through: `text` is "ok", or what is missing, or why it failed."""
        self._failed += failed
        with contextlib.suppress(OSError):
            self._show(server, text, seconds)

    def _show(self, server: str, text: str, seconds: float) -> None:
        self._progress.update(self._task, advance=1, failed=self._failed)
        if self._verbose:
            line = printable(f"{server}: {text} ({seconds:.1f} s)")
            self._progress.console.print(Text(line), soft_wrap=True)
