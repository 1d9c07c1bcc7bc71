"""The plan proved by carrying it out: in the directory, in the configuration text and in DNS, and looking again."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
import test_truth_table
import worlds
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace
from replay import applied
from work import calls
from worlds import World, ad, app, computer, entry, farm_name, providers, server, site, user, world

from agent.change.plan import Planned, awaiting, held_back, pairwise, plan, rolled_back
from agent.checks import spns
from agent.checks.commands import appcmd, appcmd_clear, setspn
from agent.checks.every import check
from agent.checks.farm import farm
from agent.checks.remedies import SETTLE
from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Snapshot, SourceFile, file_key
from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.model import Accepted, Finding, Report, Requirement, Step
from agent.names import AccountName, Spn, host_name, http_spn, path_key, printable, spn
from agent.sources import option_files
from agent.sources.ad.exports import read_exports
from agent.sources.dns import zone
from agent.sources.snapshots import targets
from agent.spn.directory import Account, AccountKind, Directory
from agent.spn.nameservice import NameService, Resolution

SAMPLES = Path(__file__).parents[1] / "sample_configs"


# -- carrying a plan out -------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Bench:
    """Servers, and all that the analysis asks about them, so that they can be changed and asked again."""

    snapshots: tuple[Snapshot, ...]
    sources: Sources
    analysis: Analysis

    def __repr__(self) -> str:
        return f"<{len(self.snapshots)} servers, {len(self.report.plan.steps)} steps>"

    @property
    def report(self) -> Report:
        return self.analysis.report

    @property
    def directory(self) -> Directory | None:
        return self.analysis.cases[0].directory

    def after(self, steps: Sequence[Step]) -> "Bench":
        """The same world when the steps are done."""
        case = self.analysis.cases[0]
        directory = applied(case.directory, steps) if case.directory is not None else None
        service = case.service
        snapshots = self.snapshots
        for step in steps:
            if step.kind == "iis-setting":
                command = step.command or ""
                snapshots = tuple(_set(one, command) if one.label == step.server else one for one in snapshots)
            elif step.kind == "dns" and service is not None:
                service = _resolved(service, step.command or "")
        sources = replace(self.sources, directory=lambda _question: directory, names=lambda _hosts, _addresses: service)
        return Bench(snapshots, sources, analyse(snapshots, sources))


def bench(snapshots: Iterable[Snapshot], sources: Sources) -> Bench:
    kept = tuple(snapshots)
    return Bench(kept, sources, analyse(kept, sources))


SETTING = re.compile(
    r'%windir%\\System32\\inetsrv\\appcmd\.exe (?:set|clear) config "([^"]+)" '
    r"-section:system\.webServer/security/authentication/windowsAuthentication "
    r"/(\w+)(?::(true|false))?( /commit:apphost)?"
)
SECTION = ("system.webServer", "security", "authentication", "windowsAuthentication")


def _set(one: Snapshot, command: str) -> Snapshot:
    """What `appcmd set config` does: the attribute in a `<location>`, or in the application's web.config."""
    match = SETTING.fullmatch(command)
    assert match is not None, command
    place, attribute, value, in_host = match.groups()
    force = configuration_file(one).file
    assert force is not None
    key = next(key for key, file in one.files.items() if file == force)
    if in_host:
        return _with_file(one, key, force.name, _edited(force.data, place, attribute, value))
    key, name = _web_config(one, force, place)
    data = one.files[key].data if key in one.files else b"<configuration />"
    return _with_file(one, key, name, _edited(data, None, attribute, value))


def _with_file(one: Snapshot, key: str, name: str, data: bytes) -> Snapshot:
    return replace(one, files={**one.files, key: SourceFile(name, data)})


def _edited(data: bytes, place: str | None, attribute: str, value: str | None) -> bytes:
    root = etree.fromstring(data)
    parent = root
    if place is not None:
        found = [e for e in root.iter("location") if path_key(e.get("path", "")) == path_key(place)]
        holding = [e for e in found if e.find("/".join(SECTION)) is not None]
        parent = (holding or found or [etree.SubElement(root, "location", path=place)])[0]
    for tag in SECTION:
        child = parent.find(tag)
        parent = etree.SubElement(parent, tag) if child is None else child
    if value is None:
        parent.attrib.pop(attribute, None)
    else:
        parent.set(attribute, value)
    return etree.tostring(root)


def _web_config(one: Snapshot, force: SourceFile, place: str) -> tuple[str, str]:
    name, _, rest = place.partition("/")
    for found in etree.fromstring(force.data).iter("site"):
        for application in found.iter("application"):
            if found.get("name") == name and application.get("path") == f"/{rest}":
                folder = application.find("virtualDirectory").get("physicalPath")
                physical = rf"{folder}\web.config"
                return str(file_key(physical, one.machine.environment)), physical
    raise AssertionError(place)


RECORD = re.compile(r"dnscmd /RecordDelete (\S+) (\S+) (?:CNAME|A) /f && dnscmd /RecordAdd (\S+) (\S+) (A|CNAME) (\S+)")


def _resolved(service: NameService, command: str) -> NameService:
    match = RECORD.fullmatch(command)
    assert match is not None, command
    zone_name, node, _, _, kind, data = match.groups()
    host = host_name(f"{node}.{zone_name}")
    if kind == "A":
        resolution = Resolution(chain=(host,), addresses=(data,))
    else:
        target = service.answers[host_name(data)]
        resolution = replace(target, chain=(host, *target.chain))
    at = {address: tuple(n for n in names if n != host) for address, names in service.names_by_address.items()}
    for address in resolution.addresses:
        at[address] = (*at.get(address, ()), host)
    return replace(service, answers={**service.answers, host: resolution}, names_by_address=at)


# -- what every plan must be ---------------------------------------------------------------------------------------

