"""Every reader gives a result or refuses in words: for damaged texts, and for all that the fuzzer ever found."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("greenlet", reason="the extra `dev` is not installed")
pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("pypsrp", reason="the extra `jea` is not installed")

from tests.fuzz.mutations import mutated, tokens_of
from tests.fuzz.targets import FOUND, TARGETS
from tests.fuzz.work import allowed, taken

KEPT = sorted(path for path in FOUND.glob("*/*"))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25)
@given(choice=st.integers(0, 99), random=st.randoms(use_true_random=False))
def test_damaged_seeds(name: str, choice: int, random: Random) -> None:
    seeds = TARGETS[name].seeds()
    words = sorted({token for seed in seeds for token in tokens_of(seed) if len(token) > 1})
    TARGETS[name].holds(mutated(seeds[choice % len(seeds)], random, words))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_mended(path: Path) -> None:
    data = path.read_bytes()
    TARGETS[path.parent.name].holds(data)
    assert taken(path.parent.name, data) <= allowed(path.parent.name, data)


def test_what_was_found_belongs_to_a_target() -> None:
    assert {path.name for path in FOUND.iterdir() if path.is_dir()} <= TARGETS.keys()
