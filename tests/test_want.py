"""`plan --want`: the steps lead to what is wanted, nobody is worse off on the way, and they can be undone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import inputs
import pytest
import worlds
from console import Refused, holders, typed
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import Inputs
from test_cure import ACCOUNTS, BROKEN, CUSTOM, OWN_NAMES, ZONES, directories, ranks, servers
from wants import CHANGES, HELD_BACK, KINDS, VIP, want
from worlds import site, user, world

from agent.change.overlay import Overlay
from agent.checks.commands import APPCMD, is_pasteable
from agent.errors import UsageError
from agent.iis.snapshot import Snapshot
from agent.model import ApplicationRef, Report, Step
from agent.names import Address, Spn, host_name, spn

NEEDS = ("explicit", "covered", "port-variant", "optional")


# -- a person ------------------------------------------------------------------------------------------------------


def done(step: Step, on: Inputs) -> None:
    """A step, by whoever it is for; what is no command is told in words that a person can follow."""
    note = step.note or ""
    if step.command is not None:
        typed(step.command, on, step.server)
    elif (pool := re.match(r"On (.+?) give the application pool (.+?) the identity (\S+) ", note)) is not None:
        for server in pool[1].split(", "):
            line = f'{APPCMD} set apppool "{pool[2]}" /processModel.identityType:SpecificUser'
            typed(f"{line} /processModel.userName:{pool[3]}", on, server)
    elif (balanced := re.match(r"Let the load balancer for (\S+) send", note)) is not None:
        recorded(on, balanced[1], VIP)
    elif (led := re.match(r"Let DNS lead (\S+) to (\S+),", note)) is not None:
        recorded(on, led[1], address_of(led[2]))
    elif (reading := re.match(r"Let (.+?) read the password", note)) is not None:
        assert reading, "who may today was not exported: a person lists it"
    else:
        raise AssertionError(note)


def recorded(on: Inputs, host: str, address: str) -> None:
    """The name leads to this address and nowhere else."""
    for zone in on.zones:
        owners = {f"{host}.", host.removesuffix(".test.com")}
        lines = [line for line in zone.read_text().splitlines() if line.split()[:1] not in [[one] for one in owners]]
        zone.write_text("\n".join([*lines, f"{host}. A {address}", ""]), encoding="utf-8")


def address_of(server: str) -> str:
    return f"10.0.5.{int(server[-1]) + 1}"


# -- what is claimed -----------------------------------------------------------------------------------------------

WINDOW = re.compile(r"(HTTP/\S+) fails \(401\) from this step (?:on|until step (\d+))")
HELD = re.compile(r"clients that still hold a ticket for (.+?) to \S+ get 401 from this step")
CACHED = re.compile(r"clients that know the old record .+ get 401 there from step (\d+) on")
Place = tuple[Spn, ApplicationRef]


@dataclass
class Watched:
    """What may fail at a moment: what the steps done so far have said."""

    until: dict[Spn, int | None]
    tickets: set[Spn]
    cached: int | None = None

    def hear(self, step: Step) -> None:
        text = (step.note or "").replace("Clients", "clients")
        for name, end in WINDOW.findall(text):
            self.until[spn(name)] = int(end) if end else None
        if (cached := CACHED.search(text)) is not None:
            self.cached = int(cached[1])
        for names in HELD.findall(text):
            self.tickets |= set(map(spn, names.split(", ")))

    def open_at(self, order: int) -> set[Spn]:
        return {name for name, end in self.until.items() if end is None or order < end}


def works(of: Report) -> set[Place]:
    return {place for place, rank in ranks(of, NEEDS).items() if rank == 0}


def decrypts(of: Report) -> Mapping[Place, str]:
    return {(r.spn, at): str(r.account) for r in of.requirements for at in r.applications}


def walked(on: Inputs, before: Report) -> Report:
    """Every step in its order: nothing that worked fails but what the steps say, and each way back is exact."""
    good, account, heard, now = works(before), decrypts(before), Watched({}, set()), before
    for step in before.plan.steps:
        was = now
        done(step, on)
        now = on.inspected()
        heard.hear(step)
        at, here = ranks(now, NEEDS), decrypts(now)
        failing = {place[0] for place in good if at.get(place, 0) == BROKEN}
        if heard.cached is not None and heard.cached <= step.order:  # who still goes to the old server was told
            failing -= {place[0] for place in good if place[1].server not in before.plan.wanted[0].servers}
        assert failing <= heard.open_at(step.order), f"step {step.order}: {failing} fail, and nothing says so"
        for name, end in heard.until.items():
            assert name in failing or end is None or end <= step.order, f"{name} works, and step {step.order} said no"
        changed = {place[0] for place in good if here.get(place, account[place]) != account[place]}
        unsaid = changed - heard.tickets - {name for name, end in heard.until.items() if end is None}
        assert not unsaid, f"step {step.order}: nothing says that tickets of before fail for {unsaid}"
        taken_back(step, on, was)
    return now


def taken_back(step: Step, on: Inputs, was: Report) -> None:
    """The printed way back, on a copy, gives the state before the step."""
    if step.rollback is None:
        return
    with TemporaryDirectory() as folder:
        copy = on.copied(Path(folder) / "copy")
        try:
            typed(step.rollback, copy, step.server)
        except Refused:  # an SPN that two accounts held cannot be put back on the second (docs/plan.md)
            assert step.spn is not None
            assert holders(copy, step.spn)
            typed(step.rollback, copy, step.server, unique=False)
        back, before = state(copy.inspected()), state(was)
        assert back == before, f"the way back of step {step.order} leads elsewhere: {step.rollback}"


def state(of: Report) -> object:
    """What a report says of settings, holders and outcomes."""
    return (
        [
            (a.decrypts_as, a.pool_account, a.identity_type, a.windows_auth, set(a.hosts))  # a record may stand lower
            for a in of.applications
        ],
        sorted((str(r.spn), str(r.account), r.outcome, sorted(map(str, r.holders or ()))) for r in of.requirements),
        [(goal.account, goal.reached) for goal in of.plan.wanted],
    )


def pasteable(of: Report) -> None:
    for step in of.plan.steps:
        for line in (step.command, step.rollback):
            assert line is None or all(map(is_pasteable, line.split(" && "))), line
            assert "processModel.password" not in (line or "")
        # only what no line can do has no way back: by hand, or an identity that needs a password
        assert step.rollback is not None or step.kind == "manual" or "password" in (step.note or ""), step


# -- the five kinds ------------------------------------------------------------------------------------------------


@pytest.fixture(params=CHANGES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Inputs:
    return CHANGES[request.param].written(tmp_path / "given")


def test_the_steps_lead_to_what_is_wanted(bench: Inputs) -> None:
    before = bench.inspected()
    assert {goal.reached for goal in before.plan.wanted} == {False}
    assert {at for goal in before.plan.wanted for at in goal.steps} == {step.order for step in before.plan.steps}
    pasteable(before)
    after = walked(bench, before)
    assert {(goal.reached, goal.steps) for goal in after.plan.wanted} == {(True, ())}
    assert after.plan.steps == ()
    assert after.spns.broken == 0


def test_removals_settings_registrations_in_this_order(bench: Inputs) -> None:
    """Contract: a delete stands directly before its add, unless a decryptor changes: then deletes, settings, adds."""
    steps = bench.inspected().plan.steps
    for added in (step for step in steps if step.is_add):
        removed = [step.order for step in steps if step.kind == "spn-delete" and step.spn == added.spn]
        if added.after:
            assert all(order < min(added.after) for order in removed)
            assert max(added.after) < added.order
        else:
            assert removed in ([], [added.order - 1])


def test_without_a_directory_there_is_no_step(bench: Inputs) -> None:
    shutil.rmtree(bench.folder / "directory")
    report = bench.inspected()
    assert {(goal.reached, goal.steps) for goal in report.plan.wanted} == {(None, ())}
    assert report.plan.steps == ()
    assert "give the directory" in report.plan.wanted[0].because[0]


@pytest.mark.parametrize("name", KINDS)
def test_a_want_is_an_entry_of_the_farm_file(name: str, tmp_path: Path) -> None:
    report = KINDS[name].written(tmp_path / "given").inspected()
    goal = report.plan.wanted[0]
    places = [a for a in report.applications if a.server in goal.servers]
    sources = {h.source for a in places for h in a.hosts if h.host == goal.host}
    assert sources <= {"binding", "want"}
    assert sources
    needs = {r.spn.host.text: r.need for r in report.requirements if r.applications[0].server in goal.servers}
    assert needs[goal.host.text] == needs[goal.host.first_label.text] == "explicit"


# -- single questions ----------------------------------------------------------------------------------------------


def changed(name: str, folder: Path, **said: object) -> Report:
    """A kind with something said otherwise in its want."""
    one = CHANGES[name]
    text = one.want
    for key, value in said.items():
        text = re.sub(rf"(?m)^{key} = .*\n", "", text) + f"{key} = {value}\n"
    given_ = one.written(folder / name)
    (given_.folder / "want.toml").write_text(text, encoding="utf-8")
    return given_.inspected()


def test_without_the_short_name_only_the_full_one_is_wanted(tmp_path: Path) -> None:
    report = changed("new-name", tmp_path, short_name="false")
    assert {str(step.spn) for step in report.plan.steps if step.spn} == {"HTTP/start.test.com"}


def test_without_an_account_the_one_of_today_stays(tmp_path: Path) -> None:
    text = re.sub(r"account = .*\n", "", CHANGES["new-name"].want)
    given_ = CHANGES["new-name"].written(tmp_path / "given")
    (given_.folder / "want.toml").write_text(text, encoding="utf-8")
    assert str(given_.inspected().plan.wanted[0].account) == r"TEST\svc"


def test_a_password_is_asked_of_a_person(tmp_path: Path) -> None:
    report = changed("old-account-to-new", tmp_path, account=r"'TEST\new'")
    assert report.plan.wanted[0].reached is False
    (step,) = [step for step in report.plan.steps if step.kind == "manual"]
    assert (step.command, step.rollback) == (None, None)
    assert r"On IIS01 give the application pool Portal the identity TEST\new" in (step.note or "")
    assert all(step.order in added.after for added in report.plan.steps if added.is_add)


def test_the_computer_decrypts_again(tmp_path: Path) -> None:
    report = changed("old-account-to-new", tmp_path, account="'computer'")
    assert str(report.plan.wanted[0].account) == r"TEST\IIS01$"
    settings = [step.command or "" for step in report.plan.steps if step.kind == "iis-setting"]
    assert any("useAppPoolCredentials:false" in line for line in settings)
    assert not any("apppool" in line for line in settings)


def test_who_may_read_the_password_and_was_not_read_is_by_hand(tmp_path: Path) -> None:
    given_ = CHANGES["network-service-to-gmsa"].written(tmp_path / "given")
    for path in given_.directory:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("msDS-GroupMSAMembership")]
        path.write_text("\n".join(lines), encoding="utf-8")
    first = given_.inspected().plan.steps[0]
    assert (first.kind, first.command, first.rollback) == ("manual", None, None)
    assert r"TEST\IIS01$" in (first.note or "")


def test_a_neighbour_of_the_pool_that_host_serves_holds_it_back(tmp_path: Path) -> None:
    """`HTTP/iis01` on the gMSA would break WinRM; with the pool changed, and nothing registered, the site fails."""
    report = HELD_BACK["neighbour-by-host"].written(tmp_path / "given").inspected()
    (goal,) = report.plan.wanted
    assert (goal.reached, goal.steps, report.plan.steps) == (False, (), ())
    assert "Default on IIS01" in goal.because[0]
    assert "give that site a pool, or a name, of its own first" in goal.because[0]


def test_another_server_with_the_name_holds_it_back(tmp_path: Path) -> None:
    report = HELD_BACK["answered-elsewhere"].written(tmp_path / "given").inspected()
    (goal,) = report.plan.wanted
    assert (goal.reached, report.plan.steps) == (False, ())
    assert "on IIS02" in goal.because[0]


def test_a_server_that_a_load_balancer_may_lead_to_holds_it_back(tmp_path: Path) -> None:
    """Today DNS leads past IIS03; to an address of nobody inspected, any server with the name may answer."""
    report = HELD_BACK["behind-the-balancer-too"].written(tmp_path / "given").inspected()
    (goal,) = report.plan.wanted
    assert (goal.reached, report.plan.steps) == (False, ())
    assert "on IIS03" in goal.because[0]
    assert "or want it there too" in goal.because[0]


def test_from_one_server_to_another_the_record_moves_before_the_spn(tmp_path: Path) -> None:
    given_ = CHANGES["other-server"].written(tmp_path / "given")
    before = given_.inspected()
    kinds = [step.kind for step in before.plan.steps]
    assert kinds.index("dns") < kinds.index("spn-add")
    walked(given_, before)
    assert given_.inspected().plan.is_reached


def test_the_load_balancer_is_told_of_where_dns_was_not_asked(tmp_path: Path) -> None:
    given_ = CHANGES["one-server-to-two"].written(tmp_path / "given")
    shutil.rmtree(given_.folder / "zones")
    before = given_.inspected()
    last = before.plan.steps[-1]
    assert (last.kind, last.command) == ("manual", None)
    assert "load balancer for portal.test.com" in (last.note or "")
    walked(given_, before)
    assert given_.inspected().plan.is_reached, "nothing else is left, and nobody can look whether this is done"


def test_what_is_left_of_a_machine_name_is_said(tmp_path: Path) -> None:
    """`HTTP/iis01` on the pool's account keeps WinRM from working until it is removed (rule R6.7)."""
    given_ = CHANGES["off-a-machine-name"].written(tmp_path / "given")
    (path,) = given_.directory
    held = "sAMAccountName: gmsaWeb$\nservicePrincipalName: HTTP/iis01.test.com"
    path.write_text(path.read_text().replace("sAMAccountName: gmsaWeb$", held), encoding="utf-8")
    (goal,) = given_.inspected().plan.wanted
    assert any(r"HTTP/iis01.test.com is on TEST\gmsaWeb$, which breaks WinRM on IIS01" in why for why in goal.because)


