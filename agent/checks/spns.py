"""What is wrong with who holds which SPN: missing, misplaced, shadowed, double, malformed, stale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache

from agent.checks.case import Case, Judged, finding
from agent.checks.farm import spoken_for
from agent.checks.files import at_server_level
from agent.model import Application, Finding, Outcome, Requirement, Severity
from agent.names import AccountName, HostName, Likeness, Spn, fold, host_name, http_spn, printable, spn, spn_fault
from agent.spn.directory import Account

LONG_UNUSED = timedelta(days=180)
"""lastLogonTimestamp older than this: nobody logs on with the account (it is replicated within 14 days)."""

BROKEN = frozenset({"modified", "duplicate"})
_FAILING = BROKEN | {"ntlm-fallback"}


def outcomes(case: Case) -> Iterator[Finding]:
    """One finding for each requirement that does not end in Kerberos; an optional one gives none.

    Where a conflict or a farm speaks for the SPN, only that it is held twice is told here.
    """
    failing = [
        judged for judged in case.judged if judged.requirement.outcome in _FAILING and judged.requirement.matters
    ]
    joint = spoken_for(case) if failing else frozenset()
    broken = {
        reference
        for judged in failing
        if judged.requirement.outcome in BROKEN and judged.requirement.asked_by
        for reference in judged.requirement.applications
    }
    for judged in failing:
        requirement = judged.requirement
        if requirement.spn in joint:
            if requirement.outcome == "duplicate":
                yield _duplicate(requirement, _who(case, requirement))
        elif judged.wanted.variant_of or requirement.need == "port-variant":
            yield _variant(judged)
        elif requirement.asked_by or broken.intersection(requirement.applications):
            yield from _plain(case, requirement, _who(case, requirement))
        elif requirement.outcome in BROKEN:
            yield from _plain(case, requirement, f"only clients that send {requirement.spn.host} as typed")


_ENDS: Mapping[Outcome, str] = {
    "ntlm-fallback": "NTLM",
    "modified": "KRB_AP_ERR_MODIFIED: three prompts, then 401",
    "duplicate": "NTLM or 401",
}
"""What a client gets, said of a client."""


def _who(case: Case, requirement: Requirement) -> str | None:
    """The client kinds that send this SPN, where others asked about send another."""
    others = {client.name for client in case.clients}.difference(requirement.asked_by)
    return ", ".join(requirement.asked_by) if requirement.asked_by and others else None


def _duplicate(requirement: Requirement, who: str | None) -> Finding:
    message = (
        f"{requirement.spn} leads to {len(requirement.answers or ())} accounts ({_listed(requirement.answers)}): "
        f"{who or 'clients'} get no ticket and use NTLM, or one that cannot be decrypted"
    )
    return _about(requirement, "spn-duplicate", message)


def _plain(case: Case, requirement: Requirement, who: str | None) -> Iterator[Finding]:
    """`who` notices it, where that is not everybody who comes by the name."""
    if requirement.outcome == "duplicate":
        yield _duplicate(requirement, who)
    elif requirement.outcome == "modified":
        yield _modified(case, requirement, who)
    else:
        typed = f"only clients that send {requirement.spn.host} as typed"
        asking = who or ("clients that ask for it" if requirement.asked_by else typed)
        message = f"nobody answers for {requirement.spn}: {asking} use NTLM, and users notice nothing"
        yield _about(requirement, "spn-missing", message)
    if not requirement.holders:
        yield from _port_only(case, requirement)


def _modified(case: Case, requirement: Requirement, who: str | None) -> Finding:
    decrypting = f"{requirement.account} decrypts{_by_server_level(case, requirement)}"
    effect = f"{_ENDS['modified']}{f' ({who})' if who else ''}"
    if requirement.holders:
        message = f"{requirement.spn} is on {requirement.holders[0]}, but {decrypting}: {effect}"
        return _about(requirement, "spn-misplaced", message)
    host = f"HOST/{requirement.spn.instance} on {_listed(requirement.answers)}"
    message = f"no account has {requirement.spn}, so {host} answers, but {decrypting}: {effect}"
    return _about(requirement, "spn-shadowed-by-host", message)


def _by_server_level(case: Case, requirement: Requirement) -> str:
    """The line for the whole server that lets the pool decrypt instead of the computer that has the SPN."""
    holders, line = set(requirement.holders or ()), 0
    for application in case.applications_of(requirement):
        decider = application.decider(requirement.account)
        origin = at_server_level(decider, "useAppPoolCredentials")
        is_in_force = decider.windows_auth is not None and decider.windows_auth.pool_credentials
        if origin is None or not is_in_force or holders != {case.by_label[application.server].account}:
            return ""
        line = origin.line or 0
    return f" (line {line}, at the level of the server, sets useAppPoolCredentials=true)" if line else ""


def _port_only(case: Case, requirement: Requirement) -> Iterator[Finding]:
    """What was registered with the port instead: nobody, or a HOST/ SPN of another account, answers without it."""
    if case.directory is None:
        return
    ports = {port for a in case.applications_of(requirement) for port in _ports(case, a)}
    for port in sorted(ports):
        name = http_spn(requirement.spn.host, port)
        if case.directory.seen(name):
            asking = ", ".join(requirement.asked_by) or "clients"
            message = f"only {name} is registered: {asking} ask for {requirement.spn}, without the port"
            yield _about(requirement, "spn-port-only", message)


def _ports(case: Case, application: Application) -> set[int]:
    reached = case.by_label[application.server].reach[application.site]
    return {port for name in reached.names for port in name.ports}


def _variant(judged: Judged) -> Finding:
    """A name or port that only some clients make of what is typed."""
    requirement = judged.requirement
    asking = ", ".join(requirement.asked_by) or "some clients"
    typed = ", ".join(host.text for host in judged.wanted.variant_of)
    why = f"that is what they make of {typed}" if typed else "they include the port"
    who = f" ({_listed(requirement.answers)} answers, {requirement.account} decrypts)" if requirement.answers else ""
    return _about(
        requirement,
        "client-spn-variant",
        f"{asking} ask for {requirement.spn}, because {why}, and get {_ENDS[requirement.outcome]}{who}",
        severity="error" if requirement.outcome in BROKEN else "warning",
    )


def _about(requirement: Requirement, finding_id: str, message: str, severity: Severity | None = None) -> Finding:
    first = requirement.applications[0]
    return finding(
        finding_id,
        message,
        severity=severity,
        at=first,
        servers=tuple(dict.fromkeys(reference.server for reference in requirement.applications)),
        spn=requirement.spn,
        account=requirement.account,
        holders=requirement.holders or (),
    )


def _listed(accounts: tuple[AccountName, ...] | None) -> str:
    return " and ".join(map(str, accounts or ())) or "nobody"


# -- names of the computers themselves -----------------------------------------------------------------------------


def winrm(case: Case) -> Iterator[Finding]:
    """`HTTP/<computer>` on another account: every http.sys service that decrypts as the computer breaks (rule R6.7)."""
    for name, server in case.own_spns.items():
        typed = [judged.requirement for judged in case.judged_of(name) if not judged.wanted.variant_of]
        foreign = [holder for holder in _foreign(case, name, server.account) if not case.may_open(server, holder)]
        requirement = typed[-1] if typed else None
        for holder in foreign:
            if case.principal(holder.name) != "computer":
                yield _collision(name, server.label, holder.name, "is")
            if not case.may_be_pool_account(holder):
                yield finding(
                    "foreign-http-owner",
                    f"{name} is on {holder.name}, an account that no inspected pool uses: another http.sys service "
                    "(Reporting Services, ADFS ...) may own it",
                    server=server.label,
                    spn=name,
                    holders=(holder.name,),
                    fix=("Ask the owner of the account before anything is moved.",),
                )
        if not foreign and requirement is not None and _planned_elsewhere(case, requirement):
            account = requirement.account
            if account is not None:
                yield _collision(name, server.label, account, "would have to be")


def _foreign(case: Case, name: Spn, computer: AccountName | None) -> list[Account]:
    """The holders of a computer's own name that are known to be another account."""
    holders = case.directory.seen(name) if case.directory is not None else ()
    return [holder for holder in holders if computer is not None and _is_other(case, holder, computer)]


