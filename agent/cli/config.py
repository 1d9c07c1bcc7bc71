"""`--config FILE`: options that would be typed on every line, in a TOML file whose keys are their names.

What changes a directory, confirms a step or gives a password is no key: nothing of that kind is to lie in a file that
is read with every command.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.errors import UsageError
from agent.names import fold, printable
from agent.sources import text_file, toml_file
from agent.spelling import did_you_mean

VARIABLE = "IIS_SPN_CONFIG"
"""Names the file where `--config` does not."""

_LOOK = ("ad", "dns", "farm", "names", "client", "computer", "netbios-domain", "ad-user", "ca", "inventory")
_ASK = ("stale-after", "from-ad", "only-iis", "user", "transport", "port", "cert", "cert-key", "jea", "parallel")
_PRINT = ("format", "quiet", "verbose", "all", "output", "fail-on", "accept", "server", "site")
_STAY = ("interval", "drop", "state", "prometheus", "event-log")
KEYS = (*_LOOK, *_ASK, "timeout", "to", *_PRINT, *_STAY)
"""Options that say where to look and what to print. A command passes over those that it does not have."""

_HOW_MUCH = {"quiet", "verbose", "all"}
_FLAGS = {*_HOW_MUCH, "only-iis", "event-log"}
Values = Mapping[str, object]
"""What options are set to, by `dest`."""


class File(NamedTuple):
    """A file of options, read: what its keys say, and where they stand."""

    path: Path
    text: str
    keys: Mapping[str, object]

    def refused(self, key: str, why: str) -> UsageError:
        return UsageError(f"{toml_file.place(self.path, self.text, key)}: {printable(key)}: {why}")


def read_config(path: Path) -> File:
    """The keys of a file. Raises UsageError with FILE:line for one that is no option of this kind, or no TOML."""
    text = text_file.read_text(path)
    file = File(path, text, toml_file.parsed(path, text))
    for key in file.keys:
        if key not in KEYS:
            asked = did_you_mean(key, KEYS) or f": there are {', '.join(KEYS)}"
            raise file.refused(key, f"this is no key{asked}")
    return file


def defaults(file: File, options: Iterable[argparse.Action], typed: Values) -> Values:
    """What the file sets of a command's options. `typed` is what the command line gave: it wins, lists are added to.

    Raises UsageError with FILE:line for what an option does not take.
    """
    found: dict[str, object] = {}
    for option in options:
        key = next((name[2:] for name in option.option_strings if name[2:] in file.keys), None)
        is_other = (option.nargs == 0) != (key in _FLAGS)  # `diagnose --names` is none of the files
        if key is not None and not is_other and not _is_overruled(key, option, file, typed):
            found[option.dest] = _value(key, option, file)
    return _without_contradiction(found, typed)


def _is_overruled(key: str, option: argparse.Action, file: File, typed: Values) -> bool:
    if key in _HOW_MUCH:
        return not _HOW_MUCH.isdisjoint(typed)
    if option.dest not in typed:
        return False
    if key not in {"ad", "dns"}:
        return key == "fail-on" or not isinstance(option, argparse._AppendAction)
    given: Sequence[str] = typed[option.dest]  # type: ignore[assignment]
    words = [*given, *(_placed(key, text, option, file.path) for text in _texts(key, file))]
    return any(map(_answers_alone if key == "ad" else _is_no_file, words))


def _without_contradiction(found: dict[str, object], typed: Values) -> Values:
    """A domain whose NetBIOS name was typed has no other."""
    pairs: Sequence[str] = typed.get("netbios_domain", ())  # type: ignore[assignment]
    domains = {fold(pair.partition("=")[2]) for pair in pairs}
    named: Sequence[str] = found.get("netbios_domain", ())  # type: ignore[assignment]
    if named:
        found["netbios_domain"] = [pair for pair in named if fold(pair.partition("=")[2]) not in domains]
    return found


# -- values --------------------------------------------------------------------------------------------------------


def _value(key: str, option: argparse.Action, file: File) -> object:
    if option.nargs == 0:
        if not isinstance(file.keys[key], bool):
            raise file.refused(key, "true or false")
        return file.keys[key]
    taken = [_taken(key, text, option, file) for text in _texts(key, file)]
    if isinstance(option, argparse._AppendAction):
        return taken
    if len(taken) != 1 or isinstance(file.keys[key], list):
        raise file.refused(key, "one value, no list")
    return taken[0]


def _texts(key: str, file: File) -> list[str]:
    given = file.keys[key]
    values = given if isinstance(given, list) else [given]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise file.refused(key, "a text, or a list of texts")
        if not str(value).strip() or "\0" in str(value):
            raise file.refused(key, "the text is empty" if not str(value).strip() else "a null character")
    return list(map(str, values))


def _taken(key: str, text: str, option: argparse.Action, file: File) -> object:
    placed = _placed(key, text, option, file.path)
    try:
        return option.type(placed) if callable(option.type) else placed
    except argparse.ArgumentTypeError as error:
        raise file.refused(key, str(error)) from None


def _placed(key: str, text: str, option: argparse.Action, path: Path) -> str:
    """A path that the file names is meant from where the file is."""
    there = path.parent / text
    if key == "dns":  # a name server may be called as a file could be
        return str(there) if text_file.is_there(there) else text
    if key == "ad":
        return text if _answers_alone(text) else str(there)
    is_path = option.type is Path or (key == "inventory" and text != "-")
    return str(there) if is_path else text


def _answers_alone(word: str) -> bool:
    """Whether a value of `--ad` stands beside no other."""
    return "://" in word or fold(word) in {"auto", "off"}


def _is_no_file(word: str) -> bool:
    return not text_file.is_there(Path(word))
