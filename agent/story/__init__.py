"""The story of one request: name typed -> DNS -> SPN asked -> holder -> application -> who decrypts -> outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from agent.checks.accounts import OF_THE_ACCOUNT
from agent.checks.causes import causes
from agent.checks.commands import setspn_questions
from agent.checks.configuration import DOWNWARDS
from agent.errors import UsageError
from agent.inspection.stages import Analysis
from agent.model import ApplicationRef, ClientOutcome, Explanation, Finding, Report, Summary
from agent.names import fold
from agent.story.answering import Answering, answering, is_below
from agent.story.outcome import Asking, nobody, repaired
from agent.story.url import Url, read_url

__all__ = ["Url", "explain", "read_url"]


def explain(analysis: Analysis, text: str) -> Explanation:
    """Tell for each client kind what happens with one URL. Raises UsageError where what answers it was left out."""
    url = read_url(text)
    found: list[Answering] = []
    every: list[Answering] = []
    outcomes: list[ClientOutcome] = []
    advised = {(each.spn, each.account): each.advice for each in analysis.report.requirements}
    for case in analysis.cases:
        answers = list(answering(case, url))
        here = [each for each in answers if analysis.chosen.application(each.application)]
        every += answers
        found += here
        told = [
            Asking(case=case, url=url, client=client, found=each, advised=advised).told()
            for each in here
            for client in case.clients
        ]
        outcomes += repaired(case, told)
    if every and not found:
        others = ", ".join(f"{each.server.label}/{each.site}" for each in every)
        raise UsageError(f"{url.text} is answered by {others}, which --server and --site leave out")
    if not found:
        outcomes = [nobody(analysis.cases[0], url, client) for client in analysis.cases[0].clients]
    report = analysis.report
    concern = _Concern(report, url, found, outcomes)
    findings = tuple(each for each in report.findings if concern.by(each))
    fields = {**{name: getattr(report, name) for name in report.__struct_fields__}, "findings": findings}
    return Explanation(
        **{**fields, "causes": causes(findings), "summary": _summary(report.summary, outcomes)},
        url=url.text,
        outcomes=tuple(outcomes),
        answered=bool(found),
        unnamed=tuple(dict.fromkeys(_unnamed(found, outcomes))),
    )


def _summary(of_all: Summary | None, outcomes: Iterable[ClientOutcome]) -> Summary | None:
    """That of the report, which asks about no other site's SPNs."""
    unchecked = (each.spn.instance for each in outcomes if each.spn is not None and each.outcome == "unchecked")
    return None if of_all is None else replace(of_all, questions=setspn_questions(unchecked))


def _unnamed(found: Iterable[Answering], outcomes: Iterable[ClientOutcome]) -> Iterator[str]:
    """The servers on whose names the answer depends, and nobody said them."""
    open_: dict[str | None, list[ClientOutcome]] = {}
    for outcome in outcomes:
        if outcome.outcome == "uncertain" and outcome.spn is not None:
            open_.setdefault(outcome.server, []).append(outcome)
    for each in found:
        ends = open_.get(each.server.label, [])
        if not each.server.machine.is_known and any(not each.is_sure or end.decrypts_as is None for end in ends):
            yield each.server.label


class _Concern:
    """Which findings are about the applications that answer, and what their clients ask for."""

    def __init__(self, report: Report, url: Url, found: Iterable[Answering], outcomes: Iterable[ClientOutcome]) -> None:
        self.url = url
        self.answering = {each.application.reference: each for each in found}
        self.spns = {outcome.spn for outcome in outcomes if outcome.spn is not None}
        self.accounts = {outcome.decrypts_as for outcome in outcomes if outcome.decrypts_as is not None}
        self.needed = {
            (requirement.spn, account)
            for requirement in report.requirements
            if any(reference in self.answering for reference in requirement.applications)
            for account in (requirement.account, None)
        }

    def by(self, found: Finding) -> bool:
        """Whether one is."""
        if found.id == "farm-node-name":  # told once for each node, by its short name
            return any(
                found.server == each.server.label and each.is_own(self.url.host) for each in self.answering.values()
            )
        if found.id in OF_THE_ACCOUNT:
            return found.account in self.accounts
        if found.spn is not None:
            return found.spn in self.spns and (found.spn, found.account) in self.needed
        if found.server is None:
            return found.severity != "info"
        return any(self._is_here(found, place, each) for place, each in self.answering.items())

    def _is_here(self, found: Finding, place: ApplicationRef, each: Answering) -> bool:
        if found.server != place.server or found.site not in {None, place.site}:
            return False
        if found.path is None or fold(found.path) in {fold(place.path), fold(each.decided.path)}:
            return True
        return found.id in DOWNWARDS and is_below(self.url.path, found.path)
