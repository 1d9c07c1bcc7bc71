"""Arguments -> stages -> exit code. Nothing else exits; only `agent.cli.output` prints besides it."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import exits
from agent.cli import output
from agent.cli.arguments import LEVELS, WrongUsageError, parser

if TYPE_CHECKING:
    from agent.change.apply import Applied
    from agent.inspection import Analysis, Sources
    from agent.model import Report
    from agent.sources.ad.computers import Computers
    from agent.sources.ad.modify import LdapWriter
    from agent.sweep.collect import Run
    from agent.sweep.passwords import Passwords


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    from agent.errors import IisSpnError, UsageError

    try:
        options = parser().parse_args(arguments)
    except WrongUsageError as error:
        print(f"iis-spn: {error}", file=sys.stderr)  # noqa: T201  # the one place that speaks to the console
        return exits.USAGE
    _make_printable()
    _make_readable()
    try:
        return _run(options)
    except UsageError as error:
        return _say(f"iis-spn: {error}", exits.USAGE)
    except IisSpnError as error:
        return _say(f"iis-spn: {error}", exits.INCOMPLETE)
    except BrokenPipeError:
        output.silence_stdout()
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


def _make_readable() -> None:
    """Piped text is UTF-8 whatever the console's code page is; other bytes are told from it where it is used."""
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape")


# -- commands ------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    commands = {
        "inspect": _inspect,
        "sweep": _sweep,
        "collect": _collect,
        "explain": _explain,
        "plan": _plan,
        "rules": _rules,
    }
    if options.command is not None:
        return commands[options.command](options)
    if options.version:
        from agent import __version__

        return _print(f"iis-spn {__version__}\n")
    parser().print_help(sys.stderr)
    return exits.USAGE


def _print(text: str) -> int:
    output.to_stdout([text])
    return exits.CLEAN


def _inspect(options: argparse.Namespace) -> int:
    return _report(options, _analysis(options).report)


def _report(options: argparse.Namespace, report: Report) -> int:
    """Write it; a reader who went away changes nothing about the exit code."""
    try:
        output.write(options, report)
    except BrokenPipeError:
        output.silence_stdout()
    return _exit_code(report, options.fail_on)


def _sweep(options: argparse.Namespace) -> int:
    from agent.inspection import analyse
    from agent.render import asked
    from agent.sources import extras

    extras.demand("sweep", "sweep")
    from agent.sweep import remote

    if options.computer is not None:
        _note("--computer is for files; a server says its own name")
    passwords = _passwords(options)
    sources = _sources(options, passwords)  # a slip in its files is told before a thousand servers are asked
    output.demand_folder(options)
    finished = _asked_servers(options, passwords)
    _note(asked.counted(finished.asked))
    return _report(options, remote.survey(analyse(finished.snapshots(), sources).report, finished))


def _collect(options: argparse.Namespace) -> int:
    from agent.render import asked
    from agent.sources import extras

    extras.demand("sweep", "collect")
    from agent.sweep import remote

    finished = _asked_servers(options, _passwords(options))
    if finished.asked.answered or finished.kept:
        _note(f"the snapshots are in {finished.folder}: iis-spn inspect {finished.folder}")
    color, width = output.console()
    try:
        _print(asked.to_text(finished.asked, remote.troubles(finished.outcomes), width, color))
    except BrokenPipeError:
        output.silence_stdout()
    return exits.CLEAN if finished.is_complete else exits.INCOMPLETE


def _asked_servers(options: argparse.Namespace, passwords: Passwords) -> Run:
    from agent.sweep import remote

    whom = remote.whom(options, passwords, lambda: _computers(options, passwords))
    for note in whom.notes:
        _note(note)
    return remote.run(options, whom.endpoints, remote.orders(options, passwords, _netbios_domains(options)))


def _computers(options: argparse.Namespace, passwords: Passwords) -> Computers:
    from agent.sources.ad import computers
    from agent.sources.selected import ldap_source

    live = [word for word in options.ad or () if "://" in word] or ["auto"]
    source = ldap_source(live[0], _logon_options(options, passwords), _netbios_domains(options))
    return computers.computers(source, options.from_ad, only_iis=options.only_iis)


