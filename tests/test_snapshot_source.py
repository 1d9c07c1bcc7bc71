"""Servers as files: which targets a command line names, and that no content of one can stop or mislead a run."""

import base64
import gzip
import json
import os
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls, counted, peak

from agent.errors import UsageError
from agent.iis.redirection import InForce, configuration_file
from agent.iis.snapshot import CertificateNames, Machine, Snapshot, SourceFile, WorkerProcess
from agent.model import Problem
from agent.names import Guess
from agent.sources.snapshots import machine_file
from agent.sources.snapshots import packed as packed_file
from agent.sources.snapshots.targets import expand, read_target

ROOT = Path(__file__).parents[1]
CONFIG = b"<configuration/>"
MB = 1024 * 1024

MACHINE = {
    "name": "IIS01",
    "dns_name": "iis01.test.com",
    "domain": "test.com",
    "netbios_domain": "TEST",
    "membership": "domain",
    "domain_controller": False,
    "addresses": ["10.0.5.2", "fe80::5:2"],
    "environment": {"SystemDrive": "C:"},
    "registry": {"BackConnectionHostNames": [], "DisableLoopbackCheck": 0, "MaxFieldLength": None},
    "services": {"W3SVC": "running"},
    "worker_processes": [{"pool": "ContosoPool", "pid": 4242, "account": "TEST\\contososvc"}],
    "additional_kerberos_accounts": ["TEST\\EXASA$"],
    "certificate_names": [{"site": "Contoso", "names": ["contoso.test.com", "*.test.com"]}],
    "content": {"looked": True, "unread": [{"path": "\\\\srv\\share\\web.config", "why": "second hop"}]},
    "facts_unread": [{"fact": "services", "why": "access denied"}],
    "collected_at": "2026-11-22T10:00:00Z",
}