def test_a_setting_waits_for_the_removal_that_asks(tmp_path: Path) -> None:
    given_ = CHANGES["network-service-to-gmsa"].written(tmp_path / "given")
    (path,) = given_.directory
    other = user("other", "HTTP/portal.test.com")
    text = path.read_text().replace("servicePrincipalName: HTTP/portal.test.com\n", "")
    path.write_text(f"{text}\n{other}", encoding="utf-8")
    steps = given_.inspected().plan.steps
    (asks,) = [step for step in steps if step.confirm]
    assert (asks.kind, str(asks.account)) == ("spn-delete", r"TEST\other")
    waits = [s for s in steps if s.kind == "iis-setting" and f"wait for step {asks.order}" in (s.note or "")]
    assert len(waits) == 1, "the one that lets another account decrypt"


# -- refused -------------------------------------------------------------------------------------------------------

REFUSED = {
    "[[want]]\nhost = \n": ":2: not TOML",
    "[[wants]]\n": "unknown key 'wants'",
    "": "there is no [[want]]",
    want("a.test.com", "IIS01", acount="x"): ":1: [[want]]: unknown key 'acount'",
    want("a.test.com", "IIS01", account="svc"): ":1: [[want]]: 'svc' is not DOMAIN\\name",
    want("a.test.com", "IIS01", short_name="yes"): ":1: [[want]]: short_name must be true or false",
    want("10.0.0.1", "IIS01"): "clients do not try Kerberos",
    want("*.test.com", "IIS01"): "a wildcard names no host",
    want("a.test.com"): ":1: [[want]]: servers must be a list of server names",
    want("portal.test.com", "IIS01", account=r"TEST\svc")
    + want(
        "PORTAL.test.com", "IIS01", account=r"TEST\gmsaWeb$"
    ): ":6: [[want]]: PORTAL.test.com is wanted on two accounts",
    want("portal.test.com", "IIS09", account=r"TEST\svc"): ":1: [[want]]: IIS09 is none of the servers given: IIS01",
    want("portal.test.com", "IIS01", site="Portl"): ":1: [[want]]: no server has the site Portl; known: Portal",
    want("portal.test.com", "IIS01", account=r"TEST\nobody"): r":1: [[want]]: TEST\nobody is not in the directory",
    want("portal.test.com", "IIS01", "IIS02", account="computer"): ":1: [[want]]: account 'computer' is for one server",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_is_wrong_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    given_ = CHANGES["network-service-to-gmsa"].written(tmp_path / "given")
    (given_.folder / "want.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(REFUSED[text])) as told:
        given_.inspected()
    assert "want.toml" in str(told.value)


def test_where_the_servers_are_is_not_known_nothing_is_said_of_the_record(tmp_path: Path) -> None:
    """Bare configuration files have no addresses, and the zone has only the name that is wanted."""
    given_ = CHANGES["one-server-to-two"].written(tmp_path / "given")
    (zone,) = given_.zones
    zone.write_text(re.sub(r"(?m)^iis0\d .*\n", "", zone.read_text()), encoding="utf-8")
    for server in given_.servers:
        facts = json.loads((server / "machine.json").read_text())
        (server / "machine.json").write_text(json.dumps({**facts, "addresses": []}), encoding="utf-8")
    assert not any("load balancer" in (step.note or "") for step in given_.inspected().plan.steps)


def test_a_server_that_could_not_be_read_is_not_refused(tmp_path: Path) -> None:
    given_ = CHANGES["one-server-to-two"].written(tmp_path / "given")
    (given_.servers[1] / "applicationhost.config").write_text("<configuration", encoding="utf-8")
    report = given_.inspected()
    (goal,) = report.plan.wanted
    assert not report.complete
    assert goal.reached is None
    assert (goal.steps, report.plan.steps) == ((), ())
    assert "could not be read" in goal.because[0]


# -- random farms --------------------------------------------------------------------------------------------------

WANTED = (r"TEST\svc1", r"TEST\gmsaWeb$", r"TEST\svc2", "computer", None)
NAMED = (*CUSTOM[:3], *CUSTOM[:3], *OWN_NAMES[:1], "new.test.com")


@st.composite
def wanted(draw: st.DrawFn) -> str:
    nodes = draw(st.sampled_from([("IIS01",), ("IIS01",), ("IIS02",), ("IIS01", "IIS02")]))
    said: dict[str, object] = {"short_name": draw(st.booleans())}
    account, site = draw(st.sampled_from(WANTED)), draw(st.sampled_from([None, "Site0", "Site0", "Site1"]))
    if account is not None:
        said["account"] = account
    if site is not None:
        said["site"] = site
    return want(draw(st.sampled_from(NAMED)), *nodes, **said)


@settings(max_examples=60)
@given(servers=servers(), ad=directories(), dns=st.sampled_from(ZONES), text=wanted())
def test_random_farms(servers: list[Snapshot], ad: list[str], dns: str | None, text: str) -> None:
    assert set(ACCOUNTS) >= {"svc1", "svc2", "gmsaWeb$"}
    with TemporaryDirectory() as folder:
        on = inputs.written(Path(folder) / "given", servers, ad=ad, dns=dns)
        (on.folder / "want.toml").write_text(text, encoding="utf-8")
        try:
            before = on.inspected()
        except UsageError:
            return
        (goal,) = before.plan.wanted
        pasteable(before)
        after = walked(on, before)
        if goal.steps:
            assert (after.plan.wanted[0].reached, after.plan.steps) == (True, ()), after.plan.wanted[0]
        else:
            assert before.plan.steps == ()


def test_records_lie_above_what_dns_says() -> None:
    built = world(worlds.server(site("*:80:a.test.com")), dns="a A 10.0.5.2;b A 10.0.5.2;c CNAME b")
    case = built.analysis.cases[0]
    overlay = Overlay(case)
    for name, address in (("a", "10.9.0.1"), ("b", "10.9.0.1"), ("a", "10.9.0.2")):
        overlay.record(host_name(f"{name}.test.com"), Address(address))
    service = overlay.service
    assert service is not None
    assert case.service is not None
    assert service.answers[host_name("a.test.com")].addresses == ("10.9.0.2",)
    assert {at: [str(name) for name in led] for at, led in service.names_by_address.items()} == {
        "10.0.5.2": ["c.test.com"],
        "10.9.0.1": ["b.test.com"],
        "10.9.0.2": ["a.test.com"],
    }
    assert [str(host) for host in service.answers] == [str(host) for host in case.service.answers]
