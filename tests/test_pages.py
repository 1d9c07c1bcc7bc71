"""The page: one file that loads nothing, whose markup is ours alone, and which says what the report says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from msgspec.structs import replace
from test_findings import PAIRS
from test_render import COMPUTER, application, finding, report, requirement
from work import calls

from agent import diff, explain, inspect, plan
from agent.model import Host, Report, Server
from agent.names import AccountName, host_name, printable, spn
from agent.render.page import changes, part, pictures, steps, story
from agent.render.page.frame import asset
from agent.render.page.report import to_html
from agent.render.wording import WORDS, pieces
from benchmarks.farm import whole

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "sample_configs"


LOOKED: Any = {"ad": FOLDER / "directory.ldif", "dns": FOLDER / "zone.txt", "farm": FOLDER / "farm.toml"}
FOLDERS = sorted(path for path in FOLDER.iterdir() if path.is_dir())


@cache
def sample() -> Report:
    """The report of the sample farm."""
    return inspect(FOLDERS, **LOOKED)


@cache
def pages() -> dict[str, str]:
    """Each kind of page."""
    made = {
        "inspect": to_html(sample()),
        "a small farm": to_html(inspect(FOLDERS[4:], **LOOKED)),
        "one server": to_html(report()),
        "nobody looked": to_html(inspect(FOLDERS[-1])),
        "explain": story.to_html(explain("http://portal.test.com/", FOLDERS, **LOOKED)),
        "nothing answers": story.to_html(explain("http://nowhere.test.com/", FOLDERS, **LOOKED)),
        "plan": steps.to_html(plan(FOLDERS, **LOOKED)),
        "diff": changes.to_html(diff(FOLDERS[0], FOLDERS[4], **LOOKED)),
    }
    return {name: "".join(text) for name, text in made.items()}


HOSTILE = {
    "markup": "<script>window.hit=1</script>",
    "attribute": "\"><img src=x onerror=window.hit=1>'",
    "end": "</script></style></title><!--<script>",
    "entity": "&lt;b&gt;&amp;&#0;",
    "long": "x" * 10_000,
    "hebrew": "שלום עולם",
}


def hostile() -> Report:
    """Everywhere a name can stand, one that would be something else."""
    servers = [replace(report().servers[0], name=name, source=name) for name in HOSTILE.values()]
    sites = [
        application(name, name, server=name, pool=name, hosts=(Host(host_name("a.test.com"), "binding"),))
        for name in HOSTILE.values()
    ]
    needed = [
        requirement(
            "HTTP/a.test.com",
            account=AccountName("TEST", name),
            holders=(AccountName("TEST", name[::-1]),),
            applications=(place.reference,),
        )
        for name, place in zip(HOSTILE.values(), sites, strict=True)
    ]
    found = [
        finding(name, message=name, server=name, site=name, fix=(name,), spn=spn("HTTP/a.test.com"))
        for name in HOSTILE.values()
    ]
    return report(
        servers=tuple(servers),
        applications=tuple(sites),
        requirements=tuple(needed),
        findings=tuple(found),
        causes=None,
    )


def parsed(text: str) -> Any:
    return html.document_fromstring(text)


def model(text: str) -> Any:
    return json.loads(parsed(text).get_element_by_id("report").text)


# -- one file ------------------------------------------------------------------------------------------------------


def test_only_what_has_its_hash_in_the_policy_may_run() -> None:
    page = parsed(pages()["inspect"])
    (policy,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (script,) = page.xpath("//script[not(@type)]/text()")
    (style,) = page.xpath("//style/text()")
    assert rules == {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.xpath("//@style | //@*[starts-with(name(), 'on')]") == []


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_in_it_names_another_place() -> None:
    for text in (*pages().values(), "".join(to_html(hostile()))):
        page = parsed(text)
        assert {link[0] for link in page.xpath("//@href | //@src")} <= {"#"}
        assert page.xpath("//link | //img | //iframe | //object | //base | //form[@action]") == []
    assert not re.search(r"url\(|@import|https?:", asset("page.css") + asset("page.js"))


def test_each_link_leads_somewhere_and_each_address_is_one_thing() -> None:
    for name, text in pages().items():
        page = parsed(text)
        ids = page.xpath("//@id")
        assert (name, len(ids)) == (name, len(set(ids)))
        assert {unquote(link[1:]) for link in page.xpath("//@href")} <= set(ids)


def test_script_and_style_are_in_the_wheel(tmp_path: Path) -> None:
    """Whoever installs it has no checkout."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"agent/render/page/page.css", "agent/render/page/page.js"} <= names


