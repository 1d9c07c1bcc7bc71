"""Each cause: evidence that gives it, and evidence nearby that must not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from worlds import App, app, config, site

from agent.cli.program import main
from agent.evidence.causes import CAUSES
from tests.test_diagnose import (
    ADDRESS,
    CONTOSO,
    DOMAIN,
    EVENT_11,
    IIS01,
    LOG,
    NTLM,
    ap_req,
    entry,
    event_4,
    krb_error,
)

SERVICE, NAME = r"TEST\contososvc", "*:80:contoso.test.com"
FARM = '[[name]]\nhost = "contoso.test.com"\nservers = ["IIS01", "IIS02"]\n'


class Trial(NamedTuple):
    """Evidence, a directory, configurations by server, and a farm file."""

    text: str
    ldif: str = ""
    servers: tuple[tuple[str, str], ...] = ()
    farm: str = ""


def server(creds: bool = True, providers: tuple[str, ...] = ("Negotiate", "NTLM"), apps: tuple[App, ...] = ()) -> str:
    root = app(enabled=True, creds=creds, providers=providers)
    return config([site(NAME, apps=apps)], {"Pool": SERVICE, "B": r"TEST\b"}, root)


def on(server_text: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("IIS01", server_text), *more)


HELD = IIS01 + entry("contososvc", CONTOSO)
IIS02 = entry("IIS02$", "HOST/iis02.test.com", "HOST/IIS02", kind="computer")
NOT_UNIQUE = "not unique. Attribute:\nservicePrincipalName Value=HTTP/contoso.test.com\n"
TWO = (app("/", "Pool"), app("/b", "B"))
NO_KEY = (
    f"While processing a TGS request for the target server {CONTOSO}, the account a@T did not have a suitable key\n"
)
HTTPERR = "#Fields: date time sc-status s-reason\n2026-08-12 10:00:00 400 {}\n"

PAIRS = {
    "spn-duplicate": (Trial(EVENT_11), Trial(event_4("contososvc"), HELD)),
    "spn-misplaced": (Trial(event_4("iis01$"), HELD), Trial(event_4("contososvc"), HELD)),
    "spn-shadowed-by-host": (
        Trial(event_4("contososvc", "HTTP/iis01.test.com"), HELD),
        Trial(event_4("iis01$", "HTTP/iis01.test.com"), HELD),
    ),
    "client-spn-variant": (
        Trial(event_4("contososvc", "HTTP/iis01.test.com") + "contoso.test.com CNAME 60 Answer iis01.test.com\n", HELD),
        Trial(event_4("contososvc", "HTTP/iis01.test.com") + "contoso.test.com A 60 Answer 10.0.5.2\n", HELD),
    ),
    "same-name-two-domains": (
        Trial(event_4("contososvc", realm="SUB.TEST.COM"), HELD),
        Trial(event_4("contososvc"), HELD),
    ),
    "wrong-server": (
        Trial(event_4("iis09$"), HELD, on(server())),
        Trial(event_4("contososvc"), HELD, on(server())),
    ),
    "farm-machine-identity": (
        Trial(event_4("iis02$"), IIS02 + entry("IIS01$", CONTOSO, kind="computer"), on(server(creds=False), ("IIS02", server(creds=False))), FARM),
        Trial(event_4("contososvc"), IIS02 + HELD, on(server(), ("IIS02", server())), FARM),
    ),
    "farm-nodes-differ": (
        Trial(event_4("iis02$"), IIS02 + HELD, on(server(), ("IIS02", server(creds=False))), FARM),
        Trial(event_4("contososvc"), IIS02 + HELD, on(server(), ("IIS02", server())), FARM),
    ),
    "spn-conflict": (
        Trial(event_4("b"), HELD, on(server(apps=TWO))),
        Trial(event_4("b"), HELD, on(server())),
    ),
    "running-identity-differs": (
        Trial(event_4("oldsvc"), HELD, on(server())),
        Trial(event_4("contososvc"), HELD, on(server())),
    ),
    "stale-password": (Trial(event_4("contososvc"), HELD), Trial(event_4("contososvc"), HELD + entry("old", CONTOSO))),
    "computer-password": (
        Trial(event_4("iis01$"), entry("IIS01$", CONTOSO, kind="computer")),
        Trial(event_4("iis01$"), HELD),
    ),
    "spn-not-replicated": (
        Trial("C:\\>klist get HTTP/contoso.test.com\nklist failed with 0xc000018b/-1073741429: x\n", HELD),
        Trial("C:\\>klist get HTTP/contoso.test.com\nklist failed with 0xc000018b/-1073741429: x\n", IIS01),
    ),
    "spn-missing": (Trial(NTLM + ADDRESS, IIS01), Trial(NTLM + ADDRESS, HELD)),
    "plan-blocked-by-alias": (
        Trial(NOT_UNIQUE.replace("contoso", "iis01"), IIS01),
        Trial(NOT_UNIQUE, HELD),
    ),
    "etype-mismatch": (Trial(NO_KEY), Trial(ap_req(CONTOSO), HELD)),
    "clock-skew": (Trial(krb_error(37)), Trial(krb_error(32))),
    "ticket-expired": (Trial(krb_error(32)), Trial(krb_error(37))),
    "negotiate-missing": (
        Trial(NTLM, HELD, on(server(providers=("NTLM",)))),
        Trial(NTLM, HELD, on(server())),
    ),
    "providers-order": (
        Trial(NTLM, HELD, on(server(providers=("NTLM", "Negotiate")))),
        Trial(NTLM, HELD, on(server())),
    ),
    "ip-only-binding": (Trial(NTLM.replace("contoso.test.com", "10.0.5.2")), Trial(NTLM)),
    "loopback": (Trial(NTLM.replace("contoso.test.com", "localhost")), Trial(NTLM)),
    "channel-binding": (Trial(LOG.format("1 2148074310")), Trial(LOG.format("1 2148074254"))),
    "header-too-long": (Trial(HTTPERR.format("FieldLength")), Trial(HTTPERR.format("Hostname"))),
    "not-kerberos": (Trial(NTLM), Trial(ap_req(CONTOSO))),
    "unknown": (Trial(krb_error(60)), Trial(krb_error(41))),
}  # fmt: skip


def given(trial: Trial, folder: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The causes that it gives."""
    (folder / "evidence.txt").write_text(trial.text, encoding="utf-8")
    words = ["diagnose", str(folder / "evidence.txt")]
    for name, text in trial.servers:
        (folder / name).mkdir()
        machine = {"name": name, "dns_name": f"{name.lower()}.test.com", "domain": "test.com", "netbios_domain": "TEST"}
        (folder / name / "machine.json").write_text(
            json.dumps({**machine, "membership": "domain", "content": {"looked": True}})
        )
        (folder / name / "applicationHost.config").write_text(text)
        words.append(str(folder / name))
    for option, file, text in (
        ("--ad", "d.ldif", trial.ldif and DOMAIN + trial.ldif),
        ("--farm", "f.toml", trial.farm),
    ):
        if text:
            (folder / file).write_text(text, encoding="utf-8")
            words += [option, str(folder / file)]
    main([*words, "--format", "json"])
    return {cause["id"] for cause in json.loads(capsys.readouterr().out)["causes"]}


@pytest.mark.parametrize("name", CAUSES)
def test_a_case_that_gives_it_and_one_that_must_not(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gives").mkdir()
    (tmp_path / "not").mkdir()
    gives, nearby = PAIRS[name]
    found = given(gives, tmp_path / "gives", capsys)
    assert name in found
    assert name not in given(nearby, tmp_path / "not", capsys)


def test_every_cause_has_its_pair() -> None:
    assert set(PAIRS) == set(CAUSES)
