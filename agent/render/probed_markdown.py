"""What `probe` saw as Markdown, for a ticket: a table, then the steps of what did not use Kerberos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.evidence.probed import Probe
from agent.render.markdown import code, words
from agent.render.probed import error_told, in_order, outcome_word, verdict
from agent.render.wording import WORDS
from agent.story.probed import Probing

_COLUMNS = ("URL", "Client", "SPN", "Observed", "Predicted", "HTTP", "Error", "Decrypts")


def to_markdown(probing: Probing) -> str:
    """The whole of it."""
    return "\n".join(_lines(probing)).rstrip("\n") + "\n"


def _lines(probing: Probing) -> Iterator[str]:
    yield from ("# What was used: Kerberos or NTLM", "", f"**{words(verdict(probing))}**", "")
    for gap in probing.gaps:
        yield from (f"Not read: {words(gap)}", "")
    yield from (_row(_COLUMNS), _row("---" for _ in _COLUMNS))
    for probe in in_order(probing):
        yield _row(_cells(probe))
    for probe in in_order(probing):
        if probe.used != "kerberos":
            yield from ("", f"## {words(f'{probe.url} as {probe.client}')}", "")
            yield from (f"{number}. {words(step)}" for number, step in enumerate(probe.because, 1))
        for cause in probe.causes[:1]:
            told = f"**{words(f'{cause.likelihood} cause: {cause.id}')}**"
            yield from ("", f"{told} {words(cause.decide)}" if cause.decide is not None else told)
            yield from ("", *(f"- {words(sentence)}" for sentence in cause.fix))
    for finding in probing.findings:
        yield from ("", f"## {words(finding.id)}", "", words(finding.message), "")
        yield from (f"- {words(sentence)}" for sentence in finding.fix)


def _cells(probe: Probe) -> Iterator[str]:
    yield from (code(probe.url), words(probe.client), "" if probe.spn is None else code(str(probe.spn)))
    yield from (words(outcome_word(probe)), "" if probe.predicted is None else words(WORDS[probe.predicted]))
    yield "" if probe.status is None else str(probe.status)
    yield "" if probe.error is None else words(error_told(probe.error))
    yield "" if probe.decrypts_as is None else code(str(probe.decrypts_as))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
