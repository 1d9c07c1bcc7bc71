"""Which zone a zone file is of: what its relative names belong to, and what its title says (RFC 1035 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.errors import MalformedError
from agent.names import host_name, printable

NOISE = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|;.*')
"""An escape, a quoted string, a comment: what stands in them is no name."""

_ABSOLUTE_SOA = re.compile(r"(\S+)\.\s[^;]*\bSOA\s", re.IGNORECASE)
ORIGIN = re.compile(r"\$ORIGIN\s+([^\s;]+)", re.IGNORECASE)
_COMMENT = re.compile(
    r"^;[ \t]*Database file [^\n]{1,300}? for (?:(?P<scope>\S[^\n]{0,300}?) zone scope in zone (?P<of_scope>\S+?)"
    r"|(?P<zone>\S+?)\.? zone)\.?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_DEFAULT_SCOPE = "default"
_FULL_NAME = re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?=\.(?:[\s)]|$))", re.MULTILINE)
_FILE_NAME = re.compile(r"(?:db\.(?P<after>.+)|(?P<before>.+)\.(?:dns|zone|db))\Z", re.IGNORECASE)


class Title(NamedTuple):
    """What the comment of a Windows export says: the zone, and the scope where it is not the default one.

    The answers of another scope go to those clients that a DNS policy leads to it.
    """

    zone: str = ""
    scope: str = ""


def title_of(text: str) -> Title:
    found = _COMMENT.search(text)
    if found is None:
        return Title()
    scope = found["scope"] or ""
    return Title(found["of_scope"] or found["zone"], "" if scope.lower() == _DEFAULT_SCOPE else scope)


def first_origin(entries: Iterable[tuple[int, str]], title: Title, path: Path) -> str:
    """What relative names at the top of the file belong to, without the last dot; empty where nothing says it.

    In this order: an `$ORIGIN` before the first record, an absolute SOA owner, the comment of a Windows export, the
    file's name, an `$ORIGIN` further down. Raises MalformedError where the file contradicts the comment.
    """
    absolute = (found[1] for _, entry in entries if (found := _ABSOLUTE_SOA.match(entry)))
    later = (found[1] for _, entry in entries if (found := ORIGIN.match(entry)))
    origin = (
        _leading_origin(entries)
        or next(absolute, None)
        or (_of_title(title.zone, path, entries) if title.zone else _origin_of_file(path))
        or next(later, "")
    )
    bare = origin.removesuffix(".")
    return "" if name_fault(bare) else bare


def _of_title(said: str, path: Path, entries: Iterable[tuple[int, str]]) -> str:
    """The origin by a comment, which the file's name and the full names in the records must not contradict."""
    named = _origin_of_file(path)
    is_named = said.lower() == _zone_in(path.name).lower() or (named is None and "." in said)
    if is_named or any(f".{name.lower()}".endswith(f".{said.lower()}") for name in _full_names(entries)):
        return said
    other = f"the file's name says {named}" if named else "no name in the file is of it"
    reason = f"a comment says that it is of the zone {printable(said)}, {printable(other)}: write $ORIGIN above"
    raise MalformedError(str(path), 1, reason)


def _full_names(entries: Iterable[tuple[int, str]]) -> Iterator[str]:
    for _, entry in entries:
        yield from _FULL_NAME.findall(NOISE.sub(_unquoted, entry))


def _leading_origin(entries: Iterable[tuple[int, str]]) -> str | None:
    for _, entry in entries:
        if found := ORIGIN.match(entry):
            return found[1]
        if entry.strip() and not entry.lstrip().startswith((";", "$")):
            return None
    return None


def _origin_of_file(path: Path) -> str | None:
    """`test.com` of `test.com.dns`, `test.com.zone`, `test.com.db` and `db.test.com`."""
    origin = _zone_in(path.name)
    plausible = re.fullmatch(r"[\w-]+(\.[\w-]+)+", origin) and not origin.replace(".", "").isdigit()
    return origin if plausible else None


def _zone_in(file_name: str) -> str:
    found = _FILE_NAME.match(file_name)
    return (found["after"] or found["before"] or "") if found else ""


def _unquoted(noise: re.Match[str]) -> str:
    return noise.group() if noise.group().startswith("\\") else " "


_ORDINARY = re.compile(r"(?!.{254})[A-Za-z0-9_*-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\Z")


def name_fault(text: str) -> str | None:
    """Why a text cannot be the name of anything in DNS (RFC 1035 section 2.3.4), or None."""
    if _ORDINARY.match(text):
        return None
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
