"""What was seen beside what was predicted: the same word, or two chains that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agent.evidence.judge import causes
from agent.evidence.known import Known
from agent.evidence.probed import Probe
from agent.model import ClientOutcome, Finding, Outcome, Report, Tool
from agent.names import AccountName, Likeness, Spn

SCHEMA = "iis-spn/probe/1"


class Probing(Struct, frozen=True, kw_only=True):
    """What one real request to each URL has shown, and where that contradicts what was predicted.

    `gaps` say what could not be read of what was given to predict from.
    """

    schema: str
    tool: Tool
    started: str
    finished: str
    probes: tuple[Probe, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...] = ()


class Predicted(Struct, frozen=True, kw_only=True):
    """What was said of one URL, client kind and server; `outcome` None: that no ticket is asked for."""

    outcome: Outcome | None
    decrypts_as: AccountName | None
    answers: tuple[AccountName, ...] | None
    because: tuple[str, ...]
    server: str | None
    site: str | None
    path: str | None


def gaps_of(report: Report) -> tuple[str, ...]:
    """What of the servers, the directory and DNS was not read."""
    of_servers = [f"{server.name}: {each.message}" for server in report.servers for each in server.problems]
    return (*of_servers, *(found.message for found in report.findings if found.id in _OF_SOURCES))


_OF_SOURCES = frozenset({"directory-incomplete", "dns-incomplete"})


def of_outcomes(outcomes: Iterable[ClientOutcome], client: str) -> tuple[Predicted, ...]:
    """What `explain` says for one kind of client, of each server that may answer."""
    return tuple(
        Predicted(
            outcome=each.outcome,
            decrypts_as=each.decrypts_as,
            answers=each.answers,
            because=each.because,
            server=each.server,
            site=each.site,
            path=each.path,
        )
        for each in outcomes
        if each.client == client
    )


def of_report(report: Report) -> Mapping[Spn, Sequence[Predicted]]:
    """What an earlier report says of each SPN that clients ask for."""
    found: dict[Spn, list[Predicted]] = {}
    for each in report.requirements:
        place = each.applications[0] if each.applications else None
        predicted = Predicted(
            outcome=each.outcome,
            decrypts_as=each.account,
            answers=each.answers,
            because=(f"{each.spn} must be on {each.account or 'an account that is not known'}: {each.outcome}.",),
            server=place.server if place is not None else None,
            site=place.site if place is not None else None,
            path=place.path if place is not None else None,
        )
        found.setdefault(each.spn, []).append(predicted)
    return found


def with_causes(probe: Probe, known: Known) -> Probe:
    """The probe with what `diagnose` makes of its evidence, where the server says something against the ticket."""
    if probe.error is None or probe.error.server is None:
        return probe
    return replace(probe, causes=causes(replace(known, evidence=probe.evidence)))


def compared(probe: Probe, predicted: Sequence[Predicted]) -> tuple[Probe, Finding | None]:
    """The probe with what was predicted, and the finding where the two contradict each other.

    Where several servers may answer, it is predicted as far as all of them agree.
    """
    if not predicted:
        return probe, None
    words = {each.outcome for each in predicted}
    outcome = words.pop() if len(words) == 1 else "uncertain"
    probe = replace(probe, predicted=outcome, decrypts_as=_decrypts_as(probe, predicted))
    first = predicted[0]
    contradicts = not any(_agrees(probe.observed, each.outcome) and _same_account(probe, each) for each in predicted)
    return probe, _differs(probe, first) if contradicts else None


_SILENT = frozenset({None, "uncertain", "unchecked"})
_ALIKE: tuple[frozenset[Outcome], ...] = (
    frozenset({"ntlm-fallback", "duplicate"}),
    frozenset({"impossible", "ntlm-fallback"}),
    frozenset({"impossible", "duplicate"}),
    frozenset({"impossible", "modified"}),
)
"""Outcomes that a client cannot tell apart: of a duplicate the KDC says the same as of a name that nobody holds, and
where no account can decrypt it may still give a ticket for a HOST/ SPN."""


def _agrees(observed: Outcome | None, predicted: Outcome | None) -> bool:
    """Whether the one does not contradict the other; what is not known contradicts nothing.

    A server that lets people in without a logon may ask for one elsewhere, so nothing follows from that either.
    """
    if observed in _SILENT or predicted in {"uncertain", "unchecked"} or observed == predicted:
        return True
    return {observed, predicted} in _ALIKE


def _same_account(probe: Probe, predicted: Predicted) -> bool:
    """False where the server named another account than the one that should decrypt."""
    if probe.decrypts_as is None or predicted.decrypts_as is None:
        return True
    return probe.decrypts_as.likeness(predicted.decrypts_as) is not Likeness.OTHER


def _decrypts_as(probe: Probe, predicted: Sequence[Predicted]) -> AccountName | None:
    """As it is called where somebody said it. A ticket that was opened was so with the key of whom the KDC picked."""
    said = probe.decrypts_as
    if said is not None:
        return next((each.decrypts_as for each in predicted if each.decrypts_as == said), said)
    answers = {each.answers for each in predicted}
    only = answers.pop() if len(answers) == 1 else None
    return only[0] if probe.observed == "kerberos" and only is not None and len(only) == 1 else None


_FIX = (
    "Collect the server again (`iis-spn collect`): its configuration, pools or the directory may have changed since.",
    "Run `klist purge` on the client and probe again: a ticket from before a change lasts for hours.",
    "Check that the name leads to the server that was inspected, and to no other (DNS, load balancer, hosts file).",
)


def _contradiction(probe: Probe, predicted: Predicted) -> str:
    if _agrees(probe.observed, predicted.outcome):
        return f"{predicted.decrypts_as} was to decrypt, {probe.decrypts_as} tried to"
    said = "that no ticket is asked for" if predicted.outcome is None else predicted.outcome
    return f"predicted {said}, observed {probe.observed}"


def _differs(probe: Probe, predicted: Predicted) -> Finding:
    chains = f"Predicted: {' '.join(predicted.because)} Observed: {' '.join(probe.because)}"
    message = f"{probe.url} as {probe.client}: {_contradiction(probe, predicted)}. {chains}"
    return Finding(
        id="prediction-differs",
        severity="error",
        server=predicted.server,
        site=predicted.site,
        path=predicted.path,
        spn=probe.spn,
        account=predicted.decrypts_as,
        holders=predicted.answers or (),
        message=message,
        fix=_FIX,
    )
