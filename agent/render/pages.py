"""The rule base and the findings as a reader sees them: one table, or one page of the documentation."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from agent.checks.findings import FINDINGS
from agent.errors import UsageError
from agent.names import fold, printable
from agent.render.layout import Page
from agent.render.page_text import page_text
from agent.spelling import did_you_mean
from agent.spn.rules import TABLE, Rule

PAGES = ("rules.md", "findings.md")


def overview() -> str:
    """The ten rows of the rule table in the article's columns, the principle, and every finding with its question."""
    lines = ["Who decrypts the ticket, and does the name need an SPN of its own?", ""]
    lines += [_row(HEAD), *(_row(_cells(rule)) for rule in TABLE), ""]
    lines += [*PRINCIPLE, "", "Findings (iis-spn rules ID prints the page of a rule or a finding):", ""]
    for name, kind in FINDINGS.items():
        lines += [f"{name}  [{' / '.join(kind.severities)}]", f"    {kind.when}"]
    return "\n".join(lines) + "\n"


HEAD = ("rule", "kernel mode", "useAppPool-", "pool identity", "URL name", "decrypts", "SPN")
PRINCIPLE = (
    "Kernel mode on and useAppPoolCredentials off: the computer decrypts. Otherwise the pool identity does,",
    "and every built-in identity is the computer on the network.",
    "The computer's own names are covered by HOST/ while the computer decrypts; every other name needs HTTP/.",
)
_WIDTHS = (11, 12, 12, 16, 12, 9, 0)


def _cells(rule: Rule) -> tuple[str, ...]:
    credentials = "no matter" if rule.pool_credentials is None else str(rule.pool_credentials).lower()
    spn = "HOST/ serves" if rule.spn == "covered" else f"HTTP/ on the {rule.decrypts}"
    kernel = "on" if rule.kernel_mode else "off"
    return (rule.id, kernel, credentials, rule.identity or "no matter", rule.name, rule.decrypts, spn)


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def page(name: str, width: int, color: bool) -> str:
    """The documentation's section of one rule or finding, as text. Raises UsageError for an id nobody knows."""
    for file in PAGES:
        found = _section(_text(file), fold(name))
        if found is not None:
            head = Page(width)
            head.line((fold(name), "bold"))
            return f"{head.text(color)}\n{page_text(found, width, color)}"
    asked = did_you_mean(name, known()) or _mentioned(name) or ": iis-spn rules lists them"
    raise UsageError(f"no rule or finding is called '{printable(name)}'{asked}")


_MENTIONED = 8


def _mentioned(word: str) -> str:
    """The pages that speak of a word, such as an error code from an event log."""
    sections = ((name, _section(_text(file), name)) for file in PAGES for name in known())
    found = [name for name, text in sections if text is not None and len(word) > 2 and fold(word) in fold(text)]
    more = " ..." if len(found) > _MENTIONED else ""
    return f": these speak of it: {', '.join(found[:_MENTIONED])}{more}" if found else ""


def known() -> tuple[str, ...]:
    """What has a page."""
    return (*(rule.id for rule in TABLE), *FINDINGS)


def _section(text: str, name: str) -> str | None:
    head, _, rest = f"\n{text}".partition(f"\n## {name}\n")
    if not rest and not head.endswith(f"## {name}"):
        return None
    return rest.partition("\n## ")[0].strip()


def _text(file: str) -> str:
    """From the installed package, or from docs/ beside the source tree."""
    packaged = files("agent").joinpath("docs", file)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "docs" / file).read_text(encoding="utf-8")
