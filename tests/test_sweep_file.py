"""sweep.json: runs into one folder add up, and a server that gave no answer is told until its snapshot comes."""

import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import exits, library
from agent.cli.program import main
from agent.errors import MalformedError, UsageError
from agent.model import Report
from agent.sources.snapshots import store
from agent.sources.snapshots.sweep_file import Failed, Sweep, add_run, forget, key_of, read_sweep
from agent.sources.snapshots.targets import StaleAfter, expand, is_fresh

SAMPLES = Path(__file__).parents[1] / "sample_configs"
CONFIG = (SAMPLES / "IIS01" / "applicationHost.config").read_text("utf-8")
DAY = "2026-11-{:02}T10:00:00Z"


def failed(host: str, reason: str = "no answer") -> Failed:
    return Failed(host, "connect", reason, "Look at the firewall.")


def run(asked: str, *failures: Failed, day: int = 1) -> Sweep:
    started, finished = DAY.format(day), DAY.format(day + 1)
    return Sweep(started=started, finished=finished, asked=tuple(asked.split()), failed=failures)


# -- runs add up -----------------------------------------------------------------------------------------------------


def test_later_outcome_of_a_server_counts_and_the_others_stay(tmp_path: Path) -> None:
    add_run(tmp_path, run("web01 web02 web03 web04", failed("web02"), failed("web03"), failed("web04")))
    add_run(tmp_path, run("WEB02 web03. web05", failed("web03.", "refused"), failed("web05"), day=3))
    found = read_sweep(tmp_path)
    assert found is not None
    assert found.asked == ("web01", "WEB02", "web03.", "web04", "web05")
    assert found.answered == ("web01", "WEB02")
    assert found.failed == (failed("web04"), failed("web03.", "refused"), failed("web05"))
    assert (found.started, found.finished) == (DAY.format(3), DAY.format(4))


HOSTS = st.sampled_from(["web01", "WEB01", "web02", "web02:5986", "10.0.0.5", "fe80::5", "[fe80::5]:5985"])
RUNS = st.lists(HOSTS, unique_by=key_of).flatmap(
    lambda asked: st.sets(st.sampled_from(asked) if asked else st.nothing()).map(
        lambda bad: run(" ".join(asked), *(failed(host) for host in asked if host in bad))
    )
)


@given(st.lists(RUNS, min_size=1))
def test_every_server_has_one_outcome_its_last(runs: list[Sweep]) -> None:
    whole = runs[0]
    for later in runs[1:]:
        whole = whole.followed_by(later)
    last = {key_of(host): one for one in runs for host in one.asked}
    assert {key_of(host) for host in whole.asked} == set(last)
    for key, one in last.items():
        is_failed = key in {key_of(each.host) for each in one.failed}
        assert (key in {key_of(each.host) for each in whole.failed}) is is_failed
        assert (key in {key_of(host) for host in whole.answered}) is not is_failed
    assert len(whole.asked) == len(whole.answered) + len(whole.failed)


def test_record_is_the_document_that_is_promised(tmp_path: Path) -> None:
    add_run(tmp_path, run("web01 web02", failed("web02")))
    assert json.loads((tmp_path / "sweep.json").read_text()) == {
        "schema": "iis-spn/sweep/1",
        "started": DAY.format(1),
        "finished": DAY.format(2),
        "asked": ["web01", "web02"],
        "answered": ["web01"],
        "failed": [
            {"host": "web02", "stage": "connect", "reason": "no answer", "fix": "Look at the firewall."},
        ],
    }
    assert read_sweep(tmp_path) == run("web01 web02", failed("web02"))
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows gives a new file the rights of its folder")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    add_run(tmp_path, run("web01"))
    assert stat.S_IMODE((tmp_path / "sweep.json").stat().st_mode) == 0o600


