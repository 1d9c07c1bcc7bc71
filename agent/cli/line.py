"""The words that were typed -> what was asked for; a word that is not known is answered with the one that was meant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from agent.cli import arguments, options
from agent.cli.anatomy import arguments_of, commands_of
from agent.cli.config import VARIABLE, File, defaults, read_config
from agent.cli.parsing import options_of
from agent.cli.values import one_of, typed_once
from agent.errors import UsageError
from agent.names import printable, without_user
from agent.sources.text_file import is_there
from agent.spelling import did_you_mean


class Line(NamedTuple):
    """A command line, read; `command` None where it names none."""

    command: options.Options | None
    version: bool
    debug: bool


def read(words: Sequence[str] | None) -> Line:
    """What was asked for. Raises UsageError."""
    words = _with_help(sys.argv[1:] if words is None else words)
    program = arguments.parser()
    known = commands_of(program)
    words = _with_command(words, known)
    typed = given = _given(program, words)
    file = _config_file(typed)
    if file is not None:
        _set_defaults(known[typed.command], read_config(file), typed)
        given = _given(program, words)
    given.typed = typed  # what a file says for every command is passed over where it has no use
    return Line(_made(given, file), given.version, given.debug)


def _made(given: argparse.Namespace, file: Path | None) -> options.Options | None:
    """The command's options; what contradicts each other may stand in a file, which is named then."""
    if given.make is None:
        return None
    try:
        made: options.Options = given.make(given)
    except UsageError as error:
        raise error if file is None else UsageError(f"{error} ({file} is read too)") from None
    return made


def _given(program: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    known, typed = commands_of(program), tuple(words)
    given, left = program.parse_known_args(words, argparse.Namespace(words=typed))
    if left and given.command in known and not any(word.startswith("-") for word in left):
        words = _places_first(words, known[given.command])
        given, left = program.parse_known_args(words, argparse.Namespace(words=typed))
    if left:
        _refuse(left[0], known.get(given.command, program), known)
    return given


def _places_first(words: Sequence[str], command: argparse.ArgumentParser) -> Sequence[str]:
    """The words with those of no option straight behind the command: argparse takes only one row of them."""
    at = next(at for at, word in enumerate(words) if not word.startswith("-")) + 1
    end = words.index("--") if "--" in words else len(words)
    with_value = {name for action in arguments_of(command) if action.nargs != 0 for name in action.option_strings}
    places: list[str] = []
    rest: list[str] = []
    is_value = False
    for word in words[at:end]:
        is_place = not is_value and (word == "-" or not word.startswith("-"))
        (places if is_place else rest).append(word)
        is_value = not is_value and word in with_value
    return [*words[:at], *places, *rest, *words[end:]]


def _config_file(given: argparse.Namespace) -> Path | None:
    """The file of options of a command that takes one."""
    named = given.config or os.environ.get(VARIABLE) if "config" in given else None
    return Path(named) if named else None


def _set_defaults(command: argparse.ArgumentParser, file: File, given: argparse.Namespace) -> None:
    """argparse adds to a list that is a default, and puts what is typed in the place of another one."""
    values = given.__dict__
    typed = {dest: value for dest, value in values.items() if value != command.get_default(dest)}
    command.set_defaults(
        **defaults(file, arguments_of(command), typed | {dest: values[dest] for dest in typed_once(given)})
    )


def _with_help(words: Sequence[str]) -> Sequence[str]:
    """Help as it is asked for at a console of Windows, and with git."""
    asked = ["--help" if word in {"/?", "-?"} else word for word in words]
    return [*asked[1:], "--help"] if asked and asked[0].lower() == "help" else asked


def _with_command(words: Sequence[str], known: Mapping[str, argparse.ArgumentParser]) -> Sequence[str]:
    """The words with the command as it is called here. Raises UsageError for one that is not known."""
    at = next((at for at, word in enumerate(words) if not word.startswith("-")), None)
    if at is None:
        return words
    try:
        return [*words[:at], one_of(*known)(words[at]), *words[at + 1 :]]
    except argparse.ArgumentTypeError:
        asked = _meant(words[at], known)
        raise UsageError(f"there is no command '{without_user(words[at])}'{asked}") from None


def _meant(word: str, known: Mapping[str, argparse.ArgumentParser]) -> str:
    """What may have been meant by a word in the place of a command: a URL, a file, a command, an option."""
    if "://" in word:
        return ": did you mean iis-spn explain URL?"
    if is_there(Path(word)):
        return f": did you mean iis-spn inspect {printable(word)}?"
    return did_you_mean(word, [*known, "--version", "--help"]) or f": there are {', '.join(known)}"


def _refuse(word: str, command: argparse.ArgumentParser, known: Mapping[str, argparse.ArgumentParser]) -> NoReturn:
    if not word.startswith("-"):
        command.error(f"{printable(word)} is one word too many")
    option = word.partition("=")[0]
    others = [name for name, other in known.items() if option in options_of(other)]
    asked = f": {', '.join(others)} ha{'ve' if len(others) > 1 else 's'} it" if others else ""
    asked = asked or did_you_mean(option, options_of(command))
    command.error(f"{command.prog.rpartition(' ')[2]} has no option {printable(option)}{asked}")
