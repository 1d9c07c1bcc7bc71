"""The bytes of an XML document before they are parsed: in which encoding, and whether a console has broken them."""

from __future__ import annotations

import codecs
import re

from agent.errors import MalformedError

ENCODINGS = r"utf-(8|16(le|be)?)|us-ascii|iso-8859-[0-9]{1,2}|(windows-|cp)125[0-8]|koi8-[ru]|(ibm|cp)8[0-9]{2}"
"""Encodings that a file may declare: in these markup is what it is in ASCII, and nothing else looks like it.

Python knows others, such as `unicode_escape`, which Windows does not.
"""


BROKEN = "a line ends within the value of an attribute: the text was broken, as a console does it"


def unmarked(data: bytes, file: str) -> tuple[bytes, str | None]:
    """The document in UTF-8, and that it is, where it has a byte order mark; as it stands, and None, where it has none.

    The mark counts more than the XML declaration: Windows PowerShell's `>` writes UTF-16 with its mark, and copies the
    declaration.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.removeprefix(codecs.BOM_UTF8), "utf-8"
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data, None
    try:
        return data.decode("utf-16").encode(), "utf-8"
    except UnicodeDecodeError as error:
        line = data[: error.start].decode("utf-16", "ignore").count("\n") + 1
        raise MalformedError(file, line, "not UTF-16 as its first bytes say: cut or damaged") from None


_LINE_END_IN_VALUE = re.compile(rb"=\s*(?:\"[^\"<>]*\n|'[^'<>]*\n)")
_VALUE = re.compile(rb"([^\s=:<\"']+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_START_TAG = re.compile(rb"<[^<>\"']*(?:\"[^\"]*\"[^<>\"']*|'[^']*'[^<>\"']*)*>")


def may_be_broken(data: bytes) -> bool:
    """Whether a line ends within the value of an attribute, or something looks like it."""
    return _LINE_END_IN_VALUE.search(data) is not None


ENCRYPTED = "[enc:"
"""What IIS begins an encrypted value with."""
_ENCRYPTED = re.compile(rb"\[enc:(?<!password=\"\[enc:)")


def may_be_encrypted(data: bytes) -> bool:
    """Whether a value may be encrypted besides those of `password`, which nobody reads."""
    has_references = b"&" in data and b"&#" in data
    return has_references or b"\0" in data or _ENCRYPTED.search(data) is not None


def broken_values(data: bytes, start: int) -> frozenset[str]:
    """The attributes with such a value in the tag that begins at a place, without their prefixes.

    No tool of IIS ends a line within a value. A console breaks it there, and XML makes a blank of that.
    """
    tag = _START_TAG.match(data, start)
    values = _VALUE.findall(tag.group()) if tag is not None else []
    return frozenset(name.decode("utf-8", "replace") for name, value in values if b"\n" in value)
