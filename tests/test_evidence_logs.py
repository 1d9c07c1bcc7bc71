"""IIS logs: what is counted, from which columns, how much of it is kept, and the names for `inspect --names`."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import exits
from agent.cli.program import main
from agent.evidence import w3c_log
from agent.evidence.captured import Captured
from agent.evidence.page import Page
from agent.evidence.reading import read_page
from agent.evidence.w3c_log import Log
from agent.sources import evidence_files
from agent.sources.evidence_files import read_evidence
from agent.sources.names_file import names_file
from tests.work import calls

HEAD = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-08-12 00:00:00\n"
FIELDS = (
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    "{}sc-status sc-substatus sc-win32-status {}\n"
)
WITH_HOST = HEAD + FIELDS.format("cs-host ", "time-taken")
DEFAULT = HEAD + FIELDS.format("", "time-taken")


def line(time: str, end: str, host: str = "", more: str = "15") -> str:
    name = f"{host} " if host else ""
    return f"2026-08-12 {time} 10.0.5.2 GET /app - 443 - 10.0.5.3 Mozilla/5.0+(Windows) https://a/ {name}{end} {more}\n"


def log(text: str) -> Log:
    found = Log("f")
    found.take(io.BytesIO(text.encode()))
    return found


def told(text: str) -> list[Captured]:
    return list(log(text).captured())


def test_one_piece_for_each_status_with_names_and_times() -> None:
    text = WITH_HOST + "".join(
        [
            line("10:00:00", "401 2 5", "portal.test.com"),
            line("10:00:01", "401 1 2148074254", "portal.test.com:8080"),
            line("10:00:02", "200 0 0", "CRM"),
            line("11:30:00", "401 2 5", "crm"),
        ]
    )
    first, second, third = told(text)
    assert first.facts.known == {
        "status": "200.0", "win32_status": 0, "count": 1, "host_names": ("crm",),
        "time": "2026-08-12T10:00:02Z", "first": "2026-08-12T10:00:02Z", "last": "2026-08-12T10:00:02Z",
    }  # fmt: skip
    assert (second.facts.status, second.facts.win32_status, second.line) == ("401.1", 2148074254, 6)
    assert second.facts.host_names == ("portal.test.com",)
    assert (third.facts.status, third.facts.count, third.line) == ("401.2", 2, 5)
    assert (third.facts.first, third.facts.last) == ("2026-08-12T10:00:00Z", "2026-08-12T11:30:00Z")
    assert third.facts.host_names == ("crm", "portal.test.com")


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ("cs-host sc-status sc-substatus sc-win32-status time-taken", "a.test.com 401 1 5 15"),
        ("cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken", "a.test.com 401 1 5 9 9 15"),
        ("sc-status sc-substatus sc-win32-status cs-host", "401 1 5 a.test.com"),
        ("cs-host sc-status sc-substatus sc-win32-status", "a.test.com 401 1 5"),
        ("sc-win32-status time-taken sc-status cs-host sc-substatus", "5 15 401 a.test.com 1"),
    ],
)
def test_columns_in_any_order(fields: str, end: str) -> None:
    (one,) = told(f"{HEAD}#Fields: date time {fields}\n2026-08-12 10:00:00 {end}\n2026-08-12 10:00:01 {end}\r\n")
    facts = one.facts
    assert (facts.status, facts.win32_status, facts.count, facts.host_names) == ("401.1", 5, 2, ("a.test.com",))
    assert (facts.first, facts.last) == ("2026-08-12T10:00:00Z", "2026-08-12T10:00:01Z")


def test_columns_may_change_within_a_log_and_may_lack() -> None:
    text = f"{WITH_HOST}{line('10:00:00', '200 0 0', 'a')}{DEFAULT}{line('10:00:01', '200 0 0')}#Fields: time sc-status\n12:00:00 200\n"
    found = log(text)
    assert found.unread == []
    assert found.lacks_host
    assert sorted((row.status, row.requests, row.line) for row in found.rows) == [
        ("200", 1, 12),
        ("200.0", 1, 5),
        ("200.0", 1, 10),
    ]
    assert [row.first for row in found.rows if row.status == "200"] == ["2026-08-12T12:00:00Z"]


def test_damaged_lines_are_told_and_cost_no_other() -> None:
    text = (
        WITH_HOST
        + line("10:00:00", "200 0 0", "a")
        + "2026-08-12 10:0\n\n"
        + line("10:00:01", "2x0 0 0", "a")
        + line("10:00:02", "200 0 0", "a")
    )
    found = log(text)
    assert ([one.line for one in found.unread], sum(row.requests for row in found.rows)) == ([6, 8], 2)
    assert log(WITH_HOST + "2026-08-12 10:0").unread == []  # it is being written
    many = log(WITH_HOST + "x\n" * 1000)
    assert len(many.unread) == w3c_log.MOST_FAULTS + 1
    assert "980" in many.unread[-1].why


def test_lines_without_the_names_of_their_columns() -> None:
    assert len(log(line("10:00:00", "200 0 0")).unread) == 1
    pasted = f"this is the log:\n{line('10:00:00', '401 1 2148074254')}\nand what else?\n"
    (one,) = read_page(Page("f", pasted)).evidence
    assert (one.line, one.facts.status, one.facts.win32_status) == (2, "401.1", 2148074254)
    assert read_page(Page("f", "2026-08-12 10:00:00 something went wrong\n")).evidence == ()


def test_names_that_are_none_are_counted_without_them() -> None:
    hosts = ("10.0.5.2", "[::1]:443", "-", "*.test.com", "a_b%00", "\u00fcber", "good.test.com")
    found = log(WITH_HOST + "".join(line("10:00:00", "400 0 0", host) for host in hosts))
    assert {str(row.host) for row in found.rows if row.host is not None} == {"good.test.com", "\u00fcber"}
    assert sum(row.requests for row in found.rows) == len(hosts)


def test_httperr_logs_say_why() -> None:
    text = "#Fields: date time c-ip cs-host sc-status s-siteid s-reason s-queuename\n2026-08-12 10:00:00 10.0.5.3 a.test.com 400 1 FieldLength Pool\n"
    (one,) = told(text)
    assert (one.facts.status, one.facts.message, one.facts.count) == ("400", "FieldLength", 1)


# -- how much of it is kept ----------------------------------------------------------------------------------------


def many(lines: int) -> Iterator[bytes]:
    yield from WITH_HOST.encode().splitlines(keepends=True)
    row = line("10:00:00", "200 0 0", "portal.test.com").encode()
    yield from (row for _ in range(lines))


def test_a_line_costs_one_split() -> None:
    """Of 2,000 lines: `rsplit`, and nothing else; the measure of speed is benchmarks.evidence."""
    few, more = list(many(100)), list(many(2100))
    spent = calls(lambda: Log("f").take(more)) - calls(lambda: Log("f").take(few))
    assert spent == 2 * 2000  # it is called, and comes back


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "u_ex.log"
    peaks = []
    for lines in (2_000, 40_000):
        path.write_bytes(b"".join(many(lines)))
        tracemalloc.start()
        read_evidence(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


def test_whoever_sends_names_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w3c_log, "MOST_ROWS", 50)
    found = log(WITH_HOST + "".join(line("10:00:00", "404 0 0", f"h{n}.test.com") for n in range(200)))
    assert len(found.rows) <= 52
    assert sum(row.requests for row in found.rows) == 200
    assert "more than 50" in found.unread[0].why


def test_a_line_without_an_end_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_files, "LONGEST_LINE", 1 << 16)
    path = tmp_path / "u_ex.log"
    path.write_bytes(WITH_HOST.encode() + b"x" * (1 << 20))
    found = read_evidence(path).found
    assert "longer than" in found.unread[-1].why


class Pieces(io.RawIOBase):
    """Gives its bytes in pieces, and then an end or an error."""

    def __init__(self, pieces: Sequence[bytes], error: Exception | None = None) -> None:
        self.pieces, self.error = list(pieces), error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.pieces and self.error is not None:
            raise self.error
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


@given(st.lists(st.text("ab \r\n", min_size=1).map(str.encode)))
def test_lines_are_those_of_the_file_however_it_comes(pieces: list[bytes]) -> None:
    lines = chain.from_iterable(evidence_files._blocks(io.BufferedReader(Pieces(pieces)), "f"))
    assert list(lines) == list(io.BytesIO(b"".join(pieces)))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_every_line_before_the_damage_counts(sizes: list[int]) -> None:
    data, pieces = b"".join(many(60)), []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    found = Log("f")
    with pytest.raises(EOFError):
        found.take(chain.from_iterable(evidence_files._blocks(io.BufferedReader(Pieces(pieces, EOFError())), "f")))
    whole = [line for line in b"".join(pieces).splitlines(keepends=True) if line.endswith(b"\n") and line[:1] != b"#"]
    assert sum(row.requests for row in found.rows) == len(whole)


def test_another_file_of_any_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_files, "LARGEST_FILE", 1 << 20)
    path = tmp_path / "events.txt"
    path.write_bytes(b"x\n" * (1 << 20))
    assert "larger than 1 MB" in read_evidence(path).found.unread[0].why


@pytest.mark.parametrize("cut", [None, -20])
def test_a_packed_log(tmp_path: Path, cut: int | None) -> None:
    path = tmp_path / "u_ex.log.gz"
    path.write_bytes(gzip.compress(b"".join(many(5000)))[:cut])
    found = read_evidence(path).found
    assert [one.kind for one in found.evidence] == ["iis-log"]
    assert bool(found.unread) is (cut is not None)


# -- the names that clients use ------------------------------------------------------------------------------------


def test_names_for_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "1.log", tmp_path / "2.log"
    one.write_text(
        WITH_HOST + line("10:00:00", "200 0 0", "Portal.test.com:8080") + line("10:00:01", "200 0 0", "10.0.0.1")
    )
    other.write_text(WITH_HOST + line("12:00:00", "401 2 5", "portal.test.com") + line("09:00:00", "200 0 0", "crm"))
    assert main(["diagnose", "--names", str(one), str(other)]) == exits.CLEAN
    out = capsys.readouterr().out
    assert out == "crm\nportal.test.com\n"
    names = tmp_path / "names.txt"
    names.write_text(out)
    assert [str(host) for host in names_file(names).hosts] == ["crm", "portal.test.com"]
    assert main(["diagnose", "--names", "--format", "json", str(tmp_path / "*.log")]) == exits.CLEAN
    assert json.loads(capsys.readouterr().out) == {
        "names": [
            {"host": "crm", "count": 1, "first": "2026-08-12T09:00:00Z", "last": "2026-08-12T09:00:00Z"},
            {"host": "portal.test.com", "count": 2, "first": "2026-08-12T10:00:00Z", "last": "2026-08-12T12:00:00Z"},
        ]
    }


def test_a_log_without_names_says_how_to_have_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "u_ex.log"
    path.write_text(DEFAULT + line("10:00:00", "200 0 0"))
    assert main(["diagnose", "--names", str(path)]) == exits.CLEAN
    captured = capsys.readouterr()
    assert (captured.out, "cs-host" in captured.err, "logExtFileFlags" in captured.err) == ("", True, True)
    assert main(["diagnose", str(path)]) == exits.CLEAN
    assert "logExtFileFlags" in capsys.readouterr().out
