"""A pytest plugin: which test runs which lines of the core. Needs the package `coverage`.

What a fixture of a module or session runs counts for each test that uses it, and caches are emptied before each test:
otherwise only the first test would be seen to run what all lean on.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

from .lines import Found, core
from .mutants import ROOMS


class Covering:
    """Collects; `found` is what came of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        parts = [f"{root}/agent/{room}" + ("" if room.endswith(".py") else "/*") for room in ROOMS]
        self.coverage = coverage.Coverage(data_file=None, include=parts, config_file=False)
        self.tests: dict[str, list[str]] = {}
        self.core = core()
        self.caches: list[Any] = []
        self.current = ""

    @pytest.hookimpl
    def pytest_collection_finish(self) -> None:
        self.caches = [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]
        self.caches = [each for each in self.caches if str(each.__module__).partition(".")[0] == "agent"]
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for cache in self.caches:
            cache.cache_clear()
        contexts = [item.nodeid]
        for name, definitions in item._fixtureinfo.name2fixturedefs.items():  # type: ignore[attr-defined]
            contexts += [f"{one.baseid}::{name}" for one in definitions if one.scope != "function"]
        self.tests[item.nodeid] = contexts
        self._switch(item.nodeid)
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = self.current
        if fixturedef.scope != "function":
            self._switch(f"{fixturedef.baseid}::{fixturedef.argname}")
        yield
        self._switch(before)

    def _switch(self, context: str) -> None:
        self.current = context
        self.coverage.switch_context(context)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()

    def found(self) -> Found:
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = {}
        for name in data.measured_files():
            file = Path(name).relative_to(self.root).as_posix()
            for line, contexts in data.contexts_by_lineno(name).items():
                for context in contexts:
                    lines.setdefault(context, {}).setdefault(file, []).append(line)
        return Found(tests=self.tests, lines=lines, core=self.core)
