"""Every row of the reference's truth table that configuration, directory and DNS can express.

The strict columns are read from the file; what its prose columns say of directory and DNS is translated by hand, row
by row, in `ROWS`. What is not expressible stands in `NOT_EXPRESSIBLE` with its reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from worlds import (
    World,
    ad,
    app,
    computer,
    days_ago,
    entry,
    farm_name,
    readers,
    rodc_group,
    server,
    sid,
    site,
    user,
    whole,
    world,
)

from agent.spn.computer_names import FarmName

TABLE = Path(__file__).parent / "reference" / "truth-table.csv"
OUTCOMES = {  # section 14 of the rules
    "OK_KERBEROS": "kerberos",
    "OK_KERBEROS_WITH_SIDE_EFFECT": "kerberos",
    "NTLM_FALLBACK": "ntlm-fallback",
    "FAIL_MODIFIED": "modified",
    "FAIL_DUPLICATE": "duplicate",
    "IMPOSSIBLE": "impossible",
    "UNCERTAIN": "uncertain",
}
DECRYPTIONS = {
    "DECRYPTS_AS_COMPUTER": "computer",
    "DECRYPTS_AS_POOL_ACCOUNT": "pool",
    "DECRYPTS_AS_DMSA": "pool",
    "UNCERTAIN": "uncertain",
    "IMPOSSIBLE": "impossible",
}

NOT_EXPRESSIBLE = {
    "DEC-30": "both settings and the directory are unknown: a capture, for `diagnose`",
    "DEC-37": "a self-hosted HTTP.sys program is in no IIS configuration",
    "DEC-38": "a Kestrel program is in no IIS configuration",
    "CLI-08": "no client kind of the contract: .NET Framework behind a proxy or with a Host header of its own",
    "CLI-12": "no client kind of the contract: .NET with request.Headers.Host set",
    "CLI-15": "no client kind of the contract: MIT krb5 with dns_canonicalize_hostname=fallback makes two tries",
    "CLI-18": "WinRM is no client kind of the contract; its collision is winrm-collision (SIDE-01)",
    "KDC-04": "one directory is one forest: a second forest and its trust cannot be shown",
    "KDC-12": "which of two computers answers a short name depends on the domain of the user, which nobody gives",
    "KDC-13": "routing between forests depends on the trust and the user's forest",
    "KDC-14": "routing between forests depends on msDS-SPNSuffixes and the trust",
    "OTH-01": "the right account with an old key: only the ticket's kvno or the event tells (`diagnose`)",
    "OTH-02": "a broken computer password: only the event or Netlogon tells (`diagnose`)",
    "OTH-08": "the contract has no finding for Protected Users",
    "IIS-09": "impersonation is outside windowsAuthentication, and delegation by browsers is a client policy",
    "SIDE-02": "SSRS is in no IIS configuration; its side is foreign-http-owner and winrm-collision (SIDE-01)",
    **dict.fromkeys(("SET-01", "SET-02", "SET-03", "SET-04", "SET-06"), "what setspn does, whatever the site"),
}


# -- the rows as placements ----------------------------------------------------------------------------------------

HEADER = "*:80:contoso.test.com"
A_RECORDS = "iis01 A 10.0.5.2;contoso A 10.0.5.2"
OWN_A = "iis01 A 10.0.5.2"
ALIAS = "iis01 A 10.0.5.2;contoso CNAME iis01"
BOTH = ("HTTP/contoso", "HTTP/contoso.test.com")
OWN = ("HTTP/IIS01", "HTTP/iis01.test.com")
EVERYBODY = computer() + user() + user("othersvc") + entry("gmsaWeb$", kind="gMSA")
ANY_IDENTITY = ("NetworkService", "ApplicationPoolIdentity", "LocalSystem", "LocalService", r"TEST\contososvc")


def directory(
    on: Mapping[str, Sequence[str]] | None = None,
    *,
    more: str = "",
    attributes: Mapping[str, Mapping[str, object]] | None = None,
) -> str:
    """test.com with IIS01$ (and its HOST/ SPNs), contososvc, othersvc, gmsaWeb$, and the SPNs put `on` them."""
    placed, said = dict(on or {}), dict(attributes or {})
    for name in ("IIS01$", "contososvc", "othersvc", "gmsaWeb$"):
        placed.setdefault(name, ())
    entries = []
    for name, spns in placed.items():
        extra = said.get(name, {})
        if name.endswith("$") and not name.startswith("gmsa"):
            entries.append(computer(name[:-1], *spns, **extra))  # type: ignore[arg-type]
        else:
            entries.append(entry(name, *spns, kind="gMSA" if name.endswith("$") else "user", **extra))  # type: ignore[arg-type]
    return ad(*entries) + more


@dataclass(frozen=True, kw_only=True)
class Row:
    """The prose of one row as placements; what is None or empty is taken from the file's strict columns."""

    ad: str | None = None
    dns: str | None = A_RECORDS
    urls: tuple[str, ...] = ("http://contoso.test.com/",)
    bindings: tuple[str, ...] = (HEADER,)
    facts: Mapping[str, object] = field(default_factory=dict)
    clients: tuple[str, ...] = ()
    findings: frozenset[str] = frozenset()
    identity: str | None = None
    account: str | None = None
    required: tuple[str, ...] | None = None
    asked: str | None = None
    outcome: str | None = None
    decryption: str | None = None
    name: str = "IIS01"


