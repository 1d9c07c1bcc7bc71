"""The scripts of `iis-spn completion`: each has all words in it, so that no Tab starts a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.cli.vocabulary import Command, Option
from agent.names import printable


def told(text: str) -> str:
    """The first clause of a help text."""
    return re.split(r"[;:] |\. |\.$", printable(text))[0]


def valued(commands: Sequence[Command]) -> Iterator[tuple[Command, Option]]:
    """The options that take something, each with its command."""
    for command in commands:
        yield from ((command, option) for option in command.options if option.takes is not None)


def choices(command: Command) -> list[tuple[str, str]]:
    """The words of a command and the names of its options, each with what it is for."""
    options = [(name, option.help) for option in command.options for name in option.names]
    return [(word, told(what)) for word, what in (*command.words, *options)]