def _note(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody may be reading
        sys.stderr.write(f"iis-spn: {text}\n")
        sys.stderr.flush()


def _explain(options: argparse.Namespace) -> int:
    from agent.story import explain

    return _report(options, explain(_analysis(options), options.url))


def _plan(options: argparse.Namespace) -> int:
    if options.rollback is not None:
        return _with_writer(options, lambda writer: _take_back(options, writer))
    report = _analysis(options).report
    if options.apply and not report.complete:
        output.write(options, report)
        return _say("iis-spn: not everything could be read, so nothing is applied", exits.INCOMPLETE)
    if options.apply:
        return _with_writer(options, lambda writer: _apply(options, report, writer))
    return _report(options, report)


def _rules(options: argparse.Namespace) -> int:
    from agent.render.pages import overview, page

    return _print(page(options.id) if options.id else overview())


def _analysis(options: argparse.Namespace) -> Analysis:
    from agent.errors import UsageError
    from agent.inspection import analyse
    from agent.sources.snapshots import targets

    netbios = _netbios_domains(options)
    sources = _sources(options, _passwords(options))
    if not options.targets:
        from agent.sources import local

        return analyse([local.read_this_server()], sources)
    paths = targets.expand(options.targets)
    if options.computer and len(paths) > 1:
        raise UsageError("--computer names one server, but several targets are given")
    return analyse((targets.read_target(path, options.computer, netbios) for path in paths), sources)


def _netbios_domains(options: argparse.Namespace) -> dict[str, str]:
    """Folded DNS domain name -> NetBIOS name; "" stands for whatever domain a server says."""
    from agent.names import fold

    pairs = [text.partition("=") for text in options.netbios_domain or ()]
    return {fold(domain): name for name, _, domain in pairs}


def _sources(options: argparse.Namespace, passwords: Passwords) -> Sources:
    from agent.inspection import Sources, clients_named
    from agent.sources import option_files as files
    from agent.sources.selected import directory_source, name_source

    logon = _logon_options(options, passwords)
    directory = directory_source(options.ad or ["auto"], logon, _netbios_domains(options))
    return Sources(
        directory=directory.ask,
        names=name_source(options.dns or ("system" if directory.is_live else "off")),
        farm=files.farm_file(options.farm) if options.farm else (),
        clients=clients_named(options.client or ()),
        accepted=files.accept_file(options.accept) if options.accept else (),
    )


# -- changing the directory ----------------------------------------------------------------------------------------


def _with_writer(options: argparse.Namespace, change: Callable[[LdapWriter], Applied]) -> int:
    """Connect to the one domain controller that is written to, and tell what became of the change."""
    from agent.errors import UsageError
    from agent.sources import extras
    from agent.sources.selected import ldap_source

    live = [word for word in options.ad or () if "://" in word]
    if len(live) != 1:
        raise UsageError("to change the directory name the domain controller: --ad ldap://DC")
    extras.demand("ldap", "to change the directory")
    from agent.sources.ad import modify

    source = ldap_source(live[0], _logon_options(options, _passwords(options)), _netbios_domains(options))
    with modify.writer(source) as writer:
        applied = change(writer)
    _print(applied.message.rstrip() + "\n")
    if applied.outcome in {"stopped", "interrupted"}:
        return exits.INCOMPLETE
    return exits.FINDINGS if applied.not_done else exits.CLEAN


def _apply(options: argparse.Namespace, report: Report, writer: LdapWriter) -> Applied:
    from agent.change.apply import apply
    from agent.change.journal import Files
    from agent.names import spn

    confirmed = frozenset(spn(text) for text in options.confirm_delete or ())
    return apply(report.plan.steps, None, writer, Files.within(Path.cwd()), confirmed, _asked)


def _take_back(options: argparse.Namespace, writer: LdapWriter) -> Applied:
    from agent.change.apply import roll_back

    return roll_back(options.rollback, writer, _asked)


def _asked(text: str) -> bool:
    """Show what will be done and ask; only a typed "yes" counts."""
    sys.stderr.write(f"{text.rstrip()}\n\nType yes to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"


# -- logon ---------------------------------------------------------------------------------------------------------


def _passwords(options: argparse.Namespace) -> Passwords:
    from agent.sweep.passwords import Passwords

    return Passwords(from_stdin=options.password_stdin, variable=getattr(options, "password_env", None))


def _logon_options(
    options: argparse.Namespace, passwords: Passwords
) -> tuple[str | None, Callable[[], str], Path | None]:
    return options.ad_user, lambda: passwords.of(options.ad_user, "LDAP"), options.ca


# -- exit code -------------------------------------------------------------------------------------------------------


def _exit_code(report: Report, fail_on: str) -> int:
    if not report.complete:
        return exits.INCOMPLETE
    if fail_on == "never":
        return exits.CLEAN
    counted = LEVELS[: LEVELS.index(fail_on) + 1]
    found = any(finding.severity in counted and finding.accepted is None for finding in report.findings)
    return exits.FINDINGS if found else exits.CLEAN
