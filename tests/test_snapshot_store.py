"""Storing snapshots: that no secret is kept, that nothing else is lost, and that a file appears whole or not at all."""

import base64
import contextlib
import gzip
import json
import os
import re
import stat
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from canaries import CANARY, SECRETS, documents, listed
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from parts import corpus
from work import counted

from agent.errors import MalformedError, UsageError
from agent.iis.effective import effective
from agent.iis.parse import parse
from agent.iis.schema import READ, WINDOWS_AUTHENTICATION
from agent.iis.snapshot import Machine, Snapshot
from agent.names import fold
from agent.sources.snapshots import blanking
from agent.sources.snapshots.blanking import blanked
from agent.sources.snapshots.store import SUFFIX, pack, present, stem, write
from agent.sources.snapshots.targets import expand, from_document, read_target

SAMPLES = sorted(Path(__file__).parents[1].glob("sample_configs/**/*.config"))

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1")


# -- blanking ------------------------------------------------------------------------------------------------------


def names(text: bytes | str) -> list[tuple[str, list[str]]]:
    root = etree.fromstring(text.encode() if isinstance(text, str) else text)
    return [(element.tag, element.keys()) for element in root.iter("*")]


@given(documents())
def test_only_what_is_read_is_left(text: str) -> None:
    """Every value of a made-up file is a canary; another reader of XML says which of them may be left."""
    shown = blanked(text.encode()).decode()
    expected = listed(text)
    assert CANARY.findall(shown) == [canary for value in expected for canary in CANARY.findall(value)]
    assert listed(shown) == expected
    assert names(re.sub("xmlns:x=.[^\"']*", 'xmlns:x="urn:', shown)) == names(
        re.sub("xmlns:x=.[^\"']*", 'xmlns:x="urn:', text)
    )
    assert re.findall(r"\r|\n", shown) == re.findall(r"\r|\n", text)
    assert blanked(shown.encode()).decode() == shown


def test_what_must_stay_and_what_must_never_stay_is_so_listed() -> None:
    """Issue 12, item 4: these are read; passwords, environment variables and customMetadata are not."""
    assert "name" in READ["system.webServer/globalModules/add"]
    assert {"overrideMode", "allowOverride", "path"} <= READ["location"]
    assert "overrideModeDefault" in READ["configSections/section"]
    locked = [path for path in READ if path.startswith(WINDOWS_AUTHENTICATION)]
    assert len(locked) == 9
    assert all({"lockAttributes", "lockItem"} <= READ[path] for path in locked)
    assert not [
        name for names in READ.values() for name in names if re.search("(?i)pass|secret|token(?!Checking)", name)
    ]
    assert not [path for path in READ if re.search("(?i)metadata|environment|settings|connection", path)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_left_in_any_encoding(secret: str, encoding: str) -> None:
    declared = {"latin-1": '<?xml version="1.0" encoding="iso-8859-1"?>\n', "utf-16-be": "\n"}.get(encoding, "")
    text = f"{declared}<configuration>{secret.format(*('Zq1qZ' for _ in range(9)))}</configuration>"
    shown = blanked(text.encode(encoding)).decode(encoding)
    assert not CANARY.search(shown)
    assert shown.count("\n") == text.count("\n")


def test_what_is_read_stays_and_how_it_is_written() -> None:
    text = b"""<configuration>\r
  <configSections><sectionGroup name='a' type=''><section name = 'b' overrideModeDefault="Allow" /></sectionGroup>
  </configSections>
  <location path="a&amp;b" overrideMode="Deny" allowOverride="false"><system.webServer>
    <globalModules><add name="x" image="" /></globalModules>
    <security><authentication><windowsAuthentication lockAttributes="enabled"
      enabled="true"><providers><add value="Negotiate" lockItem="true"/></providers></windowsAuthentication>
    </authentication></security>\t
  </system.webServer></location><!---->
</configuration>
"""
    assert blanked(text) == text


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('version="2Zq1qZ"', 'version="1.0"'),
        ("version='1.0' encoding='UTF-8' standalone='yes'", "version='1.0' encoding='UTF-8' standalone='yes'"),
    ],
)
def test_an_xml_declaration_says_no_more_than_it_must(written: str, kept: str) -> None:
    assert blanked(f"<?xml {written}?><configuration/>".encode()) == f"<?xml {kept}?><configuration/>".encode()


