"""What the page is made of: elements whose text and attributes can hold any name, and the pieces that recur."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from lxml.builder import ElementMaker  # type: ignore[import-not-found]
from lxml.html import html_parser

from agent.model import Outcome, Severity
from agent.names import fold, printable
from agent.render.wording import NO_TICKET, WORDS, WORST_FIRST, pieces

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

Tone = Literal["bad", "mild", "open", "good"]
"""How a thing is coloured; a word beside it says the same."""

TONES: Mapping[Outcome, Tone] = {
    "kerberos": "good",
    "ntlm-fallback": "mild",
    "modified": "bad",
    "duplicate": "bad",
    "impossible": "bad",
    "uncertain": "open",
    "unchecked": "open",
}
SEVERITY_TONES: Mapping[Severity, Tone] = {"error": "bad", "warning": "mild", "info": "open"}
SEVERITY_WORDS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def _add_text(element: Element, text: str) -> None:
    shown = printable(text)
    if len(element):
        element[-1].tail = (element[-1].tail or "") + shown
    else:
        element.text = (element.text or "") + shown


def _add_attributes(element: Element, attributes: Mapping[str, str]) -> None:
    for name, value in attributes.items():
        element.set(name, printable(value))


class _Maker(Protocol):
    def __getattr__(self, tag: str) -> Callable[..., Element]: ...


E: _Maker = ElementMaker(typemap={str: _add_text, dict: _add_attributes}, makeelement=html_parser.makeelement)
"""`E.p("text", E.b("bold"), {"class": "x"})`: nothing but a tag's name is ever markup."""


def of_class(*names: str) -> dict[str, str]:
    return {"class": " ".join(names)}


def slug(text: str) -> str:
    """A text as a part of an `id`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:40]


def anchor(kind: str, name: str) -> str:
    """The `id` of what has a name: the same in each run, and different for names that differ."""
    told = slug(name)
    if told == name:
        return f"{kind}-{told}"
    return f"{kind}-{told}-{hashlib.sha256(fold(name).encode(errors='replace')).hexdigest()[:8]}"


# -- pieces that recur ---------------------------------------------------------------------------------------------


def name(text: str) -> Element:
    """A name from outside, set apart so that its letters reorder nothing beside it."""
    return E.code(text)


def badge(tone: Tone, word: str) -> Element:
    return E.span(word, of_class("badge", tone))


def outcome_badge(outcome: Outcome | None) -> Element:
    if outcome is None:
        return badge("open", NO_TICKET)
    return badge(TONES[outcome], WORDS[outcome])


def severity_badge(severity: Severity, *, accepted: bool = False) -> Element:
    if accepted:
        return badge("open", f"accepted {SEVERITY_WORDS[severity]}")
    return badge(SEVERITY_TONES[severity], SEVERITY_WORDS[severity])


def command(text: str) -> Element:
    """A line to copy as it stands, however long."""
    button = E.button("Copy", of_class("copy"), {"type": "button", "aria-label": f"Copy: {text[:80]}"})
    return E.div(of_class("command"), E.code(text), button)


def long_command(text: str) -> Element:
    """A line that nobody reads behind one that says how long it is."""
    if len(text) <= _LONG:
        return command(text)
    return E.details(E.summary(f"The line, of {len(text):,} characters"), command(text))


_LONG = 1200


_SENTENCES, _MOST_SENTENCES = 6, 60


def sentences(texts: Iterable[str]) -> Element | None:
    """What is to be done: sentences, each with its commands on lines of their own; of very many the first few."""
    told = list(texts)
    items = [E.li(*_sentence(text)) for text in told[:_MOST_SENTENCES]]
    shown, rest = items[:_SENTENCES], items[_SENTENCES:]
    if len(told) > _MOST_SENTENCES:
        rest.append(
            E.li(f"{len(told) - _MOST_SENTENCES} more: ", E.code("iis-spn plan"), " has all of them, in order.")
        )
    if rest:
        more = E.summary(f"{len(told) - len(shown)} more")
        shown.append(E.li(E.details(more, E.ul(of_class("do"), *rest))))
    return E.ul(of_class("do"), *shown) if told else None


def _sentence(text: str) -> Iterable[Element | str]:
    for piece in pieces(text):
        if piece.command:
            yield command(piece.text)
        else:
            yield from (E.code(part) if at % 2 else part for at, part in enumerate(f"{piece.text} ".split("`")))


def begun(text: str) -> str:
    """A sentence that begins with a word, with a capital letter; a name stays as it is."""
    first = text.partition(" ")[0].rstrip(",:")
    return text[:1].upper() + text[1:] if first.isascii() and first.isalpha() and first.islower() else text


def present(*elements: Element | None) -> list[Element]:
    """Those that are there."""
    return [each for each in elements if each is not None]


def worst(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The first of them in the order in which outcomes are told."""
    found = set(outcomes)
    return next((outcome for outcome in WORST_FIRST if outcome in found), None)


def said_at(when: str) -> str:
    """A time as people write it."""
    return when.replace("T", " ").replace("Z", " UTC")
