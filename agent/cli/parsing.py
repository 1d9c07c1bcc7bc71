"""How a command line is taken apart: argparse, with our words, exit code and examples."""

from __future__ import annotations

import argparse
from typing import NoReturn

from agent.cli.anatomy import ExamplesAsTyped, arguments_of
from agent.cli.config import KEYS, VARIABLE
from agent.cli.examples import EXAMPLES, told
from agent.cli.values import Once
from agent.errors import UsageError


class Parser(argparse.ArgumentParser):
    def __init__(self, **more: object) -> None:
        # --confirm is an option of its own, and no option may come to mean another when one more is added
        super().__init__(allow_abbrev=False, formatter_class=ExamplesAsTyped, **more)  # type: ignore[arg-type]
        self.register("action", None, Once)

    def error(self, message: str) -> NoReturn:
        """argparse's complaint, so that the exit code is 64 and not its own 2; where to read more stands below it."""
        examples = EXAMPLES.get(self.prog.rpartition(" ")[2], ()) if message.startswith("the following") else ()
        more = [*(example.line for example in examples[:1]), f"{self.prog} --help"]
        raise UsageError("\n         ".join([message, *more]))


def options_of(command: argparse.ArgumentParser) -> list[str]:
    """What the options of a command may be called, by long names and short ones."""
    return [name for action in arguments_of(command) for name in action.option_strings]


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