# -- names are text ------------------------------------------------------------------------------------------------


def test_names_become_no_markup() -> None:
    text = "".join(to_html(hostile()))
    page = parsed(text)
    told = page.text_content()
    assert all(name in told for name in HOSTILE.values())
    assert len(page.xpath("//script")) == 2
    assert page.xpath("//img") == []
    assert text.count("<!--") == 0
    assert [server["name"] for server in model(text)["servers"]] == list(HOSTILE.values())


@given(st.text(min_size=1, max_size=40))
def test_any_name_is_shown_as_every_format_shows_it(name: str) -> None:
    built = report(servers=(Server(name=name, dns_name=None, source=name, status="ok"),))
    page = parsed("".join(to_html(built)))
    (heading,) = page.xpath("//details[@class='server']/summary/h3")
    assert heading.text_content() == printable(name)
    assert json.loads(page.get_element_by_id("report").text)["servers"][0]["name"] == name


@pytest.mark.parametrize("name", ["a\ud800b", "\x00\x1b[31m", "\u202egnp.exe", "\ufffe", " ", "a\nb", "é"])
def test_letters_that_no_page_may_hold_are_shown_by_their_codes(name: str) -> None:
    built = report(
        servers=(Server(name=name, dns_name=name, source=name, status="ok"),),
        findings=(finding(name, server=name, message=name, site=name),),
    )
    text = "".join(to_html(built))
    text.encode()
    (card,) = parsed(text).xpath("//article")
    assert printable(name) in card.text_content()
    assert re.fullmatch(r"[\w.-]+", card.get("id"), re.ASCII)


# -- it says what the report says ----------------------------------------------------------------------------------


def test_each_requirement_and_finding_stands_on_the_page() -> None:
    read, page = sample(), parsed(pages()["inspect"])
    for at, needed in enumerate(read.requirements):
        rows = page.xpath(f"//tr[@data-r='{at}']")
        assert len(rows) >= len({place.server for place in needed.applications})
        for row in rows:
            cells = [cell.text_content().strip() for cell in row.xpath("td")]
            assert cells[0] == str(needed.spn)
            assert cells[1].split()[0] == WORDS[needed.outcome]
            assert cells[3] == str(needed.account)
    for at, found in enumerate(read.findings):
        (card,) = page.xpath(f"//article[@data-f='{at}']")
        assert found.message[1:] in card.text_content()
        told = "".join(card.text_content().split())
        said = (piece.text.replace("`", "") for sentence in found.fix for piece in pieces(sentence))
        assert all("".join(text.split()) in told for text in said)


def test_the_model_in_the_page_is_the_report() -> None:
    whole, within = json.loads(sample().to_json()), model(pages()["inspect"])
    assert within.pop("schema") == whole["schema"]
    causes = within.pop("causes")
    assert within == {key: whole[key] for key in ("servers", "requirements", "findings")}
    told = [one for one in whole["causes"] if one["severity"] != "info"]
    assert causes == [{key: one[key] for key in ("finding", "severity", "text", "spns", "servers")} for one in told]


def test_what_nobody_looked_up_is_asked_as_in_every_format() -> None:
    summary = inspect(FOLDERS[-1]).summary
    assert summary is not None
    card = parsed(pages()["nobody looked"]).find_class("ask")[0]
    shown = [code.text_content() for code in card.xpath(".//code")]
    assert shown == [*summary.questions, *summary.exports]
    assert summary.exports
    assert parsed(pages()["inspect"]).find_class("ask") == []


