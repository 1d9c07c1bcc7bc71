"""Each server: what its applications ask for, who decrypts, what happens, and the lines that decide it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from agent.model import Application, Problem, Requirement, Server
from agent.render.groups import Group, asked_and_silent, groups, settings
from agent.render.page.elements import TONES, E, badge, name, of_class, outcome_badge
from agent.render.page.findings import link
from agent.render.page.part import Part, server_anchor
from agent.render.verdict import if_told
from agent.render.wording import (
    NOT_WHOLE,
    WORDS,
    WORST_FIRST,
    Overview,
    at_line,
    first_few,
    held_by,
    place_told,
    plural,
    pool_told,
    rule_told,
    why_not,
)

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_OPEN = 8
"""So many servers are open when the page opens: of more, nobody sees the end."""
_COLUMNS = ("SPN", "Today", "Is on", "Must be on", "Need")


def servers(part: Part, *, is_open: bool = True) -> Iterator[Element]:
    """Those that fit in full; of the others how many, and how to get theirs. A few are open when the page opens."""
    if part.left_out:
        yield _too_large(part)
    is_open &= len(part.report.servers) <= _OPEN
    for server in part.servers:
        yield _server(part, server, is_open=is_open)


def _too_large(part: Part) -> Element:
    number = len(part.left_out)
    return E.div(
        of_class("card", "large"),
        E.p(
            E.b(f"This report is too large for one page: {plural(number, 'server')} of {len(part.report.servers)} "),
            "are not shown in full, those that need somebody the least. The verdict, the causes and the counts ",
            "are of all.",
        ),
        E.p(
            "Their pages: the same command with ",
            E.code("--server NAME"),
            " (* and ? stand for any letters, more than one may be given; everything is judged all the same). ",
            "All at once: --format csv, or --format json.",
        ),
    )


def _server(part: Part, server: Server, *, is_open: bool) -> Element:
    counts = part.outcomes[server.name]
    badges = [badge(TONES[each], f"{counts[each]} {WORDS[each]}") for each in WORST_FIRST if counts[each]]
    status = [badge("bad", NOT_WHOLE[server.status])] if server.status in NOT_WHOLE else []
    dns_name = [E.span(f" {server.dns_name}", of_class("dim"))] if server.dns_name is not None else []
    summary = E.summary(E.h3(server.name), *dns_name, E.span(*status, *badges, of_class("badges")))
    about = {"id": server_anchor(server.name), "data-server": server.name, "class": "server"}
    block = E.details(about, summary, *_within(part, server))
    if is_open or server.status != "ok":
        block.set("open", "")
    return block


def _within(part: Part, server: Server) -> Iterator[Element]:
    yield E.p(of_class("dim"), "Source ", name(server.source))
    if server.problems:
        yield E.ul(of_class("problems"), *(_problem(server, problem) for problem in server.problems))
    asked, silent = asked_and_silent(part.overview, server)
    told = list(groups(part.overview, server, asked))
    if told:
        yield _table(part, server, told)
    if silent:
        yield E.div(of_class("silent"), E.h4("No Kerberos asked for"), E.ul(*_silent(silent, server)))
    found = part.overview.findings[server.name]
    if found:
        yield E.div(E.h4("Findings"), E.ul(of_class("links"), *(link(part, each) for each in found)))


def _problem(server: Server, problem: Problem) -> Element:
    where = at_line(problem.file, problem.line, server)
    place = [name(where), ": "] if where else []
    return E.li(*place, f"{problem.message} ({problem.id})")


# -- its applications ----------------------------------------------------------------------------------------------


def _table(part: Part, server: Server, told: Iterable[Group]) -> Element:
    head = E.tr(*(E.th(column, {"scope": "col"}) for column in _COLUMNS))
    bodies = [_group(part, server, group) for group in told]
    return E.table(
        of_class("spns", "stacked"), E.caption(f"SPNs of {server.name}", of_class("hidden")), E.thead(head), *bodies
    )


def _group(part: Part, server: Server, group: Group) -> Element:
    first = group.applications[0]
    paths = first_few([application.path for application in group.applications])
    title = E.div(of_class("site"), E.b(first.site), " ", name(paths), *_reached(first))
    facts = E.ul(of_class("facts"), *(E.li(fact) for fact in _facts(part.overview, server, group)))
    head = E.tr(E.th(title, facts, {"colspan": str(len(_COLUMNS)), "scope": "rowgroup"}))
    rows = [_row(part, requirement) for requirement in group.requirements]
    return E.tbody(head, *(rows or [_without(group)]))


def _reached(application: Application) -> list[Element]:
    names = first_few([host.host.text for host in application.hosts])
    return [E.span(" reached as ", of_class("dim")), E.span(names, of_class("names"))] if names else []


def _facts(overview: Overview, server: Server, group: Group) -> Iterator[str]:
    """Why it is so: the row of the table, the settings with their lines, the pools; places below that differ."""
    first = group.applications[0]
    rules = dict.fromkeys(needed.rule for needed in overview.needed_by(first) if needed.requirement.matters)
    yield from (rule_told(rule) for rule in rules or {first.rule: None} if rule is not None)
    yield from settings(first, server)
    yield from dict.fromkeys(pool_told(application, server) for application in group.applications)
    if first.windows_auth is None or not first.negotiates:
        yield why_not(first, server)
    for application in group.applications:
        yield from (f"{place.path}: {place_told(place, server)}" for place in application.places)


def _without(group: Group) -> Element:
    named = group.applications[0].hosts
    reason = "no SPN: no name that clients can put into one is known" if not named else "no SPN is asked for"
    return E.tr(E.td(reason, {"colspan": str(len(_COLUMNS))}, of_class("dim")))


def _row(part: Part, requirement: Requirement) -> Element:
    account = "nobody known" if requirement.account is None else str(requirement.account)
    given = [E.span(f" {if_told(requirement.provided)}", of_class("dim"))] if requirement.provided else []
    covered = f"covered by {requirement.covered_by}" if requirement.covered_by is not None else requirement.need
    cells = (
        [name(str(requirement.spn))],
        [outcome_badge(requirement.outcome), *given],
        [name(held)] if (held := held_by(requirement)) else ["not known"],
        [name(account)],
        [covered],
    )
    row = E.tr({"data-r": part.number(requirement)})
    for label, cell in zip(_COLUMNS, cells, strict=True):
        row.append(E.td(*cell, {"data-label": label}))
    if not requirement.matters:
        row.set("class", "optional")
    return row


def _silent(applications: list[Application], server: Server) -> Iterator[Element]:
    """The reason, a line for the applications of one site that share it."""
    told = [(one.site, why_not(one, server), one) for one in applications]
    for (site, reason), same in groupby(told, key=lambda found: found[:2]):
        rows = [one for _, _, one in same]
        places = [E.li(f"{place.path}: {place_told(place, server)}") for one in rows for place in one.places]
        below = [E.ul(*places)] if places else []
        yield E.li(E.b(site), " ", name(first_few([one.path for one in rows])), f" {reason}", *below)
