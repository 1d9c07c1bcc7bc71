"""What is to be probed: URLs and kinds of client -> the SPN that each asks for, and where its host is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from agent.model import Report
from agent.names import HostName, Spn, http_spn
from agent.spn.clients import Client, asked_hosts, asked_port
from agent.spn.nameservice import NameService, Resolution
from agent.story.url import Url, read_url


class Look(Struct, frozen=True, kw_only=True):
    """A URL as a client of one kind, the SPN that it asks for (None: no ticket), and the addresses of its host.

    `addresses` None: nobody said them, so this system's resolver is asked. `steps` tell how both were found.
    """

    url: Url
    client: str
    spn: Spn | None
    addresses: Sequence[str] | None
    steps: tuple[str, ...]


def looks(urls: Iterable[Url], clients: Sequence[Client], names: NameService | None) -> Iterator[Look]:
    """Each URL as each kind of client; what the name service does not know stands as it is typed."""
    for url in urls:
        found = names.resolve(url.host) if names is not None else None
        for client in clients:
            yield Look(
                url=url,
                client=client.name,
                spn=_asked(url, client, names),
                addresses=found.addresses if found is not None and found.addresses else None,
                steps=(_resolved(url.host, found),),
            )


def _asked(url: Url, client: Client, names: NameService | None) -> Spn | None:
    """None for addresses and loopback names: Windows clients take no ticket for them (rules R2.12, R2.13)."""
    hosts = () if url.host.is_loopback else asked_hosts(client, url.host, names, None)
    return http_spn(hosts[0], asked_port(client, url.port)) if hosts else None


def _resolved(host: HostName, found: Resolution | None) -> str:
    if host.is_address:
        return f"{host} is an address."
    if found is None:
        return f"{host} is typed; this system's resolver says where it is."
    if not found.addresses:
        return f"{host} is typed; {'DNS knows no such name' if not found.exists else 'DNS has no address for it'}."
    chain = ", an alias of ".join(name.text for name in found.chain)
    return f"{host} is typed; DNS finds {chain}: {', '.join(found.addresses)}."


def urls_of(report: Report) -> tuple[Url, ...]:
    """What people type for the names of a report that need an SPN, or that a HOST/ SPN serves; each once.

    Names that may fail without harm are left out.
    """
    needed = {
        (application, requirement.spn.host)
        for requirement in report.requirements
        if requirement.need in {"explicit", "covered"}
        for application in requirement.applications
    }
    found = (
        read_url(f"{url.scheme}://{url.host.spn_text}:{url.port}{url.path}")
        for application in report.applications
        for url in application.urls or ()
        if (application.reference, url.host) in needed
    )
    return tuple({str(url): url._replace(text=str(url)) for url in found}.values())
