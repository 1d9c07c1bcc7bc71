"""`iis-spn probe`: one real request with a real ticket for each URL, beside what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from agent import __version__, exits
from agent.cli import output
from agent.cli.looking import judged, live_logon
from agent.cli.options import Looking, Probe
from agent.errors import UsageError
from agent.evidence import probed as evidence
from agent.evidence.asked import question
from agent.evidence.known import Known
from agent.inspection.stages import Analysis, clients_named
from agent.model import Report, Tool
from agent.sources.report_file import read_report
from agent.sources.selected import directory_source, name_source
from agent.sources.tls import trusting
from agent.sources.web.tickets import Tickets, Who
from agent.sources.web.together import look_at_all
from agent.spn.forests import by_forest
from agent.spn.nameservice import NameService
from agent.story import explain, read_url
from agent.story.probed import SCHEMA, Predicted, Probing, compared, gaps_of, of_outcomes, of_report, with_causes
from agent.story.probing import looks, urls_of
from agent.story.url import Url
from agent.sweep.passwords import Passwords

DEFAULT_CLIENT, DEFAULT_NAMES = "edge", "system"

_Predict = Callable[[evidence.Probe], Sequence[Predicted]]


def run(options: Probe) -> int:
    output.demand_place(options.output)
    started = _now()
    report = read_report(str(options.report)) if options.report is not None else None
    urls = _distinct([*map(read_url, options.urls), *(urls_of(report) if report is not None else ())])
    passwords, tls = Passwords(from_stdin=options.logon.password_stdin), trusting(options.logon.ca)
    tickets = Tickets(_who(options, passwords, urls))
    looking = _looking(options.looking)
    analysis = _analysis(options, looking, passwords, urls)
    names = _names(analysis, looking, urls)
    to_look = list(looks(urls, clients_named(looking.clients), names))
    predict = _predict(analysis, report, urls)
    seen = look_at_all(to_look, tickets, tls, options.parallel)
    probes = list(map(evidence.judged, seen))
    known = _known(options, looking, passwords, analysis, probes)
    known = replace(known, service=names, report=report if analysis is None else analysis.report)
    told = [compared(with_causes(probe, known), predict(probe)) for probe in probes]
    probing = Probing(
        schema=SCHEMA,
        tool=Tool("iis-spn", __version__),
        started=started,
        finished=_now(),
        probes=tuple(probe for probe, _ in told),
        findings=tuple(finding for _, finding in told if finding is not None),
        gaps=gaps_of(analysis.report) if analysis is not None else (),
    )
    output.write(options.output, probing)
    return _exit_code(probing)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _distinct(urls: Iterable[Url]) -> list[Url]:
    found = list({str(url): url for url in urls}.values())
    if not found:
        raise UsageError("nothing to probe: give a URL such as https://contoso/, or a report that has names (--report)")
    return found


def _looking(looking: Looking) -> Looking:
    """A client kind, and the system's resolver, which is what leads a browser."""
    return replace(looking, clients=looking.clients or (DEFAULT_CLIENT,), dns=looking.dns or (DEFAULT_NAMES,))


def _who(options: Probe, passwords: Passwords, urls: Sequence[Url]) -> Who | None:
    """The user of `--user`, whose password comes before that for LDAP."""
    user = options.user
    if user is None:
        return None
    password = passwords.of(user, "Kerberos")
    return Who(user, lambda: password, urls[0].host)


def _analysis(options: Probe, looking: Looking, passwords: Passwords, urls: Sequence[Url]) -> Analysis | None:
    if not options.targets:
        return None
    typed = [url.typed for url in urls]
    return judged(options.targets, looking, live_logon(options.logon, passwords), typed=typed)


def _names(analysis: Analysis | None, looking: Looking, urls: Sequence[Url]) -> NameService | None:
    if analysis is not None:
        return analysis.cases[0].service
    return name_source(looking.dns)(list(dict.fromkeys(url.host for url in urls)), [])


def _known(
    options: Probe, looking: Looking, passwords: Passwords, analysis: Analysis | None, probes: Sequence[evidence.Probe]
) -> Known:
    """Who holds what was asked for; without a TARGET the directory is asked where a server has refused a ticket."""
    if analysis is not None:
        return Known((), tuple(case.directory for case in analysis.cases if case.directory is not None))
    refused = [item for probe in probes if probe.error is not None and probe.error.server for item in probe.evidence]
    if not refused:
        return Known(())
    source = directory_source(looking.ad or ("auto",), live_logon(options.logon, passwords), looking.netbios)
    found = source.ask(question(refused)) if source.ask is not None else None
    return Known((), by_forest(found) if found is not None else ())


def _predict(analysis: Analysis | None, report: Report | None, urls: Sequence[Url]) -> _Predict:
    """What was said of what is probed: by the targets, else by the report."""
    if analysis is not None:
        outcomes = {url.text: explain(analysis, url.text).outcomes for url in urls}
        return lambda probe: of_outcomes(outcomes[probe.url], probe.client)
    if report is not None:
        said = of_report(report)
        return lambda probe: said.get(probe.spn, ()) if probe.spn is not None else ()
    return lambda _probe: ()


def _exit_code(probing: Probing) -> int:
    if probing.gaps or not all(probe.was_seen for probe in probing.probes):
        return exits.INCOMPLETE
    if probing.findings or any(probe.used != "kerberos" for probe in probing.probes):
        return exits.FINDINGS
    return exits.CLEAN
