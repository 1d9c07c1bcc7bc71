"""What one option takes: how its word is read, and whether it may be given again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from agent.names import fold, printable
from agent.spelling import did_you_mean


class Once(argparse._StoreAction):
    """A second value is refused: it would silently take the place of the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = typed_once(namespace)
        if self.dest in given:
            parser.error(f"argument {option}: it is given twice")
        namespace.given = given | {self.dest}
        super().__call__(parser, namespace, values, option)


def typed_once(namespace: argparse.Namespace) -> frozenset[str]:
    """The options that take one value and were given it, by `dest`."""
    given: frozenset[str] = getattr(namespace, "given", frozenset())
    return given


def one_of(*known: str) -> Callable[[str], str]:
    """Reads one of these words in any letters' case; refuses another with all of them, and with the one meant."""
    by_folded = {fold(word): word for word in known}

    def word(text: str) -> str:
        found = by_folded.get(fold(text))
        if found is None:
            told = f"'{printable(text)}' is none of {', '.join(known)}"
            raise argparse.ArgumentTypeError(f"{told}{did_you_mean(text, known)}")
        return found

    return word


def name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 4096")
    return int(text)


def seconds(text: str) -> float:
    return _positive(text, 86_400)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> float:
    """Seconds of `90s`, `30m`, `1h`, `1d`."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdecimal() or not 0 < int(number[:9]) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 90s, 30m, 1h and 1d are")
    return float(int(number) * _UNITS[unit])


def hours(text: str) -> float:
    return _positive(text, 100_000)


def _positive(text: str, most: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to {most}")
    return number


LEVELS = ("error", "warning", "info", "unchecked", "never")
"""From which severity on the exit code tells of findings, or that it tells of what was not checked."""