@pytest.mark.parametrize(
    "data",
    [
        b"<?xml version='1.0' encoding='mac-roman'?><a b='\xd6'/>",
        b"<?xml version='1.0' encoding='unicode_escape'?><a b='\\x41'/>",
    ],
)
def test_what_cannot_be_told_for_certain_is_not_kept(data: bytes) -> None:
    with pytest.raises(MalformedError, match="encoding is not known"):
        blanked(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"<a>\n<b></a>", 2), (b"", 1), (b"<!DOCTYPE a [<!ENTITY b 'Zq1qZ'>]><a/>", 1), (b"\n<a b='\xe4'/>", 2)],
)
def test_of_what_is_not_well_formed_the_fault_is_kept(data: bytes, line: int) -> None:
    packed = pack(document(**{"files/C/w/web.config": {"base64": base64.b64encode(data).decode()}}))
    entry = unpacked(packed)["files"]["files/C/w/web.config"]
    assert (entry["text"], entry["line"]) == ("", line)
    file = from_document(packed, "x", None, {}).files["files/c/w/web.config"]
    with pytest.raises(MalformedError) as now:
        file.xml()
    with pytest.raises(MalformedError) as then:
        parse(data, "x/files/C/w/web.config")
    assert str(now.value) == str(then.value)
    assert pack(packed) == packed


@given(st.binary(max_size=60))
def test_any_bytes_are_blanked_or_refused(data: bytes) -> None:
    for encoded in (data, b"\xff\xfe" + data, b"<a>" + data + b"</a>"):
        with contextlib.suppress(MalformedError):
            assert len(blanked(encoded)) <= len(encoded)


