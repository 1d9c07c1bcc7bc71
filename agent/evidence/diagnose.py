"""From evidence, directory and report to the diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agent.evidence.captured import Captured, Unread
from agent.evidence.causes import can_stand
from agent.evidence.complaints import complaints
from agent.evidence.diagnosis import SCHEMA, Diagnosis, PossibleCause, UsedName, UsedNames
from agent.evidence.judge import causes
from agent.evidence.known import Known
from agent.evidence.w3c_log import Row, span
from agent.model import Tool


def diagnose(known: Known, unread: Sequence[Unread], tool: Tool, *, lacks_host: bool = False) -> Diagnosis:
    """What the evidence says, what the cause may be, and what was not given."""
    found = causes(known)
    return Diagnosis(
        schema=SCHEMA,
        tool=tool,
        evidence=tuple(known.evidence),
        causes=found,
        unread=tuple(unread),
        warnings=(*_secrets(known.evidence), *_contradictions(known), *((NO_NAMES,) if lacks_host else ())),
        collect=tuple(_missing(known, found)),
        report=known.report,
    )


NO_NAMES = (
    "The log does not say which names clients used: cs-host is not among IIS's default fields. To log it: "
    "%windir%\\System32\\inetsrv\\appcmd.exe set config -section:system.applicationHost/sites "
    "/siteDefaults.logFile.logExtFileFlags:Date,Time,ClientIP,UserName,ServerIP,Method,UriStem,UriQuery,HttpStatus,"
    "Win32Status,TimeTaken,ServerPort,UserAgent,Referer,HttpSubStatus,Host /commit:apphost"
)
"""What IIS logs unless it is told otherwise, and the name that the client sent."""


MOST_WARNINGS, MOST_NAMES = 20, 2
"""Places with secrets that are named one by one, and SPNs with lines that ask about them."""


def _secrets(evidence: Iterable[Captured]) -> Iterator[str]:
    secret = [one for one in evidence if one.secret]
    for one in secret[:MOST_WARNINGS]:
        if one.kind == "ap-req":
            yield (
                f"{one.source}:{one.line} holds a ticket: whoever reads it can use it for minutes, as the user. Delete "
                "it there."
            )
        else:
            yield f"{one.source}:{one.line} holds an answer of NTLM, from which the password can be guessed: delete it."
    if len(secret) > MOST_WARNINGS:
        files = ", ".join(dict.fromkeys(one.source for one in secret))
        yield f"{len(secret) - MOST_WARNINGS} more places hold tickets or answers of NTLM: delete {files}."


def _contradictions(known: Known) -> Iterator[str]:
    """Where who tried to decrypt is not who should by the configuration: a check on what the report says."""
    for one in complaints(known):
        if one.who is None or one.spn is None:
            continue
        wanted = [each for each in known.requirements(one.spn) if each.account is not None]
        if wanted and all(each.account is not None and one.who.match(each.account) == "other" for each in wanted):
            expected = " or ".join(dict.fromkeys(str(each.account) for each in wanted))
            yield (
                f"By the configuration that was given {expected} decrypts tickets for {one.spn}, but {one.who.text} "
                "tried: it is another server, or the configuration is another one by now."
            )


def _missing(known: Known, found: Sequence[PossibleCause]) -> Iterator[str]:
    """What was not given and would say more, whole lines where there is one."""
    open_ = [one for one in found if one.likelihood != "certain"]
    if not open_:
        return
    found_names = dict.fromkeys(one.spn for one in open_ if one.spn is not None and can_stand(one.spn))
    names = list(found_names)[:MOST_NAMES]
    if not known.directories:
        for name in names:
            yield f"setspn -F -Q {name}"
            yield f"setspn -F -Q {name.with_service('HOST')}"
        if not names and any(one.id.startswith("spn-") for one in open_):
            yield "setspn -X -F"
    if known.report is None:
        yield "iis-spn collect SERVER --to snapshots"
    if not any(one.kind in {"event-4", "klist", "ap-req"} for one in known.evidence):
        yield "klist"
    if known.service is None and not any(one.kind == "dns" for one in known.evidence):
        yield from (f"nslookup {name.host}" for name in names if not name.host.is_address)


def used_names(rows: Iterable[Row]) -> UsedNames:
    """The names in logs, without ports, sorted."""
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        if row.host is not None:
            by_key.setdefault(row.host.key, []).append(row)
    return UsedNames(tuple(_used(key, by_key[key]) for key in sorted(by_key)))


def _used(key: str, rows: Sequence[Row]) -> UsedName:
    first, last = span(rows)
    return UsedName(key, sum(row.requests for row in rows), first, last)