def _is_other(case: Case, holder: Account, account: AccountName | None) -> bool:
    """Whether a holder is known not to be the account that decrypts; where nobody decrypts, every holder is."""
    if account is None or case.directory is None:
        return True
    return case.directory.likeness(holder, account) is Likeness.OTHER


def _planned_elsewhere(case: Case, requirement: Requirement) -> bool:
    """Whether the SPN would have to go to the pool's account: HOST/ cannot serve, as other names need that account."""
    if requirement.need != "explicit" or requirement.outcome == "kerberos" or requirement.account is None:
        return False
    if requirement.account in case.computer_accounts:
        return False
    return requirement.outcome == "unchecked" or not case.only_own_names(case.applications_of(requirement))


def _collision(name: Spn, server: str, holder: AccountName, verb: str) -> Finding:
    return finding(
        "winrm-collision",
        f"{name} {verb} on {holder}: WinRM (0x80090322), Server Manager and every other http.sys service on the server "
        "that decrypts as the computer fail for this name",
        server=server,
        spn=name,
        holders=(holder,) if verb == "is" else (),
        fix=("Give the site a host header of its own with a DNS A record and move the SPN to that name.",),
    )


# -- what stands in the directory ----------------------------------------------------------------------------------


def malformed(case: Case) -> Iterator[Finding]:
    """Stored SPNs that were meant for one of our names and can never match."""
    if case.directory is None:
        return
    concerning = cache(lambda: _Concerning(case))  # big, and seldom needed
    for account in case.directory.accounts:
        for name in account.spns:
            reason = spn_fault(name.text) if name.key.startswith("http") else None
            if reason is not None and (host := concerning().host(name.text)) is not None:
                yield finding(
                    "spn-malformed",
                    f"'{printable(name.text)}' on {account.name} never matches {http_spn(host)}: {reason}",
                    spn=name,
                    server=None,
                    holders=(account.name,),
                )