def put(path: Path, data: bytes = CONFIG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def server(folder: Path, machine: Mapping[str, object] | str | bytes | None = None) -> Path:
    put(folder / "applicationHost.config")
    if machine is not None:
        data = machine if isinstance(machine, str | bytes) else json.dumps(machine)
        put(folder / "machine.json", data if isinstance(data, bytes) else data.encode())
    return folder


def taken(path: Path, computer: str | None = None, netbios: Mapping[str, str] | None = None) -> Snapshot:
    return read_target(path, computer, netbios or {})


def link(path: Path, target: Path) -> Path:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("making links takes a privilege on Windows")
    return path


def reasons(found: Snapshot) -> list[str]:
    return [problem.message for problem in found.problems]


def why_none(found: Snapshot, kind: str = "config-malformed") -> str:
    """Why no applicationHost.config is in force."""
    answer = configuration_file(found)
    assert answer.file is None
    assert answer.problem is not None
    assert (answer.problem.id, answer.severity) == (kind, "error")
    return answer.problem.message


# -- targets -------------------------------------------------------------------------------------------------------


def test_pattern_leaves_out_what_is_no_server(tmp_path: Path) -> None:
    for name in ("directory.ldif", "zone.txt", "farm.toml", "README.md", "out.json", "a.csv", "b.HTML", ".hidden"):
        put(tmp_path / name)
    wanted = [put(tmp_path / "A.snapshot.json.gz"), put(tmp_path / "B.snapshot.json"), server(tmp_path / "IIS01")]
    assert expand([str(tmp_path / "*")]) == wanted
    assert expand([str(tmp_path / "IIS0?")]) == wanted[2:]


def test_what_is_named_is_never_left_out(tmp_path: Path) -> None:
    named = put(tmp_path / "README.md")
    assert expand([str(named)]) == [named]


def test_existing_name_wins_over_its_reading_as_a_pattern(tmp_path: Path) -> None:
    literal, other = server(tmp_path / "IIS[1]"), server(tmp_path / "IIS1")
    assert expand([str(literal)]) == [literal]
    assert expand([str(tmp_path / "IIS[1*")]) == [literal]
    assert expand([str(tmp_path / "IIS1*")]) == [other]
    if os.name != "nt":
        star = server(tmp_path / "IIS*")
        assert expand([str(star)]) == [star]


def test_each_server_once_in_the_order_given(tmp_path: Path) -> None:
    first, second = server(tmp_path / "B"), server(tmp_path / "A")
    assert expand([str(first), str(tmp_path / "*")]) == [first, second]


@pytest.mark.parametrize("pattern", ["IIS9*", "absent/*.config", "", "a\0b"])
def test_target_that_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        expand([pattern])
    assert f"'{pattern}'" in str(caught.value).replace("\\u0000", "\0")


def test_what_does_not_exist_is_read_and_said(tmp_path: Path) -> None:
    assert expand([str(tmp_path / "absent")]) == [tmp_path / "absent"]
    snapshot = read_target(tmp_path / "absent", None, {})
    assert snapshot.files["applicationhost.config"].error == "no such file"


def test_a_pattern_of_a_target_ends(tmp_path: Path) -> None:
    """`*` of a TARGET is no regular expression that tries every way."""
    for name in ("a" * 120 + ".snapshot", "b.snapshot"):
        put(tmp_path / name)
    assert expand([str(tmp_path / ("*a" * 30 + "*t"))]) == [tmp_path / ("a" * 120 + ".snapshot")]
    with pytest.raises(UsageError, match="matches nothing"):
        expand([str(tmp_path / ("*a" * 30 + "*b"))])


def test_files_that_are_no_server_among_targets_a_shell_expanded(tmp_path: Path) -> None:
    first = server(tmp_path / "A")
    put(tmp_path / "zone.txt")
    assert expand([str(first), str(tmp_path / "zone.txt")]) == [first]
    assert expand([str(tmp_path / "zone.txt")]) == [tmp_path / "zone.txt"]


def test_pattern_that_matches_no_server(tmp_path: Path) -> None:
    put(tmp_path / "zone.txt")
    with pytest.raises(UsageError, match="only files that are no server"):
        expand([str(tmp_path / "*")])


@pytest.mark.parametrize("name", ["APPLICATIONHOST.CONFIG", "machine.json", "Redirection.config"])
def test_folder_is_a_snapshot_by_any_of_its_files(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    server(tmp_path / "inner")
    assert expand([str(tmp_path)]) == [tmp_path]


def test_folder_of_snapshots_is_looked_into_one_level(tmp_path: Path) -> None:
    inner = [server(tmp_path / "A"), put(tmp_path / "B.snapshot"), put(tmp_path / "C.snapshot.json.gz")]
    put(tmp_path / "notes.txt")
    server(tmp_path / "deep" / "D")
    assert expand([str(tmp_path)]) == inner


def test_folder_without_configuration_stays_a_target(tmp_path: Path) -> None:
    put(tmp_path / "IIS01" / "notes.txt")
    assert expand([str(tmp_path / "IIS01")]) == [tmp_path / "IIS01"]
    found = taken(tmp_path / "IIS01")
    assert found.label == "IIS01"
    assert why_none(found) == "no applicationHost.config"


# -- a bare file ---------------------------------------------------------------------------------------------------


def test_bare_file(tmp_path: Path) -> None:
    path = put(tmp_path / "anything.config")
    found = taken(path)
    assert found.machine == Machine()
    assert configuration_file(found) == InForce(SourceFile(str(path), CONFIG))


def test_file_of_no_bytes_is_left_to_the_parser(tmp_path: Path) -> None:
    assert configuration_file(taken(put(tmp_path / "a.config", b""))).file == SourceFile(
        str(tmp_path / "a.config"), b""
    )


def test_size_is_looked_at_before_reading(tmp_path: Path) -> None:
    path = put(tmp_path / "applicationHost.config")
    os.truncate(path, 64 * MB + 1)
    assert why_none(taken(path)) == "larger than 64 MB"
    assert why_none(taken(tmp_path)) == "larger than 64 MB"
    os.truncate(path, 64 * MB)
    assert configuration_file(taken(path)).file is not None


def test_broken_link(tmp_path: Path) -> None:
    broken = link(tmp_path / "applicationHost.config", tmp_path / "gone.config")
    assert expand([str(broken)]) == [broken]
    assert why_none(taken(broken)) == "a link whose target does not exist"
    circle = link(tmp_path / "circle.config", tmp_path / "circle.config")
    assert "cannot be read" in why_none(taken(circle))


def test_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "applicationHost.config").mkdir()
    assert why_none(taken(tmp_path)) == "a folder, not a file"


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = put(tmp_path / "applicationHost.config")
    monkeypatch.setattr(Path, "open", deny)  # whoever runs this test may be root
    assert why_none(taken(path), "source-unreadable") == "access denied"


def test_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    found = taken(server(tmp_path / "IIS01"))
    assert reasons(found) == ["the folder could not be listed: access denied"]
    assert configuration_file(found) == InForce(None), "said once, not twice"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among its files")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "applicationHost.config")
    assert why_none(taken(tmp_path)) == "a device or a pipe, not a file"


# -- a snapshot folder ---------------------------------------------------------------------------------------------


def test_only_files_that_matter_are_loaded_under_folded_paths(tmp_path: Path) -> None:
    server(tmp_path, MACHINE)
    put(tmp_path / "administration.config")
    put(tmp_path / "Redirection.config")
    put(tmp_path / "files/C/inetpub/WWWroot/Web.config", b"<one/>")
    put(tmp_path / "FILES/UNC/srv/Share/auth.config")
    put(tmp_path / "files/C/inetpub/wwwroot/index.html")
    put(tmp_path / "other/web.config")
    found = taken(tmp_path)
    assert sorted(found.files) == [
        "applicationhost.config",
        "files/c/inetpub/wwwroot/web.config",
        "files/unc/srv/share/auth.config",
        "redirection.config",
    ]
    web = found.files["files/c/inetpub/wwwroot/web.config"]
    assert web == SourceFile(f"{tmp_path}/files/C/inetpub/WWWroot/Web.config", b"<one/>")
    assert found.problems == ()


def test_name_is_shown_as_the_path_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tmp_path / "farm/IIS01")
    monkeypatch.chdir(tmp_path)
    assert (
        taken(Path("farm/IIS01")).files["applicationhost.config"].name == f"{Path('farm/IIS01')}/applicationHost.config"
    )


