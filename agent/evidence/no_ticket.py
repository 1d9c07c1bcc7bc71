"""What it may come from that a client got no ticket, used NTLM, or that an SPN was refused or found twice."""

from __future__ import annotations

from collections.abc import Iterator

from agent.evidence.complaints import Complaint
from agent.evidence.diagnosis import Likelihood, Reason
from agent.evidence.known import Known, holder_reason
from agent.evidence.suspicion import Rule, Suspicion
from agent.spn.encryption import weakness


def unknown_name(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """A KDC knows no account for the name, or several (rule R4.5)."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-missing", likelihood="likely")
        yield Suspicion(id="spn-duplicate", likelihood="possible")
        return
    held = holder_reason(answer, complaint.spn)
    if not answer.accounts:
        yield Suspicion(
            id="spn-missing", likelihood="certain", more=(held,), fix=_fix_of("spn-missing", complaint, known)
        )
    elif len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(held,))
    else:
        yield Suspicion(id="spn-not-replicated", likelihood="likely", more=(held,), holder=str(answer.accounts[0].name))


def _fix_of(id_: str, complaint: Complaint, known: Known) -> tuple[str, ...]:
    """What a finding of the report says about this SPN."""
    found = known.findings(complaint.spn) if complaint.spn is not None else iter(())
    return next((one.fix for one in found if one.id == id_), ())


def ntlm(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """NTLM was used: the client had no ticket, or the server does not ask for one."""
    host = complaint.host
    if host is not None and host.is_address:
        yield Suspicion(id="ip-only-binding", likelihood="likely")
    elif host is not None and host.is_loopback:
        yield Suspicion(id="loopback", likelihood="likely")
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is not None and complaint.spn is not None:
        held = holder_reason(answer, complaint.spn)
        if not answer.accounts:
            fix = _fix_of("spn-missing", complaint, known)
            yield Suspicion(id="spn-missing", likelihood="certain", more=(held,), fix=fix)
        elif len(answer.accounts) > 1:
            yield Suspicion(id="spn-duplicate", likelihood="likely", more=(held,))
    elif (asked := known.not_found(complaint.spn)) is not None:
        yield Suspicion(id="spn-missing", likelihood="likely", more=(asked,))
    yield from _without_negotiate(complaint, known)
    yield Suspicion(id="not-kerberos", likelihood="likely")


def _without_negotiate(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """The application that answers the name does not offer Negotiate, or not first."""
    report, host = known.report, complaint.host
    if report is None or host is None:
        return
    places = {(a.server, a.site, a.path) for a in report.applications for each in a.hosts if each.host == host}
    for found in report.findings:
        if found.id in {"negotiate-missing", "providers-order"} and (found.server, found.site, found.path) in places:
            said = Reason(found.server, None, found.message, "configuration")
            yield Suspicion(id=found.id, likelihood="likely", more=(said,), fix=found.fix)


def duplicate(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """A KDC, or setspn, says that several accounts hold it."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-duplicate", likelihood="likely")
        return
    held = holder_reason(answer, complaint.spn)
    if len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(held,))
    else:
        yield Suspicion(id="spn-duplicate", likelihood="possible", against=(held,))
        yield Suspicion(id="spn-not-replicated", likelihood="possible", more=(held,))


def no_key(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """A KDC has no key of a type that client and account both take (rules, section 5.10)."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    for account in answer.accounts if answer is not None else ():
        found = weakness(account, answer.directory) if answer is not None else None
        if found is not None and answer is not None:
            said = Reason(answer.directory.source, None, f"{account.name} {found.text}", "directory")
            yield Suspicion(
                id="etype-mismatch", likelihood="certain", more=(said,), holder=str(account.name), fix=found.fix
            )
            return
    yield Suspicion(id="etype-mismatch", likelihood="likely")


def refused_write(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """A domain controller refused an SPN: somebody holds it, or HOST/ for its name (rules R4.12, R4.13)."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if answer is None or complaint.spn is None:
        yield Suspicion(id="spn-misplaced", likelihood="likely")
        yield Suspicion(id="plan-blocked-by-alias", likelihood="possible")
        return
    held = holder_reason(answer, complaint.spn)
    id_ = "spn-misplaced" if answer.is_exact and answer.accounts else "plan-blocked-by-alias"
    yield Suspicion(id=id_, likelihood="likely", more=(held,))


def always(id_: str, likelihood: Likelihood) -> Rule:
    """A rule that gives one cause, whatever else is known."""

    def rule(_complaint: Complaint, _known: Known) -> Iterator[Suspicion]:
        yield Suspicion(id=id_, likelihood=likelihood)

    return rule


def logon_denied(_complaint: Complaint, _known: Known) -> Iterator[Suspicion]:
    """401.1 with LOGON_DENIED: NTLM with a wrong password, or the server itself by another name (KB896861)."""
    yield Suspicion(id="not-kerberos", likelihood="possible")
    yield Suspicion(id="loopback", likelihood="possible")
