"""Events as XML: what the viewer saves, what `wevtutil` prints, what an EVTX file holds.

Each `<Event>` is read by itself, for `wevtutil` writes no root element, and one that is damaged costs no other. A text
with a DTD is refused: no tool of Windows writes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from xml.parsers import expat

from msgspec import Struct, field
from msgspec.structs import replace

from agent.evidence.captured import Captured, Facts, Kind, Unread
from agent.evidence.event_texts import any_spn, code_in, event_texts, number, service_ticket, split_realm, zulu
from agent.evidence.kerberos_errors import MODIFIED, krb_error, name_of
from agent.evidence.page import Page, Read

LONGEST_EVENT = 1 << 20
"""Characters; an event has at most 64 KB (MS-EVEN6)."""

_BEGIN = re.compile(r"<(?:\w+:)?Event[\s>]")
_END = re.compile(r"</(?:\w+:)?Event\s*>")
_NESTED = re.compile(r"<(?:\w+:)?Event(?:\s[^>]{0,500})?>\s*<")
"""An event, and not the word in a sentence."""
_DTD = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def event_xml(page: Page) -> Read:
    """The events of a text that concern Kerberos; what of it cannot be read is told."""
    dtd = _DTD.search(page.text) if _BEGIN.search(page.text) is not None else None
    if dtd is not None:
        yield page.unread(dtd.start(), "it has a DTD, which no tool of Windows writes: nothing of its XML is read")
        return
    for begin, end in spans(page.text):
        if end is None and _NESTED.match(page.text, begin) is not None:
            yield page.unread(begin, "the event that begins here does not end")
        elif end is not None:
            yield from _read(page, begin, page.text[begin:end])


def spans(text: str) -> Iterator[tuple[int, int | None]]:
    """Where each `<Event>` begins and ends; None for one that does not end, or too late."""
    at, end = 0, None
    while (begin := _BEGIN.search(text, at)) is not None:
        if end is None or end.start() < begin.end():
            end = _END.search(text, begin.end())
        if end is None:
            yield begin.start(), None
            return
        is_one = end.end() - begin.start() <= LONGEST_EVENT
        yield begin.start(), end.end() if is_one else None
        at = end.end() if is_one else max(begin.end(), end.end() - LONGEST_EVENT)


def _read(page: Page, start: int, text: str) -> Read:
    try:
        event = parsed(text)
    except expat.ExpatError as error:
        yield page.unread(start, f"the event is not XML: {expat.errors.messages[error.code]}")
        return
    row = next((row for row in ROWS if row.takes(event)), None)
    if row is not None:
        yield _told(page, start, row, event)


def _told(page: Page, start: int, row: Row, event: Event) -> Captured | Unread:
    facts = row.read(event) or Facts()
    if not any((facts.server, facts.spn, facts.account)) and event.message:
        told = [found.facts for found in event_texts(Page(page.source, event.message)) if isinstance(found, Captured)]
        facts = told[0] if told else facts
    is_whole = any((facts.server, facts.spn, facts.account))
    known = replace(facts, event_id=event.id, time=event.time, computer=event.computer)
    return page.found(row.kind, start, known, readable=is_whole)


# -- one event -----------------------------------------------------------------------------------------------------


class Event(Struct):
    """`named` has the data by folded name, `values` all in their order, `message` is the text for people."""

    id: int | None = None
    provider: str = ""
    time: str | None = None
    computer: str | None = None
    message: str = ""
    named: dict[str, str] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)

    def get(self, *names: str, at: int | None = None) -> str | None:
        """The datum of one of these names, else, where none has a name, the one at a place; None where it is empty."""
        found = next((self.named[name] for name in names if self.named.get(name)), None)
        if found is None and not self.named and at is not None and at < len(self.values):
            found = self.values[at]
        return (found or "").strip() or None


def parsed(text: str) -> Event:
    """Take one `<Event>` apart. Raises ExpatError."""
    reading = _Reading()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.Parse(text.encode("utf-8", "replace"), True)
    return reading.event


class _Reading:
    def __init__(self) -> None:
        self.event = Event()
        self._texts: list[list[str]] = []
        self._names: list[str | None] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._texts.append([])
        self._names.append(attributes.get("Name"))
        if name == "Provider":
            self.event.provider = attributes.get("Name") or attributes.get("EventSourceName") or ""
        elif name == "TimeCreated":
            self.event.time = zulu(attributes.get("SystemTime", ""))

    def text(self, data: str) -> None:
        if self._texts:
            self._texts[-1].append(data)

    def end(self, tag: str) -> None:
        name, text, called = tag.rpartition(":")[2], "".join(self._texts.pop()), self._names.pop()
        if name == "EventID":
            self.event.id = number(text.strip())
        elif name == "Computer":
            self.event.computer = text.strip() or None
        elif name == "Message":
            self.event.message = text
        elif name == "Data":
            self.event.values.append(text)
            if called:
                self.event.named[called.replace("_", "").lower()] = text


# -- the table -----------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """Who logs which events, what kind of evidence they are, and what reads their data."""

    kind: Kind
    provider: re.Pattern[str]
    ids: range | frozenset[int]
    read: Callable[[Event], Facts | None]

    def takes(self, event: Event) -> bool:
        return event.id in self.ids and self.provider.search(event.provider) is not None


def _event_4(event: Event) -> Facts:
    return Facts(
        error_code=MODIFIED,
        error_name=name_of(MODIFIED),
        server=event.get("server", at=0),
        realm=event.get("targetrealm", at=1),
        spn=event.get("targetname", at=2),
        client_realm=event.get("clientrealm", at=3),
    )


def _event_3(event: Event) -> Facts | None:
    code = number((event.get("errorcode", at=3) or "").partition(" ")[0])
    target = split_realm(event.get("targetname", at=10) or "")[0] or None
    return None if code is None else krb_error(code, event.get("serverrealm"), event.get("servername"), target)


def _event_11(event: Event) -> Facts:
    return Facts(spn=event.get("name", at=0))


def _event_4769(event: Event) -> Facts | None:
    etype, status = number(event.get("ticketencryptiontype", at=5)), number(event.get("status", at=8))
    return service_ticket(event.get("servicename", at=2), event.get("targetusername", at=0), etype, status)


def _event_2974(event: Event) -> Facts:
    holders = tuple(value.strip() for value in event.values if value.strip().upper().startswith("CN="))
    return Facts(spn=any_spn(" ".join(event.values[:3])), holders=holders or None)


def _key_missing(event: Event) -> Facts:
    return Facts(spn=event.get("target", at=0), client=event.get("account", at=1))


def _kdcsvc(event: Event) -> Facts:
    return Facts(account=event.get("servicename", "service", "serviceaccountname"))


def _event_40970(event: Event) -> Facts | None:
    text = " ".join(event.values)
    name = any_spn(text)
    if name is None:
        return None
    spn, realm = split_realm(name)
    return Facts(spn=spn, realm=realm, win32_status=code_in(text))


_KERBEROS = re.compile(r"^(?:Microsoft-Windows-Security-)?Kerberos$", re.IGNORECASE)
_KDC = re.compile(r"Kerberos-Key-Distribution-Center|^kdc", re.IGNORECASE)

ROWS = (
    Row("event-4", _KERBEROS, frozenset({4}), _event_4),
    Row("krb-error", _KERBEROS, frozenset({3}), _event_3),
    Row("event-11", _KDC, frozenset({11}), _event_11),
    Row("event-etype", _KDC, frozenset({14, 16, 26, 27}), _key_missing),
    Row("event-etype", _KDC, range(201, 210), _kdcsvc),
    Row("event-4769", re.compile("Security", re.IGNORECASE), frozenset({4769}), _event_4769),
    Row("event-2974", re.compile("DomainService|NTDS", re.IGNORECASE), frozenset({2974}), _event_2974),
    Row("event-40970", re.compile("Lsa", re.IGNORECASE), frozenset({40970}), _event_40970),
)
