"""Which texts of a configuration file are secrets, and the file without them: the table that collect.ps1 has too.

The server blanks before anything leaves it; what is stored is blanked once more, because the answer may come from an
older or a foreign collector. Values become empty, names and line breaks stay: every line keeps its number.
"""

from __future__ import annotations

import codecs
import heapq
import re
from collections.abc import Iterator
from typing import NamedTuple

SECRET_NAMES = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "api-key", "api_key"),
    *("accesskey", "accountkey", "privatekey", "sessionkey", "validationkey", "decryptionkey", "connectionstring"),
)
"""What the name of a secret holds, in lower case."""
NO_SECRETS = ("tokenchecking", "publickeytoken")
"""Names that are none: a setting of extendedProtection, and a part of the name of every .NET assembly."""
NAMING = ("name", "key")
"""Attributes that name a `value` beside them: appSettings, environment variables, headers. A provider has no name."""
SECRET_ELEMENTS = ("ciphervalue", "value", "string")
"""Elements whose text is one: encrypted sections, and the values of applicationSettings."""

_TELLTALES = (*(word.encode() for word in SECRET_NAMES), b"value")
_ATTRIBUTE = re.compile(rb"(?<![\w.:-])([\w.:-]++)\s*+=\s*+([\"'])")
_ANY_NAME = "|".join(SECRET_NAMES)
_NAME = re.compile(_ANY_NAME.encode())
_PART = re.compile(
    rf"(?<!publickey)(?:{_ANY_NAME})=((?:[^;&\"'<>\r\n]++|&quot;[^\"'<>\r\n]*?&quot;|&(?:[#\w]++;)?)++)".encode()
)
_TEXT = re.compile(
    rf"<(?:[\w.-]{{1,60}}:)?(?:{'|'.join(SECRET_ELEMENTS)})".encode()
    + rb"(?:\s(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)?(?<!/)>([^<]+)|<!\[cdata\[(.+?)(?:\]\]>|\Z)",
    re.DOTALL,
)
_NAMING = {word.encode() for word in NAMING}
_NO_SECRETS = {word.encode() for word in NO_SECRETS}
_NOT_BREAKS = bytes(set(range(256)) - set(b"\r\n"))


def blanked(data: bytes) -> bytes:
    """A configuration file without its secrets, in its own encoding."""
    encoding = _wide_encoding(data)
    if encoding is None:
        return _blank(data)
    whole = len(data) // 2 * 2
    narrow = data[:whole].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    return _blank(narrow).decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass") + data[whole:]


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 by its mark, or by the `<` that every XML file begins with."""
    if data.startswith((codecs.BOM_UTF16_LE, b"<\0")):
        return "utf-16-le"
    return "utf-16-be" if data.startswith((codecs.BOM_UTF16_BE, b"\0<")) else None


# -- where secrets stand -------------------------------------------------------------------------------------------


class _Span(NamedTuple):
    start: int
    end: int


def _blank(data: bytes) -> bytes:
    """All names are compared in lower case; `bytes.lower` leaves every byte in its place."""
    pieces, position = [], 0
    for span in sorted(_spans(data.lower())):
        if span.end > position:
            start = max(span.start, position)
            pieces += [data[position:start], data[start : span.end].translate(None, _NOT_BREAKS)]
            position = span.end
    return b"".join((*pieces, data[position:])) if pieces else data


def _spans(text: bytes) -> Iterator[_Span]:
    for match in _TEXT.finditer(text):
        yield _Span(*match.span(match.lastindex or 0))
    position = 0
    for hit in _hits(text):
        if hit < position:
            continue
        start = max(text.rfind(b"<", position, hit), position)
        end = text.find(b"<", hit)
        position = end if end >= 0 else len(text)
        for match in _PART.finditer(text, start, position):
            yield _Span(*match.span(1))
        for span in _in_tag(text, start, position):
            position = max(position, span.end)
            yield span


def _hits(text: bytes) -> Iterator[int]:
    """Where something tells of a secret, in order: one search per word is many times faster than one for all."""
    return heapq.merge(*(_occurrences(word, text) for word in _TELLTALES))


def _occurrences(word: bytes, text: bytes) -> Iterator[int]:
    position = text.find(word)
    while position >= 0:
        yield position
        position = text.find(word, position + 1)


def _in_tag(text: bytes, start: int, end: int) -> Iterator[_Span]:
    """The secret values between a `<` and the next one: what has a secret's name, and the value that has any name."""
    names: set[bytes] = set()
    values: list[_Span] = []
    while (attribute := _ATTRIBUTE.search(text, start, end)) is not None:
        name, quote = attribute[1], attribute[2]
        closing = text.find(quote, attribute.end())
        value = _Span(attribute.end(), closing if closing >= 0 else len(text))
        names.add(name)
        if name == b"value":
            values.append(value)
        if _is_secret(name):
            yield value
            start = value.end + 1
        else:
            start = value.end + 1 if _is_closed(text, value, end) else attribute.end()
    if names & _NAMING:
        yield from values


def _is_secret(name: bytes) -> bool:
    return name not in _NO_SECRETS and _NAME.search(name) is not None


def _is_closed(text: bytes, value: _Span, end: int) -> bool:
    """Whether a value ends where it seems to: in a file that is not XML a quote may be missing."""
    return value.end < end and text[value.end + 1 : value.end + 2] in b" \t\r\n/>?"
