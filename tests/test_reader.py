"""Reports read from their JSON: what was written comes back, what is wrong is named with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_truth_table import ROWS
from worlds import BUILT_IN, NEGOTIATE_NTLM, World, ad, app, computer, entry, server, site, world

from agent import inspect
from agent.errors import MalformedError
from agent.model import SCHEMA, Asked, Explanation, Report, Survey, reader
from agent.names import AccountName, HostName, Spn, host_name, spn
from agent.story import explain

SAMPLES = Path(__file__).parents[1] / "sample_configs"
RELEASED = Path(__file__).parent / "released"


def comes_back(report: Report) -> None:
    text = report.to_json()
    found = Report.from_json(text)
    assert type(found) is type(report)
    assert found.to_json() == text  # names are equal without case: their texts have to be the same too
    assert Report.from_json(text) == found  # a guessed NetBIOS name comes back as what stands there


# -- what was written comes back -----------------------------------------------------------------------------------


def names() -> Mapping[type, st.SearchStrategy[Any]]:
    """Names as their readers make them; a host's name is what is left when blanks and dots around it are gone."""
    text = st.text(max_size=20)
    hosts = text.map(host_name).filter(lambda host: host_name(host.text).text == host.text)
    accounts = st.builds(AccountName, text.map(lambda domain: domain.replace("\\", "")), text)
    return {Spn: text.map(spn), HostName: hosts, AccountName: accounts}


@pytest.fixture(scope="module", autouse=True)
def _names_as_they_are_read() -> None:
    for kind, strategy in names().items():
        st.register_type_strategy(kind, strategy)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from([Report, Explanation, Survey]))
def test_any_report(data: st.DataObject, kind: type[Report]) -> None:
    comes_back(data.draw(st.from_type(kind).map(of_today)))


def of_today(report: Report) -> Report:
    fields = {name: getattr(report, name) for name in type(report).__struct_fields__}
    return type(report)(**{**fields, "schema": SCHEMA})


@pytest.mark.parametrize("name", ["*", *sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())])
def test_samples(name: str) -> None:
    zone, farm = SAMPLES / "zone.txt", SAMPLES / "farm.toml"
    report = inspect([SAMPLES / name], ad=[SAMPLES / "directory.ldif"], dns=zone, farm=farm)
    assert report.requirements
    comes_back(report)
    fields = {name: getattr(report, name) for name in Report.__struct_fields__}
    comes_back(Survey(**fields, sweep=Asked(asked=3, answered=1, failed=2)))


def all_of(found: World) -> Iterator[Report]:
    """Its report, and the story of every name that it is about."""
    yield found.report
    for requirement in found.report.requirements[:3]:
        yield explain(found.analysis, f"http://{requirement.spn.instance}/")


@pytest.mark.parametrize("name", ROWS)
def test_truth_table(name: str) -> None:
    row = ROWS[name]
    identity = row.identity or r"TEST\contososvc"
    for kernel, credentials in product((None, False, True), repeat=2):
        built = server(
            site(*row.bindings), name=row.name, pool=identity, kernel=kernel, creds=credentials, facts=row.facts
        )
        for report in all_of(world(built, ad=row.ad, dns=row.dns, clients=row.clients)):
            comes_back(report)


