"""The command line as argparse knows it: commands, options and their help. Runs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from agent.model import SEVERITIES

REPORT_FORMATS = ("table", "json", "csv", "markdown")
STORY_FORMATS = ("table", "json")
SCRIPT_FORMATS = ("cmd", "powershell", "ldif", "ticket")
PLAN_FORMATS = (*REPORT_FORMATS, *SCRIPT_FORMATS)
LEVELS = (*SEVERITIES, "never")
CLIENT_NAMES = (
    *("edge", "chrome", "firefox", "dotnet", "ie", "dotnetframework", "dotnet5", "curl-sspi", "curl-mit", "java"),
    *("chrome-nocname", "edge-port"),
)
TRANSPORTS = ("auto", "kerberos", "ntlm", "credssp", "certificate", "basic")


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
    _sweep_parser(commands)
    _collect_parser(commands)
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


def _sweep_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "sweep",
        help="the same for many servers, collected over WinRM",
        description="Collect from every server over WinRM and judge them together, as inspect does. Reads only.",
    )
    _hosts(command)
    _shared(command)
    _output(command)
    command.set_defaults(command="sweep")


def _collect_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "collect",
        help="only collect: one snapshot per server, for another machine or another day to inspect",
        description="Collect from every server over WinRM and write one snapshot for each. Reads only.",
    )
    _hosts(command)
    where = command.add_argument_group("where to look (for --from-ad)")
    where.add_argument("--ad", action="append", metavar="SOURCE", help="auto (default), ldap://DC[:PORT], ldaps://DC")
    _ad_logon(where)
    _netbios_domain(where)
    command.set_defaults(command="collect")


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


def _hosts(command: argparse.ArgumentParser) -> None:
    whom = command.add_argument_group("which servers")
    whom.add_argument("hosts", nargs="*", metavar="HOST", help="a server: web01, web[01:20], web01:5986, https://web01")
    whom.add_argument(
        "--inventory",
        action="append",
        metavar="FILE",
        help="names in a text file, or an Ansible inventory (INI, YAML, JSON); - is stdin; may be given more than once",
    )
    whom.add_argument("--from-ad", metavar="OU", help="the computers below this OU: OU=Web,DC=test,DC=com")
    whom.add_argument("--only-iis", action="store_true", help="of those, only the ones with traces of IIS in AD")
    _winrm(command)
    _keeping(command)


def _winrm(command: argparse.ArgumentParser) -> None:
    how = command.add_argument_group("how they are asked")
    how.add_argument("--user", metavar="USER", help=r"logon for WinRM (DOMAIN\user, user@domain); asks for a password")
    how.add_argument("--password-env", metavar="NAME", help="read the WinRM password from this environment variable")
    how.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="auto",
        metavar="T",
        help=f"{', '.join(TRANSPORTS)}. Default: auto, Kerberos where a ticket can be had, else NTLM",
    )
    how.add_argument("--port", type=_port, metavar="N", help="5985 (default), or 5986 for TLS")
    how.add_argument("--cert", type=Path, metavar="FILE", help="client certificate, for --transport certificate (PEM)")
    how.add_argument("--cert-key", type=Path, metavar="FILE", help="its key (PEM)")
    how.add_argument(
        "--jea",
        type=_name,
        metavar="NAME",
        help="call Get-IisSpnSnapshot of this JEA endpoint instead of sending collect.ps1; needs iis-spn[jea]",
    )
    how.add_argument("--parallel", type=_count, default=64, metavar="N", help="servers asked at once. Default: 64")
    how.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="S", help="seconds for one server. Default: 120"
    )
    how.add_argument(
        "--continue-on-denied", action="store_true", help="go on when servers refuse the logon: accounts may get locked"
    )
    how.add_argument("-v", "--verbose", action="store_true", help="a line on stderr for each server as it answers")


def _keeping(command: argparse.ArgumentParser) -> None:
    keep = command.add_argument_group("what is kept")
    keep.add_argument("--to", type=Path, metavar="DIR", help="write each snapshot there as it arrives")
    keep.add_argument("--resume", action="store_true", help="ask only the servers whose snapshot is missing or stale")
    keep.add_argument(
        "--stale-after", type=_hours, default=24.0, metavar="HOURS", help="a snapshot is stale then. Default: 24"
    )


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 4096")
    return int(text)


def _seconds(text: str) -> float:
    return _positive(text, 86_400)


def _hours(text: str) -> float:
    return _positive(text, 100_000)


def _positive(text: str, most: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to {most}")
    return number


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
    _netbios_domain(where)
    _ad_logon(where)


def _netbios_domain(where: argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--netbios-domain",
        action="append",
        metavar="NAME[=DNS.DOMAIN]",
        help="the NetBIOS name of the domain, where it is not the first label of its DNS name",
    )


def _ad_logon(where: argparse._ArgumentGroup) -> None:
    where.add_argument("--ad-user", metavar="USER", help="logon for LDAP; asks for a password")
    where.add_argument(
        "--password-stdin", action="store_true", help="read passwords from stdin, a line each: WinRM, then LDAP"
    )
    where.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust for ldaps and WinRM over TLS")


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