def test_name_that_would_drive_a_terminal_is_written_out(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows refuses such names")
    put(tmp_path / "files/c/\x1b[2J/web.config")
    (file,) = taken(tmp_path).files.values()
    assert "\x1b" not in file.name
    assert "\\u001b[2J" in file.name


def test_two_names_that_differ_in_case_only(tmp_path: Path) -> None:
    server(tmp_path)
    put(tmp_path / "ApplicationHost.config")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell cases apart")
    assert "twice" in why_none(taken(tmp_path))


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    secret = put(tmp_path / "outside/secret.config", b"<secret/>")
    inside = tmp_path / "IIS01"
    (inside / "files/c").mkdir(parents=True)
    link(inside / "applicationHost.config", secret)
    link(inside / "files/c/web.config", secret)
    link(inside / "files/d", secret.parent)
    found = taken(inside)
    assert "leads out of the snapshot" in why_none(found)
    assert "leads out of the snapshot" in (found.files["files/c/web.config"].error or "")
    assert [(problem.id, problem.file) for problem in found.problems] == [("content-unread", f"{inside}/files/d")]
    assert all(b"secret" not in file.data for file in found.files.values())


def test_link_within_the_folder_is_followed_to_a_file_and_never_round_in_circles(tmp_path: Path) -> None:
    real = put(tmp_path / "files/c/site/web.config", b"<one/>")
    link(tmp_path / "files/c/web.config", real)
    link(tmp_path / "files/c/site/up", tmp_path / "files")
    found = taken(tmp_path)
    assert found.files["files/c/web.config"].data == b"<one/>"
    assert len(found.files) == 2
    assert len(found.problems) == 1


def test_folder_deeper_than_python_recurses(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no paths that long")
    folders = [tmp_path / "files"]
    for _ in range(1500):
        folders.append(folders[-1] / "d")
    for folder in folders:
        folder.mkdir()
    web = put(folders[-1] / "web.config")
    found = taken(tmp_path)
    web.unlink()
    for folder in reversed(folders):  # pytest's own clearing up would recurse
        folder.rmdir()
    assert (len(found.files), found.problems) == (1, ())


def test_folder_of_more_than_the_memory_spared_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sources.snapshots.folder.MAXIMUM_FOLDER", MB)
    put(tmp_path / "applicationHost.config", b"<" * MB)
    put(tmp_path / "files/c/web.config")
    found = taken(tmp_path)
    assert [file.error for file in found.files.values()] == [None, "the snapshot holds more than 1 MB"]


# -- machine.json --------------------------------------------------------------------------------------------------


def test_every_fact_of_machine_json(tmp_path: Path) -> None:
    found = taken(server(tmp_path, MACHINE))
    assert found.problems == ()
    assert found.machine == Machine(
        name="IIS01",
        dns_name="iis01.test.com",
        domain="test.com",
        netbios_domain="TEST",
        membership="domain",
        domain_controller=False,
        addresses=("10.0.5.2", "fe80::5:2"),
        environment={"SystemDrive": "C:"},
        registry={"BackConnectionHostNames": [], "DisableLoopbackCheck": 0},
        services={"W3SVC": "running"},
        worker_processes=(WorkerProcess("ContosoPool", 4242, r"TEST\contososvc"),),
        additional_kerberos_accounts=(r"TEST\EXASA$",),
        certificate_names=(CertificateNames("Contoso", ("contoso.test.com", "*.test.com")),),
        content_looked=True,
        unread=((r"\\srv\share\web.config", "second hop"),),
        facts_unread=(("services", "access denied"),),
        collected_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )


def test_schema_names_every_key_that_is_read() -> None:
    schema = json.loads((ROOT / "docs/snapshot.schema.json").read_text("utf-8"))
    machine = schema["$defs"]["machine"]["properties"]
    assert set(machine) == set(MACHINE)
    assert set(schema["properties"]) == {"schema", "machine", "files"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_machine_json_as_powershell_writes_it(tmp_path: Path, encoding: str) -> None:
    found = taken(server(tmp_path, json.dumps(MACHINE).encode(encoding)))
    assert (found.machine.name, found.problems) == ("IIS01", ())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b"", 1, "the file is empty"),
        (b'{\n "name": "IIS01",\n}', 3, "not JSON"),
        (b'{"name": "IIS01"', 1, "not JSON"),
        (b'{\n"name": "\xff"}', 2, "not JSON: not utf-8 text"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"name": ' + b"1" * 5_000 + b"}", None, "not JSON"),
        (b'["IIS01"]', None, "a JSON object is expected"),
        (b"{}", None, "key 'name' is missing"),
    ],
)
def test_machine_json_that_says_nothing(tmp_path: Path, text: bytes, line: int | None, said: str) -> None:
    found = taken(server(tmp_path / "IIS07", text))
    (problem,) = found.problems
    assert said in problem.message
    assert (problem.id, problem.file, problem.line) == ("config-malformed", f"{tmp_path / 'IIS07'}/machine.json", line)
    assert (found.machine.known_name, found.label) == (None, "IIS07"), "what the folder is called is a guess"
    assert configuration_file(found).file is not None, "the rest is still read"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 7),
        ("name", "iis01.test.com"),
        ("name", "IIS\x1b01"),
        ("name", "\ud800"),
        ("dns_name", "iis 01"),
        ("dns_name", "10.0.0.1"),
        ("domain", ["test.com"]),
        ("netbios_domain", "TEST\\x"),
        ("netbios_domain", "SIXTEENCHARACTER"),
        ("membership", "forest"),
        ("domain_controller", "no"),
        ("addresses", "10.0.5.2"),
        ("addresses", ["10.0.5.999"]),
        ("environment", {"SystemDrive": None}),
        ("environment", ["C:"]),
        ("registry", []),
        ("registry", {"MaxFieldLength": "16384"}),
        ("registry", {"DisableLoopbackCheck": True}),
        ("registry", {"BackConnectionHostNames": "a.b"}),
        ("services", {"W3SVC": 4}),
        ("worker_processes", [{"pool": "P"}]),
        ("worker_processes", [1]),
        ("additional_kerberos_accounts", "TEST\\EXASA$"),
        ("additional_kerberos_accounts", ["EXASA$"]),
        ("additional_kerberos_accounts", ["TEST\\"]),
        ("certificate_names", [{"site": "A"}]),
        ("certificate_names", [{"names": ["a.test.com"]}]),
        ("certificate_names", [{"site": "A", "names": "a.test.com"}]),
        ("content", {"looked": "yes"}),
        ("content", {"looked": True, "unread": ["C:\\x"]}),
        ("facts_unread", [{"fact": "services"}]),
        ("collected_at", "yesterday"),
    ],
)
def test_value_of_the_wrong_kind_is_told_and_the_rest_is_used(tmp_path: Path, key: str, value: object) -> None:
    found = taken(server(tmp_path, {**MACHINE, key: value}))
    (problem,) = found.problems
    assert problem.message.startswith(f"key '{key}' is ignored: ")
    assert problem.message.isprintable()
    assert problem.file == f"{tmp_path}/machine.json"
    kept = taken(server(tmp_path, {k: v for k, v in MACHINE.items() if k != key} | {"name": "IIS01"})).machine
    if key != "name":
        assert repr(found.machine) == repr(kept), "as if it had not been given"


