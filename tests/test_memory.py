"""What is read costs what is kept of it, and is counted while it is read: a device has no size, and no end."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from work import calls, peak
from worlds import ad, app, computer, server, site, world

from agent.checks import readers
from agent.iis.parse import MAXIMUM_SIZE
from agent.inspection import stages
from agent.model import Report
from agent.names import Spn
from agent.sources.ad import setspn_text
from agent.sources.ad.exports import read_exports
from agent.sources.dns import zone_records
from agent.sources.dns.zone import read_zones
from agent.sources.dns.zone_entries import LONGEST_RECORD, Entries, _depth
from agent.sources.snapshots.disk import load
from agent.sources.text_file import read_at_most
from agent.spn.directory import Question

ENDLESS = Path("/dev/zero")
needs_device = pytest.mark.skipif(not ENDLESS.exists(), reason="this system has no /dev/zero")

# -- zone files ----------------------------------------------------------------------------------------------------


def zone(path: Path, text: str, count: int) -> Path:
    path.write_text("$ORIGIN test.com.\n" + text * count, encoding="ascii")
    return path


@pytest.mark.parametrize(
    "text", ["\n", " \n", ";\n", "x\n", "(\n", ")\n", "x A 10.0.0.1\n", "x A (\n", 'x TXT "(" ;(\n']
)
def test_a_zone_costs_what_its_names_cost(tmp_path: Path, text: str) -> None:
    """Blank lines took 125 times the size of the file."""
    path = zone(tmp_path / "zone", text, 20_000)
    read_zones([path])  # imports
    assert peak(lambda: read_zones([path])) < 5 * path.stat().st_size + 200_000


@pytest.mark.parametrize("text", ["(\n", "x A (\n", "((\n)\n", "\n"])
def test_parentheses_cost_what_their_lines_cost(text: str) -> None:
    work = [calls(lambda size=size: list(Entries(text * size))) for size in (2_000, 4_000)]  # type: ignore[misc]
    assert work[1] < 2.05 * work[0]


def joined(text: str) -> Iterator[tuple[int, str]]:
    """The same by the definition, line after line: the first line after which no more are closed than were opened."""
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        depth, end = _depth(lines[start]), start + 1
        while depth > 0 and end < min(len(lines), start + 256):
            depth += _depth(lines[end])
            end += 1
        end = end if depth <= 0 else start + 1
        yield start + 1, "\n".join(lines[start:end])
        start = end


@given(st.lists(st.sampled_from(("(", ")", "a", "\n", "\n", ";", '"', "\\")), max_size=60).map("".join))
def test_records_are_joined_by_their_parentheses(text: str) -> None:
    assert list(Entries(text)) == list(joined(text))


@pytest.mark.parametrize("inside", [254, 255, 256])
def test_a_record_has_at_most_256_lines(inside: int) -> None:
    text = "(\n" + "x\n" * inside + ")\ny"
    assert list(Entries(text)) == list(joined(text))


@pytest.mark.parametrize("where", ["x A 10.0.0.1 ;{}", "x TXT ( {} )", "{} A 10.0.0.1"])
def test_a_record_that_is_too_long_is_told_and_passed_over(tmp_path: Path, where: str) -> None:
    path = tmp_path / "zone"
    long = where.format("a" * LONGEST_RECORD)
    path.write_text(f"$ORIGIN test.com.\n{long}\nb A 10.0.0.2\n", encoding="ascii")
    found = read_zones([path])
    assert [host.text for host in found.answers] == ["b.test.com"]
    assert found.problems[0].line == 2


# -- sizes ---------------------------------------------------------------------------------------------------------


@needs_device
def test_a_device_that_never_ends_is_left_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with ENDLESS.open("rb") as stream:
        assert len(read_at_most(stream, 1_000)) == 1_001
    monkeypatch.setattr(setspn_text, "LARGEST_FILE", 1 << 20)
    monkeypatch.setattr(zone_records, "LARGEST_FILE", 1 << 20)
    found = read_exports([ENDLESS], Question())
    assert "over 1 MB too long" in found.problems[0].message
    assert "larger than 1 MB" in read_zones([ENDLESS]).problems[0].message
    assert load(ENDLESS, "x").error == "a device or a pipe, not a file"


def test_a_pipe_is_counted_while_it_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * 5_000,))
    writer.start()
    with pipe.open("rb") as stream:
        assert read_at_most(stream, 10_000) == b"x" * 5_000
    writer.join()


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001, 5_000])
def test_a_file_is_read_as_far_as_one_byte_too_many(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    with path.open("rb") as stream:
        assert len(read_at_most(stream, 1_000)) == min(size, 1_001)


def test_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "applicationHost.config"
    with path.open("wb") as stream:
        stream.truncate(MAXIMUM_SIZE + 1)
    assert peak(lambda: load(path, "x")) < 1_000_000


# -- servers -------------------------------------------------------------------------------------------------------


class Asked(frozenset[Spn]):
    """One of which it can be known whether it is still there."""


def test_the_question_is_gone_when_the_directory_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names of many servers take as much memory as the servers."""
    asked: list[weakref.ref[Asked]] = []
    real, report = stages.question, stages.report_of

    def question(*given: Any) -> Question:
        found = real(*given)
        names = Asked(found.spns)
        asked.append(weakref.ref(names))
        return replace(found, spns=names)

    def report_of(*given: Any) -> Report:
        assert [ref() for ref in asked] == [None]
        return report(*given)

    monkeypatch.setattr(stages, "question", question)
    monkeypatch.setattr(stages, "report_of", report_of)
    built = world(server(site("*:80:contoso.test.com")), ad=ad(computer()), dns="contoso A 10.0.5.2")
    assert built.requirement("HTTP/contoso.test.com").outcome == "ntlm-fallback"


def test_who_reads_a_file_is_the_same_however_few_servers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [app("/"), app("/again")]
    named = [server(site("*:80:a.test.com", apps=apps), name=f"IIS0{n}") for n in (1, 2, 3)]
    (found,) = world(*named).analysis.cases
    refs = [application.reference for application in found.applications]
    few = []
    for most in (64, 1):
        monkeypatch.setattr(readers, "_MOST_KEPT", most)
        those = readers.Readers(found.by_label)
        few.append([those.of(at, in_web_config=nearby) for nearby in (False, True) for at in (*refs, *refs)])
        assert len(those._kept) == min(most, 3)
    assert few[0] == few[1] == [[at] for at in (*refs, *refs)] * 2
