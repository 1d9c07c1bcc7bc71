"""Does the plan cure? What it prints is typed on copies of the input files, and the copies are inspected again."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import inputs
import pytest
import test_truth_table
from console import Refused, holders, typed
from hypothesis import given
from hypothesis import strategies as st
from inputs import Inputs
from msgspec.structs import replace
from worlds import Site, World, ad, app, computer, cross_reference, entry, farm_name, server, site, user, whole, windows

from agent.change.plan import awaiting, held_back
from agent.iis.snapshot import Snapshot, SourceFile
from agent.model import Alternative, ApplicationRef, Finding, Report, Step
from agent.names import Spn, printable

SAMPLES = Path(__file__).parents[1] / "sample_configs"

REPAIRED = frozenset(
    {
        *("spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "spn-port-only"),
        *("client-spn-variant", "farm-machine-identity", "farm-nodes-differ", "spn-conflict", "spn-malformed"),
    }
)
"""What a step can repair; of anything else the plan claims nothing."""


# -- what is claimed -----------------------------------------------------------------------------------------------

Place = tuple[Spn, ApplicationRef]
"""Where a name is used: who decrypts there may change, what its users get must not become worse."""

NEEDS = ("explicit", "covered", "port-variant")
"""A name of which the need is "optional" works or not without harm."""

RANK = {"kerberos": 0, "uncertain": 1, "unchecked": 1, "ntlm-fallback": 2}
BROKEN = 3


def ranks(of: Report, needs: Container[str]) -> dict[Place, int]:
    """What users get, name by name."""
    found: dict[Place, int] = {}
    for wanted in of.requirements:
        for at in wanted.applications if wanted.need in needs else ():
            found[wanted.spn, at] = max(RANK.get(wanted.outcome, BROKEN), found.get((wanted.spn, at), 0))
    return found


def is_typed(step: Step) -> bool:
    """Whether a step is a command; the others are words for a person."""
    return step.command is not None


def left_open(of: Report, found: Finding) -> bool:
    """Whether the plan says of a finding that no command repairs it: blocked, or a person's work."""
    name = printable(str(found.spn or ""))
    blocked = any(one.finding == found.id and name in one.why for one in of.plan.blocked)
    words = [step for step in of.plan.steps if not is_typed(step)]
    told = " ".join(step.note or "" for step in words)
    by_hand = f"{found.site} on {found.server}" in told or name in told
    return blocked or by_hand or any(step.kind == "dns" and step.finding == found.id for step in words)


def subject(found: Finding) -> tuple[object, ...]:
    """What a finding is about; that of an account is told at the first place that needs it."""
    return (found.id, found.account) if found.account else (found.id, found.spn, found.server)


def claimed(of: Report) -> list[Finding]:
    """What the plan says it repairs."""
    found = [one for one in of.findings if one.id in REPAIRED and one.accepted is None]
    open_ = {(one.spn, one.account) for one in found if left_open(of, one)}
    return [one for one in found if (one.spn, one.account) not in open_]


def not_cured(before: Report, after: Report) -> list[str]:
    """What was claimed, but is not so."""
    left, now = {(one.id, one.spn, one.account) for one in after.findings}, ranks(after, NEEDS)
    found = []
    for one in claimed(before):
        wanting = [w for w in before.requirements if w.spn == one.spn and one.account in {None, w.account}]
        places = [(w.spn, at) for w in wanting for at in w.applications if w.need != "optional"]
        if (one.id, one.spn, one.account) in left or any(now.get(place, 0) > 1 for place in places):
            found.append(one.message)
    return found


def harmed(before: Report, after: Report) -> list[str]:
    """What is worse than before: a name's outcome, or an error that was not there."""
    was = ranks(before, (*NEEDS, "optional"))
    known = {subject(one) for one in before.findings if one.severity == "error"}
    worse = [place for place, rank in ranks(after, NEEDS).items() if rank > was.get(place, BROKEN - 1)]
    new = [one for one in after.findings if one.severity == "error" and one.id not in REPAIRED]
    return [
        *(f"{name} for {at.server} {at.site}{at.path}" for name, at in worse),
        *(one.message for one in new if subject(one) not in known),
    ]


LINE = re.compile(r"line \d+")


