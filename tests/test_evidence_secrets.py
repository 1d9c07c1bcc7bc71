"""No output holds a ticket, or an answer of NTLM, whatever it stands in; and what is read writes nothing down."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cli.program import main
from tests import made_tokens as made

WINDOW = 12
"""So many characters of a secret that stand in an output are no coincidence."""


def authenticate(seed: bytes) -> bytes:
    """Type 3 of NTLM (MS-NLMP 2.2.1.3): what the password can be guessed from stands behind byte 64."""
    answer = (seed * 200)[:180]
    fields = b"".join(
        len(value).to_bytes(2, "little") * 2 + offset.to_bytes(4, "little")
        for value, offset in ((answer[:24], 72), (answer, 96), (b"", 72), (b"", 72), (b"", 72), (b"", 72))
    )
    return b"NTLMSSP\0\x03\0\0\0" + fields + b"\x05\x82\x88\xa2" + bytes(8) + answer[:24] + answer


FORMS = (
    "> Host: contoso.test.com\n> Authorization: Negotiate {}\n",
    "Authorization: NTLM {}\n",
    '{{"log": {{"entries": [{{"request": {{"headers": [{{"name": "Authorization", "value": "Negotiate {}"}}]}}}}]}}}}',
    "{}\n",
    "The Kerberos client received a KRB_AP_ERR_MODIFIED error from the server {}. The target name used was HTTP/a.\n",
    "<failedRequest url='http://a/'><Event><EventData><Data Name='Headers'>Authorization: Negotiate {}</Data></EventData>"
    "</Event></failedRequest>",
    "Negotiate {}\\r\\n\n+ ErrorCode: KRB_AP_ERR_MODIFIED (41)\n",
    "#Fields: date time cs-host sc-status\n2026-08-12 10:00:00 {} 401\n",
    "cipher: {}\nNegotiate {}",
)


def leaks(secret: str, shown: str) -> list[str]:
    return [secret[at : at + WINDOW] for at in range(len(secret) - WINDOW + 1) if secret[at : at + WINDOW] in shown]


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_elsewhere")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    form=st.sampled_from([form for at, form in enumerate(FORMS) if at != 4]),
    seed=st.binary(min_size=16, max_size=64),
    is_ticket=st.booleans(),
    cut=st.integers(min_value=0, max_value=300),
    how=st.sampled_from(["table", "json", "markdown"]),
)
def test_no_output_holds_what_can_be_used(
    form: str, seed: bytes, is_ticket: bool, cut: int, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = (seed * 40)[:700]
    token = (
        made.init(made.framed(made.AP_REQ, made.ap_req("HTTP/contoso.test.com", size=300) + hidden), made.KERBEROS)
        if is_ticket
        else authenticate(seed)
    )
    text = base64.b64encode(token).decode()
    text = text[: len(text) - cut] if cut < len(text) - 200 else text
    path = Path("captured.txt")
    path.write_text(form.replace("{}", text).replace("{{", "{").replace("}}", "}"), encoding="utf-8")
    main(["diagnose", str(path), "--all", "--format", how])
    captured = capsys.readouterr()
    assert leaks(text[64:], captured.out + captured.err) == []
    assert [each.name for each in Path().iterdir()] == ["captured.txt"]


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (made.init(made.framed(made.AP_REQ, made.ap_req("HTTP/contoso.test.com")), made.KERBEROS), "a ticket"),
        (authenticate(bytes(range(64))), "an answer of NTLM"),
    ],
)
def test_a_secret_is_named_with_its_line(
    token: bytes, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "captured.txt"
    path.write_text(f"\n\nAuthorization: Negotiate {base64.b64encode(token).decode()}\n")
    main(["diagnose", str(path)])
    assert f"captured.txt:3 holds {kind}" in " ".join(capsys.readouterr().out.split())
