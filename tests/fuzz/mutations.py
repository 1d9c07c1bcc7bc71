"""Damage that keeps a text's structure: its words, quotes, brackets and lines are moved, doubled, lost or exchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

_TOKEN = re.compile(rb"[A-Za-z_][\w-]*|[0-9]+|[ \t]+|\r?\n|.", re.DOTALL)

HOSTILE = (
    *(b"", b"0", b"-1", b"1", b"65536", b"4294967296", b"9" * 30, b"9" * 4400, b"1e999", b"NaN", b"Infinity", b"-0.0"),
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b'"',
        b"'",
        b"\\",
        b"\\\\",
        b"<",
        b">",
        b"&",
        b"&#0;",
        b"&#xD800;",
        b"]]>",
    ),
    *(b"\0", b"\r", b"\n\n", b"\t", b"\x1b[31m", b"\x85", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80"),
    *("\u202e".encode(), "\u2028".encode(), "\u0130".encode(), "\u00b2".encode(), "\u0663".encode(), "\u3002".encode()),
    *("\U000e0001".encode(), "\ufffe".encode(), b"\\ud800", b"\\u0000", b"xn--", b"xn--a-", b"a" * 300, b"a." * 200),
    *(
        b"*",
        b"*.",
        b".",
        b"..",
        b"/",
        b"//",
        b"\\\\s\\c",
        b"%",
        b"%%",
        b"%1%",
        b"[",
        b"]",
        b"(",
        b")",
        b"[0:9]",
        b"::1",
    ),
    *(b"[::1%25a]", b"@", b"$", b"$(a)", b"{{a}}", b"!vault", b"&a", b"*a", b"---", b";", b"#", b"=", b",", b"+", b"|"),
    *(b"[" * 300, b"(" * 300, b"<a>" * 300, b'{"a":' * 300, b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+14:00"),
)
"""What readers of other programs stumbled over."""


def mutated(data: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """The data with one to four damages; `words` are those of other seeds."""
    tokens = tokens_of(data)
    for _ in range(random.randint(1, 4)):
        random.choice(_DAMAGES)(tokens, random, words)
    return b"".join(tokens)


def tokens_of(data: bytes) -> list[bytes]:
    return _TOKEN.findall(data)


def _place(tokens: list[bytes], random: Random) -> slice:
    """A few tokens in a row, seldom many."""
    start = random.randint(0, len(tokens))
    return slice(start, start + random.choice((1, 1, 1, 2, 3, 8, 30)))


def _lose(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    del tokens[_place(tokens, random)]


def _double(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    place = _place(tokens, random)
    tokens[place.start : place.start] = tokens[place] * random.choice((1, 1, 2, 20))


def _move(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    place = _place(tokens, random)
    taken = tokens[place]
    del tokens[place]
    to = random.randint(0, len(tokens))
    tokens[to:to] = taken


def _exchange(tokens: list[bytes], random: Random, words: Sequence[bytes]) -> None:
    start = random.randint(0, len(tokens))
    tokens[start : start + 1] = [random.choice(words or HOSTILE)]


def _harm(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    start = random.randint(0, len(tokens))
    tokens[start : start + random.randint(0, 1)] = [random.choice(HOSTILE)]


def _cut(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    del tokens[random.randint(0, len(tokens)) :]


def _flip(tokens: list[bytes], random: Random, _words: Sequence[bytes]) -> None:
    if tokens:
        at = random.randrange(len(tokens))
        tokens[at] = bytes(byte ^ (1 << random.randint(0, 7)) for byte in tokens[at])


_DAMAGES: Sequence[Callable[[list[bytes], Random, Sequence[bytes]], None]] = (
    _lose,
    _double,
    _move,
    _exchange,
    _exchange,
    _harm,
    _harm,
    _harm,
    _cut,
    _flip,
)