def meaning(of: Report) -> object:
    """A report without times, and without the lines of the files: those move when a value is written out."""
    return (
        of.complete,
        [
            replace(one, origins=None, places=tuple(replace(p, origins=None) for p in one.places))
            for one in of.applications
        ],
        [replace(one, holders=sorted(map(str, one.holders or ()))) for one in of.requirements],
        [replace(one, evidence=(), message=LINE.sub("line ?", one.message)) for one in of.findings],
        [replace(one, holds=set(one.holds or ()), elsewhere=set(one.elsewhere or ())) for one in of.accounts],
        of.plan,
    )


# -- carrying it out -----------------------------------------------------------------------------------------------


class Bench:
    """Input files, the report on them, and room for copies."""

    def __init__(self, given: Inputs, room: Path) -> None:
        self.given = given
        self.room = room
        self.report = given.inspected()
        self._number = itertools.count()

    def after(self, steps: Iterable[Step]) -> Inputs:
        """A copy of the files in which the steps are done, in their order."""
        copy = self.given.copied(self.room / f"copy{next(self._number)}")
        for step in steps:
            typed(step.command or "", copy, step.server)
        return copy


def expect_none(faults: list[str]) -> None:
    assert not faults, "; ".join(faults)


def cured(bench: Bench) -> Report:
    """Every recommended command; then all that was claimed is repaired, nothing else is worse, and it can be undone."""
    before, steps = bench.report, [step for step in bench.report.plan.steps if is_typed(step)]
    copy = bench.after(steps)
    after = copy.inspected()
    expect_none(not_cured(before, after))
    expect_none(harmed(before, after))
    for step in reversed(steps):
        taken_back(step, copy, bench.given)
    assert meaning(copy.inspected()) == meaning(before), "the way back leads elsewhere"
    return after


def taken_back(step: Step, copy: Inputs, before: Inputs) -> None:
    """The printed way back. An SPN that two accounts held is refused, as docs/plan.md says: then without the check."""
    try:
        typed(step.rollback or "", copy, step.server)
    except Refused:
        assert step.spn is not None
        assert len(holders(before, step.spn)) > 1, "it stood on one account only"
        typed(step.rollback or "", copy, step.server, unique=False)


def cautious(bench: Bench) -> None:
    """Whoever asks first and gets no answer leaves steps out: nothing may be worse than before."""
    steps = bench.report.plan.steps
    held = held_back(steps)
    if held:
        done = [step for step in steps if is_typed(step) and step.order not in held]
        expect_none(harmed(bench.report, bench.after(done).inspected()))


def by_script(bench: Bench) -> None:
    """What `--apply` and the scripts do while nobody changed a setting or a record: no name is worse than silent NTLM.

    But for a name that `HOST/` covers: there is none who holds nothing, and the removal says from when until when.
    """
    steps = bench.report.plan.steps
    left = held_back(steps) | awaiting(steps)
    done = [step for step in steps if is_typed(step) and step.changes_spn and step.order not in left]
    if left:
        was = ranks(bench.report, (*NEEDS, "optional"))
        now = ranks(bench.after(done).inspected(), NEEDS)
        worse = [place for place, rank in now.items() if rank == BROKEN and was.get(place, BROKEN) < BROKEN]
        told = {step.spn for step in done if "fails (401) from this step until step" in (step.note or "")}
        expect_none([f"{name} for {at.server} {at.site}{at.path}" for name, at in worse if name not in told])


def every_way(bench: Bench) -> None:
    """Each other way repairs what it is for: alone, or where it leans on the rest of the plan, with that."""
    for way in bench.report.plan.alternatives:
        if all(map(is_typed, way.steps)):
            about = {step.spn for step in way.steps if step.spn is not None}
            rest = [step for step in bench.report.plan.steps if is_typed(step) and step.spn not in about]
            faults = [_faults(bench, way, steps) for steps in (way.steps, (*rest, *way.steps))]
            expect_none([] if [] in faults else [way.why, *faults[0]])


def _faults(bench: Bench, way: Alternative, steps: Iterable[Step]) -> list[str]:
    about = {(step.spn, step.account) for step in way.steps if step.kind == "spn-add"}
    try:
        after = bench.after(steps).inspected()
    except Refused as refusal:
        return [str(refusal)]
    stays = [one.message for one in after.findings if one.id == way.finding and (one.spn, one.account) in about]
    return [*stays, *harmed(bench.report, after)]


