"""What the configuration alone tells: files IIS refuses, providers, pools, machines outside a domain."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from agent.checks.case import Case, evidence, finding
from agent.checks.offered import with_negotiate
from agent.iis.effective import EffectiveApplication, Site
from agent.iis.merge import SectionFault
from agent.model import Application, ApplicationRef, Evidence, Finding, Place, WindowsAuth
from agent.names import HostName, fold, folded, printable
from agent.spn.directory import Account
from agent.spn.identity import PoolIdentity, decide, excludes_kernel_mode, negotiate_place
from agent.spn.require import ServerView

DOWNWARDS = frozenset({"section-locked", "config-invalid", "config-malformed", "content-unread"})
"""Faults of a file that hold from the place they are told of down."""


def notices(case: Case) -> Iterator[Finding]:
    """What was said while applicationHost.config was read."""
    for server in case.servers:
        for notice in server.configuration.notices:
            lines = (Evidence(notice.file, notice.line, notice.text),)
            yield finding(
                notice.id,
                notice.message,
                server=server.label,
                site=notice.site,
                path=notice.path,
                evidence=lines,
                fix=(f"Correct {notice.file}, line {notice.line}.",),
            )


def refused(case: Case) -> Iterator[Finding]:
    """Sections IIS refuses: one finding for each fault, at the first application it takes down."""
    for server in case.servers:
        seen: dict[tuple[str, int | None, str], None] = {}
        for site, application, path, fault in _faults(server):
            if (fault.file, fault.line, fault.message) in seen:
                continue
            seen[fault.file, fault.line, fault.message] = None
            lines = tuple(Evidence(fault.file, line, text) for line, text in ((fault.line, fault.text), *fault.more))
            yield finding(
                fault.id,
                f"{site.name}{path or application.path}: {fault.message}",
                server=server.label,
                site=site.name,
                path=path or application.path,
                evidence=lines,
                fix=_refused_fix(fault),
            )


def _faults(server: ServerView) -> Iterator[tuple[Site, EffectiveApplication, str, SectionFault]]:
    for site in server.configuration.sites:
        for application in site.applications:
            if application.auth.fault is not None:
                yield site, application, "", application.auth.fault
            for path, auth in application.places:
                if auth.fault is not None:
                    yield site, application, path, auth.fault


def _refused_fix(fault: SectionFault) -> tuple[str, ...]:
    place = fault.file if fault.line is None else f"{fault.file}, line {fault.line}"
    if fault.id == "section-locked" and fault.more:
        lines = ", ".join(str(line) for line, _ in ((fault.line, ""), *fault.more))
        return (
            f"Take these sections out of {fault.file} (lines {lines}), or unlock every one of them for that path in "
            "applicationHost.config.",
        )
    if fault.id == "section-locked":
        return (f"Take the section out of {place}, or unlock it for that path in applicationHost.config.",)
    if fault.id == "content-unread" and fault.text:
        return (f"Say what {printable(fault.text)} means (environment in machine.json), or correct it in IIS.",)
    if fault.id == "content-unread":
        return (f"Read {place} with an account that may, and inspect again.",)
    return (f"Correct {place}.",)


def machine(case: Case) -> Iterator[Finding]:
    """Servers whose account cannot be named, and servers outside a domain that want Kerberos."""
    negotiating = {server.label for server, _ in case.negotiating_sites}
    for server in case.servers:
        if not server.machine.is_known:
            yield finding(
                "machine-unknown",
                "the server's name or domain is not known: what its computer account decrypts is uncertain, and its "
                "own names are not looked at",
                server=server.label,
                fix=(
                    *_suggested(case, server),
                    "Give --computer with the server's FQDN, or a snapshot folder with machine.json.",
                ),
            )
        elif not server.machine.joined and server.label in negotiating:
            kind = "in a workgroup" if server.machine.membership == "workgroup" else "joined to Entra ID only"
            yield finding(
                "not-domain-joined",
                f"the server is {kind}: there is no computer account and no KDC, Negotiate ends in NTLM",
                server=server.label,
                fix=("Join the server to an Active Directory domain, or plan without Kerberos.",),
            )


_NUMBERS = ("no", "one name", "two names", "three names", "four names", "five names", "six names")


def _suggested(case: Case, server: ServerView) -> Iterator[str]:
    """The computer of the directory that holds most of the names which the file's bindings claim, if one does."""
    claimed = {
        host.host
        for application in case.applications
        if application.server == server.label and application.negotiates
        for host in application.hosts
        if host.source == "binding" and not host.host.is_short
    }
    ranked = sorted(_computers_with(case, claimed), key=lambda each: -each[0])
    best = [(number, account) for number, account in ranked if number == ranked[0][0]]
    if len(best) == 1:
        number, account = best[0]
        told = _NUMBERS[number] if number < len(_NUMBERS) else f"{number} names"
        yield f"{account.name} holds {told} of this file: --computer {printable(account.dns_host_name or '')}?"


