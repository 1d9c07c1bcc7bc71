"""The rule base and the findings as a reader sees them: one table, or one page of the documentation."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from agent.checks.findings import FINDINGS
from agent.errors import UsageError
from agent.names import fold
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


def page(name: str) -> str:
    """The documentation's section of one rule or finding. Raises UsageError for an id nobody knows."""
    for file in PAGES:
        found = _section(_text(file), fold(name))
        if found is not None:
            return found
    raise UsageError(f"no rule or finding is called {name!r}: iis-spn rules lists them")


def _section(text: str, name: str) -> str | None:
    head, _, rest = f"\n{text}".partition(f"\n## {name}\n")
    if not rest and not head.endswith(f"## {name}"):
        return None
    return f"{name}\n{'=' * len(name)}\n{rest.partition(chr(10) + '## ')[0].rstrip()}\n"


def _text(file: str) -> str:
    """From the installed package, or from docs/ beside the source tree."""
    packaged = files("agent").joinpath("docs", file)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "docs" / file).read_text(encoding="utf-8")
