"""Events as a viewer, PowerShell or a ticket shows them: their text, in English or another language.

Windows translates the sentences and leaves what stands in them: codes, names, their order. So an event is known by
what is not translated, and its facts by their form and place (rules 10.1, 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from agent.evidence.captured import Facts, Kind
from agent.evidence.kerberos_errors import MODIFIED, krb_error, name_of
from agent.evidence.page import Page, Read

LONGEST_TEXT = 4000
LONGEST_HEAD = 1500
"""Characters after and before the sign of an event that may belong to it."""


class Row(NamedTuple):
    """How a kind of event is known in a text, and what reads the text there and the lines above it.

    None: it is no such event after all.
    """

    kind: Kind
    sign: re.Pattern[str]
    read: Callable[[str, str], Facts | None]


def event_texts(page: Page) -> Read:
    """The events in a text. What begins like one and is cut off is not readable."""
    signs = sorted(
        (found.start(), found.end(), number)
        for number, row in enumerate(ROWS)
        for found in row.sign.finditer(page.text)
    )
    ends = [start for start, _, _ in signs[1:]] + [len(page.text)]
    before = 0
    for (sign, after, number), end in zip(signs, ends, strict=False):
        start = max(before, page.text.rfind("\n", 0, sign) + 1)
        head = page.text[max(before, start - LONGEST_HEAD) : start]
        facts = ROWS[number].read(page.text[start : min(end, start + LONGEST_TEXT)], head)
        before = after
        if facts is not None:
            is_whole = any((facts.server, facts.spn, facts.account))
            yield page.found(ROWS[number].kind, sign, _with_head(facts, head), readable=is_whole)


_COMPUTER_WORDS = (
    *("Computer", "ComputerName", "MachineName", "Ordinateur", "Equipo", "Computador"),
    *(
        "\u041a\u043e\u043c\u043f\u044c\u044e\u0442\u0435\u0440",
        "\u30b3\u30f3\u30d4\u30e5\u30fc\u30bf\u30fc",
        "\u8ba1\u7b97\u673a",
    ),
)
_COMPUTER = re.compile(rf"^[ \t]*(?:{'|'.join(_COMPUTER_WORDS)})[ \t]*:[ \t]*(\S{{1,255}})", re.MULTILINE)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z")


def _with_head(facts: Facts, head: str) -> Facts:
    """The facts with what the lines above say: who logged it, and when, where that is said in UTC."""
    computers = _COMPUTER.findall(head)
    return replace(facts, computer=computers[-1] if computers else None, time=facts.time or zulu(head))


def zulu(text: str) -> str | None:
    """The last moment in a text that is said in UTC; none is made of local time, whose zone nobody says."""
    moments = _MOMENT.findall(text)
    return f"{moments[-1]}Z" if moments else None


# -- forms of names ------------------------------------------------------------------------------------------------

SPN_TYPE = "DS_SERVICE_PRINCIPAL_NAME"

_STOP = r"\s\"'()<>,;{}\u00ab\u00bb\u201c\u201d\u201e\u300c\u300d\u3002"
_SPN = re.compile(rf"(?<![\w/:])[A-Za-z][\w-]{{0,63}}/[^{_STOP}]{{1,300}}")
_DN = re.compile(r"CN=[^\n]{1,2000}?,DC=[\w-]+(?:,DC=[\w-]+)*", re.IGNORECASE)
_REALM = re.compile(r"\(([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){1,10})\)")


def any_spn(text: str) -> str | None:
    """The first service principal name in a text."""
    found = _SPN.search(text)
    return bare(found.group()) if found is not None else None


def bare(name: str) -> str:
    """A name without the full stop of its sentence."""
    return name.rstrip(".:,")


def split_realm(name: str) -> tuple[str, str | None]:
    """`HTTP/a@TEST.COM` and `alice@TEST.COM` taken apart."""
    principal, at, realm = name.rpartition("@")
    return (principal, realm) if at and principal else (name, None)


# -- event 4: who could not decrypt --------------------------------------------------------------------------------

_ENGLISH = re.compile(
    r"KRB_AP_ERR_MODIFIED\s+error\s+from\s+the\s+server(?:\s+(?P<server>\S[^\n]{0,255}?)(?:\.(?=\s)|\.?\Z|\n))?"
    r"(?:\s*The\s+target\s+name\s+used\s+was\s+(?P<spn>\S{1,300}?)(?:\.(?=\s)|\.?\Z|\s))?"
)
_SERVER_WORDS = (
    *(r"(?<!the )\bserver(?:s|n|ns)?\b", r"\bserveur\b", r"\bservidor\b", r"\bserwera\b", r"\bkiszolg\w+"),
    *(r"\bsunucu\w*", r"\bpalvelimelta", "\u0441\u0435\u0440\u0432\u0435\u0440\u0430", "\u670d\u52a1\u5668"),
    *("\u4f3a\u670d\u5668", "\u30b5\u30fc\u30d0\u30fc", "\uc11c\ubc84"),
)
_SERVER_WORD = re.compile(
    rf"(?:{'|'.join(_SERVER_WORDS)})\s*[\"'\u00ab\u201e\u201c\u300c]?\s*(?P<server>[A-Za-z0-9_$][^{_STOP}]{{0,255}})",
    re.IGNORECASE,
)
_STRONG = re.compile(rf"[\"\u00ab\u201e\u201c\u300c]\s*(?P<server>[^{_STOP}]{{1,255}})|(?P<computer>[\w.-]{{1,64}}\$)")


def _event_4(text: str, _head: str) -> Facts | None:
    realms = [*_REALM.findall(text), None, None]
    facts = Facts(
        event_id=4, error_code=MODIFIED, error_name=name_of(MODIFIED), realm=realms[0], client_realm=realms[1]
    )
    english = _ENGLISH.search(text)
    if english is not None:
        server, spn = english["server"], english["spn"]
        return replace(facts, server=bare(server) if server else None, spn=spn and bare(spn))
    return _localized_4(text, facts)


SIGN, NEAR = "KRB_AP_ERR_MODIFIED", 60
"""So many characters before or after the code stands the server, in every language; words about the code have more."""


def _localized_4(text: str, facts: Facts) -> Facts | None:
    """The server follows the word for it, or stands in quotation marks, or ends in $; the target is the next SPN."""
    at = text.find(SIGN)
    near = text[max(0, at - NEAR) : at + len(SIGN) + NEAR]
    found = _SERVER_WORD.search(near) or _STRONG.search(near)
    if found is None:
        return None
    server = bare(found["server"] or found[found.lastindex or 0])
    spn = any_spn(text[at + len(SIGN) : at + len(SIGN) + 400])
    return replace(facts, server=server, spn=spn) if spn is not None else None


# -- what domain controllers log -----------------------------------------------------------------------------------


def _event_11(text: str, head: str) -> Facts | None:
    """Two wordings, and a translated one: the name of a type that is not translated, and the name before it."""
    before, sign, _ = text.partition(SPN_TYPE)
    names = [bare(name) for name in _SPN.findall(f"{head[-300:]}{before}")]
    return Facts(event_id=11, spn=names[-1] if names and sign else None)


def _event_2974(text: str, _head: str) -> Facts:
    """`servicePrincipalName Value=HTTP/x`, the object that has it, and Win32 error 8647 (rule R4.12)."""
    holders = tuple(dict.fromkeys(_DN.findall(text)))
    return Facts(event_id=2974, spn=any_spn(text.replace("=", " ", 1)), holders=holders or None)


_LABELLED = re.compile(r"^[^\n:]{0,80}:[ \t]*(\S[^\n]{0,400}?)[ \t]*$", re.MULTILINE)
_GUID = re.compile(r"\{[0-9a-fA-F-]{36}\}")
_SERVICE = re.compile(r"Service Name:[ \t]*(\S{1,300})")
_ETYPE = re.compile(r"Ticket Encryption Type:[ \t]*(0x[0-9a-fA-F]{1,8})")
_FAILURE = re.compile(r"(?:Failure|Result) Code:[ \t]*(0x[0-9a-fA-F]{1,8})")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,8}\Z")


def _event_4769(text: str, _head: str) -> Facts | None:
    """Labels are translated, their order is not: account, domain, GUID, service, its id, address, port, options, etype,
    failure code.
    """
    values = _LABELLED.findall(text)
    at = next((n for n, value in enumerate(values) if _GUID.fullmatch(value)), len(values))
    codes = [value for value in values[at:] if _HEX.match(value)]
    client = values[at - 2] if 2 <= at < len(values) else None
    service = _SERVICE.search(text)
    name = service[1] if service else values[at + 1] if at + 1 < len(values) else None
    etype, failure = _ETYPE.search(text), _FAILURE.search(text)
    ticket = etype[1] if etype else codes[1] if len(codes) > 2 else None
    status = failure[1] if failure else codes[2] if len(codes) > 2 else None
    return service_ticket(name, client, number(ticket), number(status))


def service_ticket(service: str | None, client: str | None, etype: int | None, status: int | None) -> Facts | None:
    """Event 4769: the service of a ticket is the account whose key encrypts it; of one that was
    refused it may be what was asked for.
    """
    if service is None:
        return None
    is_refused = bool(status)
    return Facts(
        event_id=4769,
        account=None if is_refused and "/" in service else service,
        spn=service if is_refused and "/" in service else None,
        client=client,
        client_realm=split_realm(client)[1] if client else None,
        etype=None if etype == 0xFFFFFFFF else etype,
        status=status,
        error_code=status or None,
        error_name=name_of(status) if status else None,
    )


def number(text: str | None) -> int | None:
    """`0x12` or `18` as a number; None for what is none."""
    try:
        return None if text is None else int(text, 16 if text[:2].lower() == "0x" else 10)
    except ValueError:
        return None


_ACCOUNT = re.compile(r"the account\s+(\S{1,255})\s+did")
_EVENT_ID = re.compile(r"(?:\bEvent ?ID|\bId)[ \t]*:[ \t]*(\d{1,5})\b", re.IGNORECASE)


def _key_missing(text: str, head: str) -> Facts:
    """KDC events 14 and 26 of AS requests, 16 and 27 of TGS requests: an account has no key of a wanted type."""
    account, event = _ACCOUNT.search(text), _EVENT_ID.findall(head)
    known = number(event[-1]) if event else 16 if "TGS" in text[:120] else 14
    return Facts(event_id=known, spn=any_spn(text), client=account[1] if account else None)


def _event_kdcsvc(text: str, head: str) -> Facts:
    """KDCSVC 201 to 209 tell of RC4 that is refused, or will be (KB5073381)."""
    event, service = _EVENT_ID.findall(head), _SERVICE.search(text)
    return Facts(event_id=number(event[-1]) if event else None, account=service[1] if service else None)


_CODE = re.compile(r"\(0x([0-9a-fA-F]{1,8})\)")


def _event_40970(text: str, _head: str) -> Facts | None:
    """The client had no ticket for a three-part name, and may not fall back to NTLM (KB5011233)."""
    name = any_spn(text)
    if name is None:
        return None
    spn, realm = split_realm(name)
    return Facts(event_id=40970, spn=spn, realm=realm, win32_status=code_in(text))


def code_in(text: str) -> int | None:
    """The code in parentheses: `(0x0000018b)`."""
    found = _CODE.search(text)
    return int(found[1], 16) if found is not None else None


# -- event 3: a KRB-ERROR in words ---------------------------------------------------------------------------------

_FIELD = re.compile(r"^[ \t]*([A-Z][A-Za-z ]{2,20}):[ \t]*(\S[^\n]{0,400}?)?[ \t]*$", re.MULTILINE)
_ZULU = re.compile(r"(\d\d?):(\d\d):(\d\d)\.\d+ +(\d\d?)/(\d\d?)/(\d{4}) +Z")


def _event_3(text: str, _head: str) -> Facts | None:
    """`Error Code: 0x7  KDC_ERR_S_PRINCIPAL_UNKNOWN`, `Server Name`, `Target Name` (KB262177)."""
    fields = dict(_FIELD.findall(text))
    code = number(fields.get("Error Code", "").partition(" ")[0])
    if code is None:
        return None
    target, _ = split_realm(fields.get("Target Name", ""))
    zulu = _ZULU.search(fields.get("Server Time", ""))
    said = krb_error(code, fields.get("Server Realm") or None, fields.get("Server Name") or None, target or None)
    return replace(said, event_id=3, time=_utc(zulu) if zulu else None)


def _utc(found: re.Match[str]) -> str:
    hour, minute, second, month, day, year = map(int, found.groups())
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


# -- the table -----------------------------------------------------------------------------------------------------

_GUID_LINE = r"\{[0-9a-fA-F-]{36}\}"
_LINE = r"[^\n:]{0,80}:[ \t]*"

ROWS = (
    Row("event-4", re.compile(r"(?<!0x29 )(?<!0x29  )(?<!Code: )KRB_AP_ERR_MODIFIED(?!\s*\()"), _event_4),
    Row("krb-error", re.compile(r"A Kerberos error message was received", re.IGNORECASE), _event_3),
    Row("event-11", re.compile(SPN_TYPE), _event_11),
    Row(
        "event-4769",
        re.compile(
            rf"A Kerberos service ticket was requested\.?(?:[^{{]{{0,400}}{_GUID_LINE})?"
            rf"|^{_LINE}\S{{1,255}}@\S{{1,255}}[ \t]*\n{_LINE}\S{{1,255}}[ \t]*\n{_LINE}{_GUID_LINE}",
            re.MULTILINE,
        ),
        _event_4769,
    ),
    Row("event-2974", re.compile(r"servicePrincipalName\s+\w{1,20}\s*=", re.IGNORECASE), _event_2974),
    Row("event-etype", re.compile(r"While processing an? (?:AS|TGS) request for (?:the )?target"), _key_missing),
    Row(
        "event-etype",
        re.compile(r"The Key Distribution Center[^\n]{0,40} (?:detected|blocked)[^\n]{0,60} usage"),
        _event_kdcsvc,
    ),
    Row("event-40970", re.compile(r"a downgrade attempt when contacting the"), _event_40970),
)
"""THE TABLE of events that are known by their text. Those of event 3 are Kerberos errors in words."""
