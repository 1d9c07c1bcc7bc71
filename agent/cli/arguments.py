"""The command line as argparse knows it: commands, options, their help, and what is made of them. Runs nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli import options
from agent.cli.groups import (
    add_asking,
    add_expected,
    add_judging,
    add_logon,
    add_looking,
    add_netbios_domain,
    add_output,
    add_printing,
    add_targets,
    asking_of,
    fail_on_of,
    logon_of,
    looking_of,
    netbios_of,
    output_of,
    printing_of,
)
from agent.cli.parsing import DEBUG, Parser, add_general
from agent.cli.values import count, duration, one_of
from agent.errors import UsageError

SHELLS = ("powershell", "bash", "zsh")
SNAPSHOTS = Path("snapshots")
"""Where `collect` keeps them unless it is told."""
STATE = r"%%ProgramData%%\iis-spn"
HOUR = 3600.0
"""Seconds between two inspections of `agent`, unless it is told."""


def parser() -> argparse.ArgumentParser:
    program = Parser(
        prog="iis-spn",
        usage="iis-spn [-h] [--version] [--debug] COMMAND ...",
        description="Which SPN does each IIS site need, on which account must it live, is that so, and what to change?",
        epilog="Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 incomplete; 64 wrong usage; 70 a bug; "
        "130 stopped by a second Ctrl-C. Examples: iis-spn COMMAND --help.",
    )
    program.add_argument("--version", action="store_true", help="print the version and what is installed, and exit")
    program.add_argument("--debug", action="store_true", help=DEBUG)
    program.set_defaults(make=None)
    # argparse leaves the column of names as wide as the longest one it lists beside the commands
    commands = program.add_subparsers(
        title="commands", metavar="COMMAND [...]", parser_class=Parser, dest="command", prog="iis-spn"
    )
    _inspect_parser(commands)
    _sweep_parser(commands)
    _collect_parser(commands)
    _explain_parser(commands)
    _probe_parser(commands)
    _diagnose_parser(commands)
    _plan_parser(commands)
    _diff_parser(commands)
    _agent_parser(commands)
    _completion_parser(commands)
    _rules_parser(commands)
    for name, command in commands.choices.items():
        add_general(command, name)
    return program


_Commands = argparse._SubParsersAction  # argparse names its own return type so


def _inspect_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "inspect",
        help="which SPN each site needs, on which account, and is it so",
        description="Say for each site which SPN it needs and on which account it must live; with --ad, whether that "
        "is so. Reads only.",
    )
    add_targets(command)
    add_expected(command)
    add_looking(command)
    add_output(command, "inspect")
    command.set_defaults(make=_inspect)


def _inspect(given: argparse.Namespace) -> options.Inspect:
    return options.Inspect(
        targets=tuple(given.targets),
        expected=_expected(given if given.targets else given.typed),
        looking=looking_of(given),
        logon=logon_of(given),
        output=output_of(given, "inspect"),
    )


def _expected(given: argparse.Namespace) -> options.Expected:
    return options.Expected(inventory=tuple(given.inventory), stale_after=given.stale_after)


def _sweep_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "sweep",
        help="the same for many servers, collected over WinRM",
        description="Collect from every server over WinRM and judge them together, as inspect does. Reads only.",
    )
    add_asking(command, None)
    add_looking(command)
    add_output(command, "sweep")
    command.set_defaults(make=_sweep)


def _sweep(given: argparse.Namespace) -> options.Sweep:
    return options.Sweep(asking=asking_of(given), looking=looking_of(given), output=output_of(given, "sweep"))


def _collect_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "collect",
        help="only collect: a snapshot per server, to inspect elsewhere",
        description="Collect from every server over WinRM and write one snapshot for each. Reads only.",
    )
    add_asking(command, SNAPSHOTS)
    command.add_argument("-v", "--verbose", action="store_true", help="a line on stderr for each server as it answers")
    command.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="HOST",
        help="ask nobody, but take this server out of the record in DIR of who failed; may be given more than once",
    )
    command.add_argument(
        "--print-script",
        action="store_true",
        help="ask nobody, but print collect.ps1, to run on a server that WinRM does not reach",
    )
    where = command.add_argument_group("where to look (for --from-ad)")
    where.add_argument(
        "--ad", action="append", default=[], metavar="SOURCE", help="auto (default), ldap://DC[:PORT], ldaps://DC"
    )
    add_logon(where)
    add_netbios_domain(where)
    command.set_defaults(make=_collect)


def _collect(given: argparse.Namespace) -> options.Collect | options.Script:
    if given.print_script:
        typed = given.typed
        if typed.hosts or typed.inventory or typed.from_ad is not None or typed.forget:
            raise UsageError("--print-script asks nobody: give it alone")
        return options.Script()
    return options.Collect(
        asking=asking_of(given), ad=tuple(given.ad), netbios=netbios_of(given), forget=tuple(given.forget)
    )


def _explain_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "explain",
        help="for one URL: who asks for what, who decrypts, what happens",
        description="Tell the story of one request, for each kind of client. Reads only.",
    )
    command.add_argument("url", metavar="URL", help="what people type, such as https://contoso/app")
    add_targets(command)
    add_looking(command)
    add_output(command, "explain")
    command.set_defaults(make=_explain)


def _explain(given: argparse.Namespace) -> options.Explain:
    return options.Explain(
        url=given.url,
        targets=tuple(given.targets),
        looking=looking_of(given),
        logon=logon_of(given),
        output=output_of(given, "explain"),
    )


def _probe_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "probe",
        help="one real request with a real ticket: was it as predicted?",
        description="Ask for a URL with a Kerberos ticket, as a browser would, and say what was used, for which SPN, "
        "what the server said, and whether that is what inspect predicts. Reads only; never sends a password to a web "
        "server, never answers NTLM, never delegates.",
    )
    command.add_argument(
        "places",
        nargs="*",
        default=[],
        metavar="URL|TARGET",
        help="https://contoso/app; what has no :// is a TARGET of inspect, to predict from",
    )
    how = command.add_argument_group("what to probe")
    how.add_argument("--report", type=Path, metavar="FILE", help="also the names of a JSON report of inspect or sweep")
    how.add_argument(
        "--user",
        metavar="USER",
        help="logon to the KDC (user@REALM); asks for a password. Default: the current logon or ticket cache",
    )
    how.add_argument("--parallel", type=count, default=8, metavar="N", help="requests at once. Default: 8")
    add_looking(command)
    add_printing(command, "probe")
    command.set_defaults(make=_probe, accept=[])


def _probe(given: argparse.Namespace) -> options.Probe:
    return options.Probe(
        urls=tuple(word for word in given.places if "://" in word),
        targets=tuple(word for word in given.places if "://" not in word),
        report=given.report,
        user=given.user,
        parallel=given.parallel,
        looking=looking_of(given),
        logon=logon_of(given),
        output=printing_of(given, "probe"),
    )


def _diagnose_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "diagnose",
        help="captured evidence -> the cause",
        description="Read what was captured (headers, events, klist, setspn, IIS logs, failed-request traces) and say "
        "what the cause is; with a server's configuration and a directory, what is certain. Reads only, repeats no "
        "ticket.",
    )
    command.add_argument(
        "places",
        nargs="+",
        metavar="FILE|TARGET",
        help="evidence, - for standard input; a folder, a snapshot or an IIS configuration is a TARGET of inspect; may "
        "hold * and ?",
    )
    command.add_argument(
        "--names", action="store_true", dest="used_names", help="only the names that clients used, of IIS logs"
    )
    add_looking(command, with_names=False)
    add_printing(command, "diagnose")
    command.set_defaults(make=_diagnose, names=[], accept=[])


def _diagnose(given: argparse.Namespace) -> options.Diagnose:
    return options.Diagnose(
        words=tuple(given.places),
        names=given.used_names,
        looking=looking_of(given),
        logon=logon_of(given),
        output=printing_of(given, "diagnose"),
    )


def _plan_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "plan",
        help="the repair: ordered, reversible; never run unless --apply",
        description="Print the steps that repair what inspect finds, with their rollback. Changes nothing without "
        "--apply, and with it only SPNs, after showing them and asking.",
    )
    add_targets(command)
    add_looking(command)
    command.add_argument(
        "--want",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the state that is wanted (TOML): the steps lead there, and nowhere else; may be given more than once",
    )
    add_output(command, "plan")
    change = command.add_argument_group("to change the directory (needs --ad ldap://DC)")
    change.add_argument("--apply", action="store_true", help="carry out the SPN steps; writes the rollback file first")
    change.add_argument(
        "--confirm",
        action="append",
        default=[],
        metavar="SPN",
        help="also carry out the steps of this SPN that ask first; may be given more than once",
    )
    change.add_argument(
        "--confirm-delete",
        action="append",
        default=[],
        metavar="SPN",
        help="also delete this SPN from an account whose use nobody inspected; may be given more than once",
    )
    change.add_argument("--rollback", type=Path, metavar="FILE", help="take back what a rollback file of --apply holds")
    command.set_defaults(make=_plan)


def _plan(given: argparse.Namespace) -> options.Plan:
    return options.Plan(
        targets=tuple(given.targets),
        looking=looking_of(given),
        logon=logon_of(given),
        output=output_of(given, "plan"),
        change=options.Change(
            apply=given.apply,
            confirm=tuple(given.confirm),
            confirm_delete=tuple(given.confirm_delete),
            rollback=given.rollback,
        ),
        want=tuple(given.want),
    )


def _diff_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "diff",
        help="what changed between two reports or folders",
        description="Say what changed from OLD to NEW: servers, settings, who holds which SPN, what works and what is "
        "found. Each is a JSON report of any release, or snapshots, which are inspected with the same sources. Reads "
        "only.",
    )
    for name in ("old", "new"):
        command.add_argument(
            name, metavar=name.upper(), help="a JSON report, a snapshot folder or file, or a folder of snapshots"
        )
    add_looking(command)
    add_output(command, "diff")
    command.set_defaults(make=_diff)


def _diff(given: argparse.Namespace) -> options.Diff:
    return options.Diff(
        old=given.old,
        new=given.new,
        looking=looking_of(given),
        typed=looking_of(given.typed),
        logon=logon_of(given),
        output=output_of(given, "diff"),
    )


def _agent_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "agent",
        help="this server, again and again: what changed",
        description="Inspect this server (Windows) at once, every hour, and seconds after its configuration changed; "
        "say what changed, and write snapshot and report for others. Changes nothing of the server.",
    )
    when = command.add_argument_group("when").add_mutually_exclusive_group()
    when.add_argument("--once", action="store_true", help="once, for a scheduled task; exit codes as of inspect")
    when.add_argument("--interval", type=duration, metavar="TIME", help="90s, 30m, 1h, 1d. Default: 1h")
    where = command.add_argument_group("where it is written")
    where.add_argument("--drop", type=Path, metavar="DIR", help="snapshot and report, for others: a folder or a share")
    where.add_argument("--state", type=Path, metavar="DIR", help=f"what was seen last, and the log. Default: {STATE}")
    where.add_argument(
        "--prometheus", type=Path, metavar="FILE", help="numbers for the textfile collector, a file that ends in .prom"
    )
    where.add_argument("--event-log", action="store_true", help="an event in Application whenever something changed")
    add_looking(command)
    add_judging(command.add_argument_group("what counts"))
    command.set_defaults(make=_agent)


def _agent(given: argparse.Namespace) -> options.Agent:
    return options.Agent(
        interval=None if given.once else given.interval or HOUR,
        drop=given.drop,
        state=given.state,
        prometheus=given.prometheus,
        event_log=given.event_log,
        looking=looking_of(given),
        logon=logon_of(given),
        fail_on=fail_on_of(given.fail_on),
    )


def _completion_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "completion",
        help="a script that completes words in your shell",
        description="Print the script that completes commands, options and their words with Tab.",
    )
    command.add_argument("shell", metavar="SHELL", type=one_of(*SHELLS), choices=SHELLS, help=", ".join(SHELLS))
    command.set_defaults(make=_completion)


def _completion(given: argparse.Namespace) -> options.Completion:
    return options.Completion(shell=given.shell)


def _rules_parser(commands: _Commands[Parser]) -> None:
    command = commands.add_parser(
        "rules",
        help="the rule base and the findings, as a table or one page",
        description="Print the rule table and the list of findings, or the page of one of them.",
    )
    command.add_argument("id", nargs="?", metavar="ID", help="a rule (scenario-4) or a finding (spn-missing)")
    command.set_defaults(make=_rules)


def _rules(given: argparse.Namespace) -> options.Rules:
    return options.Rules(id=given.id)
