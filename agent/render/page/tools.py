"""What searches, filters and sorts; it stands on the page where its script runs."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from agent.model import SEVERITIES, Severity
from agent.render.page.elements import SEVERITY_WORDS, E, of_class, present
from agent.render.page.part import Part
from agent.render.wording import WORDS, WORST_FIRST

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element


def tools(part: Part) -> Element:
    """The choices are those that the report has."""
    outcomes = {requirement.outcome for requirement in part.requirements}
    accounts = sorted({str(one.account) for one in part.requirements if one.account is not None})
    return form(
        "name, SPN, account",
        _choice("Outcome", "outcome", [(each, WORDS[each]) for each in WORST_FIRST if each in outcomes]),
        by_severity({found.severity for found in part.findings}),
        by_name("Server", "server", [server.name for server in part.servers]),
        by_name("Account", "account", accounts),
        E.label("Sort ", E.select({"name": "sort"}, *(_option(*each) for each in _ORDERS))),
        more=E.button("Open all", {"type": "button", "name": "all"}),
    )


_ORDERS = (("", "as inspected"), ("worst", "worst first"), ("name", "by name"))


def form(what: str, *choices: Element | None, more: Element | None = None) -> Element:
    """A search for `what`, choices beside it, and how much is left."""
    return E.form(
        of_class("tools"),
        {"role": "search", "aria-label": "Search and filter"},
        E.label("Search ", E.input({"type": "search", "name": "text", "placeholder": what})),
        *present(*choices),
        E.button("Clear", {"type": "reset"}),
        *present(more),
        E.output({"aria-live": "polite"}),
    )


def by_severity(severities: Container[Severity]) -> Element | None:
    kinds = [(severity, SEVERITY_WORDS[severity]) for severity in SEVERITIES if severity in severities]
    return _choice("Severity", "severity", kinds)


def by_name(title: str, key: str, names: Iterable[str]) -> Element | None:
    return _choice(title, key, [(each, each) for each in names])


def _choice(title: str, key: str, choices: Iterable[tuple[str, str]]) -> Element | None:
    """None where there is nothing to choose."""
    options = [_option(value, told) for value, told in choices]
    if len(options) < 2:
        return None
    return E.label(f"{title} ", E.select({"name": key}, _option("", "all"), *options))


def _option(value: str, told: str) -> Element:
    return E.option(told, {"value": value})