def test_every_tie_of_the_picture_is_told_in_words_too() -> None:
    page = parsed(pages()["inspect"])
    drawn = page.xpath("//svg[@class='knot wide']")
    assert len(drawn) > 10
    for picture in drawn:
        assert picture.get("role") == "img"
        assert picture.xpath("title")[0].text
        words = [word for line in picture.xpath("desc") for word in line.text.replace(".", " ").split()]
        assert {mark.text for mark in picture.xpath("g[starts-with(@class, 'mark')]/text")} <= set(words)
    of_the_picture = {at for figure in page.xpath("//figure/@data-r") for at in figure.split()}
    assert of_the_picture == {str(at) for at, one in enumerate(sample().requirements) if one.matters}


def test_a_plan_shows_each_step_with_its_way_back_and_what_must_be_asked() -> None:
    planned = plan(FOLDERS, **LOOKED).plan
    page = parsed(pages()["plan"])
    cards = page.xpath("//article[@data-s]")
    assert len(cards) == len(planned.steps) > 5
    for card, step in zip(cards, planned.steps, strict=True):
        commands = [line.text for line in card.xpath(".//div[@class='command']/code")]
        assert commands == [*str(step.command).split(" && "), *str(step.rollback).split(" && ")]
        assert ("ASK FIRST" in card.text_content()) is step.confirm
    assert page.get_element_by_id("afterwards").xpath(".//code")[0].text.startswith("iis-spn probe ")
    (ticket,) = page.xpath("//div[@class='command ticket']/code")
    assert "Please make these changes" in ticket.text_content()
    assert [each["command"] for each in model(pages()["plan"])["steps"]] == [step.command for step in planned.steps]


def test_a_story_shows_what_each_client_gets_the_worst_first() -> None:
    page = parsed(pages()["explain"])
    told = [card.xpath("h3/span")[0].text for card in page.xpath("//div[@class='card request']")]
    assert told == ["BROKEN", "OK"]
    assert page.xpath("//details[@class='server']/@data-server") == ["IIS06", "IIS07"]
    assert "answers" in parsed(pages()["nothing answers"]).xpath("//p[@class='verdict bad']")[0].text


def test_a_difference_shows_each_change() -> None:
    compared = diff(FOLDERS[0], FOLDERS[4], **LOOKED)
    page = parsed(pages()["diff"])
    for at, change in enumerate(compared.changes):
        (row,) = page.xpath(f"//tr[@data-c='{at}']")
        assert change.because[1:] in row.text_content()
    assert [each["because"] for each in model(pages()["diff"])["changes"]] == [one.because for one in compared.changes]


def test_two_runs_without_a_change_say_so() -> None:
    same = parsed("".join(changes.to_html(diff(FOLDERS[0], FOLDERS[0], **LOOKED))))
    assert same.xpath("//p[@class='verdict good']/text()") == ["Nothing changed."]


def test_a_tile_is_green_only_where_all_was_read_and_all_names_are_known() -> None:
    """Two servers whose one SPN works: one was read in part, on the other a name is not known."""
    works = [requirement(f"HTTP/{name}.test.com", account=COMPUTER, outcome="kerberos") for name in "ab"]
    sites = [application("A", server="A"), application("B", server="B", names_known=False)]
    needed = [replace(one, applications=(site.reference,)) for one, site in zip(works, sites, strict=True)]
    servers = (Server(name="A", dns_name=None, source="A", status="partial"), replace(report().servers[0], name="B"))
    page = parsed("".join(to_html(report(servers=servers, applications=(*sites,), requirements=(*needed,)))))
    tiles = {
        tile.get("data-server"): (tile.get("class"), tile.text_content().strip())
        for tile in page.xpath("//li[@data-server]")
    }
    assert tiles == {"A": ("tile open", "AOK 1, PARTIAL"), "B": ("tile open", "BUNSURE 1")}


