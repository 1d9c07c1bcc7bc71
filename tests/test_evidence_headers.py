"""Tokens in headers, as programs show them, and traces of failed requests."""

from __future__ import annotations

import pytest

from agent.evidence.page import Page
from agent.evidence.reading import Found, read_page
from tests.test_tokens import COMPUTER, DECODED, REPAIRED

CHALLENGE = "TlRMTVNTUAACAAAADAAMADgAAAAFgomi3RHLbSV9mXwAAAAAAAAAAAAAAABEAAAACgBjRQAAAA9UAEUAUwBUAA=="


def read(text: str) -> Found:
    return read_page(Page("f", text))


@pytest.mark.parametrize(("token", "facts"), DECODED)
def test_each_vector_in_a_header(token: str, facts: dict[str, object]) -> None:
    (one,) = read(f"HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Negotiate {token}\n").evidence
    assert (one.kind, one.line, one.readable) == ("krb-error", 2, True)
    assert facts.items() <= one.facts.known.items()


@pytest.mark.parametrize(
    ("form", "line", "host"),
    [
        ("> Host: contoso.test.com\n>\n< HTTP/1.1 401\n< WWW-Authenticate: Negotiate {}\n", 4, "contoso.test.com"),
        (
            "GET http://contoso/ HTTP/1.1\nHost: contoso:8080\n\nHTTP/1.1 401\nWWW-Authenticate: Negotiate {}\n",
            5,
            "contoso",
        ),
        ("Request URL:\nhttps://contoso.test.com/app\nwww-authenticate:\nNegotiate {}\n", 4, "contoso.test.com"),
        ("    WWW-Authenticate: Negotiate {}\\r\\n\n", 1, None),
        ("- WWWAuthenticate: Negotiate \n- Authenticate: Negotiate {}\nWhiteSpace:\n", 2, None),
        (
            '{{"log": {{"entries": [{{"request": {{"url": "https://contoso.test.com/"}},\n"response": {{"headers": [{{"name": '
            '"WWW-Authenticate", "value": "Negotiate {}"}}]}}}}]}}}}',
            2,
            "contoso.test.com",
        ),
        (
            '[{{"_source": {{"layers": {{"http": {{"http.host": "contoso.test.com",\n"http.www_authenticate": "Negotiate {}"}}}}}}}}]',
            2,
            "contoso.test.com",
        ),
        ("the token is\n  {}\n", 2, None),
        ("WWW-Authenticate: Negotiate {}, NTLM\n", 1, None),
        ("Proxy-Authenticate: NEGOTIATE {}\n".replace("NEGOTIATE", "Negotiate"), 1, None),
    ],
)
def test_each_way_in_which_programs_show_headers(form: str, line: int, host: str | None) -> None:
    (one,) = read(form.format(REPAIRED)).evidence
    assert (one.kind, one.line, one.readable, one.facts.server) == ("krb-error", line, True, "contososvc")
    assert one.facts.host_names == ((host,) if host else None)


@pytest.mark.parametrize("width", [64, 76, 100])
def test_a_token_that_was_broken_into_lines(width: int) -> None:
    lines = [COMPUTER[at : at + width] for at in range(0, len(COMPUTER), width)]
    (one,) = read(f"WWW-Authenticate: Negotiate {chr(10).join(lines)}\nServer: Microsoft-IIS/10.0\n").evidence
    assert (one.facts.server, one.readable) == ("iis01$", True)


@pytest.mark.parametrize(
    "text",
    [
        "WWW-Authenticate: Negotiate\nWWW-Authenticate: NTLM\n",
        "Using Negotiate authentication\nNegotiate authenticationProtocol\n",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\nCookie: YIGeBgYrBgEFBQKggZMwgZCg\n",
        "Negotiate ok12\n",
        "Kerberos occasionally fails, NTLM biographically\n",
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert read(text) == Found((), ())


def test_ntlm_is_told_from_kerberos() -> None:
    (one,) = read(f"WWW-Authenticate: Negotiate {CHALLENGE}\n").evidence
    assert (one.kind, one.facts.message) == ("ntlm", "challenge")


def test_a_damaged_token_is_evidence_and_told() -> None:
    found = read(f"\nWWW-Authenticate: Negotiate {REPAIRED[:90]}\n")
    assert [(one.kind, one.readable) for one in found.evidence] == [("krb-error", False)]
    assert [one.line for one in found.unread] == [2]
    assert REPAIRED[:20] not in found.unread[0].why


# -- traces of failed requests -------------------------------------------------------------------------------------

TRACE = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type='text/xsl' href='freb.xsl'?>
<failedRequest url="http://contoso.test.com:80/app" siteId="1" appPoolId="Pool" verb="GET" failureReason="STATUS_CODE"
  statusCode="401.1" triggerStatusCode="401.1" timeTaken="15" xmlns:freb="http://schemas.microsoft.com/win/2006/06/iis/freb">
<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="WWW Server"/><EventID>0</EventID>
</System><EventData><Data Name="Headers">Host: contoso.test.com
Authorization: Negotiate {}
</Data></EventData></Event>
<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="WWW Server"/><EventID>0</EventID>
</System><EventData><Data Name="ModuleName">WindowsAuthenticationModule</Data><Data Name="HttpStatus">401</Data>
<Data Name="ErrorCode">{}</Data></EventData></Event>
</failedRequest>
"""


@pytest.mark.parametrize("code", ["2148074310", "-2146892986", "0x80090346"])
def test_a_trace(code: str) -> None:
    trace, token = read(TRACE.format(REPAIRED, code)).evidence
    assert (trace.kind, trace.line) == ("freb", 3)
    assert trace.facts.known == {"status": "401.1", "win32_status": 0x80090346, "host_names": ("contoso.test.com",)}
    assert (token.kind, token.line, token.facts.server) == ("krb-error", 7, "contososvc")


def test_a_trace_that_is_cut_off_or_hostile() -> None:
    found = read(TRACE.format(REPAIRED, "5").partition("</failedRequest>")[0])
    assert [(one.kind, one.readable) for one in found.evidence if one.kind == "freb"] == [("freb", False)]
    assert len(found.unread) == 1
    hostile = read("<!DOCTYPE failedRequest [<!ENTITY a 'b'>]>\n" + TRACE.partition("?>\n")[2].partition("?>\n")[2])
    assert (hostile.evidence, [one.line for one in hostile.unread]) == ((), [1])
