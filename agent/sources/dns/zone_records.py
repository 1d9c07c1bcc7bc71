"""Reading zone files (RFC 1035 section 5): what their records say, and what is wrong with them.

dnspython takes a record apart into its words and expands `$GENERATE`; the reading around it is our own, because a
fault must cost one record instead of the file, and because Windows writes what other readers refuse: `[AGE:n]`
before the time to live, WINS records, an origin that stands in a comment only.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import dns.exception
import dns.name
import dns.rdatatype
import dns.reversename
import dns.tokenizer
import dns.zone

from agent.errors import MalformedError
from agent.model import Problem
from agent.names import Address, HostName, host_name, ip_address, printable

LARGEST_FILE = 64 * 1024 * 1024
MOST_TOLD = 20
"""Most faults of one file that are told one by one."""
_LONGEST_RECORD = 256 * 1024
_LONGEST_SPAN = 256
_MOST_GENERATED = 65536


@dataclass(slots=True)
class Owner:
    """What the records of one name say, and where the first of them stands."""

    file: str
    line: int
    alias: HostName | None = None
    addresses: dict[Address, None] = field(default_factory=dict)


@dataclass(slots=True)
class Book:
    """What has been read so far, of all files."""

    owners: dict[HostName, Owner] = field(default_factory=dict)
    zones: dict[HostName, None] = field(default_factory=dict)
    complete: dict[HostName, None] = field(default_factory=dict)
    cuts: set[HostName] = field(default_factory=set)
    redirected: set[HostName] = field(default_factory=set)
    pointers: dict[Address, HostName] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Record:
    """One resource record: owner, type, and the words of its data that matter here (a name or an address)."""

    line: int
    owner: HostName
    kind: str
    value: HostName | str | None


def problem(file: str, line: int | None, reason: str) -> Problem:
    """What is wrong with a zone file."""
    return Problem(id="config-malformed", message=reason, file=file, line=line)


def enter_file(path: Path, book: Book) -> tuple[HostName, ...]:
    """Add what a zone file says to the book; the zones that it holds whole. Never raises for what stands in it."""
    try:
        text = _text(path)
    except OSError as error:
        book.problems.append(problem(str(path), None, f"cannot be read: {error.strerror or error}"))
        return ()
    except MalformedError as error:
        book.problems.append(problem(str(path), error.line, error.reason))
        return ()
    reader = _Reader(str(path), text)
    origins = _enter_all(reader, book)
    book.zones.update(origins)
    book.complete.update(whole := origins if not reader.faults else {})
    book.problems.extend(reader.problems())
    return tuple(whole)


def _enter_all(reader: _Reader, book: Book) -> dict[HostName, None]:
    """Add the records of a file to the book and tell its zones: the SOA owners, else what its names belong to."""
    origins: dict[HostName, None] = {}
    empty = True
    for record in reader.records():
        empty = False
        if record.kind == "SOA" and record.owner.key:
            origins[record.owner] = None
        try:
            _enter(record, reader.file, book)
        except ValueError as error:
            reader.fault(record.line, str(error))
    if empty and not reader.faults:
        reader.fault(None, "holds no DNS record")
    return origins if origins or empty or not reader.first_origin else {host_name(reader.first_origin): None}


def _text(path: Path) -> str:
    """The file as text: a byte order mark decides (PowerShell's `>` writes UTF-16), else UTF-8, else Latin-1."""
    if path.stat().st_size > LARGEST_FILE:
        raise MalformedError(str(path), None, f"larger than {LARGEST_FILE // 1024 // 1024} MB")
    data = path.read_bytes()
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        if marked:
            raise MalformedError(
                str(path), None, "is cut short or damaged: not UTF-16 as its first bytes say"
            ) from None
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n")


def _enter(record: _Record, file: str, book: Book) -> None:
    """Add one record to the book."""
    if not record.owner.key:
        if record.kind in {"A", "AAAA", "CNAME"}:
            raise ValueError(
                "no origin is known for this name: no $ORIGIN, no absolute SOA record, no telling file name"
            )
        return
    owner = book.owners.setdefault(record.owner, Owner(file, record.line))
    match record.kind, record.value:
        case (("A" | "AAAA"), str(address)):
            owner.addresses[Address(address)] = None
        case "CNAME", HostName() as target:
            if owner.alias not in (None, target):
                raise ValueError(f"a second CNAME for {printable(record.owner.text)} (RFC 2181 section 10.1)")
            owner.alias = target
        case "PTR", HostName() as target:
            if pointed := _reversed(record.owner):
                book.pointers.setdefault(pointed, target)
        case "NS", _:
            book.cuts.add(record.owner)
        case "DNAME", _:
            book.cuts.add(record.owner)
            book.redirected.add(record.owner)


def is_reverse(origin: HostName) -> bool:
    """Whether a name is of the zones that lead from addresses to names (RFC 1035 section 3.5)."""
    return origin.key.endswith(("in-addr.arpa", "ip6.arpa"))


def _reversed(owner: HostName) -> Address | None:
    """The address whose PTR record this name holds (RFC 1035 section 3.5, RFC 3596 section 2.5), or None."""
    try:
        return ip_address(dns.reversename.to_address(dns.name.from_text(owner.key)))
    except (dns.exception.DNSException, ValueError):
        return None


_NOISE = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|;.*')
_ABSOLUTE_SOA = re.compile(r"(\S+)\.\s[^;]*\bSOA\s", re.IGNORECASE)
_ORIGIN = re.compile(r"\$ORIGIN\s+([^\s;]+)", re.IGNORECASE)
_COMMENT = re.compile(r"^;[ \t]*Database file [^\n]{1,300} for (\S+?)\.? zone", re.IGNORECASE | re.MULTILINE)
_FILE_NAME = re.compile(r"(?:db\.(?P<after>.+)|(?P<before>.+)\.(?:dns|zone|db))\Z", re.IGNORECASE)
_LEADING = re.compile(r"\[AGE:\d+\]|(?:\d+[wdhms])*\d*|IN", re.IGNORECASE)
_OTHER_CLASSES = frozenset({"CH", "HS", "CS", "ANY", "NONE"})
_WINDOWS_TYPES = frozenset({"WINS", "WINSR", "WINS-R", "ATMA"})
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?\Z")
_WIDE = re.compile(r"\{[^}]*\d{4}")


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Line number and text of every record: a line, or several that parentheses join (RFC 1035 section 5.1).

    A parenthesis that is never closed does not swallow the rest: its line comes alone, for the tokenizer to refuse.
    """
    lines = text.split("\n")
    depths = [_depth(line) for line in lines]
    start = 0
    while start < len(lines):
        end, depth = start + 1, depths[start]
        while depth > 0 and end < min(len(lines), start + _LONGEST_SPAN):
            depth += depths[end]
            end += 1
        if depth > 0:
            end = start + 1
        yield start + 1, "\n".join(lines[start:end])
        start = end


def _depth(line: str) -> int:
    """How many more parentheses a line opens than it closes; those in strings and comments do not count."""
    if ("(" not in line and ")" not in line) or len(line) > _LONGEST_RECORD:
        return 0
    bare = _NOISE.sub("", line)
    return bare.count("(") - bare.count(")")


def _words(entry: str) -> list[str]:
    """The words of one record as dnspython tells them; the first is empty where the owner is left out."""
    if len(entry) > _LONGEST_RECORD:
        raise ValueError("longer than any record can be")
    tokenizer = dns.tokenizer.Tokenizer(entry)
    token = tokenizer.get(want_leading=True)
    words = []
    while not token.is_eol_or_eof():
        words.append("" if token.is_whitespace() else f'"{token.value}"' if token.is_quoted_string() else token.value)
        token = tokenizer.get()
    return words


def _first_origin(entries: Sequence[tuple[int, str]], text: str, path: Path) -> str:
    """What relative names at the top of the file belong to, without the last dot; empty where nothing says it.

    In this order: an `$ORIGIN` before the first record, an absolute SOA owner, the comment of a Windows export, the
    file's name, an `$ORIGIN` further down.
    """
    absolute = (found[1] for _, entry in entries if (found := _ABSOLUTE_SOA.match(entry)))
    comment = _COMMENT.search(text)
    later = (found[1] for _, entry in entries if (found := _ORIGIN.match(entry)))
    origin = (
        _leading_origin(entries)
        or next(absolute, None)
        or (comment and comment[1])
        or _origin_of_file(path)
        or next(later, "")
    )
    bare = origin.removesuffix(".")
    return "" if _name_fault(bare) else bare


def _leading_origin(entries: Sequence[tuple[int, str]]) -> str | None:
    for _, entry in entries:
        if found := _ORIGIN.match(entry):
            return found[1]
        if entry.strip() and not entry.lstrip().startswith((";", "$")):
            return None
    return None


def _origin_of_file(path: Path) -> str | None:
    """`test.com` of `test.com.dns`, `test.com.zone`, `test.com.db` and `db.test.com`."""
    found = _FILE_NAME.match(path.name)
    origin = (found["after"] or found["before"] or "") if found else ""
    plausible = re.fullmatch(r"[\w-]+(\.[\w-]+)+", origin) and not origin.replace(".", "").isdigit()
    return origin if plausible else None


def _absolute(word: str, origin: str) -> HostName:
    """The full name that a word of the file means (RFC 1035 section 5.1); ValueError for what is no name."""
    if word.startswith('"'):
        raise ValueError("a quoted string stands where a name belongs")
    relative = not word.endswith(".")
    if "\\" in word:
        name = dns.name.from_text(word, None)
        word, relative = name.to_text(), not name.is_absolute()
    if word == "@":
        text = origin
    elif relative:
        text = f"{word}.{origin}" if origin else word
    else:
        text = word[:-1]
    if fault := _name_fault(text):
        raise ValueError(f"'{printable(text[:80])}' is no name: {fault}")
    return host_name(text)


def _name_fault(text: str) -> str | None:
    """Why a text cannot be the name of anything in DNS (RFC 1035 section 2.3.4), or None."""
    if len(text) > 1024:
        return "longer than 255 octets"
    if printable(text) != text:
        return "it holds an invisible or control character"
    key = host_name(text).key
    if text.startswith(".") or ".." in text or text.endswith("."):
        return "it has an empty label"
    if len(key) > 253:
        return "longer than 255 octets"
    return "a label is longer than 63 octets" if any(len(label) > 63 for label in key.split(".")) else None


@lru_cache(maxsize=512)
def _is_type(word: str) -> bool:
    try:
        dns.rdatatype.from_text(word)
    except (dns.exception.DNSException, ValueError):
        return word in _WINDOWS_TYPES
    return True


class _Reader:
    """One file on its way into records: the current origin, the last owner, and the faults met."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.entries = tuple(_entries(text))
        self.first_origin = _first_origin(self.entries, text, Path(file))
        self.origin = self.first_origin
        self.owner: HostName | None = None
        self.generated = 0
        self.faults = 0
        self._told: list[Problem] = []

    def fault(self, line: int | None, reason: str) -> None:
        self.faults += 1
        if self.faults <= MOST_TOLD:
            self._told.append(problem(self.file, line, reason))

    def problems(self) -> Iterator[Problem]:
        """The first faults, and how many more there are."""
        yield from self._told
        if more := max(0, self.faults - MOST_TOLD):
            yield problem(self.file, None, f"{more} more records could not be read")

    def records(self) -> Iterator[_Record]:
        """Every record that can be read."""
        for line, entry in self.entries:
            try:
                yield from self._entry(line, _words(entry))
            except (dns.exception.DNSException, ValueError) as error:
                self.fault(line, printable(str(error)[:300]) or "cannot be understood")

    def _entry(self, line: int, words: list[str]) -> Iterator[_Record]:
        if len(words) < 2 and not "".join(words):
            return
        if words[0].startswith("$"):
            yield from self._directive(line, words[0].upper(), words[1:])
            return
        if words[0]:
            self.owner = None
            self.owner = _absolute(words[0], self.origin)
        if self.owner is None:
            raise ValueError("no name stands here, and none before it")
        record = _record(line, self.owner, words[1:], self.origin)
        if record:
            yield record

    def _directive(self, line: int, directive: str, words: list[str]) -> Iterator[_Record]:
        if directive == "$ORIGIN" and words:
            self.origin = "" if words[0] == "." else _absolute(words[0], "" if self.owner is None else self.origin).text
        elif directive == "$GENERATE":
            yield from self._generate(line, words)
        elif directive == "$INCLUDE":
            raise ValueError("$INCLUDE is not followed: give that file too")
        elif directive != "$TTL":
            raise ValueError(f"{printable(directive[:80])} is not understood here")

    def _generate(self, line: int, words: list[str]) -> Iterator[_Record]:
        """Expand BIND's `$GENERATE`, within bounds."""
        found = _RANGE.match(words[0]) if words else None
        if found is None or int(found[3] or 1) < 1:
            raise ValueError("$GENERATE needs a range such as 1-50")
        self.generated += max(0, int(found[2]) - int(found[1])) // int(found[3] or 1) + 1
        if self.generated > _MOST_GENERATED or any(map(_WIDE.search, words)):
            raise ValueError(f"$GENERATE makes more than {_MOST_GENERATED} records, or too long ones")
        text = f"$ORIGIN {self.origin}.\n$TTL 0\n$GENERATE {' '.join(words)}\n"
        zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
        for name, _, data in zone.iterate_rdatas():
            owner = _absolute(name.to_text(), "")
            kind = dns.rdatatype.to_text(data.rdtype)
            record = _record(line, owner, [kind, *_words(data.to_text())], self.origin)
            if record:
                yield record


def _record(line: int, owner: HostName, words: list[str], origin: str) -> _Record | None:
    """The record of these words; None for one of another class than IN."""
    rest = iter(words)
    kind = next((word.upper() for word in rest if not _LEADING.fullmatch(word)), "")
    if kind in _OTHER_CLASSES:
        return None
    if not kind or not _is_type(kind):
        raise ValueError(f"'{printable(kind[:80])}' is no record type" if kind else "a record without a type")
    return _Record(line, owner, kind, _value(kind, next(rest, ""), origin))


def _value(kind: str, word: str, origin: str) -> HostName | str | None:
    if kind in {"A", "AAAA"}:
        return _address(kind, word)
    if kind in {"CNAME", "PTR"}:
        if not word:
            raise ValueError(f"a {kind} record without a target")
        return _absolute(word, origin)
    return None


def _address(kind: str, word: str) -> str:
    try:
        return str(ipaddress.IPv4Address(word) if kind == "A" else ipaddress.IPv6Address(word.replace("%", " ")))
    except ValueError:
        raise ValueError(f"'{printable(word[:80])}' is no address for a {kind} record") from None
