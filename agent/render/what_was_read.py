"""What a report rests on, in words: files and servers with their dates, what they cover, which clients, by whom."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Report, SourceKind, SourceRead
from agent.render.wording import first_few, shortly

LOOK_FIRST = "Who holds the SPNs nobody looked up. On any computer of the domain (needs no rights), paste into cmd:"


def questions(report: Report) -> tuple[str, ...]:
    """The lines that ask who holds what nobody looked up."""
    return report.summary.questions if report.summary is not None else ()


EXPORT_ALL = (
    "Or all of the domain at once, which also tells what else is wrong with its accounts (ldifde is of the AD tools):"
)


def exports(report: Report) -> tuple[str, ...]:
    """The lines that export the domains of which nobody looked up an account."""
    return report.summary.exports if report.summary is not None else ()


def only_told(report: Report) -> Iterator[str]:
    """That it is a part of what was judged."""
    if report.summary is not None and report.summary.only:
        only = shortly(report.summary.only, 4)
        yield f"Only {only}: everything else was judged, and is neither shown nor counted."


def looked_at(report: Report) -> list[str]:
    """What was asked besides the servers' own files: `directory.ldif (test.com)`."""
    read = report.summary.read if report.summary is not None else ()
    return [_shortly(one) for one in read if one.asked and one.source is not None and one.kind != "config"]


def _shortly(read: SourceRead) -> str:
    return f"{read.source} ({shortly(read.covers, 2)})" if read.covers else str(read.source)


def sources_told(report: Report) -> Iterator[str]:
    """Each kind of source with its names, the domains or zones it says all of, and the oldest and newest date."""
    alike: dict[tuple[SourceKind, bool], list[SourceRead]] = {}
    for read in report.summary.read if report.summary is not None else ():
        alike.setdefault((read.kind, read.asked), []).append(read)
    for (kind, asked), reads in alike.items():
        named = first_few([read.source for read in reads if read.source is not None])
        covered = first_few(list(dict.fromkeys(name for read in reads for name in read.covers)))
        covers = f" (all of {covered})" if covered and kind in {"directory", "dns"} else ""
        when = _dates(sorted(read.date for read in reads if read.date is not None)) if asked else ", not asked"
        yield f"{kind}{f': {named}' if named else ''}{covers}{when}"


def source_told(read: SourceRead) -> str:
    """One of them, without its kind: `directory.ldif (all of test.com), of 2026-11-22T10:00:00Z`."""
    covers = f" (all of {first_few(read.covers)})" if read.covers and read.kind != "config" else ""
    when = f"of {read.date}" if read.date is not None else None
    told = ", ".join(filter(None, (f"{read.source or ''}{covers}", when, read.note)))
    return told or ("read" if read.asked else "not asked")


def _dates(dates: list[str]) -> str:
    if not dates:
        return ""
    return f", of {dates[0]}" if dates[0] == dates[-1] else f", of {dates[0]} to {dates[-1]}"


def clients_told(report: Report) -> Iterator[str]:
    """The kinds of client that were asked about."""
    if report.summary is not None and report.summary.clients:
        yield f"clients: {', '.join(report.summary.clients)}"


def written(report: Report) -> str:
    """Which program wrote the report, and when."""
    return f"Written by {report.tool.name} {report.tool.version}, {report.finished}."
