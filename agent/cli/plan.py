"""`iis-spn plan`: the repair, printed; with `--apply` carried out, with `--rollback` taken back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import exits
from agent.change.applied import Applied
from agent.change.apply import apply, roll_back
from agent.change.journal import Files, Record
from agent.change.lock import alone
from agent.cli import console, output
from agent.cli.looking import demand_there, judged, live_logon
from agent.cli.options import Change, Plan
from agent.errors import UsageError
from agent.model import Report
from agent.names import printable, spn
from agent.render.afterwards import probes
from agent.sources import option_files
from agent.sources.extras import demand
from agent.sources.selected import LiveLogon, ldap_source

if TYPE_CHECKING:
    from agent.sources.ad.modify import LdapWriter

LOCK = "iis-spn-apply.lock"
"""Of the folder: a run that works there is not one that was broken off."""


def run(options: Plan) -> int:
    _demand_sense(options.change, options.output.write_accept)
    if options.want and options.change.rollback is not None:
        raise UsageError("--want says what to plan, and --rollback takes back what was done: one of them at a time")
    rollback, logon = options.change.rollback, live_logon(options.logon)
    if rollback is not None:
        Record.read(Files.of(rollback))  # a file that is lost is told without a controller
        return _changed(options, logon, lambda writer: roll_back(rollback, writer, _asked))
    output.demand_place(options.output)
    demand_there(options.targets, options.output.format)
    wants = [want for path in options.want for want in option_files.want_file(path)]
    report = judged(options.targets, options.looking, logon, wants=wants).report
    if not options.change.apply:
        code = output.finish(options.output, report)
        if report.plan.is_reached and report.complete:
            return exits.CLEAN
        return exits.INCOMPLETE if report.is_blind else code
    if not report.complete or report.is_blind:
        output.finish(options.output, report)
        what = "not everything could be read" if not report.complete else "nobody knows what is right"
        console.note(f"{what}, so nothing is applied")
        return exits.INCOMPLETE
    code = _changed(options, logon, lambda writer: _apply(options, report, writer), probes(report))
    held_back = [goal for goal in report.plan.wanted if not goal.reached and not goal.steps]
    for goal in held_back:
        console.note(f"{goal.host} is not as wanted: {printable(next(iter(goal.because), 'not known why'))}")
    return exits.FINDINGS if held_back and code == exits.CLEAN else code


def _demand_sense(change: Change, write_accept: Path | None) -> None:
    """An agreement that nothing would ask for is not passed over."""
    if change.apply and change.rollback is not None:
        raise UsageError("--apply and --rollback: one of them at a time")
    if write_accept is not None and (change.apply or change.rollback is not None):
        raise UsageError("--write-accept is for a plan that is printed, not for one that is carried out")
    for option, names in (("--confirm", change.confirm), ("--confirm-delete", change.confirm_delete)):
        if names and not change.apply:
            raise UsageError(f"{option} {names[0]} says what --apply may do, and there is no --apply")


def _changed(
    options: Plan, logon: LiveLogon, change: Callable[[LdapWriter], Applied], check: Sequence[str] = ()
) -> int:
    """Connect to the one domain controller that is written to, tell what became of the change, and how to check it."""
    live = [word for word in options.looking.ad if "://" in word]
    if len(live) != 1:
        raise UsageError("to change the directory name the domain controller: --ad ldap://DC")
    demand("ldap", "to change the directory")
    from agent.sources.ad import modify

    applied: Applied | None = None
    try:
        with modify.writer(ldap_source(live[0], logon, options.looking.netbios)) as writer:
            applied = change(writer)
        told = (applied.message.rstrip(), *(check if applied.outcome == "done" else ()))
        console.show(console.safe(text) + "\n" for text in told)
    except KeyboardInterrupt:
        if applied is None or applied.outcome != "interrupted":
            raise
        return exits.INTERRUPTED
    if applied.outcome in {"stopped", "interrupted"}:
        return exits.INCOMPLETE
    return exits.FINDINGS if applied.not_done else exits.CLEAN


def _apply(options: Plan, report: Report, writer: LdapWriter) -> Applied:
    confirmed, deletable = (
        frozenset(map(spn, given)) for given in (options.change.confirm, options.change.confirm_delete)
    )
    steps, folder = report.plan.steps, Path.cwd()
    with alone(folder / LOCK):
        files = Files.within(folder)
        return apply(steps, None, writer, files, confirmed, _asked, deletable=deletable, may_write=writer.may_write)


def _asked(text: str) -> bool:
    """Show what will be done and ask; only a typed "yes" counts."""
    console.say(f"{text.rstrip()}\n\nType yes to go on: ")
    return sys.stdin.readline().strip() == "yes"
