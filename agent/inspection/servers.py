"""From snapshots to the servers of a case: what IIS uses there, and which names lead to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from agent.errors import MalformedError
from agent.iis.effective import Configuration, effective
from agent.iis.parse import parse
from agent.iis.redirection import configuration_file
from agent.iis.schema import APPLICATION_POOLS, SITES
from agent.iis.snapshot import Machine, Snapshot, SourceFile, internal_error
from agent.inspection.logged import Named, with_logged
from agent.model import (
    Problem,
)
from agent.names import AccountName, Address, HostName, fold, host_name
from agent.spn.computer_names import FarmName, Inspected, names_of
from agent.spn.directory import Account, Directory
from agent.spn.domains import Domains
from agent.spn.identity import computer
from agent.spn.nameservice import NameService
from agent.spn.question import Typed
from agent.spn.require import ServerView, server_view


class Read(NamedTuple):
    """One server, read: `configuration` None where it could not be."""

    label: str
    source: str
    machine: Machine
    configuration: Configuration | None
    problems: tuple[Problem, ...]
    written: str | None = None


def read_each(snapshots: Iterable[Snapshot]) -> Iterator[Read]:
    """Each server, read; a fault of this program costs the server it comes with."""
    for snapshot in snapshots:
        try:
            read = read_server(snapshot)
        except Exception as error:  # noqa: BLE001  # the barrier between servers
            read = left_out(Read(snapshot.label, snapshot.source, snapshot.machine, None, snapshot.problems), error)
        yield read


def left_out(read: Read, error: Exception) -> Read:
    """The server without its configuration, of which nothing is said then."""
    return read._replace(configuration=None, problems=(*read.problems, internal_error(error)))


def read_server(snapshot: Snapshot) -> Read:
    force, machine = configuration_file(snapshot), snapshot.machine
    problems = [*snapshot.problems, *([force.problem] if force.problem is not None else [])]
    problems += [Problem(id="facts-not-collected", message=f"{fact}: {why}") for fact, why in machine.facts_unread]
    configuration = None
    if force.file is not None:
        try:
            configuration = _configuration(snapshot, force.file)
        except MalformedError as error:
            problems.append(Problem(id="config-malformed", message=error.reason, file=error.file, line=error.line))
    if configuration is not None:
        configuration = replace(configuration, shared=force.shared_key)
        if not configuration.content_looked:
            text = "web.config files were not looked at: what they set (where the section is unlocked) is not known"
            problems.append(Problem(id="content-not-collected", message=text))
    return Read(snapshot.label, snapshot.source, snapshot.machine, configuration, tuple(problems), snapshot.written)


def _configuration(snapshot: Snapshot, file: SourceFile) -> Configuration:
    if file.error is not None:
        raise MalformedError(file.name, None, f"could not be opened: {file.error}")
    document = parse(file.xml(), file.name)
    if document.section(SITES) is None and document.section(APPLICATION_POOLS) is None:
        reason = "it has no <system.applicationHost> with sites: this is not an applicationHost.config"
        raise MalformedError(file.name, 1, reason)
    return effective(document, snapshot)


def told_apart(reads: Iterable[Read]) -> Iterator[Read]:
    """Two machines of one name in two domains are told apart by their full names; two snapshots of one are not."""
    labels: dict[str, str] = {}
    machines: dict[tuple[str, str], str] = {}
    for read in reads:
        if any(problem.id == "server-unreachable" for problem in read.problems):
            yield read  # it is called as it was asked; which machine would have answered is not known
            continue
        label = read.label
        dns_name = str(read.machine.dns_name or "")
        other = machines.setdefault((fold(label), fold(dns_name)), read.source)
        if fold(label) in labels and other is read.source and dns_name:
            label = dns_name
        if labels.setdefault(fold(label), read.source) is not read.source:
            text = f"{labels[fold(label)]} is a server of the same name ({label}): this one is not analysed"
            problem = Problem(id="config-invalid", message=text, file=read.source)
            yield read._replace(label=f"{label} ({read.source})", configuration=None, problems=(problem,))
        else:
            yield read._replace(label=label)


def names_question(
    reads: Iterable[Read], named: Iterable[HostName], typed: Iterable[Typed]
) -> tuple[list[HostName], list[Address]]:
    """The host names and addresses that occur: live DNS is asked about these, never to list a zone."""
    hosts: dict[HostName, None] = dict.fromkeys([*named, *(one.host for one in typed)])
    addresses: dict[Address, None] = {}
    for read in reads:
        own = (read.machine.short_name, read.machine.full_name)
        hosts.update((host, None) for host in own if host is not None)
        addresses.update(dict.fromkeys(read.machine.addresses))
        for site in read.configuration.sites if read.configuration is not None else ():
            for binding in site.bindings:
                if binding.serves and binding.host is not None and not binding.host.is_wildcard:
                    hosts[binding.host] = None
    return [host for host in hosts if not host.is_address], list(addresses)


def server_views(
    reads: Iterable[Read],
    farm_names: Sequence[FarmName],
    logged: Sequence[HostName],
    service: NameService | None,
    domains: Domains,
    directory: Directory | None,
) -> list[ServerView]:
    """The servers with the names that lead to them; without a directory, as far as they themselves can tell."""
    by_server: dict[str, list[int]] = {}
    for position, farm_name in enumerate(farm_names):
        for server in farm_name.servers:
            by_server.setdefault(fold(server), []).append(position)
    known_as = [_known_as(read, domains, directory) for read in reads if read.configuration is not None]
    inspected = _inspected(known_as, service)
    computers = _computer_names(directory)
    servers = []
    for read, machine, _, additional in known_as:
        if read.configuration is not None:
            positions = sorted({position for key in machine.said_names for position in by_server.get(key, ())})
            declared = [farm_names[position] for position in positions]
            names = names_of(machine, declared, service, inspected, additional, computers)
            servers.append((read.label, Named(read.configuration, names)))
    with_names = with_logged([server for _, server in servers], logged)
    return [
        server_view(label, names.machine, server.configuration, names, domains)
        for (label, server), names in zip(servers, with_names, strict=True)
    ]


def _computer_names(directory: Directory | None) -> frozenset[HostName]:
    """The names that the directory has for computers, full and short, and those that most have."""
    texts = []
    for account in directory.accounts if directory is not None else ():
        if account.kind == "computer":
            label = account.name.name.removesuffix("$")
            texts += [label, account.dns_host_name or f"{label}.{account.name.dns}", *account.additional_dns_host_names]
    full = [host_name(text) for text in texts]
    return frozenset({*full, *(host.first_label for host in full)})


class _Known(NamedTuple):
    """A server with the names that the directory has for its computer."""

    read: Read
    machine: Machine
    account: AccountName | None
    additional: tuple[str, ...]


def _known_as(read: Read, domains: Domains, directory: Directory | None) -> _Known:
    account = computer(read.machine, domains)
    known = directory.account(account) if directory is not None and account is not None else None
    additional = known.additional_dns_host_names if known is not None else ()
    return _Known(read, _named_by(known, read.machine), account, additional)


def _inspected(servers: Iterable[_Known], service: NameService | None) -> Inspected:
    """Where names may lead that lead to one of these servers."""
    addresses: set[Address] = set()
    computers: dict[HostName, tuple[Address, ...]] = {}
    for read, machine, _account, additional in servers:
        mine = names_of(machine, (), service).mine
        addresses.update(mine)
        for site in read.configuration.sites if read.configuration is not None else ():
            addresses.update(binding.address for binding in site.bindings if binding.serves and binding.address)
        own = (host for host in (machine.full_name, *map(host_name, additional)) if host is not None)
        computers.update((host, mine) for host in own)
    return Inspected(frozenset(addresses), computers)


def _named_by(known: Account | None, machine: Machine) -> Machine:
    """The machine with what its account says and it does not: its dNSHostName (rule R2.6), that it is a controller."""
    if known is None:
        return machine
    is_said = isinstance(machine.dns_name, str) or not known.dns_host_name
    is_controller = machine.domain_controller if known.is_controller is None else known.is_controller
    return replace(
        machine,
        dns_name=machine.dns_name if is_said else known.dns_host_name,
        domain_controller=machine.domain_controller or is_controller,
    )
