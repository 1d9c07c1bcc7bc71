"""What a ticket that a server could not decrypt may come from: who holds the SPN, against who tried (rule 10.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.evidence.complaints import Complaint
from agent.evidence.diagnosis import Likelihood, Reason
from agent.evidence.known import Answer, Known, configured_reason, holder_reason
from agent.evidence.suspicion import Suspicion
from agent.evidence.told import reason
from agent.evidence.tried import Tried
from agent.model import Requirement
from agent.names import fold, http_spn, netbios_name
from agent.spn.directory import Account

MOST_ISSUED = 20
"""Events 4769 that may belong to one failure; more are a log of everybody's tickets."""


def undecryptable(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """By whom a KDC picks, as far as that is known; else by whose key it used, else by what is usual."""
    answer = known.answer(complaint.spn) if complaint.spn is not None else None
    if complaint.spn is None and complaint.who is not None and (its := _all_well(complaint.who, known)):
        yield from _old_key_of_all(complaint.who, its, known)
    elif answer is None or complaint.spn is None:
        yield from _by_the_issued_key(complaint, known)
    elif not answer.accounts:
        yield from _held_by_nobody(complaint, answer)
    elif len(answer.accounts) > 1:
        yield Suspicion(id="spn-duplicate", likelihood="certain", more=(holder_reason(answer, complaint.spn),))
    elif complaint.who is None:
        yield Suspicion(id="spn-misplaced", likelihood="likely", more=(holder_reason(answer, complaint.spn),))
    else:
        yield from _by_the_holder(complaint, complaint.who, answer, known)


def _all_well(who: Tried, known: Known) -> list[Requirement]:
    """What an account decrypts for, where every SPN of it leads to it; nothing where one does not, or is not known."""
    its = [one for one in known.decrypted_by(who) if one.matters]
    return its if all(one.outcome == "kerberos" for one in its) else []


def _old_key_of_all(who: Tried, its: Sequence[Requirement], known: Known) -> Iterator[Suspicion]:
    """No SPN is known, and every one that the configuration shows is right: the key is old, or it was another name."""
    name = its[0].spn
    configured = configured_reason(known.applications(its[0]), name)
    more = (configured,) if configured is not None else ()
    yield Suspicion(id="computer-password" if who.is_computer else "stale-password", likelihood="likely", more=more)
    yield Suspicion(id="spn-misplaced", likelihood="possible", against=more)
    yield Suspicion(id="wrong-server", likelihood="possible")


def _held_by_nobody(complaint: Complaint, answer: Answer) -> Iterator[Suspicion]:
    """A ticket was issued, by a KDC that knows more, or knew more."""
    against = (holder_reason(answer, complaint.spn),) if complaint.spn is not None else ()
    yield Suspicion(id="spn-not-replicated", likelihood="likely", more=against)
    yield Suspicion(id="same-name-two-domains", likelihood="possible", against=against)
    yield Suspicion(id="spn-misplaced", likelihood="possible", against=against)


def _by_the_holder(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> Iterator[Suspicion]:
    """One account holds it: is it the one that tried?"""
    assert complaint.spn is not None  # noqa: S101  an answer is one about an SPN
    (holder,) = answer.accounts
    held = holder_reason(answer, complaint.spn)
    match = who.match(holder)
    if match == "namesake":
        yield Suspicion(id="same-name-two-domains", likelihood="certain", more=(held,), holder=str(holder.name))
    elif match == "other":
        yield from _on_another(complaint, who, answer, known)
    else:
        yield from _right_account(complaint, who, holder, held, known, is_sure=match == "same")


def _right_account(
    complaint: Complaint, who: Tried, holder: Account, held: Reason, known: Known, *, is_sure: bool
) -> Iterator[Suspicion]:
    """The account that holds it tried, and has another key than the KDC."""
    keys = tuple(_key_versions(complaint, holder, known))
    id_ = "computer-password" if who.is_computer else "stale-password"
    likelihood: Likelihood = "certain" if is_sure or len(known.named(who)) == 1 else "likely"
    yield Suspicion(id=id_, likelihood=likelihood, more=(held, *keys), holder=str(holder.name))
    if likelihood != "certain":
        yield Suspicion(id="same-name-two-domains", likelihood="possible", against=(held,))


def _key_versions(complaint: Complaint, holder: Account, known: Known) -> Iterator[Reason]:
    """What the key version of the ticket says beside that of the account; the upper half is an RODC's number."""
    if holder.key_version is None or complaint.spn is None:
        return
    for one in known.with_key_version.get(complaint.spn, []):
        version = (one.facts.kvno or 0) & 0xFFFF
        present = f"the present one of {holder.name} is {holder.key_version}"
        whose = "the server has an older key" if version == holder.key_version else "the ticket is for another key"
        yield Reason(one.source, one.line, f"the ticket has key version {version}, {present}: {whose}", "client")


def _on_another(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> Iterator[Suspicion]:
    """Another account holds it than the one that tried: is the SPN wrong, the server, or the settings?"""
    assert complaint.spn is not None  # noqa: S101  as above
    (holder,) = answer.accounts
    held = holder_reason(answer, complaint.spn)
    wanted = known.requirements(complaint.spn)
    expected = [one for one in wanted if one.account is not None]
    its = [one for one in expected if one.account is not None and who.match(one.account) in {"same", "unknown"}]
    if its:
        yield _as_found(complaint, answer, known, its)
    elif expected:
        yield from _unexpected(complaint, who, answer, known, expected)
    elif _is_other_machine(who, holder, complaint):
        yield Suspicion(id="wrong-server", likelihood="likely", more=(held,), holder=str(holder.name))
        yield Suspicion(id="spn-misplaced", likelihood="possible", more=(held,), holder=str(holder.name))
    else:
        id_ = _of_an_alias(complaint, who, answer, known) or _misplaced(answer)
        more = (held, *(said for _, said in known.aliases_of(complaint.spn.host)))
        yield Suspicion(id=id_, likelihood="certain", more=more, holder=str(holder.name))
        if who.is_computer and holder.name.name.endswith("$"):
            yield Suspicion(id="wrong-server", likelihood="possible", more=(held,), holder=str(holder.name))


def _misplaced(answer: Answer) -> str:
    return "spn-misplaced" if answer.is_exact else "spn-shadowed-by-host"


def _of_an_alias(complaint: Complaint, who: Tried, answer: Answer, known: Known) -> str | None:
    """The name that people type is an alias, and its own SPN is on the account that tried (rule R3.1)."""
    spn = complaint.spn
    if spn is None or answer.is_exact:
        return None
    for alias, _ in known.aliases_of(spn.host):
        typed = known.answer(http_spn(alias))
        if typed is not None and any(who.match(account) != "other" for account in typed.accounts):
            return "client-spn-variant"
    return None


def _is_other_machine(who: Tried, holder: Account, complaint: Complaint) -> bool:
    """The name is the holder's own computer name, and another computer answered."""
    if complaint.spn is None or not who.is_computer:
        return False
    own = fold(netbios_name(complaint.spn.host.key))
    return fold(holder.name.name.removesuffix("$")) == own and who.name.removesuffix("$") != own


_OF_SEVERAL = ("spn-conflict", "farm-machine-identity", "farm-nodes-differ")
"""Findings that tell of several servers or applications: moving the SPN would help one and break another."""


def _as_found(complaint: Complaint, answer: Answer, known: Known, wanted: Sequence[Requirement]) -> Suspicion:
    """The configuration says the same account as the evidence: what inspect finds is the cause."""
    assert complaint.spn is not None  # noqa: S101  as above
    found = {one.id: one for one in reversed(list(known.findings(complaint.spn)))}
    id_ = next((each for each in _OF_SEVERAL if each in found), _misplaced(answer))
    applications = [one for each in wanted for one in known.applications(each)]
    configured = configured_reason(applications, complaint.spn)
    more = (holder_reason(answer, complaint.spn), *((configured,) if configured is not None else ()))
    fix = found[id_].fix if id_ in found else ()
    return Suspicion(id=id_, likelihood="certain", more=more, holder=str(answer.accounts[0].name), fix=fix)


def _unexpected(
    complaint: Complaint, who: Tried, answer: Answer, known: Known, wanted: Sequence[Requirement]
) -> Iterator[Suspicion]:
    """Who tried is not who should by the configuration that was given."""
    assert complaint.spn is not None  # noqa: S101  as above
    (holder,) = answer.accounts
    configured = configured_reason([one for each in wanted for one in known.applications(each)], complaint.spn)
    more = (holder_reason(answer, complaint.spn), *((configured,) if configured is not None else ()))
    is_elsewhere = who.is_computer and who.name.removesuffix("$") not in known.servers_of(wanted)
    if is_elsewhere:
        yield Suspicion(id="wrong-server", likelihood="certain", more=more, holder=str(holder.name))
        return
    yield Suspicion(id="running-identity-differs", likelihood="likely", more=more, holder=str(holder.name))
    yield Suspicion(id=_misplaced(answer), likelihood="possible", more=more, holder=str(holder.name))
    yield Suspicion(id="wrong-server", likelihood="possible", more=more, holder=str(holder.name))


def _by_the_issued_key(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """Nobody looked who holds it; event 4769 may say whose key encrypted."""
    issued, who = known.issued, complaint.who
    accounts = {fold(one.facts.account or "") for one in issued[:MOST_ISSUED]}
    if who is None or len(accounts) != 1 or len(issued) > MOST_ISSUED:
        yield from _blind(complaint, known)
        return
    (account,) = accounts
    told = tuple(map(reason, issued))
    if account != who.name:
        yield Suspicion(id="spn-misplaced", likelihood="certain", more=told, holder=issued[0].facts.account)
        return
    id_ = "computer-password" if who.is_computer else "stale-password"
    yield Suspicion(id=id_, likelihood="likely", more=told, holder=issued[0].facts.account)
    yield Suspicion(id="same-name-two-domains", likelihood="possible", more=told)


def _blind(complaint: Complaint, known: Known) -> Iterator[Suspicion]:
    """Only who tried is known, at most."""
    realms = {(fold(one.facts.realm or ""), fold(one.facts.client_realm or "")) for one in complaint.said}
    crosses = any(target and client and target != client for target, client in realms)
    who = complaint.who
    if crosses:
        yield Suspicion(id="same-name-two-domains", likelihood="likely")
    aliases = [said for _, said in known.aliases_of(complaint.spn.host)] if complaint.spn is not None else []
    if aliases:  # the ticket is for the end of the alias, not for the name that people type (rule R3.1)
        yield Suspicion(id="client-spn-variant", likelihood="likely", more=tuple(aliases))
    yield Suspicion(id="spn-misplaced", likelihood="likely")
    yield Suspicion(id="spn-duplicate", likelihood="possible")
    yield Suspicion(
        id="computer-password" if who is not None and who.is_computer else "stale-password", likelihood="possible"
    )
    yield Suspicion(id="wrong-server", likelihood="possible")
