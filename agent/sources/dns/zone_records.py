"""Reading zone files (RFC 1035 section 5): what their records say, and what is wrong with them.

The reading is our own, because a fault must cost one record instead of the file, and because Windows writes what other
readers refuse: `[AGE:n]` before the time to live, WINS records, an origin that stands in a comment only. Names stay
texts, and are compared by their keys: nobody asks for most of them.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from agent.errors import MalformedError
from agent.iis.snapshot import unopened
from agent.model import Problem
from agent.names import Address, HostName, host_key, host_name, printable
from agent.sources.dns.zone_entries import LONGEST_RECORD, Entries
from agent.sources.dns.zone_origin import ORIGIN, first_origin, name_fault, title_of
from agent.sources.text_file import read_at_most

LARGEST_FILE = 64 * 1024 * 1024
MOST_TOLD = 20
"""Most faults of one file that are told one by one."""
_NARROWEST_CONSOLE = 40
_MOST_GENERATED = 65536


class Owner:
    """What the records of one name say: the name as written first, where that stands, and what it leads to.

    `alias` is the target of its CNAME record as written, `target` its key.
    """

    __slots__ = ("addresses", "alias", "file", "line", "target", "text")

    def __init__(self, text: str, file: str, line: int) -> None:
        self.text = text
        self.file = file
        self.line = line
        self.alias: str | None = None
        self.target = ""
        self.addresses: Collection[Address] = ()

    @property
    def leads(self) -> bool:
        """Whether it has addresses or is an alias: a name that a client may type."""
        return bool(self.addresses) or self.alias is not None

    def lead(self, address: Address) -> None:
        """One more address; most names have one, and a tuple takes a quarter of the memory."""
        if not self.addresses:
            self.addresses = (address,)
        elif isinstance(self.addresses, dict):
            self.addresses[address] = None
        else:
            self.addresses = dict.fromkeys((*self.addresses, address))


class Book(Struct):
    """What has been read so far, of all files; names are their keys."""

    owners: dict[str, Owner] = field(default_factory=dict)
    zones: dict[HostName, None] = field(default_factory=dict)
    complete: dict[HostName, None] = field(default_factory=dict)
    cuts: set[str] = field(default_factory=set)
    redirected: set[str] = field(default_factory=set)
    pointers: dict[str, str] = field(default_factory=dict)
    """What the first PTR record of a name says, as written."""
    problems: list[Problem] = field(default_factory=list)


class _Record(NamedTuple):
    """One resource record: owner and type, and the name or the address where that matters here, else ""."""

    line: int
    owner: str
    kind: str
    value: str


def problem(file: str, line: int | None, reason: str) -> Problem:
    """What is wrong with a zone file."""
    return Problem(id="config-malformed", message=reason, file=file, line=line)


class _TypeError(ValueError):
    """A record has no type, or none that there is."""


class Entered(NamedTuple):
    """The zones that a file holds whole, and the zone scope it is of, "" for what every client gets."""

    whole: tuple[HostName, ...] = ()
    scope: str = ""


def enter_file(path: Path, book: Book) -> Entered:
    """Add what a zone file says to the book. Never raises for what stands in it."""
    try:
        reader = _Reader(str(path), _text(path))
    except OSError as error:
        is_refused = isinstance(error, PermissionError)
        why = f"cannot be read: {error.strerror or error}"
        book.problems.append(unopened(str(path), why, is_refused=is_refused))
        return Entered()
    except MalformedError as error:
        book.problems.append(problem(str(path), error.line, error.reason))
        return Entered()
    origins = _enter_all(reader, book)
    book.zones.update(origins)
    book.complete.update(whole := origins if not (reader.faults or reader.title.scope) else {})
    book.problems.extend(reader.problems())
    return Entered(tuple(whole), reader.title.scope)


def _enter_all(reader: _Reader, book: Book) -> dict[HostName, None]:
    """Add the records of a file to the book and tell its zones: the SOA owners, else what its names belong to."""
    origins: dict[HostName, None] = {}
    empty = True
    for record in reader.records():
        empty = False
        if record.kind == "SOA" and record.owner:
            origins[host_name(record.owner)] = None
        try:
            _enter(record, reader.file, book)
        except ValueError as error:
            reader.fault(record.line, str(error))
    if empty and not reader.faults:
        reader.fault(None, "holds no DNS record")
    return origins if origins or empty or not reader.first_origin else {host_name(reader.first_origin): None}


def _text(path: Path) -> str:
    """The file as text: a byte order mark decides (PowerShell's `>` writes UTF-16), else UTF-8, else Latin-1."""
    with path.open("rb") as stream:
        data = read_at_most(stream, LARGEST_FILE)
    if len(data) > LARGEST_FILE:
        raise MalformedError(str(path), None, f"larger than {LARGEST_FILE // 1024 // 1024} MB")
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
    line, text, kind, value = record
    if not text:
        if kind in {"A", "AAAA", "CNAME"}:
            raise ValueError(_NO_ORIGIN)
        return
    key = host_key(text)
    owner = book.owners.get(key)
    if owner is None:
        owner = book.owners[key] = Owner(text, file, line)
    match kind:
        case "A" | "AAAA":
            _demand_one_kind(owner.alias is None, text, "a CNAME")
            owner.lead(Address(value))
        case "CNAME":
            _demand_one_kind(not owner.addresses, text, "an address")
            target = host_key(value)
            if owner.alias is not None and owner.target != target:
                raise ValueError(f"a second CNAME for {printable(text)} (RFC 2181 section 10.1)")
            owner.alias, owner.target = value, target
        case "PTR":
            book.pointers.setdefault(key, value)
        case "NS":
            book.cuts.add(key)
        case "DNAME":
            book.cuts.add(key)
            book.redirected.add(key)


def _demand_one_kind(is_one: bool, name: str, there: str) -> None:
    """A name is an alias or has addresses: a server that has both of a name loads neither (RFC 1034 section 3.6.2)."""
    if not is_one:
        raise ValueError(f"{printable(name)} has {there} already: a name is an alias or has addresses")


def is_reverse(origin: HostName) -> bool:
    """Whether a name is of the zones that lead from addresses to names (RFC 1035 section 3.5)."""
    return origin.key.endswith(("in-addr.arpa", "ip6.arpa"))


_LEADING = re.compile(r"\[AGE:\d+\]|(?:\d+[wdhms])*\d*|IN", re.IGNORECASE)
_OTHER_CLASSES = frozenset({"CH", "HS", "CS", "ANY", "NONE"})
_USUAL_TYPES = frozenset({"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"})
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?\Z")
_WIDE = re.compile(r"\{[^}]*\d{4}")


_PLAIN = re.compile(r"[\t !#-'*-:<-\[\]-~]*\Z")
"""What has no meaning of its own in a zone file: no quotes, parentheses, comments, backslashes."""
_COMMENT = re.compile(r";.*")
_FOLDED = re.compile(r"[^()\n]*\([^()]*\)[^()\n]*\Z")
_UNFOLD = str.maketrans("()\n", "   ")


def _words(entry: str) -> list[str]:
    """The words of one record; the first is empty where the owner is left out, a quoted one keeps its quotes."""
    if len(entry) > LONGEST_RECORD:
        raise ValueError("longer than any record can be")
    said = _COMMENT.sub("", entry) if ";" in entry else entry  # with a quoted one its quotation mark stays
    if "(" in said and _FOLDED.match(said):
        said = said.translate(_UNFOLD)
    if _PLAIN.match(said):  # nearly all are, and a tokenizer looks at each character by itself
        return ["", *said.split()] if entry[:1].isspace() else said.split()
    from agent.sources.dns.zone_spelling import words_of

    return words_of(entry)


def _absolute(word: str, origin: str) -> str:
    """The full name that a word of the file means (RFC 1035 section 5.1); ValueError for what is no name."""
    if word.startswith('"'):
        raise ValueError("a quoted string stands where a name belongs")
    relative = not word.endswith(".")
    if "\\" in word:
        from agent.sources.dns.zone_spelling import unescaped

        word, is_full = unescaped(word)
        relative = not is_full
    if word == "@":
        text = origin
    elif relative:
        text = f"{word}.{origin}" if origin else word
    else:
        text = word[:-1]
    if fault := name_fault(text):
        raise ValueError(f"'{printable(text[:80])}' is no name: {fault}")
    return text


@lru_cache(maxsize=512)
def _type(word: str) -> str:
    """The type of record that a word says; "" for a time to live, an age, or the class before it."""
    return "" if _LEADING.fullmatch(word) else word.upper()


@lru_cache(maxsize=512)
def _is_type(word: str) -> bool:
    if word in _USUAL_TYPES:
        return True
    from agent.sources.dns.zone_spelling import is_type

    return is_type(word)


_NO_ORIGIN = "what this name belongs to is not said: no $ORIGIN, no absolute SOA record, no telling file name"


def _relative(entries: Iterable[tuple[int, str]]) -> int | None:
    """The line of the first record whose name can only be part of one: `@`, or a single label."""
    for line, entry in entries:
        if ORIGIN.match(entry):
            return None
        words = entry.split(None, 1)
        if len(words) > 1 and not entry[0].isspace() and entry[0] not in ";$" and "." not in words[0]:
            return line
    return None


class _Reader:
    """One file on its way into records: the current origin, the last owner, and the faults met."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.entries = Entries(text)
        self._cut = self.entries.cut
        self.title = title_of(text)
        self.first_origin = first_origin(self.entries, self.title, Path(file))
        if not self.first_origin and (line := _relative(self.entries)) is not None:
            raise MalformedError(file, line, _NO_ORIGIN)
        self.origin = self.first_origin
        self.owner: str | None = None
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
        """Every record that can be read, but for those beside a line that a console may have broken.

        The last line of a file has an end; without it a name or an address may be half of one.
        """
        held: Sequence[_Record] = ()
        is_broken = False
        for line, entry in self.entries:
            was_broken, is_broken, is_rest = is_broken, False, False
            try:
                found = self._whole(line, entry)
            except ValueError as error:
                self.fault(line, printable(str(error)[:300]) or "cannot be understood")
                found, is_rest = (), len(entry.split()) == 1 and not entry.startswith("$")
                is_broken = is_rest or (isinstance(error, _TypeError) and len(entry) >= _NARROWEST_CONSOLE)
            yield from held if not is_rest else ()
            held = found if not was_broken else ()
        yield from held

    def _whole(self, line: int, entry: str) -> Sequence[_Record]:
        bare = entry.strip()
        if line == self._cut and bare:
            raise ValueError("the file ends in the middle of this line: it was cut")
        if not bare or bare.startswith(";"):
            return ()
        return self._entry(line, _words(entry))

    def _entry(self, line: int, words: Sequence[str]) -> Sequence[_Record]:
        if len(words) < 2 and not "".join(words):
            return ()
        if words[0].startswith("$"):
            return self._directive(line, words[0].upper(), words[1:])
        if words[0].startswith((">", "`", "|")):
            raise ValueError("what stands before the name is none of a zone file: the text was quoted")
        if words[0]:
            self.owner = None
            self.owner = _absolute(words[0], self.origin)
        if self.owner is None:
            raise ValueError("no name stands here, and none before it")
        return _record(line, self.owner, words[1:], self.origin)

    def _directive(self, line: int, directive: str, words: Sequence[str]) -> Sequence[_Record]:
        if directive == "$GENERATE":
            return self._generate(line, words)
        if directive == "$ORIGIN" and words:
            self.origin = "" if words[0] == "." else _absolute(words[0], "" if self.owner is None else self.origin)
        elif directive == "$INCLUDE":
            raise ValueError("$INCLUDE is not followed: give that file too")
        elif directive != "$TTL":
            raise ValueError(f"{printable(directive[:80])} is not understood here")
        return ()

    def _generate(self, line: int, words: Sequence[str]) -> Sequence[_Record]:
        """Expand BIND's `$GENERATE`, within bounds."""
        found = _RANGE.match(words[0]) if words else None
        if found is None or int(found[3] or 1) < 1:
            raise ValueError("$GENERATE needs a range such as 1-50")
        self.generated += max(0, int(found[2]) - int(found[1])) // int(found[3] or 1) + 1
        if self.generated > _MOST_GENERATED or any(map(_WIDE.search, words)):
            raise ValueError(f"$GENERATE makes more than {_MOST_GENERATED} records, or too long ones")
        from agent.sources.dns.zone_spelling import generated

        every = generated(self.origin, words)
        read = (_record(line, _absolute(owner, ""), [kind, *_words(data)], self.origin) for owner, kind, data in every)
        return list(chain.from_iterable(read))


def _record(line: int, owner: str, words: Sequence[str], origin: str) -> Sequence[_Record]:
    """The record of these words; none where it is of another class than IN."""
    rest = iter(words)
    kind = next(filter(None, map(_type, rest)), "")
    if kind in _OTHER_CLASSES:
        return ()
    if not kind or not _is_type(kind):
        raise _TypeError(f"'{printable(kind[:80])}' is no record type" if kind else "a record without a type")
    return (_Record(line, owner, kind, _value(kind, next(rest, ""), origin)),)


def _value(kind: str, word: str, origin: str) -> str:
    if kind in {"A", "AAAA"}:
        return _address(kind, word)
    if kind in {"CNAME", "PTR"}:
        if not word:
            raise ValueError(f"a {kind} record without a target")
        return _absolute(word, origin)
    return ""


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}\Z")
"""An address in the one spelling that Python has for it: it needs not be made of the text, and written again."""


def _address(kind: str, word: str) -> str:
    if kind == "A" and _IPV4.match(word):
        return word
    try:
        return str(ipaddress.IPv4Address(word) if kind == "A" else ipaddress.IPv6Address(word.replace("%", " ")))
    except ValueError:
        raise ValueError(f"'{printable(word[:80])}' is no address for a {kind} record") from None