@pytest.mark.parametrize("key", ["additional_kerberos_accounts", "certificate_names"])
def test_none_known_and_known_to_be_none_are_two_things(tmp_path: Path, key: str) -> None:
    said = taken(server(tmp_path, {**MACHINE, key: []})).machine
    assert getattr(said, key) == ()
    for facts in ({**MACHINE, key: None}, {name: MACHINE[name] for name in MACHINE if name != key}):
        found = taken(server(tmp_path, facts))
        assert (getattr(found.machine, key), found.problems) == (None, ())


def test_blank_at_the_end_of_an_unread_path_is_kept_for_it_names_another_folder(tmp_path: Path) -> None:
    content = {"looked": True, "unread": [{"path": "C:\\web ", "why": "a name in it ends in a blank"}]}
    assert [path for path, _ in taken(server(tmp_path, {**MACHINE, "content": content})).machine.unread] == ["C:\\web "]


def test_moment_without_a_zone_is_utc(tmp_path: Path) -> None:
    found = taken(server(tmp_path, {**MACHINE, "collected_at": "2026-11-22T10:00:00"}))
    assert found.machine.collected_at == datetime(2026, 11, 22, 10, tzinfo=UTC)


# -- names that are not said ---------------------------------------------------------------------------------------


def names(machine: Machine) -> tuple[str | None, ...]:
    """Guessed ones in brackets."""
    said = (machine.name, machine.dns_name, machine.domain, machine.netbios_domain)
    return tuple(f"({name})" if isinstance(name, Guess) else name for name in said)


@pytest.mark.parametrize(
    ("computer", "netbios", "expected"),
    [
        ("iis01.test.com", {}, ("IIS01", "iis01.test.com", "test.com", None)),
        ("IIS01.test.com.", {"": "CORP"}, ("IIS01", "IIS01.test.com", "test.com", "CORP")),
        ("iis01.test.com", {"test.com": "OLD", "": "CORP"}, ("IIS01", "iis01.test.com", "test.com", "OLD")),
        ("iis01.test.com", {"other.com": "OTHER"}, ("IIS01", "iis01.test.com", "test.com", None)),
        ("a-very-long-server.test.com", {}, ("A-VERY-LONG-SER", "a-very-long-server.test.com", "test.com", None)),
        ("iis01", {}, ("IIS01", None, None, None)),
        ("iis01", {"": "CORP"}, ("IIS01", None, None, "CORP")),
        (None, {}, (None, None, None, None)),
    ],
)
def test_names_of_a_bare_file(
    tmp_path: Path, computer: str | None, netbios: Mapping[str, str], expected: tuple[str | None, ...]
) -> None:
    found = taken(put(tmp_path / "applicationHost.config"), computer, netbios)
    assert (names(found.machine), found.problems) == (expected, ())


