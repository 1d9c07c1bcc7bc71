"""Whatever is given: one clear sentence, the right exit code, and the rest of the run is still there."""

import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from configurations import ROOT, SITE, configuration, web_config, windows

from agent import inspect
from agent.cli import formats
from agent.cli.program import main

FORMATS = tuple(formats.known_by("inspect"))
GOOD = configuration(root=windows(ROOT, enabled="true"))
FACTS = {"dns_name": "iis01.test.com", "domain": "test.com", "netbios_domain": "TEST", "content": {"looked": True}}


def server(folder: Path, name: str, data: bytes = GOOD.encode(), **facts: object) -> Path:
    """A snapshot folder."""
    folder.mkdir(parents=True)
    (folder / "applicationHost.config").write_bytes(data)
    more = {**FACTS, "name": name, "dns_name": f"{name}.test.com", **facts}
    (folder / "machine.json").write_text(json.dumps(more), encoding="utf-8")
    return folder


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Inspect targets through the command line: the exit code and the report."""

    def inspected(*targets: object, code: int | None = None) -> tuple[int, dict[str, Any]]:
        found = main(["inspect", *map(str, targets), "--ad", "off", "--format", "json"])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert code is None or found == code
        return found, json.loads(out)

    return inspected


def only_problem(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in report["servers"] if each["name"] == name]
    (problem,) = found["problems"]
    assert found["status"] == "failed"
    return dict(problem)


# -- files ---------------------------------------------------------------------------------------------------------

XDT = b'<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"/>'
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "&b;&b;">]>\n<configuration a="&a;"/>'
BAD = {
    "not xml": (b"hello", 1, "not well-formed"),
    "zero bytes": (b"", 1, "empty"),
    "truncated": (GOOD.encode()[:-40], 1, "not well-formed"),
    "dtd": (b"\n<!DOCTYPE configuration><configuration/>", 2, "DTD"),
    "billion laughs": (LAUGHS, 1, "DTD"),
    "external entity": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]>\n<configuration>&a;</configuration>',
        1,
        "DTD",
    ),
    "wrong encoding": (b"<?xml version='1.0' encoding='utf-8'?>\n<a b='\xff'/>", 2, "not well-formed"),
    "unknown encoding": (b"<?xml version='1.0' encoding='klingon'?>\n<a/>", 1, "not well-formed"),
    "nul": (GOOD.encode().replace(b"<sites>", b"\n<sites>\0"), 2, "not well-formed"),
    "deep": (b"<configuration>\n" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</configuration>", 2, "deep in each other"),
    "transform": (b"\n" + XDT, 2, "XDT"),
    "fragment": (b"\n\n<site name='x'/>", 3, "<site>"),
    "web.config": (web_config("<system.webServer/>"), 1, "not an applicationHost.config"),
    "binary": (bytes(range(256)) * 20, 1, "not well-formed"),
}


@pytest.mark.parametrize(("data", "line", "words"), BAD.values(), ids=list(BAD))
def test_a_bad_file_is_told_with_its_line_and_the_good_one_is_analysed(
    tmp_path: Path, run: Run, data: bytes, line: int, words: str
) -> None:
    bad, good = server(tmp_path / "bad", "BAD", data), server(tmp_path / "good", "IIS01")
    code, report = run(bad, good)
    problem = only_problem(report, "BAD")
    assert code == 2
    assert report["complete"] is False
    assert (problem["id"], problem["line"]) == ("config-malformed", line)
    assert problem["file"].endswith("applicationHost.config")
    assert words in problem["message"]
    assert "\n" not in problem["message"]
    assert {a["server"] for a in report["applications"]} == {"IIS01"}
    assert {s["name"]: s["status"] for s in report["servers"]} == {"BAD": "failed", "IIS01": "ok"}
    (finding,) = [f for f in report["findings"] if f["server"] == "BAD"]
    assert (finding["id"], finding["evidence"][0]["line"]) == ("config-malformed", line)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    bad, good = server(tmp_path / "bad", "BAD", b"<oops"), server(tmp_path / "good", "IIS01")
    assert main(["inspect", str(bad), str(good), "--ad", "off", "--format", form]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "BAD" in out
    assert "IIS01" in out


@pytest.mark.parametrize("bare", [True, False])
def test_over_64_mb_is_not_read(tmp_path: Path, run: Run, bare: bool) -> None:
    folder = server(tmp_path / "big", "BIG")
    with (folder / "applicationHost.config").open("wb") as stream:
        stream.truncate(64 * 1024 * 1024 + 1)
    _, report = run(folder / "applicationHost.config" if bare else folder, code=2)
    (found,) = report["servers"]
    assert [(p["id"], "64 MB" in p["message"]) for p in found["problems"]] == [("config-malformed", True)]


def test_a_folder_without_a_configuration(tmp_path: Path, run: Run) -> None:
    (tmp_path / "EMPTY").mkdir()
    _, report = run(tmp_path / "EMPTY", server(tmp_path / "good", "IIS01"), code=2)
    problem = only_problem(report, "EMPTY")
    assert (problem["id"], problem["message"]) == ("config-malformed", "no applicationHost.config")
    assert len(report["applications"]) == 2


@pytest.mark.parametrize("bare", [True, False])
def test_an_unreadable_file(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, bare: bool) -> None:
    folder = server(tmp_path / "closed", "CLOSED")
    opened = Path.open

    def refuse(path: Path, *rest: Any, **more: Any) -> Any:
        if path.name == "applicationHost.config" and "closed" in str(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", refuse)
    target = folder / "applicationHost.config" if bare else folder
    _, report = run(target, server(tmp_path / "good", "IIS01"), code=2)
    (failed,) = [each for each in report["servers"] if each["status"] == "failed"]
    assert "access denied" in failed["problems"][0]["message"]
    assert len(report["applications"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links take a privilege on Windows")
def test_a_broken_link(tmp_path: Path, run: Run) -> None:
    link = tmp_path / "applicationHost.config"
    link.symlink_to(tmp_path / "nowhere")
    _, report = run(link, server(tmp_path / "good", "IIS01"), code=2)
    (message,) = [p["message"] for each in report["servers"] for p in each["problems"]]
    assert message.endswith("a link whose target does not exist")
    assert len(report["applications"]) == 2


@pytest.mark.parametrize("name", ["nowhere.config", "no\x1b[31mwhere"])
def test_a_target_that_does_not_exist(tmp_path: Path, run: Run, name: str) -> None:
    _, report = run(tmp_path / name, server(tmp_path / "good", "IIS01"), code=2)
    (failed,) = [each for each in report["servers"] if each["status"] == "failed"]
    (problem,) = failed["problems"]
    assert problem["id"] == "config-malformed"
    assert problem["file"].endswith(name.replace("\x1b", "\\u001b"))
    assert len(report["applications"]) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_does_not_hang(tmp_path: Path, run: Run) -> None:
    os.mkfifo(tmp_path / "applicationHost.config")
    _, report = run(tmp_path / "applicationHost.config", code=2)
    assert "a device or a pipe" in report["servers"][0]["problems"][0]["message"]


def test_a_folder_that_is_called_like_the_file(tmp_path: Path, run: Run) -> None:
    (tmp_path / "X" / "applicationHost.config").mkdir(parents=True)
    _, report = run(tmp_path / "X", code=2)
    assert "a folder, not a file" in report["servers"][0]["problems"][0]["message"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("S.snapshot.json.gz", b"\x1f\x8bnonsense"),
        ("S.snapshot.json.gz", gzip.compress(b"{}", mtime=0)[:-5]),
        ("S.snapshot.json.gz", gzip.compress(b"[" * 100_000, mtime=0)),
        ("S.snapshot.json.gz", b""),
        ("S.snapshot.json", b'{"schema": "other/9"}'),
    ],
)
def test_a_damaged_snapshot_file(tmp_path: Path, run: Run, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    _, report = run(tmp_path / name, server(tmp_path / "good", "IIS01"), code=2)
    assert only_problem(report, "S")["id"] == "config-malformed"
    assert len(report["applications"]) == 2


def test_a_broken_machine_json_leaves_the_configuration_readable(tmp_path: Path, run: Run) -> None:
    folder = server(tmp_path / "IIS09", "IIS09")
    (folder / "machine.json").write_text('{"name": \n oops')
    code, report = run(folder)
    (found,) = report["servers"]
    assert code == 2
    assert found["status"] == "partial"
    assert (found["problems"][0]["id"], found["problems"][0]["line"]) == ("config-malformed", 2)
    assert len(report["applications"]) == 2


def test_a_malformed_web_config_leaves_the_other_sites(tmp_path: Path, run: Run) -> None:
    folder = server(tmp_path / "good", "IIS01")
    (folder / "files" / "C" / "app").mkdir(parents=True)
    (folder / "files" / "C" / "app" / "web.config").write_bytes(b"<configuration>\n<a></b>")
    code, report = run(folder)
    (found,) = report["servers"]
    assert (code, found["status"]) == (2, "partial")
    assert [(p["id"], p["line"]) for p in found["problems"]] == [("config-malformed", 2)]
    assert {a["path"]: a["windows_auth"] is None for a in report["applications"]} == {"/": False, "/app": True}


def test_two_machines_of_one_name(tmp_path: Path, run: Run) -> None:
    one, two = server(tmp_path / "one", "IIS01"), server(tmp_path / "two", "iis01")
    _, report = run(one, two, code=2)
    first, second = report["servers"]
    assert (first["status"], second["status"]) == ("ok", "failed")
    (problem,) = second["problems"]
    assert (problem["id"], problem["file"]) == ("config-invalid", str(two))
    assert str(one) in problem["message"]
    assert {a["server"] for a in report["applications"]} == {"IIS01"}


def test_machines_of_one_name_in_two_domains_are_two(tmp_path: Path, run: Run) -> None:
    one = server(tmp_path / "one", "IIS01")
    two = server(tmp_path / "two", "IIS01", dns_name="iis01.other.example", domain="other.example", netbios_domain="O")
    code, report = run(one, two)
    assert code != 2
    assert [s["status"] for s in report["servers"]] == ["ok", "ok"]
    assert len({s["name"] for s in report["servers"]}) == 2
    assert len(report["applications"]) == 4


def test_one_target_given_twice_is_one_server(tmp_path: Path, run: Run) -> None:
    one = server(tmp_path / "one", "IIS01")
    _, report = run(one, tmp_path / "o*", one)
    assert [s["status"] for s in report["servers"]] == ["ok"]


def test_names_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sites = SITE.replace('name="Site"', 'name="Si&#x9b;31m&#x202e;te"')
    folder = server(tmp_path / "good", "IIS01", configuration(root=windows(ROOT, enabled="true"), sites=sites).encode())
    for form in FORMATS:
        main(["inspect", str(folder), "--ad", "off", "--format", form])
        out = capsys.readouterr().out
        assert not any(c in out for c in "\x1b\x9b\u202e")


def test_no_password_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = 'password="hunter2secret"'
    pools = f"""<add name="PoolA"><processModel identityType="SpecificUser" {secret} userName=".\\x" /></add>
        <add name="PoolA" {secret} /><add name="PoolB"><processModel identityType="Nope" {secret} /></add>"""
    sites = SITE.replace("<virtualDirectory ", f"<virtualDirectory {secret} ").replace(":80:", f':80x:" {secret} x="')
    root = windows(ROOT, enabled="true", useKernelMode="false")
    text = configuration(pools=pools, sites=sites, root=root)
    folder = server(tmp_path / "one", "IIS01", text.encode())
    for form in FORMATS:
        assert main(["inspect", str(folder), "--ad", "off", "--format", form]) == 1
        assert "hunter2" not in "".join(capsys.readouterr())
    report = inspect([folder])
    assert "hunter2" not in repr(report)
    assert {"config-invalid", "binding-malformed", "local-account-decrypts"} <= {f.id for f in report.findings}


# -- exit codes ----------------------------------------------------------------------------------------------------


def test_clean_is_zero_and_findings_are_one(tmp_path: Path, run: Run) -> None:
    run(server(tmp_path / "one", "IIS01"), code=0)
    twice = configuration(sites=SITE + SITE, root=windows(ROOT, enabled="true"))
    _, report = run(server(tmp_path / "two", "IIS02", twice.encode()), code=1)
    assert {f["id"] for f in report["findings"] if f["severity"] == "error"} == {"config-invalid"}


def test_incomplete_wins_over_findings(tmp_path: Path) -> None:
    twice = server(tmp_path / "two", "IIS02", configuration(sites=SITE + SITE).encode())
    bad = server(tmp_path / "bad", "BAD", b"")
    arguments = ["inspect", str(twice), str(bad), "--ad", "off", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--fail-on", "never"]) == 2
    assert main(arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", ""], "no file or folder can be called ''"),
        (["inspect", "no-such-*.config"], "'no-such-*.config' matches nothing"),
        (["inspect", "no\x1b[31m*.config"], "no\\u001b[31m*.config"),
        (["inspect", "--format", "yaml"], "yaml"),
        (["inspect", "--no-such-option"], "--no-such-option"),
        (["inspect", "--client", "mosaic"], "mosaic"),
        (["inspect", "--fail-on", "always"], "always"),
        (["no-such-command"], "no-such-command"),
        (["inspect", "{one}", "{two}", "--computer", "a.test.com"], "--computer names one server"),
        (["inspect", "{one}", "--farm", "missing.toml"], "missing.toml"),
        (["inspect", "{one}", "--accept", "missing.toml"], "missing.toml"),
        (["inspect", "{one}", "--output", "missing/folder/out.txt"], "out.txt"),
        (["rules", "no-such-rule"], "no-such-rule"),
    ],
)
def test_wrong_usage_is_64_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    places = {"one": server(tmp_path / "one", "IIS01"), "two": server(tmp_path / "two", "IIS02")}
    extra = ["--ad", "off"] if "{one}" in arguments else []
    assert main([argument.format(**places) for argument in arguments] + extra) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("iis-spn: ")
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows it reads this server")
def test_no_target_on_another_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--ad", "off"]) == 64
    assert "this is not Windows" in capsys.readouterr().err


# -- the library ---------------------------------------------------------------------------------------------------


def test_a_bare_file_without_computer_names_no_account(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    file.write_text(GOOD)
    report = inspect([file])
    assert report.complete
    assert "machine-unknown" in {finding.id for finding in report.findings}
    assert {requirement.account for requirement in report.requirements} == set()
    assert {application.decrypts_as for application in report.applications} == {None}


def test_the_library_reports_what_the_command_line_does(tmp_path: Path, run: Run) -> None:
    bad, good = server(tmp_path / "bad", "BAD", b"<oops"), server(tmp_path / "good", "IIS01")
    _, shown = run(bad, good)
    report = inspect([bad, good])
    assert [(s.name, s.status) for s in report.servers] == [(s["name"], s["status"]) for s in shown["servers"]]
    assert [f.message for f in report.findings] == [f["message"] for f in shown["findings"]]
