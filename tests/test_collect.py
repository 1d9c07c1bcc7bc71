"""`sweep` and `collect` from the command line to the report, against virtual servers that speak WinRM."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import PATIENCE, until

from agent import exits
from agent.cli import line as command_line
from agent.cli import options
from agent.cli.program import main
from agent.sources.snapshots import sweep_file
from agent.sweep import collect, remote
from agent.sweep.passwords import Passwords
from tests.winrm import farm

SAMPLES = Path(__file__).parents[1] / "sample_configs"
SERVERS = 12


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    with farm.running(tmp_path_factory.mktemp("farm"), servers=SERVERS) as running, farm.resolving():
        yield running


@pytest.fixture(autouse=True)
def _healthy(lab: farm.Farm) -> None:
    lab.calm()
    lab.reset()


@pytest.fixture
def run(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the program with the farm's user; gives exit code, stdout and stderr."""

    def run_it(*arguments: str, password: str = lab.password) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
        logon = ["--user", lab.user, "--password-stdin", "--transport", "ntlm", "--port", str(lab.http_port)]
        code = main([arguments[0], *logon, *arguments[1:]])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_it


# -- the full circle -----------------------------------------------------------------------------------------------

WITH = (
    *("--ad", str(SAMPLES / "directory.ldif"), "--dns", str(SAMPLES / "zone.txt")),
    *("--farm", str(SAMPLES / "farm.toml"), "--format", "json"),
)


def as_samples(lab: farm.Farm) -> list[Path]:
    folders = sorted(path for path in SAMPLES.iterdir() if path.is_dir())
    for number, folder in enumerate(folders, start=1):
        lab.set(f"{lab.name(number)}", folder=str(folder))
    return folders


def comparable(text: str) -> Any:
    """A report without what must differ: times, and the place the files were read from."""
    report = json.loads(text)
    for key in ("started", "finished", "sweep"):
        report.pop(key, None)
    plain = json.dumps(report)
    plain = re.sub(re.escape(str(SAMPLES)) + r"/(\w+)", "FROM", plain)
    return json.loads(re.sub(r"web\d{4}\.farm\.test", "FROM", plain))


def test_a_sweep_says_what_inspecting_the_same_files_says(lab: farm.Farm, run: Any, capsys: Any) -> None:
    folders = as_samples(lab)
    assert main(["inspect", *map(str, folders), *WITH]) == exits.FINDINGS
    inspected = capsys.readouterr().out
    code, swept, said = run("sweep", *(lab.name(n) for n in range(1, len(folders) + 1)), *WITH)
    assert comparable(swept) == comparable(inspected)
    assert code == exits.FINDINGS
    assert f"asked {len(folders)} servers: {len(folders)} answered, 0 failed" in said
    assert lab.shells_left() == 0


def test_collected_snapshots_say_the_same(lab: farm.Farm, run: Any, capsys: Any, tmp_path: Path) -> None:
    folders = as_samples(lab)
    names = [lab.name(n) for n in range(1, len(folders) + 1)]
    code, said, _ = run("collect", *names, "--to", str(tmp_path))
    assert code == exits.CLEAN
    assert f"asked {len(folders)} servers: {len(folders)} answered, 0 failed" in said
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["sweep.json", *(f"{name}.snapshot.json.gz" for name in names)]
    assert main(["inspect", *map(str, folders), *WITH]) == exits.FINDINGS
    inspected = comparable(capsys.readouterr().out)
    assert main(["inspect", str(tmp_path), *WITH]) == exits.FINDINGS
    packed = capsys.readouterr().out
    packed = re.sub(re.escape(str(tmp_path)) + r"/web\d{4}\.farm\.test\.snapshot\.json\.gz", "FROM", packed)
    assert comparable(packed) == inspected


# -- outcomes ------------------------------------------------------------------------------------------------------


