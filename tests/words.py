"""What the words of a report may never say against the model beside them, as questions to one analysis."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, get_args

from agent.inspection.stages import Analysis
from agent.model import Finding, Report, Requirement
from agent.names import fold
from agent.render.screen import Shown
from tests.pages import in_text

BROKEN = frozenset({"modified", "duplicate", "impossible"})
SPOKEN = frozenset({"spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "client-spn-variant"})
"""Findings that say what the users of one SPN get today; a conflict or a farm says what no account can mend."""
FAILURES = ("KRB_AP_ERR_MODIFIED", "ETYPE_NOTSUPP")


def _is_about(found: Finding, requirement: Requirement) -> bool:
    """Whether a finding names a requirement: its SPN, its account, its application, or the whole server."""
    if found.spn is not None:
        return found.spn == requirement.spn and found.account in {None, requirement.account}
    if found.account is not None:
        return found.account == requirement.account
    if found.site is not None:
        here = [place.path for place in requirement.applications if (place.server, place.site) == _place(found)]
        return any(f"{found.path or ''}/".startswith(f"{path.rstrip('/')}/") for path in here)
    return found.server in {place.server for place in requirement.applications}


def _place(found: Finding) -> tuple[str | None, str | None]:
    return found.server, found.site


def _of_account(found: Finding, requirement: Requirement) -> bool:
    return found.account is not None and found.account == requirement.account


def what_is_broken_is_named_by_an_error(analysis: Analysis) -> Iterator[str]:
    """The contract: a name that users fail with never leaves exit code 0, unless somebody accepted it."""
    errors = [found for found in analysis.report.findings if found.severity == "error"]
    for wanted in analysis.report.requirements:
        if wanted.matters and wanted.outcome in BROKEN:
            named = any(_is_about(found, wanted) or _of_account(found, wanted) for found in errors)
            if not named:
                yield f"{wanted.spn} on {wanted.account} is {wanted.outcome}, and no error says so"


def an_error_of_an_spn_is_counted(analysis: Analysis) -> Iterator[str]:
    report = analysis.report
    for found in report.findings:
        if found.severity == "error" and found.id in SPOKEN:
            ends = {one.outcome for one in report.requirements if one.matters and _is_about(found, one)}
            if not ends & BROKEN or not report.spns.broken:
                yield f"{found.id} for {found.spn}: {ends}, {report.spns.broken} broken"


def no_finding_denies_that_it_works(analysis: Analysis) -> Iterator[str]:
    for found in analysis.report.findings:
        if not any(word in found.message for word in FAILURES) or found.account is None:
            continue
        for wanted in analysis.report.requirements:
            concerned = _of_account(found, wanted) if "ETYPE" in found.message else _is_about(found, wanted)
            if concerned and wanted.outcome == "kerberos":
                yield f"{wanted.spn} works, and {found.id} says: {found.message}"


def whoever_is_concerned_is_named(analysis: Analysis) -> Iterator[str]:
    """Where other clients asked about send another name, a sentence about "users" says whose."""
    for case in analysis.cases:
        asked = {client.name for client in case.clients}
        told = {each.requirement.spn: each.requirement for each in case.judged}
        for found in analysis.report.findings:
            wanted = told.get(found.spn) if found.spn is not None else None
            if wanted is None or found.id not in SPOKEN:
                continue
            for one in case.judged:
                if not _is_about(found, one.requirement):
                    continue
                yield from _unnamed(found, one.requirement, asked)


def _unnamed(found: Finding, wanted: Requirement, asked: Collection[str]) -> Iterator[str]:
    words = set(re.findall(r"[\w-]+", found.message))
    if set(wanted.asked_by) < set(asked) and (missing := set(wanted.asked_by) - words):
        yield f"{found.id} for {wanted.spn} does not name {sorted(missing)}: {found.message}"
    if strangers := words & set(asked) - set(wanted.asked_by):
        yield f"{found.id}: {sorted(strangers)} do not send {wanted.spn}: {found.message}"


# -- fixes ---------------------------------------------------------------------------------------------------------

_SETSPN = re.compile(r'setspn(?: -F)? (-[SD])(?: -F)?(?: -[CU])? ("[^"]+"|\S+) ("[^"]+"|\S+)')
_APPCMD = re.compile(r'appcmd\.exe set config ("[^"]+"|\S+).* /(\w+):(\w+)')


class Change(NamedTuple):
    """What one sentence tells to do."""

    verb: str
    name: str
    account: str


def changes(sentence: str) -> Iterator[Change]:
    """The commands in a sentence of a fix that change SPNs."""
    for verb, name, account in _SETSPN.findall(sentence):
        yield Change(verb, fold(name.strip('"')), fold(account.strip('"').removesuffix("$")))


def _sentences(report: Report) -> Iterator[str]:
    for found in report.findings:
        yield from found.fix


def fixes_do_not_contradict_each_other(analysis: Analysis) -> Iterator[str]:
    """For one SPN: nothing comes to an account that another sentence takes it from, and to one account only."""
    said = {change for sentence in _sentences(analysis.report) for change in changes(sentence)}
    for name in {change.name for change in said}:
        added = {one.account for one in said if one.name == name and one.verb == "-S"}
        removed = {one.account for one in said if one.name == name and one.verb == "-D"}
        if len(added) > 1 or added & removed:
            yield f"{name} is to be added to {added} and taken from {removed}"
    yield from _settings_contradicted(analysis.report)


def _settings_contradicted(report: Report) -> Iterator[str]:
    said: dict[tuple[str, str, str], set[str]] = {}
    for found in report.findings:
        for sentence in found.fix:
            server = re.search(r" on (\S+?):? ", sentence)
            for place, attribute, value in _APPCMD.findall(sentence):
                said.setdefault((server[1] if server else "", fold(place), attribute), set()).add(value)
    yield from (
        f"{place}: {attribute} is to be {values}" for (_, place, attribute), values in said.items() if len(values) > 1
    )


def no_fix_registers_what_another_finding_warns_of(analysis: Analysis) -> Iterator[str]:
    """A computer's own name on another account breaks WinRM, and a node's own name behind a farm stays as it is."""
    report = analysis.report
    said = {change for sentence in _sentences(report) for change in changes(sentence) if change.verb == "-S"}
    for found in report.findings:
        if found.id in {"winrm-collision", "farm-node-name"} and found.spn is not None:
            accounts = {fold(str(one)).removesuffix("$") for one in (*found.holders, found.account) if one is not None}
            added = {one.account for one in said if one.name == found.spn.key}
            if found.id == "farm-node-name" and added & accounts:
                yield f"{found.id}: {found.spn} is to be added to {added}"


# -- identities ----------------------------------------------------------------------------------------------------


def an_identity_is_blamed_only_where_it_decrypts(analysis: Analysis) -> Iterator[str]:
    """In kernel mode without useAppPoolCredentials the computer decrypts, whatever the pool runs as (scenario 1, 2)."""
    at = {(a.server, a.site, each.path): each for a in analysis.report.applications for each in (a, *a.places)}
    for found in analysis.report.findings:
        if found.id in {"local-account-decrypts", "local-service-identity"}:
            auth = at[found.server or "", found.site or "", found.path or ""].windows_auth
            if auth is None or (auth.kernel_mode and not auth.pool_credentials):
                yield f"{found.id} at {found.site}{found.path}, where the computer decrypts"


# -- the verdict ---------------------------------------------------------------------------------------------------


def ok_is_said_of_what_is_whole_known_and_right(analysis: Analysis) -> Iterator[str]:
    """No page begins or ends with OK where an error is open, something could not be read, or is not known."""
    report = analysis.report
    errors = [found.id for found in report.findings if found.severity == "error" and found.accepted is None]
    for shown in get_args(Shown):
        lines = in_text(report, 200, False, shown).splitlines()
        for line in (lines[0], lines[-1]):
            if line.startswith("OK") and (errors or not report.complete or report.spns.unknown or report.spns.ntlm):
                yield f"{line}, beside {errors}, complete {report.complete}, {report.spns}"


def the_first_screen_is_one(analysis: Analysis) -> Iterator[str]:
    """At most 40 lines; the last one repeats the counts of the first (shared rules of the first screen)."""
    lines = in_text(analysis.report, 80, False, "causes").splitlines()
    if len(lines) > 40:
        yield f"{len(lines)} lines"
    first = " ".join(lines).replace(".", ",").replace(":", "")
    for word, number in re.findall(r"(BROKEN|NTLM|OK|ERRORS?): (\d+)", lines[-1]):
        if f"{word} {number}" not in first:
            yield f"{word}: {number} stands in the last line only"


INVARIANTS: Mapping[str, Callable[[Analysis], Iterator[str]]] = {
    invariant.__name__: invariant
    for invariant in (
        what_is_broken_is_named_by_an_error,
        an_error_of_an_spn_is_counted,
        no_finding_denies_that_it_works,
        whoever_is_concerned_is_named,
        fixes_do_not_contradict_each_other,
        no_fix_registers_what_another_finding_warns_of,
        an_identity_is_blamed_only_where_it_decrypts,
        ok_is_said_of_what_is_whole_known_and_right,
        the_first_screen_is_one,
    )
}
