"""The frame of collect.ps1: what arrives whole is read, whatever it passed through; what does not is refused."""

import base64
import gzip
import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import calls, counted

from agent.errors import MalformedError
from agent.sources.snapshots import framed as frame
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.targets import from_document

MB = 1024 * 1024
DOCUMENT = json.dumps(
    {
        "schema": "iis-spn/snapshot/1",
        "machine": {"name": "WEB01", "dns_name": "web01.test.com"},
        "files": {"applicationHost.config": {"text": "<configuration/>" + "<!-- Grüße | -->" * 400}},
    },
    ensure_ascii=False,
)


def framed(content: str, packing: str = "gzip", width: int = 200, announced: int | None = None) -> str:
    """The frame as docs/snapshot.md describes it, around any content."""
    lines = [content[at : at + width] for at in range(0, len(content), width)]
    count = len(content) if announced is None else announced
    edges = f"iis-spn-snapshot 1 {packing} {count}", f"iis-spn-snapshot end {len(content)}"
    return "\r\n".join([edges[0], *(f"|{line}|" for line in lines), edges[1], ""])


def zipped(document: str = DOCUMENT) -> str:
    return framed(base64.b64encode(gzip.compress(document.encode(), mtime=0)).decode())


def printed(document: str = DOCUMENT) -> str:
    """As Constrained Language prints it: JSON in ASCII, the bar escaped as well."""
    return framed(json.dumps(json.loads(document)).replace("|", "\\u007c"), "text")


EMPTY = gzip.compress(b"{}", mtime=0)
BOTH = pytest.mark.parametrize("answer", [zipped(), printed()], ids=["gzip", "text"])


def read(data: bytes | str) -> object:
    return json.loads(unframe(data.encode() if isinstance(data, str) else data, "x"))


def refused(data: bytes | str) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        unframe(data.encode() if isinstance(data, str) else data, "WEB01.snapshot")
    assert caught.value.file == "WEB01.snapshot"
    assert caught.value.reason.isprintable()
    return caught.value


# -- what is read --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\r\n", "\n").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.removesuffix("\r\n").encode(),
        lambda text: b"Welcome to WEB01\xff\r\n\r\n" + text.encode(),
        lambda text: text.encode() + b"#< CLIXML\r\n<Objs Version='1.1.0.1'></Objs>",
        lambda text: b"iis-spn-snapshot end 5\r\niis-spn-snapshot is ours\r\n" + text.encode(),
        lambda text: ("PS> type 'iis-spn-snapshot 1 gzip 4'\r\n" + text).encode("utf-16"),
        lambda text: "\r\n".join(line[at : at + 80] for line in text.split("\r\n") for at in (0, 80, 160)).encode(),
    ],
    ids=[
        "as is",
        "LF",
        "UTF-16",
        "UTF-16 BE",
        "BOM",
        "no last line break",
        "before",
        "after",
        "words",
        "typed",
        "wrap",
    ],
)
def test_whole_answer_is_read_whatever_it_passed_through(answer: str, changed: object) -> None:
    assert callable(changed)
    assert read(changed(answer)) == json.loads(DOCUMENT)


@given(st.text(), st.integers(1, 300))
def test_any_text_arrives_as_it_was(text: str, width: int) -> None:
    document = json.dumps({"files": {"a": text}})
    content = base64.b64encode(gzip.compress(document.encode())).decode()
    assert read(framed(content, "gzip", width)) == {"files": {"a": text}}
    assert read(framed(document.replace("|", "\\u007c"), "text", width)) == {"files": {"a": text}}


@BOTH
def test_from_frame(answer: str) -> None:
    found = from_document(unframe(answer.encode(), "web01"), "web01", "web01.test.com", {"test.com": "CORP"})
    assert (found.source, found.label, found.problems) == ("web01", "WEB01", ())
    assert (found.machine.domain, found.machine.netbios_domain) == ("test.com", "CORP"), "the names are completed"
    assert "Grüße".encode() in found.files["applicationhost.config"].data


