"""Arguments -> one command -> exit code. Nothing else exits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

from agent import exits
from agent.cli import arguments, console, options
from agent.cli.line import Line, read
from agent.errors import IisSpnError, UsageError, fault_of_ours
from agent.names import printable
from agent.sources.extras import Extra, demand


class Runner(NamedTuple):
    """The module whose `run` carries out a command, imported when it is asked for, and the extra that it needs."""

    module: str
    needs: Extra | None = None


COMMANDS: Mapping[type[options.Options], Runner] = {
    options.Inspect: Runner("agent.cli.inspect"),
    options.Sweep: Runner("agent.cli.sweep", needs="sweep"),
    options.Collect: Runner("agent.cli.collect", needs="sweep"),
    options.Script: Runner("agent.cli.script"),
    options.Explain: Runner("agent.cli.explain"),
    options.Probe: Runner("agent.cli.probe", needs="ldap"),
    options.Diagnose: Runner("agent.cli.diagnose"),
    options.Plan: Runner("agent.cli.plan"),
    options.Diff: Runner("agent.cli.diff"),
    options.Agent: Runner("agent.cli.agent"),
    options.Completion: Runner("agent.cli.completion"),
    options.Rules: Runner("agent.cli.rules"),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    console.prepare()
    try:
        line = read(words)
    except UsageError as error:
        return _failed(str(error), exits.USAGE)
    with console.faults_shown(line.debug):
        return _ended(line)


def _ended(line: Line) -> int:
    try:
        return _run(line)
    except UsageError as error:
        return _failed(str(error), exits.USAGE)
    except IisSpnError as error:
        return _failed(str(error), exits.INCOMPLETE)
    except BrokenPipeError:
        return exits.CLEAN
    except KeyboardInterrupt:
        return _failed("interrupted", exits.INCOMPLETE)
    except OSError as error:
        fault_of_ours(error)  # for --debug
        place = f"{printable(str(error.filename))}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}", exits.INCOMPLETE)
    except Exception as error:  # noqa: BLE001  # a fault of ours is told as one, with how to report it
        return _failed(f"{fault_of_ours(error)}. Please report it; --debug shows more.", exits.BUG)


def _run(line: Line) -> int:
    if line.command is not None:
        runner = COMMANDS[type(line.command)]
        if runner.needs is not None:
            demand(runner.needs, runner.module.rpartition(".")[2])
        run: Callable[[options.Options], int] = import_module(runner.module).run
        return run(line.command)
    if line.version:
        from agent.cli.version import version

        console.show([version()])
        return exits.CLEAN
    sys.stderr.write(arguments.parser().format_help())
    return exits.USAGE


def _failed(text: str, code: int) -> int:
    console.note(text)
    return code
