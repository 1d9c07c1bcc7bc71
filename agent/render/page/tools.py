"""What searches, filters and sorts; it stands on the page where its script runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent.model import SEVERITIES
from agent.render.page.elements import SEVERITY_WORDS, WORST_FIRST, E, of_class
from agent.render.page.part import Part
from agent.render.wording import WORDS

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element


def tools(part: Part) -> Element:
    """The choices are those that the report has."""
    outcomes = {requirement.outcome for requirement in part.requirements}
    severities = {found.severity for found in part.findings}
    accounts = sorted({str(one.account) for one in part.requirements if one.account is not None})
    ends = [(outcome, WORDS[outcome]) for outcome in WORST_FIRST if outcome in outcomes]
    kinds = [(severity, SEVERITY_WORDS[severity]) for severity in SEVERITIES if severity in severities]
    return E.form(
        of_class("tools"),
        {"role": "search", "aria-label": "Search and filter"},
        E.label("Search ", E.input({"type": "search", "name": "text", "placeholder": "name, SPN, account"})),
        _choice("Outcome", "outcome", ends),
        _choice("Severity", "severity", kinds),
        _choice("Server", "server", [(server.name, server.name) for server in part.servers]),
        _choice("Account", "account", [(account, account) for account in accounts]),
        E.label(
            "Sort ",
            E.select(
                {"name": "sort"},
                _option("", "as inspected"),
                _option("worst", "worst first"),
                _option("name", "by name"),
            ),
        ),
        E.button("Clear", {"type": "reset"}),
        E.button("Open all", {"type": "button", "name": "all"}),
        E.output({"aria-live": "polite"}),
    )


def _choice(title: str, key: str, choices: Iterable[tuple[str, str]]) -> Element:
    options = [_option(value, told) for value, told in choices]
    return E.label(f"{title} ", E.select({"name": key}, _option("", "all"), *options))


def _option(value: str, told: str) -> Element:
    return E.option(told, {"value": value})
