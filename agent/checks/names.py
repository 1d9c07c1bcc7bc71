"""What the names themselves tell: bindings no SPN can match, names that lead elsewhere, the server's own view."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping

from agent.checks.case import Case, finding
from agent.model import Application, Evidence, Finding, WindowsAuth
from agent.names import HostName, fold, host_fault, host_name, http_spn, spn
from agent.spn.needs import how_to_know, spn_hosts
from agent.spn.require import ServerView, is_started

DEFAULT_HEADER_BYTES = 16384  # MaxFieldLength and MaxRequestBytes of http.sys (KB820129)


def unmatchable(case: Case) -> Iterator[Finding]:
    """Wildcard bindings and sites reached by address only."""
    unasked = ", as far as DNS was not asked" if case.service is None else ""
    for server, application in case.negotiating_sites:
        reached = server.reach[application.site]
        file = server.configuration.file
        for binding in reached.wildcards:
            yield finding(
                "wildcard-host",
                f"the binding {binding.information} answers many names, and no SPN can hold a wildcard",
                server=server.label,
                site=application.site,
                evidence=(Evidence(file, binding.line, binding.information),),
                fix=("Name the hosts that clients use: in a farm file (--farm), or with a zone file (--dns).",),
            )
        for binding in reached.address_only:
            yield finding(
                "ip-only-binding",
                f"the binding {binding.information} is reached by address only{unasked}: clients do not try Kerberos",
                server=server.label,
                site=application.site,
                evidence=(Evidence(file, binding.line, binding.information),),
                fix=("Give clients a name: a DNS record for the address, or a host header.",),
            )


def elsewhere(case: Case) -> Iterator[Finding]:
    """Names that DNS leads to none of the known servers: another server answers (rule R5.3)."""
    declared_near: dict[str, frozenset[HostName]] = {}
    for server, application in case.negotiating_sites:
        if not server.machine.addresses:
            continue
        if server.label not in declared_near:
            declared_near[server.label] = frozenset(server.names.in_full(name.host) for name in case.farm)
        declared = declared_near[server.label]
        for name in server.reach[application.site].names:
            if name.optional or server.names.in_full(name.host) in declared:
                continue
            addresses = server.names.addresses(name.host)
            if addresses and not server.names.inspected.addresses & addresses:
                yield finding(
                    "name-elsewhere",
                    f"{name.host} leads to {', '.join(sorted(addresses))}, no address of a server inspected",
                    server=server.label,
                    site=application.site,
                    fix=(
                        "If a load balancer or proxy stands there, declare the name in the farm file; else mend DNS.",
                    ),
                )


def open_ended(case: Case) -> Iterator[Finding]:
    """Names that are aliases of one that nobody looked up: what clients that follow them ask for is not known."""
    for server, application in case.negotiating_sites if case.service is not None else ():
        for name in server.reach[application.site].names:
            end = None if name.optional else server.names.open_end(name.host)
            if end is not None and not name.host.is_short:
                yield finding(
                    "dns-incomplete",
                    f"{name.host} is an alias of {end}, and where that leads is not known: clients that follow aliases "
                    f"ask for HTTP/{end.spn_text}, or for what it is an alias of",
                    server=server.label,
                    site=application.site,
                    fix=(f"{how_to_know(end).capitalize()}, or ask a name server that knows it.",),
                )


def stopped(case: Case) -> Iterator[Finding]:
    """Sites and pools that do not start with IIS: whatever their names would need, nobody reaches them."""
    stopped = {(server.label, site.name): site for server in case.servers for site in server.configuration.stopped}
    for server, application in case.negotiating_sites if stopped else ():
        site = stopped.get((server.label, application.site))
        if site is not None:
            yield finding(
                "site-not-started",
                "the site does not start with IIS (serverAutoStart=false): nobody reaches its names",
                server=server.label,
                site=site.name,
                evidence=(Evidence(server.configuration.file, site.line, "serverAutoStart=false"),),
            )
    idle = {
        (server.label, name)
        for server in case.servers
        for name, pool in server.configuration.pools.items()
        if not is_started(pool, server.machine)
    }
    for application in case.applications if idle else ():
        if application.negotiates and (application.server, fold(application.pool or "")) in idle:
            yield finding(
                "site-not-started",
                f"the application pool {application.pool} does not start with IIS (autoStart=false): requests get 503, "
                "nobody reaches the application",
                at=application,
            )


def certificates(case: Case) -> Iterator[Finding]:
    """Names in the certificates of https bindings that no site claims: clients may use them, nothing says they do."""
    if not any(server.machine.certificate_names for server in case.servers):
        return
    claimed = _claimed(case)
    for server, application in case.negotiating_sites:
        listed = [one for one in server.machine.certificate_names or () if fold(one.site) == fold(application.site)]
        named = dict.fromkeys(host_name(text) for one in listed for text in one.names)
        hosts = [host.spn_text for host in named if _may_be_used(host, server, claimed)]
        if hosts:
            place = f"servers = [{json.dumps(server.label)}], site = {json.dumps(application.site)}"
            entries = ", ".join(f"{{ host = {json.dumps(host)}, {place} }}" for host in hosts)
            yield finding(
                "names-from-certificate",
                f"the certificate of {application.site} is for names that no site claims: {', '.join(hosts)}",
                server=server.label,
                site=application.site,
                fix=(
                    f"If clients use them, write them into a file for --names, one on a line: {', '.join(hosts)}",
                    f"Or, where a proxy or load balancer has them, put this into the farm file: name = [{entries}]",
                ),
            )


def _claimed(case: Case) -> frozenset[HostName]:
    """The names of all sites, those that do not negotiate too, and of the farm file."""
    sites = [(server, site) for server in case.servers for site in server.configuration.sites]
    headers = (binding.host for _, site in sites for binding in site.bindings if binding.host is not None)
    reached = (name.host for server, site in sites for name in server.reach[site.name].names)
    return frozenset({*headers, *reached, *(name.host for name in case.farm)})


def _may_be_used(host: HostName, server: ServerView, claimed: Collection[HostName]) -> bool:
    """Whether clients can type it, and no site is known by it."""
    if host.is_wildcard or host.is_address or host_fault(host) or server.names.is_nobodys(host):
        return False
    return host not in claimed and not any(one.is_wildcard and host.matches_wildcard(one) for one in claimed)


# -- the server's registry -----------------------------------------------------------------------------------------


def loopback(case: Case) -> Iterator[Finding]:
    """Names that give 401.1 from the server itself: the loopback check (KB926642), never an SPN fault."""
    allowed: dict[str, frozenset[HostName]] = {}
    for server, application in case.negotiating_sites:
        registry = server.machine.registry
        if registry is None or registry.get("DisableLoopbackCheck") == 1:
            continue
        if server.label not in allowed:
            listed = registry.get("BackConnectionHostNames")
            also = {host_name(str(name)) for name in listed} if isinstance(listed, list | tuple) else set()
            allowed[server.label] = frozenset(also | server.names.own)
        for name in server.reach[application.site].names:
            if not name.optional and name.source == "binding" and name.host not in allowed[server.label]:
                yield finding(
                    "loopback-name",
                    f"{name.host} is not in BackConnectionHostNames: a test from the server itself gives 401.1",
                    server=server.label,
                    site=application.site,
                    fix=("Test from another machine, or add the name to BackConnectionHostNames.",),
                )


def headers(case: Case) -> Iterator[Finding]:
    """Servers with the default header limits: users in very many groups get HTTP 400."""
    at_default = [server.label for server in case.servers if _has_default_limits(server.machine.registry)]
    if at_default:
        yield finding(
            "header-limit",
            f"MaxFieldLength or MaxRequestBytes is at its default of {DEFAULT_HEADER_BYTES} bytes: tickets of users in "
            "very many groups do not fit (HTTP 400)",
            server=at_default[0] if len(at_default) == 1 else None,
            servers=at_default,
            fix=("Raise both values only where HTTP 400 is seen.",),
        )


def _has_default_limits(registry: Mapping[str, object] | None) -> bool:
    limits = ("MaxFieldLength", "MaxRequestBytes")
    return registry is not None and any(registry.get(name) in {None, DEFAULT_HEADER_BYTES} for name in limits)


# -- proxies -------------------------------------------------------------------------------------------------------


def proxies(case: Case) -> Iterator[Finding]:
    """Extended protection that a proxy which ends TLS breaks for clients (rules R9.3, R15.4)."""
    if not any(name.proxy == "terminates-tls" for name in case.farm):
        return
    asking: dict[tuple[str, str | None], list[tuple[Application, WindowsAuth]]] = {}
    for application in case.applications:
        if application.windows_auth is not None and application.negotiates:
            for site in (None, fold(application.site)):
                asking.setdefault((application.server, site), []).append((application, application.windows_auth))
    for name in case.farm:
        if name.proxy != "terminates-tls":
            continue
        meant = None if name.site is None else fold(name.site)
        behind = (
            (server, *found) for server in case.servers_of(name) for found in asking.get((server.label, meant), ())
        )
        for server, application, settings in behind:
            why = _binding_fails(settings, name.host, _asked_names(case, server, name.host))
            if why:
                whose = "clients that send a binding" if fold(settings.token_checking) == "allow" else "users"
                yield finding(
                    "extended-protection-behind-proxy",
                    f"tokenChecking={settings.token_checking}, and the proxy in front of {name.host} ends TLS: {why}, "
                    f"and {whose} get 401",
                    at=application,
                    fix=(
                        f"Set flags=Proxy and put HTTP/{name.host.spn_text} into the spn list of extendedProtection, "
                        "or set tokenChecking=None behind the proxy.",
                        "Or let the proxy pass TLS through, or begin it anew with the server's own certificate (proxy "
                        'in the farm file: "passthrough", "same-certificate").',
                    ),
                )


def _asked_names(case: Case, server: ServerView, host: HostName) -> list[tuple[HostName, ...]]:
    """What each client puts into the SPN for a name: that is the service name which the server is shown."""
    return [hosts for client in case.clients if (hosts := spn_hosts(client, host, server.names))]


def _binding_fails(settings: WindowsAuth, host: HostName, asked: Iterable[tuple[HostName, ...]]) -> str:
    """Why a client's token is refused behind a proxy that ends TLS, "" where it is not.

    Allow checks too, it lets those through that send no binding; with the flag Proxy the service name is checked in
    place of the TLS channel, unless NoServiceNameCheck says otherwise (IIS reference, extendedProtection).
    """
    flags = {fold(flag) for flag in settings.flags.split(",")}
    if fold(settings.token_checking) == "none":
        return ""
    if "proxy" not in flags:
        return "a token bound to the proxy's TLS channel cannot match"
    listed = {spn(text) for text in settings.service_names}
    missing = [hosts[0] for hosts in asked if not any(http_spn(each) in listed for each in hosts)]
    if "noservicenamecheck" in flags or (not missing and ("allowdotlessspn" in flags or not host.is_short)):
        return ""
    if not missing:
        return f"{host} is a short name, which needs the flag AllowDotlessSpn"
    return f"the spn list does not hold {http_spn(missing[0])}"
