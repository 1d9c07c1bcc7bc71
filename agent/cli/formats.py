"""THE TABLE of output formats: what writes each, in which encoding, and which commands know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from agent.evidence.diagnosis import Diagnosis, UsedNames
    from agent.history import Difference
    from agent.model import Report
    from agent.render.screen import Screen
    from agent.story.probed import Probing

Command = Literal["inspect", "sweep", "explain", "plan", "diff", "probe", "diagnose"]


class Format(NamedTuple):
    """One way to write a report: `function` of `module` takes it and gives its text, whole or in pieces.

    With `for_screen` it is also told what it writes for. The module is imported when it writes.
    """

    name: str
    commands: tuple[Command, ...]
    module: str
    function: str
    encoding: str = "utf-8"
    for_screen: bool = False

    def pieces(self, report: Report | Difference | Probing | Diagnosis | UsedNames, screen: Screen) -> Iterable[str]:
        """The text in pieces, for a report may be larger than the memory."""
        render = getattr(import_module(self.module), self.function)
        text = render(report, *screen) if self.for_screen else render(report)
        return [text] if isinstance(text, str) else text


FORMATS = (
    Format("table", ("inspect", "sweep"), "agent.render.terminal", "to_text", for_screen=True),
    Format("table", ("explain",), "agent.render.story", "to_text", for_screen=True),
    Format("table", ("plan",), "agent.render.steps", "to_text", for_screen=True),
    Format("table", ("diff",), "agent.render.changes", "to_text", for_screen=True),
    Format("table", ("probe",), "agent.render.probed", "to_text", for_screen=True),
    Format("table", ("diagnose",), "agent.render.diagnosis", "to_text", for_screen=True),
    Format(
        "json",
        ("inspect", "sweep", "explain", "plan", "diff", "probe", "diagnose"),
        "agent.model.document",
        "json_pieces",
    ),
    Format("csv", ("inspect", "sweep"), "agent.render.sheet", "to_csv", encoding="utf-8-sig"),
    Format("csv", ("plan",), "agent.render.steps_sheet", "to_csv", encoding="utf-8-sig"),
    Format("html", ("inspect", "sweep"), "agent.render.page.report", "to_html"),
    Format("html", ("explain",), "agent.render.page.story", "to_html"),
    Format("html", ("plan",), "agent.render.page.steps", "to_html"),
    Format("html", ("diff",), "agent.render.page.changes", "to_html"),
    Format("markdown", ("inspect", "sweep"), "agent.render.markdown", "to_markdown"),
    Format("markdown", ("plan",), "agent.render.steps_markdown", "to_markdown"),
    Format("jsonl", ("inspect", "sweep", "explain"), "agent.render.jsonl", "to_jsonl"),
    Format("csv", ("diff",), "agent.render.changes_sheet", "to_csv", encoding="utf-8-sig"),
    Format("markdown", ("diff",), "agent.render.changes_markdown", "to_markdown"),
    Format("markdown", ("probe",), "agent.render.probed_markdown", "to_markdown"),
    Format("markdown", ("diagnose",), "agent.render.diagnosis_markdown", "to_markdown"),
    Format("jsonl", ("diff",), "agent.render.changes_lines", "to_jsonl"),
    Format("sarif", ("inspect", "sweep"), "agent.render.sarif", "to_sarif"),
    Format("junit", ("inspect", "sweep"), "agent.render.junit", "to_junit"),
    Format("prometheus", ("inspect", "sweep"), "agent.render.prometheus", "to_prometheus"),
    Format("bloodhound", ("inspect", "sweep"), "agent.render.bloodhound", "to_bloodhound"),
    Format("cmd", ("plan",), "agent.render.cmd", "to_cmd"),
    Format("powershell", ("plan",), "agent.render.powershell", "to_powershell"),
    Format("ldif", ("plan",), "agent.render.ldif", "to_ldif"),
    Format("ticket", ("plan",), "agent.render.ticket", "to_ticket"),
)


def known_by(command: Command) -> Mapping[str, Format]:
    """The formats of a command by name, the default one first."""
    return {form.name: form for form in FORMATS if command in form.commands}
