"""The graph for BloodHound: its published schema, that nothing is tied to what is not there, and what it says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bhopengraph.Edge import EDGE_SCHEMA
from bhopengraph.Node import NODE_SCHEMA
from bhopengraph.OpenGraph import OpenGraph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from test_render import report

from agent import inspect
from agent.model import Report
from agent.render import bloodhound
from agent.render.bloodhound import to_bloodhound

SAMPLES = Path(__file__).parents[1] / "sample_configs"
NODE, EDGE = Draft202012Validator(NODE_SCHEMA), Draft202012Validator(EDGE_SCHEMA)
SID = "S-1-5-21-1004336348-1177238915-682003330"


class Tie(NamedTuple):
    """An edge by the names of its ends."""

    start: str
    kind: str
    end: str


def graph(value: Report) -> dict[str, Any]:
    document = json.loads("".join(to_bloodhound(value)))
    assert document.keys() == {"graph"}
    found: dict[str, Any] = document["graph"]
    return found


def nodes(value: Report) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in graph(value)["nodes"]}


def ties(value: Report) -> list[Tie]:
    called = {key: node["properties"].get("name", key) for key, node in nodes(value).items()}
    return [
        Tie(called[edge["start"]["value"]], edge["kind"].removeprefix("IISSPN_"), called[edge["end"]["value"]])
        for edge in graph(value)["edges"]
    ]


def sample(name: str, *, ad: bool = True) -> Report:
    return inspect(SAMPLES / name, ad=SAMPLES / "directory.ldif" if ad else None)


def holds(value: Report) -> None:
    """It is what BloodHound takes (cmd/api/src/services/upload/jsonschema of its source), and hangs together."""
    found = graph(value)
    for node in found["nodes"]:
        NODE.validate(node)
        assert not any(held is None or held == [] for held in node["properties"].values())
    for edge in found["edges"]:
        EDGE.validate(edge)
        assert edge["kind"].replace("_", "").isalnum()
        assert edge["properties"] is not None
    known = [node["id"] for node in found["nodes"]]
    assert [key for key, count in Counter(known).items() if count > 1] == []
    assert {edge[end]["value"] for edge in found["edges"] for end in ("start", "end")} <= set(known)
    assert known == [key.upper() for key in known], "BloodHound makes them upper case"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir() if path.is_dir()))
@pytest.mark.parametrize("ad", [True, False])
def test_the_samples_are_whole_graphs(name: str, ad: bool) -> None:
    value = sample(name, ad=ad)
    holds(value)
    read = OpenGraph()
    assert read.import_from_dict({"graph": graph(value)})
    assert read.validate_graph() == (True, [])


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report))
def test_whatever_a_report_says_hangs_together(value: Report) -> None:
    applications = {application.reference: application for application in value.applications}
    servers = {application.server for application in applications.values()} | {one.name for one in value.servers}
    one = replace(report().servers[0], problems=())
    value = replace(value, servers=tuple(replace(one, name=name) for name in servers))
    holds(replace(value, applications=tuple(applications.values())))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Stra\u00dfe", "/"), ("Strasse", "/")),  # upper case makes SS of it
        (("\u0131", "/"), ("i", "/")),
        (("a|/b", "/c"), ("a", "/b|/c")),
    ],
)
def test_two_applications_are_two_nodes(one: tuple[str, str], other: tuple[str, str]) -> None:
    first = sample("IIS01").applications[0]
    both = [replace(first, site=site, path=path) for site, path in (one, other)]
    value = replace(sample("IIS01"), applications=tuple(both), requirements=())
    holds(value)
    assert sum(bloodhound.APPLICATION in node["kinds"] for node in nodes(value).values()) == 2


def test_an_account_is_the_node_that_bloodhound_has_of_it() -> None:
    found = nodes(sample("*"))
    computer, user, managed = found[f"{SID}-1111"], found[f"{SID}-1201"], found[f"{SID}-1301"]
    assert (computer["kinds"], computer["properties"]["name"]) == (["Computer", "Base"], "IIS01.TEST.COM")
    assert (user["kinds"], user["properties"]["name"]) == (["User", "Base"], "CONTOSOSVC@TEST.COM")
    assert (managed["kinds"], managed["properties"]["name"]) == (["User", "Base"], "GMSAWEB$@TEST.COM")
    assert user["properties"]["iisspn_account"] == r"TEST\contososvc"


@pytest.mark.parametrize("known", [True, False])
def test_without_a_sid_it_is_a_node_of_our_own(known: bool) -> None:
    value = sample("IIS01", ad=False) if known else replace(sample("IIS01"), principals=None)
    accounts = [node for node in nodes(value).values() if node["kinds"] == [bloodhound.ACCOUNT]]
    assert r"TEST\IIS01$" in [node["properties"]["name"] for node in accounts]
    assert not any("Base" in node["kinds"] for node in nodes(value).values())


def test_who_holds_who_answers_and_who_should() -> None:
    """IIS05: its own name stands on a service account, and the computer decrypts."""
    value = sample("IIS05")
    found = ties(value)
    wrong = next(one for one in value.requirements if one.outcome == "modified" and one.holders)
    name = wrong.spn.text
    assert Tie(wrong.spn.host.text, "AsksFor", name) in found
    assert Tie(name, "HeldBy", "APPSVC@TEST.COM") in found
    assert Tie(name, "MustBeOn", "IIS05.TEST.COM") in found
    assert Tie("IIS05/Default Web Site", "DecryptsAs", "IIS05.TEST.COM") in found
    assert Tie("IIS05", "Hosts", "IIS05/Default Web Site") in found
    edges = [edge for edge in graph(value)["edges"] if edge["kind"] == bloodhound.MUST_BE_ON]
    assert {edge["properties"]["outcome"] for edge in edges} >= {"modified"}


def test_host_that_answers_by_spnmappings_does_not_hold_it() -> None:
    value = sample("IIS01")
    found = ties(value)
    assert Tie("HTTP/IIS01", "AnsweredBy", "IIS01.TEST.COM") in found
    assert Tie("HTTP/IIS01", "HeldBy", "IIS01.TEST.COM") not in found


def test_what_was_not_looked_up_has_no_tie_and_says_so() -> None:
    value = sample("IIS01", ad=False)
    assert {tie.kind for tie in ties(value)}.isdisjoint({"HeldBy", "AnsweredBy"})
    (run,) = [node for node in nodes(value).values() if node["kinds"] == [bloodhound.RUN]]
    assert any(text.startswith("directory: who holds the SPNs was not looked up") for text in run["properties"]["read"])


def test_a_server_that_was_not_read_is_there_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "applicationHost.config").write_text("<configuration>")
    value = inspect([SAMPLES / "IIS01", tmp_path / "applicationHost.config"])
    (run,) = [node for node in nodes(value).values() if node["kinds"] == [bloodhound.RUN]]
    assert run["properties"]["complete"] is False
    servers = [node["properties"] for node in nodes(value).values() if node["kinds"] == [bloodhound.SERVER]]
    assert [(one["status"], bool(one.get("problems"))) for one in servers] == [("ok", False), ("failed", True)]
