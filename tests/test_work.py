"""Counting what a pattern costs: that a cost in proportion and one that is not are told apart."""

from __future__ import annotations

import re

import pytest
from work import Counted, CountedBytes, Tally, calls


@pytest.mark.parametrize(
    ("pattern", "piece", "growth"),
    [
        (rb"a+b", b"a", 4),  # from each a to the end, and back
        (rb"a++b", b"a", 4),
        (rb"(?<!a)a++b", b"a", 2),
        (rb"<(?:[^<>]|\"[^\"]*\")*>", b'<"', 2),
        (rb"x(?=.*?y)", b"x", 4),
        (rb"x(?!.{0,5}y)", b"x", 2),
    ],
)
def test_what_is_squared_shows(pattern: bytes, piece: bytes, growth: int) -> None:
    tally = Tally()
    seen = Counted(re.compile(pattern), tally)
    assert tally.growth(lambda size: list(seen.finditer(piece * size)), 200) == pytest.approx(growth, rel=0.03)


def test_bytes_looked_at_in_vain_count() -> None:
    tally = Tally()

    def work(size: int) -> None:
        text = CountedBytes.of(b"a" * size, tally)
        for position in range(size):
            text.find(b"b", position)

    assert tally.growth(work, 200) == pytest.approx(4, rel=0.03)


def test_calls_are_those_of_the_work() -> None:
    def work(size: int) -> None:
        for number in range(size):
            abs(number)

    assert calls(lambda: work(200)) - calls(lambda: work(100)) == 200, "each call, and its end"
