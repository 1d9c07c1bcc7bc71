"""No SPN is asked for or registered for a name that no given source shows to lead to the server.

What can show it: a binding, the facts of the machine (with the names that the directory has for the computer), DNS, the
farm file. The sources are read here once more, in the plainest way, and what the program prints is held against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_knowledge import _runs
from test_plan import Bench, farms
from worlds import ad, computer, farm_name, server, site, user

from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Snapshot
from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.model import Report
from agent.names import HostName, Spn, fold, host_name, ip_address
from agent.spn.directory import Directory, Question
from agent.spn.nameservice import NameService, Resolution

_BOUND = re.compile(rb'bindingInformation="([^"]*)"')
_LOOPBACK = re.compile(r"(?:localhost|loopback)(?:\..*)?|.*\.localhost")
_LOCATOR = re.compile(r"(?:.*\.)?(?:_.*|gc|domaindnszones|forestdnszones)(?:\..*)?")
"""Names by which every computer means itself, and by which domain controllers are found (MS-ADTS 6.3.2)."""


class Shown:
    """What leads to one server by its sources: `names` as they are typed, `shortened` what else may be typed for them,
    `followed` what clients make of aliases and addresses."""

    def __init__(
        self, snapshot: Snapshot, sources: Sources, service: NameService | None, directory: Directory | None
    ) -> None:
        self.machine = snapshot.machine
        force = configuration_file(snapshot).file
        bound = [text.decode().split(":") for text in _BOUND.findall(force.data if force is not None else b"")]
        self.headers = {fold(parts[-1]) for parts in bound if parts[-1]}
        self.addresses = {*map(str, self.machine.addresses), *(parts[0] for parts in bound if ip_address(parts[0]))}
        self.service = service
        self.sources = sources
        self.additional = [
            fold(name)
            for account in (directory.accounts if directory is not None else ())
            if fold(account.name.name) == f"{fold(str(self.machine.name))}$"
            for name in (account.dns_host_name or "", *account.additional_dns_host_names)
        ]

    @cached_property
    def own(self) -> set[str]:
        own = {fold(str(name)) for name in (self.machine.name, self.machine.dns_name, *self.additional) if name}
        labels = {name.partition(".")[0] for name in own}
        return own | labels | {label[:15] for label in labels}  # Windows makes its NetBIOS name of the first label

    @cached_property
    def suffixes(self) -> set[str]:
        """Of the clients: that of the server's full name, else those of the zones."""
        own = {name.partition(".")[2] for name in self.own} - {""}
        of_zones = set(map(fold, self.service.suffixes)) if self.service is not None else set()
        return own or of_zones

    @cached_property
    def declared(self) -> set[str]:
        servers = {fold(str(self.machine.name)), fold(str(self.machine.dns_name))}
        return {fold(name.host.text) for name in self.sources.farm if servers & set(map(fold, name.servers))}

    @cached_property
    def led_by_dns(self) -> set[str]:
        """What a zone leads to an address or to a name of the server."""
        found = set()
        for host, answer in self.service.answers.items() if self.service is not None else ():
            ends_here = fold(answer.canonical.text) in self.own
            if ends_here or self.addresses & set(answer.addresses or ()):
                found.add(fold(host.text))
        return found

    @cached_property
    def typed(self) -> set[str]:
        names = {name for name in self.headers if "*" not in name} | self.own | self.declared | self.led_by_dns
        in_full = {f"{name}.{suffix}" for name in names if "." not in name for suffix in (*self.suffixes, *self._zones)}
        return names | in_full

    @property
    def _zones(self) -> set[str]:
        return set(map(fold, self.service.suffixes)) if self.service is not None else set()

    @cached_property
    def short(self) -> set[str]:
        """The first labels of names that stand directly below the clients' suffix."""
        below = {name for name in self.typed if not self.suffixes or name.partition(".")[2] in self.suffixes}
        return {name.partition(".")[0] for name in below | self.declared}

    @cached_property
    def followed(self) -> set[str]:
        """What canonicalising clients ask for: the ends of aliases, and the names that addresses point back to."""
        answers = [self._answer(name) for name in self.typed]
        ends = {fold(answer.canonical.text) for answer in answers if answer is not None}
        pointers = self.service.pointers if self.service is not None else {}
        back = {
            fold(pointers[at].text) for answer in answers if answer for at in answer.addresses or () if at in pointers
        }
        return ends | back

    def _answer(self, name: str) -> Resolution | None:
        return self.service.resolve(host_name(name)) if self.service is not None else None

    def leads(self, host: HostName, *, optional: bool) -> bool:
        key = fold(host.text)
        if _LOOPBACK.fullmatch(key) or (_LOCATOR.fullmatch(key) and key not in self.declared):
            return False
        return key in self.typed | self.followed | self.short or (
            optional and key in {name.partition(".")[0] for name in self.typed}
        )


def unshown(report: Report, shown: dict[str, Shown]) -> Iterator[str]:
    """What is printed for a name that nothing shows."""
    for one in report.requirements:
        for place in one.applications:
            if not shown[place.server].leads(one.spn.host, optional=one.need == "optional"):
                yield f"{one.spn} ({one.need}) for {place.server}"
    asked = {one.spn for one in report.requirements if one.need != "optional"}
    for step in report.plan.steps:
        if step.kind == "spn-add" and step.spn not in asked:
            yield f"a step for {step.spn}"
    for spn_text in commanded(report):
        if not any(each.leads(Spn(spn_text, fold(spn_text)).host, optional=True) for each in shown.values()):
            yield f"a command for {spn_text}"