@pytest.mark.parametrize(
    ("called", "name"), [("web09.test.com", "web09"), ("10.0.5.2", None), ("::1", None), (None, None)]
)
def test_name_under_which_a_server_was_asked_is_a_guess_where_it_says_none(
    called: str | None, name: str | None
) -> None:
    answer = framed('{"schema": "iis-spn/snapshot/1", "files": {}}', "text")
    machine = from_document(unframe(answer.encode(), "x"), "x", called, {}).machine
    assert (machine.known_name, machine.name and str(machine.name)) == (None, name)


# -- what is not ---------------------------------------------------------------------------------------------------


@BOTH
def test_answer_cut_off_anywhere_is_never_read(answer: str) -> None:
    whole = len(answer.rstrip())
    for length in [*range(0, whole, 1000), *range(whole - 60, whole)]:
        for data in (answer[:length].encode(), answer[:length].encode("utf-16")):
            refused(data)


def test_answer_cut_off_says_where() -> None:
    content = "A" * 5000
    text = framed(content, "text")
    error = refused(text[: text.index("\r\n", 2000)])
    assert error.reason == "cut off after 2000 of 5000 characters"
    assert error.line == text[: text.index("\r\n", 2000)].count("\n") + 1


@BOTH
def test_answer_with_a_piece_missing_is_never_read(answer: str) -> None:
    at = random.Random(5)
    for _ in range(50):
        start = at.randrange(40, len(answer) - 60)
        length = at.choice([1, 2, 200, 204])
        gone = answer[start : start + length]
        if gone.strip("|\r\n"):
            assert "characters" in refused(answer[:start] + answer[start + length :]).reason


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "this is not what collect.ps1 prints"),
        ("\0" * 50, None, "this is not what collect.ps1 prints"),
        (zipped().encode("utf-16-le"), None, "this is not what collect.ps1 prints"),
        ("<configuration/>", None, "this is not what collect.ps1 prints"),
        ("iis-spn-snapshot end 5\r\n", None, "this is not what collect.ps1 prints"),
        ("hello\r\n" + zipped().replace("shot 1 ", "shot 2 "), 2, "its frame has version 2; this version reads 1"),
        ("iis-spn-snapshot 99 whatever", 1, "its frame has version 99"),
        ("\n" + zipped().replace("gzip", "zstd"), 2, "nothing is packed as 'zstd"),
        ("iis-spn-snapshot 1 gzip", 1, "damaged: nothing is packed as 'gzip'"),
        ("iis-spn-snapshot 1 gzip x", 1, "damaged: nothing is packed as 'gzip x'"),
        ("iis-spn-snapshot 1 gzip -4", 1, "damaged: nothing is packed"),
        ("iis-spn-snapshot 1 \x1b[31m 4", 1, "damaged: nothing is packed as '\\u001b[31m 4'"),
        ("iis-spn-snapshot 1 gzip 999999999999", 1, "larger than 256 MB"),
        (framed("QUJD", announced=3), 3, "the first line announces 3 characters, the last one says otherwise"),
        (framed("QUJD").replace("end 4", "end"), 3, "the last one says otherwise"),
        (framed("QUJD").replace("|QUJD|", "|QUJDRA==|"), 3, "8 characters where 4 were sent"),
        (zipped() + zipped(), None, "two snapshots in one file"),
        (zipped()[:500] + "\r\n" + zipped(), None, "two snapshots in one file"),
        (framed("QUJ!"), 1, "damaged: it is not base64 text"),
        (framed("QUJ"), 1, "damaged: it is not base64 text"),
        (framed("QU\0D"), 1, "damaged: it is not base64 text"),
        (framed("QUJD"), 1, "the gzip data is damaged"),
        (framed(base64.b64encode(EMPTY[:-2]).decode()), 1, "the gzip data is cut off"),
        (framed(base64.b64encode(EMPTY * 2).decode()), 1, "something stands behind the gzip data"),
        (framed('{"a": "é"}', "text", announced=11), 3, "says otherwise"),
        (framed('{"a": "\0"}', "text"), 1, "a character that is not printable ASCII"),
        (framed('{"a": \t1}', "text"), 1, "a character that is not printable ASCII"),
    ],
)
def test_answer_that_is_refused(text: str | bytes, line: int | None, said: str) -> None:
    error = refused(text)
    assert said in error.reason
    assert line is None or error.line == line


