"""What a probe means, and what it does on the wire: nothing secret, nothing too long, nothing for ever."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

pytest.importorskip("spnego", reason="the extra `dev` is not installed")

from agent import exits
from agent.cli.program import main
from agent.evidence.known import Known
from agent.evidence.observed import NoTicket, Reply, Seen, Sent
from agent.evidence.probed import Probe, judged
from agent.evidence.tokens import challenges, read_token
from agent.model import Outcome
from agent.names import AccountName, host_name, spn
from agent.render.probed import to_text
from agent.sources.web import exchange, looking, tickets
from agent.sources.web.exchange import Connection, UnansweredError
from agent.sources.web.looking import looked_at
from agent.sources.web.tickets import Tickets
from agent.spn.clients import CLIENTS
from agent.story.probed import Predicted, Probing, compared, with_causes
from agent.story.probing import looks, urls_of
from agent.story.schema import to_text as schema_text
from agent.story.url import read_url
from tests import made_tokens as made
from tests.probing import Answer, answering, head, saying

ROOT = Path(__file__).parents[1]
SPN = "HTTP/iis01.test.com"
OFFERS = challenges("Negotiate, NTLM")


# -- what it means -------------------------------------------------------------------------------------------------


def seen(**more: Any) -> Seen:
    return Seen(
        url="http://iis01.test.com/", client="edge", spn=spn(SPN), first=Reply(status=401, offers=OFFERS), **more
    )


def answered(status: int, *values: str, proof: bool | None = None) -> Seen:
    """A ticket was sent, and this came."""
    offers = tuple(found for value in values for found in challenges(value))
    sent = Sent(token=read_token(made.ASKED), ends="2026-11-22T20:00:00Z")
    return seen(sent=sent, reply=Reply(status=status, offers=offers), proof=proof)


def refused(code: int | None, said: bool, *values: str) -> Seen:
    """The KDC gave none, and this came to the first message of NTLM."""
    refusal = NoTicket(code=code, reason="the KDC knows no such name", is_said_of_spn=said)
    offers = tuple(found for value in values for found in challenges(value))
    return seen(refusal=refusal, reply=Reply(status=401, offers=offers) if values else None)


def error(code: int, server: str = "contososvc") -> str:
    return f"Negotiate {made.written(made.response(made.framed(made.ERROR, made.krb_error(code, server))))}"


CHALLENGE = f"Negotiate {made.NTLM_CHALLENGE}"
ACCEPTED = f"Negotiate {made.ACCEPTED}"
CASES: dict[str, tuple[Seen, str, str | None, str]] = {
    "accepted and proved": (answered(200, ACCEPTED, proof=True), "kerberos", "kerberos", "proves"),
    "accepted without a proof": (answered(200), "kerberos", "kerberos", "takes the ticket"),
    "accepted, may not read it": (answered(403), "kerberos", "kerberos", "403"),
    "accepted, elsewhere": (answered(302), "kerberos", "kerberos", "302"),
    "a proof that is none": (answered(200, ACCEPTED, proof=False), "none", "uncertain", "proof"),
    "modified": (answered(401, error(41)), "none", "modified", "contososvc of TEST.COM cannot decrypt"),
    "not us": (answered(401, error(35)), "none", "modified", "KRB_AP_ERR_NOT_US"),
    "clock": (answered(401, error(37)), "none", "uncertain", "KRB_AP_ERR_SKEW"),
    "ticket expired": (answered(401, error(32)), "none", "uncertain", "KRB_AP_ERR_TKT_EXPIRED"),
    "channel binding, or no word": (answered(401, "Negotiate", "NTLM"), "none", "uncertain", "extended protection"),
    "rejected": (answered(401, "Negotiate oQcwBaADCgEC"), "none", "uncertain", "does not say why"),
    "header too long": (answered(400), "none", "uncertain", "too long"),
    "the server fails": (answered(503), "none", "uncertain", "503"),
    "a challenge instead": (answered(401, CHALLENGE), "ntlm", "uncertain", "NTLM"),
    "nobody has the SPN": (refused(7, True, CHALLENGE), "ntlm", "ntlm-fallback", "iis01.test.com"),
    "nobody has it, NTLM offered": (refused(7, True, "Negotiate", "NTLM"), "ntlm", "ntlm-fallback", "offers it"),
    "not unique": (refused(8, True, CHALLENGE), "ntlm", "duplicate", "PRINCIPAL_NOT_UNIQUE"),
    "no encryption type": (refused(14, True, CHALLENGE), "ntlm", "uncertain", "ETYPE"),
    "no logon": (refused(None, False), "none", "unchecked", "No ticket"),
    "no connection": (seen(failure="nothing listens on port 80"), "none", "unchecked", "nothing listens"),
    "anonymous": (replace(seen(), first=Reply(status=200)), "none", None, "without asking"),
    "Basic alone": (replace(seen(), first=Reply(status=401)), "none", None, "neither Negotiate nor NTLM"),
    "an address": (replace(seen(reply=Reply(status=401, offers=challenges(CHALLENGE))), spn=None),
                   "ntlm", "ntlm-fallback", "an address"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_was_seen_in_the_words_of_the_report(name: str) -> None:
    given, used, observed, word = CASES[name]
    probe = judged(given)
    assert (probe.used, probe.observed) == (used, observed)
    assert word in " ".join(probe.because)


def test_nothing_offers_ntlm() -> None:
    kerberos_only = replace(refused(7, True, "Negotiate"), first=Reply(status=401, offers=challenges("Negotiate")))
    assert judged(kerberos_only).used == "none"


def test_a_ticket_is_told_by_what_stands_in_clear() -> None:
    probe = judged(answered(200, ACCEPTED, proof=True))
    assert probe.ticket is not None
    assert (probe.ticket.realm, probe.ticket.server, probe.ticket.etype, probe.ticket.kvno) == ("TEST.COM", SPN, 18, 3)
    assert [item.kind for item in probe.evidence] == ["ap-req", "spnego"]
    assert [item.secret for item in probe.evidence] == [True, False]


@pytest.mark.parametrize(
    ("server", "account"),
    [
        ("contososvc", "TEST\\contososvc"),
        ("iis01$", "TEST\\iis01$"),
        ("host/iis01.test.com", "TEST\\IIS01$"),
        (SPN, "None"),
    ],
)
def test_who_tried_to_decrypt(server: str, account: str) -> None:
    assert str(judged(answered(401, error(41, server))).decrypts_as) == account


# -- beside what was predicted -------------------------------------------------------------------------------------

POOL, COMPUTER = AccountName("TEST", "contososvc", "test.com"), AccountName("TEST", "IIS01$", "test.com")


def predicted(outcome: Outcome | None, account: AccountName | None = POOL, *answers: AccountName) -> Predicted:
    because = ("The pool decrypts.",)
    return Predicted(
        outcome=outcome, decrypts_as=account, answers=answers, because=because, server="IIS01", site="Site", path="/"
    )


WORKS, MODIFIED, NTLM = answered(200, ACCEPTED, proof=True), answered(401, error(41)), refused(7, True, CHALLENGE)
AGREE: list[tuple[Seen, Outcome | None]] = [
    *((WORKS, "kerberos"), (MODIFIED, "modified"), (NTLM, "ntlm-fallback"), (NTLM, "duplicate"), (NTLM, "impossible")),
    *((MODIFIED, "impossible"), (WORKS, "uncertain"), (MODIFIED, "unchecked")),
    *((CASES["anonymous"][0], "kerberos"), (CASES["no connection"][0], "modified"), (CASES["clock"][0], "kerberos")),
]
DIFFER: list[tuple[Seen, Outcome | None]] = [
    *((WORKS, "modified"), (WORKS, "ntlm-fallback"), (WORKS, "duplicate"), (WORKS, "impossible"), (WORKS, None)),
    *((MODIFIED, "kerberos"), (MODIFIED, "ntlm-fallback"), (NTLM, "kerberos"), (NTLM, "modified"), (MODIFIED, None)),
]


@pytest.mark.parametrize(("given", "outcome"), AGREE)
def test_what_contradicts_nothing(given: Seen, outcome: Outcome) -> None:
    probe, finding = compared(judged(given), [predicted(outcome)])
    assert finding is None
    assert probe.predicted == outcome


@pytest.mark.parametrize(("given", "outcome"), DIFFER)
def test_prediction_differs(given: Seen, outcome: Outcome | None) -> None:
    probe, finding = compared(judged(given), [predicted(outcome)])
    assert finding is not None
    assert (finding.id, finding.severity, finding.spn) == ("prediction-differs", "error", spn(SPN))
    assert "The pool decrypts." in finding.message
    assert all(step in finding.message for step in probe.because)


def test_another_account_than_predicted_tried_to_decrypt() -> None:
    _, finding = compared(judged(MODIFIED), [predicted("modified", COMPUTER)])
    assert finding is not None
    assert compared(judged(MODIFIED), [predicted("modified", POOL)])[1] is None


def test_an_account_of_another_domain_is_another_account() -> None:
    _, finding = compared(judged(MODIFIED), [predicted("modified", AccountName("ELSE", "contososvc", "else.com"))])
    assert finding is not None


def test_who_decrypts_is_called_as_it_was_inspected() -> None:
    renamed = AccountName("NORD", "contososvc", "test.com")
    probe, _ = compared(judged(MODIFIED), [predicted("modified", renamed)])
    assert str(probe.decrypts_as) == "NORD\\contososvc"
    probe, _ = compared(judged(WORKS), [predicted("kerberos", POOL, POOL)])
    assert probe.decrypts_as == POOL
    assert compared(judged(WORKS), [predicted("kerberos", POOL)])[0].decrypts_as is None


def test_several_servers_are_predicted_as_far_as_they_agree() -> None:
    nodes = [predicted("kerberos"), predicted("modified", COMPUTER)]
    probe, finding = compared(judged(WORKS), nodes)
    assert (probe.predicted, finding) == ("uncertain", None)
    assert compared(judged(NTLM), nodes)[1] is not None
    assert compared(judged(WORKS), [])[0].predicted is None


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("modified", "spn-misplaced"),
        ("clock", "clock-skew"),
        ("ticket expired", "ticket-expired"),
        ("not us", "wrong-server"),
    ],
)
def test_what_the_server_says_has_the_causes_of_diagnose(name: str, id_: str) -> None:
    causes = with_causes(judged(CASES[name][0]), Known(())).causes
    assert causes[0].id == id_
    assert all(cause.likelihood != "certain" for cause in causes)


def test_where_the_server_says_nothing_no_cause_is_made_up() -> None:
    assert with_causes(judged(WORKS), Known(())).causes == ()
    assert with_causes(judged(CASES["channel binding, or no word"][0]), Known(())).causes == ()


# -- what is asked for ---------------------------------------------------------------------------------------------


def test_an_address_and_a_loopback_name_ask_for_no_ticket() -> None:
    urls = [read_url(text) for text in ("http://10.0.0.5/", "http://[fe80::1]/", "http://localhost/")]
    assert [look.spn for look in looks(urls, [CLIENTS["edge"]], None)] == [None, None, None]


def test_a_client_with_ports_asks_for_the_port() -> None:
    (look,) = looks([read_url("http://a.test.com:8080/")], [CLIENTS["edge-port"]], None)
    assert str(look.spn) == "HTTP/a.test.com:8080"


def test_a_name_that_is_not_ascii_is_asked_for_by_its_a_label() -> None:
    """RFC 5891, UTS 46: what stands in DNS, in the certificate and in the Host header, too."""
    (look,) = looks([read_url("https://b\u00fccher.test.com/\u00fc")], [CLIENTS["edge"]], None)
    assert str(look.spn) == "HTTP/xn--bcher-kva.test.com"
    assert exchange.authority(look.url) == "xn--bcher-kva.test.com"


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://a:80/", "a"), ("https://a:443/", "a"), ("http://a:443/", "a:443"), ("http://[::1]:81/", "[::1]:81")],
)
def test_the_host_header(url: str, host: str) -> None:
    assert exchange.authority(read_url(url)) == host


def test_each_url_as_each_kind_of_client() -> None:
    urls = [read_url("http://a.test.com/"), read_url("http://b.test.com/")]
    found = looks(urls, [CLIENTS["edge"], CLIENTS["java"]], None)
    assert [(look.url.host.text[0], look.client) for look in found] == [
        *(("a", "edge"), ("a", "java"), ("b", "edge"), ("b", "java"))
    ]


# -- on the wire ---------------------------------------------------------------------------------------------------


class NoKdc(Tickets):
    """A KDC that knows no SPN."""

    def ticket(self, spn: Any, certificate: bytes) -> NoTicket:  # noqa: ARG002
        return NoTicket(code=7, reason="unknown", is_said_of_spn=True)


def look_at(answer: Answer, path: str = "/") -> tuple[Seen, list[str]]:
    with answering(answer) as (port, requests):
        (look,) = looks([read_url(f"http://iis01.test.com:{port}{path}")], [CLIENTS["edge"]], None)
        found = looked_at(replace(look, addresses=["127.0.0.1"]), NoKdc(None), ssl.create_default_context())
    return found, requests


def test_the_requests() -> None:
    found, requests = look_at(
        saying(head("401 no", "WWW-Authenticate: Negotiate", "WWW-Authenticate: NTLM")), "/a b?secret"
    )
    assert [line.split("\r\n")[0] for line in requests] == ["HEAD /a%20b HTTP/1.1"] * 2
    assert "Authorization" not in requests[0]
    sent = read_token(requests[1].partition("Authorization: Negotiate ")[2].split("\r\n")[0])
    assert (sent.kind, sent.facts.message, sent.facts.known) == ("ntlm", "negotiate", {"message": "negotiate"})
    assert found.refusal is not None


def test_get_where_head_is_refused() -> None:
    _, requests = look_at(saying(head("404 no"), head("401 no", "WWW-Authenticate: Negotiate")))
    assert [line.split()[0] for line in requests] == ["HEAD", "GET", "GET"]


def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    found, requests = look_at(saying(head("302 no", "Location: /inner"), head("200 yes")))
    assert [line.split()[1] for line in requests] == ["/", "/inner"]
    assert found.first is not None
    found, requests = look_at(saying(head("302 no", "Location: http://other.test.com/")))
    assert len(requests) == 1
    assert any("not followed" in step for step in found.steps)
    _, requests = look_at(saying(head("302 no", "Location: /again")))
    assert len(requests) == 1 + looking.MOST_REDIRECTS


def test_a_redirect_out_of_tls_is_not_followed() -> None:
    (look,) = looks([read_url("https://a.test.com/")], [CLIENTS["edge"]], None)
    looking_at = looking._Looking(look, NoKdc(None), ssl.create_default_context())
    assert looking_at._redirected(Reply(status=302, location="http://a.test.com/")) is None
    assert (
        str(looking_at._redirected(Reply(status=302, location="https://a.test.com:8443/x")))
        == "https://a.test.com:8443/x"
    )
    assert looking_at._redirected(Reply(status=302, location="javascript:alert(1)")) is None
    assert looking_at._redirected(Reply(status=302, location="http://[::1")) is None


def _endless(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 yes\r\n")
    while True:
        connection.sendall(b"X: " + b"a" * 1000 + b"\r\n")


def _continuing(connection: socket.socket, _request: bytes) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 more\r\n\r\n" * 500)


def _endless_body(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 401 no\r\nWWW-Authenticate: Negotiate\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def _reset(connection: socket.socket, _request: bytes) -> None:
    connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        *(_endless, _continuing, _reset, saying("SSH-2.0-x\r\n"), saying("\x16\x03\x01\x02\x00"), saying("")),
        *(saying("HTTP/1.1 abc\r\n\r\n"), saying("HTTP/1.1 200\r\n" + "a: b\r\n" * 200 + "\r\n")),
        *(saying("HTTP/1.1 200 ok\r\nX: " + "a" * 70000 + "\r\n\r\n"), saying("HTTP/1.1 200 ok\r\nX: cut")),
    ],
)  # fmt: skip
def test_a_server_that_is_none_is_told_in_words(answer: Answer) -> None:
    found, _ = look_at(answer)
    probe = judged(found)
    assert probe.observed == ("unchecked" if found.failure else None)
    assert found.failure or found.first is not None


def test_an_endless_body_is_not_read() -> None:
    found, _ = look_at(_endless_body)
    assert found.first == Reply(status=401, offers=challenges("Negotiate"))


def test_a_slow_server_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SECONDS", 0.3)

    def slowly(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 ok\r\nX: ")
        connection.recv(1)

    assert "no whole answer" in look_at(slowly)[0].failure


HOSTILE = [
    *("Negotiate", "Negotiate %%%", f"Negotiate {made.NTLM_CHALLENGE[:40]}", "NTLM TlRM", f"Negotiate {'A' * 60000}"),
    *(f"Negotiate {made.REFUSED[:60]}", f"Negotiate {made.ASKED}", 'Basic realm="\x1b[31m"', "Negotiate \x1b[31m"),
    error(41, "\x1b[31mroot\u202e"),
]


@pytest.mark.parametrize("value", HOSTILE)
def test_whatever_stands_in_a_header_is_judged_and_shown(value: str) -> None:
    for given in (answered(401, value), refused(7, True, value), answered(200, value, proof=False)):
        probing = document(judged(given))
        shown = to_text(probing, 80, False)
        assert shown.replace("\n", "").isprintable()


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnansweredError, match=f"nothing listens on port {port}"):
        Connection(read_url(f"http://a.test.com:{port}/"), ["127.0.0.1"], ssl.create_default_context())


def test_addresses_that_swallow_connections_take_no_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of all of them together: none is left for the last ones."""
    waited: list[float] = []
    clock = [0.0]

    def swallowed(_address: object, timeout: float) -> None:
        waited.append(timeout)
        clock[0] += timeout
        raise TimeoutError

    monkeypatch.setattr(exchange.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(exchange.socket, "create_connection", swallowed)
    addresses = [f"127.0.0.{number}" for number in range(1, 20)]
    with pytest.raises(UnansweredError, match="firewall"):
        Connection(read_url("http://a.test.com/"), addresses, ssl.create_default_context())
    assert sum(waited) <= exchange.SECONDS
    assert len(waited) <= exchange.MOST_ADDRESSES


def test_tls_where_there_is_none() -> None:
    with answering(saying("HTTP/1.1 400 no\r\n\r\n")) as (port, _), pytest.raises(UnansweredError, match="TLS"):
        Connection(read_url(f"https://a.test.com:{port}/"), ["127.0.0.1"], ssl.create_default_context())


# -- whose tickets -------------------------------------------------------------------------------------------------

WHO = tickets.Who("alice@TEST.COM", lambda: "Canary-Pa55word", host_name("a.test.com"))


@pytest.mark.skipif(sys.platform == "win32", reason="SSPI logs on there")
def test_a_wrong_password_is_sent_once_for_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gssapi", reason="python-gssapi is not installed")
    sent: list[str] = []

    class WrongError(Exception):
        err_code = -1765328360  # KDC_ERR_PREAUTH_FAILED

    def log_on(principal: str, _password: str) -> None:
        sent.append(principal)
        raise WrongError

    monkeypatch.setattr(tickets, "of_password", log_on)
    asked = Tickets(WHO)
    answers = [asked.ticket(spn(f"HTTP/{name}"), b"") for name in ("a.test.com", "b.test.com", "c.other.com")]
    assert sent == ["alice@TEST.COM"]
    assert {getattr(answer, "reason", "") for answer in answers} == {"the password is wrong"}
    assert "Canary" not in repr(answers) + repr(vars(asked)["_cache"])


@pytest.mark.skipif(sys.platform == "win32", reason="SSPI is asked there")
def test_the_kdc_is_asked_once_for_an_spn_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for a domain whose KDC is silent; another domain is asked all the same."""
    pytest.importorskip("gssapi", reason="python-gssapi is not installed")
    asked_for: list[str] = []

    class KdcError(Exception):
        def __init__(self, code: int) -> None:
            super().__init__("no")
            self.err_code = code

    def ask(_cache: object, name: Any, _certificate: bytes) -> None:
        asked_for.append(str(name))
        raise KdcError(-1765328377 if "silent" not in str(name) else -1765328228)

    monkeypatch.setattr(tickets, "of_password", lambda *_: object())
    monkeypatch.setattr(tickets, "_by_gssapi", ask)
    asked = Tickets(WHO)
    for name in ("a.test.com", "A.test.com", "b.silent.com", "c.silent.com", "b.test.com"):
        assert isinstance(asked.ticket(spn(f"HTTP/{name}"), b""), NoTicket)
    assert asked_for == ["HTTP/a.test.com", "HTTP/b.silent.com", "HTTP/b.test.com"]


def test_a_password_that_windows_calls_wrong_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def log_on(_who: object, name: Any, _certificate: bytes) -> NoTicket:
        sent.append(str(name))
        return NoTicket(code=None, reason="SEC_E_LOGON_DENIED", is_said_of_spn=False)

    monkeypatch.setattr(tickets, "_sspi_ticket", log_on)
    asked = Tickets(WHO)
    names = [spn(f"HTTP/{number}.test.com") for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: asked._windows(name, b""), names))
    assert len(sent) == 1


def test_of_which_realm_a_bare_name_is_must_follow_from_something() -> None:
    pytest.importorskip("gssapi", reason="python-gssapi is not installed")
    answer = Tickets(tickets.Who("alice", lambda: "x", host_name("short"))).ticket(spn("HTTP/short"), b"")
    assert isinstance(answer, NoTicket)
    assert "write user@REALM" in answer.reason


# -- the document --------------------------------------------------------------------------------------------------


def document(*probes: Probe, **more: Any) -> Probing:
    from agent.model import Tool

    fields: dict[str, Any] = {"schema": "iis-spn/probe/1", "tool": Tool("iis-spn", "0"), "findings": (), **more}
    return Probing(started="2026-11-22T10:00:00Z", finished="2026-11-22T10:00:00Z", probes=probes, **fields)


def test_the_schema_is_derived_and_holds() -> None:
    from agent.model.document import json_pieces

    committed = ROOT / "docs" / "probe.schema.json"
    assert committed.read_text() == schema_text(), "python -m agent.story.schema > docs/probe.schema.json"
    probe, finding = compared(judged(MODIFIED), [predicted("kerberos")])
    assert finding is not None
    told = document(probe, *(judged(given) for given, *_ in CASES.values()), findings=(finding,))
    jsonschema.validate(json.loads("".join(json_pieces(told))), json.loads(committed.read_text()))


def test_no_ticket_and_no_answer_is_in_any_format() -> None:
    from agent.model.document import json_pieces
    from agent.render.probed_markdown import to_markdown

    told = document(*(judged(given) for given, *_ in CASES.values()))
    written = "".join(json_pieces(told)) + to_text(told, 80, False) + to_markdown(told)
    for secret in (made.ASKED, made.ASKED[40:80], "5a5a5a5a"):
        assert secret not in written


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_as_it_is_told(form: str) -> None:
    """Each ending there is, as golden text; the wording of the table is that of `--all`."""
    from agent.cli.formats import known_by
    from agent.render.screen import Screen

    probes = [replace(judged(given), url=f"http://{name.replace(' ', '-')}/") for name, (given, *_) in CASES.items()]
    differing = [compared(judged(given), [predicted("kerberos", COMPUTER)]) for given in (MODIFIED, NTLM)]
    findings = tuple(finding for _, finding in differing if finding is not None)
    every = [with_causes(probe, Known(())) for probe in (*probes, *(probe for probe, _ in differing))]
    told = document(*every, findings=findings)
    text = "".join(known_by("probe")[form].pieces(told, Screen(100, False, "all")))
    path = ROOT / "tests" / "golden" / f"probe.{form}.txt"
    if os.environ.get("IIS_SPN_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode()


@pytest.fixture
def silent_kdc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tickets, "ticket", NoKdc.ticket)


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_the_command(form: str, silent_kdc: None, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
    with answering(saying(head("401 no", "WWW-Authenticate: Negotiate"))) as (port, _):
        code = main(["probe", f"http://127.0.0.1:{port}/", "--dns", "off", "--format", form])
    assert code == exits.FINDINGS
    assert "127.0.0.1" in capsys.readouterr().out


def test_what_was_not_read_of_a_target_is_told(silent_kdc: None, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
    with answering(saying(head("401 no", "WWW-Authenticate: Negotiate"))) as (port, _):
        words = ["probe", f"http://127.0.0.1:{port}/", "nowhere", "--dns", "off", "--ad", "off"]
        assert main([*words, "--format", "json"]) == exits.INCOMPLETE
        told = json.loads(capsys.readouterr().out)
        assert main(words) == exits.INCOMPLETE
    assert told["gaps"]
    assert "nowhere" in told["gaps"][0]
    assert "Not read: nowhere" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["WEB01"], ["ftp://a/"], ["http://"]])
def test_nothing_to_probe_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
    assert main(["probe", *words, "--dns", "off"]) == exits.USAGE
    assert capsys.readouterr().out == ""


def test_the_names_of_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from agent.model import Report

    samples = ROOT / "sample_configs"
    where = ["--ad", str(samples / "directory.ldif"), "--dns", str(samples / "zone.txt"), "--format", "json"]
    main(["inspect", str(samples / "IIS05"), *where, "--output", str(tmp_path / "r.json")])
    capsys.readouterr()
    report = Report.from_json((tmp_path / "r.json").read_text())
    needs = {r.spn.host for r in report.requirements if r.need in {"explicit", "covered"}}
    found = urls_of(report)
    assert found
    assert {url.host for url in found} <= needs
    assert len({str(url) for url in found}) == len(found)