@pytest.mark.parametrize("computer", ["10.0.0.1", "*.test.com", "a b", ""])
def test_name_from_elsewhere_that_names_no_computer(tmp_path: Path, computer: str) -> None:
    found = taken(put(tmp_path / "applicationHost.config"), computer)
    assert names(found.machine) == (None, None, None, None)
    assert [problem.id for problem in found.problems] == ["machine-unknown"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"domain": "Test.com"}, ("IIS01", "(iis01.test.com)", "Test.com", None)),
        ({"dns_name": "iis01.dmz.org", "domain": "test.com"}, ("IIS01", "iis01.dmz.org", "test.com", None)),
        ({"dns_name": "iis01.test.com"}, ("IIS01", "iis01.test.com", "test.com", None)),
        ({"dns_name": "iis01.test.com", "netbios_domain": "OLD"}, ("IIS01", "iis01.test.com", "test.com", "OLD")),
        ({"dns_name": "iis01.test.com", "membership": "workgroup"}, ("IIS01", "iis01.test.com", None, None)),
        ({"dns_name": "iis01.test.com", "membership": "entra"}, ("IIS01", "iis01.test.com", None, None)),
        ({"membership": "domain"}, ("IIS01", None, None, None)),
    ],
)
def test_names_that_follow_from_machine_json(
    tmp_path: Path, said: Mapping[str, object], expected: tuple[str | None, ...]
) -> None:
    assert names(taken(server(tmp_path, {"name": "IIS01", **said})).machine) == expected


def test_name_from_elsewhere_fills_only_what_is_missing(tmp_path: Path) -> None:
    folder = server(tmp_path, {"name": "iis01", "netbios_domain": "OLD"})
    assert names(taken(folder, "IIS01.test.com").machine) == ("iis01", "IIS01.test.com", "test.com", "OLD")


def test_name_of_another_computer_is_not_mixed_in(tmp_path: Path) -> None:
    found = taken(server(tmp_path, {"name": "IIS01"}), "iis02.test.com")
    assert names(found.machine) == ("IIS01", None, None, None)
    assert reasons(found) == ["it is IIS01, not iis02.test.com, which is ignored"]


@pytest.mark.parametrize(
    ("folder", "name"), [("WEB01", "(WEB01)"), ("web01.test.com", "(web01)"), ("2026", None), ("my server", None)]
)
def test_folder_may_be_named_after_its_computer(tmp_path: Path, folder: str, name: str | None) -> None:
    assert names(taken(server(tmp_path / folder)).machine) == (name, None, None, None)


# -- a snapshot file -----------------------------------------------------------------------------------------------


def packed(folder: Path, content: object = None, files: object = None, name: str = "IIS09.snapshot.json.gz") -> Path:
    document = {"schema": "iis-spn/snapshot/1", "machine": MACHINE, "files": files} if content is None else content
    data = content if isinstance(content, bytes) else gzip.compress(json.dumps(document).encode(), 1)
    return put(folder / name, data)


def test_snapshot_file(tmp_path: Path) -> None:
    files = {
        "applicationHost.config": {"text": "<configuration/>"},
        "Files\\C\\inetpub\\web.config": {"base64": base64.b64encode(b"<one/>").decode()},
        "files/UNC/srv/share/./auth.config": {"text": "<é/>"},
        "administration.config": {"text": "<two/>"},
        "files/C/inetpub/index.html": {"text": "three"},
    }
    path = packed(tmp_path, files=files)
    found = taken(path)
    assert found.problems == ()
    assert found.machine.name == "IIS01"
    assert found.files == {
        "applicationhost.config": SourceFile(f"{path}/applicationHost.config", CONFIG),
        "files/c/inetpub/web.config": SourceFile(f"{path}/Files/C/inetpub/web.config", b"<one/>"),
        "files/unc/srv/share/auth.config": SourceFile(f"{path}/files/UNC/srv/share/auth.config", "<é/>".encode()),
    }


def test_snapshot_file_that_is_not_compressed(tmp_path: Path) -> None:
    content = json.dumps({"schema": "iis-spn/snapshot/1", "files": {"applicationHost.config": {"text": "<a/>"}}})
    found = taken(put(tmp_path / "IIS09.snapshot.json", content.encode("utf-16")))
    assert found.problems == ()
    assert found.label == "IIS09", "the file's own name serves"
    assert Snapshot(source="here", machine=Machine(name="IIS01"), files={}).label == "IIS01"
    assert Snapshot(source="here", machine=Machine(), files={}).label == "here"
    assert configuration_file(found).file is not None


