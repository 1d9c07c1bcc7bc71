"""A pytest plugin: after collecting, tries mutants one after another, each in a fork of this process.

A function's mutant is put into the functions that are there already, which takes no import and no collecting. What runs
at import needs a process of its own: `Imported` lets it import the changed file.
"""

from __future__ import annotations

import ast
import functools
import gc
import importlib.machinery
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from _pytest.runner import runtestprotocol

from .mutants import Mutant, mutated

MEMORY = 3 << 30
PATIENCE = 10
"""Seconds that any test may take with a mutant, besides ten times what it takes without."""
KILLED, SURVIVED, UNFIT = 0, 7, 9
"""Exit codes of a fork: any other one is a crash, which kills too."""

Told = Callable[[Mutant, str, float], None]


class Trials:
    """Tries `mutants`, each with the tests that `covering` names for it, fastest first."""

    def __init__(
        self, root: Path, trials: Sequence[tuple[Mutant, Sequence[str]]], seconds: Mapping[str, float], tell: Told
    ):
        self.root, self.trials, self.seconds, self.tell = root, trials, seconds, tell
        self.functions: dict[tuple[str, str, int], list[FunctionType]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(str(self.root / "agent")):
                self.functions.setdefault(_key(each.__code__), []).append(each)
        gc.freeze()
        for mutant, tests in self.trials:
            began = time.perf_counter()
            found = self._tried(mutant, [items[name] for name in tests if name in items])
            self.tell(mutant, found, time.perf_counter() - began)
        return True

    def _tried(self, mutant: Mutant, items: Sequence[pytest.Item]) -> str:
        if not items:
            return "not covered"
        child = os.fork()
        if child == 0:
            _die(lambda: self._judged(mutant, items))
        status = _waited(child, PATIENCE + 10 * sum(self.seconds.get(item.nodeid, 0) for item in items))
        if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM):
            return "killed (time)"
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == SURVIVED:
            return "survived"
        return "unfit" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == UNFIT else "killed"

    def _judged(self, mutant: Mutant, items: Sequence[pytest.Item]) -> int:
        if not self._put(mutant):
            return UNFIT
        for cache in [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]:
            cache.cache_clear()
        return judged(items, self.seconds)

    def _put(self, mutant: Mutant) -> bool:
        """Give the functions that are there the changed code."""
        path = self.root / mutant.file
        code = compile(mutated(path, mutant), str(path), "exec")
        for each in _codes(code):
            if each.co_qualname == mutant.function:
                for function in self.functions.get(_key(each), []):
                    try:
                        function.__code__ = each
                    except ValueError:
                        return False
                return bool(self.functions.get(_key(each)))
        return False


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterable[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _die(work: Callable[[], int]) -> None:
    """Never return from a fork."""
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        code = work()
    finally:
        os._exit(code)


def _waited(child: int, limit: float) -> int | None:
    """The exit status; None where it took too long, and had to be killed with all that it started."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _end_all(child)
            return status
        time.sleep(0.005)
    _end_all(child)
    os.waitpid(child, 0)
    return None


def _end_all(child: int) -> None:
    """End a fork and what its tests started."""
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return


def judged(items: Sequence[pytest.Item], seconds: Mapping[str, float]) -> int:
    """Run tests until one fails; the alarm ends this process where one takes too long."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for item, following in zip(items, [*items[1:], None], strict=True):
        signal.alarm(PATIENCE + int(10 * seconds.get(item.nodeid, 0)))
        if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
            return KILLED
    return SURVIVED


class Control:
    """Runs `tests` in a fork, with nothing changed; `seconds` are those of the tests that pass."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.tests = tests
        self.seconds: dict[str, float] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        known = {item.nodeid: item for item in session.items}
        items = [known[name] for name in self.tests if name in known]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _die(lambda: self._run(items, writer))
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as stream:
            self.seconds = json.loads(stream.read() or "{}")
        os.waitpid(child, 0)
        return True

    def _run(self, items: Sequence[pytest.Item], writer: int) -> int:
        seconds = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            began = time.perf_counter()
            if all(report.passed for report in runtestprotocol(item, nextitem=following, log=False)):
                seconds[item.nodeid] = round(time.perf_counter() - began, 4)
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            json.dump(seconds, stream)
        return 0


class Imported:
    """Runs the tests with one file changed from the start."""

    def __init__(self, root: Path, mutant: Mutant, tests: Sequence[str]) -> None:
        self.tests = tests
        self.path = str(root / mutant.file)
        self.tree: ast.Module = mutated(Path(self.path), mutant)
        assert not any(name.partition(".")[0] == "agent" for name in sys.modules)
        plain = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType:
            if loader.get_filename(fullname) == self.path:
                return compile(self.tree, self.path, "exec")
            return plain(loader, fullname)  # type: ignore[return-value]

        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = {item.nodeid: item for item in items}
        items[:] = [known[name] for name in self.tests if name in known]