HOSTS = ("contoso", "contoso.test.com", "IIS01", "iis02.test.com", "b\u00fccher.test.com", "*.test.com")
ACCOUNTS = ("IIS01$", "IIS02$", "svc", "Old")
settings_of_an_app = st.fixed_dictionaries(
    {"kernel": st.sampled_from([None, True, False]), "creds": st.sampled_from([None, True, False])}
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Two servers, the accounts they may use, and who holds which of their names."""
    binding = st.builds("{}:{}".format, st.sampled_from(["*:80", "https *:443", "*:8080"]), st.sampled_from(HOSTS))
    identity = st.sampled_from([*sorted(BUILT_IN), r"TEST\svc", "svc@test.com", r".\local", "nobody", ""])
    servers = [
        server(
            *(
                site(draw(binding), name=f"Site{number}", apps=[app(), app("/b", **draw(settings_of_an_app))])
                for number in range(2)
            ),
            name=name,
            pool=draw(identity),
            offered=draw(st.sampled_from([NEGOTIATE_NTLM, ("NTLM",), ()])),
            facts=draw(st.sampled_from([{}, {"membership": "workgroup"}, {"netbios_domain": None}, {"name": None}])),
            **draw(settings_of_an_app),
        )
        for name in ("IIS01", "IIS02")
    ]
    held = draw(st.fixed_dictionaries(dict.fromkeys(ACCOUNTS, st.sets(st.sampled_from(HOSTS), max_size=3))))
    entries = [
        computer(name[:-1], *(f"HTTP/{host}" for host in sorted(hosts)))
        if name.endswith("$")
        else entry(name, *(f"HTTP/{host}" for host in sorted(hosts)))
        for name, hosts in held.items()
    ]
    asked = draw(st.sampled_from([None, ad(*entries), ad(*entries, covers=False)]))
    dns = draw(st.sampled_from([None, "contoso CNAME iis02;iis02 A 10.0.5.3", "contoso A 10.0.5.2"]))
    return world(*servers, ad=asked, dns=dns)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_random_worlds(found: World) -> None:
    for report in all_of(found):
        comes_back(report)


# -- what may differ -----------------------------------------------------------------------------------------------


@cache
def story() -> Explanation:
    sales = server(site("*:80:sales.test.com"), pool=r"TEST\svc")
    found = world(sales, ad=ad(computer(), entry("svc", "HTTP/sales.test.com")), dns="sales A 10.0.5.2")
    return explain(found.analysis, "http://sales.test.com/")


def changed(*path: str | int, to: object = None, drop: bool = False) -> str:
    """The document of the story with another value at one place, or without it."""
    document = json.loads(story().to_json())
    place = document
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(document)


def test_a_story_is_a_report_and_no_survey() -> None:
    assert Explanation.from_json(story().to_json()) == story()
    with pytest.raises(MalformedError, match=r"^report: \$\.sweep: is missing$"):
        Survey.from_json(story().to_json())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_bytes_as_a_shell_writes_them(encoding: str) -> None:
    assert Report.from_json(story().to_json().encode(encoding)) == story()


@pytest.mark.parametrize("path", [("more",), ("servers", 0, "more"), ("plan", "more"), ("outcomes", 0, "more")])
def test_keys_of_a_later_version_are_left_out(path: tuple[str | int, ...]) -> None:
    assert Report.from_json(changed(*path, to={"x": [1.5]})) == story()


def test_a_missing_key_is_the_default_or_not_known() -> None:
    assert Report.from_json(changed("findings", 0, "evidence", drop=True)).findings[0].evidence == ()
    assert Report.from_json(changed("requirements", 0, "holders", drop=True)).requirements[0].holders is None


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema",), "iis-spn/report/999", "'iis-spn/report/999' is no schema that this version reads: "),
        (("schema",), None, "null is no schema that this version reads: "),
        (("complete",), "yes", "true or false belongs here, not 'yes'"),
        (("complete",), 1, "true or false belongs here, not a whole number"),
        (("started",), ["x"], "a text belongs here, not a list"),
        (("servers",), {}, "a list belongs here, not an object"),
        (("servers", 0), [], "an object belongs here, not a list"),
        (("servers", 0, "status"), "fine", "'fine' is none of ok, partial, failed"),
        (("servers", 0, "status"), [], "a list is none of ok, partial, failed"),
        (("servers", 0, "name"), None, "a text belongs here, not null"),
        (("applications", 0, "origins", "kernel_mode", "line"), 1.0, "a whole number belongs here, not a number"),
        (("applications", 0, "origins", "kernel_mode", "line"), True, "a whole number belongs here, not true or false"),
        (("applications", 0, "decrypts_as"), "IIS01$", r"'IIS01$' is not DOMAIN\name"),
        (("requirements", 0, "holders", 0), "\x1b", r"'\u001b' is not DOMAIN\name"),
        (("requirements", 0, "spn"), None, "a text belongs here, not null"),
        (("outcomes", 0, "because", 1), {}, "a text belongs here, not an object"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path: tuple[str | int, ...], value: object, said: str) -> None:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    with pytest.raises(MalformedError) as caught:
        Report.from_json(changed(*path, to=value), source="old.json")
    assert str(caught.value).startswith(f"old.json: ${place}: {said}")


@pytest.mark.parametrize(
    "path", [("finished",), ("requirements",), ("servers", 0, "status"), ("outcomes", 0, "client")]
)
def test_what_every_release_has_must_be_there(path: tuple[str | int, ...]) -> None:
    with pytest.raises(MalformedError, match=rf"\.{path[-1]}: is missing$"):
        Report.from_json(changed(*path, drop=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "report:1: not JSON"),
        ('{\n"schema": }', "report:2: not JSON"),
        ("[" * 100_000, "report: not JSON"),
        ("9" * 5_000, "report: not JSON"),
        (b"\xff", "report: not JSON"),
        ("[]", "report: $: an object belongs here, not a list"),
    ],
)
def test_what_is_no_document(text: str | bytes, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        Report.from_json(text)
    assert str(caught.value).startswith(said)


# -- released schemas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(RELEASED.iterdir()), ids=lambda file: file.name)
def test_a_released_document(file: Path) -> None:
    """HTTP/sales.test.com is needed on the computer and held by salessvc, as sample_configs/README.md has it."""
    report = Report.from_json(file.read_bytes(), file.name)
    assert isinstance(report, Explanation)
    assert report.schema == SCHEMA
    (needed,) = [one for one in report.requirements if one.spn == spn("HTTP/sales.test.com")]
    assert (str(needed.account), needed.need, needed.outcome) == (r"TEST\IIS05$", "explicit", "modified")
    assert [str(holder) for holder in needed.holders or ()] == [r"TEST\salessvc"]
    assert {outcome.outcome for outcome in report.outcomes} == {"modified"}
    comes_back(report)


def test_every_released_schema_has_a_document() -> None:
    kept = {json.loads(file.read_bytes())["schema"] for file in RELEASED.iterdir()}
    assert kept == {*reader.UPGRADES, SCHEMA}


def test_an_older_document_goes_through_every_schema_up_to_today(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "hosts": document["machines"]}

    def second(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "servers": document["hosts"]}

    steps = {"old/1": reader.Upgrade("old/2", first), "old/2": reader.Upgrade(SCHEMA, second)}
    monkeypatch.setattr(reader, "UPGRADES", steps)
    document = json.loads(story().to_json())
    document["machines"] = document.pop("servers")
    assert Report.from_json(json.dumps({**document, "schema": "old/1"})) == story()
    with pytest.raises(MalformedError, match=r"'old/0' is no schema that this version reads: old/1, old/2, iis-spn"):
        Report.from_json(json.dumps({**document, "schema": "old/0"}))