def test_text_has_the_encoding_its_declaration_names(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="{}"?><é/>'
    files = {
        f"files/c/{name}/web.config": {"text": text.format(name)}
        for name in ("UTF-16", "utf-16le", "iso-8859-1", "windows-1252", "utf-8", "punycode", "iso-8859-99")
    }
    found = {key.split("/")[2]: file.data for key, file in taken(packed(tmp_path, files=files)).files.items()}
    assert found["utf-16"].startswith((b"\xff\xfe", b"\xfe\xff"))
    assert found["utf-16le"].decode("utf-16").endswith("<é/>")
    assert found["iso-8859-1"].endswith(b"<\xe9/>")
    assert found["windows-1252"].endswith(b"<\xe9/>")
    assert all(found[name].endswith("<é/>".encode()) for name in ("utf-8", "punycode", "iso-8859-99"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../applicationHost.config", "leads upwards"),
        ("files/c/../../../etc/x.config", "leads upwards"),
        ("files\\..\\..\\x.config", "leads upwards"),
        ("files/.. /x.config", "leads upwards"),
        ("/etc/web.config", "absolute"),
        ("\\\\srv\\share\\web.config", "absolute"),
        ("C:\\inetpub\\web.config", "a drive or a stream"),
        ("files/c/web.config:hidden.config", "a drive or a stream"),
        ("files/c/\0/web.config", "control or invisible"),
        ("files/c/\u202e/web.config", "control or invisible"),
        ("files/c/\ud800/web.config", "control or invisible"),
    ],
)
def test_path_that_leads_elsewhere(tmp_path: Path, path: str, said: str) -> None:
    found = taken(packed(tmp_path, files={path: {"text": "<a/>"}, "applicationHost.config": {"text": "<a/>"}}))
    assert list(found.files) == ["applicationhost.config"]
    (problem,) = found.problems
    assert problem.id == "config-malformed"
    assert said in problem.message
    assert problem.message.isprintable()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("<a/>", "neither text nor base64"),
        ({}, "neither text nor base64"),
        ({"text": "a", "base64": "YQ=="}, "neither text nor base64"),
        ({"text": 5}, "text is not a string"),
        ({"base64": None}, "base64 is not a string"),
        ({"base64": "YQ="}, "the base64 text is damaged"),
        ({"base64": "é"}, "the base64 text is damaged"),
        ({"text": "\ud800"}, "lone surrogate"),
        ({"text": "<" * (64 * MB + 1)}, "larger than 64 MB"),
    ],
    ids=range(9),
)
def test_entry_that_cannot_be_used(tmp_path: Path, entry: object, said: str) -> None:
    assert said in why_none(taken(packed(tmp_path, files={"applicationHost.config": entry})))


def test_entries_whose_paths_differ_in_case_only(tmp_path: Path) -> None:
    files = {"applicationHost.config": {"text": "<a/>"}, "APPLICATIONHOST.config": {"text": "<b/>"}}
    assert "twice" in why_none(taken(packed(tmp_path, files=files)))


GOOD = gzip.compress(b'{"schema": "iis-spn/snapshot/1", "files": {}}', mtime=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\x1f\x8b", "the gzip data is cut off"),
        (GOOD[:-9], "the gzip data is cut off"),
        (GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:], "the gzip data is damaged"),
        (GOOD + GOOD, "something stands behind the gzip data"),
        (GOOD + b"tail", "something stands behind the gzip data"),
        (b"\x1f\x8bnonsense", "the gzip data is damaged"),
        (b"MZ\x90\0\0\0", "not JSON"),
        ([], "a JSON object is expected"),
        ({}, "its schema is 'None'; this version reads iis-spn/snapshot/1"),
        ({"schema": "iis-spn/snapshot/2"}, "its schema is 'iis-spn/snapshot/2'"),
        ({"schema": "iis-spn/snapshot/1"}, "files is not an object"),
        ({"schema": "iis-spn/snapshot/1", "files": []}, "files is not an object"),
    ],
)
def test_snapshot_file_that_cannot_be_read(tmp_path: Path, content: object, said: str) -> None:
    path = packed(tmp_path, [] if content == [] else content)
    found = taken(path)
    (problem,) = found.problems
    assert said in problem.message
    assert (problem.id, problem.file) == ("config-malformed", str(path))
    assert found.label == "IIS09"
    assert configuration_file(found) == InForce(None), "said once, not twice"


def test_machine_of_the_wrong_kind_does_not_hide_the_files(tmp_path: Path) -> None:
    content = {"schema": "iis-spn/snapshot/1", "machine": 5, "files": {"applicationHost.config": {"text": "<a/>"}}}
    found = taken(packed(tmp_path, content))
    assert reasons(found) == ["not the facts of a machine: a JSON object is expected"]
    assert configuration_file(found).file is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ENTRY = st.dictionaries(st.sampled_from(["text", "base64"]), _JSON, max_size=2) | _JSON
_PATH = st.sampled_from(["applicationHost.config", "redirection.config", "files/c/web.config"]) | st.text(max_size=20)


@settings(max_examples=200)
@given(
    machine=st.dictionaries(st.sampled_from(sorted(MACHINE)), _JSON, max_size=6) | _JSON,
    files=st.dictionaries(_PATH, _ENTRY, max_size=4) | _JSON,
)
def test_nothing_in_a_snapshot_can_stop_the_run(
    tmp_path_factory: pytest.TempPathFactory, machine: object, files: object
) -> None:
    content = json.dumps({"schema": "iis-spn/snapshot/1", "machine": machine, "files": files})
    path = put(tmp_path_factory.getbasetemp() / "fuzz.snapshot.json", content.encode())
    found = taken(path, "iis01.test.com")
    configuration_file(found)
    shown = [found.label, *reasons(found), *(file.name + (file.error or "") for file in found.files.values())]
    assert all(text.encode() for text in shown), "it can be written to a report"


