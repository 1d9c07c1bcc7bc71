"""The command lines that come next, made of the one that was typed."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from agent.checks.commands import HELD, word
from agent.names import printable
from agent.render.screen import Following

_PLAIN = re.compile(r"[A-Za-z0-9._/:*-]+")
"""What means the same in every shell; a TARGET may be given with its `*` or as what a shell makes of it."""

LONGEST = 8000
"""Characters; cmd.exe takes 8,191."""

_OF_THE_OUTPUT = frozenset({"--format", "--output", "--fail-on", "--inventory", "--stale-after", "--write-accept"})
_FLAGS = frozenset({"--quiet", "--verbose", "-v", "--all"})
_SOURCES = ("--ad", "--dns", "--farm", "--names", "--accept", "--ad-user", "--ca", "--config")
_LOOKING = frozenset({*_SOURCES, "--client", "--netbios-domain", "--server", "--site"})


def following(words: Sequence[str], to: Path | None = None) -> Following:
    """What comes after a command line; `to` is the folder in which a sweep keeps its snapshots."""
    if "--" in words:
        return Following()
    return Following(again=_line([*_again(words), "--ad", HELD]), plan=_planned(words, to))


def _again(words: Sequence[str]) -> Iterator[str]:
    """Without `--ad off` and `--ad auto`, which stand beside no file, and on the screen."""
    for option, *value in _options(words, {"--ad", "--output", "--write-accept"}):
        if option not in {"--output", "--write-accept"} and (option != "--ad" or value[:1] not in (["off"], ["auto"])):
            yield from (option, *value)


def _planned(words: Sequence[str], to: Path | None) -> str | None:
    """The hand-over of what was inspected, or of the snapshots that a sweep has left."""
    command = next((each for each in words if not each.startswith("-")), "")
    taken = list(_options(words, _OF_THE_OUTPUT | _LOOKING))
    if command == "inspect":
        kept = [each for each in taken if each[0] not in _OF_THE_OUTPUT | _FLAGS | {command}]
        return _line(["plan", *(part for each in kept for part in each), "--format", "ticket"])
    if command == "sweep" and to is not None:
        kept = [each for each in taken if each[0] in _LOOKING]
        return _line(["plan", str(to), *(part for each in kept for part in each), "--format", "ticket"])
    return None


def _options(words: Sequence[str], valued: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Each word, an option of `valued` together with its value."""
    left = iter(words)
    for each in left:
        option, equals, value = each.partition("=")
        if each in valued:
            yield (each, *(following for following in [next(left, None)] if following is not None))
        else:
            yield (option, value) if equals and option in valued else (each,)


def _line(words: Sequence[str]) -> str | None:
    """A line for the shell of this system; None where a word cannot stand in it, or where it gets too long."""
    quoted = [_quoted(each) for each in words]
    line = " ".join(["iis-spn", *(each for each in quoted if each is not None)])
    return None if None in quoted or len(line) > LONGEST else line


def _quoted(text: str) -> str | None:
    if printable(text) != text:
        return None
    if text.startswith("-"):
        return text if word(text.lstrip("-")) == text.lstrip("-") else None
    if sys.platform == "win32":
        return word(text)
    return text if _PLAIN.fullmatch(text) else shlex.quote(text)
