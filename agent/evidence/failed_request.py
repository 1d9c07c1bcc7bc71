"""Traces of failed requests that IIS writes (FREB): how one request ended, and the tokens in its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.parsers import expat

from msgspec.structs import replace

from agent.evidence.captured import Facts
from agent.evidence.event_texts import number
from agent.evidence.headers import headers
from agent.evidence.page import Page, Read

_DTD = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_BEGIN = re.compile(r"<failedRequest\b")
_AUTHENTICATION = "WindowsAuthenticationModule"


def failed_request(page: Page) -> Read:
    """The request of a trace, and what its headers hold. A trace that is cut off says what stands in its beginning."""
    begin = _BEGIN.search(page.text)
    if begin is None:
        return
    if (dtd := _DTD.search(page.text, 0, begin.start())) is not None:
        yield page.unread(dtd.start(), "it has a DTD, which IIS does not write: nothing of its XML is read")
        return
    reading = _Reading()
    fault = reading.parse(page.text[begin.start() :])
    yield page.found("freb", begin.start(), reading.facts, readable=fault is None)
    if fault is not None:
        yield page.unread(begin.start(), f"the trace is not whole: {fault}")
    for line, text in reading.headers:
        yield from headers(Page(page.source, text, page.line(begin.start()) + line - 1))


class _Said(NamedTuple):
    """A header text of an event and its line."""

    line: int
    text: str


class _Reading:
    """Attributes of `failedRequest` and data of its events; of several the last one that is no success counts."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.headers: list[_Said] = []
        self._parser = expat.ParserCreate()
        self._name = ""
        self._line = 0
        self._text: list[str] = []
        self._module = ""

    def parse(self, text: str) -> str | None:
        """What is wrong with it, or None."""
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        try:
            self._parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            return expat.errors.messages[error.code]
        return None

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._text.clear()
        self._name, self._line = attributes.get("Name", ""), self._parser.CurrentLineNumber
        if tag == "failedRequest":
            host = _host(attributes.get("url", ""))
            status = attributes.get("statusCode") or attributes.get("triggerStatusCode")
            user = attributes.get("userName") or attributes.get("tokenUserName")
            self.facts = Facts(status=status or None, client=user or None, host_names=(host,) if host else None)

    def _end(self, tag: str) -> None:
        text = "".join(self._text)
        self._text.clear()
        if tag.rpartition(":")[2] != "Data":
            return
        if self._name == "ModuleName":
            self._module = text
        elif self._name == "ErrorCode" and (code := number(_first_word(text))):
            if self._module == _AUTHENTICATION or self.facts.win32_status is None:
                self.facts = replace(self.facts, win32_status=code & 0xFFFFFFFF)
        elif self._name in {"Headers", "HeaderValue"}:
            self.headers.append(_Said(self._line, text))


def _first_word(text: str) -> str:
    """`2148074254` and `0x8009030e`, without the words that may follow."""
    return next(iter(re.findall(r"0x[0-9a-fA-F]{1,8}|-?\d{1,10}", text)), "")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