def proved(bench: Bench) -> Report:
    after = cured(bench)
    cautious(bench)
    by_script(bench)
    every_way(bench)
    return after


# -- the samples ---------------------------------------------------------------------------------------------------


def sample(*servers: str, room: Path) -> Bench:
    given = Inputs(room / "given")
    for name in servers:
        shutil.copytree(SAMPLES / name, given.folder / "servers" / name)
    for name, folder in (("directory.ldif", "directory"), ("zone.txt", "zones"), ("farm.toml", ".")):
        (given.folder / folder).mkdir(exist_ok=True)
        shutil.copy(SAMPLES / name, given.folder / folder / name)
    return Bench(given, room)


SERVERS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())


def test_all_samples(tmp_path: Path) -> None:
    after = proved(sample(*SERVERS, room=tmp_path))
    assert {(one.id, str(one.spn)) for one in after.findings if one.severity == "error"} == {
        ("spn-conflict", "HTTP/iis04.test.com")
    }, "the conflict is for people"


@pytest.mark.parametrize("server", SERVERS)
def test_one_sample(server: str, tmp_path: Path) -> None:
    proved(sample(server, room=tmp_path))


# -- farms that a plan has harmed ----------------------------------------------------------------------------------

X = "*:80:x.test.com"
TWO = ad(computer("IIS01"), computer("IIS02"), user("svc"))
SAYS_COMPUTER = f"<configuration>{windows(useAppPoolCredentials='false')}</configuration>"
SAYS_POOL = f"<configuration>{windows(useAppPoolCredentials='true')}</configuration>"


PAGE = """<location path="Site/page.aspx"><system.webServer><security><authentication>
<windowsAuthentication enabled="true"{} /></authentication></security></system.webServer></location>"""


def twins(binding: str = X, **said: object) -> list[Snapshot]:
    return [server(site(binding), name=name, **said) for name in ("IIS01", "IIS02")]  # type: ignore[arg-type]


def on_share(servers: Sequence[Snapshot], text: str) -> list[Snapshot]:
    """The same servers with the folder of their sites on one share, where this web.config stands."""
    found = []
    for each in servers:
        host = each.files["applicationhost.config"]
        moved = host._replace(data=host.data.replace(b"C:\\web", b"\\\\files\\web"))
        content = SourceFile(r"\\files\web\web.config", text.encode())
        files = {"applicationhost.config": moved, "files/unc/files/web/web.config": content}
        found.append(replace(each, files=files))
    return found


@dataclass(frozen=True)
class Farm:
    """What `inputs.written` makes files of."""

    servers: Sequence[Snapshot]
    said: Mapping[str, object]

    def bench(self, room: Path) -> Bench:
        return Bench(inputs.written(room / "given", self.servers, **self.said), room)  # type: ignore[arg-type]