def test_forgotten_servers_are_gone_all_or_none(tmp_path: Path) -> None:
    whole = run("web01 web02 web03", failed("web02"), failed("web03"))
    add_run(tmp_path, whole)
    with pytest.raises(UsageError, match="knows no server 'web09'"):
        forget(tmp_path, ["web02", "web09"])
    assert read_sweep(tmp_path) == whole
    forget(tmp_path, ["WEB02", "web01"])
    assert read_sweep(tmp_path) == run("web03", failed("web03"))


# -- what stands in it -----------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "schema": "iis-spn/sweep/1",
    "started": DAY.format(1),
    "finished": None,
    "asked": ["web01"],
    "answered": [],
    "failed": [{"host": "web01", "stage": "connect", "reason": "no", "fix": "Look."}],
}


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        ({"schema": "iis-spn/sweep/2"}, 2, "this version reads iis-spn/sweep/1"),
        ({"asked": "web01"}, 5, "key 'asked': a list is expected"),
        ({"asked": ["web/01"]}, 5, "key 'asked': 'web/01' is not the name of a server"),
        ({"answered": [1]}, 8, "key 'answered': a text is expected"),
        ({"failed": {}}, 9, "key 'failed': a list is expected"),
        ({"failed": ["web01"]}, 9, "key 'failed': a list of objects is expected"),
        ({"failed": [{"host": "web01", "stage": "connect", "reason": "no"}]}, 9, "key 'failed': a text is expected"),
        ({"finished": 5}, 4, "key 'finished': a text is expected"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, change: dict[str, Any], line: int, said: str) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({**GOOD, **change}, indent=1))
    with pytest.raises(MalformedError) as caught:
        read_sweep(tmp_path)
    assert (caught.value.file, caught.value.line) == (f"{tmp_path}/sweep.json", line)
    assert said in caught.value.reason


@pytest.mark.parametrize(("text", "line"), [("", 1), ("[]", 1), ('{\n"asked": [,\n', 2)])
def test_what_is_no_record_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(MalformedError) as caught:
        read_sweep(tmp_path)
    assert caught.value.line == line


