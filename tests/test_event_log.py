"""Event logs as Windows keeps them (EVTX), through the extra `evtx`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from agent import exits
from agent.cli.program import main
from agent.sources import event_log as event_log_source
from agent.sources import extras
from agent.sources.evidence_files import read_evidence
from tests.made_evtx import event_log
from tests.test_evidence_texts import EVENT, IIS01, XML_4

pytest.importorskip("evtx", reason="the extra `evtx` is not installed")

OTHER = EVENT.format("Service Control Manager", 7036, "<Data>x</Data>")


def test_each_event_at_the_number_of_its_record(tmp_path: Path) -> None:
    path = tmp_path / "System.evtx"
    path.write_bytes(event_log([OTHER, XML_4, OTHER, XML_4]))
    found = read_evidence(path).found
    assert [(one.kind, one.line, one.facts.spn) for one in found.evidence] == [
        ("event-4", 2, IIS01),
        ("event-4", 4, IIS01),
    ]
    assert found.evidence[0].facts.time == "2026-08-12T16:20:18Z"
    assert found.unread == ()


def test_through_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(event_log([XML_4]))))
    assert main(["diagnose", "-", "-q"]) == exits.FINDINGS
    assert "spn-misplaced, HTTP/iis01.test.com" in capsys.readouterr().out


@pytest.mark.parametrize("data", [b"ElfFile\0", b"ElfFile\0" + bytes(5000), event_log([XML_4])[:5000]])
def test_a_damaged_log_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "System.evtx"
    path.write_bytes(data)
    assert main(["diagnose", str(path)]) == exits.INCOMPLETE
    assert read_evidence(path).found.evidence == ()


def test_a_pipe_has_a_bound(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(event_log_source, "LARGEST_PIPE", 1000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(event_log([XML_4]))))
    assert main(["diagnose", "-"]) == exits.INCOMPLETE
    assert "give the file itself" in " ".join(capsys.readouterr().out.split())


def test_what_was_read_before_the_damage_counts(tmp_path: Path) -> None:
    path, data = tmp_path / "System.evtx", event_log([XML_4, XML_4])
    at = data.rindex(b"\x2a\x2a\0\0") + 24
    path.write_bytes(data[:at] + b"\xff" * 60 + data[at + 60 :])
    found = read_evidence(path).found
    assert ([one.line for one in found.evidence], len(found.unread)) == ([1], 1)


def test_without_the_extra_it_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _extra: False)
    path = tmp_path / "System.evtx"
    path.write_bytes(event_log([XML_4]))
    (why,) = [one.why for one in read_evidence(path).found.unread]
    assert 'pip install "iis-spn[evtx]"' in why
    assert "wevtutil" in why
