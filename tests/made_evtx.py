"""An event log as Windows keeps it, made by hand: one chunk, each record an element tree without templates.

The layout is that of [MS-EVEN6] 2.2.12 for the binary XML (fragment header, elements, attributes, texts), and
of libevtx's documentation for the headers of file, chunk and record.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import pack
from xml.etree import ElementTree

CHUNK, HEADER = 65536, 512


def event_log(events: Sequence[str]) -> bytes:
    """The file with these events, each an `<Event>` as XML."""
    records, position = b"", HEADER
    for number, event in enumerate(events, 1):
        records += _record(number, ElementTree.fromstring(event), position)
        position = HEADER + len(records)
    last = position - len(_record(len(events), ElementTree.fromstring(events[-1]), 0))
    head = b"ElfChnk\0" + pack("<QQQQIII", 1, len(events), 1, len(events), 128, last, position)
    head += pack("<I", zlib.crc32(records)) + bytes(64 + 4)
    strings = bytes(HEADER - 128)
    head += pack("<I", zlib.crc32(head[:120] + strings)) + strings
    chunk = (head + records).ljust(CHUNK, b"\0")
    first = b"ElfFile\0" + pack("<QQQIHHHH", 0, 0, len(events) + 1, 128, 1, 3, 4096, 1) + bytes(76)
    first += pack("<II", 0, zlib.crc32(first))
    return first.ljust(4096, b"\0") + chunk


def _record(number: int, event: ElementTree.Element, position: int) -> bytes:
    body = b"\x0f\x01\x01\x00"
    body += _element(event, position + 24 + len(body)) + b"\x00"
    size = 24 + len(body) + 4
    return pack("<IIQQ", 0x2A2A, size, number, 134398152000000000) + body + pack("<I", size)


def _element(element: ElementTree.Element, position: int) -> bytes:
    """`position` is where it stands in the chunk: a name that stands with its element says its own place."""
    attributes = list(element.attrib.items())
    lead = 1 + 4
    inner = _name(element.tag.rpartition("}")[2], position + lead)
    if attributes:
        listed = b""
        for at, (key, value) in enumerate(attributes):
            token = b"\x46" if at + 1 < len(attributes) else b"\x06"
            place = position + lead + len(inner) + 4 + len(listed) + 1
            listed += token + _name(key, place) + _text(value)
        inner += pack("<I", len(listed)) + listed
    inner += b"\x02"
    if element.text and element.text.strip():
        inner += _text(element.text)
    for child in element:
        inner += _element(child, position + lead + len(inner))
    inner += b"\x04"
    return (b"\x41" if attributes else b"\x01") + pack("<I", len(inner)) + inner


def _name(name: str, position: int) -> bytes:
    text = name.encode("utf-16-le")
    return pack("<I", position + 4) + pack("<IHH", 0, 0, len(name)) + text + b"\0\0"


def _text(value: str) -> bytes:
    return b"\x05\x01" + pack("<H", len(value)) + value.encode("utf-16-le")
