"""`sweep` and `collect`: from the options of the command line to the servers asked, and to the finished run."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from agent import collect
from agent.collect import Collected, Kept, Orders, Result, Run
from agent.errors import UsageError
from agent.model import Report, Survey
from agent.passwords import Passwords
from agent.render.asked import Trouble
from agent.render.progress import SweepProgress
from agent.sources import inventory, winrm
from agent.sources.endpoint import Defaults, Endpoint
from agent.sources.inventory import Inventory
from agent.sources.ldap_computers import Computers

DEFAULT_FOLDER = Path("snapshots")


def whom(options: argparse.Namespace, computers: Callable[[], Computers]) -> Inventory:
    """Put together HOST, `--inventory` and `--from-ad` (asked through `computers`). Raises UsageError for nobody."""
    defaults = Defaults(port=options.port, transport=options.transport, user=options.user)
    paths: Sequence[str] = options.inventory or ()
    if inventory.STDIN in paths and options.password_stdin:
        raise UsageError("stdin cannot hold both the inventory and the passwords")
    parts = [inventory.words(options.hosts, defaults), *(inventory.read(path, defaults) for path in paths)]
    if options.from_ad is not None:
        found = computers()
        words = inventory.words(found.names, defaults, f"--from-ad {options.from_ad}")
        parts.append(words._replace(notes=tuple(found.notes)))
    whole = inventory.combined(parts)
    if not whole.endpoints:
        reason = "; ".join(whole.notes) or "name servers, or give --inventory or --from-ad"
        raise UsageError(f"nobody to ask: {reason}")
    return whole


def orders(
    options: argparse.Namespace, passwords: Passwords, endpoints: Sequence[Endpoint], netbios: Mapping[str, str]
) -> Orders:
    """How the servers are asked. Passwords are asked for here, before the first connection."""
    if options.transport == "certificate" and options.cert is None:
        raise UsageError("--transport certificate needs --cert FILE and --cert-key FILE")
    if options.jea and find_spec("pypsrp") is None:
        raise UsageError("--jea needs the JEA extra: pip install 'iis-spn[jea]'")
    for user in dict.fromkeys(server.user for server in endpoints if server.user and _takes_password(server)):
        passwords.of(user, "WinRM")
    return Orders(
        logon_of=_logons(options, passwords),
        tls=winrm.tls_context(options.ca, options.cert, options.cert_key),
        limits=winrm.Limits(whole=options.timeout),
        netbios=netbios,
        folder=_folder(options),
        parallel=options.parallel,
        continue_on_denied=options.continue_on_denied,
        jea=options.jea,
    )


def _takes_password(server: Endpoint) -> bool:
    return server.transport != "certificate"


def _logons(options: argparse.Namespace, passwords: Passwords) -> Callable[[Endpoint], winrm.Logon]:
    """One Logon for each user: what it keeps, the ticket-granting ticket above all, serves every server."""

    @functools.cache
    def logon(user: str | None, takes_password: bool) -> winrm.Logon:
        password = (lambda: passwords.of(user, "WinRM")) if user and takes_password else None
        return winrm.Logon(user=user, password=password, certificate=options.cert, certificate_key=options.cert_key)

    return lambda server: logon(server.user, _takes_password(server))


def _folder(options: argparse.Namespace) -> Path | None:
    folder: Path | None = options.to
    if folder is None and options.command == "collect":
        folder = DEFAULT_FOLDER
    if folder is None and options.resume:
        raise UsageError("--resume needs --to DIR, where the snapshots of the earlier run are")
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--to {folder}: {error.strerror}") from None
    return folder


def run(options: argparse.Namespace, endpoints: Sequence[Endpoint], given: Orders) -> Run:
    """Ask the servers, showing how far it is on stderr."""
    kept: Sequence[Kept] = ()
    if options.resume and given.folder is not None:
        stale_after = timedelta(hours=options.stale_after)
        endpoints, kept = collect.fresh(endpoints, given.folder, stale_after, collect.now())
    with SweepProgress(sys.stderr, len(endpoints), verbose=options.verbose) as progress:

        def told(outcome: Result) -> None:
            progress.told(outcome.endpoint.name, _in_short(outcome), outcome.seconds, failed=outcome.answer is None)

        return collect.collect(endpoints, given, kept=kept, told=told)


def survey(report: Report, finished: Run) -> Survey:
    """The report of the run, with the count of what was asked."""
    return Survey(**{name: getattr(report, name) for name in Report.__dataclass_fields__}, sweep=finished.asked)


def _in_short(outcome: Result) -> str:
    if outcome.failure is not None:
        return f"failed ({outcome.failure.stage}): {outcome.failure.reason}"
    if outcome.answer is not None and outcome.answer.server.status != "ok":
        return outcome.answer.server.status
    return "ok"


def troubles(outcomes: Sequence[Result]) -> Iterator[Trouble]:
    """The servers that failed, or answered with gaps, or may keep a remote shell for a while."""
    for outcome in outcomes:
        name, failure, answer = outcome.endpoint.name, outcome.failure, outcome.answer
        if failure is not None:
            yield Trouble(name, failure.stage, failure.reason, failure.advice)
        elif answer is not None:
            yield from _gaps(name, answer)


def _gaps(name: str, answer: Collected) -> Iterator[Trouble]:
    if answer.server.status != "ok":
        for problem in answer.server.problems:
            place = f" ({problem.file})" if problem.file else ""
            yield Trouble(name, "partial", f"{problem.message}{place}", " ".join(problem.fix))
    if answer.left_behind is not None:
        yield Trouble(name, "partial", f"a remote shell may remain for a while: {answer.left_behind}", "")
