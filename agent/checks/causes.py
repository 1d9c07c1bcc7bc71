"""Why it is so, said once: findings that say the same of several places, the worst and widest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from os.path import commonprefix

from agent.checks.findings import FINDINGS
from agent.model import Cause, Finding
from agent.names import fold

UNREAD = frozenset(
    {
        *("config-malformed", "content-unread", "source-unreadable", "shared-configuration", "server-unreachable"),
        *("internal-error", "directory-incomplete", "dns-incomplete"),
    }
)
"""What the findings are called that tell of something that could not be read, where they are more than a note."""


def causes(findings: Iterable[Finding]) -> tuple[Cause, ...]:
    """The open findings, those with one id, severity and remedy together, whatever names stand in them."""
    alike: dict[object, list[Finding]] = {}
    for found in findings:
        if found.accepted is None:
            alike.setdefault((found.rank, found.id, _remedy(found)), []).append(found)
    told = [(group[0].rank, _cause(group)) for group in alike.values()]
    return tuple(cause for _, cause in sorted(told, key=lambda each: (each[0], *_width(each[1]))))


def _remedy(found: Finding) -> tuple[str, ...]:
    """What is to be done, whatever is called how there; the directory may write a name in other letters."""
    names = [(fold(name), word) for name, word in _names(found)]
    # a farm of 500 has 500 names and as many sentences
    return tuple(_replaced(fold("\0".join(found.fix)), names).split("\0"))


def _width(cause: Cause) -> tuple[int, int]:
    return -len(cause.spns), -len(cause.servers)


def _cause(group: list[Finding]) -> Cause:
    return Cause(
        finding=group[0].id,
        text=_text(group),
        spns=tuple(dict.fromkeys(found.spn for found in group if found.spn is not None)),
        servers=tuple(dict.fromkeys(server for found in group for server in found.all_servers)),
        fix=_once([sentence for found in group for sentence in found.fix]),
        severity=group[0].severity,
        evidence=tuple(dict.fromkeys(line for found in group if found.spn is None for line in found.evidence[:1])),
        unread=group[0].id in UNREAD and group[0].severity != "info",
    )


def _once(sentences: Sequence[str]) -> tuple[str, ...]:
    """Each sentence where it is needed last: what comes after one command comes after all."""
    return tuple(reversed(dict.fromkeys(reversed(sentences))))


def _text(group: list[Finding]) -> str:
    """What they all say, with the names that they share; the words of the table where they say it differently."""
    shared = set.intersection(*({name for name, _ in _names(found)} for found in group))
    texts = {_replaced(found.message, ((n, w) for n, w in _names(found) if n not in shared)) for found in group}
    return texts.pop() if len(texts) == 1 else FINDINGS[group[0].id].when


def _replaced(text: str, names: Iterable[tuple[str, str]]) -> str:
    for word, alike in groupby(names, itemgetter(1)):
        text = _with_word(text, {name for name, _ in alike}, word)
    return text


def _with_word(text: str, names: Collection[str], word: str) -> str:
    """The word instead of each of the names, at each place of the longest: one pass, for there may be thousands."""
    start = commonprefix([*names])  # noqa: RUF071  # of texts, not of paths
    lengths = sorted({*map(len, names)}, reverse=True)
    kept, at, found = list[str](), 0, text.find(start)
    while found >= 0:
        name = next((part for length in lengths if (part := text[found : found + length]) in names), None)
        kept += (text[at:found], word) if name is not None else (text[at : found + 1],)
        at = found + len(name or " ")
        found = text.find(start, at)
    return "".join((*kept, text[at:]))


def _names(found: Finding) -> Iterator[tuple[str, str]]:
    """What differs from place to place, the longer names before those that are a part of them."""
    if found.spn is not None:
        yield found.spn.text, "the SPN"
        yield f"HOST/{found.spn.instance}", "its HOST/ SPN"
    accounts = [(holder, "another account") for holder in found.holders if holder != found.account]
    accounts += [(found.account, "the account that must hold it")] if found.account is not None else []
    for account, word in accounts:
        yield str(account), word
        yield str(account).removesuffix("$"), word  # as setspn -C is given a computer
    if found.spn is not None and not found.spn.host.is_short:
        yield found.spn.host.text, "the name"
    for server in found.all_servers:
        yield f" on {server}", " on the server"
    if found.site is not None:
        yield f'"{found.site}{(found.path or "").rstrip("/")}"', "the application"
