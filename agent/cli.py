"""Arguments -> stages -> exit code. Nothing else in the package prints or exits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import exits

if TYPE_CHECKING:
    from agent.inspection import Analysis, Sources
    from agent.model import Report

FORMATS = ("table", "json", "csv", "markdown")
LEVELS = ("error", "warning", "info", "never")
CLIENT_NAMES = (
    *("edge", "chrome", "firefox", "dotnet", "ie", "dotnetframework", "dotnet5", "curl-sspi", "curl-mit", "java"),
    *("chrome-nocname", "edge-port"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    from agent.errors import IisSpnError, UsageError

    try:
        options = _parser().parse_args(arguments)
    except _WrongUsageError as error:
        print(f"iis-spn: {error}", file=sys.stderr)  # noqa: T201  # the one place that speaks to the console
        return exits.USAGE
    _make_printable()
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except UsageError as error:
        return _say(f"iis-spn: {error}", exits.USAGE)
    except IisSpnError as error:
        return _say(f"iis-spn: {error}", exits.INCOMPLETE)
    except BrokenPipeError:
        _silence_stdout()
        return exits.CLEAN
    except KeyboardInterrupt:
        return _say("iis-spn: interrupted", exits.INCOMPLETE)
    except Exception as error:  # noqa: BLE001  # a fault of ours is told as one, with how to report it
        return _bug(error, options)


def _say(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


def _bug(error: Exception, options: argparse.Namespace) -> int:
    import traceback

    if options.debug:
        sys.stderr.write(traceback.format_exc())
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return _say(
        f"iis-spn: a fault of this program ({type(error).__name__} in {where}). Please report it; --debug shows more.",
        exits.BUG,
    )


def _make_printable() -> None:
    """A piped console on Windows is cp1252: a letter it does not have is written as \\xNN, never an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """The reader of our pipe went away: let the interpreter's last flush go nowhere."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# -- arguments -----------------------------------------------------------------------------------------------------


class _WrongUsageError(Exception):
    """argparse's complaint, so that the exit code is 64 and not its own 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise _WrongUsageError(f"{message}\n{self.format_usage().strip()}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="iis-spn",
        description="Which SPN does each IIS site need, on which account must it live, is that so, and what to change?",
        epilog="Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 incomplete; 64 wrong usage; 70 a bug.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=lambda options: _version() if options.version else _help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _inspect_parser(commands)
    _explain_parser(commands)
    _rules_parser(commands)
    return parser


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
    command.set_defaults(run=_run_inspect)


def _explain_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "explain",
        help="for one URL: what each kind of client asks for, who decrypts, what happens",
        description="Tell the story of one request, for each kind of client. Reads only.",
    )
    command.add_argument("url", metavar="URL", help="what people type, such as https://contoso/app")
    _targets(command)
    _shared(command)
    _output(command, formats=("table", "json"))
    command.set_defaults(run=_run_explain)


def _rules_parser(commands: _Commands[_Parser]) -> None:
    command = commands.add_parser(
        "rules",
        help="the rule base and the findings, as a table or one page",
        description="Print the rule table and the list of findings, or the page of one of them.",
    )
    command.add_argument("id", nargs="?", metavar="ID", help="a rule (scenario-4) or a finding (spn-missing)")
    command.set_defaults(run=_run_rules)


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


def _output(command: argparse.ArgumentParser, formats: Sequence[str] = FORMATS) -> None:
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


# -- commands ------------------------------------------------------------------------------------------------------


def _version() -> int:
    from agent import __version__

    return _print(f"iis-spn {__version__}\n")


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help(sys.stderr)
    return exits.USAGE


def _print(text: str) -> int:
    sys.stdout.write(text)
    sys.stdout.flush()
    return exits.CLEAN


def _run_inspect(options: argparse.Namespace) -> int:
    report = _analysis(options).report
    _write(options, report)
    return _exit_code(report, options.fail_on)


