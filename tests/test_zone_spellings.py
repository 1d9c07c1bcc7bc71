"""One zone in every spelling of RFC 1035 and of Windows gives one answer; the plain spelling costs little.

The oracle of both is dnspython's own reader of zone files, where it understands what Windows writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import calls

from agent.names import HostName, host_key, host_name
from agent.sources.dns import zone_spelling
from agent.sources.dns.zone import read_zones
from agent.spn.nameservice import NameService

ORIGIN = "test.com"
SOA = "@ IN SOA dc1 hostmaster 1 900 600 86400 3600"
TXT = r"""note TXT "semi;colon ( \" ) open(" ; and "more"""
"""Stands between the records: nothing of a quoted text may swallow the next one."""


class Record(NamedTuple):
    owner: str
    kind: str
    value: str


def absolute(word: str) -> str:
    return f"{word}.{ORIGIN}."


def escaped(word: str) -> str:
    """The first letter by its number (RFC 1035 section 5.1), the second behind a backslash."""
    return f"\\{ord(word[0]):03}\\{word[1:]}"


OWNERS: Mapping[str, Callable[[str], str]] = {
    "relative": str,
    "absolute": absolute,
    "upper": str.upper,
    "escaped": escaped,
    "upper, absolute": lambda word: absolute(word).upper(),
}
VALUES: Sequence[tuple[str, Callable[[str], str]]] = [
    ("A", str),
    ("AAAA", str.upper),
    ("CNAME", str),
    ("CNAME", absolute),
    ("CNAME", escaped),
    ("CNAME", str.upper),
]
OF_WINDOWS = ["[AGE:3534342] 600", "[age:1]"]
BEFORE = ["", "3600", "IN", "3600 IN", "in 3600", "1H30M", *OF_WINDOWS]
SEPARATORS = [" ", "\t", " \t  "]
AROUND = ["{}{}", '{}{} ; ( a comment "', "{}{};", "{}( {} )", "{}(\n\t{} ; 1\n\t)", "{}({})"]
KINDS: Sequence[Callable[[str], str]] = [str.upper, str.lower]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]
ENDS = ["\n", "\r\n"]


class Spelled(NamedTuple):
    plain: list[Record]
    text: str


def matrix(before: Iterable[str]) -> Spelled:
    """A record of its own for each way to write a line; among them some that leave their owner out, and long texts."""
    plain: list[Record] = []
    odd = [f"$ORIGIN {ORIGIN}.", "$TTL 3600 ; seconds", SOA, ""]
    ways = product(OWNERS.values(), before, SEPARATORS, KINDS, VALUES, AROUND)
    for n, (of_owner, early, separator, of_kind, (kind, of_value), around) in enumerate(ways):
        value = {"A": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", "AAAA": f"fe80::{n:x}"}.get(
            kind, f"host{n - len(AROUND)}"
        )
        plain.append(Record(f"host{n}", kind, value))
        words = [of_owner(f"host{n}"), *early.split(), of_kind(kind), ""]
        odd.append(around.format(separator.join(words), of_value(value)))
        if kind != "CNAME" and n % 7 == 0:
            plain.append(Record(f"host{n}", "A", "10.9.9.9"))
            odd.append(separator.join(["", *words[1:-2], of_kind("A"), "10.9.9.9"]))
        if n % 11 == 0:
            odd += ["", "  ; nothing", TXT]
    return Spelled(plain, "\n".join([*odd, ""]))


def plainly(records: Iterable[Record]) -> str:
    return "\n".join([f"$ORIGIN {ORIGIN}.", SOA, *(" ".join(each) for each in records), "note TXT x", ""])


def read(folder: Path, data: bytes) -> NameService:
    path = folder / "zone.txt"
    path.write_bytes(data)
    return read_zones([path])


def said(service: NameService) -> dict[str, object]:
    """All that a zone says, with names as they are compared."""

    def key(host: HostName) -> str:
        return host.key

    return {
        "problems": service.problems,
        "zones": list(map(key, service.zones)),
        "answers": {
            host.key: (list(map(key, found.chain)), found.addresses, found.exists)
            for host, found in service.answers.items()
        },
        "by address": {at: list(map(key, hosts)) for at, hosts in service.names_by_address.items()},
        "elsewhere": {end.key: list(map(key, hosts)) for end, hosts in service.aliases_by_end.items()},
    }