def test_line_of_a_fault_in_the_json(tmp_path: Path) -> None:
    (problem,) = taken(packed(tmp_path, gzip.compress(b'{\n"schema": 1,\n}'))).problems
    assert problem.line == 3


def test_bomb_of_zeros(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(MB)) for _ in range(300)), packer.flush()])
    assert len(bomb) < MB
    assert reasons(taken(packed(tmp_path, bomb))) == ["larger than 256 MB when unpacked"]


def test_no_more_is_unpacked_than_tells_that_it_is_too_large() -> None:
    bomb = gzip.compress(bytes(50 * MB))
    assert peak(lambda: packed_file.unzip(bomb, "x", MB)) < 3 * MB
    assert peak(lambda: packed_file.unzip(bomb, "x")) > 50 * MB


def test_bomb_of_many_members(tmp_path: Path) -> None:
    def cost(members: int) -> int:
        path = packed(tmp_path, gzip.compress(b"") * members)
        return calls(lambda: taken(path))

    assert reasons(taken(packed(tmp_path, gzip.compress(b"") * 3))) == ["something stands behind the gzip data"]
    assert cost(100_000) == cost(3)


def test_bomb_of_values(tmp_path: Path) -> None:
    def bomb(values: int) -> Path:
        start = b'{"schema": "iis-spn/snapshot/1", "files": ['
        return packed(tmp_path, gzip.compress(start + b"[]," * values + b"[]]}", 1))

    def cost(values: int) -> int:
        path = bomb(values)
        return calls(lambda: taken(path))

    assert reasons(taken(bomb(1_000_000))) == ["not a snapshot: more than 2000000 values"]
    assert cost(2_000_000) == cost(1_000_000)


def test_string_without_an_end_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_file, "MAXIMUM_VALUES", 10)  # of fewer signs than that nothing is looked at
    tally = counted(machine_file, monkeypatch)

    def look(size: int) -> None:
        assert "not JSON" in reasons(taken(packed(tmp_path, gzip.compress(b'{"' + b'\\"' * size, 1))))[0]

    assert tally.growth(look, 200) < 2.05


# -- what collect.ps1 prints ---------------------------------------------------------------------------------------


def framed(document: object) -> str:
    content = base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()
    lines = "".join(f"|{content[at : at + 200]}|\r\n" for at in range(0, len(content), 200))
    return f"iis-spn-snapshot 1 gzip {len(content)}\r\n{lines}iis-spn-snapshot end {len(content)}\r\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_framed_snapshot_is_the_same_as_the_packed_one(tmp_path: Path, encoding: str) -> None:
    document = {
        "schema": "iis-spn/snapshot/1",
        "machine": MACHINE,
        "files": {"applicationHost.config": {"text": "<é/>"}, "files/C/x/web.config": {"text": "<a/>"}},
    }
    printed = put(tmp_path / "IIS01.snapshot", framed(document).encode(encoding))
    assert expand([str(tmp_path)]) == [printed]
    found, same = taken(printed), taken(packed(tmp_path, document, name="IIS01.snapshot.json.gz"))
    assert (found.machine, found.problems) == (same.machine, ())
    assert {key: file.data for key, file in found.files.items()} == {key: f.data for key, f in same.files.items()}
    assert found.files["files/c/x/web.config"].name == f"{printed}/files/C/x/web.config"


def test_framed_snapshot_that_was_cut_off(tmp_path: Path) -> None:
    path = put(tmp_path / "IIS01.snapshot", b"hello\r\niis-spn-snapshot 1 gzip 4242\r\n|H4sI")
    found = taken(path)
    assert found.problems == (
        Problem(id="config-malformed", message="cut off after 4 of 4242 characters", file=str(path), line=3),
    )
    assert found.label == "IIS01"
    assert configuration_file(found) == InForce(None), "said once, not twice"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("C:\\Windows\\System32\\inetsrv\\config\\applicationHost.config", "access denied"),
        ("D:\\w\\Sysnative\\inetsrv\\Config\\redirection.config", "access denied; so it is not known which"),
    ],
)
def test_configuration_that_the_collector_could_not_open(tmp_path: Path, path: str, why: str) -> None:
    machine = {"name": "A", "content": {"looked": False, "unread": [{"path": path, "why": "access denied"}]}}
    found = taken(packed(tmp_path, {"schema": "iis-spn/snapshot/1", "machine": machine, "files": {}}))
    assert why_none(found, "source-unreadable").startswith(why)


