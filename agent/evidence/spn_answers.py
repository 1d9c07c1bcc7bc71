"""What setspn said, as evidence: one piece for each block, and for a question that nobody answers; and refusals."""

from __future__ import annotations

import re

from agent.evidence.captured import Facts
from agent.evidence.page import Page, Read
from agent.evidence.setspn_output import said_among_others

NOT_UNIQUE = 8647
"""ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST (rule R4.12)."""

_REFUSED = re.compile(r"on account '(?P<dn>[^'\n]{1,2000})', error 0x(?P<code>[0-9a-f]{1,8})/\d{1,6}", re.IGNORECASE)


_ASKED = re.compile(
    r"setspn(?:\.exe)?[ \t]+(?:-F[ \t]+)?-Q[ \t]+(?P<spn>[\w.-]{1,64}/[^\s*]{1,300})[ \t]*\n"
    r"(?P<answer>[^\n>]{3,200}DC=[^\n]{1,500}\n\s*[^\n>]{3,200}\n)",
    re.IGNORECASE,
)
"""A question at a prompt, the line that names the domain, and a sentence: nobody was found there."""
_NAMES = re.compile(r"CN=", re.IGNORECASE)


def spn_answers(page: Page) -> Read:
    """The blocks of `setspn -L`, `-Q` and `-X` in a text that may hold other things; what is damaged is told."""
    said = said_among_others(page.text)
    offset = page.first_line - 1
    for answer in said.answers:
        if answer.is_shared:
            facts = Facts(spn=answer.spns[0], holders=answer.dns, count=len(answer.dns))
        else:
            facts = Facts(account=answer.dns[0], spns=answer.spns)
        yield page.at_line("setspn", answer.line + offset, facts)
    for absence in said.absences:
        yield page.at_line("setspn", absence.line + offset, Facts(spn=absence.spn, holders=()))
    for line, text in said.remarks:
        yield page.unread_line(line + offset, text)
    for found in _ASKED.finditer(page.text):
        if not _NAMES.search(found["answer"]):
            yield page.found("setspn", found.start(), Facts(spn=found["spn"], count=0))
    for found in _REFUSED.finditer(page.text):
        facts = Facts(account=found["dn"], win32_status=int(found["code"], 16))
        yield page.found("setspn", found.start(), facts)
