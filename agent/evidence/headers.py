"""Tokens in the headers of HTTP, as Fiddler, curl, a browser, a HAR file, Wireshark or Network Monitor shows them.

A token is known by its first bytes behind the scheme, whatever stands around it; a line that is nothing but a token is
one too. What it says `agent.evidence.tokens` reads; nothing of its text is kept.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from agent.evidence.page import Page, Read
from agent.evidence.tokens import LONGEST, read_token

_BEGIN = r"(?=[A-Za-z0-9+/]{1,11}[A-Z0-9+/])(?:o[Q-Za-f]|Y[A-P]|TlRM|b[g-v]|f[g-v])"
"""Base64 of the first byte of a NegTokenResp (a1), a GSS token (60), NTLMSSP, a bare AP-REQ (6e) or KRB-ERROR (7e); a
word of small letters ("Kerberos occasionally") is none.
"""

_BASE64 = r"[A-Za-z0-9+/]"
_MORE = (
    rf"(?:[ \t]*\n[ \t]*{_BASE64}{{20,}}(?==*[ \t]*$))*={{0,2}}(?:[ \t]*\n[ \t]*{_BASE64}{{1,19}}={{1,2}}(?=[ \t]*$))?"
)
"""The rest of a value that was broken into lines."""

_TOKEN = re.compile(
    rf"\b(?:Negotiate|NTLM|Kerberos)[ \t]+(?P<token>{_BEGIN}{_BASE64}{{10,}}{_MORE})"
    rf"|^[ \t]*(?P<bare>{_BEGIN}{_BASE64}{{28,}}={{0,2}})[ \t]*$",
    re.MULTILINE,
)
_HOST = re.compile(
    r"^[<>* \t]*:?(?:Host|authority):?[ \t]*:?[ \t]+(?P<host>[\w.-]{1,253})"
    r"|(?:\b(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT)|\bRequest URL:|\"(?:url|http\.request\.full_uri)\":)[ \t]*\n?[ \t]*"
    r"\"?https?://(?P<url>[\w.-]{1,253})"
    r"|\"name\":\s{0,20}\"(?:Host|:authority)\",\s{0,40}\"value\":\s{0,20}\"(?P<har>[\w.-]{1,253})"
    r"|\"http\.host\":\s{0,20}\"(?P<tshark>[\w.-]{1,253})",
    re.MULTILINE | re.IGNORECASE,
)


def headers(page: Page) -> Read:
    """One piece of evidence for each token, with the name that the request last seen above it was for."""
    hosts = _HOST.finditer(page.text)
    coming, host = next(hosts, None), None
    for found in _TOKEN.finditer(page.text):
        while coming is not None and coming.start() < found.start():
            host, coming = coming[coming.lastgroup or 0], next(hosts, None)
        text = found["token"] or found["bare"]
        token = read_token(text[:LONGEST])
        facts = replace(token.facts, host_names=(host,)) if host and token.facts.host_names is None else token.facts
        yield page.found(token.kind, found.start(), facts, readable=token.readable, secret=token.secret)
        if token.unread:
            yield page.unread(found.start(), f"the token is damaged: {'; '.join(token.unread)}")