@pytest.mark.parametrize(
    "piece",
    ["<a/>", "<a b='>' c=\"'\"/>", "x > y", "<!-- - -->", "<![CDATA[]] >]]>", "<?x ? >?>", "&lt;", "\n", "<a></a>"],
)
def test_hostile_text_costs_what_its_length_costs(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = counted(blanking, monkeypatch)
    assert tally.growth(lambda size: blanked(f"<x>{piece * size}</x>".encode()), 100) < 2.05


@pytest.mark.parametrize("file", [*SAMPLES, *corpus("**/*.config")])
def test_blanking_does_not_change_what_is_judged(file: Path) -> None:
    data = file.read_bytes()
    try:
        shown = blanked(data)
    except MalformedError as error:
        assert (error.line, error.reason) == _judged(data)  # noqa: PT017  of these nothing is kept but that
        return
    assert shown.count(b"\n") == data.count(b"\n")
    assert blanked(shown) == shown
    assert _judged(shown) == _judged(data)


def _judged(data: bytes) -> object:
    """What the program makes of an applicationHost.config or a web.config, or why it makes nothing of it."""
    try:
        document = parse(data, "x")
    except MalformedError as error:
        return error.line, error.reason
    machine = Machine(name="WEB01", domain="test.com", netbios_domain="TEST")
    return effective(document, Snapshot(source="x", machine=machine, files={})), document.faults


# -- packing -------------------------------------------------------------------------------------------------------

CONFIG = '<configuration><x password="geheim"/></configuration>'


def document(**entries: object) -> bytes:
    files = {"applicationHost.config": {"text": CONFIG}, **entries}
    return json.dumps({"schema": "iis-spn/snapshot/1", "machine": {"name": "WEB01"}, "files": files}).encode()


def unpacked(data: bytes) -> dict[str, dict[str, dict[str, str]]]:
    found = json.loads(gzip.decompress(data))
    assert isinstance(found, dict)
    return found


def test_every_entry_is_blanked_and_read_like_the_original() -> None:
    wide = CONFIG.encode("utf-16")
    name = "files/C/a/web.config"
    packed = pack(document(**{name: {"base64": base64.b64encode(wide).decode()}}))
    files = unpacked(packed)["files"]
    assert files["applicationHost.config"] == {"text": CONFIG.replace("geheim", "")}
    assert base64.b64decode(files[name]["base64"]).decode("utf-16") == CONFIG.replace("geheim", "")
    assert from_document(packed, "x", None, {}).machine.name == "WEB01"


def test_only_what_a_snapshot_is_made_of_is_kept() -> None:
    given_ = json.loads(
        document(**{"files/C/notes.txt": {"text": "geheim"}, "administration.config": {"text": "<a/>"}})
    )
    found = unpacked(pack(json.dumps({**given_, "log": "geheim"}).encode()))
    assert sorted(found) == ["files", "machine", "schema"]
    assert sorted(found["files"]) == ["administration.config", "applicationHost.config"]


@pytest.mark.parametrize("entry", ["geheim", 5, None, {"text": 5}, {"base64": "geheim!"}, {"text": "a", "base64": "b"}])
def test_entry_that_cannot_be_blanked_is_not_kept(entry: object) -> None:
    packed = pack(document(**{"redirection.config": entry}))
    assert unpacked(packed)["files"]["redirection.config"].keys() == {"text", "unread"}
    file = from_document(packed, "x", None, {}).files["redirection.config"]
    assert file.error, "told, not passed over"


def test_half_a_character_does_not_spoil_the_other_files() -> None:
    packed = pack(document(**{"redirection.config": {"text": "\ud800"}}))
    found = from_document(packed, "x", None, {}).files
    assert found["applicationhost.config"].error is None
    assert "lone surrogate" in (found["redirection.config"].error or "")


def test_same_document_is_stored_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack(document())
    monkeypatch.setattr(time, "time", lambda: 1.0)
    assert pack(document()) == first
    assert pack(gzip.compress(document())) == first
    assert pack(first) == first


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": "iis-spn/snapshot/9"}', b"\x1f\x8bx", b"geheim"])
def test_what_is_no_snapshot_is_not_stored(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        write(tmp_path, "WEB01", data)
    assert "geheim" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# -- writing -------------------------------------------------------------------------------------------------------


def test_written_snapshot_is_what_inspect_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "new" / "folder", "web01.test.com", document())
    assert path == tmp_path / "new" / "folder" / "web01.test.com.snapshot.json.gz"
    assert expand([str(path.parent)]) == [path]
    found = read_target(path, None, {})
    assert (found.label, found.problems) == ("WEB01", ())
    assert b"geheim" not in found.files["applicationhost.config"].data


@pytest.mark.skipif(sys.platform == "win32", reason="Windows gives a new file the rights of its folder")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = write(tmp_path, "WEB01", document())
    path.chmod(0o644)
    assert stat.S_IMODE(write(tmp_path, "WEB01", document()).stat().st_mode) == 0o600


def test_unfinished_file_is_no_server_and_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "WEB01", document())
    before, seen = path.read_bytes(), []

    def fail(unfinished: Path, _target: Path) -> None:
        seen.extend([expand([str(tmp_path)]), present(tmp_path).keys(), unfinished.read_bytes()])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, "WEB01", document(**{"redirection.config": {"text": "<a/>"}}))
    targets, names, unfinished = seen
    assert targets == [path]
    assert names == {"web01"}
    assert unfinished != before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("WEB01", "WEB01"),
        ("web01.test.com", "web01.test.com"),
        ("web01.test.com.", "web01.test.com"),
        ("10.0.5.2", "10.0.5.2"),
        ("fe80::5", "fe80==5"),
        ("[fe80::5]", "fe80==5"),
        ("FE80:0::5", "fe80==5"),
        ("fe80::5%eth0", "fe80==5%eth0"),
        ("[fe80::5%12]", "fe80==5%12"),
        ("web01:5986", "web01=5986"),
        ("web01.test.com.:5986", "web01.test.com=5986"),
        ("10.0.5.2:15985", "10.0.5.2=15985"),
        ("[fe80::5]:5985", "[fe80==5]=5985"),
        ("[fe80::5%eth0]:5985", "[fe80==5%eth0]=5985"),
        ("fe80::5:5985", "fe80==5=5985"),
        ("b\u00fccher.test.com", "xn--bcher-kva.test.com"),
        ("bu\u0308cher.test.com", "xn--bcher-kva.test.com"),
        (f"{'a' * 63}." * 3 + "test", f"{'a' * 63}." * 3 + "test"),
    ],
)
def test_file_is_named_after_its_server(name: str, file: str) -> None:
    assert stem(name) == file
    assert not set(stem(name)) & set('<>:"/\\|?*'), "Windows has them in no name"


