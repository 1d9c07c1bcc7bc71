"""The first thing people see: the verdict, what it counts, what it rests on, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agent.model import Report
from agent.render.page.elements import E, Tone, of_class, said_at
from agent.render.verdict import first_line, look, not_looked_at
from agent.render.what_was_read import looked_at, only_told, written
from agent.render.wording import counted, plural

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_LOOKS: Mapping[str, Tone] = {"bold red": "bad", "bold yellow": "mild", "bold": "open", "bold green": "good"}


def heading(title: str, when: str, verdict: str, tone: Tone) -> Iterator[Element]:
    yield E.p(of_class("brand"), E.b("iis-spn"), f" · {said_at(when)}")
    yield E.h1(title)
    yield E.p(verdict, of_class("verdict", tone))


def top(title: str, report: Report) -> Iterator[Element]:
    """The verdict of a report, and what it counts."""
    yield from heading(title, report.finished, first_line(report), _LOOKS[look(report)])
    yield from gaps(report)
    yield from (E.p(sentence, of_class("gap")) for sentence in only_told(report))
    yield from _bar(report)
    healthy = report.summary.servers.healthy if report.summary is not None else None
    parts = (
        plural(len(report.servers), "server") + (f" ({healthy} healthy)" if healthy else ""),
        plural(len(report.applications), "application"),
        counted(report),
    )
    yield E.p(" · ".join(parts), of_class("dim"))
    yield from looked(report)


def looked(report: Report) -> Iterator[Element]:
    if read := looked_at(report):
        yield E.p(f"Looked at: {', '.join(read)}", of_class("dim"))


def gaps(report: Report) -> Iterator[Element]:
    """What is not known, beside what is wrong."""
    if not report.complete:
        told = "INCOMPLETE: not everything could be read. What is not shown is not known to be right."
        yield E.p(told, of_class("gap", "bad"))
    yield from (E.p(sentence, of_class("gap")) for sentence in not_looked_at(report))


def _bar(report: Report) -> Iterator[Element]:
    """The counts of the verdict, and as a bar."""
    spns = report.spns
    parts: tuple[tuple[Tone, str, int], ...] = (
        ("bad", "BROKEN", spns.broken),
        ("mild", "NTLM", spns.ntlm),
        ("open", "NOT CHECKED", spns.unknown),
        ("good", "OK", spns.ok),
    )
    if not spns.total:
        return
    left, rects = 0.0, []
    for tone, _, number in parts:
        width = 1000 * number / spns.total
        rects.append(E.rect({"x": f"{left:.1f}", "width": f"{width:.1f}", "height": "10", "class": tone}))
        left += width
    yield E.svg(
        *rects, {"viewBox": "0 0 1000 10", "preserveAspectRatio": "none", "class": "bar", "aria-hidden": "true"}
    )
    yield E.ul(
        of_class("counts"),
        *(E.li(E.b(str(number)), f" {word}", of_class(tone if number else "none")) for tone, word, number in parts),
    )


def end(report: Report) -> Iterator[Element]:
    yield from ended(written(report))


def ended(text: str) -> Iterator[Element]:
    yield E.p(f"{text} This file loads nothing, and sends nothing.")
