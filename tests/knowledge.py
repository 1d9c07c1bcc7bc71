"""What a run knows, and the same run with one source of its knowledge left out.

    full = Run(snapshots, sources)
    for less in LEFT_OUT["DNS"](full): ...

A run ends in documents as the contract fixes them (`iis-spn/report/2`): the report, and `explain` of URLs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Machine, Snapshot
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.names import AccountName, Spn, http_spn
from agent.sources.snapshots.machine_file import complete
from agent.spn.computer_names import FarmName
from agent.spn.directory import AskDirectory, Directory
from agent.spn.domains import guessed_label
from agent.spn.nameservice import Resolution
from agent.story import explain, read_url
from tests.pages import in_text

Document = dict[str, Any]
"""A JSON document, with the contract's keys."""


class Run:
    """Servers, and what may be asked about them. `name` says which row or sample, and what was left out."""

    def __init__(self, name: str, snapshots: tuple[Snapshot, ...], sources: Sources) -> None:
        self.name = name
        self.snapshots = snapshots
        self.sources = sources

    def __repr__(self) -> str:
        return f"<{self.name}: {[one.label for one in self.snapshots]}>"

    def told(self, urls: Iterable[str] = ()) -> Told:
        """What the program says of it, and of these URLs."""
        report = analyse(self.snapshots, self.sources).report
        typed = [read_url(url).typed for url in urls]
        asked = analyse(self.snapshots, replace(self.sources, typed=typed)) if typed else None
        stories = {url: explain(asked, url) for url in urls} if asked is not None else {}
        return Told(
            self.name,
            json.loads(report.to_json()),
            {url: json.loads(story.to_json()) for url, story in stories.items()},
            in_text(report, 100, color=False).partition("\n")[0],
            declared=declared(self.sources.farm),
            led=self._names(self._leads_to_inspected),
            aliases=self._names(lambda found: found.is_alias),
            ends=self._ends(),
        )

    def _leads_to_inspected(self, found: Resolution) -> bool:
        known = {address for one in self.snapshots for address in one.machine.addresses}
        return bool(found.addresses) and known.issuperset(found.addresses or ())

    def _ends(self) -> frozenset[str]:
        service = self.sources.names((), ())
        answers = service.answers.values() if service is not None else ()
        return frozenset(http_spn(found.canonical).key for found in answers if found.is_alias)

    def _names(self, chosen: Callable[[Resolution], bool]) -> frozenset[str]:
        """The names of which DNS says something, and their first labels."""
        service = self.sources.names((), ())
        answers = service.answers.values() if service is not None else ()
        hosts = [found.chain[0] for found in answers if chosen(found)]
        return frozenset(host.key for name in hosts for host in (name, name.first_label))

    def with_machines(self, change: Callable[[Machine], Machine], name: str) -> Run:
        changed = tuple(replace(one, machine=change(one.machine)) for one in self.snapshots)
        return Run(f"{self.name} without {name}", changed, self.sources)

    def with_directory(self, change: Callable[[Directory], Directory], name: str) -> Run:
        ask = self.sources.directory
        return self.with_sources(name, directory=_changed(ask, change))

    def with_sources(self, name: str, **changed: Any) -> Run:
        return Run(f"{self.name} without {name}", self.snapshots, replace(self.sources, **changed))

    def with_snapshots(self, change: Callable[[Snapshot], Snapshot], name: str) -> Run:
        return Run(f"{self.name} without {name}", tuple(map(change, self.snapshots)), self.sources)


@dataclass(frozen=True, eq=False)
class Told:
    """The report, the story of each URL, and the first line that people see."""

    name: str
    report: Document
    stories: Mapping[str, Document]
    first_line: str = ""
    exits: Mapping[str, int] = field(default_factory=dict)
    """Exit codes of the commands, where the run went through them."""
    declared: frozenset[str] = frozenset()
    """The names, in small letters, whose servers a farm file lists, and their first labels."""
    led: frozenset[str] = frozenset()
    """The names, in small letters, that DNS leads to addresses of inspected servers alone, and their first labels."""
    aliases: frozenset[str] = frozenset()
    """The names, in small letters, that DNS has as aliases, and their first labels."""
    ends: frozenset[str] = frozenset()
    """The SPNs, in small letters, of the names that these are aliases of."""


def declared(farm: Iterable[FarmName]) -> frozenset[str]:
    return frozenset(host.key for name in farm for host in (name.host, name.host.first_label))


def _changed(ask: AskDirectory, change: Callable[[Directory], Directory]) -> AskDirectory:
    def asked(question: Any) -> Directory | None:
        found = ask(question)
        return None if found is None else change(found)

    return asked


# -- one source of knowledge left out ------------------------------------------------------------------------------


def _directory(full: Run) -> Iterator[Run]:
    yield full.with_sources("directory", directory=lambda _question: None)


def _uncovered(directory: Directory) -> Directory:
    return replace(directory, domains=tuple(replace(domain, covered=False) for domain in directory.domains))


def _domain_entry(full: Run) -> Iterator[Run]:
    """An export without the domain's own entry: what is not in it may be elsewhere."""
    yield full.with_directory(_uncovered, "the domain's own entry")