def _computers_with(case: Case, hosts: Collection[HostName]) -> Iterator[tuple[int, Account]]:
    for account in case.directory.accounts if case.directory is not None else ():
        held = {spn.host for spn in account.spns if spn.service in {"http", "host"}} & set(hosts)
        if held and account.kind == "computer" and account.dns_host_name:
            yield len(held), account


# -- providers -----------------------------------------------------------------------------------------------------


def providers(case: Case) -> Iterator[Finding]:
    """What the list of providers makes of an enabled windowsAuthentication."""
    for application in case.applications:
        settings = application.windows_auth
        if settings is None or not settings.enabled:
            continue
        yield from _provider_list(case, application, settings)
    for application in case.applications:
        for decided in _with_places(application):
            settings = decided.windows_auth
            if settings is not None and settings.enabled and excludes_kernel_mode(settings):
                yield finding(
                    "negotiate-kerberos-kernel-mode",
                    "the provider Negotiate:Kerberos cannot be used with kernel-mode authentication",
                    at=ApplicationRef(application.server, application.site, decided.path),
                    evidence=evidence(decided.origins.providers, "Negotiate:Kerberos"),
                    fix=(
                        "Use the provider Negotiate, or set useKernelMode=false; the pool identity then decrypts and "
                        "every SPN must be on its account.",
                    ),
                )


def _provider_list(case: Case, application: Application, settings: WindowsAuth) -> Iterator[Finding]:
    negotiate, names = negotiate_place(settings.providers), folded(settings.providers)
    is_late = negotiate is not None and "ntlm" in names[:negotiate]
    if not is_late and application.why_not not in {"no-provider", "no-negotiate", "pku2u-only"}:
        return
    lines = evidence(application.origins.providers, f"providers: {', '.join(settings.providers) or 'none'}")
    if application.why_not == "no-provider":
        installed = case.by_label[application.server].configuration.module_installed
        looks = {
            True: "the module WindowsAuthenticationModule is listed, so the role looks installed",
            False: "the module WindowsAuthenticationModule is not listed: the role service looks not installed",
            None: "the file lists no modules, so nothing tells whether the role service is installed",
        }[installed]
        yield finding(
            "windows-auth-not-installed",
            f"windowsAuthentication is enabled, but its provider list is empty: no challenge can be sent ({looks})",
            at=application,
            evidence=lines,
            fix=("Install the role service Web-Windows-Auth, or add the providers Negotiate and NTLM.",),
        )
    elif application.why_not in {"no-negotiate", "pku2u-only"}:
        yield finding(
            "negotiate-missing",
            f"the providers are {', '.join(map(printable, settings.providers))}: clients are never asked for Kerberos",
            at=application,
            evidence=lines,
            fix=with_negotiate(case, application, settings),
        )
    else:
        yield finding(
            "providers-order",
            "NTLM stands before Negotiate: clients that take the first scheme they know use NTLM",
            at=application,
            evidence=lines,
            fix=("Put Negotiate before NTLM (clear the list and add both in that order).",),
        )


# -- pools and identities ------------------------------------------------------------------------------------------


def pools(case: Case) -> Iterator[Finding]:
    """Applications without a usable pool, and settings of no effect."""
    incomplete: dict[tuple[str, str], None] = {}
    for server in case.servers:
        for site in server.configuration.sites:
            for application in site.applications:
                if application.pool is None:
                    at = ApplicationRef(server.label, site.name, application.path)
                    yield _pool_undefined(application, server, at)
                elif application.pool.identity_type == "SpecificUser" and not application.pool.user_name:
                    at = ApplicationRef(server.label, site.name, application.path)
                    key = (server.label, fold(application.pool.name))
                    if key not in incomplete:
                        incomplete[key] = None
                        yield finding(
                            "pool-identity-incomplete",
                            f"pool {printable(application.pool.name)} is SpecificUser without a userName: "
                            "it cannot start (503)",
                            evidence=evidence(application.pool.origin, application.pool.text),
                            fix=("Set userName, or another identityType, on the pool.",),
                            at=at,
                        )


