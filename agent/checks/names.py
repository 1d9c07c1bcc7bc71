"""What the names themselves tell: bindings no SPN can match, names that lead elsewhere, the server's own view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.checks.case import Case, finding
from agent.model import Application, Evidence, Finding, WindowsAuth
from agent.names import Address, HostName, fold, host_name
from agent.spn.require import ServerView

DEFAULT_HEADER_BYTES = 16384  # MaxFieldLength and MaxRequestBytes of http.sys (KB820129)


def _negotiating_sites(case: Case) -> Iterator[tuple[ServerView, Application]]:
    """Each site with an application that negotiates, with the first such application."""
    seen: set[tuple[str, str]] = set()
    for application in case.applications:
        key = (application.server, application.site)
        if key not in seen and (application.negotiates or any(place.negotiates for place in application.places)):
            seen.add(key)
            yield case.by_label[application.server], application


def unmatchable(case: Case) -> Iterator[Finding]:
    """Wildcard bindings and sites reached by address only."""
    for server, application in _negotiating_sites(case):
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
                f"the binding {binding.information} is reached by address only: clients do not try Kerberos",
                server=server.label,
                site=application.site,
                evidence=(Evidence(file, binding.line, binding.information),),
                fix=("Give clients a name: a DNS record for the address, or a host header.",),
            )


def elsewhere(case: Case) -> Iterator[Finding]:
    """Names that DNS leads to none of the known servers: another server answers (rule R5.3)."""
    if case.service is None:
        return
    known = {address for server in case.servers for address in server.machine.addresses}
    declared = {name.host for name in case.farm}
    for server, application in _negotiating_sites(case):
        if not server.machine.addresses:
            continue
        for name in server.reach[application.site].names:
            if name.optional or name.host in declared or name.host.first_label in declared:
                continue
            addresses = _addresses(case, server, name.host)
            if addresses and not known & addresses:
                yield finding(
                    "name-elsewhere",
                    f"{name.host} leads to {', '.join(sorted(addresses))}, no address of a server inspected",
                    server=server.label,
                    site=application.site,
                    fix=(
                        "If a load balancer or proxy stands there, declare the name in the farm file; else mend DNS.",
                    ),
                )


def _addresses(case: Case, server: ServerView, host: HostName) -> set[Address]:
    resolution = case.service.resolve(host, server.names.suffix) if case.service is not None else None
    return set(resolution.addresses) if resolution is not None else set()


# -- the server's registry -----------------------------------------------------------------------------------------


def loopback(case: Case) -> Iterator[Finding]:
    """Names that give 401.1 from the server itself: the loopback check (KB926642), never an SPN fault."""
    for server, application in _negotiating_sites(case):
        registry = server.machine.registry
        if registry is None or registry.get("DisableLoopbackCheck") == 1:
            continue
        listed = registry.get("BackConnectionHostNames")
        allowed = {host_name(str(name)) for name in listed} if isinstance(listed, list | tuple) else set()
        for name in server.reach[application.site].names:
            if not name.optional and name.source == "binding" and name.host not in {*allowed, *server.names.own}:
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
            f"MaxFieldLength or MaxRequestBytes is at its default of {DEFAULT_HEADER_BYTES} bytes on "
            f"{len(at_default)} server(s): tickets of users in very many groups do not fit (HTTP 400)",
            server=at_default[0] if len(at_default) == 1 else None,
            servers=at_default,
            fix=("Raise both values only where HTTP 400 is seen.",),
        )


def _has_default_limits(registry: Mapping[str, object] | None) -> bool:
    limits = ("MaxFieldLength", "MaxRequestBytes")
    return registry is not None and any(registry.get(name) in {None, DEFAULT_HEADER_BYTES} for name in limits)


# -- proxies -------------------------------------------------------------------------------------------------------


def _demands_binding(settings: WindowsAuth) -> bool:
    return fold(settings.token_checking) == "require"


def proxies(case: Case) -> Iterator[Finding]:
    """Extended protection that demands a channel binding which a proxy that ends TLS must break (rule R9.3)."""
    ending = [name for name in case.farm if name.proxy == "terminates-tls"]
    for name in ending:
        for application in case.applications:
            settings = application.windows_auth
            server = case.by_label[application.server]
            if settings is None or not application.negotiates or not _demands_binding(settings):
                continue
            if name.includes(server.machine) and (name.site is None or fold(name.site) == fold(application.site)):
                yield finding(
                    "extended-protection-behind-proxy",
                    f"tokenChecking=Require, and the proxy in front of {name.host} ends TLS: the binding cannot match "
                    "and users get 401",
                    at=application,
                    fix=("Let the proxy pass TLS through, or set tokenChecking=None behind it.",),
                )