FARMS = {
    "twins": Farm(twins(), {"ad": TWO}),
    "twins that DNS leads elsewhere": Farm(
        twins(), {"ad": TWO, "dns": "iis01 A 10.0.5.2; iis02 A 10.0.5.3; x A 10.0.0.9"}
    ),
    "two accounts want one port": Farm(
        [
            server(
                site("*:8080:x.test.com", apps=[app("/", "A"), app("/b", "B")]),
                pools={"A": r"TEST\svc", "B": r"TEST\other"},
                creds=True,
            )
        ],
        {"ad": ad(computer(), user("svc"), user("other")), "clients": ("edge-port",)},
    ),
    "a shared configuration": Farm(
        twins("*:80:", pool=r"TEST\svc", creds=True, redirect=r"\\files\iis"),
        {"ad": ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/IIS01", "HTTP/iis01.test.com"))},
    ),
    "a shared configuration with one fault": Farm(
        twins(pool=r"TEST\svc", redirect=r"\\files\iis"),
        {"ad": ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/x.test.com"))},
    ),
    "a folder on a share": Farm(
        on_share(twins(pool=r"TEST\svc", mode="Allow"), SAYS_COMPUTER),
        {
            "ad": ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/x.test.com")),
            "farm": [farm_name("x.test.com", "IIS01", "IIS02")],
        },
    ),
    "a folder on a share, and one name of two": Farm(
        on_share(
            [
                server(site("*:80:x.test.com"), name="IIS01", pool=r"TEST\svc", mode="Allow"),
                server(site("*:80:y.test.com"), name="IIS02", pool=r"TEST\svc", mode="Allow"),
            ],
            SAYS_COMPUTER,
        ),
        {"ad": ad(computer("IIS01"), computer("IIS02", "HTTP/y.test.com"), user("svc", "HTTP/x.test.com"))},
    ),
    "a folder of two sites": Farm(
        [
            server(
                site("*:80:x.test.com"),
                site("*:80:y.test.com", name="Other"),
                pool=r"TEST\svc",
                mode="Allow",
                web={"": SAYS_COMPUTER},
            )
        ],
        {"ad": ad(computer("IIS01", "HTTP/y.test.com"), user("svc", "HTTP/x.test.com"))},
    ),
    "a conflict of settings alone": Farm(
        [server(site(X, apps=[app("/", creds=True), app("/b", creds=False)]), pool=r"TEST\svc")],
        {"ad": ad(computer(), user("svc", "HTTP/x.test.com"))},
    ),
    "a conflict of settings alone, held by the computer": Farm(
        [server(site(X, apps=[app("/", creds=True), app("/b", creds=False)]), pool=r"TEST\svc")],
        {"ad": ad(computer("IIS01", "HTTP/x.test.com"), user("svc"))},
    ),
    "a conflict of settings alone about the computer's own names": Farm(
        [server(site("*:80:", apps=[app("/", creds=True), app("/b", creds=False)]), pool=r"TEST\svc")],
        {"ad": ad(computer(), user("svc", "HTTP/iis01.test.com"))},
    ),
    "the level of the server lets the pool decrypt": Farm(
        [server(site(X, apps=[app("/"), app("/b")]), pool=r"TEST\svc", creds=True)],
        {"ad": ad(computer("IIS01", "HTTP/x.test.com"), user("svc"))},
    ),
    "a page that negotiates alone": Farm(
        [server(site(X, apps=[app("/", enabled=False)]), pool=r"TEST\svc", body=PAGE.format(""))],
        {"ad": ad(computer(), user("svc", "HTTP/x.test.com"))},
    ),
    "pages of the computer's own name that negotiate alone": Farm(
        [
            server(
                site("*:80:", apps=[app("/", enabled=False)]),
                pool=r"TEST\svc",
                body=PAGE.format(' useAppPoolCredentials="true"')
                + PAGE.format(' useKernelMode="false"').replace("page", "other"),
            )
        ],
        {"ad": ad(computer(), user("svc", "HTTP/iis01.test.com", "HTTP/IIS01"))},
    ),
    "a farm's account that is gone": Farm(
        twins(pool=r"TEST\gone"), {"ad": TWO, "farm": [farm_name("x.test.com", "IIS01", "IIS02")]}
    ),
    "a farm's account that is disabled": Farm(
        twins(pool=r"TEST\svc2"),
        {
            "ad": ad(computer("IIS01"), computer("IIS02"), user("svc2", userAccountControl=514)),
            "farm": [farm_name("x.test.com", "IIS01", "IIS02")],
        },
    ),
    "an alias deeper in its zone": Farm(
        [server(site("*:80:a.sub.test.com"), pool=r"TEST\svc", creds=True)],
        {
            "ad": ad(computer(), user("svc", "HTTP/a.sub.test.com", "HTTP/a")),
            "dns": "iis01 A 10.0.5.2; a.sub CNAME iis01",
        },
    ),
    "a short name that is no alias": Farm(
        [
            server(
                site("*:80:*.test.com", name="Wild", apps=[app(creds=False, enabled=False)]),
                site("*:80:", name="All"),
                pool=r"TEST\svc",
                creds=True,
            )
        ],
        {
            "ad": ad(computer(), user("svc", "HTTP/IIS01"), user("other", "HTTP/iis01.test.com")),
            "dns": "iis01 A 10.0.5.2",
        },
    ),
    "a folder that says the same": Farm(
        [server(site("*:80:"), pool=r"TEST\svc", mode="Allow", web={"": SAYS_POOL, r"\app": SAYS_POOL})],
        {"ad": ad(computer(), user("svc"))},
    ),
    "an address record for every port": Farm(
        [server(site("*:8080:x.test.com"))],
        {
            "ad": ad(computer(), user("other", "HTTP/x.test.com:8080")),
            "dns": "iis01 A 10.0.5.2; real A 10.0.5.2; x CNAME real",
            "clients": ("edge", "edge-port"),
        },
    ),
    "two accounts of one name": Farm(
        [server(site(X), pool=r"TEST\svc", creds=True)],
        {
            "ad": ad(computer(), user("svc", "HTTP/x.test.com"))
            + whole("child.test.com")
            + user("svc", "HTTP/x.test.com", domain="child.test.com")
        },
    ),
}


@pytest.mark.parametrize("name", FARMS)
def test_a_farm(name: str, tmp_path: Path) -> None:
    proved(FARMS[name].bench(tmp_path))


# -- the truth table -----------------------------------------------------------------------------------------------

Making = Callable[..., World]


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Bench]]:
    """Every world that the truth table's tests make, as files."""
    found: list[Bench] = []
    making: Making = test_truth_table.world

    def recording(*servers: object, **said: object) -> World:
        room = tmp_path / str(len(found))
        found.append(Bench(inputs.written(room / "given", servers, **said), room))  # type: ignore[arg-type]
        return making(*servers, **said)

    monkeypatch.setattr(test_truth_table, "world", recording)
    yield found
    assert found, "no world was made"