REPAIRED = frozenset(
    {
        *("spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "spn-port-only"),
        *("client-spn-variant", "farm-machine-identity", "farm-nodes-differ", "spn-malformed"),
    }
)


def open_findings(of: Report) -> list[Finding]:
    """The findings of the kinds that a plan can repair."""
    return [found for found in of.findings if found.id in REPAIRED and found.accepted is None]


def outcomes(of: Report) -> dict[tuple[Spn, object], str]:
    return {(requirement.spn, requirement.account): requirement.outcome for requirement in of.requirements}


def is_left_open(of: Report, found: Finding) -> bool:
    """Whether the plan says that it does not repair this finding, or that a person must."""
    blocked = any(b.finding == found.id and printable(str(found.spn or "")) in b.why for b in of.plan.blocked)
    by_hand = any(s.kind == "manual" and f"{found.site} on {found.server}" in (s.note or "") for s in of.plan.steps)
    told = any(s.finding == found.id and s.kind == "dns" and s.command is None for s in of.plan.steps)
    return blocked or by_hand or told


CHANGES = re.compile(r"setspn .*-[SD] |appcmd\.exe set config|dnscmd /Record")


def agrees(of: Report) -> None:
    """Whatever is printed as a change is a step of the plan: a finding never names what the plan refuses."""
    commands = {step.command for step in of.plan.steps if step.command is not None}
    printed = [(found.id, line) for found in of.findings for line in found.fix]
    printed += [(str(r.spn), line) for r in of.requirements if r.outcome != "unchecked" for line in r.advice]
    for about, line in printed:
        assert not CHANGES.search(line) or any(command in line for command in commands), f"{about}: {line}"


def prove(before: Bench, steps: Sequence[Step] | None = None) -> Bench:
    """Carry the recommended steps out, look again, take them back."""
    plan = before.report.plan
    is_safe(before)
    agrees(before.report)
    steps = plan.steps if steps is None else steps
    after = before.after(done := [s for s in steps if s.command is not None])
    for found in open_findings(after.report):
        same = [one for one in open_findings(before.report) if (one.spn, one.account) == (found.spn, found.account)]
        said = any(f"ask for {found.spn}, which is on" in blocked.why for blocked in before.report.plan.blocked)
        assert same or said or _was_so(before, after, found), f"new: {found.message}"
        assert not same or any(is_left_open(before.report, one) for one in same), f"not repaired: {found.message}"
    does_no_harm(before, after)
    restores(before, after, done)
    return after


def _was_so(before: Bench, after: Bench, found: Finding) -> bool:
    """Whether nothing changed for an SPN: it is spoken of only now that nothing worse is."""
    about = (found.spn, found.account)
    return about in outcomes(before.report) and outcomes(before.report)[about] == outcomes(after.report)[about]  # type: ignore[index]


def works(of: Report) -> dict[tuple[Spn, str, str, str], Requirement]:
    """What works today, by SPN and application."""
    return {
        (requirement.spn, place.server, place.site, place.path): requirement
        for requirement in of.requirements
        if requirement.outcome == "kerberos" and requirement.need != "optional"
        for place in requirement.applications
    }


def does_no_harm(before: Bench, after: Bench) -> None:
    """Whatever works goes on working, or is asked for no more (an alias that became a name of its own)."""
    still = works(after.report)
    wanted = {r.spn for r in after.report.requirements if r.need != "optional"}
    for key, requirement in works(before.report).items():
        assert key in still or requirement.spn not in wanted, f"{requirement.spn} worked"


def placed(directory: Directory | None) -> dict[str, set[str]]:
    return {a.identity: {name.text for name in a.spns} for a in directory.accounts} if directory is not None else {}


def restores(before: Bench, after: Bench, steps: Sequence[Step]) -> None:
    """The rollback gives the former state: the very strings of each account, and the same report."""
    back = after.after(rolled_back(steps))
    assert placed(back.directory) == placed(before.directory)
    assert outcomes(back.report) == outcomes(before.report)


def is_in_order(report: Report, steps: Sequence[Step]) -> None:
    """DNS first and hand work last. Removals stand directly before their add, unless a setting changes who decrypts
    for the SPN: then removals, settings, adds."""
    kinds = [step.kind for step in steps]
    outer = [kind for kind in kinds if kind in {"dns", "manual"}]
    assert kinds[: outer.count("dns")] == ["dns"] * outer.count("dns")
    assert kinds[len(kinds) - outer.count("manual") :] == ["manual"] * outer.count("manual")
    settings_at = [at for at, kind in enumerate(kinds) if kind == "iis-setting"]
    for name in {step.spn for step in steps if step.changes_spn}:
        added = [at for at, step in enumerate(steps) if step.spn == name and step.is_add]
        removed = [at for at, step in enumerate(steps) if step.spn == name and step.kind == "spn-delete"]
        if any(_switches(report, steps[at], name) for at in settings_at):
            assert all(at < min(settings_at) for at in removed), name
            assert all(at > max(settings_at) for at in added), name
        else:
            places = [*removed, *added]
            assert places == list(range(places[0], places[0] + len(places))), f"{name} is homeless for longer"
        asked = [steps[at].confirm for at in removed]
        assert asked == sorted(asked, reverse=True), "the removal that may stay undone comes first"


def _switches(report: Report, setting: Step, name: Spn | None) -> bool:
    return any(
        requirement.spn == name and place.server == setting.server
        for requirement in report.requirements
        for place in requirement.applications
        if f'"{place.site}{place.path}'.rstrip("/") + '"' in (setting.command or "")
    )


def test_an_spn_whose_decryptor_changes_is_on_nobody_while_the_setting_changes() -> None:
    """A farm that is moved from its computers to its pools' account: 401 at no moment, NTLM for as long as it takes."""
    nodes = [server(site("*:80:portal.test.com"), name=name, pool=r"TEST\svc") for name in ("IIS01", "IIS02")]
    found = world(
        *nodes,
        ad=ad(computer("IIS01", "HTTP/portal.test.com"), computer("IIS02"), user("svc")),
        farm=[farm_name("portal.test.com", "IIS01", "IIS02")],
    )
    kinds = [step.kind for step in found.report.plan.steps]
    assert kinds == ["spn-delete", "iis-setting", "iis-setting", "spn-add"]
    assert [step.kind for step in pairwise(found.report.plan.steps)] == ["spn-delete", "spn-add"]
    assert [step.after for step in found.report.plan.steps] == [(), (), (), (2, 3)]
    assert awaiting(found.report.plan.steps) == {4}, "a script removes, and leaves the rest until the settings are made"
    is_in_order(found.report, found.report.plan.steps)


@given(st.lists(st.tuples(st.sampled_from("wxyz"), st.booleans()), max_size=12))
def test_pair_after_pair_at_most_one_name_is_without_a_holder(drawn: list[tuple[str, bool]]) -> None:
    steps = [
        Step(
            order=order,
            kind="spn-add" if is_add else "spn-delete",
            spn=spn(f"HTTP/{name}"),
            account=AccountName("TEST", "new" if is_add else "old"),
        )
        for order, (name, is_add) in enumerate(sorted(set(drawn), key=lambda each: (each[1], drawn.index(each))), 1)
    ]
    moved = {step.spn for step in steps if step.is_add} & {step.spn for step in steps if not step.is_add}
    homeless: set[object] = set()
    for step in pairwise(steps):
        (homeless.discard if step.is_add else homeless.add)(step.spn)
        assert len(homeless & moved) <= 1
    assert sorted(pairwise(steps), key=lambda step: step.order) == steps, "none is lost"


def is_safe(of: Bench) -> None:
    """What no plan may do, whatever the world is like."""
    report, case = of.report, of.analysis.cases[0]
    named = {account for found in report.findings for account in (*found.holders, found.account)}
    conflicts = {found.spn for found in report.findings if found.id == "spn-conflict"}
    used = {*case.pool_accounts, *case.computer_accounts}
    everything = [*report.plan.steps, *(step for way in report.plan.alternatives for step in way.steps)]
    for steps in (report.plan.steps, *(way.steps for way in report.plan.alternatives)):
        is_in_order(report, steps)
    for step in everything:
        assert "replace" not in (step.command or "").lower()
        assert (step.command is None) == (step.rollback is None)
        assert step.command is not None or step.note, "what there is no command for is told in words"
        if step.kind not in {"spn-add", "spn-delete"}:
            continue
        assert step.spn is not None
        assert step.spn.service.startswith("http"), "HOST/, WSMAN/ and TERMSRV/ are never touched"
        joint = step.finding.startswith("farm-") or step.finding == "spn-conflict"
        assert step.account in named or joint, f"no finding names {step.account}"
        assert step.spn not in conflicts or _settles(report, step), "no setspn for a conflict that stays"
        if step.kind == "spn-delete":
            assert step.confirm or step.account in used
        assert not step.confirm or (step.note or "").startswith(
            ("ask the owner", "nobody else inspected", "this breaks")
        )
    adds = [step.spn for step in report.plan.steps if step.kind == "spn-add"]
    assert len(adds) == len(set(adds)), "one SPN is added to one account only"


def _settles(report: Report, step: Step) -> bool:
    """Whether a step belongs to what ends a conflict: settings that let one account decrypt everywhere."""
    return any(one.kind == "iis-setting" and one.finding == step.finding for one in report.plan.steps)


# -- samples -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples() -> Bench:
    sources = Sources(
        directory=lambda asked: read_exports([SAMPLES / "directory.ldif"], asked, {}),
        names=lambda _hosts, _addresses: zone.read_zones([SAMPLES / "zone.txt"]),
        farm=option_files.farm_file(SAMPLES / "farm.toml"),
        now=worlds.NOW,
    )
    paths = sorted(SAMPLES.glob("IIS0?"))
    return bench((targets.read_target(path, None, {}) for path in paths), sources)


def test_the_samples_are_repaired(samples: Bench) -> None:
    after = prove(samples)
    assert {(f.id, str(f.spn)) for f in after.report.findings if f.severity == "error"} == {
        ("spn-conflict", "HTTP/iis04.test.com")
    }, "the conflict is for people"
    assert "client-spn-variant" not in {f.id for f in after.report.findings}


def test_the_samples_plan(samples: Bench) -> None:
    plan = samples.report.plan
    assert [step.order for step in plan.steps] == list(range(1, len(plan.steps) + 1))
    is_in_order(samples.report, plan.steps)
    assert {(s.kind, s.spn, str(s.account)) for s in plan.steps if s.confirm} == {
        ("spn-delete", spn("HTTP/wiki.test.com"), r"TEST\oldwikisvc")
    }
    assert {step.server for step in plan.steps if step.kind == "iis-setting"} == {"IIS05", "IIS07"}
    assert all(step.dn for step in plan.steps if step.kind.startswith("spn"))
    assert [blocked.finding for blocked in plan.blocked] == ["spn-conflict"]
    assert "farm-nodes-differ" in {step.finding for step in plan.steps if step.command is not None}


# -- the truth table -----------------------------------------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    """Every world that is built, with what it was built from."""
    found: list[Bench] = []

    def recording(snapshots: Iterable[Snapshot], sources: Sources) -> Analysis:
        found.append(bench(snapshots, sources))
        return found[-1].analysis

    monkeypatch.setattr(worlds, "analyse", recording)
    return found


def _truth(name: str) -> Callable[[], object]:
    return getattr(test_truth_table, name)  # type: ignore[no-any-return]


OTHER_ROWS = ("test_farm_rows", "test_rows_with_two_applications")


@pytest.mark.parametrize(("name", "kernel", "credentials", "identity"), list(test_truth_table._cases()))
def test_a_row_of_the_truth_table_is_repaired(
    name: str, kernel: bool | None, credentials: bool | None, identity: str, seen: list[Bench]
) -> None:
    test_truth_table._world(test_truth_table.ROWS[name], kernel, credentials, identity)
    (one,) = seen
    prove(one)
    every_way(one)


@pytest.mark.parametrize("name", OTHER_ROWS)
def test_rows_of_another_shape_are_repaired(name: str, seen: list[Bench]) -> None:
    _truth(name)()
    assert seen
    for one in seen:
        prove(one)


def every_way(one: Bench) -> None:
    """Each alternative repairs its finding too, alone."""
    for way in one.report.plan.alternatives:
        if all(step.kind in {"spn-add", "spn-delete", "iis-setting"} for step in way.steps):
            about = {step.spn for step in way.steps if step.spn is not None}
            after = one.after(way.steps)
            left = [f.message for f in open_findings(after.report) if f.id == way.finding and f.spn in about]
            assert left == [], way.why


# -- random farms --------------------------------------------------------------------------------------------------

HOSTS = ("app.test.com", "web.test.com", "iis01.test.com", "iis02.test.com", "app")
ACCOUNTS = ("svc1", "svc2", "gmsaWeb$", "other", "IIS01$", "IIS02$", "IIS03$")
IDENTITIES = ("ApplicationPoolIdentity", "NetworkService", r"TEST\svc1", r"TEST\svc2", r"TEST\gmsaWeb$")
NAMES = (
    *(str(http_spn(host_name(host))) for host in (*HOSTS, "web", "IIS01", "IIS02")),
    "http/APP.test.com:8080",
)


@st.composite
def farms(draw: st.DrawFn) -> Bench:
    """One to three servers, their sites, pools, settings, names, and SPNs on whatever account."""
    pools = {"A": draw(st.sampled_from(IDENTITIES)), "B": draw(st.sampled_from(IDENTITIES))}
    maybe = st.sampled_from([None, None, True, False])
    bindings = st.sampled_from(("*:80:", "*:8080:", *(f"*:80:{host}" for host in HOSTS), "*:8080:app.test.com"))
    snapshots = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        sites = []
        for index, where in enumerate(draw(st.lists(bindings, min_size=1, max_size=3, unique=True))):
            apps = [
                app(path, draw(st.sampled_from("AB")), kernel=draw(maybe), creds=draw(maybe))
                for path in draw(st.sampled_from([("/",), ("/", "/app")]))
            ]
            sites.append(site(where, name=f"Site{index}", apps=apps))
        snapshots.append(server(*sites, name=f"IIS0{number}", pools=pools, creds=draw(st.booleans())))
    held = {account: draw(st.lists(st.sampled_from(NAMES), max_size=3, unique_by=str.lower)) for account in ACCOUNTS}
    entries = [
        computer(name[:-1], *held[name], host=draw(st.sampled_from([True, True, True, False])))
        if name.startswith("IIS")
        else entry(name, *held[name], kind="gMSA" if name.endswith("$") else "user")
        for name in ACCOUNTS
    ]
    text = ad(*entries)
    own = "; ".join(f"iis0{number} A 10.0.5.{number + 1}" for number in (1, 2, 3))
    dns = draw(st.sampled_from([None, f"{own}; app A 10.0.5.2", f"{own}; app CNAME iis01", f"{own}; app A 10.0.0.9"]))
    service = worlds.names(dns) if dns is not None else None
    declared = draw(st.sampled_from([(), (farm_name("app.test.com", "IIS01", "IIS02"),)]))
    sources = Sources(
        directory=lambda asked: worlds.directory([text], asked, {}),
        names=lambda _hosts, _addresses: service,
        farm=declared,
        clients=worlds.clients_named(draw(st.sampled_from([(), ("edge-port",), ("edge", "chrome-nocname")]))),
        now=worlds.NOW,
    )
    return bench(snapshots, sources)


@settings(max_examples=200)
@given(farms())
def test_random_farms_are_repaired(one: Bench) -> None:
    agrees(one.report)
    assume(one.report.plan.steps)
    prove(one)


# -- the least invasive way ----------------------------------------------------------------------------------------


def recommended(found: World) -> list[tuple[str, str]]:
    return [(step.kind, str(step.spn or "")) for step in found.report.plan.steps]


CUSTOM = "*:80:x.test.com"


def test_where_host_serves_the_wrong_spn_is_deleted() -> None:
    found = world(server(pool=r"TEST\svc"), ad=ad(computer(), user("svc", "HTTP/iis01.test.com", "HTTP/IIS01")))
    assert recommended(found) == [("spn-delete", "HTTP/IIS01"), ("spn-delete", "HTTP/iis01.test.com")]


def test_where_only_the_setting_disagrees_it_is_changed() -> None:
    found = world(server(site(CUSTOM), pool=r"TEST\svc"), ad=ad(computer(), user("svc", "HTTP/x.test.com")))
    ((step),) = found.report.plan.steps
    assert (step.kind, step.server, step.spn) == ("iis-setting", "IIS01", spn("HTTP/x.test.com"))
    assert "/useAppPoolCredentials:true" in step.command
    assert {way.why for way in found.report.plan.alternatives} == {r"move the SPN to TEST\IIS01$"}


def test_where_another_name_needs_the_computer_the_spn_moves() -> None:
    both = site(CUSTOM, "*:80:y.test.com")
    found = world(
        server(both, pool=r"TEST\svc"), ad=ad(computer("IIS01", "HTTP/y.test.com"), user("svc", "HTTP/x.test.com"))
    )
    assert recommended(found) == [("spn-delete", "HTTP/x.test.com"), ("spn-add", "HTTP/x.test.com")]


def test_where_only_own_names_are_served_the_computer_decrypts() -> None:
    found = world(server(pool=r"TEST\svc", creds=True), ad=ad(computer(), user("svc")))
    ((step),) = found.report.plan.steps
    assert "/useAppPoolCredentials:false" in step.command


def test_where_only_own_names_are_served_the_working_one_comes_along() -> None:
    found = world(server(pool=r"TEST\svc", creds=True), ad=ad(computer(), user("svc", "HTTP/IIS01")))
    assert recommended(found) == [("spn-delete", "HTTP/IIS01"), ("iis-setting", "")]


def test_both_settings_are_changed_where_both_keep_the_computer_from_decrypting() -> None:
    found = world(server(pool=r"TEST\svc", creds=True, kernel=False), ad=ad(computer(), user("svc")))
    settings = [(step.command or "").partition("Authentication /")[2] for step in found.report.plan.steps]
    assert settings == ["useKernelMode:true /commit:apphost", "useAppPoolCredentials:false /commit:apphost"]


def test_two_names_with_one_repair_do_not_hold_each_other_back() -> None:
    found = world(
        server(pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc"), user("other", "HTTP/IIS01", "HTTP/iis01.test.com")),
    )
    assert recommended(found) == [
        ("spn-delete", "HTTP/IIS01"),
        ("spn-delete", "HTTP/iis01.test.com"),
        ("iis-setting", ""),
    ]
    assert found.report.plan.blocked == ()


def test_steps_for_different_places_or_names_are_not_taken_for_one() -> None:
    own = [
        server(site("*:80:", f"*:80:{n}.test.com"), name=n, pool=rf"TEST\{n}svc", creds=True)
        for n in ("IIS01", "IIS02")
    ]
    accounts = (computer("IIS01"), computer("IIS02"), user("IIS01svc"), user("IIS02svc"))
    headers = world(*own, ad=ad(*accounts), dns="iis01 A 10.0.5.2; iis02 A 10.0.5.3; a A 10.0.5.2; b A 10.0.5.3")
    assert len([step for step in headers.report.plan.steps if step.kind == "manual"]) == 2
    both = site(CUSTOM, "*:80:y.test.com")
    unquotable = world(server(both, pool=r"TEST\a&b", creds=True), ad=ad(computer(), user("a&b")))
    assert recommended(unquotable) == [("spn-add", "HTTP/x.test.com"), ("spn-add", "HTTP/y.test.com")]


def test_where_another_name_needs_the_pool_account_a_host_header_comes_first() -> None:
    found = world(
        server(site(), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc", "HTTP/x.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    own = [s for s in found.report.plan.steps if s.finding == "spn-shadowed-by-host"]
    assert [step.kind for step in own] == ["manual"]
    assert "host header" in (own[0].note or "")
    adds = [step for way in found.report.plan.alternatives for step in way.steps]
    assert {(step.kind, str(step.account)) for step in adds} == {("spn-add", r"TEST\svc")}


def test_kernel_mode_is_not_switched_on_beside_negotiate_kerberos() -> None:
    found = world(
        server(pool=r"TEST\svc", kernel=False, offered=["Negotiate:Kerberos"]), ad=ad(computer(), user("svc"))
    )
    assert not [step for step in found.report.plan.steps if "useKernelMode" in (step.command or "")]


def test_two_servers_with_a_site_of_one_name_both_get_the_setting() -> None:
    nodes = [server(site("*:80:portal.test.com"), name=name, pool=r"TEST\svc") for name in ("IIS01", "IIS02")]
    found = world(
        *nodes,
        ad=ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/portal.test.com")),
        farm=[farm_name("portal.test.com", "IIS01", "IIS02")],
    )
    assert {step.server for step in found.report.plan.steps} == {"IIS01", "IIS02"}
    assert {step.kind for step in found.report.plan.steps} == {"iis-setting"}


SUSPECTED = (
    "If these servers are one farm, put this into the farm file: "
    'name = [{ host = "x.test.com", servers = ["IIS01", "IIS02"] }]',
)


def test_while_a_farm_is_only_suspected_its_name_gets_no_step() -> None:
    """No account is right for both; which of them the name leads to is not known."""
    twins = [server(site(CUSTOM), name=name) for name in ("IIS01", "IIS02")]
    found = world(*twins, ad=ad(computer("IIS01"), computer("IIS02")))
    assert "farm-suspected" in found.ids
    assert found.report.plan.steps == ()
    blocked = found.report.plan.blocked
    assert [each.finding for each in blocked] == ["spn-missing", "spn-missing", "farm-suspected"]
    assert all(SUSPECTED[0] in each.why for each in blocked)
    assert {told.fix for told in found.findings("spn-missing")} == {SUSPECTED}


def test_while_a_farm_is_only_suspected_no_setting_is_changed_for_its_name() -> None:
    twins = [server(site(CUSTOM), name=name, pool=r"TEST\svc") for name in ("IIS01", "IIS02")]
    found = world(*twins, ad=ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/x.test.com")))
    assert {told.fix for told in found.findings("spn-misplaced")} == {SUSPECTED}
    assert found.report.plan.steps == ()


def test_while_a_farm_is_only_suspected_one_of_its_servers_gets_no_setting_alone() -> None:
    """IIS01's pool runs as the holder: a setting would serve it, and nobody knows whether IIS02 answers too."""
    found = world(
        server(site(CUSTOM), name="IIS01", pool=r"TEST\svc"),
        server(site(CUSTOM), name="IIS02", pool=r"TEST\other", creds=True),
        ad=ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/x.test.com"), user("other")),
    )
    assert found.findings("farm-suspected", "HTTP/x.test.com")
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert all(SUSPECTED[0] in each.why for each in found.report.plan.blocked)


def test_a_server_of_a_farm_that_was_not_inspected_may_need_the_spn_elsewhere() -> None:
    farm = [farm_name("x.test.com", "IIS01", "IIS02")]
    entries = ad(computer("IIS01"), computer("IIS02"), user("svc"))
    nodes = [server(site(CUSTOM), name=name, pool=r"TEST\svc", creds=True) for name in ("IIS01", "IIS02")]
    assert recommended(world(*nodes, ad=entries, farm=farm)) == [("spn-add", "HTTP/x.test.com")]
    alone = world(nodes[0], ad=entries, farm=farm)
    assert alone.report.plan.steps == ()
    assert alone.finding("spn-missing").fix == (
        "The farm file names IIS02 for x.test.com too: inspect all its servers together.",
    )


# -- what a step may rest on ---------------------------------------------------------------------------------------

ALONE = ("nobody else inspected answers x.test.com", True)
UNLOOKED = ("nobody else inspected answers x.test.com, if x.test.com is no alias", True)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ({}, UNLOOKED),
        ({"dns": "iis01 A 10.0.5.2; x A 10.0.5.2"}, (None, False)),
        ({"dns": "iis01 A 10.0.5.2; x A 10.0.5.2; x A 10.0.5.77"}, ALONE),
        ({"dns": "iis01 A 10.0.5.2; x A 10.0.5.77"}, ALONE),
        ({"dns": "iis01 A 10.0.5.2"}, ALONE),
        ({"farm": [farm_name("x.test.com", "IIS01")]}, (None, False)),
    ],
)
@pytest.mark.parametrize(
    ("creds", "holder", "kinds"),
    [
        (True, "svc", {"spn-add"}),
        (False, "svc", {"iis-setting"}),
        (True, "IIS01$", {"spn-delete", "spn-add"}),
    ],
)
def test_a_step_needs_no_question_where_nobody_else_can_answer(
    creds: bool, holder: str, kinds: set[str], known: dict[str, object], asked: tuple[str | None, bool]
) -> None:
    """A host header may be a twin's: a farm entry, or DNS that leads to inspected servers alone, says it is not."""
    held = () if kinds == {"spn-add"} else ("HTTP/x.test.com",)
    entries = [computer("IIS01", *held), user("svc")] if holder == "IIS01$" else [computer("IIS01"), user("svc", *held)]
    own = site(CUSTOM, apps=[app("/", creds=creds)])
    found = world(server(own, pool=r"TEST\svc"), ad=ad(*entries), **known)  # type: ignore[arg-type]
    assert {step.kind for step in found.report.plan.steps} == kinds
    assert {(step.note, step.confirm) for step in found.report.plan.steps} == {asked}


def test_a_step_for_the_computers_own_name_needs_no_question() -> None:
    found = world(server(), ad=ad(computer(), user("svc", "HTTP/iis01.test.com")))
    (step,) = found.report.plan.steps
    assert step.note == r"ask the owner of TEST\svc first: no inspected pool uses it"
    inspected = world(server(pool=r"TEST\svc"), ad=ad(computer(), user("svc", "HTTP/iis01.test.com")))
    assert [(step.kind, step.confirm) for step in inspected.report.plan.steps] == [("spn-delete", False)]


def test_a_setting_asks_about_every_name_of_the_application() -> None:
    both = site(CUSTOM, "*:80:y.test.com")
    found = world(
        server(both, pool=r"TEST\svc"),
        ad=ad(computer(), user("svc", "HTTP/x.test.com", "HTTP/y.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2; y A 10.0.5.9",
    )
    (step,) = found.report.plan.steps
    assert (step.kind, step.confirm, step.note) == ("iis-setting", True, "nobody else inspected answers y.test.com")


def test_nothing_is_added_where_the_holder_may_be_the_account_already() -> None:
    """Two hold it, and one of them may be the pool's account, whose domain nobody knows."""
    strange = {"netbios_domain": None}
    found = world(
        server(site(CUSTOM), pool=r"NORD\svc", creds=True, facts=strange),
        ad=ad(computer("IIS01", "HTTP/x.test.com"), user("svc", "HTTP/x.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    assert found.outcome("HTTP/x.test.com") == "duplicate"
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert "Is NORD the NetBIOS name of test.com?" in found.finding("spn-duplicate").fix[-1]


def test_a_farm_is_not_repaired_where_nobody_looked() -> None:
    nodes = [
        server(site("*:80:portal.test.com"), name=name, pool=r"TEST\svc", creds=name == "IIS02")
        for name in ("IIS01", "IIS02")
    ]
    found = world(*nodes, farm=[farm_name("portal.test.com", "IIS01", "IIS02")])
    assert found.findings("farm-nodes-differ")
    assert found.report.plan.steps == ()
    assert "See who holds HTTP/portal.test.com" in found.report.plan.blocked[0].why


def test_what_stands_after_a_step_left_out_is_left_out_too() -> None:
    steps = (
        Step(order=1, kind="iis-setting", spn=spn("HTTP/x"), confirm=True),
        Step(order=2, kind="spn-delete", spn=spn("HTTP/y"), account=AccountName("TEST", "a"), confirm=True),
        Step(order=3, kind="spn-delete", spn=spn("HTTP/y"), account=AccountName("TEST", "b")),
        Step(order=4, kind="spn-add", spn=spn("HTTP/x"), account=AccountName("TEST", "b")),
        Step(order=5, kind="spn-add", spn=spn("HTTP/y"), account=AccountName("TEST", "c"), confirm=True),
        Step(order=6, kind="spn-add", spn=spn("HTTP/z"), account=AccountName("TEST", "c")),
    )
    x, y = spn("http/X"), spn("http/Y")
    assert held_back(steps) == {1, 2, 3, 4, 5}
    assert held_back(steps, {x}) == {2, 3, 5}
    assert held_back(steps, {x, y}) == frozenset()
    assert held_back(steps, (), {x, y}) == {1, 4, 5}, "only the removals of these were agreed to"


def test_of_several_removals_the_one_that_asks_is_the_first() -> None:
    """Else a duplicate, which means NTLM, would become one wrong holder, which means 401."""
    found = world(
        server(site(CUSTOM), pool=r"TEST\svc", creds=True),
        ad=ad(computer("IIS01", "HTTP/x.test.com"), user("svc"), user("who", "HTTP/x.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    assert [(step.kind, str(step.account), step.confirm) for step in found.report.plan.steps] == [
        ("spn-delete", r"TEST\who", True),
        ("spn-delete", r"TEST\IIS01$", False),
        ("spn-add", r"TEST\svc", False),
    ]
    assert held_back(found.report.plan.steps) == {1, 2, 3}


def test_a_canonical_name_that_two_accounts_need_is_registered_on_neither() -> None:
    """Each alias can become a name of its own; the name that both lead to would break one of them."""
    sites = [
        server(site(f"*:80:{alias}.test.com"), name=name, pool=rf"TEST\{alias}", creds=True)
        for alias, name in (("one", "IIS01"), ("two", "IIS02"))
    ]
    found = world(
        *sites,
        ad=ad(computer("IIS01"), computer("IIS02"), user("one", "HTTP/one.test.com"), user("two", "HTTP/two.test.com")),
        dns="iis01 A 10.0.5.2; iis02 A 10.0.5.3; vip A 10.0.0.9; one CNAME vip; two CNAME vip",
    )
    assert len(found.findings("client-spn-variant", "HTTP/vip.test.com")) == 2
    assert {step.kind for step in found.report.plan.steps} == {"dns"}
    assert found.report.plan.alternatives == ()


def test_an_alias_stays_one_while_its_own_name_is_on_another_account() -> None:
    """With an A record clients ask for the name as typed, with the port; nobody needs that SPN today."""
    found = world(
        server(site("*:8080:app.test.com"), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc", "HTTP/app.test.com"), user("other", "HTTP/app.test.com:8080")),
        dns="iis01 A 10.0.5.2; app CNAME iis01",
        clients=["edge-port"],
    )
    told = found.finding("client-spn-variant", "HTTP/iis01.test.com:8080")
    assert told.fix == (
        r"With an A record clients ask for HTTP/app.test.com:8080, which is on TEST\other: settle that first.",
    )


def test_an_alias_of_a_farm_stays_one_while_several_accounts_decrypt_behind_it() -> None:
    """The canonical name is one node's own, which its HOST/ serves; as a name of its own the alias has two accounts."""
    found = world(
        server(site("*:80:"), name="IIS01"),
        server(site("*:8080:"), name="IIS02"),
        ad=ad(computer("IIS01"), computer("IIS02")),
        farm=[farm_name("app.test.com", "IIS01", "IIS02")],
        dns="iis01 A 10.0.5.2; iis02 A 10.0.5.3; app CNAME iis01",
        clients=["edge-port"],
    )
    told = found.finding("client-spn-variant", "HTTP/iis01.test.com:8080")
    assert told.fix == ("Several accounts decrypt behind app.test.com: settle that first.",)


def test_the_computer_is_not_let_decrypt_where_another_server_needs_one_of_its_names() -> None:
    found = world(
        server(name="IIS01", pool=r"TEST\svc", creds=True),
        server(site("*:80:IIS01"), name="IIS02", facts={"dns_name": "iis02.branch.net"}),
        ad=ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/IIS01")),
    )
    (step,) = [s for s in found.report.plan.steps if s.finding == "spn-shadowed-by-host"]
    assert step.kind == "manual"
    assert "host header" in (step.note or "")


def test_a_duplicate_of_a_farms_name_ends_with_the_farms_repair() -> None:
    nodes = [
        server(site("*:80:portal.test.com"), name=n, pool=r"TEST\svc", creds=n == "IIS02") for n in ("IIS01", "IIS02")
    ]
    found = world(
        *nodes,
        ad=ad(
            computer("IIS01", "HTTP/portal.test.com"),
            computer("IIS02"),
            user("svc", "HTTP/portal.test.com"),
            user("kt", userPrincipalName="HTTP/portal.test.com@TEST.COM"),
        ),
        farm=[farm_name("portal.test.com", "IIS01", "IIS02")],
    )
    assert [step.kind for step in found.report.plan.steps] == ["spn-delete", "iis-setting"]
    assert found.report.plan.blocked == ()
    assert {told.fix for told in found.findings("spn-duplicate")} == {
        ("What mends farm-nodes-differ leaves it on one account.",)
    }
    assert {told.fix for told in found.findings("upn-shadows-spn")} == {
        ("Give the account an ordinary user@domain UPN.",)
    }


# -- what must be asked, what will be refused ----------------------------------------------------------------------


def test_a_holder_nobody_inspected_is_asked_about_and_the_add_waits() -> None:
    found = world(
        server(site(CUSTOM), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc"), user("who", "HTTP/x.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    away, here = found.report.plan.steps
    assert (away.kind, away.confirm, here.kind, here.confirm) == ("spn-delete", True, "spn-add", False)
    assert held_back(found.report.plan.steps) == {1, 2}
    assert held_back(found.report.plan.steps, {spn("http/X.test.com")}) == frozenset()


def test_a_delete_that_needs_no_question_waits_for_one_of_the_same_spn_that_does() -> None:
    """Half of a repair helps nobody: the SPN would still be on two accounts, or on none."""
    found = world(
        server(
            site(CUSTOM),
            site("*:80:y.test.com", name="Y", apps=[app("/", "Y")]),
            pools={"Pool": r"TEST\svc", "Y": r"TEST\y"},
            creds=True,
        ),
        ad=ad(computer(), user("svc"), user("y", "HTTP/y.test.com", "HTTP/x.test.com"), user("who", "HTTP/x.test.com")),
        dns="x A 10.0.5.2; y A 10.0.5.2",
    )
    steps = found.report.plan.steps
    assert [(step.kind, str(step.account), step.confirm) for step in steps] == [
        ("spn-delete", r"TEST\who", True),
        ("spn-delete", r"TEST\y", False),
        ("spn-add", r"TEST\svc", False),
    ]
    assert held_back(steps) == {1, 2, 3}


def test_what_is_taken_back_by_hand_says_so_and_nothing_else_has_a_note() -> None:
    steps = (
        Step(kind="manual", note="Look."),
        Step(kind="iis-setting", command="set", rollback="unset", note="breaks"),
        Step(kind="spn-add", spn=spn("HTTP/x"), account=AccountName("TEST", "a&b"), note="cannot be quoted"),
    )
    assert [step.note for step in rolled_back(steps)] == [None, None, "Take back by hand: Look."]


def test_the_rollback_of_a_step_needs_no_asking() -> None:
    found = world(
        server(site(CUSTOM), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc"), user("who", "HTTP/x.test.com")),
    )
    first, second = rolled_back(found.report.plan.steps)
    assert (first.kind, first.order, second.kind, second.confirm) == ("spn-delete", 1, "spn-add", False)


def test_a_rollback_restores_the_letters_as_they_were() -> None:
    found = world(server(pool=r"TEST\svc"), ad=ad(computer(), user("svc", "http/iIs01.test.com")))
    assert found.report.plan.steps[0].rollback == r"setspn -F -U -S http/iIs01.test.com TEST\svc"


def test_alias_uniqueness_is_said_before() -> None:
    """KB5008382: HTTP/x is refused while HOST/x is on another account."""
    found = world(
        server(site(CUSTOM), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), computer("OLD", "HOST/x.test.com"), user("svc")),
    )
    assert [str(f.spn) for f in found.findings("plan-blocked-by-alias")] == ["HTTP/x.test.com"]


@pytest.mark.parametrize(("digit", "told"), [("0", True), ("3", True), ("4", False), ("7", False)])
def test_alias_uniqueness_may_be_switched_off(digit: str, told: bool) -> None:
    """KB5008382: the 21st character of dSHeuristics, bit 4."""
    heuristics = worlds.directory_service(dSHeuristics=f"00000000010000000002{digit}")
    found = world(
        server(site(CUSTOM), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), computer("OLD", "HOST/x.test.com"), user("svc"), heuristics),
    )
    assert ("plan-blocked-by-alias" in found.ids) is told


def test_only_another_accounts_host_spn_makes_the_controller_refuse() -> None:
    """HOST/x is on two accounts, so that an explicit HTTP/x is needed; the computer's own one is in nobody's way."""
    found = world(server(site(CUSTOM)), ad=ad(computer("IIS01", "HOST/x.test.com"), computer("OLD", "HOST/x.test.com")))
    assert recommended(found) == [("spn-add", "HTTP/x.test.com"), ("manual", "")]
    told = found.finding("plan-blocked-by-alias")
    assert [str(holder) for holder in told.holders] == [r"TEST\OLD$"]


def test_a_malformed_value_is_deleted_where_its_letters_can_be_typed() -> None:
    latin = world(server(site(CUSTOM)), ad=ad(computer("IIS01", "HTTP/x.test.com"), user("old", "HTTPS/x.test.com")))
    assert recommended(latin) == [("spn-delete", "HTTPS/x.test.com")]
    text = "HTTP/\u0445.test.com"  # CYRILLIC SMALL LETTER HA
    other = world(server(site(CUSTOM)), ad=ad(computer("IIS01", "HTTP/x.test.com"), user("old", text)))
    assert other.report.plan.steps == ()
    assert [b.why for b in other.report.plan.blocked] == [
        f"{printable(text)}: Remove the value by its exact characters (PowerShell, ADSI Edit)."
    ]


def test_what_is_blocked_is_named_by_server_place_and_spn() -> None:
    pools = {"A": r"TEST\svc", "B": r".\local"}
    local = world(
        server(site(CUSTOM, apps=[app("/", "A"), app("/b", "B")]), pools=pools, creds=True),
        ad=ad(computer(), user("svc")),
    )
    whys = [blocked.why.partition(": ")[0] for blocked in local.report.plan.blocked]
    assert whys == ["IIS01 Site/b", "IIS01 Site/ HTTP/x.test.com"]
    broken = world(server(text="<configuration"))
    assert [b.why for b in broken.report.plan.blocked] == ["IIS01: the file must be corrected first"]


def test_setspn_text_names_the_computer_by_its_cn() -> None:
    """The right holder is not taken for a second one."""
    text = worlds.setspn_l(
        {"CN=IIS01,OU=x,DC=test,DC=com": ["HTTP/x.test.com"], "CN=svc,OU=x,DC=test,DC=com": ["HTTP/x.test.com"]}
    )
    found = world(server(site(CUSTOM)), ad=text)
    assert found.outcome("HTTP/x.test.com") == "duplicate"
    assert [(s.kind, str(s.account), s.confirm) for s in found.report.plan.steps] == [("spn-delete", r"TEST\svc", True)]


def test_a_conflict_gets_no_setspn() -> None:
    pools = {"A": r"TEST\svc", "B": r"TEST\other"}
    both = [app("/", "A"), app("/b", "B")]
    found = world(
        server(site(CUSTOM, apps=both), pools=pools, creds=True), ad=ad(computer(), user("svc"), user("other"))
    )
    assert found.report.plan.steps == ()
    assert [blocked.finding for blocked in found.report.plan.blocked] == ["spn-conflict"]


def test_a_step_that_does_not_fit_the_state_is_refused() -> None:
    found = world(server(site(CUSTOM)), ad=ad(computer()))
    directory = found.analysis.cases[0].directory
    assert directory is not None
    once = applied(directory, found.report.plan.steps)
    with pytest.raises(ValueError, match="step 1 does not fit"):
        applied(once, found.report.plan.steps)


def test_without_a_directory_there_is_no_plan() -> None:
    found = world(server(site(CUSTOM), pool=r"TEST\svc", creds=True))
    assert found.report.plan.steps == ()


# -- what random farms found ---------------------------------------------------------------------------------------


def test_the_name_of_another_server_is_never_registered() -> None:
    """An explicit HTTP/ SPN would hide the HOST/ SPN of the server that the name belongs to."""
    servers = (server(site("*:80:iis02.test.com"), name="IIS01"), server(name="IIS02"))
    directory = ad(computer("IIS01"), computer("IIS02"))
    found = world(*servers, ad=directory, dns="iis02 A 10.0.5.2")
    assert {step.kind for step in found.report.plan.steps} == {"manual"}
    assert found.report.plan.alternatives == ()
    for dns in (None, "iis02 A 10.0.5.3", "www A 10.0.5.2"):
        found = world(*servers, ad=directory, dns=dns)
        assert found.need("HTTP/iis02.test.com", r"TEST\IIS01$") == "optional", "nobody reaches IIS01 by it"
        assert found.report.plan.steps == ()


def test_all_names_of_a_farm_move_together() -> None:
    names = ("HTTP/portal.test.com", "HTTP/portal")
    nodes = [server(site("*:80:portal.test.com", "*:80:portal"), name=n, pool=r"TEST\svc") for n in ("IIS01", "IIS02")]
    found = world(
        *nodes,
        ad=ad(computer("IIS01", *names), computer("IIS02"), user("svc")),
        farm=[farm_name("portal.test.com", "IIS01", "IIS02")],
    )
    spns = [
        (step.kind, str(step.spn), str(step.account)) for step in found.report.plan.steps if step.kind != "iis-setting"
    ]
    assert sorted(spns) == sorted(
        [*(("spn-delete", n, r"TEST\IIS01$") for n in names), *(("spn-add", n, r"TEST\svc") for n in names)]
    )
    assert found.report.plan.blocked == ()


def of_two_names(*farm: str) -> World:
    """A farm whose second name would fail on the node whose setting changes."""
    nodes = [
        server(site("*:80:portal.test.com", "*:80:news.test.com"), name=n, pool=r"TEST\svc", creds=n == "IIS02")
        for n in ("IIS01", "IIS02")
    ]
    return world(
        *nodes,
        ad=ad(computer("IIS01", "HTTP/news.test.com"), computer("IIS02"), user("svc", "HTTP/portal.test.com")),
        farm=[farm_name(host, "IIS01", "IIS02") for host in farm],
    )


def test_a_farm_waits_while_another_name_of_its_applications_is_only_suspected() -> None:
    found = of_two_names("portal.test.com")
    assert found.findings("farm-suspected", "HTTP/news.test.com")
    assert found.report.plan.steps == ()
    assert 'host = "news.test.com"' in found.finding("farm-nodes-differ").fix[-1]


def test_the_farms_other_names_move_along_with_the_account() -> None:
    found = of_two_names("portal.test.com", "news.test.com")
    steps = found.report.plan.steps
    assert [(step.kind, str(step.spn), str(step.account)) for step in steps] == [
        ("spn-delete", "HTTP/news.test.com", r"TEST\IIS01$"),
        ("iis-setting", "HTTP/portal.test.com", r"TEST\svc"),
        ("spn-add", "HTTP/news.test.com", r"TEST\svc"),
    ]
    assert {step.finding for step in steps} == {"farm-nodes-differ"}


def test_a_farm_is_planned_before_the_other_names_of_its_applications() -> None:
    """Both repairs change who decrypts on IIS01 or rely on it; the one for a single name would block the farm's."""
    nodes = [
        server(site("*:80:portal.test.com", "*:80:old.test.com"), name="IIS01", pool=r"TEST\svc"),
        server(site("*:80:portal.test.com"), name="IIS02", pool=r"TEST\svc", creds=True),
    ]
    found = world(
        *nodes,
        ad=ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/old.test.com")),
        farm=[farm_name("portal.test.com", "IIS01", "IIS02")],
    )
    steps = found.report.plan.steps
    assert [(step.kind, str(step.spn), step.finding) for step in steps] == [
        ("iis-setting", "HTTP/portal.test.com", "farm-nodes-differ"),
        ("spn-add", "HTTP/portal.test.com", "farm-nodes-differ"),
    ]
    (told,) = found.findings("spn-misplaced", "HTTP/old.test.com")
    assert told.fix == ("Another step changes who decrypts here: do that first, then plan again.",)
    assert [blocked.finding for blocked in found.report.plan.blocked] == ["spn-misplaced"]


def test_a_setting_waits_where_a_step_before_it_relies_on_who_decrypts() -> None:
    """HOST/ serves the own names once the wrong SPNs are gone; the setting would let the pool decrypt for them."""
    found = world(
        server(pool=r"TEST\svc"),
        ad=ad(computer(), user("svc", "HTTP/IIS01", "HTTP/iis01.test.com", "HTTP/x.test.com", "HTTP/x")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    assert recommended(found) == [("spn-delete", "HTTP/IIS01"), ("spn-delete", "HTTP/iis01.test.com")]
    assert {told.fix for told in found.findings("spn-misplaced", "HTTP/x.test.com")} == {
        ("Another step changes who decrypts here: do that first, then plan again.",)
    }


FARM = [farm_name("portal.test.com", "IIS01", "IIS02")]


def differing(*bindings: str, pool: str = r"TEST\svc") -> list[Snapshot]:
    """Two nodes of the portal; on the second the pool decrypts."""
    return [
        server(site("*:80:portal.test.com", *bindings), name=name, pool=pool, creds=name == "IIS02")
        for name in ("IIS01", "IIS02")
    ]


def test_a_name_that_works_with_the_computer_holds_the_farms_setting_back() -> None:
    first = server(site("*:80:portal.test.com", "*:80:y.test.com"), name="IIS01", pool=r"TEST\svc")
    directory = ad(computer("IIS01", "HTTP/y.test.com"), computer("IIS02"), user("svc", "HTTP/portal.test.com"))
    found = world(first, differing()[1], ad=directory, farm=FARM)
    assert found.report.plan.steps == ()
    assert found.finding("farm-nodes-differ").fix[-1] == (
        "Another name of these applications works with the computer account: separate them first."
    )


def test_what_only_the_level_of_the_server_sets_is_set_back_for_the_application() -> None:
    """The computer has held the SPN all along; a line for the whole server lets the pool decrypt."""
    own = [site("*:80:x.test.com", apps=[app("/", "A")]), site("*:80:y.test.com", name="Other", apps=[app("/", "B")])]
    one = server(*own, pools={"A": r"TEST\svc", "B": r"TEST\svc"}, creds=True)
    directory = ad(computer("IIS01", "HTTP/x.test.com"), user("svc", "HTTP/y.test.com"))
    found = world(one, ad=directory)
    (line,) = [
        number
        for number, text in enumerate(one.files["applicationhost.config"].data.decode().split("\n"), start=1)
        if 'useAppPoolCredentials="true"' in text
    ]
    assert f"line {line}, at the level of the server" in found.finding("spn-misplaced").message
    (step,) = found.report.plan.steps
    assert step.command == appcmd("Site", "/", "useAppPoolCredentials", "false")
    assert step.rollback == appcmd_clear("Site", "/", "useAppPoolCredentials")
    assert [[s.kind for s in way.steps] for way in found.report.plan.alternatives] == [["spn-delete", "spn-add"]]


PAGE = """<location path="Site/page.aspx"><system.webServer><security><authentication>
<windowsAuthentication enabled="true"{} /></authentication></security></system.webServer></location>"""


@pytest.mark.parametrize(
    ("said", "holder", "value"), [("", "svc", "true"), (' useAppPoolCredentials="true"', "IIS01$", None)]
)
def test_a_page_that_negotiates_alone_is_set_in_its_own_location(said: str, holder: str, value: str | None) -> None:
    """Set for the application, nothing would change where the page says something itself."""
    own = site("*:80:x.test.com", apps=[app("/", enabled=False)])
    one = server(own, pool=r"TEST\svc", body=PAGE.format(said))
    held = {"svc": (), "IIS01$": (), holder: ("HTTP/x.test.com",)}
    directory = ad(computer("IIS01", *held["IIS01$"]), user("svc", *held["svc"]))
    steps = world(one, ad=directory).report.plan.steps
    if value is None:  # somebody meant the page's pool
        assert [step.kind for step in steps] == ["spn-delete", "spn-add"]
    else:
        assert [step.command for step in steps] == [appcmd("Site", "/page.aspx", "useAppPoolCredentials", value)]


def test_a_page_below_that_negotiates_alone_holds_the_farms_setting_back() -> None:
    page = f'<location path="Site/page.aspx">{worlds.windows(providers(["Negotiate:Kerberos"]))}</location>'
    first = server(site("*:80:portal.test.com"), name="IIS01", pool=r"TEST\svc", body=page)
    directory = ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/portal.test.com"))
    found = world(first, differing()[1], ad=directory, farm=FARM)
    assert [place.path for place in found.application().places] == ["/page.aspx"]
    assert "spn-conflict" not in found.ids
    assert found.finding("farm-nodes-differ").fix[-1].endswith("separate them first.")
    assert found.report.plan.steps == ()


OTHER_POOLS = "The pools behind the name run as different accounts: choose one domain account or gMSA for all."


def test_a_name_that_another_account_serves_elsewhere_does_not_move_along() -> None:
    third = server(site("*:80:news.test.com"), name="IIS03", pool=r"TEST\other", creds=True)
    accounts = (computer("IIS01", "HTTP/news.test.com"), computer("IIS02"), computer("IIS03"), user("other"))
    found = world(
        *differing("*:80:news.test.com"), third, ad=ad(*accounts, user("svc", "HTTP/portal.test.com")), farm=FARM
    )
    assert found.finding("farm-nodes-differ").fix[-1] == OTHER_POOLS
    assert found.report.plan.steps == ()


def test_pools_whose_account_is_only_likely_are_not_taken_for_one() -> None:
    found = world(*differing(pool="svc@test.com"), farm=FARM)
    assert found.finding("farm-nodes-differ").fix[-1] == OTHER_POOLS
    assert found.report.plan.steps == ()


def planned(found: World, *accepted: str) -> Planned:
    """The plan where the findings of these ids are accepted."""
    case = found.analysis.cases[0]
    told = [
        replace(f, accepted=Accepted(reason="known")) if f.id in accepted else f for f in (*check(case), *farm(case))
    ]
    return plan(case, told)


def fixes(of: Planned, finding_id: str) -> set[tuple[str, ...]]:
    return {found.fix for found in of.findings if found.id == finding_id}


def test_what_is_accepted_gets_no_step_but_says_what_would_mend_it() -> None:
    found = world(server(site(CUSTOM), pool=r"TEST\svc", creds=True), ad=ad(computer(), user("svc")))
    by_plan, accepted = planned(found), planned(found, "spn-missing")
    assert [step.kind for step in by_plan.plan.steps] == ["spn-add"]
    assert accepted.plan.steps == accepted.plan.blocked == ()
    assert fixes(accepted, "spn-missing") == fixes(by_plan, "spn-missing")
    twins = world(
        *(server(site(CUSTOM), name=n) for n in ("IIS01", "IIS02")), ad=ad(computer("IIS01"), computer("IIS02"))
    )
    assert fixes(planned(twins, "spn-missing"), "spn-missing") == fixes(planned(twins), "spn-missing") != {()}


def test_a_duplicate_of_a_farm_that_is_accepted_waits_until_it_is_settled() -> None:
    directory = ad(computer("IIS01", "HTTP/portal.test.com"), computer("IIS02"), user("svc", "HTTP/portal.test.com"))
    accepted = planned(world(*differing(), ad=directory, farm=FARM), "farm-nodes-differ")
    assert accepted.plan.steps == ()
    assert {blocked.finding for blocked in accepted.plan.blocked} == {"spn-duplicate"}
    assert fixes(accepted, "spn-duplicate") == {(SETTLE,)}


def test_what_no_step_repairs_is_blocked_unless_it_is_accepted() -> None:
    found = world(server(site(CUSTOM), pool=r".\local", creds=True), ad=ad(computer()))
    assert [blocked.finding for blocked in planned(found).plan.blocked] == ["local-account-decrypts"]
    assert planned(found, "local-account-decrypts").plan.blocked == ()


def test_an_spn_that_an_application_without_an_account_needs_too_is_left_alone() -> None:
    """While nobody or two hold it, the local user's application goes on with NTLM; with one holder it ends in 401."""
    apps = [app("/", "A"), app("/old", "B")]
    found = world(
        server(site(CUSTOM, apps=apps), pools={"A": r"TEST\svc", "B": r".\local"}, creds=True),
        ad=ad(computer(), user("svc", "HTTP/x.test.com"), user("stray", "HTTP/x.test.com")),
    )
    assert found.finding("spn-duplicate").fix == (SETTLE,)
    assert found.report.plan.steps == ()
    assert {blocked.finding for blocked in found.report.plan.blocked} == {"local-account-decrypts", "spn-duplicate"}


def test_an_unused_holder_is_taken_away_where_the_plan_does_it() -> None:
    old = user("old", "HTTP/x.test.com", userAccountControl=0x202)
    found = world(server(site(CUSTOM), pool=r"TEST\svc", creds=True), ad=ad(computer(), user("svc"), old))
    (line,) = found.finding("spn-stale").fix
    assert "setspn -U -D HTTP/x.test.com TEST\\old" in line
    both = [app("/", "A"), app("/b", "B")]
    pools = {"A": r"TEST\svc", "B": r"TEST\other"}
    ssrs = world(server(), ad=ad(computer(), user("ssrs", "HTTP/iis01.test.com")))
    assert ssrs.report.plan.steps
    assert ssrs.finding("foreign-http-owner").fix == ("Ask the owner of the account before anything is moved.",)
    contested = world(
        server(site(CUSTOM, apps=both), pools=pools, creds=True), ad=ad(computer(), user("svc"), user("other"), old)
    )
    assert {told.fix for told in contested.findings("spn-stale")} == {()}


def mixed_farm(pools: dict[str, str]) -> World:
    """One node's /b decrypts otherwise than all the rest."""
    mixed = site(CUSTOM, apps=[app("/"), app("/b", "B", creds=True)])
    nodes = [
        server(mixed, name="IIS01", pools=pools),
        server(site(CUSTOM), name="IIS02", pool=r"TEST\svc", creds=True),
    ]
    return world(
        *nodes,
        ad=ad(computer("IIS01", "HTTP/x.test.com"), computer("IIS02"), user("svc"), user("other")),
        farm=[farm_name("x.test.com", "IIS01", "IIS02")],
    )


def test_a_farm_of_which_one_application_decrypts_as_the_computer_is_repaired() -> None:
    found = mixed_farm({"Pool": r"TEST\svc", "B": r"TEST\svc"})
    assert "spn-conflict" not in found.ids
    told = found.finding("farm-nodes-differ").message
    assert r"IIS01 decrypts as TEST\IIS01$ for Site/; IIS01 decrypts as TEST\svc for Site/b" in told
    assert [(step.kind, str(step.account)) for step in found.report.plan.steps] == [
        ("spn-delete", r"TEST\IIS01$"),
        ("iis-setting", r"TEST\svc"),
        ("spn-add", r"TEST\svc"),
    ]
    assert '"Site"' in (found.report.plan.steps[1].command or "")


def test_servers_of_a_farm_with_the_same_conflict_do_not_differ() -> None:
    mixed = site(CUSTOM, apps=[app("/"), app("/b", creds=True)])
    nodes = [server(mixed, name=name, pool=r"TEST\svc") for name in ("IIS01", "IIS02")]
    entries = ad(computer("IIS01"), computer("IIS02"), user("svc"))
    found = world(*nodes, ad=entries, farm=[farm_name("x.test.com", "IIS01", "IIS02")])
    assert {told.server for told in found.findings("spn-conflict")} == {"IIS01", "IIS02"}
    assert not found.ids & {"farm-nodes-differ", "farm-machine-identity"}


def test_a_farm_with_a_conflict_between_pools_on_one_node_gets_no_setspn() -> None:
    pools = site(CUSTOM, apps=[app("/"), app("/b", "B")])
    nodes = [
        server(pools, name="IIS01", pools={"Pool": r"TEST\svc", "B": r"TEST\other"}, creds=True),
        server(site(CUSTOM), name="IIS02", pool=r"TEST\svc", creds=True),
    ]
    found = world(
        *nodes,
        ad=ad(computer("IIS01", "HTTP/x.test.com"), computer("IIS02"), user("svc"), user("other")),
        farm=[farm_name("x.test.com", "IIS01", "IIS02")],
    )
    assert {"spn-conflict", "farm-nodes-differ"} <= found.ids
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert not [line for told in found.report.findings for line in told.fix if "setspn" in line]


def test_a_wrong_spn_on_the_canonical_name_is_deleted_and_dns_left_alone() -> None:
    found = world(
        server(site("*:80:app.test.com")),
        ad=ad(computer(), user("other", "HTTP/iis01.test.com")),
        dns="iis01 A 10.0.5.2; app CNAME iis01",
    )
    assert recommended(found) == [("spn-delete", "HTTP/iis01.test.com")]


def test_an_a_record_leads_where_the_alias_leads() -> None:
    found = world(
        server(site("*:80:app.test.com"), pool=r"TEST\svc", creds=True, facts={"addresses": ("10.9.9.9", "10.0.5.2")}),
        ad=ad(computer(), user("svc", "HTTP/app.test.com")),
        dns="iis01 A 10.0.5.2; app CNAME iis01",
    )
    ((step),) = found.report.plan.steps
    assert step.command.endswith("/RecordAdd test.com app A 10.0.5.2")


@pytest.mark.parametrize(
    ("dns", "asks"), [("app CNAME iis01.else.example.", False), ("iis01 A 10.0.5.77; app CNAME iis01", True)]
)
def test_an_alias_is_replaced_without_a_question_where_it_ends_at_an_inspected_computer(dns: str, asks: bool) -> None:
    """Its own name may stand in a zone that nobody gave: that is where it leads all the same."""
    full = "iis01.else.example" if not asks else "iis01.test.com"
    found = world(
        server(site("*:80:app.test.com"), pool=r"TEST\svc", creds=True, facts={"dns_name": full}),
        ad=ad(entry("IIS01$", "HOST/IIS01", f"HOST/{full}", kind="computer"), user("svc", "HTTP/app.test.com")),
        dns=dns,
    )
    assert [(step.kind, step.confirm) for step in found.report.plan.steps] == [("dns", asks)]


# -- cost ----------------------------------------------------------------------------------------------------------


def twins(count: int, *accounts: str) -> World:
    """Servers with one name, that nobody calls a farm: each decrypts with its own computer account."""
    names = [f"IIS{number:03}" for number in range(count)]
    return world(*(server(site(CUSTOM), name=name) for name in names), ad=ad(*map(computer, names), *accounts))


def test_planning_for_twins_grows_with_their_number() -> None:
    def cost(count: int) -> int:
        found = twins(count, user("one", "HTTP/x.test.com"), user("two", "HTTP/x.test.com"))
        assert len(found.findings("spn-duplicate")) == count
        return calls(lambda: plan(found.analysis.cases[0], found.report.findings))

    assert cost(160) < 2.3 * cost(80)


def test_planning_for_a_farm_grows_with_its_nodes() -> None:
    """Half of the nodes decrypt with their computer account, and the name is held twice: one finding for each."""

    def cost(count: int) -> int:
        names = [f"IIS{number:03}" for number in range(count)]
        nodes = [server(site(CUSTOM), name=n, pool=r"TEST\svc", creds=at % 2 == 0) for at, n in enumerate(names)]
        accounts = (user("svc", "HTTP/x.test.com"), user("old", "HTTP/x.test.com"))
        found = world(*nodes, ad=ad(*map(computer, names), *accounts), farm=[farm_name("x.test.com", *names)])
        assert len(found.findings("spn-duplicate")) > count / 2
        assert len(found.report.plan.steps) == count / 2 + 1
        return calls(lambda: plan(found.analysis.cases[0], found.report.findings))

    assert cost(80) < 2.3 * cost(40)


def test_looking_for_stale_accounts_grows_with_their_number() -> None:
    def cost(count: int) -> int:
        disabled = [user(f"old{number}", "HTTP/x.test.com", userAccountControl=0x202) for number in range(count)]
        found = twins(count, *disabled)
        assert len(found.findings("spn-stale")) == count
        return calls(lambda: list(spns.stale(found.analysis.cases[0])))

    assert cost(60) < 2.3 * cost(30)


def test_an_unused_account_is_told_of_at_the_first_server_that_needs_another() -> None:
    gone = [computer(name, "HTTP/x.test.com", userAccountControl=0x1002) for name in ("IIS000", "IIS001")]
    nodes = [server(site(CUSTOM), name=name) for name in ("IIS000", "IIS001", "IIS002")]
    found = world(*nodes, ad=ad(*gone, computer("IIS002")))
    told = [(f.server, str(f.account), *map(str, f.holders)) for f in found.findings("spn-stale")]
    assert told == [("IIS000", r"TEST\IIS000$", r"TEST\IIS001$"), ("IIS001", r"TEST\IIS001$", r"TEST\IIS000$")]


# -- what kind of account ------------------------------------------------------------------------------------------

SWITCHES = {"user": "-U ", "computer": "-C ", "managed": "", None: ""}
KINDS = {
    "user": "user",
    "computer": "computer",
    "gMSA": "managed",
    "sMSA": "managed",
    "dMSA": "managed",
    "unknown": None,
}


@pytest.mark.parametrize("kind", get_args(AccountKind))
def test_every_kind_of_account_has_its_word_and_its_switch(kind: AccountKind) -> None:
    principal = Account(name=AccountName("TEST", "x"), dn="CN=x", kind=kind).principal
    assert principal == KINDS[kind]
    line = setspn("-S", spn("HTTP/x"), AccountName("TEST", "x"), principal)
    assert line == f"setspn -F {SWITCHES[principal]}-S HTTP/x TEST\\x"
