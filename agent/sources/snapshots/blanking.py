"""A configuration file without what this program does not read: the table and the scan that collect.ps1 has too.

Only what `agent.iis.schema.READ` lists keeps its value; every other attribute value, text, comment, CDATA section and
processing instruction is emptied. Names and line breaks stay: every line keeps its number. The server blanks before
anything leaves it; what is stored is blanked once more, because the answer may come from an older or a foreign
collector.

Only well-formed XML of a known encoding is scanned, so that a tag is where it seems to be. Of all else nothing is kept
but why, and where its fault is.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

from agent.errors import MalformedError
from agent.iis.parse import XDT_NAMESPACE, below, row, tree
from agent.iis.schema import READ


def blanked(data: bytes, file: str = "") -> bytes:
    """A configuration file without what is not read of it, in its own encoding.

    Raises MalformedError where it is not well-formed, has a DTD, or its characters cannot be told for certain.
    """
    tree(data, file)
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise MalformedError(file, None, f"its text is not {encoding}") from None
    kept = io.StringIO(newline="")
    for piece in _pieces(text):
        kept.write(piece)
    return kept.getvalue().encode(encoding)


# -- bytes to characters -------------------------------------------------------------------------------------------

_DECLARED = re.compile(r"(?:\ufeff|ï»¿)?<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([^\"']*)[\"']")


def _encoding(data: bytes) -> str:
    """UTF-16 is known by its mark or by the zero in its first character, all else by its mark or what the file says."""
    if data.startswith(codecs.BOM_UTF16_LE) or data[1:2] == b"\0":
        return "utf-16-le"
    if data.startswith((codecs.BOM_UTF16_BE, b"\0")):
        return "utf-16-be"
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8"
    declared = _DECLARED.match(data[:1000].decode("latin-1"))
    return declared[1] if declared is not None else "utf-8"


# -- characters to tags --------------------------------------------------------------------------------------------

_MARKUP = re.compile(
    r"<(?:(?P<closing>/)?(?P<name>[^\s/>!?]+)(?P<attributes>(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+)>"
    r"|!--(?P<comment>.*?)-->|!\[CDATA\[(?P<cdata>.*?)\]\]>|\?(?P<instruction>.*?)\?>)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"(?P<name>[^\s=]+)(?P<equals>\s*=\s*)(?P<value>\"[^\"]*\"|'[^']*')")
_VERSION = re.compile(r"(?<=\A<\?xml)(\s+version\s*=\s*[\"'])(?!1\.[0-9][\"'])[^\"']*")
_NOT_BREAKS = re.compile(r"[^\r\n]+")
NAMESPACES = (XDT_NAMESPACE, "http://www.w3.org/XML/1998/namespace")
"""Of the namespaces these two mean something. Any other is called as its prefix: one must not be empty."""

_Path = str | None
"""An element's row in READ, None where nothing of it is read."""


def _pieces(text: str) -> Iterator[str]:
    paths: list[_Path] = []
    position = int(text.startswith("\ufeff"))
    yield text[:position]
    for found in _MARKUP.finditer(text, position):
        yield _between(text[position : found.start()])
        yield _markup(found, paths)
        position = found.end()
    yield _between(text[position:])


def _between(text: str) -> str:
    return text if not text.strip(" \t\r\n") else _breaks(text)


def _breaks(text: str) -> str:
    return _NOT_BREAKS.sub("", text)


def _markup(found: re.Match[str], paths: list[_Path]) -> str:
    if found["name"] is not None:
        return _closed(found, paths) if found["closing"] else _opened(found, paths)
    if found["comment"] is not None:
        return f"<!--{_breaks(found['comment'])}-->"
    if found["cdata"] is not None:
        return f"<![CDATA[{_breaks(found['cdata'])}]]>"
    if re.match(r"xml\s", found["instruction"]):  # the declaration, of which a parser has read all but the version
        return _VERSION.sub(r"\g<1>1.0", found[0])
    return f"<?x{_breaks(found['instruction'])}?>"


def _closed(found: re.Match[str], paths: list[_Path]) -> str:
    del paths[-1:]
    return found[0]


def _opened(found: re.Match[str], paths: list[_Path]) -> str:
    name, attributes = found["name"].rpartition(":")[2], found["attributes"]
    above = paths[-1] if paths else None
    path = row(name) if not paths else below(above, name) if above is not None else None
    if not attributes.endswith("/"):
        paths.append(path)
    if "=" not in attributes:
        return found[0]
    listed = READ[path] if path is not None else frozenset[str]()
    return f"<{found['name']}{_ATTRIBUTE.sub(lambda match: _attribute(match, listed), attributes)}>"


def _attribute(found: re.Match[str], listed: frozenset[str]) -> str:
    name, value = found["name"], found["value"]
    if name in listed:
        return found[0]
    kept = _breaks(value[1:-1])
    if name == "xmlns" or name.startswith("xmlns:"):
        kept = value[1:-1] if value[1:-1] in NAMESPACES else name[6:] + kept
    return f"{name}{found['equals']}{value[0]}{kept}{value[0]}"