def test_second_snapshot_is_told_with_its_line() -> None:
    assert refused(zipped() + zipped()).line == zipped().count("\n") + 1


@pytest.mark.parametrize("document", ["[]", "5", '{"schema": "iis-spn/snapshot/2"}', "null", '{"files": {}}', "{"])
def test_document_of_the_wrong_kind_is_refused_after_the_frame(document: str) -> None:
    for answer in (zipped(document), framed(document, "text")):
        with pytest.raises(MalformedError):
            from_document(unframe(answer.encode(), "x"), "x", None, {})


def test_bomb() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(MB)) for _ in range(300)), packer.flush()])
    assert "larger than 256 MB when unpacked" in refused(framed(base64.b64encode(bomb).decode())).reason


@pytest.mark.parametrize(("limit", "reason"), [(1, "larger than 1 MB when unpacked"), (2, None)])
def test_no_more_is_unpacked_than_is_allowed(limit: int, reason: str | None) -> None:
    document = b'{"a": "' + bytes(2 * MB - 9).replace(b"\0", b"x") + b'"}'
    assert len(document) == 2 * MB
    answer = framed(base64.b64encode(gzip.compress(document)).decode()).encode()
    if reason is None:
        assert unframe(answer, "x", limit * MB) == document
    else:
        with pytest.raises(MalformedError) as caught:
            unframe(answer, "x", limit * MB)
        assert (caught.value.reason, caught.value.line) == (reason, 1)


def test_no_more_is_taken_unpacked_than_is_allowed() -> None:
    content = '"' + "x" * MB
    with pytest.raises(MalformedError, match="larger than 1 MB"):
        unframe(framed(content, "text").encode(), "x", MB)
    assert unframe(framed(content[1:], "text").encode(), "x", MB) == content[1:].encode()


def test_packed_twice_is_not_handed_on() -> None:
    """Whoever reads the document would unpack it, with another limit."""
    twice = gzip.compress(gzip.compress(DOCUMENT.encode()))
    assert refused(framed(base64.b64encode(twice).decode())).reason == "damaged: it is packed twice"


@pytest.mark.parametrize("piece", ["end 4", "is ours", "end", "1x", "end 4 iis-spn-snapshot 1 gzip 4"])
def test_lines_like_the_frames_cost_python_nothing(piece: str) -> None:
    line = f"iis-spn-snapshot {piece}\n"

    def cost(text: str) -> int:
        return calls(lambda: unframe(text.encode(), "x"))

    for head in ("", framed('{"a": 1}', "text"), "iis-spn-snapshot 1 gzip 4\n"):
        assert cost(head + line * 2) < 64
        assert cost(head + line * 2_000_000) < 120  # of what other tests left, some may be collected meanwhile
    assert read(framed('{"a": 1}', "text") + line * 2_000_000) == {"a": 1}
    assert "two snapshots" in refused(zipped() + line * 2_000_000 + "iis-spn-snapshot 1").reason


@pytest.mark.parametrize("head", [b"", b"iis-spn-snapshot 1 gzip 4\n"])
@pytest.mark.parametrize(
    "piece",
    [b"iis-spn-snapshot ", b"iis-spn-snapshot end 4\n", b"iis-spn-snapshot 1\n", b"\n|", b"iis-spn-snapshot 1 gzip 4 "],
)
def test_hostile_noise_is_looked_at_once(head: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = counted(frame, monkeypatch)
    assert tally.growth(lambda size: refused(head + piece * size), 100) < 2.05


@given(st.binary(max_size=200))
def test_no_bytes_can_do_anything_but_be_refused(data: bytes) -> None:
    for text in (data, b"iis-spn-snapshot 1 gzip 4\n" + data, b"\xff\xfe" + data):
        with pytest.raises(MalformedError):
            unframe(text, "x")
