"""What people do to a text before it is read: each damage turns a text into the bytes of a file."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping

Damage = Callable[[str], bytes]


def in_encoding(name: str, mark: bytes = b"") -> Damage:
    return lambda text: mark + text.encode(name)


def _plain(change: Callable[[str], str]) -> Damage:
    return lambda text: change(text).encode()


def _each_line(change: Callable[[str], str]) -> Damage:
    return _plain(lambda text: "".join(f"{change(line)}\n" for line in text.splitlines()))


def filled(width: int) -> Damage:
    """As a console's buffer is copied: every line has its width."""
    return _each_line(lambda line: line.expandtabs(8).ljust(width))


def broken_at(width: int) -> Damage:
    """As a console shows it: a long line goes on in the next."""
    return _plain(lambda text: "\n".join(part for line in text.split("\n") for part in _parts(line, width)))


def _parts(line: str, width: int) -> list[str]:
    line = line.expandtabs(8)
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]


HARMLESS: Mapping[str, Damage] = {
    "UTF-8": in_encoding("utf-8"),
    "UTF-8 with its mark": in_encoding("utf-8", codecs.BOM_UTF8),
    "UTF-16": in_encoding("utf-16-le", codecs.BOM_UTF16_LE),
    "UTF-16, big-endian": in_encoding("utf-16-be", codecs.BOM_UTF16_BE),
    "CRLF": _plain(lambda text: text.replace("\n", "\r\n")),
    "CRLF in UTF-16": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
}
"""Nothing is lost: the answer is that of the whole."""

HARMFUL: Mapping[str, Damage] = {
    "filled up to 80 columns": filled(80),
    "filled up to 120 columns": filled(120),
    **{f"broken at {width} columns": broken_at(width) for width in range(40, 125, 3)},
    "broken at 80 columns": broken_at(80),
    "broken and filled at 80 columns": lambda text: filled(80)(broken_at(80)(text).decode()),
    "indented by blanks": _each_line(lambda line: f"    {line}"),
    "indented by a tab": _each_line(lambda line: f"\t{line}"),
    "indented but for empty lines": _each_line(lambda line: f"  {line}" if line else line),
    "quoted in Markdown": _each_line(lambda line: f"> {line}"),
    "quoted without a blank": _each_line(lambda line: f">{line}"),
    "fenced in Markdown": _plain(lambda text: f"```\n{text}\n```\n"),
    "without empty lines": _plain(lambda text: "".join(f"{line}\n" for line in text.split("\n") if line.strip())),
    "empty lines doubled": _plain(lambda text: text.replace("\n\n", "\n\n\n\n")),
    "second half indented": _plain(lambda text: _half(text, lambda line: f"  {line}")),
    "second half quoted": _plain(lambda text: _half(text, lambda line: f"> {line}")),
}
"""The right answer, or a refusal that tells the file and the line; never another answer."""


def _half(text: str, change: Callable[[str], str]) -> str:
    lines = text.split("\n")
    middle = len(lines) // 2
    return "\n".join((*lines[:middle], *map(change, lines[middle:])))


def cut(text: str, step: int) -> Iterator[tuple[str, bytes]]:
    """The text without its end, cut at many places."""
    data = text.encode()
    for at in range(step, len(data), step):
        yield f"cut after {at} bytes", data[:at]


def begun_late(text: str, step: int) -> Iterator[tuple[str, bytes]]:
    """The text without its beginning: what stood above was not copied."""
    data = text.encode()
    for at in range(step, len(data), step):
        yield f"without its first {at} bytes", data[at:]
