"""From evidence, configuration and directory to the cause: the article's scenarios, the truth table, each cause with a
case that gives it and one nearby that must not.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent import exits, inspect
from agent.cli.program import main
from agent.evidence.causes import CAUSES
from agent.evidence.complaints import BY_ERROR, NO_FAULTS
from agent.evidence.diagnosis import Diagnosis
from agent.evidence.judge import RULES
from agent.evidence.schema import to_text
from agent.model import Report
from agent.model.schema import report_schema
from agent.names import spn
from tests import made_tokens as made
from tests.test_render import faults
from tests.work import calls

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"

EVENT_4 = (
    "The Kerberos client received a KRB_AP_ERR_MODIFIED error from the server {}. The target name used was {}. This indicates "
    "that the target server failed to decrypt the ticket. and the target domain ({}) is different from the client domain "
    "({}), check\n\n"
)


def event_4(server: str, spn: str = "HTTP/contoso.test.com", realm: str = "TEST.COM", client: str = "TEST.COM") -> str:
    return EVENT_4.format(server, spn, realm, client)


def header(data: bytes, name: str = "WWW-Authenticate") -> str:
    return f"{name}: Negotiate {made.written(data)}\n"


def krb_error(code: int, server: str = "contososvc", realm: str = "TEST.COM") -> str:
    return header(made.response(made.framed(made.ERROR, made.krb_error(code, server, realm))))


def ap_req(spn: str, kvno: int = 3, realm: str = "TEST.COM") -> str:
    return header(
        made.init(made.framed(made.AP_REQ, made.ap_req(spn, realm, kvno=kvno)), made.KERBEROS), "Authorization"
    )


def issued(account: str) -> str:
    return (
        f"A Kerberos service ticket was requested.\n\nAccount Name:\t\talice@TEST.COM\nAccount Domain:\t\tTEST.COM\nLogon "
        f"GUID:\t\t{{f85c455e-c66e-205c-6b39-f6c60a7fe453}}\n\nService Name:\t\t{account}\nService ID:\t\tTEST\\x\n\nTicket "
        "Encryption Type:\t0x12\nFailure Code:\t\t0x0\n\n"
    )


DUPLICATES = (
    "Checking forest DC=test,DC=com\nProcessing entry 1\nHTTP/contoso.test.com is registered on these accounts:\n"
    "\tCN=contososvc,OU=svc,DC=test,DC=com\n\tCN=oldsvc,OU=svc,DC=test,DC=com\n\nfound 1 group of duplicate SPNs.\n\n"
)
EVENT_11 = "There are multiple accounts with name HTTP/contoso.test.com of type DS_SERVICE_PRINCIPAL_NAME.\n\n"
NOBODY = "".join(
    f"{service}/contoso.test.com\nChecking forest DC=test,DC=com\n\nNo such SPN found.\n\n"
    for service in ("HTTP", "HOST")
)
NTLM = f"> Host: contoso.test.com\nWWW-Authenticate: NTLM {made.NTLM_CHALLENGE}\n"
ADDRESS = "contoso.test.com A 60 Answer 10.0.5.2\n"
LOG = (
    "#Fields: date time cs-host sc-status sc-substatus sc-win32-status time-taken\n"
    "2026-08-12 10:00:00 contoso.test.com 401 {} 15\n"
)


def setspn(account: str, *spns: str, domain: str = "DC=test,DC=com") -> str:
    listed = "".join(f"\t{spn}\n" for spn in spns)
    return f"Registered ServicePrincipalNames for CN={account},OU=x,{domain}:\n{listed}\n"


# -- a directory as LDIF -------------------------------------------------------------------------------------------

DOMAIN = (
    "dn: DC=test,DC=com\nobjectClass: top\nobjectClass: domainDNS\nobjectSid:: AQQAAAAAAAUVAAAA6AMAAAAAAAAAAAAA\n\n"
)


def entry(name: str, *spns: str, kind: str = "user", **more: object) -> str:
    classes = ["top", "person", "user", *(["computer"] if kind == "computer" else [])]
    lines = [
        f"dn: CN={name.rstrip('$')},OU=x,DC=test,DC=com",
        *(f"objectClass: {each}" for each in classes),
        f"sAMAccountName: {name}",
        *(f"servicePrincipalName: {spn}" for spn in spns),
        *(f"{key}: {value}" for key, value in more.items()),
    ]
    return "\n".join([*lines, "", ""])


IIS01 = entry("IIS01$", "HOST/iis01.test.com", "HOST/IIS01", kind="computer")


# -- asking --------------------------------------------------------------------------------------------------------


class Ran(NamedTuple):
    """An exit code, and the document."""

    code: int
    found: dict[str, Any]

    @property
    def ids(self) -> list[tuple[str, str]]:
        return [(cause["id"], cause["likelihood"]) for cause in self.found["causes"]]

    @property
    def first(self) -> tuple[str, str]:
        return self.ids[0]


@pytest.fixture
def diagnosed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(text: str, *words: str, ldif: str = "") -> Ran:
        (tmp_path / "evidence.txt").write_text(text, encoding="utf-8")
        more: Sequence[str] = ()
        if ldif:
            (tmp_path / "directory.ldif").write_text(DOMAIN + ldif, encoding="utf-8")
            more = ("--ad", str(tmp_path / "directory.ldif"))
        code = main(["diagnose", str(tmp_path / "evidence.txt"), *words, *more, "--format", "json"])
        return Ran(code, json.loads(capsys.readouterr().out))

    return run


# -- who tried, and who holds it -----------------------------------------------------------------------------------

CONTOSO = "HTTP/contoso.test.com"


@pytest.mark.parametrize(
    ("text", "ldif", "first"),
    [
        # the article: scenario 1, several accounts
        (event_4("contososvc"), entry("contososvc", CONTOSO) + entry("oldsvc", CONTOSO), ("spn-duplicate", "certain")),
        # scenario 2, the alias, as the article tells it
        (
            event_4("contososvc", "HTTP/iis01.test.com") + "contoso.test.com CNAME 60 Answer iis01.test.com\n",
            IIS01 + entry("contososvc", CONTOSO),
            ("client-spn-variant", "certain"),
        ),
        # scenario 3, wrong configurations 1 and 2: on the pool's account, and the computer decrypts
        (event_4("iis01$"), IIS01 + entry("contososvc", CONTOSO), ("spn-misplaced", "certain")),
        (
            event_4("iis01$", "HTTP/iis01.test.com"),
            IIS01 + entry("contososvc", "HTTP/iis01.test.com"),
            ("spn-misplaced", "certain"),
        ),
        # wrong configuration 3: nobody holds HTTP/, HOST/ of the computer answers, and the pool decrypts
        (
            event_4("contososvc", "HTTP/iis01.test.com"),
            IIS01 + entry("contososvc"),
            ("spn-shadowed-by-host", "certain"),
        ),
        # or it is registered on the computer
        (
            event_4("contososvc", "HTTP/iis01.test.com"),
            entry("IIS01$", "HOST/IIS01", "HTTP/iis01.test.com", kind="computer") + entry("contososvc"),
            ("spn-misplaced", "certain"),
        ),
        # truth table OTH-01 and OTH-02: the right account, another key
        (event_4("contososvc"), entry("contososvc", CONTOSO), ("stale-password", "certain")),
        (event_4("iis01$"), entry("IIS01$", CONTOSO, kind="computer"), ("computer-password", "certain")),
        (krb_error(41) + ap_req(CONTOSO), entry("contososvc", CONTOSO), ("stale-password", "likely")),
        (ap_req(CONTOSO) + krb_error(41), entry("contososvc", CONTOSO), ("stale-password", "certain")),
        (ap_req(CONTOSO) + krb_error(41, "iis01$"), entry("contososvc", CONTOSO), ("spn-misplaced", "certain")),
        # truth table OTH-05 and OTH-06: no key of a type that both take
        (
            f"While processing a TGS request for the target server {CONTOSO}, the account a@T did not have a suitable key\n",
            entry("contososvc", CONTOSO, **{"msDS-SupportedEncryptionTypes": 4}),
            ("etype-mismatch", "certain"),
        ),
        # the same name in another domain
        (
            event_4("contososvc", realm="SUB.TEST.COM"),
            entry("contososvc", CONTOSO),
            ("same-name-two-domains", "certain"),
        ),
        # another computer answers than the one that is called so
        (event_4("iis02$", "HTTP/iis01.test.com"), IIS01, ("wrong-server", "likely")),
        # a KDC knows more than the directory that was read
        (event_4("contososvc"), IIS01 + entry("contososvc"), ("spn-not-replicated", "likely")),
        # no ticket
        (NTLM, IIS01 + entry("contososvc"), ("spn-missing", "likely")),  # the name may be an alias
        (NTLM + ADDRESS, IIS01 + entry("contososvc"), ("spn-missing", "certain")),
        (NTLM, entry("contososvc", CONTOSO), ("not-kerberos", "likely")),
        (NTLM, entry("contososvc", CONTOSO) + entry("oldsvc", CONTOSO), ("spn-duplicate", "likely")),
    ],
)
def test_evidence_and_a_directory(text: str, ldif: str, first: tuple[str, str], diagnosed: Any) -> None:
    ran = diagnosed(text, ldif=ldif)
    assert ran.first == first, ran.ids
    assert ran.code == exits.FINDINGS


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (event_4("contososvc"), ("spn-misplaced", "likely")),
        (krb_error(41), ("spn-misplaced", "likely")),
        (event_4("contososvc", client="OTHER.COM"), ("same-name-two-domains", "likely")),
        (event_4("iis01$") + issued("contososvc"), ("spn-misplaced", "certain")),
        (event_4("contososvc") + issued("contososvc"), ("stale-password", "likely")),
        (event_4("contososvc") + DUPLICATES, ("spn-duplicate", "certain")),
        (event_4("contososvc") + setspn("contososvc", CONTOSO), ("stale-password", "certain")),
        (event_4("contososvc") + setspn("IIS01", CONTOSO), ("spn-misplaced", "certain")),
        (event_4("iis01$") + setspn("IIS01", CONTOSO), ("computer-password", "certain")),
        (EVENT_11, ("spn-duplicate", "likely")),
        (DUPLICATES, ("spn-duplicate", "likely")),
        (EVENT_11 + DUPLICATES, ("spn-duplicate", "likely")),
        (krb_error(37), ("clock-skew", "likely")),
        (krb_error(33), ("clock-skew", "likely")),
        (krb_error(32), ("ticket-expired", "likely")),
        (krb_error(35), ("wrong-server", "likely")),
        (krb_error(60), ("unknown", "possible")),
        (NTLM, ("not-kerberos", "likely")),
        (NTLM + NOBODY + ADDRESS, ("spn-missing", "certain")),
        (
            NTLM + "\nC:\\>setspn -Q HTTP/contoso.test.com\nChecking domain DC=test,DC=com\n\nNo such SPN found.\n",
            ("spn-missing", "likely"),
        ),
        (NTLM.replace("contoso.test.com", "10.0.5.2"), ("ip-only-binding", "likely")),
        (NTLM.replace("contoso.test.com", "localhost"), ("loopback", "likely")),
        (LOG.format("1 2148074310"), ("channel-binding", "likely")),
        (LOG.format("1 2148074276"), ("clock-skew", "likely")),
        (LOG.format("1 2148074252"), ("not-kerberos", "possible")),
        ("#Fields: date time sc-status s-reason\n2026-08-12 10:00:00 400 FieldLength\n", ("header-too-long", "likely")),
        (
            "The attribute value provided is not unique.\nservicePrincipalName Value=HTTP/contoso.test.com\n",
            ("spn-misplaced", "likely"),
        ),
        (
            "C:\\>klist get HTTP/contoso.test.com\nklist failed with 0xc000018b/-1073741429: x\n",
            ("spn-missing", "likely"),
        ),
    ],
)
def test_evidence_alone(text: str, first: tuple[str, str], diagnosed: Any) -> None:
    ran = diagnosed(text)
    assert ran.first == first, ran.ids
    assert ran.code == exits.FINDINGS


@pytest.mark.parametrize(
    "text",
    [
        setspn("contososvc", CONTOSO),
        NOBODY,
        issued("contososvc"),
        LOG.format("2 5"),
        LOG.format("1 2148074254"),
        ap_req(CONTOSO),
        header(made.response(state=0)),
        "iis01.test.com A 60 Answer 10.0.5.2\n",
    ],
)
def test_what_is_no_fault(text: str, diagnosed: Any) -> None:
    ran = diagnosed(text)
    assert (ran.code, ran.ids) == (exits.CLEAN, [])
    assert ran.found["evidence"] != []


def test_where_nothing_was_seen_nothing_is_fine(diagnosed: Any) -> None:
    ran = diagnosed("just words\n")
    assert (ran.code, ran.found["evidence"], ran.ids) == (exits.INCOMPLETE, [], [])


# -- with a configuration ------------------------------------------------------------------------------------------

DIRECTORY = ("--ad", str(SAMPLES / "directory.ldif"))


@pytest.mark.parametrize(
    ("server", "spn", "tried", "first"),
    [
        ("IIS05", "HTTP/sales.test.com", "iis05$", ("spn-misplaced", "certain")),
        ("IIS05", "HTTP/iis05.test.com", "IIS05$", ("spn-misplaced", "certain")),
        ("IIS05", "HTTP/web05.test.com", "teamsvc", ("spn-shadowed-by-host", "certain")),
        ("IIS05", "HTTP/crm.test.com", "crmsvc", ("spn-misplaced", "certain")),
        ("IIS05", "HTTP/wiki.test.com", "wikisvc", ("spn-duplicate", "certain")),
        ("IIS02", "HTTP/contoso.test.com", "contososvc", ("stale-password", "certain")),
        ("IIS01", "HTTP/intranet.test.com", "host/iis01.test.com", ("computer-password", "certain")),
        ("IIS01", "HTTP/intranet.test.com", "IIS09$", ("wrong-server", "certain")),
        ("IIS02", "HTTP/contoso.test.com", "othersvc", ("running-identity-differs", "likely")),
    ],
)
def test_joined_with_configuration_and_directory(
    server: str, spn: str, tried: str, first: tuple[str, str], diagnosed: Any
) -> None:
    ran = diagnosed(event_4(tried, spn), str(SAMPLES / server), *DIRECTORY)
    assert ran.first == first, ran.ids
    assert ran.found["report"]["schema"] == "iis-spn/report/2"
    assert any(reason["side"] == "configuration" for reason in ran.found["causes"][0]["for"]) or first[0] in {
        "spn-duplicate",
        "stale-password",
        "computer-password",
    }


SAMPLES_READ = ("--dns", str(SAMPLES / "zone.txt"), "--farm", str(SAMPLES / "farm.toml"))


@pytest.fixture(scope="module")
def whole() -> Report:
    return inspect(
        [str(path) for path in sorted(SAMPLES.glob("IIS*"))],
        ad=str(SAMPLES / "directory.ldif"),
        dns=str(SAMPLES / "zone.txt"),
        farm=str(SAMPLES / "farm.toml"),
    )


EXPECTED = {
    "modified": {"spn-misplaced", "spn-shadowed-by-host", "spn-conflict", "farm-nodes-differ", "client-spn-variant"},
    "duplicate": {"spn-duplicate"},
    "kerberos": {"stale-password", "computer-password"},
}
"""What KRB_AP_ERR_MODIFIED of the account that should decrypt comes from, by the outcome of the report."""


def test_it_agrees_with_the_report_in_every_scenario_of_the_samples(whole: Report, diagnosed: Any) -> None:
    """What `inspect` says is wrong is the cause; where it says that all is well, the key is old."""
    wanted = {(one.spn, one.account): one for one in whole.requirements if one.outcome in EXPECTED and one.account}
    assert len(wanted) > 25
    text = "".join(event_4(one.account.name, str(one.spn)) for one in wanted.values() if one.account is not None)
    targets = [str(path) for path in sorted(SAMPLES.glob("IIS*"))]
    causes = diagnosed(text, *targets, *DIRECTORY, *SAMPLES_READ).found["causes"]
    for one in wanted.values():
        found = {cause["id"]: cause["likelihood"] for cause in causes if spn(cause["spn"]) == one.spn}
        assert found.keys() & EXPECTED[one.outcome], (one.spn, one.account, one.outcome, found)
        assert "certain" in found.values(), (one.spn, found)


def test_a_node_against_another(diagnosed: Any) -> None:
    targets = [str(SAMPLES / name) for name in ("IIS06", "IIS07")]
    ran = diagnosed(event_4("IIS07$", "HTTP/portal.test.com"), *targets, *DIRECTORY, *SAMPLES_READ)
    assert ran.first == ("farm-nodes-differ", "certain")


def test_a_bare_header_finds_its_spn_in_the_configuration(diagnosed: Any) -> None:
    """Of what crmsvc decrypts for, one SPN leads to another account."""
    ran = diagnosed(krb_error(41, "crmsvc"), str(SAMPLES / "IIS05"), *DIRECTORY)
    assert (ran.first, ran.found["causes"][0]["spn"]) == (("spn-misplaced", "certain"), "HTTP/crm.test.com")


def test_a_bare_header_where_every_spn_is_right_is_of_an_old_key(diagnosed: Any) -> None:
    ran = diagnosed(krb_error(41, "iis01$"), str(SAMPLES / "IIS01"), *DIRECTORY)
    assert ran.ids[:2] == [("computer-password", "likely"), ("spn-misplaced", "possible")]
    assert "klist" in diagnosed(krb_error(41)).found["causes"][0]["decide"]


def test_who_tried_is_held_beside_who_should(diagnosed: Any) -> None:
    ran = diagnosed(event_4("othersvc"), str(SAMPLES / "IIS02"), *DIRECTORY)
    assert any("othersvc tried" in sentence for sentence in ran.found["warnings"])
    ran = diagnosed(event_4("contososvc"), str(SAMPLES / "IIS02"), *DIRECTORY)
    assert ran.found["warnings"] == []


@pytest.mark.parametrize(("ticket", "said"), [(5, "the server has an older key"), (4, "another key")])
def test_key_versions_are_compared(ticket: int, said: str, diagnosed: Any) -> None:
    ldif = entry("contososvc", CONTOSO, **{"msDS-KeyVersionNumber": 5})
    (cause,) = diagnosed(ap_req(CONTOSO, ticket) + krb_error(41), ldif=ldif).found["causes"]
    assert cause["id"] == "stale-password"
    assert [reason["text"] for reason in cause["for"] if said in reason["text"]] != []
    rodc = diagnosed(ap_req(CONTOSO, (7 << 16) + ticket) + krb_error(41), ldif=ldif).found["causes"][0]
    assert any(said in reason["text"] for reason in rodc["for"])


# -- what every diagnosis keeps to ---------------------------------------------------------------------------------

WORDS = {"certain", "likely", "possible"}


def every() -> Iterator[tuple[str, str]]:
    texts = [
        event_4("contososvc"),
        event_4("iis01$"),
        krb_error(41),
        EVENT_11,
        DUPLICATES,
        NTLM,
        NOBODY,
        issued("contososvc"),
    ]
    ldifs = [
        "",
        entry("contososvc", CONTOSO),
        entry("contososvc", CONTOSO) + entry("oldsvc", CONTOSO),
        entry("contososvc"),
    ]
    for at, text in enumerate(texts):
        for other in ["", *texts[at + 1 :]]:
            yield from ((text + other, ldif) for ldif in ldifs)


def test_certain_needs_both_sides_and_only_it_needs_no_look(diagnosed: Any) -> None:
    seen = set()
    for text, ldif in every():
        for cause in diagnosed(text, ldif=ldif).found["causes"]:
            sides = {reason["side"] for reason in cause["for"]}
            if cause["likelihood"] == "certain":
                assert "directory" in sides, (cause, text)
                assert sides & {"server", "client"}, (cause, text)
            assert (cause["decide"] is None) is (cause["likelihood"] == "certain")
            assert cause["for"] != []
            seen.add(cause["likelihood"])
    assert seen == WORDS


@pytest.mark.parametrize("text", [event_4("contososvc"), krb_error(41), EVENT_11, NTLM, DUPLICATES, krb_error(37)])
def test_one_piece_of_evidence_is_never_certain(text: str, diagnosed: Any) -> None:
    assert all(likelihood != "certain" for _, likelihood in diagnosed(text).ids)


def test_likelier_causes_come_first(diagnosed: Any) -> None:
    order = ["certain", "likely", "possible"]
    for text, ldif in every():
        ranks = [order.index(likelihood) for _, likelihood in diagnosed(text, ldif=ldif).ids]
        assert ranks == sorted(ranks)


def test_each_cause_is_in_the_table_and_on_its_page() -> None:
    page = (ROOT / "docs" / "diagnose.md").read_text(encoding="utf-8")
    findings = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    for name in CAUSES:
        assert f"| `{name}` |" in page or f"\n## {name}\n" in findings, name
    assert set(BY_ERROR.values()) <= set(RULES)
    assert NO_FAULTS.isdisjoint(BY_ERROR)


def test_the_committed_schema_is_the_derived_one(diagnosed: Any) -> None:
    committed = ROOT / "docs" / "diagnosis.schema.json"
    assert committed.read_text(encoding="utf-8") == to_text()
    schema = json.loads(to_text())
    assert set(schema["required"]) == set(Diagnosis.__struct_fields__)
    assert schema["properties"]["report"]["anyOf"][0]["$ref"] == "report.schema.json"
    del schema["properties"]["report"]
    schema["required"].remove("report")
    for ran in (diagnosed(event_4("iis05$"), str(SAMPLES / "IIS05"), *DIRECTORY), diagnosed("nothing")):
        assert faults(ran.found, schema, schema) == []
        report = ran.found["report"]
        assert report is None or faults(report, report_schema(), report_schema()) == []


# -- arguments -----------------------------------------------------------------------------------------------------


def told(*words: str) -> int:
    return main(["diagnose", *words])


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(event_4("contososvc").encode("utf-16"))))
    assert told("-", "-q") == exits.FINDINGS
    assert capsys.readouterr().out.startswith("LIKELY: spn-misplaced, HTTP/contoso.test.com")


def test_what_is_a_target_and_what_is_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = tmp_path / "event.config"
    event.write_text(event_4("iis05$", "HTTP/sales.test.com"))
    bare = SAMPLES / "IIS05" / "applicationHost.config"
    words = (str(event), str(bare), str(SAMPLES / "directory.ldif"), "--computer", "iis05.test.com", "--format", "json")
    assert told(*words) == exits.FINDINGS
    found = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in found["evidence"]] == ["event-4", "ldif"]
    assert (found["report"]["servers"][0]["name"], found["causes"][0]["likelihood"]) == ("IIS05", "certain")


def test_setspn_and_ldif_count_the_same_as_evidence_and_with_ad(diagnosed: Any, tmp_path: Path) -> None:
    text = event_4("iis01$")
    (tmp_path / "held.txt").write_text(setspn("contososvc", CONTOSO))
    (tmp_path / "held.ldif").write_text(DOMAIN + entry("contososvc", CONTOSO))
    answers = [
        diagnosed(text + setspn("contososvc", CONTOSO)).first,
        diagnosed(text, str(tmp_path / "held.txt")).first,
        diagnosed(text, "--ad", str(tmp_path / "held.txt")).first,
        diagnosed(text, str(tmp_path / "held.ldif")).first,
        diagnosed(text, "--ad", str(tmp_path / "held.ldif")).first,
    ]
    assert set(answers) == {("spn-misplaced", "certain")}


def test_what_cannot_be_read_costs_nothing_of_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "event.txt").write_text(event_4("contososvc"))
    (tmp_path / "capture.pcapng").write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(100))
    (tmp_path / "x.zip").write_bytes(b"PK\3\4")
    words = [str(tmp_path / name) for name in ("event.txt", "capture.pcapng", "x.zip", "missing.txt")]
    assert told(*words, "--format", "json") == exits.INCOMPLETE
    found = json.loads(capsys.readouterr().out)
    assert [each["source"] for each in found["unread"]] == words[1:]
    assert "tshark" in found["unread"][0]["why"]
    assert found["causes"][0]["id"] == "spn-misplaced"


@pytest.mark.parametrize(
    "words", [(), ("--names",), ("nothing*here",), ("",), ("a.txt", "--format", "csv"), ("-", "--password-stdin")]
)
def test_wrong_usage(words: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert told(*words) == exits.USAGE
    assert capsys.readouterr().out == ""


def test_a_line_to_paste_holds_nothing_that_a_shell_acts_on(diagnosed: Any) -> None:
    for sign in "&|;<>^%`(":
        found = diagnosed(event_4("contososvc", f"HTTP/a{sign}calc.test.com")).found
        lines = [*found["collect"], *(cause["decide"] or "" for cause in found["causes"])]
        assert [text for text in lines if f"{sign}calc" in text] == []


def test_what_of_a_target_was_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "event.txt").write_text(event_4("contososvc"))
    assert told(str(tmp_path / "event.txt"), str(tmp_path / "EMPTY")) == exits.INCOMPLETE
    assert "EMPTY: " in capsys.readouterr().out
    (tmp_path / "damaged.ldif").write_text(DOMAIN + "dn: CN=a\nservicePrincipalName:: ***\n")
    assert told(str(tmp_path / "event.txt"), "--ad", str(tmp_path / "damaged.ldif")) == exits.INCOMPLETE
    assert "damaged.ldif:" in capsys.readouterr().out


def test_what_many_captures_cost_grows_with_their_number(tmp_path: Path) -> None:
    """Every one with an SPN and an account of its own; and a screen stays a screen."""

    def spent(number: int) -> int:
        path = tmp_path / f"{number}.txt"
        path.write_text("".join(event_4(f"a{at}", f"HTTP/h{at}.test.com") for at in range(number)))
        return calls(lambda: main(["diagnose", str(path), "--output", str(tmp_path / "out.txt")]))

    spent(10)
    few, many = spent(100), spent(200)
    assert many < 2.2 * few
    assert len((tmp_path / "out.txt").read_text().splitlines()) < 80