def test_boxes_of_one_layer_do_not_overlap() -> None:
    """Five accounts hold one SPN."""
    holders = tuple(AccountName("TEST", f"svc{number}") for number in range(5))
    page = parsed(
        "".join(to_html(report(requirements=(requirement("HTTP/sales.test.com", "Sales", holders=holders),))))
    )
    for picture in page.xpath("//svg[contains(@class, 'knot')]"):
        boxes = [
            tuple(float(rect.get(side)) for side in ("x", "y", "width", "height")) for rect in picture.xpath("g/rect")
        ]
        assert len(boxes) == 9
        for at, (left, top, width, height) in enumerate(boxes):
            assert width > 100
            for x, y, _, _ in boxes[at + 1 :]:
                assert not (left <= x < left + width and top <= y < top + height)


def test_the_address_of_a_finding_stays_the_same_whatever_else_is_found() -> None:
    first = parsed("".join(to_html(report())))
    more = report(findings=(finding("spn-stale", server="IIS01"), *report().findings))
    moved = replace(more, findings=tuple(replace(one, message="said otherwise") for one in more.findings))
    assert set(first.xpath("//article/@id")) < set(parsed("".join(to_html(moved))).xpath("//article/@id"))


def test_a_report_that_knows_nothing_is_a_page_too() -> None:
    empty = report(servers=(), applications=(), requirements=(), findings=(), complete=False)
    page = parsed("".join(to_html(empty)))
    assert "INCOMPLETE" in page.xpath("//header")[0].text_content()


@pytest.mark.parametrize("finding_id", PAIRS)
def test_every_finding_can_be_shown(finding_id: str) -> None:
    world = PAIRS[finding_id][0]().report
    page = parsed("".join(to_html(world)))
    told = [card.xpath("h3/a/code")[0].text for card in page.xpath("//article")]
    assert sorted(told) == sorted(found.id for found in world.findings)
    assert sum(1 for _ in steps.to_html(world)) > 1


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "released").glob("*.json")), ids=lambda path: path.name)
def test_a_report_of_a_release_before_is_a_page(path: Path) -> None:
    read = Report.from_json(path.read_bytes())
    page = parsed("".join(to_html(read)))
    assert len(page.xpath("//details[@class='server']")) == len(read.servers)


# -- large reports -------------------------------------------------------------------------------------------------


def test_of_a_report_that_is_too_large_the_worst_servers_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "MOST", 40)
    read = sample()
    text = "".join(to_html(read))
    page = parsed(text)
    shown = page.xpath("//details[@class='server']/@data-server")
    healthy = [server.name for server in read.servers if not part.Part(read).overview.needs_somebody(server)]
    assert 0 < len(shown) < len(read.servers)
    assert set(shown).isdisjoint(healthy)
    assert "too large for one page" in page.text_content()
    assert [server["name"] for server in model(text)["servers"]] == shown
    assert page.xpath("//*[@class='tile bad']/@data-server")
    ids = set(page.xpath("//@id"))
    assert {link[1:] for link in page.xpath("//@href")} <= ids


def test_twice_the_servers_cost_twice_the_work() -> None:
    small, large = (whole(servers, 10).report for servers in (6, 12))
    assert calls(lambda: list(to_html(large))) < 2.2 * calls(lambda: list(to_html(small)))


def test_causes_and_pictures_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "MOST_CAUSES", 2)
    monkeypatch.setattr(pictures, "MOST_PICTURES", 4)
    text = "".join(to_html(sample()))
    page = parsed(text)
    told = [one for one in sample().causes or () if one.severity != "info"]
    assert len(page.xpath("//li[@data-k]")) == 2
    assert f"{len(told) - 2} more causes" in page.get_element_by_id("causes").text_content()
    assert "3 more stand in the tables" in page.get_element_by_id("picture").text_content()
    assert {unquote(link[1:]) for link in page.xpath("//@href")} <= set(page.xpath("//@id"))


def test_of_a_difference_that_is_too_large_the_mildest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST", 3)
    compared = diff(FOLDERS[0], FOLDERS[4], **LOOKED)
    page = parsed("".join(changes.to_html(compared)))
    assert len(page.xpath("//tr[@data-c]")) == 3
    assert f"{len(compared.changes) - 3} changes" in page.get_element_by_id("more").text_content()


def test_it_is_written_a_server_at_a_time() -> None:
    sizes = [len(piece) for piece in to_html(sample())]
    assert len(sizes) > 20
    assert max(sizes) < sum(sizes) / 3
