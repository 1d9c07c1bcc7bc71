"""What `diagnose` found as Markdown, for a ticket."""

from __future__ import annotations

from collections.abc import Iterator

from agent.evidence.diagnosis import Diagnosis, PossibleCause
from agent.evidence.told import sentence
from agent.render.diagnosis import not_read, place, verdict
from agent.render.markdown import words as escaped


def to_markdown(diagnosis: Diagnosis) -> str:
    """A heading for each cause, then the evidence as a table."""
    return "".join(f"{line}\n" for line in _lines(diagnosis))


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield from ("# Diagnosis", "", escaped(verdict(diagnosis)))
    for warning in diagnosis.warnings:
        yield from ("", f"> {escaped(warning)}")
    for cause in diagnosis.causes:
        yield from _cause(cause)
    if diagnosis.collect:
        yield from (
            "",
            "To be sure, give as well what this prints:",
            "",
            *(f"    {line}" for line in diagnosis.collect),
        )
    if diagnosis.evidence:
        yield from ("", "## What was read", "", "| kind | where | what |", "|---|---|---|")
    for one in diagnosis.evidence:
        yield f"| {one.kind} | {escaped(place(one.source, one.line))} | {escaped(sentence(one))} |"
    for told in not_read(diagnosis):
        yield from ("", f"Not read: {escaped(told)}")


def _cause(cause: PossibleCause) -> Iterator[str]:
    about = f" {escaped(str(cause.spn))}" if cause.spn is not None else ""
    yield from ("", f"## {cause.likelihood}: {cause.id}{about}", "")
    for word, reasons in (("for", cause.for_), ("against", cause.against)):
        for one in reasons:
            yield f"- {word}: {escaped(one.text)} ({escaped(place(one.source, one.line))})"
    if cause.decide is not None:
        yield f"- decides: {escaped(cause.decide)}"
    for sentence_ in cause.fix:
        yield f"- do: {escaped(sentence_)}"