def row(*findings: str, **said: object) -> Row:
    return Row(findings=frozenset(findings), **said)  # type: ignore[arg-type]


OWN_NAME = {"bindings": ("*:80:",), "dns": OWN_A, "urls": ("http://IIS01/", "http://iis01.test.com/")}
ON_POOL = directory({"contososvc": BOTH})
ON_COMPUTER = directory({"IIS01$": BOTH})
NOBODY = directory()

ROWS: dict[str, Row] = {
    "SEED-S1": row(ad=NOBODY, **OWN_NAME),
    "SEED-S2": row("spn-missing", ad=NOBODY),
    "SEED-S2-OK": row(ad=ON_COMPUTER),
    "SEED-S3": row(ad=ON_POOL),
    "SEED-S4": row("winrm-collision", ad=directory({"contososvc": OWN}), **OWN_NAME),
    "SEED-S5": row(ad=ON_POOL),
    "SEED-S6": row("spn-shadowed-by-host", ad=directory({"contososvc": ("HTTP/IIS01",)}), **OWN_NAME),
    "SEED-S6-OK": row("winrm-collision", ad=directory({"contososvc": OWN}), **OWN_NAME),
    "SEED-S7": row(ad=ON_COMPUTER),
    "SEED-S8": row(ad=NOBODY, **OWN_NAME),
    "SEED-W1": row("spn-misplaced", "winrm-collision", ad=directory({"contososvc": OWN}), **OWN_NAME),
    "SEED-W2": row("spn-misplaced", ad=ON_POOL),
    "SEED-W3A": row("spn-shadowed-by-host", ad=NOBODY, **OWN_NAME),
    "SEED-W3B": row("spn-misplaced", ad=directory({"IIS01$": OWN}), **OWN_NAME),
    # conflicting-docs: mostly NTLM, sometimes MODIFIED (R4.5); section 14 and the contract call it "duplicate"
    "SEED-DUP": row(
        "spn-duplicate",
        ad=directory({"contososvc": ("HTTP/contoso.test.com",), "othersvc": ("HTTP/contoso.test.com",)}),
    ),
    "SEED-CNAME": row(
        "spn-shadowed-by-host",
        ad=directory({"contososvc": ("HTTP/contoso.test.com",)}),
        dns=ALIAS,
        bindings=("*:80:",),
        urls=("http://contoso/",),
    ),
    **{f"DEC-{number:02}": row(ad=NOBODY) for number in (2, 3, 4, 6, 8, 9, 17, 19, 20)},
    "DEC-07": row(ad=NOBODY, identity=r"IIS01\localweb"),
    "DEC-10": row(ad=directory(more=entry("smsaWeb$", kind="sMSA")), identity=r"TEST\smsaWeb$"),
    "DEC-12": row("pool-credentials-no-effect", ad=NOBODY),
    "DEC-13": row("pool-credentials-no-effect", ad=NOBODY),
    # conflicting-docs: the contract has the word "uncertain" for both LocalService rows
    "DEC-14": row("local-service-identity", ad=NOBODY, account="UNKNOWN"),
    "DEC-18": row("local-service-identity", ad=NOBODY, account=r"TEST\IIS01$"),
    "DEC-22": row("local-account-decrypts", ad=NOBODY),
    "DEC-23": row(ad=directory(attributes={"contososvc": {"userPrincipalName": "contososvc@test.com"}})),
    # a bare name that no directory places; with one it is looked up (contract)
    "DEC-24": row("account-uncertain", identity="contososvc"),
    "DEC-26": row("not-domain-joined", facts={"membership": "workgroup"}),
    "DEC-27": row("not-domain-joined", facts={"membership": "workgroup"}),
    "DEC-29": row(
        ad=ad(computer("DC1", userAccountControl=0x82000)),
        name="DC1",
        dns="dc1 A 10.0.5.2;contoso A 10.0.5.2",
        facts={"domain_controller": True, "addresses": ("10.0.5.2",)},
    ),
    # a DC has no local users: only a directory can say which domain account is meant
    "DEC-31": row("account-uncertain", identity=r".\svc", facts={"domain_controller": True}),
    "DEC-32": row(
        "account-superseded",
        ad=directory(
            more=entry(
                "oldsvc",
                userAccountControl=0x202,
                msDS_SupersededServiceAccountState=2,
                msDS_SupersededManagedServiceAccountLink="CN=dmsaWeb,OU=x,DC=test,DC=com",
            )
            + entry("dmsaWeb$", kind="dMSA")
        ),
        identity=r"TEST\oldsvc",
    ),
    "DEC-34": row(ad=directory(more=entry("dmsaWeb$", kind="dMSA")), identity=r"TEST\dmsaWeb$"),
    "DEC-35": row(ad=NOBODY, identity=""),
    # the left-over userName is a test of the parser; here: the identity type decides
    "DEC-36": row(ad=NOBODY),
    "HOST-01": row(ad=directory({"contososvc": ("HTTP/contoso.test.com",)})),
    "HOST-02": row("spn-missing", ad=NOBODY),
    "HOST-05": row(
        "wildcard-host",
        "spn-missing",
        "spn-malformed",
        ad=directory({"contososvc": ("HTTP/*.apps.test.com",)}),
        dns="iis01 A 10.0.5.2;hr.apps A 10.0.5.2",
        bindings=("*:80:*.apps.test.com",),
        urls=("http://hr.apps.test.com/",),
        required=("HTTP/hr.apps.test.com",),
    ),
    "HOST-06": row(ad=NOBODY, **OWN_NAME),
    "HOST-08": row(ad=NOBODY, dns=ALIAS, bindings=("*:80:",)),
    "HOST-09": row(
        "client-spn-variant",
        ad=directory({"contososvc": ("HTTP/portal.test.com",)}),
        dns="portal CNAME vip-17.lb;vip-17.lb A 10.0.0.9",
        bindings=("*:80:portal.test.com",),
        urls=("http://portal.test.com/",),
        facts={"addresses": ()},
    ),
    "HOST-10": row(
        "client-spn-variant",
        ad=directory({"contososvc": ("HTTP/a.test.com", "HTTP/b.test.com")}),
        dns="a CNAME b;b CNAME c;c A 10.0.5.2",
        bindings=("*:80:a.test.com",),
        urls=("http://a.test.com/",),
    ),
    "HOST-13": row(
        "spn-missing",
        "spn-malformed",
        ad=directory({"contososvc": ("HTTPS/contoso.test.com",)}),
        bindings=("https *:443:contoso.test.com",),
        urls=("https://contoso.test.com/",),
    ),
    "HOST-14": row(
        "spn-missing",
        "spn-port-only",
        ad=directory({"contososvc": ("HTTP/contoso.test.com:8080",)}),
        bindings=("*:8080:contoso.test.com",),
        urls=("http://contoso.test.com:8080/",),
    ),
    "HOST-15": row(
        "client-spn-variant",
        ad=directory({"contososvc": ("HTTP/contoso.test.com",)}),
        bindings=("*:8080:contoso.test.com",),
        urls=("http://contoso.test.com:8080/",),
        clients=("edge-port", "dotnet5"),
    ),
    # inference, second look: the short form with a port is asked for by no client that canonicalises (R2.17)
    "HOST-16": row(
        "client-spn-variant",
        ad=NOBODY,
        dns=OWN_A,
        bindings=("*:8080:",),
        urls=("http://iis01.test.com:8080/",),
        clients=("edge-port",),
        required=("HTTP/iis01.test.com:8080",),
    ),
    "HOST-17": row(
        ad=ad(computer("IIS01", "HOST/IIS01", "HOST/iis01.branch.test.net", host=False), user()),
        dns="$ORIGIN test.net.;iis01.branch A 10.0.5.2",
        bindings=("*:80:",),
        facts={"dns_name": "iis01.branch.test.net"},
        urls=("http://iis01.branch.test.net/",),
    ),
    # the row's account is a slip: it names AVERYLONGSERVER$ itself; Edge without DNS name lookup stays short
    "HOST-18": row(
        ad=ad(computer("x", "HOST/AVERYLONGSERVER", "HOST/averylongservername.test.com", host=False)).replace(
            "sAMAccountName: x$", "sAMAccountName: AVERYLONGSERVER$"
        )
        + user(),
        dns="averylongservername A 10.0.5.2",
        bindings=("*:80:",),
        name="AVERYLONGSERVERNAME",
        facts={"dns_name": "averylongservername.test.com", "addresses": ("10.0.5.2",)},
        urls=("http://averylongservername/",),
        account=r"TEST\AVERYLONGSERVER$",
        required=("HTTP/averylongservername",),
    ),
    # Windows clients are unverified: the tool normalises (the row's own fix), and then it is HOST-01
    "HOST-20": row(
        ad=directory({"contososvc": ("HTTP/contoso.test.com",)}),
        urls=("http://contoso.test.com./",),
        asked="HTTP/contoso.test.com",
        outcome="kerberos",
    ),
    "HOST-22": row(
        ad=directory({"contososvc": ("HTTP/my_app.test.com",)}),
        dns="my_app A 10.0.5.2",
        bindings=("*:80:my_app.test.com",),
        urls=("http://my_app.test.com/",),
    ),
    # inference, but AD stores and compares the whole text (R2.1, R2.14)
    "HOST-23": row("spn-missing", "spn-malformed", ad=directory({"contososvc": ("HTTP/contoso.test.com@TEST.COM",)})),
    "HOST-24": row("spn-missing", "spn-malformed", ad=directory({"contososvc": ("HTTP/contoso.test.com/test.com",)})),
    "KDC-02": row("spn-shadowed-by-host", ad=directory(more=computer("OLDSRV", "HOST/contoso.test.com"))),
    "KDC-03": row(
        "spn-duplicate",
        ad=directory({"contososvc": BOTH})
        + whole("child.test.com")
        + user("contososvc", "HTTP/contoso.test.com", domain="child.test.com"),
    ),
    "KDC-07": row("spn-missing", ad=NOBODY),
    "KDC-08": row("spn-shadowed-by-host", ad=NOBODY, **{**OWN_NAME, "urls": ("http://iis01.test.com/",)}),
    "KDC-11": row(
        "spn-malformed",
        ad=directory({"contososvc": BOTH}, more=user("evil", "HTTP/conto\u200bso.test.com")),
        outcome="kerberos",
    ),
    "KDC-16": row(
        ad=directory(
            {"IIS01$": ("HOST/contoso", "HOST/contoso.test.com")},
            attributes={"IIS01$": {"msDS_AdditionalDnsHostName": "contoso.test.com"}},
        )
    ),
    "OTH-05": row(
        "etype-risk",
        ad=directory({"contososvc": BOTH}, attributes={"contososvc": {"msDS_SupportedEncryptionTypes": 4}}),
        outcome="kerberos",  # the rules, section 5.10, correct the row: what is explicit stays
    ),
    "OTH-06": row(
        "etype-risk",
        ad=directory(
            {"contososvc": BOTH},
            attributes={
                "contososvc": {"pwdLastSet": days_ago(9000)},
                "IIS01$": {"msDS_SupportedEncryptionTypes": 28},
            },
            more=rodc_group("20090101000000.0Z"),
        ),
        outcome="uncertain",
    ),
    # not settled by the sources who needs delegation rights (R8.1): nothing may be claimed, the SPN rules stand
    "IIS-10": row(
        ad=directory({"IIS01$": BOTH}, attributes={"contososvc": {"msDS_AllowedToDelegateTo": "HTTP/contoso"}}),
        outcome="kerberos",
    ),
    "IIS-04": row(ad=ON_POOL, outcome="kerberos"),
    "IIS-06": row(ad=ON_POOL, outcome="kerberos"),
    "IIS-07": row(ad=ON_POOL, outcome="kerberos"),
    "DEL-01": row(
        "unconstrained-delegation",
        ad=directory({"contososvc": BOTH}, attributes={"contososvc": {"userAccountControl": 0x80200}}),
        outcome="kerberos",
    ),
}  # fmt: skip

