"""What one option takes: how its word is read, and whether it may be given again."""

from __future__ import annotations

import argparse
from typing import Any


class Once(argparse._StoreAction):
    """A second value is refused: it would silently take the place of the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given: frozenset[str] = getattr(namespace, "given", frozenset())
        if self.dest in given:
            parser.error(f"argument {option}: it is given twice")
        namespace.given = given | {self.dest}
        super().__call__(parser, namespace, values, option)


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


def level(text: str) -> str:
    """From which severity on the exit code tells of findings, or that it tells of what was not checked."""
    from agent.model import SEVERITIES  # `--help` loads no model

    known = (*SEVERITIES, "unchecked", "never")
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
    return text
