"""Why it is so, said once: findings that say the same of several places, the worst and widest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.checks.findings import FINDINGS
from agent.model import Cause, Finding
from agent.names import fold


def causes(findings: Iterable[Finding]) -> tuple[Cause, ...]:
    """The open findings, those with one id, severity and remedy together, whatever names stand in them."""
    alike: dict[object, list[Finding]] = {}
    for found in findings:
        if found.accepted is None:
            remedy = tuple(fold(_without_names(sentence, found)) for sentence in found.fix)
            alike.setdefault((found.rank, found.id, remedy), []).append(found)
    told = [(group[0].rank, _cause(group)) for group in alike.values()]
    return tuple(cause for _, cause in sorted(told, key=lambda each: (each[0], *_width(each[1]))))


def _width(cause: Cause) -> tuple[int, int]:
    return -len(cause.spns), -len(cause.servers)


def _cause(group: list[Finding]) -> Cause:
    return Cause(
        finding=group[0].id,
        text=_text(group),
        spns=tuple(dict.fromkeys(found.spn for found in group if found.spn is not None)),
        servers=tuple(dict.fromkeys(server for found in group for server in found.all_servers)),
        fix=tuple(dict.fromkeys(sentence for found in group for sentence in found.fix)),
    )


def _text(group: list[Finding]) -> str:
    """The message of one; of several what they have in common, in the words of the table where that is little."""
    if len(group) == 1:
        return group[0].message
    texts = {_without_names(found.message, found) for found in group}
    return texts.pop() if len(texts) == 1 else FINDINGS[group[0].id].when


def _without_names(text: str, found: Finding) -> str:
    for name, word in _names(found):
        text = text.replace(name, word)
    return text


def _names(found: Finding) -> Iterator[tuple[str, str]]:
    """What differs from place to place, the longer names before those that are a part of them."""
    if found.spn is not None:
        yield found.spn.text, "the SPN"
        yield fold(found.spn.text), "the SPN"
        yield f"HOST/{found.spn.instance}", "its HOST/ SPN"
    for holder in found.holders:
        if holder != found.account:
            yield str(holder), "another account"
    if found.account is not None:
        yield str(found.account), "the account that must hold it"
    if found.spn is not None and not found.spn.host.is_short:
        yield found.spn.host.text, "the name"
    if found.site is not None:
        yield f'"{found.site}{(found.path or "").rstrip("/")}"', "the application"