def test_every_server_has_an_outcome_and_the_numbers_add_up(lab: farm.Farm, run: Any) -> None:
    lab.set("web0002*", fault="drop", on="connect")
    lab.set("web0003*", fault="hang", on="Receive")
    code, out, said = run("sweep", "web[0001:0005].farm.test", "--ad", "off", "--timeout", "4", "--format", "json")
    assert code == exits.INCOMPLETE
    report = json.loads(out)
    assert not report["complete"]
    assert {s["name"]: s["status"] for s in report["servers"]} == {
        "WEB0001": "ok",
        "web0002.farm.test": "failed",
        "web0003.farm.test": "failed",
        "WEB0004": "ok",
        "WEB0005": "ok",
    }
    found = {f["server"]: f for f in report["findings"] if f["id"] == "server-unreachable"}
    assert set(found) == {"web0002.farm.test", "web0003.farm.test"}
    assert all(f["severity"] == "error" and f["fix"] for f in found.values())
    assert report["sweep"] == {"asked": 5, "answered": 3, "failed": 2, "not_asked": 0, "kept": 0, "aliases": []}
    assert "asked 5 servers: 3 answered, 2 failed" in said


def test_two_names_of_one_machine_are_one_server(lab: farm.Farm, run: Any) -> None:
    lab.set("web0002*", folder=str(SAMPLES / "IIS01"))
    lab.set("web0003*", folder=str(SAMPLES / "IIS01"))
    code, out, said = run("sweep", lab.name(2), lab.name(3), "--ad", "off", "--format", "json", "--parallel", "1")
    report = json.loads(out)
    assert [server["name"] for server in report["servers"]] == ["IIS01"]
    assert report["sweep"]["aliases"] == [{"asked": lab.name(3), "server": lab.name(2)}]
    assert "1 name led to a server that had answered already" in said
    assert code != exits.INCOMPLETE


def test_two_machines_of_one_name_are_not_taken_for_one(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "machine.json").write_text('{"name": "TWIN", "membership": "workgroup"}')
        config = (SAMPLES / "IIS01" / "applicationHost.config").read_text(encoding="utf-8")
        (folder / "applicationHost.config").write_text(config + f"<!-- {number} -->")
        lab.set(lab.name(number), folder=str(folder))
    code, out, _ = run("sweep", lab.name(1), lab.name(2), "--ad", "off", "--format", "json", "--parallel", "1")
    report = json.loads(out)
    assert code == exits.INCOMPLETE
    assert report["sweep"]["aliases"] == []
    assert ["is a server of the same name (TWIN)" in f["message"] for f in report["findings"]].count(True) == 1


