"""What a plan costs: many SPNs on one account, many servers behind one name, at one size and at twice that.

python -m benchmarks.plan [--spns 2000] [--servers 500]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.iis.redirection import APPLICATION_HOST
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Report
from agent.names import AccountName, Spn, host_name, spn
from agent.render import cmd, ldif, powershell, steps_markdown, steps_sheet, ticket
from agent.spn.computer_names import FarmName
from agent.spn.directory import Account, Directory, Domain, Question
from benchmarks.measure import table

FORMATS: tuple[Callable[[Report], object], ...] = (
    cmd.to_cmd,
    powershell.to_powershell,
    ldif.to_ldif,
    ticket.to_ticket,
    steps_markdown.to_markdown,
    steps_sheet.to_csv,
)
SVC, OLD = AccountName("TEST", "svc"), AccountName("TEST", "old")


class World(NamedTuple):
    """Servers, and what the sources say of them."""

    snapshots: tuple[Snapshot, ...]
    sources: Sources


# -- what is planned for -------------------------------------------------------------------------------------------


def many_spns(count: int) -> World:
    """One server; all SPNs of its sites are on one account, which is the wrong one: two steps for each."""
    names = [f"n{number}.test.com" for number in range(count)]
    return _world([_server("IIS01", names, credentials=True)], [_account(OLD, names), _account(SVC, [])], ())


def many_servers(count: int) -> World:
    """A farm: half of its servers decrypt with another account than the rest, and a third account has the SPN."""
    name, labels = "x.test.com", [f"IIS{number:04}" for number in range(count)]
    servers = [_server(label, [name], credentials=number % 2 == 0) for number, label in enumerate(labels)]
    farm = FarmName(host=host_name(name), servers=tuple(labels))
    return _world(servers, [_account(OLD, [name]), _account(SVC, [])], (farm,))


def _server(label: str, names: list[str], *, credentials: bool) -> Snapshot:
    setting = "system.webServer/security/authentication/windowsAuthentication"
    sections = "".join(f"<{part}>" for part in setting.split("/")[:-1])
    ends = "".join(f"</{part}>" for part in reversed(setting.split("/")[:-1]))
    sites = "".join(
        f'<site name="S{number}" id="{number + 1}"><application path="/" applicationPool="P" /><bindings>'
        f'<binding protocol="http" bindingInformation="*:80:{name}" /></bindings></site>'
        for number, name in enumerate(names)
    )
    text = (
        '<configuration><configSections><sectionGroup name="system.webServer"><sectionGroup name="security">'
        '<sectionGroup name="authentication"><section name="windowsAuthentication" /></sectionGroup></sectionGroup>'
        "</sectionGroup></configSections><system.applicationHost><applicationPools>"
        r'<add name="P"><processModel identityType="SpecificUser" userName="TEST\svc" /></add></applicationPools>'
        f"<sites>{sites}</sites></system.applicationHost>{sections}"
        f'<windowsAuthentication enabled="true" useAppPoolCredentials="{str(credentials).lower()}"><providers>'
        f'<add value="Negotiate" /></providers></windowsAuthentication>{ends}</configuration>'
    )
    machine = Machine(
        name=label,
        dns_name=f"{label.lower()}.test.com",
        domain="test.com",
        netbios_domain="TEST",
        membership="domain",
        content_looked=True,
    )
    files = {APPLICATION_HOST.lower(): SourceFile("applicationHost.config", text.encode())}
    return Snapshot(source=label, machine=machine, files=files)


def _account(name: AccountName, hosts: list[str]) -> Account:
    held: tuple[Spn, ...] = tuple(spn(f"HTTP/{host}") for host in hosts)
    return Account(name=name, dn=f"CN={name.name},DC=test,DC=com", kind="user", spns=held)


def _world(servers: list[Snapshot], accounts: list[Account], farm: tuple[FarmName, ...]) -> World:
    computers = [
        Account(
            name=AccountName("TEST", f"{server.machine.name}$"),
            dn=f"CN={server.machine.name},DC=test,DC=com",
            kind="computer",
            spns=(spn(f"HOST/{server.machine.name}"), spn(f"HOST/{server.machine.dns_name}")),
        )
        for server in servers
    ]

    def directory(question: Question) -> Directory:
        domain = Domain(dns_name="test.com", netbios="TEST", dn="DC=test,DC=com", covered=True)
        held = (*accounts, *computers)
        return Directory(source="memory", domains=(domain,), accounts=held, asked=question.spns)

    return World(tuple(servers), Sources(directory=directory, farm=farm))


# -- measuring -----------------------------------------------------------------------------------------------------


def _rows(what: str, make: Callable[[int], World], count: int) -> Iterator[tuple[object, ...]]:
    first = 0.0
    for size in (count // 2, count):
        world = make(size)
        begun = time.process_time()
        report = analyse(world.snapshots, world.sources).report
        planned = time.process_time()
        for render in FORMATS:
            render(report)
        ended = time.process_time()
        first = first or ended - begun
        yield (
            f"{size:,} {what}",
            f"{len(report.plan.steps):,}",
            f"{planned - begun:.2f}",
            f"{ended - planned:.2f}",
            f"{(ended - begun) / first:.2f}",
        )


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--spns", type=int, default=2000)
    arguments.add_argument("--servers", type=int, default=500)
    given = arguments.parse_args()
    rows = [
        *_rows("SPNs on one account", many_spns, given.spns),
        *_rows("servers behind one name", many_servers, given.servers),
    ]
    table(("", "steps", "analysis, CPU s", "six formats, CPU s", "x half the size"), rows)


if __name__ == "__main__":
    main()