def test_file_of_a_config_source_that_the_collector_could_not_open(tmp_path: Path) -> None:
    unread = [{"path": "C:\\x\\auth.config", "why": "access denied"}, {"path": "C:\\x\\web.config", "why": "y"}]
    machine = {"name": "A", "content": {"looked": True, "unread": unread}}
    found = taken(packed(tmp_path, {"schema": "iis-spn/snapshot/1", "machine": machine, "files": {}}))
    assert found.files == {
        "files/c/x/auth.config": SourceFile("C:\\x\\auth.config", b"", "access denied", is_refused=True)
    }


# -- shared configuration ------------------------------------------------------------------------------------------

REDIRECTION = """\
<configuration>
  <configSections><section name="configurationRedirection" /></configSections>
  <configurationRedirection {} />
</configuration>"""


def redirected(folder: Path, attributes: str, machine: Mapping[str, object] | None = None) -> Snapshot:
    server(folder, machine or MACHINE)
    put(folder / "redirection.config", REDIRECTION.format(attributes).encode())
    return taken(folder)


@pytest.mark.parametrize("attributes", ["", 'enabled="false" path="\\\\srv\\share"', 'enabled="False"'])
def test_redirection_that_is_not_in_force(tmp_path: Path, attributes: str) -> None:
    answer = configuration_file(redirected(tmp_path, attributes))
    assert answer == InForce(SourceFile(f"{tmp_path}/applicationHost.config", CONFIG))
    assert answer.severity is None


def test_shared_configuration_is_read_in_place_of_the_local_copy(tmp_path: Path) -> None:
    put(tmp_path / "files/UNC/srv/Share/applicationHost.config", b"<shared/>")
    attributes = 'enabled="true" path="\\\\SRV\\share\\" userName="TEST\\u" password="geheim"'
    answer = configuration_file(redirected(tmp_path, attributes))
    assert answer.file == SourceFile(f"{tmp_path}/files/UNC/srv/Share/applicationHost.config", b"<shared/>")
    assert answer.severity == "info"
    assert answer.shared_path == "\\\\SRV\\share\\"
    assert answer.shared_key == "files/unc/srv/share/applicationhost.config"
    assert answer.problem == Problem(
        id="shared-configuration",
        message="redirection.config is in force: the configuration is shared, in \\\\SRV\\share\\; "
        "the local copy is not read",
        file=f"{tmp_path}/redirection.config",
        line=3,
    )
    assert "geheim" not in repr(answer)


def test_folder_on_a_drive_is_not_shared_with_another_server(tmp_path: Path) -> None:
    put(tmp_path / "files/D/iis/applicationHost.config")
    answer = configuration_file(
        redirected(tmp_path, 'enabled="true" path="%Data%/iis"', {"name": "A", "environment": {"DATA": "D:"}})
    )
    assert answer.file is not None
    assert (answer.shared_path, answer.shared_key) == ("%Data%/iis", None)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("\\\\other\\share", "it is not part of what was collected"),
        ("%Nobody%\\iis", "a variable that is not known"),
        ("..\\iis", "the path is relative"),
        ("\\\\srv\\broken", "a link whose target does not exist"),
        ("\\\\srv\\told", "logon failure"),
    ],
)
def test_shared_configuration_that_could_not_be_read(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "files/UNC/srv/broken").mkdir(parents=True)
    link(tmp_path / "files/UNC/srv/broken/applicationHost.config", tmp_path / "gone.config")
    unread = [{"path": r"\\SRV\told\applicationHost.config", "why": "logon failure"}]
    machine = {"name": "A", "content": {"looked": True, "unread": unread}}
    found = redirected(tmp_path, f'enabled="true" path="{path}"', machine)
    answer = configuration_file(found)
    assert (answer.file, answer.severity) == (None, "error")
    assert answer.problem is not None
    assert answer.problem.id == "shared-configuration"
    assert said in answer.problem.message


@pytest.mark.parametrize(
    ("attributes", "line", "said"),
    [
        ('enabled="true"', 3, "no path"),
        ('enabled="1" path="C:\\x"', 3, "enabled must be true or false, not '1'"),
        ("<", 3, "not well-formed"),
    ],
)
def test_redirection_that_cannot_tell(tmp_path: Path, attributes: str, line: int, said: str) -> None:
    found = redirected(tmp_path, attributes)
    assert said in why_none(found)
    answer = configuration_file(found)
    assert answer.problem is not None
    assert (answer.problem.file, answer.problem.line) == (f"{tmp_path}/redirection.config", line)


def test_redirection_that_cannot_be_opened_or_is_misspelt(tmp_path: Path) -> None:
    server(tmp_path)
    (tmp_path / "redirection.config").mkdir()
    assert why_none(taken(tmp_path)).startswith("a folder, not a file; so it is not known")
    (tmp_path / "redirection.config").rmdir()
    put(tmp_path / "redirection.config", b'<configuration><ConfigurationRedirection enabled="true"/></configuration>')
    assert "IIS knows <configurationRedirection>" in why_none(taken(tmp_path))


@pytest.mark.parametrize("folder", sorted(ROOT.glob("sample_configs/IIS*")), ids=lambda path: path.name)
def test_samples_are_read_without_a_problem(folder: Path) -> None:
    found = taken(folder)
    assert found.problems == ()
    assert found.machine.name == folder.name
    assert configuration_file(found).file is not None