@pytest.mark.parametrize(("name", "kernel", "credentials", "identity"), list(test_truth_table._cases()))
def test_a_row(name: str, kernel: bool | None, credentials: bool | None, identity: str, benches: list[Bench]) -> None:
    found = test_truth_table._world(test_truth_table.ROWS[name], kernel, credentials, identity)
    (bench,) = benches
    assert meaning(bench.report) == meaning(found.report), "written out it is the same world"
    proved(bench)


OTHER_ROWS = (
    "test_farm_rows",
    "test_rows_with_two_applications",
    "test_constrained_delegation_into_another_domain",
)


@pytest.mark.parametrize("name", OTHER_ROWS)
def test_rows_of_another_shape(name: str, benches: list[Bench]) -> None:
    getattr(test_truth_table, name)()
    for bench in benches:
        proved(bench)


# -- random farms --------------------------------------------------------------------------------------------------

CUSTOM = ("app.test.com", "web.test.com", "a.sub.test.com", "app")
OWN_NAMES = ("iis01.test.com", "iis02.test.com", "IIS01")
BINDINGS = (
    *("*:80:", "*:8080:", "https *:443:", "10.0.5.2:80:", "*:80:*.test.com"),
    *(f"*:80:{host}" for host in (*CUSTOM, *OWN_NAMES)),
    *("*:8080:app.test.com", "https *:443:app.test.com"),
)
IDENTITIES = (
    *("ApplicationPoolIdentity", "NetworkService", "LocalService", r".\local", ""),
    *(r"TEST\svc1", r"TEST\svc2", r"TEST\gmsaWeb$", r"TEST\gone", "svc1@test.com", r"CHILD\svc1"),
)
LIKELY = (*(r"TEST\svc1", r"TEST\svc2", r"TEST\gmsaWeb$", "ApplicationPoolIdentity") * 3, *IDENTITIES)
NAMES = (
    *(f"HTTP/{host}" for host in (*CUSTOM, *OWN_NAMES, "web", "a", "IIS02")),
    *("http/APP.test.com:8080", "HTTP/app.test.com:8080", "HOST/app.test.com", "HTTP/http://app.test.com"),
)
ACCOUNTS = ("svc1", "svc2", "gmsaWeb$", "other", "IIS01$", "IIS02$", "IIS03$")
PARTITIONS = cross_reference("TEST") + cross_reference("CHILD", "child.test.com").replace(
    "CN=Configuration,DC=child,", "CN=Configuration,"
)
"""One forest: what names its domains stands in the configuration of its root."""
ADDRESSES = "; ".join(f"iis0{number} A 10.0.5.{number + 1}" for number in (1, 2, 3))
ZONES = (
    None,
    ADDRESSES,
    f"{ADDRESSES}; app A 10.0.5.2; web A 10.0.5.2; a.sub A 10.0.5.2",
    f"{ADDRESSES}; app A 10.0.5.2; app A 10.0.5.3; web CNAME app",
    f"{ADDRESSES}; app CNAME iis01; web CNAME iis02; a.sub CNAME iis01",
    f"{ADDRESSES}; app A 10.0.0.9; web CNAME app; a.sub CNAME web",
    f"{ADDRESSES}; real A 10.0.5.2; app CNAME real; web CNAME real",
)
DECLARED = (
    (),
    (),
    (farm_name("app.test.com", "IIS01", "IIS02"),),
    (farm_name("app.test.com", "IIS01", "IIS02"), farm_name("web.test.com", "IIS01", "IIS02", "IIS03")),
    (farm_name("web.test.com", "IIS01", "IIS03", site="Site0"),),
)
CLIENTS = ((), (), ("edge-port",), ("edge", "chrome-nocname"), ("curl-mit", "java", "dotnet5"))
MAYBE = st.sampled_from([None, None, None, True, False])


