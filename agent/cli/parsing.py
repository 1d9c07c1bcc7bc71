"""How a command line is taken apart: argparse, with our words, exit code and examples."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import NoReturn

from agent.cli.config import KEYS, VARIABLE
from agent.cli.examples import EXAMPLES, told
from agent.cli.values import Once
from agent.errors import UsageError


class Parser(argparse.ArgumentParser):
    def __init__(self, **more: object) -> None:
        # --confirm is an option of its own, and no option may come to mean another when one more is added
        super().__init__(allow_abbrev=False, formatter_class=_Help, **more)  # type: ignore[arg-type]
        self.register("action", None, Once)

    def error(self, message: str) -> NoReturn:
        """argparse's complaint, so that the exit code is 64 and not its own 2; where to read more stands below it."""
        examples = EXAMPLES.get(self.prog.rpartition(" ")[2], ()) if message.startswith("the following") else ()
        more = [*(example.line for example in examples[:1]), f"{self.prog} --help"]
        raise UsageError("\n         ".join([message, *more]))


class _Help(argparse.RawDescriptionHelpFormatter):
    """Examples stand as they are typed; all else is filled up to the width."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def commands_of(program: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The commands of the program by name, in the order of its help."""
    (commands,) = (each for each in program._actions if isinstance(each, argparse._SubParsersAction))
    return commands.choices


def options_of(command: argparse.ArgumentParser) -> list[str]:
    """What the options of a command may be called, by long names and short ones."""
    return [name for action in command._actions for name in action.option_strings]


# -- what every command has ----------------------------------------------------------------------------------------

DEBUG = "show where faults of this program were raised, to report them"
_CONFIG = f"options from a TOML file, whose keys are their names; {VARIABLE} may name one, too"
_KEYS = {f"--{key}" for key in KEYS}


def add_general(command: argparse.ArgumentParser, name: str) -> None:
    """The general options and the examples of a command; `--config` where it has an option that a file may set."""
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG)
    if not _KEYS.isdisjoint(options_of(command)):
        command.add_argument("--config", metavar="FILE", help=_CONFIG)
    command.epilog = told(EXAMPLES[name])