def _part_of_the_directory(full: Run) -> Iterator[Run]:
    """Such an export of a few OUs: each account in turn is not in it."""
    whole: list[Directory] = []
    full.with_directory(lambda found: whole.append(found) or found, "").told()
    for gone in dict.fromkeys(account.identity for found in whole for account in found.accounts):

        def part(found: Directory, gone: str = gone) -> Directory:
            kept = tuple(account for account in found.accounts if account.identity != gone)
            return replace(_uncovered(found), accounts=kept)

        yield full.with_directory(part, f"{gone} in the export")


def _dns(full: Run) -> Iterator[Run]:
    yield full.with_sources("DNS", names=lambda _hosts, _addresses: None)


def _farm_file(full: Run) -> Iterator[Run]:
    if full.sources.farm:
        yield full.with_sources("farm file", farm=())


def _one_server(full: Run) -> Iterator[Run]:
    for gone in full.snapshots if len(full.snapshots) > 1 else ():
        kept = tuple(one for one in full.snapshots if one is not gone)
        yield Run(f"{full.name} without {gone.label}", kept, full.sources)


def _bare(one: Snapshot, computer: str | None) -> Snapshot:
    """The file that is in force, and nothing else; `computer` is what `--computer` says."""
    file = configuration_file(one).file
    machine, _ = complete(Machine(), computer, None, {})
    files = {} if file is None else {"applicationhost.config": file}
    return Snapshot(source=one.source, machine=machine, files=files)


def _machine_file(full: Run) -> Iterator[Run]:
    yield full.with_snapshots(lambda one: _bare(one, None), "machine.json")


def _machine_file_but_computer(full: Run) -> Iterator[Run]:
    """`--computer` takes an FQDN: the server's dNSHostName."""
    yield full.with_snapshots(lambda one: _bare(one, str(one.machine.dns_name)), "machine.json, with --computer")


def _netbios_name(full: Run) -> Iterator[Run]:
    """Neither machine.json nor the directory says it: LDIF without crossRef and msDS-PrincipalName."""
    without = full.with_machines(lambda machine: replace(machine, netbios_domain=None), "NetBIOS name")
    yield Run(without.name, without.snapshots, without.with_directory(_without_labels, "").sources)


def _without_labels(directory: Directory) -> Directory:
    def guessed(name: AccountName) -> AccountName:
        return AccountName(guessed_label(name.dns), name.name, name.dns)

    return replace(
        directory,
        domains=tuple(replace(domain, netbios=None) for domain in directory.domains),
        accounts=tuple(replace(account, name=guessed(account.name)) for account in directory.accounts),
    )


def _web_config(full: Run) -> Iterator[Run]:
    """web.config files were not looked at. What is in force of a shared configuration is no content."""

    def without(one: Snapshot) -> Snapshot:
        force = configuration_file(one).file
        kept = {key: file for key, file in one.files.items() if not key.startswith("files/") or file == force}
        return replace(one, files=kept, machine=replace(one.machine, content_looked=False, unread=()))

    yield full.with_snapshots(without, "web.config")


LEFT_OUT: Mapping[str, Callable[[Run], Iterator[Run]]] = {
    "directory": _directory,
    "domain entry": _domain_entry,
    "part of the directory": _part_of_the_directory,
    "DNS": _dns,
    "machine.json": _machine_file,
    "machine.json, not --computer": _machine_file_but_computer,
    "NetBIOS name": _netbios_name,
    "web.config": _web_config,
    "farm file": _farm_file,
    "one server": _one_server,
}

MAY_ADD_A_NAME = frozenset({"DNS", "farm file", "one server"})
"""What says of a name whom it leads to: without it another server may be taken for the one that answers (contract)."""
MAY_ADD_A_STEP = frozenset({*MAY_ADD_A_NAME, "machine.json"})
"""Where something is declared nowhere else, or nobody named the server, a step may be offered that a person has to
confirm (contract)."""


# -- the same run under another NetBIOS name -----------------------------------------------------------------------

LABEL = "NORDAD"
"""A NetBIOS name that is not the first label of test.com, as most real ones are not."""


def renamed(full: Run) -> Run:
    """The same domain under a NetBIOS name that its DNS name does not suggest; servers and directory say it."""

    def under_another(one: Snapshot) -> Snapshot:
        files = {
            key: file._replace(data=file.data.replace(b"TEST\\", LABEL.encode() + b"\\"))
            for key, file in one.files.items()
        }
        machine = one.machine
        said = replace(machine, netbios_domain=LABEL if machine.netbios_domain else None)
        return replace(one, files=files, machine=said)

    changed = full.with_snapshots(under_another, "").with_directory(_relabelled, "")
    return Run(f"{full.name} of {LABEL}", changed.snapshots, changed.sources)


def _relabelled(directory: Directory) -> Directory:
    return replace(
        directory,
        domains=tuple(replace(one, netbios=LABEL) if one.netbios == "TEST" else one for one in directory.domains),
        accounts=tuple(
            replace(one, name=AccountName(LABEL, one.name.name, one.name.dns)) if one.name.domain == "TEST" else one
            for one in directory.accounts
        ),
    )


# -- what is compared ----------------------------------------------------------------------------------------------


def url_of(name: Spn) -> str:
    """What people type to reach the name."""
    return f"http://{name.instance}/"


def server_names(report: Document) -> dict[str, str]:
    """By its name in the report, which is its path where nobody knows its name: how a server's folder is called."""
    return {one["name"]: Path(one["source"].removesuffix("applicationHost.config")).name for one in report["servers"]}