def _run_explain(options: argparse.Namespace) -> int:
    from agent.explain import explain

    explanation = explain(_analysis(options), options.url)
    _write(options, explanation)
    return _exit_code(explanation, options.fail_on)


def _run_rules(options: argparse.Namespace) -> int:
    from agent.render.pages import overview, page

    return _print(page(options.id) if options.id else overview())


def _analysis(options: argparse.Namespace) -> Analysis:
    from agent.errors import UsageError
    from agent.inspection import analyse
    from agent.sources import snapshot

    netbios = _netbios_domains(options)
    sources = _sources(options)
    if not options.targets:
        from agent.sources import local

        return analyse([local.read()], sources)
    paths = snapshot.expand(options.targets)
    if options.computer and len(paths) > 1:
        raise UsageError("--computer names one server, but several targets are given")
    return analyse((snapshot.read(path, options.computer, netbios) for path in paths), sources)


def _netbios_domains(options: argparse.Namespace) -> dict[str, str]:
    """Folded DNS domain name -> NetBIOS name; "" stands for whatever domain a server says."""
    from agent.names import fold

    pairs = [text.partition("=") for text in options.netbios_domain or ()]
    return {fold(domain): name for name, _, domain in pairs}


def _sources(options: argparse.Namespace) -> Sources:
    from agent.inspection import Sources, clients_named
    from agent.sources import options as files
    from agent.sources.selected import directory_source, name_source

    directory = directory_source(options.ad or ["auto"], _logon_options(options), _netbios_domains(options))
    return Sources(
        directory=directory.ask,
        names=name_source(options.dns or ("system" if directory.is_live else "off")),
        farm=files.farm_file(options.farm) if options.farm else (),
        clients=clients_named(options.client or ()),
        accepted=files.accept_file(options.accept) if options.accept else (),
    )


def _logon_options(options: argparse.Namespace) -> tuple[str | None, Callable[[], str], Path | None]:
    from functools import cache

    return options.ad_user, cache(lambda: _password(options)), options.ca  # a forest means several binds, one prompt


def _password(options: argparse.Namespace) -> str:
    """The LDAP password: one line of stdin, or a prompt that does not echo. It is never an argument."""
    import getpass

    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return getpass.getpass(f"Password of {options.ad_user}: ")


# -- output --------------------------------------------------------------------------------------------------------


def _write(options: argparse.Namespace, report: Report) -> None:
    text, encoding = _rendered(options.format, report, to_file=options.output is not None)
    if options.output is None:
        _print(text)
        return
    partial = options.output.with_name(options.output.name + ".partial")
    try:
        partial.write_text(text, encoding=encoding, newline="")
        partial.replace(options.output)
    except OSError as error:
        from agent.errors import UsageError

        raise UsageError(f"cannot write {options.output}: {error.strerror}") from None


def _rendered(form: str, report: Report, *, to_file: bool) -> tuple[str, str]:
    if form == "json":
        from agent.render import document

        return document.to_json(report), "utf-8"
    if form == "csv":
        from agent.render import sheet

        return sheet.to_csv(report), sheet.ENCODING
    if form == "markdown":
        from agent.render import markdown

        return markdown.to_markdown(report), "utf-8"
    return _terminal(report, to_file=to_file), "utf-8"


def _terminal(report: Report, *, to_file: bool) -> str:
    import os
    import shutil

    from agent.model import Explanation
    from agent.render import terminal

    color = not to_file and terminal.wants_color(sys.stdout.isatty(), os.environ)
    width = shutil.get_terminal_size((100, 24)).columns
    if isinstance(report, Explanation):
        return terminal.story(report, width, color)
    return terminal.to_text(report, width, color)


def _exit_code(report: Report, fail_on: str) -> int:
    if not report.complete:
        return exits.INCOMPLETE
    if fail_on == "never":
        return exits.CLEAN
    counted = LEVELS[: LEVELS.index(fail_on) + 1]
    found = any(finding.severity in counted and finding.accepted is None for finding in report.findings)
    return exits.FINDINGS if found else exits.CLEAN
