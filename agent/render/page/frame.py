"""The file itself: its head with a policy that lets nothing load, its sections, the report's model, one script."""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from lxml import etree

from agent.render.page.elements import E, of_class

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element


class Section(NamedTuple):
    """A part of the page with a heading of its own; its elements are made as they are written."""

    id: str
    title: str
    elements: Iterable[Element]


class Sheet(NamedTuple):
    """A whole page: its top, its sections, what ends it, and its model as JSON in pieces."""

    title: str
    top: Iterable[Element]
    sections: Sequence[Section]
    model: Iterable[str]
    end: Iterable[Element] = ()
    tools: Element | None = None
    """What searches and filters: shown where the script runs."""


def written(sheet: Sheet) -> Iterator[str]:
    """The file a piece at a time: of a large farm no more than one server stands in memory."""
    sink = _Sink()
    with etree.htmlfile(sink, encoding="utf-8") as page:
        page.write_doctype("<!DOCTYPE html>")
        with page.element("html", lang="en"):
            with page.element("head"):
                _head(page, sheet.title)
            with page.element("body"):
                for _ in _body(page, sheet):
                    page.flush()
                    yield sink.taken()
                with page.element("script", type="application/json", id="report"):
                    for piece in sheet.model:
                        page.write(_within_script(piece))
                        if sink.is_full:
                            yield sink.taken()
                with page.element("script"):
                    page.write(asset("page.js"))
    yield sink.taken() + "\n"


class _Sink:
    """Takes the bytes that lxml writes, and gives them as text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    @property
    def is_full(self) -> bool:
        return len(self._pieces) > 100

    def taken(self) -> str:
        data, self._pieces = b"".join(self._pieces), []
        return self._decoder.decode(data)


_BLOCKS = (
    *("article", "details", "div", "dt", "figure", "g", "li", "meta", "p", "path", "summary", "svg"),
    *("table", "tbody", "thead", "tr"),
)


def _write(page: etree.htmlfile, element: Element) -> None:
    """An element, with line ends where they change nothing: people read the source, too."""
    for each in element.iter(*_BLOCKS):
        each.tail = each.tail or "\n"
    page.write(element, method="html")


def _head(page: etree.htmlfile, title: str) -> None:
    for element in (
        E.meta({"charset": "utf-8"}),
        E.meta({"http-equiv": "Content-Security-Policy", "content": policy()}),
        E.meta({"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        E.meta({"name": "referrer", "content": "no-referrer"}),
        E.meta({"name": "color-scheme", "content": "light dark"}),
        E.title(title),
    ):
        _write(page, element)
    with page.element("style"):
        page.write(asset("page.css"))


def _body(page: etree.htmlfile, sheet: Sheet) -> Iterator[None]:
    links = [E.li(E.a(section.title, {"href": f"#{section.id}"})) for section in sheet.sections]
    _write(page, E.a("Skip to the content", of_class("skip"), {"href": "#content"}))
    with page.element("header", {"class": "top"}):
        for element in sheet.top:
            _write(page, element)
    yield
    _write(page, E.nav(E.ul(*links), {"aria-label": "Sections"}))
    if sheet.tools is not None:
        _write(page, sheet.tools)
    with page.element("main", id="content"):
        for section in sheet.sections:
            with page.element("section", {"id": section.id, "aria-labelledby": f"{section.id}-title"}):
                _write(page, E.h2(section.title, {"id": f"{section.id}-title"}))
                for element in section.elements:
                    _write(page, element)
                    yield
    with page.element("footer"):
        for element in sheet.end:
            _write(page, element)
    yield


# -- what is allowed -----------------------------------------------------------------------------------------------


@cache
def asset(name: str) -> str:
    """A file of the package, as it stands in the page."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def policy() -> str:
    """Nothing is loaded from anywhere; of scripts and styles only those two run whose hashes stand here."""
    return (
        f"default-src 'none'; script-src {_hash('page.js')}; style-src {_hash('page.css')}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(name: str) -> str:
    digest = hashlib.sha256(asset(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


_NOT_THERE = re.compile("[<\ufffe\uffff]")


def _within_script(json: str) -> str:
    """JSON in which nothing ends the script that holds it, or begins a comment there, and which lxml takes.

    All of it can stand in strings only.
    """
    return _NOT_THERE.sub(lambda found: f"\\u{ord(found[0]):04x}", json)
