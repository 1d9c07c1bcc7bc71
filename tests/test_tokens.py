"""What a token in a header says, whole and damaged; pyspnego reads the same tokens as a second opinion."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st

from agent.evidence.captured import Facts
from agent.evidence.tokens import LONGEST, challenges, read_bytes, read_token
from tests import made_tokens as made
from tests.work import calls

REAL = (
    "oXsweaADCgEBoQsGCSqGSIb3EgECAqJlBGNgYQYJKoZIhvcSAQICAwB+UjBQoAMCAQWhAwIBHqQRGA8yMDI2MDgxMjE2MjAxOFqlBQIDB2japgMCASmp"
    "DhsMTFVTVFJPVVMyLlZMqhUwE6ADAgEBoQwwChsIU2hhcmVTdmM="
)
"""Of an IIS 10, August 2026 (kerberos-rules 10.4)."""
ARTICLE = (
    "oWwwaqADCgEBomMEYWBfBgkqhkiG9xIBAgIDAH5QME6abcdIBBaEDAgEepBEYDzIwMTExMabcd0MDUxMDE0WqUabcd2mAwIBKakKGwhURVNULkNPTaoX"
    "MBWgAwIBAaEOMAwbCmNvbnRvc29zdmM="
)
"""As the article prints it, damaged in three places."""
REPAIRED = (
    "oWwwaqADCgEBomMEYWBfBgkqhkiG9xIBAgIDAH5QME6gAwIBBaEDAgEepBEYDzIwMTExMDE0MDUxMDE0WqUFAgMHaN2mAwIBKakKGwhURVNULkNPTaoX"
    "MBWgAwIBAaEOMAwbCmNvbnRvc29zdmM="
)
COMPUTER = (
    "oXUwc6ADCgEBoQsGCSqGSIb3EgECAqJfBF1gWwYJKoZIhvcSAQICAwB+TDBKoAMCAQWhAwIBHqQRGA8yMDI2MDgxMjE2MjAxOFqlBQIDB2jdpgMCASmp"
    "ChsIVEVTVC5DT02qEzARoAMCAQGhCjAIGwZpaXMwMSQ="
)
LONG_LENGTHS = (
    "oYGEMIGBoAMKAQGhCwYJKoZIhvcSAQICom0Ea2BpBgkqhkiG9xIBAgIDAH5aMFigAwIBBaEDAgEepBEYDzIwMTExMDE0MDUxMDE0WqUFAgMHaN2mAwIB"
    "KakKGwhURVNULkNPTaohMB+gAwIBAqEYMBYbBGhvc3QbDmlpczAxLnRlc3QuY29t"
)
SKEW = (
    "oXkwd6ADCgEBoQsGCSqGSIb3EgECAqJjBGFgXwYJKoZIhvcSAQICAwB+UDBOoAMCAQWhAwIBHqQRGA8yMDExMTAxNDA1MTAxNFqlBQIDB2jdpgMCASWp"
    "ChsIVEVTVC5DT02qFzAVoAMCAQGhDjAMGwpjb250b3Nvc3Zj"
)
MODIFIED = {"error_code": 41, "error_name": "KRB_AP_ERR_MODIFIED"}
DECODED = [  # kerberos-rules 10.4
    (REAL, {**MODIFIED, "realm": "LUSTROUS2.VL", "server": "ShareSvc", "time": "2026-08-12T16:20:18Z"}),
    (REPAIRED, {**MODIFIED, "realm": "TEST.COM", "server": "contososvc", "time": "2011-10-14T05:10:14Z"}),
    (COMPUTER, {**MODIFIED, "realm": "TEST.COM", "server": "iis01$", "time": "2026-08-12T16:20:18Z"}),
    (LONG_LENGTHS, {**MODIFIED, "realm": "TEST.COM", "server": "host/iis01.test.com", "time": "2011-10-14T05:10:14Z"}),
    (
        SKEW,
        {
            "error_code": 37,
            "error_name": "KRB_AP_ERR_SKEW",
            "realm": "TEST.COM",
            "server": "contososvc",
            "time": "2011-10-14T05:10:14Z",
        },
    ),
]


# -- whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "facts"), DECODED)
def test_a_krb_error_names_who_tried_to_decrypt(text: str, facts: dict[str, Any]) -> None:
    token = read_token(text)
    assert (token.kind, token.readable, token.secret) == ("krb-error", True, False)
    assert token.facts.known == {**facts, "state": "accept-incomplete", "mechanisms": ("Kerberos",)}


def test_answers_without_a_message() -> None:
    assert read_token("oQcwBaADCgEC").facts.known == {"state": "reject"}
    accepted = read_token("oRQwEqADCgEAoQsGCSqGSIL3EgECAg==")
    assert accepted.facts.known == {"state": "accept-completed", "mechanisms": ("Kerberos (Microsoft)",)}
    assert (accepted.kind, accepted.readable, accepted.secret) == ("spnego", True, False)


def test_an_ap_req_says_in_clear_what_it_is_for_and_is_a_secret() -> None:
    token = read_token(made.ASKED)
    assert (token.kind, token.readable, token.secret) == ("ap-req", True, True)
    said = token.facts
    assert (said.realm, said.spn, said.etype, said.kvno) == ("TEST.COM", "HTTP/iis01.test.com", 18, 3)
    assert said.mechanisms == ("Kerberos",)


def test_the_key_version_of_a_read_only_controller_is_no_negative_number() -> None:
    message = made.ap_req("HTTP/a", kvno=-(1 << 31) + (7 << 16) + 2)
    assert read_bytes(message).facts.kvno == (1 << 31) + (7 << 16) + 2


def test_an_ap_rep_is_no_secret() -> None:
    token = read_token(made.ACCEPTED)
    assert (token.kind, token.readable, token.secret) == ("spnego", True, False)
    assert (token.facts.message, token.facts.state, token.facts.etype) == ("ap-rep", "accept-completed", 18)


@pytest.mark.parametrize("wrap", [bytes, lambda m: made.framed(made.ERROR, m), lambda m: made.response(m)])
def test_a_message_is_found_bare_framed_and_negotiated(wrap: Any) -> None:
    token = read_bytes(wrap(made.krb_error(35, "iis01$")))
    assert (token.kind, token.facts.error_name, token.facts.server) == ("krb-error", "KRB_AP_ERR_NOT_US", "iis01$")
    assert token.readable


def test_an_unknown_number_has_no_name() -> None:
    assert read_bytes(made.krb_error(127, "x")).facts.known.keys() >= {"error_code"}
    assert read_bytes(made.krb_error(127, "x")).facts.error_name is None


# -- NTLM ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The three messages of a real logon by NTLM."""
    users = tmp_path / "users"
    users.write_text("TEST:alice:Canary-Pa55word\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    client = spnego.client("TEST\\alice", "Canary-Pa55word", "iis01.test.com", "HTTP", protocol="ntlm")
    server = spnego.server("iis01.test.com", "HTTP", protocol="ntlm")
    first = client.step()
    second = server.step(first)
    third = client.step(second)
    assert first is not None
    assert second is not None
    assert third is not None
    return [first, second, third]


def test_ntlm_says_which_message_and_for_whom_and_never_the_answer(exchange: list[bytes]) -> None:
    read = [read_bytes(message) for message in exchange]
    assert [token.facts.message for token in read] == ["negotiate", "challenge", "authenticate"]
    assert [token.secret for token in read] == [False, False, True]
    assert all(token.kind == "ntlm" and token.readable for token in read)
    assert read[2].facts.client == "TEST\\alice"
    assert read[2].facts.spn == "HTTP/iis01.test.com"
    answer = exchange[2][int.from_bytes(exchange[2][24:28], "little") :][:16]
    assert answer.hex() not in repr(read[2])
    assert set(read[2].facts.known) <= {"message", "client", "spn", "time", "computer", "domain", "channel_bindings"}


def test_ntlm_within_negotiate(exchange: list[bytes]) -> None:
    asked = read_bytes(made.init(exchange[0], made.NTLM))
    assert (asked.kind, asked.facts.message, asked.facts.mechanisms) == ("ntlm", "negotiate", ("NTLM",))
    answered = read_bytes(made.response(exchange[1], 1, made.NTLM))
    assert (answered.kind, answered.facts.message) == ("ntlm", "challenge")


def test_a_challenge_names_its_computer_and_its_clock() -> None:
    said = read_token(made.NTLM_CHALLENGE).facts
    assert (said.message, said.computer, said.domain) == ("challenge", "iis01.test.com", "TEST")
    assert said.time == "2026-11-22T10:00:00Z"


def test_a_cut_off_message_of_ntlm_keeps_its_number(exchange: list[bytes]) -> None:
    token = read_bytes(exchange[2][:70])
    assert (token.kind, token.facts.message, token.readable, token.secret) == ("ntlm", "authenticate", False, True)


# -- damaged -------------------------------------------------------------------------------------------------------


def test_the_token_of_the_article_still_names_who_tried_to_decrypt() -> None:
    token = read_token(ARTICLE)
    assert (token.kind, token.readable) == ("krb-error", False)
    assert (token.facts.error_code, token.facts.realm, token.facts.server) == (41, "TEST.COM", "contososvc")
    assert token.facts.time is None
    assert any("time" in reason for reason in token.unread)


@pytest.mark.parametrize("at", range(4, 90, 7))
@pytest.mark.parametrize("put", ["", "A", "\N{HORIZONTAL ELLIPSIS}", "abc"])
def test_a_character_too_few_or_too_many_costs_nothing_behind_it(at: int, put: str) -> None:
    token = read_token(REAL[:at] + put + REAL[at + 1 :])
    assert (token.kind, token.facts.error_code, token.facts.server) == ("krb-error", 41, "ShareSvc")
    assert token.facts.realm in {"LUSTROUS2.VL", None}


@pytest.mark.parametrize("length", [400, 401, 402, 403])
def test_an_ap_req_that_a_screen_cut_off_says_what_it_is_for(length: int) -> None:
    token = read_token(made.ASKED[:length])
    assert (token.kind, token.readable, token.secret) == ("ap-req", False, True)
    assert (token.facts.spn, token.facts.etype, token.facts.kvno) == ("HTTP/iis01.test.com", 18, 3)
    assert any("cut off" in reason for reason in token.unread)


def test_the_beginning_may_be_missing_too() -> None:
    assert read_token(made.ASKED[120:]).facts.spn in {"HTTP/iis01.test.com", None}
    assert read_token(REAL[90:]).facts.server == "ShareSvc"


@pytest.mark.parametrize("text", ["", "%%%", "AAAA", "=", "oQ", base64.b64encode(bytes(5000)).decode()])
def test_what_is_no_token_says_so(text: str) -> None:
    token = read_token(text)
    assert not token.readable
    assert token.facts == Facts()


def test_a_wrapped_token_is_whole() -> None:
    assert read_token(f"  {REAL[:40]}\r\n    {REAL[40:]}\n").readable


# -- the header ----------------------------------------------------------------------------------------------------


def test_offers_in_one_header() -> None:
    found = challenges(f'Negotiate {REAL}, NTLM,Basic realm="x, Negotiate foo", kerberos')
    assert found == (("Negotiate", REAL), ("NTLM", ""), ("Kerberos", ""))
    assert challenges("NEGOTIATE") == (("Negotiate", ""),)
    assert challenges("Bearer NTLMx, Negotiated") == ()


# -- bounds --------------------------------------------------------------------------------------------------------

HOSTILE = {
    "nested": base64.b64encode(made.SPNEGO * 9000).decode(),
    "nested framing": base64.b64encode(
        b"".join(b"\x60\x84\x00\x01\x00\x00" + made.SPNEGO for _ in range(6000))
    ).decode(),
    "shapes": base64.b64encode(b"\xa9\x03\x1b" * 30000).decode(),
    "principals": base64.b64encode(b"\xaa\x82\x03\xff\x30" * 18000).decode(),
    "runs": "AB!" * 40000,
    "pairs": base64.b64encode(
        b"NTLMSSP\0\x02\0\0\0" + bytes(28) + b"\xff\xff\0\0\0\0\0\0" + b"\x01\0\0\0" * 20000
    ).decode(),
    "elements": base64.b64encode(b"\x7e\x84\x00\x01\x00\x00\x30\x84\x00\x01\x00\x00" + b"\x02\0" * 40000).decode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tokens_cost_in_proportion_to_their_size(name: str) -> None:
    text = HOSTILE[name]
    assert calls(lambda: read_token(text)) < 20 * len(text)


def test_no_more_than_a_header_may_hold_is_looked_at() -> None:
    assert any("longer" in reason for reason in read_token("A" * (LONGEST + 1)).unread)
    assert calls(lambda: read_token("A" * LONGEST * 40)) < 1000


@given(st.binary(max_size=300))
def test_any_bytes_give_facts_or_say_what_is_unread(data: bytes) -> None:
    token = read_bytes(data)
    assert token.facts.known or token.unread


@given(st.sampled_from([REAL, made.ASKED]), st.data())
def test_damage_never_gives_another_name(text: str, data: Any) -> None:
    """With some characters lost a name is the right one, or not known."""
    at = data.draw(st.integers(0, len(text)))
    token = read_token(text[:at] + text[at + data.draw(st.integers(1, 60)) :])
    assert token.facts.server in {"ShareSvc", None}
    assert token.facts.error_code in {41, None}


# -- a second opinion ----------------------------------------------------------------------------------------------

WHOLE = [REAL, REPAIRED, COMPUTER, LONG_LENGTHS, SKEW, made.REFUSED, made.ASKED]


def _second_opinion(text: str) -> str:
    """What `pyspnego-parse` says."""
    run = [sys.executable, "-m", "spnego", "--token", text]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("text", WHOLE)
def test_pyspnego_reads_the_same(text: str) -> None:
    other = json.dumps(json.loads(_second_opinion(text)))
    said = read_token(text).facts
    for name in ("server", "spn", "realm"):
        for part in (getattr(said, name) or "").split("/"):
            assert f'"{part}"' in other or not part
    if said.error_code is not None:
        assert f"({said.error_code})" in other
        assert said.time is not None
        assert said.time.removesuffix("Z") in other
    if said.kvno is not None:
        assert f'"kvno": {said.kvno}' in other
        assert f"({said.etype})" in other
