"""DER (X.690) as far as it goes: the elements in a row, and of one that was cut off what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MORE_BYTES, _LONGEST_LENGTH = 0x1F, 4


class Element(NamedTuple):
    """`end` is where it ends in its row by its length: beyond the row where it was cut off."""

    tag: int
    content: bytes
    end: int


def elements(der: bytes) -> Iterator[Element]:
    """Each element in a row, up to one whose tag takes more than a byte or whose length is not definite.

    A length over 127 is preceded by how many bytes say it (X.690 8.1.3.5).
    """
    position = 0
    while position + 1 < len(der):
        tag, length, position = der[position], der[position + 1], position + 2
        if tag & _MORE_BYTES == _MORE_BYTES:
            return
        if length > 0x7F:
            after = position + length - 0x80
            if not position < after <= min(position + _LONGEST_LENGTH, len(der)):
                return
            length, position = int.from_bytes(der[position:after], "big"), after
        yield Element(tag, der[position : position + length], position + length)
        position += length


def first(der: bytes) -> Element:
    """The first element of a row; tag 0 and no content where there is none."""
    return next(elements(der), Element(0, b"", 0))


def is_whole(der: bytes) -> bool:
    """True for a row of elements of which none is cut off and behind which nothing stands."""
    end = 0
    for element in elements(der):
        end = element.end
    return end == len(der)


def element(tag: int, *contents: bytes) -> bytes:
    """One element; its length in one byte, or in more with their count before them."""
    content = b"".join(contents)
    if len(content) <= 0x7F:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