ELSEWHERE = {
    **dict.fromkeys(("IIS-01", "IIS-08"), "test_rows_that_do_not_negotiate"),
    **dict.fromkeys(("FARM-01", "FARM-02", "FARM-04", "FARM-06", "FARM-07"), "test_farm_rows"),
    **dict.fromkeys(("FARM-09", "FARM-11", "FARM-12", "FARM-13"), "test_rows_with_two_applications"),
    "DEL-02": "test_constrained_delegation_into_another_domain",
    "SIDE-01": "test_winrm_collides",
}
"""Rows of another shape, and the test below that takes them (the client rows are in CLIENT_ROWS)."""

CLIENT_ROWS = {
    "CLI-01": "ie",
    "CLI-02": "edge",
    "CLI-03": "chrome-nocname",
    "CLI-04": "edge-port",
    "CLI-05": "firefox",
    "CLI-06": "curl-mit",  # GSSAPI canonicalises again; without a PTR record the forward name stays
    "CLI-07": "dotnetframework",
    "CLI-13": "curl-sspi",
    "CLI-14": "curl-mit",
}


def _read() -> dict[str, dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return {line["id"]: line for line in csv.DictReader(stream)}


REFERENCE = _read()


# -- strict columns ------------------------------------------------------------------------------------------------


def _values(text: str, absent: object) -> tuple[object, ...]:
    return {"true": (True,), "false": (False,), "any": (False, True), "(absent)": (absent,)}[text]


def _identities(line: Mapping[str, str], said: Row) -> tuple[str, ...]:
    if said.identity is not None:
        return (said.identity,)
    if line["identity_type"] == "any":
        return ANY_IDENTITY
    return (line["identity"],) if line["identity_type"] == "SpecificUser" else (line["identity_type"],)


def _cases() -> Iterator[object]:
    for name, line in REFERENCE.items():
        if (said := ROWS.get(name)) is None:
            continue
        for kernel in _values(line["use_kernel_mode"], None):
            for credentials in _values(line["use_app_pool_credentials"], None):
                for identity in _identities(line, said):
                    if "LocalService" in identity and credentials and line["identity_type"] == "any":
                        continue
                    yield pytest.param(
                        name, kernel, credentials, identity, id=f"{name}-{kernel}-{credentials}-{identity}"
                    )


def _world(said: Row, kernel: bool | None, credentials: bool | None, identity: str) -> World:
    built = server(
        site(*said.bindings), name=said.name, pool=identity, kernel=kernel, creds=credentials, facts=said.facts
    )
    return world(built, ad=said.ad, dns=said.dns, clients=said.clients)


def _expected_account(line: Mapping[str, str], said: Row) -> str | None:
    text = said.account or line["decrypting_account"]
    return None if text in {"UNKNOWN", "NONE"} else text


def _required(line: Mapping[str, str], said: Row) -> tuple[str, ...]:
    if said.required is not None:
        return said.required
    text = line["required_spns"]
    return () if text.startswith("(") else tuple(part.strip() for part in text.split(";"))


@pytest.mark.parametrize(("name", "kernel", "credentials", "identity"), list(_cases()))
def test_a_row(name: str, kernel: bool | None, credentials: bool | None, identity: str) -> None:
    line, said = REFERENCE[name], ROWS[name]
    found = _world(said, kernel, credentials, identity)
    application = found.application(server=said.name)
    account = _expected_account(line, said)
    assert (None if application.decrypts_as is None else str(application.decrypts_as)) == account
    _check_required(found, line, said, account)
    _check_verdict(found, line, said)
    _check_findings(found, line, said)


def _check_required(found: World, line: Mapping[str, str], said: Row, account: str | None) -> None:
    for name in _required(line, said):
        assert [r for r in found.requirements(name) if (r.account and str(r.account)) == account], name
    if line["required_spns"] == "(none explicit)":
        assert "explicit" not in found.needs.values()
    if line["required_spns"] == "(none can work)":
        assert {r.outcome for r in found.report.requirements} <= {"impossible", "uncertain"}


def _check_verdict(found: World, line: Mapping[str, str], said: Row) -> None:
    verdict = line["verdict"]
    if line["group"] == "decryptor":
        assert found.application(server=said.name).decryption == DECRYPTIONS[verdict]
    outcome = said.outcome or OUTCOMES.get(verdict)
    for url in said.urls:
        asked = found.asked(url)
        if line["client"].startswith("canonicalising") or said.clients or said.asked:
            assert set(asked.values()) == {said.asked or line["spn_requested"]}, asked
        if outcome is not None:
            assert found.ends(url) == {outcome}


def _check_findings(found: World, line: Mapping[str, str], said: Row) -> None:
    assert said.findings <= found.ids
    if line["verdict"].startswith("OK_KERBEROS"):
        assert found.errors == []
        _claims_nothing_of_users(found)


def _claims_nothing_of_users(found: World) -> None:
    for told in found.report.findings:
        words = ("prompt", "401", "NTLM", "KRB_AP_ERR_MODIFIED", "503", "users get", "users fail")
        assert not [word for word in words if word in told.message], told.message


# -- rows of another shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIENT_ROWS)
def test_a_client_row(name: str) -> None:
    line, client = REFERENCE[name], CLIENT_ROWS[name]
    pointer = "$ORIGIN 5.0.10.in-addr.arpa.;2 PTR vm4711.test.com." if name == "CLI-14" else ""
    found = world(server(site("*:8080:")), dns=f"{ALIAS};{pointer}", clients=[client])
    expected = "HTTP/vm4711.test.com" if name == "CLI-14" else line["spn_requested"]
    assert found.asked("http://contoso:8080") == {client: expected}
    assert found.requirements(expected), "what a client asks for is required"


@pytest.mark.parametrize(("name", "settings"), [("IIS-01", {"offered": ["NTLM"]}), ("IIS-08", {"enabled": False})])
def test_rows_that_do_not_negotiate(name: str, settings: dict[str, object]) -> None:
    assert REFERENCE[name]["verdict"] == "NO_KERBEROS"
    built = server(site(HEADER), pool=r"TEST\contososvc", creds=True, **settings)  # type: ignore[arg-type]
    found = world(built, ad=ON_POOL, dns=A_RECORDS)
    assert found.application().negotiates is False
    assert found.report.requirements == ()
    assert found.ids == ({"negotiate-missing"} if name == "IIS-01" else set())


FARM: tuple[FarmName, ...] = (farm_name("portal.test.com", "IIS01", "IIS02"),)
PORTAL = ("HTTP/portal", "HTTP/portal.test.com")
TO_VIP = "iis01 A 10.0.5.2;iis02 A 10.0.5.3;portal A 10.0.0.9"


def _farm(
    pool: str, holders: Mapping[str, Sequence[str]], *, creds: tuple[bool, bool], binding: str, more: str = ""
) -> World:
    nodes = [
        server(site(binding), name=name, pool=pool, creds=each)
        for name, each in zip(("IIS01", "IIS02"), creds, strict=True)
    ]
    placed = directory({"IIS01$": (), "IIS02$": (), **holders}, more=more)
    return world(*nodes, ad=placed, dns=TO_VIP, farm=FARM)


def test_farm_rows() -> None:
    header = "*:80:portal.test.com"
    pool = "ApplicationPoolIdentity"

    found = _farm(pool, {"IIS01$": PORTAL, "IIS02$": PORTAL}, creds=(False, False), binding=header)  # FARM-01
    assert "farm-machine-identity" in found.ids
    assert {r.outcome for r in found.requirements("HTTP/portal.test.com")} == {"duplicate"}
    assert {str(r.account) for r in found.requirements("HTTP/portal.test.com")} == {r"TEST\IIS01$", r"TEST\IIS02$"}

    found = _farm(r"TEST\contososvc", {"IIS01$": PORTAL}, creds=(False, False), binding=header)  # FARM-02
    assert "farm-machine-identity" in found.ids
    assert found.outcome("HTTP/portal.test.com", r"TEST\IIS01$") == "kerberos"
    assert found.outcome("HTTP/portal.test.com", r"TEST\IIS02$") == "modified"

    found = _farm(r"TEST\contososvc", {"contososvc": PORTAL}, creds=(True, False), binding=header)  # FARM-04
    assert "farm-nodes-differ" in found.ids
    assert found.outcome("HTTP/portal.test.com", r"TEST\contososvc") == "kerberos"
    assert found.outcome("HTTP/portal.test.com", r"TEST\IIS02$") == "modified"

    gmsa = entry("gmsaFarm$", *PORTAL, kind="gMSA", msDS_GroupMSAMembership=readers(1101))  # FARM-06
    nodes = {"IIS01": 1101, "IIS02": 1102}
    computers = "".join(computer(name, objectSid=sid(rid)) for name, rid in nodes.items())
    built = [server(site(header), name=name, pool=r"TEST\gmsaFarm$", creds=True) for name in nodes]
    found = world(*built, ad=ad(computers, gmsa), dns=TO_VIP, farm=FARM)
    assert [told.server for told in found.findings("gmsa-server-not-allowed")] == ["IIS02"]
    assert found.outcome("HTTP/portal.test.com") == "kerberos"

    found = _farm(r"TEST\contososvc", {"contososvc": PORTAL}, creds=(True, True), binding="*:80:")  # FARM-07
    assert found.requirement("HTTP/iis01.test.com").outcome == "modified"
    assert found.need("HTTP/iis01.test.com") == "optional"
    assert {told.severity for told in found.findings("farm-node-name")} == {"info"}
    assert found.errors == []


def test_rows_with_two_applications() -> None:
    pools = {"A": r"TEST\contososvc", "B": r"TEST\othersvc"}
    both = [app("/", "A"), app("/a", "A"), app("/b", "B")]

    found = world(server(site(HEADER, apps=both), pools=pools, creds=True), ad=ON_POOL, dns=A_RECORDS)  # FARM-09
    assert "spn-conflict" in found.ids
    assert found.outcome("HTTP/contoso.test.com", r"TEST\contososvc") == "kerberos"
    assert found.outcome("HTTP/contoso.test.com", r"TEST\othersvc") == "modified"

    found = world(server(site(HEADER, apps=both), pools=pools), ad=ON_COMPUTER, dns=A_RECORDS)  # FARM-11
    assert found.ids == frozenset()
    assert found.outcome("HTTP/contoso.test.com") == "kerberos"

    override = [app("/", "A"), app("/legacy", "A", creds=False)]
    found = world(server(site(HEADER, apps=override), pools=pools, creds=True), ad=ON_POOL, dns=A_RECORDS)  # FARM-12
    assert "spn-conflict" in found.ids
    assert str(found.application("/legacy").decrypts_as) == r"TEST\IIS01$"
    assert found.ends("http://contoso.test.com/legacy/x") == {"modified"}
    assert found.ends("http://contoso.test.com/") == {"kerberos"}

    public = [app("/", "A"), app("/public", "B", enabled=False)]
    found = world(server(site(HEADER, apps=public), pools=pools, creds=True), ad=ON_POOL, dns=A_RECORDS)  # FARM-13
    assert found.ids == frozenset()
    assert found.outcome("HTTP/contoso.test.com") == "kerberos"


def test_constrained_delegation_into_another_domain() -> None:
    """DEL-02: classic constrained delegation does not cross domains."""
    here = directory({"contososvc": BOTH}, attributes={"contososvc": {"msDS_AllowedToDelegateTo": "HTTP/api.test.com"}})
    there = whole("child.test.com") + user("apisvc", "HTTP/api.test.com", domain="child.test.com")
    found = world(server(site(HEADER), pool=r"TEST\contososvc", creds=True), ad=here + there, dns=A_RECORDS)
    assert "delegation-broken" in found.ids


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("credentials", [True, False])
def test_winrm_collides(kernel: bool, credentials: bool) -> None:
    """SIDE-01, whatever the site's own settings are; a site by a custom name is not what breaks."""
    built = server(site(HEADER), pool=r"TEST\contososvc", kernel=kernel, creds=credentials)
    found = world(built, ad=directory({"contososvc": (*OWN, *BOTH)}), dns=A_RECORDS)
    told = found.findings("winrm-collision")
    assert {str(one.spn).lower() for one in told} == {"http/iis01", "http/iis01.test.com"}
    assert {(one.severity, one.server, *map(str, one.holders)) for one in told} == {
        ("warning", "IIS01", r"TEST\contososvc")
    }
    assert all("0x80090322" in one.message for one in told)


def test_every_row_is_tested_or_said_to_be_out_of_reach() -> None:
    handled = [*ROWS, *ELSEWHERE, *CLIENT_ROWS, *NOT_EXPRESSIBLE]
    assert len(handled) == len(set(handled)), "a row stands in one list only"
    assert set(handled) == set(REFERENCE)