def commanded(report: Report) -> set[str]:
    """The SPNs of the `setspn` lines that would register one, wherever they stand."""
    texts = [*(fix for found in report.findings for fix in found.fix)]
    texts += [step.command or "" for step in report.plan.steps]
    texts += [step.command or "" for way in report.plan.alternatives for step in way.steps]
    texts += [line for one in report.requirements for line in one.advice]
    return {found for text in texts for found in re.findall(r"setspn [^\n]*?-S \"?(HTTP/[^\s\"]+)", text)}


def told(snapshots: Iterable[Snapshot], sources: Sources) -> list[str]:
    """What is printed of these servers for a name that nothing shows."""
    kept = tuple(snapshots)
    directories: list[Directory | None] = []
    services: list[NameService | None] = []

    def directory(question: Question) -> Directory | None:
        directories.append(sources.directory(question))
        return directories[-1]

    def names(hosts: Sequence[HostName], addresses: Sequence[str]) -> NameService | None:
        services.append(sources.names(hosts, addresses))
        return services[-1]

    report = analyse(kept, replace(sources, directory=directory, names=names)).report
    last = (services[-1] if services else None, directories[-1] if directories else None)
    return list(unshown(report, {one.label: Shown(one, sources, *last) for one in kept}))


def test_names_of_samples_and_truth_table() -> None:
    assert {run.name: found for run in _runs() if (found := told(run.snapshots, run.sources))} == {}


@given(farms())
def test_names_of_random_farms(bench: Bench) -> None:
    assert told(bench.snapshots, bench.sources) == []


# -- names that are none -------------------------------------------------------------------------------------------

HEADERS = (
    *("*:80:", "10.0.5.2:80:", "10.0.5.9:80:", "127.0.0.1:80:", "*:80:localhost", "*:80:LOCALHOST.test.com"),
    *(
        "*:80:portal.test.com",
        "*:80:portal.branch.test.com",
        "*:80:www.other.example",
        "*:80:wiki",
        "*:80:*.apps.test.com",
    ),
    *("*:80:gc._msdcs.test.com", "*:80:DomainDnsZones.test.com", "*:80:loopback", "*:8080:iis01.test.com"),
)
RECORDS = (
    *("@ A 10.0.5.2", "iis01 A 10.0.5.2", "iis02 A 10.0.5.3", "portal A 10.0.5.2", "portal A 10.0.0.77"),
    *("wiki CNAME iis01", "web.branch A 10.0.5.2", "a.b.c A 10.0.5.2", "*.apps A 10.0.5.2", "here A 127.0.0.1"),
    *("localhost A 10.0.5.2", "gc._msdcs A 10.0.5.2", "_ldap._tcp A 10.0.5.2", "ForestDnsZones A 10.0.5.2"),
    *("out CNAME www.other.example.", "portal.branch CNAME wiki", "bound A 10.0.5.9", "vip A 10.0.0.77"),
    "$ORIGIN 5.0.10.in-addr.arpa.;2 PTR iis01.test.com.;3 PTR other-name.test.com.",
)
FARMS = (
    farm_name("farm.test.com", "IIS01", "IIS02"),
    farm_name("farm.branch.test.com", "IIS01"),
    farm_name("farm", "IIS02"),
    farm_name("www.other.example", "IIS01", site="Site0", proxy="terminates-tls"),
)
LOGONS = ("ApplicationPoolIdentity", r"TEST\contososvc")
CLIENTS = ((), ("edge-port",), ("chrome-nocname", "curl-mit", "java"), ("ie", "dotnetframework"))
FACTS = ({}, {"domain_controller": True}, {"addresses": ()}, {"dns_name": None}, {"name": None, "dns_name": None})
HELD = ("HTTP/portal.test.com", "HTTP/localhost", "HTTP/a.b.c", "HTTP/wiki", "HTTP/hidden.test.com", "HOST/here")


@st.composite
def worlds_of_odd_names(draw: st.DrawFn) -> tuple[list[Snapshot], dict[str, object]]:
    servers = []
    for number in range(1, draw(st.integers(1, 2)) + 1):
        bound = draw(st.lists(st.sampled_from(HEADERS), min_size=1, max_size=4, unique=True))
        sites = [site(*bound[at::2], name=f"Site{at}") for at in range(2) if bound[at::2]]
        creds, logon = draw(st.booleans()), draw(st.sampled_from(LOGONS))
        facts = draw(st.sampled_from(FACTS))
        servers.append(server(*sites, name=f"IIS0{number}", pool=logon, creds=creds, facts=facts))
    few = st.lists(st.sampled_from(HELD), max_size=2, unique=True)
    more = draw(st.sampled_from([{}, {"msDS_AdditionalDnsHostName": "added.test.com"}]))
    entries = (computer("IIS01", *draw(few), **more), computer("IIS02"), user("contososvc", *draw(few)))
    records = draw(st.lists(st.sampled_from(RECORDS), max_size=8, unique=True))
    return servers, {
        "ad": draw(st.sampled_from([ad(*entries), None])),
        "dns": draw(st.sampled_from([";".join(sorted(records, key=lambda one: "$" in one)), None])),
        "farm": draw(st.lists(st.sampled_from(FARMS), max_size=2, unique=True)),
        "clients": draw(st.sampled_from(CLIENTS)),
    }


@settings(max_examples=200)
@given(worlds_of_odd_names())
def test_names_that_are_none(drawn: tuple[list[Snapshot], dict[str, object]]) -> None:
    servers, said = drawn
    found: list[str] = []

    def looked_at(snapshots: Iterable[Snapshot], sources: Sources) -> Analysis:
        kept = tuple(snapshots)
        found.extend(told(kept, sources))
        return analyse(kept, sources)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "analyse", looked_at)
        worlds.world(*servers, **said)  # type: ignore[arg-type]
    assert found == []