def _pool_undefined(application: EffectiveApplication, server: ServerView, at: ApplicationRef) -> Finding:
    named = application.pool_name
    message = (
        f"the pool {printable(named)} does not exist: requests get 503"
        if named
        else "no applicationPool is set here or in any default: requests get 503"
    )
    lines = (Evidence(server.configuration.file, application.line, f'<application path="{application.path}">'),)
    fix = ("Create the pool, or name one that exists.",)
    return finding("pool-undefined", message, evidence=lines, fix=fix, at=at)


def decryption(case: Case) -> Iterator[Finding]:
    """Identities that cannot decrypt, or of which nobody can say it; settings that decide nothing."""
    clear: set[tuple[str, int, WindowsAuth]] = set()
    for application in case.applications:
        identity = case.identity_of(application)
        if application.negotiates and (settings := application.windows_auth) and settings.pool_credentials:
            yield from _no_effect(application, settings, identity)
        told: set[str] = set()
        for decided in _with_places(application):
            if identity is None or not decided.negotiates or decided.windows_auth is None:
                continue
            kind = (application.server, id(identity), decided.windows_auth)
            if kind not in clear and not _is_doubtful(case, application.server, identity, decided.windows_auth):
                clear.add(kind)
            if kind in clear:
                continue
            for found in _doubtful(application, decided, identity):
                if found.id not in told:
                    told.add(found.id)
                    yield found


def _with_places(application: Application) -> tuple[Application | Place, ...]:
    return (application, *application.places)


def _no_effect(application: Application, settings: WindowsAuth, identity: PoolIdentity | None) -> Iterator[Finding]:
    if settings.kernel_mode and (identity is None or identity.kind != "machine"):
        return
    because = "with kernel mode off" if not settings.kernel_mode else "with a built-in identity"
    yield finding(
        "pool-credentials-no-effect",
        f"useAppPoolCredentials=true has no effect {because}",
        at=application,
        evidence=evidence(application.origins.pool_credentials, 'useAppPoolCredentials="true"'),
        fix=("Nothing must be done; set it to false to avoid misreading.",),
    )


def _is_doubtful(case: Case, label: str, identity: PoolIdentity, settings: WindowsAuth) -> bool:
    """Whether something about the identity itself keeps anybody from saying who decrypts, or from decrypting."""
    server = case.by_label[label]
    if not server.machine.joined or excludes_kernel_mode(settings):
        return False
    return decide(settings, identity, server.computer, "custom name").decryption in {"impossible", "uncertain"}


def _doubtful(application: Application, decided: Application | Place, identity: PoolIdentity) -> Iterator[Finding]:
    """What is wrong with the identity itself where it decrypts by these settings, whether or not they may change."""
    at = ApplicationRef(application.server, application.site, decided.path)
    lines = evidence(application.origins.identity_type, f"pool {application.pool}: {application.identity_type}")
    if identity.kind == "local user":
        yield finding(
            "local-account-decrypts",
            "the pool runs as a local user and the pool would decrypt: no account in the domain has that key. "
            "On the server's own name users get three prompts and 401, elsewhere NTLM",
            at=at,
            evidence=lines,
            fix=("Set useAppPoolCredentials=false with kernel mode on, or run the pool as a domain account or gMSA.",),
        )
    elif identity.kind == "LocalService":
        yield finding(
            "local-service-identity",
            "LocalService would decrypt: it has no network credentials, and the documents contradict each other",
            at=at,
            evidence=lines,
            fix=(
                "Use ApplicationPoolIdentity or NetworkService, or kernel mode without useAppPoolCredentials; the "
                "computer then decrypts, and every SPN must be on its account.",
            ),
        )
    elif identity.doubt:
        likely = "" if identity.account is None else f" (likely {identity.account})"
        yield finding(
            "account-uncertain",
            f"which account decrypts is not certain{likely}: {identity.doubt}",
            severity="info" if identity.account is not None and identity.known is None else "warning",
            at=at,
            account=identity.account,
            evidence=lines,
            fix=("Write DOMAIN\\sAMAccountName as the pool's userName, or give the directory with --ad.",),
        )