@st.composite
def servers(draw: st.DrawFn) -> list[Snapshot]:
    """One to three servers: their sites, pools and settings, in applicationHost.config, web.config or on a share."""
    count = draw(st.integers(1, 3))
    where = draw(st.sampled_from(["local", "local", "web.config", "shared"]))
    said = draw(_configured())
    found = []
    for number in range(1, count + 1):
        if where != "shared" and number > 1 and draw(st.booleans()):
            said = draw(_configured())
        web = None
        if where == "web.config":
            texts = st.sampled_from([windows(), windows(useAppPoolCredentials="true"), windows(useKernelMode="false")])
            folders = draw(st.lists(st.sampled_from(["", r"\app"]), unique=True))
            web = {folder: f"<configuration>\n{draw(texts)}</configuration>\n" for folder in folders}
        found.append(
            server(
                *said[0],
                name=f"IIS0{number}",
                mode="Allow" if where == "web.config" else "Deny",
                redirect=r"\\files\iis" if where == "shared" else None,
                web=web,
                **said[1],
            )
        )
    return found


@st.composite
def _configured(draw: st.DrawFn) -> tuple[list[Site], dict[str, object]]:
    pools = {name: draw(st.sampled_from(LIKELY)) for name in "AB"}
    offers = st.sampled_from([None, None, None, None, ("Negotiate:Kerberos",), ("NTLM",)])
    sites = []
    bound = draw(st.lists(st.sampled_from(BINDINGS), min_size=1, max_size=4, unique=True))
    number = draw(st.integers(1, len(bound)))
    for index in range(number):
        apps = [
            app(path, draw(st.sampled_from("AB")), kernel=draw(MAYBE), creds=draw(MAYBE), providers=draw(offers))
            for path in draw(st.sampled_from([("/",), ("/", "/app")]))
        ]
        sites.append(site(*bound[index::number], name=f"Site{index}", apps=apps))
    return sites, {"pools": pools, "creds": draw(MAYBE), "kernel": draw(MAYBE)}


@st.composite
def directories(draw: st.DrawFn) -> list[str]:
    """Accounts of two domains, with SPNs as they come. Where a domain is not covered, every account is there."""
    few = st.lists(st.sampled_from(NAMES), max_size=3, unique_by=str.lower)
    entries = []
    for name in ACCOUNTS:
        held = draw(few)
        if name.startswith("IIS"):
            entries.append(computer(name[:-1], *held, host=draw(st.sampled_from([True, True, True, False]))))
        else:
            control = draw(st.sampled_from([512, 512, 512, 514]))
            kind = "gMSA" if name.endswith("$") else "user"
            entries.append(entry(name, *held, kind=kind, userAccountControl=control))
    covers = draw(st.sampled_from([True, True, True, False]))
    others = [] if covers else [user("gone")]
    child = whole("child.test.com") + user("svc1", *draw(few), domain="child.test.com")
    return [ad(*entries, *others, covers=covers) + PARTITIONS, child + PARTITIONS]


@given(
    servers=servers(),
    ad=st.one_of(directories(), directories(), directories(), st.none()),
    dns=st.sampled_from(ZONES),
    farm=st.sampled_from(DECLARED),
    clients=st.sampled_from(CLIENTS),
)
def test_random_farms(servers: list[Snapshot], **said: object) -> None:
    with TemporaryDirectory() as folder:
        room = Path(folder)
        bench = Farm(servers, said).bench(room)
        proved(bench)
