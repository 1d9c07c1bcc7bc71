"""Which words may stand where on the command line, read from the parser: what shells complete."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.cli.anatomy import arguments_of, commands_of, helps_of, places_of
from agent.cli.arguments import parser

FILES = frozenset({"FILE", "DIR", "SOURCE", "TARGET", "OLD", "NEW"})
"""What takes one of these takes a file or a folder."""


class Option(NamedTuple):
    """The names of an option, what it is for, and the words it takes: none where `takes` is None."""

    names: tuple[str, ...]
    help: str
    takes: str | None
    words: tuple[str, ...]

    @property
    def takes_file(self) -> bool:
        return bool(FILES.intersection((self.takes or "").replace("|", " ").split()))


class Command(NamedTuple):
    """A command, "" for the program itself, and the words that may stand in it besides options."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[tuple[str, str], ...]


def vocabulary(ids: Sequence[str]) -> tuple[Command, ...]:
    """The program, then its commands; `ids` are what has a page of `rules`."""
    program = parser()
    known = commands_of(program)
    helps = helps_of(program)
    first = Command("", "", tuple(_options(program)), tuple((name, helps[name]) for name in known))
    return (first, *(_command(name, helps[name], each, {"ID": ids}) for name, each in known.items()))


def _command(name: str, told: str, command: argparse.ArgumentParser, known: Mapping[str, Sequence[str]]) -> Command:
    words = [str(word) for place in places_of(command) for word in place.choices or known.get(str(place.metavar), ())]
    return Command(name, told, tuple(_options(command)), tuple((word, "") for word in words))


def _options(command: argparse.ArgumentParser) -> Iterator[Option]:
    for action in arguments_of(command):
        if action.option_strings and action.help != argparse.SUPPRESS:
            takes = None if action.nargs == 0 else str(action.metavar or action.dest.upper())
            words = tuple(map(str, action.choices or ()))
            yield Option(tuple(action.option_strings), action.help or "", takes, words)