_SEPARATORS = re.compile(r"[/\\:@\s]+")


class _Concerning:
    """Finds the one of our hosts that a malformed SPN was meant for."""

    def __init__(self, case: Case) -> None:
        self.hosts = dict.fromkeys(sorted(case.hosts, key=lambda host: host.key))
        self.by_length: dict[int, list[HostName]] = {}
        for host in self.hosts:
            self.by_length.setdefault(len(host.key), []).append(host)
        self.wildcards = [b.host for s in case.servers for r in s.reach.values() for b in r.wildcards if b.host]

    def host(self, text: str) -> HostName | None:
        """The host meant, None where the value concerns nobody we know."""
        for token in _SEPARATORS.split(text):
            plain = "".join(c for c in token if c.isascii() and c.isprintable())
            found = host_name(plain) if plain else None
            if found is not None and (found in self.hosts or found in self.wildcards):
                return found
            if found is not None and found.is_wildcard:
                return next((host for host in self.hosts if host.matches_wildcard(found)), None)
            if not token.isascii() and (alike := self._look_alike(fold(token))) is not None:
                return alike
        return None

    def _look_alike(self, token: str) -> HostName | None:
        """A host that differs in non-ASCII letters only (CVE-2026-25177)."""
        for host in self.by_length.get(len(token), ()):
            if all(a == b or not a.isascii() for a, b in zip(token, host.key, strict=True)):
                return host
        return None


def stale(case: Case) -> Iterator[Finding]:
    """An SPN of ours on an account nobody uses any more: it shadows or doubles the right one."""
    if case.directory is None:
        return
    untold: dict[Spn, list[Account]] = {}
    for judged in case.judged:
        requirement = judged.requirement
        if requirement.need == "optional":
            continue
        if requirement.spn not in untold:
            answers = case.directory.answers(requirement.spn, requirement.account) or ()
            untold[requirement.spn] = [holder for holder in answers if _unused(case, holder) is not None]
        holders, untold[requirement.spn] = untold[requirement.spn], []
        for holder in holders:
            if not _is_other(case, holder, requirement.account) or requirement.outcome in {"kerberos", "uncertain"}:
                untold[requirement.spn].append(holder)
                continue
            yield finding(
                "spn-stale",
                f"{requirement.spn} leads to {holder.name}, which {_unused(case, holder)}",
                at=requirement.applications[0],
                spn=requirement.spn,
                account=requirement.account,
                holders=(holder.name,),
            )


def _unused(case: Case, account: Account) -> str | None:
    if account.disabled:
        return "is disabled"
    if account.last_logon is not None and case.now - account.last_logon > LONG_UNUSED:
        return f"has not logged on since {account.last_logon:%Y-%m-%d}"
    return None


def principal_names(case: Case) -> Iterator[Finding]:
    """A userPrincipalName with the text of an SPN (ktpass writes them): setspn does not show it (rule R4.9)."""
    if case.directory is None:
        return
    required = {j.requirement.spn: j.requirement for j in case.judged if j.requirement.need != "optional"}
    for account in case.directory.accounts:
        if account.upn is None or "/" not in account.upn:
            continue
        name = spn(account.upn.rpartition("@")[0] or account.upn)
        requirement = required.get(name) or required.get(spn(account.upn))
        if requirement is None:
            continue
        if not _is_other(case, account, requirement.account):
            continue
        yield finding(
            "upn-shadows-spn",
            f"the userPrincipalName of {account.name} is {printable(account.upn)}: a KDC may take it for "
            f"{requirement.spn} (the documents contradict each other), and setspn -Q does not show it",
            at=requirement.applications[0],
            spn=requirement.spn,
            account=requirement.account,
            holders=(account.name,),
            fix=("Give the account an ordinary user@domain UPN.",),
        )


def directory_wide(case: Case) -> Iterator[Finding]:
    """What concerns the directory as a whole."""
    directory = case.directory
    if directory is None:
        return
    if directory.checks_off & 2:
        yield finding(
            "spn-uniqueness-off",
            f"dSHeuristics ({directory.ds_heuristics}) has {directory.checks_off} as its 21st character: DCs let "
            "duplicate SPNs in",
            server=None,
            fix=("Set the 21st character of dSHeuristics back to 0 once the reason for it is gone (KB5008382).",),
        )
    if directory.duplicates_elsewhere:
        yield finding(
            "spn-duplicate-elsewhere",
            f"{directory.duplicates_elsewhere} SPN(s) that concern none of the names inspected are held twice",
            server=None,
            fix=("List them with: setspn -X -F",),
        )
