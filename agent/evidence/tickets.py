"""Tickets as `klist` of Windows, MIT and Heimdal shows them, `klist get` where it got none, and `kvno`.

The words of Windows' klist are translated; known is the order: client, server, encryption type. Its times are local and
say no zone, so none is taken.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from agent.evidence.captured import Facts
from agent.evidence.encryption_types import etype_of
from agent.evidence.kerberos_errors import name_of
from agent.evidence.page import Page, Read

_WINDOWS = re.compile(
    r"^#\d{1,5}>[ \t]*[^:\n]{1,40}:[ \t]*(?P<client>[^\n]{0,300}?)[ \t]*\n"
    r"[^:\n]{1,40}:[ \t]*(?P<spn>[^\s@]{1,300})[ \t]*(?:@[ \t]*(?P<realm>[^\s]{0,255}))?[ \t]*$"
    r"(?P<rest>(?:\n(?!#\d)[ \t]*\S[^\n]{0,500}){0,14})",
    re.MULTILINE,
)
_CUT = re.compile(r"^#\d{1,5}>[ \t]*\S", re.MULTILINE)
_VALUE = re.compile(r":[ \t]*(?:[^\n:]*[( ])?([A-Za-z][\w()-]*(?:-[\w()-]+)+|RSADSI RC4-HMAC\(NT\))")
_MIT = re.compile(
    r"^[^\n@]{8,60}[ \t]{2,}(?P<spn>[^\s@/]{1,100}/[^\s@]{1,300})@(?P<realm>[^\s]{0,255})[ \t]*$"
    r"(?P<rest>(?:\n[ \t]+\S[^\n]{0,300}){0,3})",
    re.MULTILINE,
)
_MIT_ETYPES = re.compile(r"Etype \(skey, tkt\):[ \t]*\S+,[ \t]*(?:DEPRECATED:)?(\S+)")
_KVNO = re.compile(
    r"^(?P<spn>[^\s@/]{1,100}/[^\s@]{1,300})@(?P<realm>\S{1,255}): kvno = (?P<kvno>\d{1,9})", re.MULTILINE
)
_GET = re.compile(
    r"klist(?:\.exe)?[ \t]+get[ \t]+(?P<spn>[^\s@]{1,300})(?:(?!klist(?:\.exe)?[ \t]+get)[\s\S]){0,800}?"
    r"klist[^\n]{0,40}?(?P<code>0x[0-9a-f]{8})",
    re.IGNORECASE,
)

UNKNOWN_SPN = frozenset({0xC000018B, 0x80090303})
"""What LSA says where the KDC knows no account for the name: STATUS_NO_TRUST_SAM_ACCOUNT, SEC_E_TARGET_UNKNOWN."""


def tickets(page: Page) -> Read:
    """One piece of evidence for each ticket."""
    whole = set()
    for found in _WINDOWS.finditer(page.text):
        whole.add(found.start())
        etypes = [etype for text in _VALUE.findall(found["rest"]) if (etype := etype_of(text)) is not None]
        facts = Facts(
            client=re.sub(r"\s*@\s*", "@", found["client"]) or None,
            spn=found["spn"],
            realm=found["realm"] or None,
            etype=etypes[0] if etypes else None,
        )
        yield page.found("klist", found.start(), facts)
    for found in _CUT.finditer(page.text):
        if found.start() not in whole:
            yield page.found("klist", found.start(), Facts(), readable=False)
    yield from _of_others(page)
    for found in _GET.finditer(page.text):
        code = int(found["code"], 16)
        facts = Facts(spn=found["spn"], win32_status=code)
        if code in UNKNOWN_SPN:
            facts = replace(facts, error_code=7, error_name=name_of(7))
        yield page.found("klist", found.start(), facts)


def _of_others(page: Page) -> Read:
    if "Default principal:" in page.text or "Principal:" in page.text:
        for found in _MIT.finditer(page.text):
            etype = _MIT_ETYPES.search(found["rest"])
            number = etype_of(etype[1]) if etype else None
            yield page.found(
                "klist", found.start(), Facts(spn=found["spn"], realm=found["realm"] or None, etype=number)
            )
    for found in _KVNO.finditer(page.text):
        facts = Facts(spn=found["spn"], realm=found["realm"], kvno=int(found["kvno"]))
        yield page.found("klist", found.start(), facts)
