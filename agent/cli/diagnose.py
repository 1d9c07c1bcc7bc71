"""`iis-spn diagnose`: from captured evidence, and a server's configuration where it is given, to the cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agent import __version__, exits
from agent.cli import console, output
from agent.cli.formats import Format
from agent.cli.looking import judged, live_logon
from agent.cli.options import Diagnose, Looking
from agent.errors import UsageError
from agent.evidence import asked
from agent.evidence.captured import Captured, Unread
from agent.evidence.diagnose import NO_NAMES, diagnose, used_names
from agent.evidence.known import Known
from agent.evidence.w3c_log import Row
from agent.model import Tool
from agent.sources.ad.exports import Said
from agent.sources.evidence_files import Brought, read_evidence, sorted_words
from agent.sources.selected import LiveLogon, directory_source, name_source
from agent.spn.directory import Directory
from agent.spn.forests import by_forest
from agent.spn.nameservice import NameService
from agent.spn.question import Typed

_NAMES = Format("names", (), "agent.render.used_names", "to_lines")


def run(options: Diagnose) -> int:
    output.demand_place(options.output)
    words = sorted_words(options.words)
    if None in words.evidence and options.logon.password_stdin:
        raise UsageError("--password-stdin and - both read standard input")
    taken = _Taken.of([read_evidence(path) for path in words.evidence])
    if options.names:
        return _names(options, taken)
    known = _known(options, words.targets, taken)
    unread = (*taken.unread, *(_problems(known, taken.unread) if known.report is None else ()))
    found = diagnose(known, unread, Tool("iis-spn", __version__), lacks_host=taken.lacks_host)
    output.write(options.output, found)
    is_blind = bool(words.evidence) and not found.evidence  # nothing was seen, so nothing is fine
    if is_blind or not found.complete:
        return exits.INCOMPLETE
    return exits.FINDINGS if found.causes else exits.CLEAN


class _Taken(Struct, frozen=True):
    """What all files hold together."""

    evidence: tuple[Captured, ...]
    unread: tuple[Unread, ...]
    rows: tuple[Row, ...]
    lacks_host: bool
    said: tuple[Said, ...]

    @classmethod
    def of(cls, brought: Sequence[Brought]) -> _Taken:
        return cls(
            evidence=tuple(one for each in brought for one in each.found.evidence),
            unread=tuple(one for each in brought for one in each.found.unread),
            rows=tuple(row for each in brought for row in each.found.rows),
            lacks_host=any(each.found.lacks_host for each in brought),
            said=tuple(one for each in brought for one in each.said),
        )


def _names(options: Diagnose, taken: _Taken) -> int:
    is_json = options.output.format.name == "json"
    form = options.output.format if is_json else _NAMES
    output.write(replace(options.output, format=form), used_names(taken.rows))
    for one in taken.unread:
        console.note(f"{one.source}{f':{one.line}' if one.line is not None else ''}: {one.why}")
    if taken.lacks_host and not any(row.host is not None for row in taken.rows):
        console.note(NO_NAMES)
    return exits.INCOMPLETE if taken.unread else exits.CLEAN


def _problems(known: Known, told: Sequence[Unread]) -> Iterator[Unread]:
    """What of the directory could not be read, where no report says it."""
    places = {(one.source, one.line) for one in told}
    for directory in known.directories:
        for problem in directory.problems:
            source = problem.file or directory.source
            if (source, problem.line) not in places:
                yield Unread(source, problem.line, problem.message)


# -- what is known besides -----------------------------------------------------------------------------------------


def _known(options: Diagnose, targets: Sequence[str], taken: _Taken) -> Known:
    logon = live_logon(options.logon)
    if targets:
        typed = [Typed(host, 80) for host in asked.hosts(taken.evidence)]
        analysis = judged(targets, options.looking, logon, typed=typed, said=taken.said)
        directories = tuple(case.directory for case in analysis.cases if case.directory is not None)
        service = next((case.service for case in analysis.cases if case.service is not None), None)
        return Known(taken.evidence, directories, service, analysis.report)
    directories = _directories(options.looking, logon, taken)
    return Known(taken.evidence, directories, _service(options.looking, taken), None)


def _directories(looking: Looking, logon: LiveLogon, taken: _Taken) -> tuple[Directory, ...]:
    source = directory_source(looking.ad or ("auto",), logon, looking.netbios, taken.said)
    found = source.ask(asked.question(taken.evidence)) if source.ask is not None else None
    return by_forest(found) if found is not None else ()


def _service(looking: Looking, taken: _Taken) -> NameService | None:
    return name_source(looking.dns or ("off",))(asked.hosts(taken.evidence), ())
