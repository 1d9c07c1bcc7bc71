"""What the report rests on, and the farm from the account's side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from agent.model import AccountUse, Report
from agent.names import Spn
from agent.render.page.elements import E, long_command, name, of_class
from agent.render.what_was_read import EXPORT_ALL, LOOK_FIRST, clients_told, exports, questions, sources_told
from agent.render.wording import MEANINGS, WORDS, plural

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_NAMES = 8
_MOST = 2000


def read(report: Report) -> Iterator[Element]:
    yield E.ul(*(E.li(told) for told in (*sources_told(report), *clients_told(report))))


def asked_first(report: Report) -> Iterator[Element]:
    """The lines to paste where nobody looked."""
    if asked := questions(report):
        card = E.div(
            of_class("card", "ask"), E.p(LOOK_FIRST), *map(long_command, asked), E.p("Then give --ad held.txt.")
        )
        if whole := exports(report):
            card.extend([E.p(EXPORT_ALL), *map(long_command, whole), E.p("Then give the file with --ad.")])
        yield card


def words(report: Report) -> Iterator[Element]:
    """What the words of the tables mean."""
    used = {requirement.outcome for requirement in report.requirements}
    rows = [(WORDS[outcome], meaning) for outcome, meaning in MEANINGS.items() if outcome in used]
    if any(requirement.need == "covered" for requirement in report.requirements):
        rows.append(("covered", "a HOST/ SPN serves, no HTTP/ SPN is needed"))
    listed = E.dl()
    for word, meaning in rows:
        listed.extend([E.dt(word), E.dd(meaning)])
    yield listed
    yield E.p(E.code("iis-spn rules ID"), " explains a rule or a finding.")


def accounts(report: Report) -> Iterator[Element]:
    """What each account serves, needs, lacks, and also holds."""
    head = E.tr(*(E.th(column, {"scope": "col"}) for column in _COLUMNS))
    rows = [_row(use) for use in report.accounts[:_MOST]]
    yield E.table(of_class("sortable", "stacked", "accounts"), E.thead(head), E.tbody(*rows))
    more = len(report.accounts) - _MOST
    if more > 0:
        yield E.p(f"{plural(more, 'more account')} in --format json.")


_COLUMNS = ("Account", "Serves", "Needs", "Lacks", "Also holds")


def _row(use: AccountUse) -> Element:
    kind = [E.span(f" {use.kind}", of_class("dim"))] if use.kind else []
    covered = f", {plural(len(use.covered), 'name')} covered by HOST/" if use.covered else ""
    cells: tuple[list[Element | str], ...] = (
        [name(str(use.account)), *kind],
        [plural(len(use.applications), "application")],
        [f"{plural(len(use.needs), 'HTTP/ SPN')}{covered}"],
        list(_spns(use.lacks)),
        list(_spns(use.elsewhere)),
    )
    row = E.tr({"data-account": str(use.account)})
    for label, cell in zip(_COLUMNS, cells, strict=True):
        row.append(E.td(*cell, {"data-label": label}))
    return row


def _spns(spns: Iterable[Spn] | None) -> Iterator[Element | str]:
    if spns is None:
        yield "not known"
        return
    told = [str(spn) for spn in spns]
    if not told:
        yield "none"
    for each in told[:_NAMES]:
        yield E.div(name(each))
    if len(told) > _NAMES:
        yield f"and {len(told) - _NAMES} more"
