"""What a parser of argparse holds and shows nobody: its arguments, its groups, its commands, how its help is filled.

A new Python may move it without a word, so it is taken here and nowhere else: `tests/test_borrowed.py` looks at it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence


def arguments_of(command: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    """All options and places of a command."""
    return command._actions


def places_of(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What stands in a command without the name of an option."""
    return [action for action in command._actions if not action.option_strings]


def groups_of(command: argparse.ArgumentParser) -> Iterator[tuple[str, Sequence[argparse.Action]]]:
    """The headings of its help, and what stands below each."""
    for group in command._action_groups:
        yield group.title or "", group._group_actions


def commands_of(program: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The commands of the program by name, in the order of its help."""
    return _commands(program).choices


def helps_of(program: argparse.ArgumentParser) -> Mapping[str, str]:
    """What the help of the program says of each of its commands."""
    return {each.dest: each.help or "" for each in _commands(program)._choices_actions}


def _commands(program: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    (commands,) = (each for each in program._actions if isinstance(each, argparse._SubParsersAction))
    return commands


class ExamplesAsTyped(argparse.RawDescriptionHelpFormatter):
    """Examples stand as they are typed; all else is filled up to the width."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)