def test_record_that_cannot_be_opened_is_no_absent_one(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").mkdir()
    with pytest.raises(MalformedError, match="a folder, not a file"):
        read_sweep(tmp_path)


# -- inspect of the folder -------------------------------------------------------------------------------------------


def keep(folder: Path, called: str, **facts: object) -> None:
    machine = {"name": "WEB09", "content": {"looked": True}, **facts}
    files = {"applicationHost.config": {"text": CONFIG}}
    store.write(folder, called, {"schema": "iis-spn/snapshot/1", "machine": machine, "files": files})


def inspected(*targets: Path) -> Report:
    return library.inspect(list(targets))


def told(report: Report) -> dict[str, str]:
    """The servers of which nothing is known, and what is said of each."""
    return {
        server.name: "; ".join(problem.message for problem in server.problems)
        for server in report.servers
        if server.status == "failed"
    }


def test_server_that_gave_no_answer_is_a_failed_one_with_the_stored_words(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01")
    add_run(tmp_path, run("web01 web02", failed("web02")))
    report = inspected(tmp_path)
    assert told(report) == {"web02": "no answer over WinRM (connect): no answer"}
    (found,) = [each for each in report.findings if each.id == "server-unreachable"]
    assert (found.severity, found.server, found.fix) == ("error", "web02", ("Look at the firewall.",))
    assert not report.complete
    assert [server.status for server in report.servers] == ["ok", "failed"]


def test_all_answered_is_complete(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01")
    add_run(tmp_path, run("web01"))
    assert inspected(tmp_path).complete


@pytest.mark.parametrize("command", [["inspect"], ["plan"], ["explain", "http://intranet.test.com/"]])
def test_every_command_is_incomplete_without_the_server(tmp_path: Path, command: list[str], capsys: Any) -> None:
    keep(tmp_path, "web01", name="WEB01")
    add_run(tmp_path, run("web01 web02", failed("web02")))
    assert main([*command, str(tmp_path), "--ad", "off", "--format", "json"]) == exits.INCOMPLETE
    assert "web02" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "name", "facts"),
    [
        ("web02", "WEB02", {}),
        ("web02.test.com", "by-hand", {"name": "WEB02", "dns_name": "web02.test.com"}),
        ("WEB02", "by-hand", {"name": "WEB02"}),
        ("web02:5986", "web02:5986", {}),
        ("fe80::5", "fe80:0::5", {}),
    ],
)
def test_snapshot_that_is_there_ends_it_however_it_came(
    tmp_path: Path, host: str, name: str, facts: dict[str, str]
) -> None:
    keep(tmp_path, name, **facts)
    add_run(tmp_path, run(host, failed(host)))
    assert told(inspected(tmp_path)) == {}


@pytest.mark.parametrize(
    ("host", "facts"),
    [
        ("web02", {"name": "WEB01", "dns_name": "web01.test.com"}),
        ("web02.test.com", {"name": "WEB02", "dns_name": "web02.other.com"}),
        ("web02:5986", {"name": "WEB02", "dns_name": "web02.test.com"}),
    ],
)
def test_snapshot_of_another_server_does_not(tmp_path: Path, host: str, facts: dict[str, str]) -> None:
    keep(tmp_path, "other", **facts)
    add_run(tmp_path, run(host, failed(host)))
    assert list(told(inspected(tmp_path))) == [host]


def test_folder_given_is_asked_and_no_other(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01")
    add_run(tmp_path, run("web01 web02", failed("web02")))
    assert told(inspected(tmp_path / "web01.snapshot.json.gz")) == {}
    assert told(inspected(tmp_path / "*.gz")) == {}
    assert told(inspected(tmp_path.parent / f"{tmp_path.name[:-1]}?")) == {"web02": told(inspected(tmp_path))["web02"]}


def test_two_folders_are_taken_together(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keep(first, "web01", name="WEB01")
    keep(second, "web02", name="WEB02")
    add_run(first, run("web01 web02 web03", failed("web02"), failed("web03")))
    add_run(second, run("web02 web03", failed("web03")))
    assert list(told(inspected(first, second))) == ["web03"]


def test_folder_where_nobody_answered(tmp_path: Path) -> None:
    add_run(tmp_path, run("web01 web02", failed("web01"), failed("web02")))
    assert list(told(inspected(tmp_path))) == ["web01", "web02"]


def test_folder_without_a_snapshot_or_a_failure_is_told(tmp_path: Path) -> None:
    add_run(tmp_path, run("web01"))
    assert list(told(inspected(tmp_path)).values()) == ["no applicationHost.config"]


def test_damaged_record_is_a_problem_and_the_snapshots_are_read(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01")
    (tmp_path / "sweep.json").write_text('{\n"schema"')
    report = inspected(tmp_path)
    assert [server.status for server in report.servers] == ["ok", "failed"]
    (found,) = report.servers[1].problems
    assert (found.id, found.file, found.line) == ("config-malformed", f"{tmp_path}/sweep.json", 2)
    assert not report.complete


def test_server_of_which_nothing_is_said_gave_no_answer(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({**GOOD, "failed": []}))
    assert told(inspected(tmp_path)) == {"web01": "no answer over WinRM (not asked): what became of it is not said"}


def test_reports_and_the_record_are_no_snapshots(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01")
    add_run(tmp_path, run("web01"))
    (tmp_path / "WEB01.report.json").write_text("{}")
    (tmp_path / "WEB01.snapshot.report.json").write_text("{}")
    snapshot = tmp_path / "web01.snapshot.json.gz"
    assert expand([str(tmp_path)]) == [snapshot]
    assert expand([str(tmp_path / "*")]) == [snapshot]
    assert expand([str(path) for path in sorted(tmp_path.iterdir())]) == [snapshot]
    assert inspected(tmp_path).complete


# -- what should be there --------------------------------------------------------------------------------------------


def looked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code = main(["inspect", *words, "--ad", "off", "--format", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_server_of_the_inventory_without_a_snapshot_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, inventory = tmp_path / "to", tmp_path / "farm.txt"
    keep(folder, "web01", name="WEB01")
    keep(folder, "by-hand", name="WEB02", dns_name="web02.test.com")
    inventory.write_text("web01 web02.test.com\nweb[03:04]\n")
    add_run(folder, run("web03", failed("web03")))
    code, report, _ = looked(capsys, str(folder), "--inventory", str(inventory))
    assert code == exits.INCOMPLETE
    missing = {found["server"]: found for found in report["findings"] if found["id"] == "server-unreachable"}
    assert list(missing) == ["web03", "web04"], "each once, with what is known of it"
    assert missing["web03"]["message"].startswith("no answer over WinRM (connect)")
    assert missing["web04"]["message"] == f"no snapshot of it is there; it is named in {inventory}:2"
    assert "iis-spn collect web04" in missing["web04"]["fix"][0]


def test_inventory_whose_servers_are_all_there_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path, "web01", name="WEB01")
    (tmp_path / "farm.txt").write_text("WEB01\n")
    code, report, _ = looked(capsys, str(tmp_path), "--inventory", str(tmp_path / "farm.txt"))
    assert (code, len(report["servers"])) == (exits.CLEAN, 1)


@pytest.mark.parametrize(
    ("collected", "said"),
    [
        ("2000-01-02T03:04:05+01:00", "it was collected at 2000-01-02 02:04 UTC, more than 1.5 hours ago"),
        (None, "it does not say when it was collected: it may be older than 1.5 hours"),
        (
            "2999-01-01T00:00:00Z",
            "it says that it was collected at 2999-01-01 00:00 UTC, which is to come: a clock is wrong, it may be old",
        ),
    ],
)
def test_old_snapshot_is_named_and_judged_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], collected: str | None, said: str
) -> None:
    keep(tmp_path, "web01", name="WEB01", collected_at=collected)
    code, report, _ = looked(capsys, str(tmp_path), "--stale-after", "1.5")
    stale = [found for found in report["findings"] if found["id"] == "snapshot-stale"]
    assert [found["message"] for found in stale] == [said]
    assert {(found["severity"], found["server"]) for found in stale} == {("warning", "WEB01")}
    assert [server["status"] for server in report["servers"]] == ["ok"]
    assert code == exits.CLEAN
    assert report["applications"]


@pytest.mark.parametrize(("minutes", "fresh"), [(-91, False), (-90, True), (0, True), (5, True), (6, False)], ids=str)
def test_clocks_may_differ_by_as_much_as_kerberos_lets_them(minutes: int, fresh: bool) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert is_fresh(now + timedelta(minutes=minutes), StaleAfter(1.5, now)) is fresh


def test_age_is_no_question_where_it_is_not_asked(tmp_path: Path) -> None:
    keep(tmp_path, "web01", name="WEB01", collected_at="2000-01-02T03:04:05Z")
    assert "snapshot-stale" not in {found.id for found in inspected(tmp_path).findings}


def test_damaged_snapshot_is_not_called_old_besides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web01.snapshot.json.gz").write_bytes(b"nonsense")
    code, report, _ = looked(capsys, str(tmp_path), "--stale-after", "1")
    assert code == exits.INCOMPLETE
    assert {found["id"] for found in report["findings"]} == {"config-malformed"}


@pytest.mark.parametrize("words", [("--inventory", "farm.txt"), ("--stale-after", "24")])
def test_what_is_about_snapshots_needs_some(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, report, said = looked(capsys, *words)
    assert (code, report) == (exits.USAGE, None)
    assert "--inventory and --stale-after are about snapshots" in said
