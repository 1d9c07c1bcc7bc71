"""`sweep` and `collect`: from the options of the command line to the servers asked, and to the finished run."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from agent.errors import MalformedError, UsageError
from agent.model import Report, Survey
from agent.render.asked import Trouble
from agent.render.progress import SweepProgress
from agent.sources.ad.computers import Computers
from agent.sources.endpoint import Defaults, Endpoint, account_of, secret_of
from agent.sources.extras import demand
from agent.sources.inventory import servers
from agent.sources.inventory.servers import Inventory
from agent.sources.snapshots import sweep_file
from agent.sources.snapshots.sweep_file import NOT_ASKED, Failed, Sweep
from agent.sources.snapshots.targets import StaleAfter
from agent.sources.winrm import client
from agent.sweep import collect
from agent.sweep.collect import Collected, Kept, Orders, Result, Run
from agent.sweep.options import Asking, Keeping
from agent.sweep.passwords import Passwords


def named(asking: Asking) -> Inventory:
    """The servers of HOST and `--inventory`."""
    defaults, paths = asking.winrm.defaults, asking.whom.inventory
    if servers.STDIN in paths and asking.logon.password_stdin:
        raise UsageError("stdin cannot hold both the inventory and the passwords")
    parts = [servers.words(asking.whom.hosts, defaults), *(servers.read_inventory(path, defaults) for path in paths)]
    return servers.combined(parts)


def whom(asking: Asking, passwords: Passwords, computers: Callable[[], Computers]) -> Inventory:
    """Everyone to ask, `--from-ad` (asked through `computers`) included. Raises UsageError for nobody.

    Passwords are asked for here, those for WinRM before the one for LDAP, and all before the first connection.
    """
    whole = named(asking)
    _ask_passwords(asking, whole.endpoints, passwords)
    if asking.whom.from_ad is not None:
        whole = servers.combined([whole, _listed(computers(), asking.whom.from_ad, asking.winrm.defaults)])
    if not whole.endpoints:
        reason = "; ".join(whole.notes) or "name servers, or give --inventory or --from-ad"
        raise UsageError(f"nobody to ask: {reason}")
    if asking.winrm.cert is None and any(server.transport == "certificate" for server in whole.endpoints):
        raise UsageError("the transport certificate needs --cert FILE and --cert-key FILE")
    return whole


def _listed(computers: Computers, unit: str, defaults: Defaults) -> Inventory:
    """The computers of an OU; one with a name no other has a use for is left out, and costs no other anything."""
    usable, notes = list[Inventory](), list(computers.notes)
    for name in computers.names:
        try:
            usable.append(servers.words([name], defaults, f"--from-ad {unit}"))
        except UsageError as error:
            notes.append(f"left out: {error}")
    return servers.combined(usable)._replace(notes=tuple(notes))


def _ask_passwords(asking: Asking, endpoints: Sequence[Endpoint], passwords: Passwords) -> None:
    winrm, users = asking.winrm, dict[str, str]()
    for server in endpoints:
        account = secret_of(server)
        if account is not None and server.user:
            users.setdefault(account, server.user)
    if asking.whom.from_ad is not None and winrm.user and winrm.transport != "certificate":
        users.setdefault(account_of(winrm.user), winrm.user)
    if winrm.password_env is not None and len(users) > 1:
        raise UsageError(f"--password-env holds one password, but the servers are asked as {len(users)} users")
    for user in users.values():
        passwords.of(user, "WinRM")
    if asking.logon.ad_user is not None:
        passwords.of(asking.logon.ad_user, "LDAP")


def orders(asking: Asking, passwords: Passwords, netbios: Mapping[str, str]) -> Orders:
    """How the servers are asked."""
    winrm = asking.winrm
    if winrm.jea:
        demand("jea", "--jea")
    return Orders(
        logon_of=_logons(passwords),
        tls=client.tls_context(asking.logon.ca, winrm.cert, winrm.cert_key),
        limits=client.Limits(whole=winrm.timeout),
        netbios=netbios,
        folder=_folder(asking.keeping),
        parallel=winrm.parallel,
        continue_on_denied=winrm.continue_on_denied,
        jea=winrm.jea,
    )


def _logons(passwords: Passwords) -> Callable[[Endpoint], client.Logon]:
    """One Logon for each account: what it keeps, the ticket-granting ticket above all, serves every server."""
    logons: dict[str | None, client.Logon] = {}

    def logon(server: Endpoint) -> client.Logon:
        account, user = secret_of(server), server.user
        if account not in logons:
            password = functools.partial(passwords.of, user, "WinRM") if account is not None and user else None
            logons[account] = client.Logon(user=user if password else None, password=password)
        return logons[account]

    return logon


def _folder(keeping: Keeping) -> Path | None:
    if keeping.to is None:
        if keeping.resume:
            raise UsageError("--resume needs --to DIR, where the snapshots of the earlier run are")
        return None
    try:
        keeping.to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--to {keeping.to}: {error.strerror}") from None
    return keeping.to


def run(asking: Asking, endpoints: Sequence[Endpoint], given: Orders) -> Run:
    """Ask the servers, showing how far it is on stderr, and keep a record beside their snapshots."""
    if given.folder is None:
        return _asked(asking, endpoints, given, ())
    waiting, kept, started = endpoints, list[Kept](), collect.now()
    if asking.keeping.resume:
        waiting, kept = collect.fresh(endpoints, given.folder, StaleAfter(asking.keeping.stale_after, started))
    _begin_record(given.folder, started, endpoints, waiting)
    finished = _asked(asking, waiting, given, kept)
    return finished._replace(unrecorded=_end_record(given.folder, started, endpoints, finished))


def _asked(asking: Asking, endpoints: Sequence[Endpoint], given: Orders, kept: Sequence[Kept]) -> Run:
    with SweepProgress(sys.stderr, len(endpoints), verbose=asking.winrm.verbose) as progress:

        def told(outcome: Result) -> None:
            progress.told(outcome.endpoint.name, _in_short(outcome), outcome.seconds, failed=outcome.answer is None)

        return collect.collect(endpoints, given, kept=kept, told=told)


_BROKEN_OFF = ("the sweep was broken off before it was heard", "Run it again; with --resume it goes on here.")


def _begin_record(folder: Path, started: datetime, every: Sequence[Endpoint], waiting: Sequence[Endpoint]) -> None:
    """Until it is heard each server has given no answer: a run that is killed leaves that behind.

    Raises UsageError where the record cannot be kept, before anybody is asked.
    """
    silent = tuple(Failed(endpoint.name, NOT_ASKED, *_BROKEN_OFF) for endpoint in waiting)
    try:
        sweep_file.add_run(folder, _record(started, None, every, silent))
    except MalformedError as error:
        raise UsageError(f"{error}. It says which servers failed before: mend it, or move it away") from None
    except OSError as error:
        raise UsageError(f"--to {folder}: {error.strerror}") from None


def _end_record(folder: Path, started: datetime, every: Sequence[Endpoint], finished: Run) -> str | None:
    """Put what became of each server into the record. Answers why that could not be done."""
    failures = [(outcome.endpoint.name, outcome.failure) for outcome in finished.outcomes if outcome.failure]
    failed = tuple(Failed(name, *failure) for name, failure in failures)
    try:
        sweep_file.add_run(folder, _record(started, collect.now(), every, failed))
    except (MalformedError, OSError) as error:
        return f"{folder / sweep_file.SWEEP} does not say what became of this run: {error}"
    return None


def _record(
    started: datetime, finished: datetime | None, every: Sequence[Endpoint], failed: tuple[Failed, ...]
) -> Sweep:
    return Sweep(
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        finished=f"{finished:%Y-%m-%dT%H:%M:%SZ}" if finished is not None else None,
        asked=tuple(endpoint.name for endpoint in every),
        failed=failed,
    )


def survey(report: Report, finished: Run) -> Survey:
    """The report of the run, with the count of what was asked."""
    return Survey(**{name: getattr(report, name) for name in Report.__struct_fields__}, sweep=finished.asked)


def _in_short(outcome: Result) -> str:
    if outcome.failure is not None:
        return f"failed ({outcome.failure.stage}): {outcome.failure.reason}"
    return outcome.answer.standing.status if outcome.answer is not None else "ok"


def troubles(outcomes: Sequence[Result]) -> Iterator[Trouble]:
    """The servers that failed, or answered with gaps, or may keep a remote shell for a while."""
    for outcome in outcomes:
        name, failure, answer = outcome.endpoint.name, outcome.failure, outcome.answer
        if failure is not None:
            yield Trouble(name, failure.stage, failure.reason, failure.advice)
        elif answer is not None:
            yield from _gaps(name, answer)


def shells_left(outcomes: Sequence[Result]) -> list[str]:
    """The servers that answered and may keep a remote shell for a while; of one that failed its failure says so."""
    return [one.endpoint.name for one in outcomes if one.answer is not None and one.answer.left_behind is not None]


def _gaps(name: str, answer: Collected) -> Iterator[Trouble]:
    for gap in answer.standing.gaps:
        place = f" ({gap.file})" if gap.file else ""
        yield Trouble(name, "partial", f"{gap.message}{place}", " ".join(gap.fix))
    if answer.left_behind is not None:
        yield Trouble(name, "partial", f"a remote shell may remain for a while: {answer.left_behind}", "")