NO_FILES = [
    *("", ".", "..", "../x", "a/b", "a\\b", "C:", "a b", " a", "a ", "*", "*.test.com", "a\0b", "a\n", "-", "a=5985"),
    *("nul", "COM1.test.com", "con:5985", " con", "com\u00b9", f"{'a' * 63}." * 3 + "test.test.test"),
    *(":5985", "a:", "a:b", "a:123456", "a:5985:5986", "[a]:5985", "[fe80::5]5985", "a:\u0665"),
    *(
        "fe80::5%",
        "fe80::5%../x",
        "fe80::5%a/b",
        "[fe80::5%a\\b]:5985",
        "fe80::5%a%b",
        "10.0.0.5%../x",
        "10.0.0.5%eth0",
    ),
]


@pytest.mark.parametrize("name", NO_FILES)
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a server"):
        write(tmp_path, name, document())
    assert list(tmp_path.iterdir()) == []


@given(st.text(alphabet="aA1.:%[]=-/\\ \u00e9\0", max_size=12))
def test_any_name_makes_a_file_of_the_folder_or_none(name: str) -> None:
    try:
        file = stem(name)
    except UsageError as error:
        assert str(error).isprintable()  # noqa: PT017
        return
    assert re.fullmatch(r"[A-Za-z0-9_.%=\[\]-]+", file)
    assert file.strip(".") == file


@pytest.mark.parametrize("name", ["WEB01:5986", "[fe80::5%Eth0]:5985", "fe80::5%Eth0", "10.0.0.5:5986"])
def test_what_was_written_is_present_under_its_stem(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, document())
    assert present(tmp_path).keys() == {fold(stem(name))}
    assert expand([str(tmp_path)]) == [path]
    assert expand([str(path)]) == [path]
    assert read_target(path, None, {}).label == "WEB01"


@pytest.mark.parametrize(
    ("name", "computer"),
    [
        ("web02:5986", "web02"),
        ("web02.test.com:5986", "web02"),
        ("10.0.0.5:5986", None),
        ("fe80::5", None),
        ("[fe80::5]:5985", None),
        ("fe80::5%eth0.7", None),
    ],
)
def test_a_file_says_the_computer_where_its_server_does_not(tmp_path: Path, name: str, computer: str | None) -> None:
    path = write(tmp_path, name, b'{"schema": "iis-spn/snapshot/1", "files": {}}')
    machine = read_target(path, None, {}).machine
    assert (machine.known_name, machine.name and str(machine.name)) == (None, computer), "a guess"


def test_present_snapshots_with_the_time_they_were_written(tmp_path: Path) -> None:
    assert present(tmp_path / "gone") == {}
    path = write(tmp_path, "WEB01.test.com", document())
    now = datetime.fromtimestamp(write(tmp_path, "fe80::5", document()).stat().st_mtime, UTC)
    then = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    os.utime(path, (then.timestamp(), then.timestamp()))
    (tmp_path / f".web02{SUFFIX}.1.tmp").write_bytes(b"")
    (tmp_path / "web03.snapshot").write_bytes(b"")
    assert present(tmp_path) == {"web01.test.com": then, "fe80==5": now}
