"""The man page, made of the parser: `python -m agent.cli.manual > docs/iis-spn.1`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent import __version__
from agent.cli.anatomy import commands_of, groups_of, places_of
from agent.cli.arguments import parser
from agent.cli.config import VARIABLE
from agent.cli.examples import EXAMPLES


class _Option(NamedTuple):
    """What an option is, whichever commands have it."""

    group: str
    names: tuple[str, ...]
    takes: str
    help: str


def manual() -> str:
    """The page, in the macros of man(7); the same bytes for the same parser."""
    program = parser()
    lines = [
        f'.TH IIS\\-SPN 1 "" "iis\\-spn {_plain(__version__)}" "User Commands"',
        ".nh",
        ".ad l",
        *_section("NAME", [f"iis\\-spn \\- {_plain(_first(program.description or ''))}"]),
        *_section("SYNOPSIS", [".B iis\\-spn", ".I COMMAND", "[\\fIOPTION\\fR ...] [\\fIARGUMENT\\fR ...]"]),
        *_section("DESCRIPTION", [_plain(program.description or "")]),
        *_section("COMMANDS", _commands(program)),
        *_options(program),
        *_section(
            "EXIT STATUS", [_plain((program.epilog or "").removeprefix("Exit codes: ").partition(" Examples")[0])]
        ),
        *_section("ENVIRONMENT", _entry(f"\\fB{_plain(VARIABLE)}\\fR", "names a file of options, as --config does")),
        *_section("EXAMPLES", _examples()),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {_plain(title)}"
    yield from lines


def _entry(head: str, text: str) -> Iterator[str]:
    yield from (".TP", head, _plain(text))


def _commands(program: argparse.ArgumentParser) -> Iterator[str]:
    for name, command in commands_of(program).items():
        places = places_of(command)
        shown = map(_placed, places)
        yield from _entry(" ".join([f"\\fB{_plain(name)}\\fR", *shown]), command.description or "")
        for place in places:
            yield ".br"
            yield f"\\fI{_plain(_called(place))}\\fR: {_plain(place.help or '')}"


def _placed(action: argparse.Action) -> str:
    name = f"\\fI{_plain(_called(action))}\\fR"
    return {"*": f"[{name} ...]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _called(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _options(program: argparse.ArgumentParser) -> Iterator[str]:
    """Each option once, group by group, with the commands that have it."""
    every = commands_of(program)
    having: dict[_Option, list[str]] = {}
    for name, command in every.items():
        for option in _options_of(command):
            having.setdefault(option, []).append(name)
    for group in dict.fromkeys(option.group for option in having):
        yield f".SH OPTIONS: {_plain(group.upper())}"
        for option, commands in having.items():
            if option.group == group:
                where = "every command" if len(commands) == len(every) else ", ".join(commands)
                yield from _entry(_named(option), f"{option.help} ({where})")


def _named(option: _Option) -> str:
    takes = f" \\fI{_plain(option.takes)}\\fR" if option.takes else ""
    return ", ".join(f"\\fB{_plain(name)}\\fR" for name in option.names) + takes


def _options_of(command: argparse.ArgumentParser) -> Iterator[_Option]:
    for heading, actions in groups_of(command):
        for action in actions:
            if action.option_strings and action.help != argparse.SUPPRESS:
                title = "general" if heading == "options" else heading
                takes = "" if action.nargs == 0 else _called(action)
                yield _Option(title, tuple(action.option_strings), takes, action.help or "")


def _examples() -> Iterator[str]:
    for examples in EXAMPLES.values():
        for example in examples:
            yield from (".PP", f"{_plain(example.why)}:", ".PP", ".RS", ".nf", _plain(example.line), ".fi", ".RE")


def _first(text: str) -> str:
    """The first clause, as a title is written: what apropos(1) shows."""
    return text[:1].lower() + text.partition(",")[0][1:]


def _plain(text: str) -> str:
    """A text that roff prints as it stands."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    sys.stdout.write(manual())
