"""The command line as argparse knows it: commands, options and their help. Runs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

REPORT_FORMATS = ("table", "json", "csv", "markdown")
STORY_FORMATS = ("table", "json")
SCRIPT_FORMATS = ("cmd", "powershell", "ldif", "ticket")
PLAN_FORMATS = (*REPORT_FORMATS, *SCRIPT_FORMATS)
LEVELS = ("error", "warning", "info", "never")
CLIENT_NAMES = (
    *("edge", "chrome", "firefox", "dotnet", "ie", "dotnetframework", "dotnet5", "curl-sspi", "curl-mit", "java"),
    *("chrome-nocname", "edge-port"),
)


class WrongUsageError(Exception):
    """argparse's complaint, so that the exit code is 64 and not its own 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise WrongUsageError(f"{message}\n{self.format_usage().strip()}")


def parser() -> argparse.ArgumentParser:
    program = _Parser(
        prog="iis-spn",
        description="Which SPN does each IIS site need, on which account must it live, is that so, and what to change?",
        epilog="Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 incomplete; 64 wrong usage; 70 a bug.",
    )
    program.add_argument("--version", action="store_true", help="print the version and exit")
    program.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    program.set_defaults(command=None)
    commands = program.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _inspect_parser(commands)
    _explain_parser(commands)
    _plan_parser(commands)
    _rules_parser(commands)
    return program


_Commands = argparse._SubParsersAction  # argparse names its own return type so


def _inspect_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "inspect",
        help="which SPN each site needs, on which account, and whether that is so",
        description="Say for each site which SPN it needs and on which account it must live; with --ad, whether that "
        "is so. Reads only.",
    )
    _targets(command)
    _shared(command)
    _output(command)
    command.set_defaults(command="inspect")


def _explain_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "explain",
        help="for one URL: what each kind of client asks for, who decrypts, what happens",
        description="Tell the story of one request, for each kind of client. Reads only.",
    )
    command.add_argument("url", metavar="URL", help="what people type, such as https://contoso/app")
    _targets(command)
    _shared(command)
    _output(command, STORY_FORMATS)
    command.set_defaults(command="explain")


def _plan_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "plan",
        help="the repair: ordered, reversible steps; never run unless --apply",
        description="Print the steps that repair what inspect finds, with their rollback. Changes nothing without "
        "--apply, and with it only SPNs, after showing them and asking.",
    )
    _targets(command)
    _shared(command)
    _output(command, PLAN_FORMATS)
    change = command.add_argument_group("to change the directory (needs --ad ldap://DC)")
    change.add_argument("--apply", action="store_true", help="carry out the SPN steps; writes the rollback file first")
    change.add_argument(
        "--confirm-delete",
        action="append",
        metavar="SPN",
        help="also delete this SPN from an account whose use nobody inspected; may be given more than once",
    )
    change.add_argument("--rollback", type=Path, metavar="FILE", help="take back what a rollback file of --apply holds")
    command.set_defaults(command="plan")


def _rules_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "rules",
        help="the rule base and the findings, as a table or one page",
        description="Print the rule table and the list of findings, or the page of one of them.",
    )
    command.add_argument("id", nargs="?", metavar="ID", help="a rule (scenario-4) or a finding (spn-missing)")
    command.set_defaults(command="rules")


def _targets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an applicationHost.config, a snapshot folder or file, or a folder of snapshots; may hold * and ?. "
        "None: this server (Windows)",
    )


def _shared(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where to look")
    where.add_argument(
        "--ad",
        action="append",
        metavar="SOURCE",
        help="who holds which SPN: auto, off, ldap://DC[:PORT], ldaps://DC, gc://DC, or a file (LDIF, setspn text); "
        "may be given more than once. Default: auto",
    )
    where.add_argument(
        "--dns",
        metavar="SOURCE",
        help="system, off, the address of a name server, or a zone file. Default: system when --ad is live, else off",
    )
    where.add_argument("--farm", type=Path, metavar="FILE", help="names that the configuration cannot show (TOML)")
    where.add_argument(
        "--client",
        action="append",
        metavar="NAME",
        choices=CLIENT_NAMES,
        help=f"a client kind that matters, instead of the default ones; may be given more than once: "
        f"{', '.join(CLIENT_NAMES)}",
    )
    where.add_argument("--computer", metavar="FQDN", help="the server's full name, where the file does not say it")
    where.add_argument(
        "--netbios-domain",
        action="append",
        metavar="NAME[=DNS.DOMAIN]",
        help="the NetBIOS name of the domain, where it is not the first label of its DNS name",
    )
    where.add_argument("--ad-user", metavar="USER", help="logon for LDAP; asks for a password")
    where.add_argument("--password-stdin", action="store_true", help="read the password from the first line of stdin")
    where.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust for ldaps")


def _output(command: argparse.ArgumentParser, formats: Sequence[str] = REPORT_FORMATS) -> None:
    out = command.add_argument_group("what to print")
    out.add_argument("--format", choices=formats, default="table", metavar="F", help=f"{', '.join(formats)}")
    out.add_argument("--output", type=Path, metavar="FILE", help="write there instead of stdout, atomically")
    out.add_argument(
        "--fail-on",
        choices=LEVELS,
        default="error",
        metavar="LEVEL",
        help="exit with 1 from this severity on: error (default), warning, info, never",
    )
    out.add_argument("--accept", type=Path, metavar="FILE", help="accepted findings (TOML)")
