"""`inspect` and `sweep` as a page: the verdict, the causes, the picture, the farm, each server, each finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.model import Report
from agent.render.page import sources
from agent.render.page.causes import are_told, causes
from agent.render.page.farm import farm
from agent.render.page.findings import findings
from agent.render.page.frame import Section, Sheet, written
from agent.render.page.part import Part
from agent.render.page.pictures import pictures
from agent.render.page.servers import servers
from agent.render.page.tools import tools
from agent.render.page.top import end, top

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

TITLE = "Service principal names of IIS"


def to_html(report: Report) -> Iterator[str]:
    """The page a piece at a time."""
    part = Part(report)
    return written(
        Sheet(TITLE, _top(report), list(_sections(part)), part.model(), end(report), tools(part)),
    )


def _top(report: Report) -> Iterator[Element]:
    yield from top(TITLE, report)
    yield from sources.asked_first(report)


def _sections(part: Part) -> Iterator[Section]:
    report = part.report
    if are_told(report):
        yield Section("causes", "Causes, and what to do", causes(part))
    if any(requirement.matters for requirement in part.requirements):
        yield Section("picture", "The picture", pictures(part))
    if len(report.servers) > 1:
        yield Section("farm", "The farm", farm(part))
    if report.servers:
        yield Section("servers", "Servers", servers(part))
    if part.findings:
        yield Section("findings", "Findings", findings(part))
    if report.accounts:
        yield Section("accounts", "Accounts", sources.accounts(report))
    if report.summary is not None:
        yield Section("read", "What was read", sources.read(report))
    yield Section("words", "What the words mean", sources.words(report))