@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_spelling_of_a_line_says_the_same(tmp_path: Path, encoding: str, end: str) -> None:
    plain, text = matrix(BEFORE)
    odd = said(read(tmp_path, text.replace("\n", end).encode(encoding)))
    assert odd == said(read(tmp_path, plainly(plain).encode()))
    assert odd["problems"] == ()
    assert len(odd["answers"]) == len({record.owner for record in plain})  # type: ignore[arg-type]


def test_the_oracle_reads_the_same(tmp_path: Path) -> None:
    plain, text = matrix([early for early in BEFORE if early not in OF_WINDOWS])
    theirs = dns.zone.from_text(text, f"{ORIGIN}.", relativize=False, check_origin=False)
    kinds = {1: "A", 28: "AAAA", 5: "CNAME"}
    found = {
        (host_name(name.to_text()).key, kinds[data.rdtype], host_name(data.to_text()).key)
        for name, _, data in theirs.iterate_rdatas()
        if data.rdtype in kinds
    }
    ours = read(tmp_path, text.encode())
    assert found == {
        (absolute(owner)[:-1], kind, absolute(value)[:-1] if kind == "CNAME" else host_name(value).key)
        for owner, kind, value in plain
    }
    assert {name for name, _, _ in found} == {host.key for host in ours.answers}
    assert {(name, value) for name, kind, value in found if kind != "CNAME"} == {
        (host.key, address)
        for host, answer in ours.answers.items()
        if not answer.is_alias
        for address in answer.addresses or ()
    }


@pytest.mark.parametrize("odd", ['x TXT "y"', "x A ( 10.0.0.1 )", "\\120 A 10.0.0.1", "x A 10.0.0.1 ; (", "$TTL 1"])
def test_a_fault_has_its_line_however_the_line_above_is_spelled(tmp_path: Path, odd: str) -> None:
    for bad in ("bad A 10.0.0.256", "bad A", "bad CNAME", "bad FLUB x", "b..d A 10.0.0.1", f"{'b' * 64} A 10.0.0.1"):
        found = read(tmp_path, f"$ORIGIN {ORIGIN}.\n{odd}\n{bad}\nlast A 10.0.0.3\n{bad} ; why\n".encode())
        assert [problem.line for problem in found.problems] == [3, 5]
        assert [problem.message for problem in found.problems[:1]] == [found.problems[1].message]
        assert host_name("last.test.com") in found.answers


# -- what it costs -------------------------------------------------------------------------------------------------


def plain_zone(records: int) -> bytes:
    lines = (Record(f"own{n}", "A", f"10.0.{n // 250}.{n % 250}") for n in range(records))
    return plainly([*lines, Record("alias", "CNAME", "own1")]).encode()


def test_plain_lines_are_split_and_nothing_else_looks_at_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_entry: str) -> list[str]:
        raise AssertionError("a tokenizer was asked")

    monkeypatch.setattr(zone_spelling, "words_of", refused)
    said(read(tmp_path, plain_zone(20)))
    folded = SOA.replace("1 900", "(\n\t1 ; serial\n\t900") + " ) ; negative answers"
    said(read(tmp_path, plain_zone(20).replace(SOA.encode(), folded.encode()) + b'x A 10.0.0.1 ; "why\n'))
    with pytest.raises(AssertionError, match="tokenizer"):
        read(tmp_path, b'$ORIGIN test.com.\nx TXT "y"\n')


def test_a_name_is_made_when_somebody_asks_for_it(tmp_path: Path) -> None:
    host_name.cache_clear()
    service = read(tmp_path, plain_zone(500))
    assert len(service.answers) == 501
    assert host_name.cache_info().misses < 10
    assert [host.text for host in service.names_by_address["10.0.0.1"]] == ["own1.test.com", "alias.test.com"]
    assert host_name.cache_info().misses < 20


def test_a_plain_line_costs_fifty_calls(tmp_path: Path) -> None:
    def cost(records: int) -> int:
        data = plain_zone(records)
        return calls(lambda: read(tmp_path, data))

    assert (cost(1200) - cost(200)) / 1000 < 100, "calls, and returns from them"


@given(st.text(st.sampled_from("aZ.:1[]%*-_ \tü\u00a0\u0130ß@\\")) | st.ip_addresses().map(str) | st.text(max_size=9))
def test_the_key_is_that_of_the_name(text: str) -> None:
    assert host_key(text) == host_name(text).key