def test_collect_prints_what_failed_and_what_to_do(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    lab.set("web000[24]*", fault="404", on="auth")
    code, out, _ = run("collect", "web[0001:0004].farm.test", "--to", str(tmp_path))
    assert code == exits.INCOMPLETE
    assert "web0002.farm.test, web0004.farm.test (2 servers)" in out
    assert "HTTP 404: nothing is served at /wsman" in out
    assert out.rstrip().endswith("asked 4 servers: 2 answered, 2 failed")


def test_sweep_names_the_servers_that_may_keep_a_remote_shell(lab: farm.Farm, run: Any) -> None:
    lab.set("web000[24]*", fault="lost", on="Delete", times=2)
    code, out, said = run("sweep", "web[0001:0004].farm.test", "--ad", "off", "--format", "csv")
    assert "asked 4 servers: 4 answered, 0 failed" in said
    kept = "remote shells may remain until Windows ends them as idle: "
    assert f"{kept}web0002.farm.test, web0004.farm.test (2 servers)" in said
    assert (code, kept in out) == (exits.CLEAN, False)
    lab.calm()
    _, _, said = run("sweep", "web[0001:0004].farm.test", "--ad", "off", "--format", "csv")
    assert kept not in said
    lab.close_shells()


def test_what_is_wrong_with_one_host_of_an_inventory_costs_that_host(
    lab: farm.Farm, run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = tmp_path / "hosts.ini"
    odd = f"{lab.name(2)} ansible_winrm_transport=basic ansible_winrm_scheme=http ansible_port={lab.http_port}"
    inventory.write_text(f"{lab.name(1)} ansible_port={lab.http_port}\n{odd}\n{lab.name(3)} ansible_port=x\n")
    code, out, _ = run("collect", "--inventory", str(inventory), "--to", str(tmp_path))
    assert code == exits.INCOMPLETE
    assert "asked 3 servers: 2 answered, 1 not asked" in out, "--transport counts more than Basic over http"
    assert f"'{lab.name(3)}:x' is no server: a port is a number from 1 to 65535" in " ".join(out.split())
    assert unreachable(tmp_path, capsys) == [lab.name(3)]


def test_a_wrong_password_is_sent_to_one_server(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    code, out, _ = run("collect", "web[0001:0010].farm.test", "--to", str(tmp_path), password="Wr0ng")
    assert code == exits.INCOMPLETE
    assert "asked 10 servers: 0 answered, 1 failed, 9 not asked" in out
    assert "so that no account is locked out" in out
    assert lab.stats()["auth.failed"] + lab.stats()["auth.refused"] == 1


def test_passwords_come_from_stdin_for_winrm_first(
    lab: farm.Farm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.ini"
    variables = f"ansible_connection=winrm ansible_winrm_scheme=http ansible_port={lab.http_port}"
    inventory.write_text(f"{lab.name(1)} {variables} ansible_winrm_transport=ntlm ansible_user='{lab.user}'\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{lab.password}\nof LDAP\n"))
    options = ("--inventory", str(inventory), "--password-stdin", "--ad-user", "reader", "--to", str(tmp_path))
    assert main(["collect", *options]) == exits.CLEAN
    assert lab.stats()["auth.refused"] == 0


def test_passwords_of_several_users_come_in_the_order_of_the_inventory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.ini"
    lines = [f"web{n} ansible_user='TEST\\{user}'" for n, user in enumerate(("one", "two", "ONE", "three"), start=1)]
    inventory.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("first\nsecond\nthird\nof LDAP\n"))
    line = command_line.read(["collect", "--inventory", str(inventory), "--password-stdin", "--ad-user", "reader"])
    assert isinstance(line.command, options.Collect)
    passwords = Passwords(from_stdin=True)
    remote.whom(line.command.asking, passwords, lambda: pytest.fail("nobody is asked for computers"))
    known = [passwords.of(user, "WinRM") for user in ("TEST\\one", "two@test.example", "test\\three")]
    assert [*known, passwords.of("reader", "LDAP")] == ["first", "second", "third", "of LDAP"]


def test_a_password_of_the_environment_is_for_one_user(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("web01 ansible_user='TEST\\one'\nweb02 ansible_user='TEST\\two'\n")
    monkeypatch.setenv("IIS_SPN_TEST_PASSWORD", "secret")
    assert main(["collect", "--inventory", str(inventory), "--password-env", "IIS_SPN_TEST_PASSWORD"]) == exits.USAGE
    assert "asked as 2 users" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told_before_anyone_is_asked(lab: farm.Farm, run: Any) -> None:
    code, _, said = run("sweep", lab.name(1), "--output", "/no/such/folder/report.json")
    assert code == exits.USAGE
    assert "/no/such/folder" in said
    assert lab.stats()["connections"] == 0


# -- resume --------------------------------------------------------------------------------------------------------


def test_resume_asks_only_what_is_missing(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    lab.set("web0002*", fault="drop", on="Receive")
    run("collect", "web[0001:0003].farm.test", "--to", str(tmp_path))
    lab.calm()
    lab.reset()
    code, out, _ = run("collect", "web[0001:0003].farm.test", "--to", str(tmp_path), "--resume")
    assert code == exits.CLEAN
    assert out.rstrip().endswith("asked 1 server: 1 answered, 0 failed; 2 kept from an earlier run")
    assert lab.stats()["shells"] == 1
    assert len(list(tmp_path.glob("*.gz"))) == 3


def test_resume_asks_again_what_is_stale(
    lab: farm.Farm, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("collect", lab.name(1), lab.name(2), "--to", str(tmp_path))
    lab.reset()
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    monkeypatch.setattr(collect, "now", lambda: now)
    for hours, answered in ((), 1), (("--stale-after", "26"), 0), (("--stale-after", "0.5"), 2):
        for number, age in (1, timedelta(hours=25)), (2, timedelta(hours=1)):
            written = (now - age).timestamp()
            os.utime(tmp_path / f"{lab.name(number)}.snapshot.json.gz", (written, written))
        run("collect", lab.name(1), lab.name(2), "--to", str(tmp_path), "--resume", *hours)
        assert lab.stats()["shells"] == answered
        lab.reset()


def test_resume_asks_again_what_was_written_in_the_future(
    lab: farm.Farm, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set back meanwhile: how old it is cannot be told."""
    run("collect", lab.name(1), lab.name(2), "--to", str(tmp_path))
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    monkeypatch.setattr(collect, "now", lambda: now)
    for number, minutes in (1, 4), (2, 60):
        written = (now + timedelta(minutes=minutes)).timestamp()
        os.utime(tmp_path / f"{lab.name(number)}.snapshot.json.gz", (written, written))
    _, out, _ = run("collect", lab.name(1), lab.name(2), "--to", str(tmp_path), "--resume")
    assert "asked 1 server: 1 answered, 0 failed; 1 kept" in out


def test_a_resumed_sweep_reports_every_server(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    run("collect", lab.name(1), "--to", str(tmp_path))
    options = ("--to", str(tmp_path), "--resume", "--ad", "off", "--format", "json")
    _, out, _ = run("sweep", lab.name(1), lab.name(2), *options)
    report = json.loads(out)
    assert {server["name"] for server in report["servers"]} == {"WEB0001", "WEB0002"}
    assert report["sweep"]["kept"] == 1


def test_resume_knows_a_kept_machine_by_its_other_name(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    lab.set("web000[12]*", folder=str(SAMPLES / "IIS01"))
    run("collect", lab.name(1), "--to", str(tmp_path))
    code, out, _ = run("collect", lab.name(1), lab.name(2), "--to", str(tmp_path), "--resume")
    assert code == exits.CLEAN
    assert f"{lab.name(2)} is the same machine as {lab.name(1)}, and was kept once." in out
    assert [path.name for path in tmp_path.glob("*.gz")] == [f"{lab.name(1)}.snapshot.json.gz"]
    assert record(tmp_path)["answered"] == [lab.name(1), lab.name(2)]


def test_resume_asks_again_where_the_snapshot_cannot_be_read(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    path = tmp_path / f"{lab.name(1)}.snapshot.json.gz"
    path.write_bytes(b"\x1f\x8bcut off")
    code, out, _ = run("collect", lab.name(1), "--to", str(tmp_path), "--resume")
    assert code == exits.CLEAN
    assert "asked 1 server: 1 answered, 0 failed" in out
    assert gzip.decompress(path.read_bytes())


def could_not_read(path: str, config: bytes, folder: Path) -> str:
    """A server that was denied one file."""
    folder.mkdir()
    unread = [{"path": path, "why": "access denied"}]
    machine = {"name": "WEB01", "content": {"looked": True, "unread": unread}}
    (folder / "machine.json").write_text(json.dumps(machine))
    (folder / "applicationHost.config").write_bytes(config)
    return str(folder)


DELEGATED = (SAMPLES / "IIS01" / "applicationHost.config").read_bytes()
LOCKED = DELEGATED.replace(b'<location path="Intranet" overrideMode="Allow">', b'<location path="Intranet">')
OF_IIS = r"C:\Windows\System32\inetsrv\config\redirection.config"
ON_A_SHARE = r"\\srv\share\app\web.config"


@pytest.mark.parametrize(("path", "config"), [(OF_IIS, LOCKED), (ON_A_SHARE, DELEGATED)])
def test_resume_asks_again_where_the_snapshot_is_not_whole(
    lab: farm.Farm, run: Any, tmp_path: Path, path: str, config: bytes
) -> None:
    lab.set(lab.name(1), folder=could_not_read(path, config, tmp_path / "server"))
    for more in ((), ("--resume",)):
        code, out, _ = run("collect", lab.name(1), "--to", str(tmp_path / "to"), *more)
        assert code == exits.INCOMPLETE
        assert "access denied" in out
        assert "asked 1 server: 1 answered, 0 failed" in out


def test_resume_keeps_a_server_on_whose_unread_files_nothing_depends(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    assert LOCKED != DELEGATED
    lab.set(lab.name(1), folder=could_not_read(ON_A_SHARE, LOCKED, tmp_path / "server"))
    for more, counted in (((), "1 answered, 0 failed"), (("--resume",), "0 failed; 1 kept from an earlier run")):
        code, out, _ = run("collect", lab.name(1), "--to", str(tmp_path / "to"), *more)
        assert code == exits.CLEAN
        assert counted in out


# -- the record ------------------------------------------------------------------------------------------------------


def record(folder: Path) -> Any:
    return json.loads((folder / "sweep.json").read_text())


def unreachable(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The servers that `inspect` of a folder misses."""
    capsys.readouterr()
    main(["inspect", str(folder), "--ad", "off", "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    failed = [server["name"] for server in report["servers"] if server["status"] == "failed"]
    assert failed == [found["server"] for found in report["findings"] if found["id"] == "server-unreachable"]
    return failed


def test_who_failed_is_told_by_inspect_until_the_snapshot_comes(
    lab: farm.Farm, run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.set("web000[23]*", fault="404", on="auth")
    run("collect", "web[0001:0003].farm.test", "--to", str(tmp_path))
    first = record(tmp_path)
    assert (first["schema"], first["answered"]) == ("iis-spn/sweep/1", [lab.name(1)])
    assert first["asked"] == [lab.name(n) for n in (1, 2, 3)]
    assert [failed.keys() for failed in first["failed"]] == 2 * [{"host", "stage", "reason", "fix"}]
    assert first["failed"][0]["stage"] == "logon"
    assert first["failed"][0]["reason"].startswith("HTTP 404")
    assert main(["inspect", str(tmp_path), "--ad", "off"]) == exits.INCOMPLETE
    assert first["failed"][0]["fix"] in " ".join(capsys.readouterr().out.split())
    assert unreachable(tmp_path, capsys) == [lab.name(2), lab.name(3)]
    lab.calm()
    run("collect", lab.name(2), lab.name(4), "--to", str(tmp_path))
    assert unreachable(tmp_path, capsys) == [lab.name(3)], "another run does not forget it"
    assert record(tmp_path)["asked"] == [lab.name(n) for n in (1, 2, 3, 4)]
    assert main(["collect", "--forget", lab.name(3), "--to", str(tmp_path)]) == exits.CLEAN
    assert unreachable(tmp_path, capsys) == []
    assert record(tmp_path)["asked"] == [lab.name(n) for n in (1, 2, 4)]


def test_sweep_keeps_the_record_too_where_it_keeps_snapshots(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    lab.set("web0002*", fault="404", on="auth")
    run("sweep", lab.name(1), lab.name(2), "--ad", "off", "--to", str(tmp_path))
    assert [failed["host"] for failed in record(tmp_path)["failed"]] == [lab.name(2)]


def test_damaged_record_is_told_before_anyone_is_asked(lab: farm.Farm, run: Any, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{\n "schema": "iis-spn/sweep/1",\n "failed": [}')
    code, _, said = run("collect", lab.name(1), "--to", str(tmp_path))
    assert code == exits.USAGE
    assert "sweep.json:3: not JSON" in said
    assert "mend it, or move it away" in said
    assert lab.stats()["connections"] == 0


def test_run_that_cannot_be_recorded_is_not_complete(
    lab: farm.Farm, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = sweep_file.add_run
    calls = []

    def full(folder: Path, kept: sweep_file.Sweep) -> None:
        calls.append(kept)
        if kept.finished is not None:
            raise OSError(28, "No space left on device")
        written(folder, kept)

    monkeypatch.setattr(sweep_file, "add_run", full)
    for command in ("collect", "sweep"):
        code, out, said = run(command, lab.name(1), "--to", str(tmp_path))
        assert code == exits.INCOMPLETE
        assert out, "the outcomes are told all the same"
        assert "sweep.json does not say what became of this run" in said
        assert "No space left on device" in said
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--forget", "web09"), "knows no server 'web09'"),
        (("--forget", "web01", "web02"), "--forget asks nobody"),
    ],
)
def test_only_who_was_asked_can_be_forgotten(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", *arguments, "--to", str(tmp_path)]) == exits.USAGE
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- as a process: killed, interrupted, watched --------------------------------------------------------------------


def start(lab: farm.Farm, *arguments: str) -> subprocess.Popen[str]:
    logon = ["--user", lab.user, "--password-stdin", "--transport", "ntlm", "--port", str(lab.http_port)]
    command = [sys.executable, "-m", "agent", arguments[0], *logon, *arguments[1:]]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(lab.password + "\n")
    process.stdin.close()
    process.stdin = None
    return process


def addresses(lab: farm.Farm, count: int) -> list[str]:
    return [lab.address(number) for number in range(1, count + 1)]


def test_ctrl_c_keeps_and_reports_what_is_there(lab: farm.Farm, tmp_path: Path) -> None:
    lab.set("web000[3-9]*", runs=60.0)
    process = start(lab, "collect", *addresses(lab, 6), "--to", str(tmp_path))
    until(lambda: len(list(tmp_path.glob("*.gz"))) == 2 and lab.stats()["op.Receive"] >= 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == exits.INCOMPLETE
    counted = re.search(r"asked 6 servers: 2 answered((?:, \d (?:failed|not asked))+)\n", out)
    assert counted is not None  # who still waits for a turn to log on was not asked
    assert sum(map(int, re.findall(r"\d", counted[1]))) == 4
    assert "Traceback" not in err
    assert lab.shells_left() == 0
    kept = record(tmp_path)
    assert (kept["asked"], kept["answered"]) == (addresses(lab, 6), addresses(lab, 2))
    assert [failed["host"] for failed in kept["failed"]] == addresses(lab, 6)[2:]


def test_ctrl_c_records_who_was_not_asked(lab: farm.Farm, tmp_path: Path) -> None:
    lab.set("web000[1-9]*", runs=60.0)
    process = start(lab, "collect", *addresses(lab, 4), "--to", str(tmp_path), "--parallel", "2")
    until(lambda: lab.stats()["op.Receive"] >= 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    stages = {failed["host"]: (failed["stage"], failed["reason"]) for failed in record(tmp_path)["failed"]}
    assert list(stages) == addresses(lab, 4)
    assert {stages[host] for host in addresses(lab, 4)[2:]} == {("not asked", "the sweep was interrupted")}


def test_a_second_ctrl_c_still_reports(lab: farm.Farm, tmp_path: Path) -> None:
    lab.set("web000[2-9]*", runs=60.0, fault="hang", on="Delete")
    process = start(lab, "collect", *addresses(lab, 4), "--to", str(tmp_path))
    until(lambda: len(list(tmp_path.glob("*.gz"))) == 1 and lab.stats()["op.Receive"] >= 5)
    process.send_signal(signal.SIGINT)
    until(lambda: lab.stats()["injected.hang"] >= 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == exits.INTERRUPTED
    assert "asked 4 servers: 1 answered, 3 failed" in out
    assert out.count("the sweep was interrupted before it had answered") >= 1
    assert "Traceback" not in err
    lab.calm()
    lab.close_shells()


def test_a_reader_who_goes_away_changes_nothing_about_the_exit_code(lab: farm.Farm) -> None:
    lab.set("web0002*", fault="404", on="auth")
    process = start(lab, "sweep", *addresses(lab, 3), "--ad", "off")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == exits.INCOMPLETE
    assert "asked 3 servers: 2 answered, 1 failed" in err


def test_nobody_looking_on_ends_no_sweep(lab: farm.Farm, tmp_path: Path) -> None:
    process = start(lab, "collect", *addresses(lab, SERVERS), "--to", str(tmp_path), "-v", "--parallel", "2")
    assert process.stderr is not None
    process.stderr.close()
    process.stderr = None
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == exits.CLEAN
    assert f"asked {SERVERS} servers: {SERVERS} answered, 0 failed" in out
    assert len(list(tmp_path.glob("*.gz"))) == SERVERS
    assert lab.shells_left() == 0


def test_a_killed_run_loses_nothing_that_was_answered(
    lab: farm.Farm, run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.set("web000[3-9]*", runs=60.0)
    process = start(lab, "collect", *addresses(lab, 6), "--to", str(tmp_path))
    until(lambda: len(list(tmp_path.glob("*.gz"))) == 2)
    process.kill()
    process.communicate(timeout=PATIENCE)
    kept = record(tmp_path)
    assert (kept["finished"], kept["answered"]) == (None, [])
    assert {failed["reason"] for failed in kept["failed"]} == {"the sweep was broken off before it was heard"}
    assert unreachable(tmp_path, capsys) == addresses(lab, 6)[2:], "whose snapshot is there is inspected"
    lab.calm()
    code, out, _ = run("collect", *addresses(lab, 6), "--to", str(tmp_path), "--resume")
    assert code == exits.CLEAN
    assert "asked 4 servers: 4 answered, 0 failed; 2 kept" in out
    assert (record(tmp_path)["answered"], record(tmp_path)["failed"]) == (addresses(lab, 6), [])


def test_no_secret_is_printed_written_or_in_the_process_list(lab: farm.Farm, tmp_path: Path) -> None:
    lab.set("web0001*", blanked=False)
    lab.set("web0002*", fault="401", on="auth")
    lab.set("web0003*", runs=3600.0)
    process = start(lab, "collect", *addresses(lab, 5), "--to", str(tmp_path), "-v")
    until(lambda: len(list(tmp_path.glob("*.gz"))) == 3)
    watched = psutil.Process(process.pid)
    exposed = " ".join(watched.cmdline()) + repr(watched.environ())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    files = b"".join(gzip.decompress(path.read_bytes()) for path in tmp_path.glob("*.gz"))
    files += (tmp_path / "sweep.json").read_bytes()
    assert b"applicationPools" in files
    for secret in (lab.password, farm.SECRET):
        assert secret not in exposed + out + err
        assert secret.encode() not in files
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_tracebacks_show_no_password(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def slip(*_arguments: object, **_more: object) -> None:
        raise TypeError("a slip of ours")

    monkeypatch.setattr("agent.render.progress.SweepProgress.told", slip)
    monkeypatch.setattr("sys.stdin", io.StringIO(lab.password + "\n"))
    logon = ["--user", lab.user, "--password-stdin", "--transport", "ntlm", "--port", str(lab.http_port)]
    assert main(["--debug", "sweep", lab.name(1), *logon]) == exits.BUG
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "a slip of ours" in said
    assert lab.password not in said


# -- wrong usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sweep",), "nobody to ask"),
        (("collect", "--inventory", "no-such-file"), "no-such-file"),
        (("sweep", "web01", "--resume"), "--resume needs --to DIR"),
        (("sweep", "web/01"), "web/01"),
        (("collect", "web01", "--transport", "certificate"), "--cert"),
        (("collect", "http://web01", "--transport", "basic"), "TLS"),
        (("collect", "web01", "--parallel", "0"), "--parallel"),
        (("collect", "web01", "--timeout", "nan"), "--timeout"),
        (("collect", "web01", "--ca", "no-such-file"), "no-such-file"),
        (("collect", "--inventory", "-", "--password-stdin"), "stdin cannot hold both"),
        (("collect", "web01", "--user", "u", "--password-env", "NO_SUCH_VARIABLE_HERE"), "NO_SUCH_VARIABLE_HERE"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == exits.USAGE
    assert words in capsys.readouterr().err
