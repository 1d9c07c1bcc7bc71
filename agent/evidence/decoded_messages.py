"""Kerberos messages that a network monitor has already decoded: the text of Network Monitor and of Wireshark."""

from __future__ import annotations

import re

from msgspec.structs import replace

from agent.evidence.captured import Facts
from agent.evidence.kerberos_errors import krb_error
from agent.evidence.page import Page, Read

_ERROR = re.compile(r"error-?code:[ \t]*[\w-]{1,60}[ \t]*\((?P<code>\d{1,3})\)", re.IGNORECASE)
_TICKET = re.compile(r"^[ \t]*tkt-vno:[ \t]*5\b", re.MULTILINE | re.IGNORECASE)
_REALM = re.compile(r"^[ \t+-]*realm:[ \t]*(\S{1,255})", re.MULTILINE | re.IGNORECASE)
_NAME = re.compile(r"^[ \t+-]*sname:[ \t]*(\S{1,300})", re.MULTILINE | re.IGNORECASE)
_STRINGS = re.compile(r"^[ \t+-]*(?:sname-string item|SNameString|KerberosString):[ \t]*(\S{1,300})", re.MULTILINE)
_ETYPE = re.compile(r"^[ \t+-]*etype:[ \t]*[\w-]{0,60}[ \t]*\((\d{1,3})\)", re.MULTILINE | re.IGNORECASE)
_KVNO = re.compile(r"^[ \t+-]*kvno:[ \t]*(\d{1,10})", re.MULTILINE | re.IGNORECASE)
_SERVER_TIME = re.compile(r"stime:[ \t]*(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)? \(UTC\)", re.IGNORECASE)
_END = re.compile(r"cipher:|^[ \t+-]*(?:Date|ContentLength):|\n[ \t]*\n", re.MULTILINE)

_BEFORE, _AFTER = 400, 800
"""Characters around an error's code, and after a ticket's version, in which the rest of it stands."""


def decoded_messages(page: Page) -> Read:
    """Errors, and tickets, whose encrypted part is a secret: it is neither looked at nor kept."""
    for found in _ERROR.finditer(page.text):
        after = _until_its_end(page.text[found.end() : found.end() + _AFTER])
        moment = _SERVER_TIME.search(page.text, max(0, found.start() - _BEFORE), found.start())
        said = krb_error(int(found["code"]), _first(_REALM, after), _name(after), None)
        yield page.found(
            "krb-error", found.start(), replace(said, time=f"{moment[1]}T{moment[2]}Z" if moment else None)
        )
    for found in _TICKET.finditer(page.text):
        after = _until_its_end(page.text[found.end() : found.end() + _AFTER])
        etype, kvno = _first(_ETYPE, after), _first(_KVNO, after)
        facts = Facts(
            realm=_first(_REALM, after),
            spn=_name(after),
            etype=int(etype) if etype else None,
            kvno=int(kvno) if kvno else None,
        )
        yield page.found("ap-req", found.start(), facts, readable=facts.spn is not None, secret=True)


def _until_its_end(text: str) -> str:
    found = _END.search(text)
    return text[: found.start()] if found is not None else text


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found is not None else None


def _name(text: str) -> str | None:
    return _first(_NAME, text) or "/".join(_STRINGS.findall(text)) or None
