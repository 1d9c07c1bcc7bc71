"""Every finding: one world in which it is told, one near it in which it is not; then the contract's sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from replay import with_spns
from worlds import (
    NOW,
    World,
    ad,
    app,
    computer,
    config,
    cross_reference,
    days_ago,
    directory_service,
    entry,
    farm_name,
    file_time,
    readers,
    rodc_group,
    server,
    setspn_l,
    sid,
    site,
    user,
    whole,
    windows,
    world,
)

from agent.checks import spns
from agent.checks.accept import Acceptance
from agent.checks.findings import FINDINGS
from agent.evidence.observed import Reply, Seen, Sent
from agent.evidence.probed import judged
from agent.evidence.tokens import challenges, read_token
from agent.iis.snapshot import CertificateNames, Snapshot, SourceFile, WorkerProcess, read_or_lost
from agent.library import inspect
from agent.model import Problem
from agent.names import spn
from agent.sources.endpoint import Endpoint
from agent.sources.snapshots.targets import StaleAfter, dated
from agent.spn.computer_names import FarmName
from agent.spn.nameservice import NameService
from agent.story import explain
from agent.story.probed import compared, of_outcomes
from agent.sweep.collect import unreachable
from agent.sweep.run import Failure
from tests import made_tokens as made

SERVICE = r"TEST\contososvc"
HEADER = "*:80:contoso.test.com"
A = "iis01 A 10.0.5.2;contoso A 10.0.5.2"
BOTH = ("HTTP/contoso", "HTTP/contoso.test.com")
FULL = "HTTP/contoso.test.com"
OWN = ("HTTP/IIS01", "HTTP/iis01.test.com")
ROOT = app(enabled=True, kernel=True, creds=False, providers=("Negotiate", "NTLM"))
FARM = [farm_name("portal.test.com", "IIS01", "IIS02")]
SHARE = r"\\srv\share\iis"


def starting(value: str) -> World:
    text = config([site(HEADER)], {"Pool": SERVICE}, ROOT)
    return world(server(text=text.replace('id="1"', f'id="1" serverAutoStart="{value}"')))


def running(*accounts: str, pool: str = SERVICE, **more: object) -> World:
    """The pool `Pool` with worker processes of these accounts."""
    workers = tuple(WorkerProcess("POOL", 4242 + number, account) for number, account in enumerate(accounts))
    facts = {"worker_processes": workers, **more}
    return world(server(site(HEADER), pool=pool, creds=True, facts=facts), dns=A)


def certified(name: str) -> World:
    return world(server(site(HEADER), facts={"certificate_names": (CertificateNames("Site", (name,)),)}))


def custom(*entries: str, creds: bool = True, pool: str = SERVICE, **more: object) -> World:
    """contoso.test.com, decrypted by contososvc, with an LDIF of these entries and IIS01$."""
    return world(server(site(HEADER), pool=pool, creds=creds, **more), ad=ad(computer(), *entries), dns=A)  # type: ignore[arg-type]


def by_own_name(*entries: str, creds: bool = True, **more: object) -> World:
    return world(server(pool=SERVICE, creds=creds, **more), ad=ad(computer(), *entries), dns="iis01 A 10.0.5.2")  # type: ignore[arg-type]


def bare(**settings: object) -> World:
    return world(server(**settings))  # type: ignore[arg-type]


def web(text: str, **more: object) -> World:
    return world(server(web={"": text}, **more))  # type: ignore[arg-type]


def right(**attributes: object) -> str:
    """contososvc with the right SPNs and these attributes."""
    return user("contososvc", *BOTH, **attributes)


def pair(
    header: str = "*:80:portal.test.com", *, second: dict[str, object] | None = None, **both: object
) -> list[object]:
    first = server(site(header), name="IIS01", **both)  # type: ignore[arg-type]
    return [first, server(site(header), name="IIS02", **{**both, **(second or {})})]  # type: ignore[arg-type]


def accepting(*subjects: str, until: date | None = None) -> World:
    """A missing SPN, and a file that accepts missing SPNs."""
    entries = [Acceptance(id="spn-missing", subject=subject, reason="known", until=until) for subject in subjects]
    built = server(site(HEADER), pool=r"TEST\contososvc", creds=True)
    return world(built, ad=ad(computer(), user("contososvc")), dns="portal A 10.0.5.2", accepted=entries)


def probed(server: str) -> World:
    """The right account has the SPN, and the server says that this one tried to decrypt: the finding of `probe`."""
    found = custom(user(), user("othersvc", FULL))
    (told, *_) = explain(found.analysis, "http://contoso.test.com/").outcomes
    token = made.written(made.response(made.framed(made.ERROR, made.krb_error(41, server))))
    seen = Seen(
        url="http://contoso.test.com/",
        client=told.client,
        spn=told.spn,
        first=Reply(status=401, offers=challenges("Negotiate")),
        sent=Sent(token=read_token(made.ASKED), ends=None),
        reply=Reply(status=401, offers=challenges(f"Negotiate {token}")),
    )
    _, finding = compared(judged(seen), of_outcomes([told], told.client))
    findings = () if finding is None else (finding,)
    return replace(found, analysis=found.analysis._replace(report=replace(found.report, findings=findings)))


def nodes(*more: str) -> str:
    return ad(computer("IIS01"), computer("IIS02"), *more)


def gmsa(*allowed: int) -> World:
    managed = entry("gmsaWeb$", *BOTH, kind="gMSA", msDS_GroupMSAMembership=readers(*allowed))
    directory = ad(computer(objectSid=sid(1101)), computer("IIS09", objectSid=sid(1109)), managed)
    built = [server(site(HEADER), name=name, pool=r"TEST\gmsaWeb$", creds=True) for name in ("IIS01", "IIS09")]
    return world(*built, ad=directory)


def delegating(target: str) -> World:
    return custom(right(msDS_AllowedToDelegateTo=target), user("apisvc", "HTTP/api.test.com"))


def registry(**values: object) -> World:
    return world(server(site(HEADER), facts={"registry": values}))


def protected(proxy: str | None) -> World:
    built = server(site(HEADER, apps=[app(token_checking="Require")]), pool=SERVICE, creds=True)
    return world(built, farm=[farm_name("contoso.test.com", "IIS01", proxy=proxy)])  # type: ignore[arg-type]


def shared_account(*names: str) -> World:
    """Servers whose pools' account holds one name more than the sites show."""
    built = [server(name=name, pool=SERVICE, creds=True) for name in names]
    return world(*built, ad=ad(*(computer(name) for name in names), user("contososvc", "HTTP/portal.test.com")))


def superseded(state: int) -> World:
    link = "CN=dmsaWeb,OU=x,DC=test,DC=com"
    old = user("contososvc", msDS_SupersededServiceAccountState=state, msDS_SupersededManagedServiceAccountLink=link)
    return custom(old, entry("dmsaWeb$", *BOTH, kind="dMSA"))


TIMED_OUT = Problem(id="dns-incomplete", message="10.0.5.1 did not answer")
LOCKED = "<configuration>\n" + windows(useKernelMode="false") + "</configuration>"
Make = Callable[[], World]


def closed(*, refused: bool) -> Snapshot:
    """A server whose applicationHost.config the system lets nobody read, or that has none."""
    file = SourceFile("applicationHost.config", b"", "access denied" if refused else "no such file", is_refused=refused)
    return replace(server(name="IIS02"), files={"applicationhost.config": file})


PAIRS: dict[str, tuple[Make, Make]] = {
    "config-malformed": (lambda: bare(text="<configuration><system"), bare),
    "config-invalid": (
        lambda: bare(text=config([site()], {"Pool": ""}, ROOT).replace("useKernelMode", "useKernelMood")),
        lambda: bare(text=config([site()], {"Pool": ""}, ROOT)),
    ),
    "section-locked": (lambda: web(LOCKED), lambda: web(LOCKED, mode="Allow")),
    "shared-configuration": (lambda: bare(redirect=SHARE), bare),
    "source-unreadable": (
        lambda: world(server(), closed(refused=True)),
        lambda: world(server(), closed(refused=False)),
    ),
    "content-unread": (
        lambda: bare(mode="Allow", facts={"unread": ((r"C:\web\web.config", "access denied"),)}),
        lambda: bare(mode="Deny", facts={"unread": ((r"C:\web\web.config", "access denied"),)}),
    ),
    "running-identity-differs": (lambda: running(r"TEST\oldsvc"), lambda: running(SERVICE)),
    "snapshot-stale": (
        lambda: world(dated(server(facts={"collected_at": NOW - timedelta(days=2)}), StaleAfter(24, NOW))),
        lambda: world(dated(server(facts={"collected_at": NOW - timedelta(days=1)}), StaleAfter(24, NOW))),
    ),
    "prediction-differs": (lambda: probed("othersvc"), lambda: probed("contososvc")),
    "accept-unmatched": (
        lambda: accepting("HTTP/gone.test.com"),
        lambda: accepting(FULL),
    ),
    "server-unreachable": (
        lambda: world(server(), unreachable(Endpoint(name="web02", host="web02"), Failure("connect", "no", "Ask."))),
        lambda: world(server(), server(name="IIS02")),
    ),
    "internal-error": (
        lambda: world(server(), read_or_lost("web02", lambda: 1 // 0)),  # type: ignore[arg-type,return-value]
        lambda: world(server(), server(name="IIS02")),
    ),
    "machine-unknown": (lambda: bare(facts={"name": None, "dns_name": None}), bare),
    "windows-auth-not-installed": (lambda: bare(offered=[]), bare),
    "negotiate-missing": (lambda: bare(offered=["NTLM"]), lambda: bare(offered=["NTLM"], enabled=False)),
    "providers-order": (lambda: bare(offered=["NTLM", "Negotiate"]), lambda: bare(offered=["Negotiate", "NTLM"])),
    "negotiate-kerberos-kernel-mode": (
        lambda: bare(offered=["Negotiate:Kerberos"]),
        lambda: bare(offered=["Negotiate:Kerberos"], kernel=False),
    ),
    "pool-undefined": (lambda: bare(pools={"Else": ""}), lambda: bare(pools={"POOL": ""})),
    "pool-identity-incomplete": (
        lambda: bare(text=config([site()], {"Pool": "x"}, ROOT).replace('userName="x"', "")),
        lambda: bare(text=config([site()], {"Pool": r"TEST\x"}, ROOT)),
    ),
    "pool-credentials-no-effect": (lambda: bare(creds=True), lambda: bare(creds=True, pool=SERVICE)),
    "not-domain-joined": (lambda: bare(facts={"membership": "entra"}), lambda: bare(facts={"membership": "domain"})),
    "local-account-decrypts": (lambda: bare(pool=r".\web", creds=True), lambda: bare(pool=r".\web")),
    "local-service-identity": (lambda: bare(pool="LocalService", kernel=False), lambda: bare(pool="LocalService")),
    "account-uncertain": (lambda: bare(pool="contososvc", creds=True), lambda: custom(right(), pool="contososvc")),
    "account-not-found": (custom, lambda: custom(user())),
    "account-disabled": (
        lambda: custom(right(userAccountControl=0x202)),
        lambda: custom(right(userAccountControl=0x200)),
    ),
    "alternate-service-account": (
        lambda: bare(facts={"additional_kerberos_accounts": (r"TEST\EXASA$",)}),
        lambda: bare(facts={"additional_kerberos_accounts": ()}),
    ),
    "account-superseded": (lambda: superseded(2), lambda: superseded(1)),
    "gmsa-server-not-allowed": (lambda: gmsa(1109), lambda: gmsa(1109, 1101)),
    "wildcard-host": (
        lambda: bare(text=config([site("*:80:*.test.com")], {"Pool": ""}, ROOT)),
        lambda: bare(text=config([site("*:80:www.test.com")], {"Pool": ""}, ROOT)),
    ),
    "ip-only-binding": (
        lambda: world(server(site("10.0.5.2:80:"), facts={"addresses": ("10.0.5.2", "10.0.5.3")})),
        lambda: world(server(site("10.0.5.2:80:"), facts={"addresses": ("10.0.5.2",)})),
    ),
    "binding-malformed": (lambda: world(server(site("*:80", "*:81:"))), lambda: world(server(site("*:80:", "*:81:")))),
    "spn-missing": (lambda: custom(user()), lambda: custom(right())),
    "spn-misplaced": (lambda: custom(user(), user("othersvc", FULL)), lambda: custom(right(), user("othersvc"))),
    "spn-shadowed-by-host": (
        lambda: custom(user(), computer("OLD", "HOST/contoso.test.com")),
        lambda: custom(right(), computer("OLD", "HOST/contoso.test.com")),
    ),
    "spn-duplicate": (lambda: custom(right(), user("othersvc", FULL)), lambda: custom(right(), user("othersvc"))),
    "spn-duplicate-elsewhere": (
        lambda: custom(right(), user("a", "MSSQLSvc/sql.test.com:1433"), user("b", "MSSQLSvc/SQL.test.com:1433")),
        lambda: custom(right(), user("a", "MSSQLSvc/sql.test.com:1433"), user("b", "MSSQLSvc/sql.test.com:1434")),
    ),
    "spn-uniqueness-off": (
        lambda: custom(right(), directory_service(dSHeuristics="000000000100000000022")),
        lambda: custom(right(), directory_service(dSHeuristics="000000000100000000025")),
    ),
    "spn-malformed": (
        lambda: custom(right(), user("othersvc", "HTTP/http://contoso.test.com")),
        lambda: custom(right(), user("othersvc", "HTTP/http://elsewhere.net")),
    ),
    "spn-stale": (
        lambda: custom(right(), user("old", FULL, lastLogonTimestamp=days_ago(181))),
        lambda: custom(right(), user("old", FULL, lastLogonTimestamp=days_ago(179))),
    ),
    "spn-port-only": (
        lambda: world(
            server(site("*:8080:contoso.test.com"), pool=SERVICE, creds=True),
            ad=ad(computer(), user("contososvc", f"{FULL}:8080")),
            dns=A,
        ),
        lambda: world(
            server(site("*:8080:contoso.test.com"), pool=SERVICE, creds=True),
            ad=ad(computer(), user("contososvc", f"{FULL}:8080", FULL)),
            dns=A,
        ),
    ),
    "upn-shadows-spn": (
        lambda: custom(right(), user("kt", userPrincipalName="HTTP/contoso.test.com@TEST.COM")),
        lambda: custom(right(userPrincipalName="HTTP/contoso.test.com@TEST.COM")),
    ),
    "spn-conflict": (
        lambda: world(
            server(site(HEADER, apps=[app(), app("/b", "B")]), pools={"Pool": SERVICE, "B": r"TEST\b"}, creds=True)
        ),
        lambda: world(
            server(site(HEADER, apps=[app(), app("/b", "B")]), pools={"Pool": SERVICE, "B": r"TEST\b"}, creds=False)
        ),
    ),
    "farm-machine-identity": (
        lambda: world(*pair(), farm=FARM),  # type: ignore[arg-type]
        lambda: world(*pair(pool=SERVICE, creds=True), farm=FARM),  # type: ignore[arg-type]
    ),
    "farm-suspected": (lambda: world(*pair()), lambda: world(*pair(), farm=FARM)),  # type: ignore[arg-type]
    "farm-nodes-differ": (
        lambda: world(*pair(pool=SERVICE, creds=True, second={"creds": False}), farm=FARM),  # type: ignore[arg-type]
        lambda: world(*pair(pool=SERVICE, creds=True), farm=FARM),  # type: ignore[arg-type]
    ),
    "winrm-collision": (
        lambda: by_own_name(user("contososvc", *OWN)),
        lambda: world(server(), ad=ad(computer("IIS01", *OWN)), dns="iis01 A 10.0.5.2"),
    ),
    "foreign-http-owner": (
        lambda: custom(right(), user("ssrs", "HTTP/iis01.test.com")),
        lambda: custom(user("contososvc", *BOTH, "HTTP/iis01.test.com")),
    ),
    "client-spn-variant": (
        lambda: world(
            server(site(HEADER), pool=SERVICE, creds=True),
            ad=ad(computer(), right()),
            dns="iis01 A 10.0.5.2;contoso CNAME iis01",
        ),
        lambda: custom(right()),
    ),
    "name-suspected": (lambda: shared_account("IIS01", "IIS02"), lambda: shared_account("IIS01")),
    "name-elsewhere": (
        lambda: world(server(site(HEADER)), dns="contoso A 10.0.9.9"),
        lambda: world(server(site(HEADER)), dns="contoso A 10.0.5.2"),
    ),
    "site-not-started": (lambda: starting("false"), lambda: starting("true")),
    "names-from-certificate": (lambda: certified("portal.test.com"), lambda: certified("contoso.test.com")),
    "farm-node-name": (
        lambda: world(*pair("*:80:", pool=SERVICE, creds=True), ad=nodes(user()), farm=FARM),  # type: ignore[arg-type]
        lambda: world(*pair("*:80:", pool=SERVICE, creds=True), ad=nodes(user())),  # type: ignore[arg-type]
    ),
    "loopback-name": (
        lambda: registry(BackConnectionHostNames=["portal.test.com"], DisableLoopbackCheck=0),
        lambda: registry(BackConnectionHostNames=["CONTOSO.test.com"], DisableLoopbackCheck=0),
    ),
    "header-limit": (
        lambda: registry(MaxFieldLength=16384, MaxRequestBytes=65536),
        lambda: registry(MaxFieldLength=65534, MaxRequestBytes=65536),
    ),
    "extended-protection-behind-proxy": (lambda: protected("terminates-tls"), lambda: protected("passthrough")),
    "etype-risk": (
        lambda: custom(right(msDS_SupportedEncryptionTypes=4)),
        lambda: custom(right(msDS_SupportedEncryptionTypes=0x1C)),
    ),
    "kerberoastable-account": (
        lambda: custom(right(pwdLastSet=days_ago(366))),
        lambda: custom(right(pwdLastSet=days_ago(364))),
    ),
    "unconstrained-delegation": (
        lambda: custom(right(userAccountControl=0x80200)),
        lambda: custom(right(userAccountControl=0x1000200)),
    ),
    "delegation-broken": (lambda: delegating("HTTP/gone.test.com"), lambda: delegating("HTTP/api.test.com")),
    "plan-blocked-by-alias": (
        lambda: world(
            server(site("*:80:", HEADER), pool=SERVICE, creds=True),
            ad=ad(computer("IIS01", "HOST/contoso.test.com"), user()),
            dns=A,
        ),
        lambda: custom(user()),
    ),
    "dns-incomplete": (
        lambda: world(server(site(HEADER)), service=NameService(source="10.0.5.1", problems=(TIMED_OUT,))),
        lambda: world(server(site(HEADER)), dns="contoso A 10.0.5.2"),
    ),
    "directory-incomplete": (
        lambda: world(server(site(HEADER)), ad=ad(computer(), right()) + "dn: CN=cut,DC=test,DC=com\nobjectCl"),
        lambda: world(server(site(HEADER)), ad=ad(computer(), right())),
    ),
}  # fmt: skip


@pytest.mark.parametrize("finding_id", PAIRS)
def test_it_fires(finding_id: str) -> None:
    found = PAIRS[finding_id][0]()
    told = found.findings(finding_id)
    assert told
    for one in told:
        assert one.severity in FINDINGS[finding_id].severities
        assert one.message
        assert one.accepted is None


@pytest.mark.parametrize("finding_id", PAIRS)
def test_it_stays_silent_nearby(finding_id: str) -> None:
    assert finding_id not in PAIRS[finding_id][1]().ids


def test_every_finding_has_its_pair() -> None:
    assert set(PAIRS) == set(FINDINGS)


# -- severity, place, evidence, fix --------------------------------------------------------------------------------

# severities that the contract makes depend on the case: the other of the two
OTHERS: dict[str, tuple[str, Make]] = {
    "shared-configuration": ("error", lambda: unreachable_share()),
    "account-not-found": (
        "warning",
        lambda: world(server(site(HEADER), pool=SERVICE, creds=True), ad=ad(computer(), covers=False)),
    ),
    "account-disabled": ("warning", lambda: world(server(), ad=ad(computer(userAccountControl=0x1002)))),
    "client-spn-variant": ("warning", lambda: world(
        server(site("*:8080:contoso.test.com"), pool=SERVICE, creds=True),
        ad=ad(computer(), right()), dns=A, clients=["edge-port"],
    )),
}  # fmt: skip
FIRST = {
    "shared-configuration": "info",
    "account-not-found": "error",
    "account-disabled": "error",
    "client-spn-variant": "error",
}


def unreachable_share() -> World:
    built = server(redirect=SHARE)
    kept = {key: file for key, file in built.files.items() if not key.startswith("files/unc")}
    return world(replace(built, files=kept))


@pytest.mark.parametrize("finding_id", OTHERS)
def test_the_severity_depends_on_the_case(finding_id: str) -> None:
    assert {told.severity for told in PAIRS[finding_id][0]().findings(finding_id)} == {FIRST[finding_id]}
    severity, make = OTHERS[finding_id]
    assert {told.severity for told in make().findings(finding_id)} == {severity}


def test_a_requirements_finding_says_where_which_and_who() -> None:
    told = custom(user(), user("othersvc", FULL)).finding("spn-misplaced")
    assert (told.server, told.site, told.path) == ("IIS01", "Site", "/")
    assert str(told.spn) == FULL
    assert str(told.account) == r"TEST\contososvc"
    assert [str(holder) for holder in told.holders] == [r"TEST\othersvc"]


@pytest.mark.parametrize(
    ("finding_id", "text"),
    [
        ("section-locked", "windowsAuthentication"),
        ("config-invalid", "useKernelMood"),
        ("providers-order", "NTLM"),
        ("negotiate-missing", "NTLM"),
        ("pool-identity-incomplete", "SpecificUser"),
        ("wildcard-host", "*.test.com"),
        ("ip-only-binding", "10.0.5.2"),
        ("local-account-decrypts", "SpecificUser"),
        ("spn-conflict", "useAppPoolCredentials"),
        ("shared-configuration", ""),
        ("pool-undefined", ""),
        ("binding-malformed", ""),
    ],
)
def test_the_evidence_is_a_line_of_a_file(finding_id: str, text: str) -> None:
    told = PAIRS[finding_id][0]().findings(finding_id)[0]
    assert told.evidence
    assert any(line.file and line.line for line in told.evidence)
    assert any(text in line.text for line in told.evidence)


def test_the_evidence_is_the_line_where_the_binding_stands() -> None:
    text = config([site("*:80:*.test.com")], {"Pool": ""}, ROOT)
    (line,) = [number for number, one in enumerate(text.splitlines(), 1) if "*:80:*.test.com" in one]
    (evidence,) = bare(text=text).finding("wildcard-host").evidence
    assert (evidence.file, evidence.line) == ("applicationHost.config", line)


def test_a_truncated_file_is_told_with_its_line() -> None:
    told = bare(text="<configuration>\n<system.applicationHost>\n<sites>").finding("config-malformed")
    assert told.evidence[0].file == "applicationHost.config"
    assert told.evidence[0].line is not None


@pytest.mark.parametrize(
    ("make", "finding_id", "expected"),
    [
        (lambda: custom(user()), "spn-missing", r"setspn -F -U -S HTTP/contoso.test.com TEST\contososvc"),
        (
            lambda: world(server(site(HEADER)), ad=ad(computer()), dns=A),
            "spn-missing",
            r"setspn -F -C -S HTTP/contoso.test.com TEST\IIS01",
        ),
        (
            lambda: by_own_name(user("contososvc", *OWN), creds=False),
            "spn-misplaced",
            r"setspn -U -D HTTP/IIS01 TEST\contososvc",
        ),
        (
            lambda: custom(right(), creds=False),
            "spn-misplaced",
            r'%windir%\System32\inetsrv\appcmd.exe set config "Site" '
            "-section:system.webServer/security/authentication/windowsAuthentication /useAppPoolCredentials:true "
            "/commit:apphost",
        ),
        (
            lambda: by_own_name(user()),
            "spn-shadowed-by-host",
            "/useAppPoolCredentials:false /commit:apphost",
        ),
        (
            lambda: custom(right(), user("othersvc", FULL)),
            "spn-duplicate",
            r"setspn -U -D HTTP/contoso.test.com TEST\othersvc",
        ),
    ],
)
def test_the_first_fix_is_the_least_invasive_way(make: Make, finding_id: str, expected: str) -> None:
    told = make().findings(finding_id)
    assert any(expected in line for one in told for line in one.fix), told[0].fix


def test_a_gmsa_is_named_with_its_dollar_and_without_c_or_u() -> None:
    found = world(
        server(site(HEADER), pool=r"TEST\gmsaWeb$", creds=True),
        ad=ad(computer(), entry("gmsaWeb$", kind="gMSA")),
        dns=A,
    )
    (line, *_) = found.finding("spn-missing", FULL).fix
    assert r"setspn -F -S HTTP/contoso.test.com TEST\gmsaWeb$" in line


def test_a_delete_from_an_account_nobody_inspected_says_whom_to_ask() -> None:
    told = custom(user(), user("othersvc", FULL)).finding("spn-misplaced")
    assert any("-D" in line and r"owner of TEST\othersvc" in line for line in told.fix)
    told = by_own_name(user("contososvc", *OWN), creds=False).findings("spn-misplaced")[0]
    assert not any("owner of" in line for line in told.fix)


def test_an_a_record_is_the_way_out_of_an_alias_of_the_computer() -> None:
    told = PAIRS["client-spn-variant"][0]().finding("client-spn-variant")
    assert str(told.spn) == "HTTP/iis01.test.com"
    assert any("A record" in line for line in told.fix)
    assert not any("-S HTTP/iis01" in line for line in told.fix)
    assert "dotnet" in told.message
    assert "401" in told.message


# -- a working server ----------------------------------------------------------------------------------------------

WORKING: dict[str, Make] = {
    "own name": lambda: world(server(), ad=ad(computer()), dns="iis01 A 10.0.5.2"),
    "own name, no DNS": lambda: world(server(), ad=ad(computer())),
    "explicit on the computer": lambda: world(server(), ad=ad(computer("IIS01", *OWN))),
    "custom name on the computer": lambda: world(server(site(HEADER)), ad=ad(computer("IIS01", *BOTH)), dns=A),
    "custom name on the pool account": lambda: custom(right()),
    "only the full name": lambda: custom(user("contososvc", FULL)),
    "only the full name, no DNS": lambda: world(
        server(site(HEADER), pool=SERVICE, creds=True), ad=ad(computer(), user("contososvc", FULL))
    ),
    "own names on the pool account": lambda: by_own_name(user("contososvc", *OWN)),
    "alias of the computer": lambda: world(
        server(), ad=ad(computer()), dns="iis01 A 10.0.5.2;contoso CNAME iis01"
    ),
    "alias of the computer, named by a header": lambda: world(
        server(site(HEADER)), ad=ad(computer()), dns="iis01 A 10.0.5.2;contoso CNAME iis01"
    ),
    "additional name of the computer": lambda: world(
        server(site(HEADER)),
        ad=ad(computer("IIS01", *(f"HOST/{n}" for n in ("contoso", "contoso.test.com")),
                       msDS_AdditionalDnsHostName="contoso.test.com")),
        dns=A,
    ),
    "old passwords elsewhere": lambda: custom(right(pwdLastSet=days_ago(9)), user("x", pwdLastSet=days_ago(999))),
    "kernel mode with a local user": lambda: world(server(pool=r".\web"), ad=ad(computer()), dns="iis01 A 10.0.5.2"),
    "short header and its full name": lambda: world(
        server(site("*:80:contoso"), pool=SERVICE, creds=True), ad=ad(computer(), right()), dns=A
    ),
    "default header limits": lambda: world(
        server(facts={"registry": {"MaxFieldLength": None}}), ad=ad(computer()), dns="iis01 A 10.0.5.2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKING)
def test_a_working_server_gives_no_error_and_no_warning_about_its_users(name: str) -> None:
    found = WORKING[name]()
    assert found.errors == []
    for told in found.report.findings:
        words = ("prompt", "401", "NTLM", "KRB_AP_ERR_MODIFIED", "503", "users get", "users fail")
        assert not [word for word in words if word in told.message and told.id != "loopback-name"], told.message
    assert found.report.complete


def test_default_clients_get_kerberos_from_the_working_servers() -> None:
    for make in WORKING.values():
        found = make()
        asked = [r for r in found.report.requirements if r.asked_by]
        assert asked
        assert {requirement.outcome for requirement in asked} == {"kerberos"}


# -- what the words mean: names and needs --------------------------------------------------------------------------


def test_a_full_header_wants_its_name_and_the_short_one_optionally() -> None:
    assert custom(right()).needs == {"http/contoso.test.com": "explicit", "http/contoso": "optional"}


@pytest.mark.parametrize(
    "short",
    [
        user("othersvc", "HTTP/contoso"),
        user("othersvc", "HTTP/contoso") + user("third", "HTTP/contoso"),
        user("othersvc", "HTTP/contoso", userAccountControl=0x202, lastLogonTimestamp=days_ago(900)),
        user("othersvc", userPrincipalName="HTTP/contoso@TEST.COM"),
        computer("CONTOSO"),
    ],
)
def test_an_optional_requirement_gives_at_most_an_info(short: str) -> None:
    found = custom(user("contososvc", FULL), short)
    assert found.need("HTTP/contoso") == "optional"
    assert {told.severity for told in found.report.findings} <= {"info"}


def test_a_short_header_wants_both_names() -> None:
    by_dns = world(server(site("*:80:contoso")), dns="$ORIGIN test.com.;contoso A 10.0.5.2")
    assert by_dns.needs == {"http/contoso": "explicit", "http/contoso.test.com": "explicit"}
    by_machine = world(server(site("*:80:contoso"), facts={"dns_name": "iis01.branch.test.net"}))
    assert by_machine.needs == {"http/contoso": "explicit", "http/contoso.branch.test.net": "explicit"}


def short_header(*entries: str) -> World:
    """The full name is what default clients make of the short one; both are needed."""
    return world(server(site("*:80:contoso"), pool=SERVICE, creds=True), ad=ad(computer(), *entries), dns=A)


def test_a_name_that_nobody_asks_for_may_be_missing() -> None:
    found = short_header(user("contososvc", FULL))
    assert (found.need("HTTP/contoso"), found.outcome("HTTP/contoso")) == ("explicit", "ntlm-fallback")
    assert found.requirement("HTTP/contoso").asked_by == ()
    assert found.ids == frozenset()
    assert found.requirement("HTTP/contoso").advice == ()


def test_where_the_site_is_broken_anyway_both_names_are_mended() -> None:
    found = short_header(user(), user("othersvc", FULL))
    assert [str(told.spn) for told in found.findings("spn-missing")] == ["HTTP/contoso"]
    assert [str(told.spn) for told in found.findings("spn-misplaced")] == [FULL]


def test_an_empty_host_wants_the_computers_names() -> None:
    covered = world(server(), ad=ad(computer()))
    assert covered.needs == {"http/iis01": "covered", "http/iis01.test.com": "covered"}
    assert str(covered.requirement("HTTP/iis01.test.com").covered_by) == "HOST/iis01.test.com"
    assert str(covered.requirement("HTTP/IIS01").covered_by) == "HOST/IIS01"
    explicit = world(server(pool=SERVICE, creds=True))
    assert explicit.needs == {"http/iis01": "explicit", "http/iis01.test.com": "explicit"}
    assert explicit.requirement("HTTP/IIS01").covered_by is None


def test_an_empty_host_wants_every_name_that_dns_leads_to_the_server() -> None:
    found = world(server(pool=SERVICE, creds=True), dns="iis01 A 10.0.5.2;www A 10.0.5.2;app CNAME www;else A 10.0.9.9")
    explicit = {"iis01", "iis01.test.com", "www", "www.test.com", "app", "app.test.com"}
    assert found.needs == {f"http/{name}": "explicit" for name in explicit}
    sources = {host.host.text: host.source for host in found.application().hosts}
    assert sources["www.test.com"] == sources["app.test.com"] == "dns"
    assert sources["iis01.test.com"] == "machine"


def test_covered_stays_covered_when_an_explicit_spn_elsewhere_spoils_it() -> None:
    found = world(server(), ad=ad(computer(), user("othersvc", "HTTP/iis01.test.com")))
    requirement = found.requirement("HTTP/iis01.test.com")
    assert (requirement.need, requirement.outcome) == ("covered", "modified")
    assert str(requirement.covered_by) == "HOST/iis01.test.com"
    assert [str(one) for one in requirement.holders or ()] == [r"TEST\othersvc"]


def test_holders_are_those_of_exactly_this_spn_and_answers_whom_the_kdc_picks() -> None:
    requirement = world(server(), ad=ad(computer())).requirement("HTTP/iis01.test.com")
    assert requirement.holders == ()
    assert [str(one) for one in requirement.answers or ()] == [r"TEST\IIS01$"]
    nobody = world(server()).requirement("HTTP/iis01.test.com")
    assert (nobody.holders, nobody.answers, nobody.outcome) == (None, None, "unchecked")


def test_one_requirement_for_each_spn_and_account_compared_without_case() -> None:
    found = world(
        server(site("*:80:Contoso.Test.com"), site("*:81:CONTOSO.TEST.COM", name="Second"), pool=SERVICE, creds=True),
        ad=ad(computer(), user("ContosoSVC", "http/CONTOSO.test.COM")),
        dns=A,
    )
    requirement = found.requirement(FULL)
    assert str(requirement.spn) == "HTTP/Contoso.Test.com"
    assert requirement.outcome == "kerberos"
    assert [ref.site for ref in requirement.applications] == ["Site", "Second"]


def test_a_long_computer_name_is_covered_in_its_first_15_characters() -> None:
    long = "AVERYLONGSERVERNAME"
    names = ("HOST/AVERYLONGSERVER", "HOST/averylongservername.test.com")
    account = entry("AVERYLONGSERVER$", *names, kind="computer")
    for dns in (None, "averylongservername A 10.0.5.2"):
        found = world(
            server(name=long, facts={"dns_name": f"{long.lower()}.test.com", "addresses": ("10.0.5.2",)}),
            ad=ad(account),
            dns=dns,
        )
        assert found.needs["http/averylongserver"] == "covered"
        assert found.needs["http/averylongservername.test.com"] == "covered"
        assert found.needs["http/averylongservername"] == "optional"
        assert "http/averylongserver.test.com" not in found.needs
        assert found.ids == frozenset()


# -- a bind to one address, claims ---------------------------------------------------------------------------------


def test_a_bind_to_one_address_has_the_names_dns_gives_it() -> None:
    built = server(site("10.0.5.3:80:"), facts={"addresses": ("10.0.5.2", "10.0.5.3")})
    found = world(built, dns="iis01 A 10.0.5.2;portal A 10.0.5.3")
    assert found.needs == {"http/portal": "explicit", "http/portal.test.com": "explicit"}
    assert "ip-only-binding" not in found.ids


@pytest.mark.parametrize("dns", [None, "iis01 A 10.0.5.2", "else A 10.0.9.9;$ORIGIN test.com.;iis01 A 10.0.5.2"])
def test_a_bind_to_the_only_address_has_the_computers_own_names(dns: str | None) -> None:
    found = world(server(site("10.0.5.2:80:")), dns=dns)
    assert found.needs == {"http/iis01": "covered", "http/iis01.test.com": "covered"}
    assert "ip-only-binding" not in found.ids


def test_a_bind_to_an_address_that_dns_does_not_name_is_reached_by_address_only() -> None:
    built = server(site("10.0.5.3:80:"), facts={"addresses": ("10.0.5.2", "10.0.5.3")})
    found = world(built, dns="iis01 A 10.0.5.2")
    assert found.needs == {}
    assert found.finding("ip-only-binding").severity == "info"


def test_live_dns_names_an_address_by_its_reverse_record() -> None:
    from agent.names import host_name

    service = NameService(source="system", suffixes=("test.com",), pointers={"10.0.5.3": host_name("www.test.com")})
    built = server(site("10.0.5.3:80:"), facts={"addresses": ("10.0.5.2", "10.0.5.3")})
    assert world(built, service=service).need("HTTP/www.test.com") == "explicit"


def test_a_name_that_a_header_claims_does_not_belong_to_the_empty_host_site() -> None:
    built = server(
        site("*:80:", name="Any", apps=[app("/", "A")]),
        site(HEADER, name="Contoso", apps=[app("/", "B")]),
        site("*:80:iis01.test.com", name="Own", apps=[app("/", "A")]),
        pools={"A": "", "B": SERVICE},
        creds=True,
    )
    found = world(built, dns=f"{A};www A 10.0.5.2")
    hosts = {a.site: {host.host.text for host in a.hosts} for a in found.report.applications}
    assert {"contoso.test.com", "iis01.test.com"}.isdisjoint(hosts["Any"])
    assert {"IIS01", "www", "www.test.com"} <= hosts["Any"]
    assert "spn-conflict" not in found.ids


def test_a_short_header_claims_the_short_name_only() -> None:
    built = server(site("*:80:", name="Any"), site("*:80:www", name="Short"))
    found = world(built, dns="iis01 A 10.0.5.2;www A 10.0.5.2")
    hosts = {a.site: {host.host.text for host in a.hosts} for a in found.report.applications}
    assert "www" not in hosts["Any"]
    assert "www.test.com" in hosts["Any"]


def test_on_another_port_a_header_claims_nothing() -> None:
    built = server(site("*:80:", name="Any"), site("*:8080:www.test.com", name="Header"))
    found = world(built, dns="iis01 A 10.0.5.2;www A 10.0.5.2")
    hosts = {a.site: {host.host.text for host in a.hosts} for a in found.report.applications}
    assert "www.test.com" in hosts["Any"]


def test_a_bind_to_one_address_claims_the_names_of_that_address() -> None:
    built = server(
        site("*:80:", name="Any", apps=[app("/", "A")]),
        site("10.0.5.3:80:", name="One", apps=[app("/", "B")]),
        pools={"A": SERVICE, "B": r"TEST\othersvc"},
        creds=True,
        facts={"addresses": ("10.0.5.2", "10.0.5.3")},
    )
    found = world(built, dns="iis01 A 10.0.5.2;www A 10.0.5.2;portal A 10.0.5.3")
    hosts = {a.site: {host.host.text for host in a.hosts} for a in found.report.applications}
    assert hosts == {
        "Any": {"IIS01", "iis01.test.com", "www", "www.test.com"},
        "One": {"portal", "portal.test.com"},
    }
    assert "spn-conflict" not in found.ids


# -- what the words mean: directories ------------------------------------------------------------------------------

DN = "CN=contososvc,OU=svc,DC=test,DC=com"
WRONG = "CN=othersvc,OU=svc,DC=test,DC=com"


@pytest.mark.parametrize(
    ("text", "outcome", "holders"),
    [
        (setspn_l({DN: [FULL]}), "kerberos", [r"TEST\contososvc"]),
        (setspn_l({WRONG: [FULL]}), "modified", [r"TEST\othersvc"]),
        (setspn_l({DN: [FULL], WRONG: [FULL]}), "duplicate", [r"TEST\contososvc", r"TEST\othersvc"]),
        (setspn_l({DN: ["HTTP/else"]}), "unchecked", None),
        (setspn_l({WRONG: ["HTTP/else"]}), "unchecked", None),
        ("Checking domain DC=test,DC=com\n\nNo such SPN found.\n", "unchecked", None),
        ("Checking domain DC=test,DC=com\nProcessing entry 0\nfound 0 group of duplicate SPNs.\n", "unchecked", None),
    ],
)
def test_no_setspn_text_proves_absence(text: str, outcome: str, holders: list[str] | None) -> None:
    found = world(server(site(HEADER), pool=SERVICE, creds=True), ad=text, dns=A)
    requirement = found.requirement(FULL)
    assert requirement.outcome == outcome
    assert (None if requirement.holders is None else [str(one) for one in requirement.holders]) == holders
    assert not found.ids & {"spn-missing", "account-not-found"}


@pytest.mark.parametrize("cn", ["IIS01", "IIS01$", "iis01"])
def test_setspn_names_a_computer_by_its_cn_with_or_without_the_dollar(cn: str) -> None:
    text = setspn_l({f"CN={cn},CN=Computers,DC=test,DC=com": [FULL]})
    assert world(server(site(HEADER)), ad=text).outcome(FULL) == "kerberos"
    elsewhere = setspn_l({f"CN={cn},CN=Computers,DC=child,DC=test,DC=com": [FULL]})
    assert world(server(site(HEADER)), ad=elsewhere).outcome(FULL) == "modified"


def test_an_ldif_without_the_domains_entry_proves_no_absence() -> None:
    def outcome(*entries: str, covers: bool) -> str:
        built = server(site(HEADER), pool=SERVICE, creds=True)
        return world(built, ad=ad(computer(), *entries, covers=covers), dns=A).outcome(FULL)

    assert outcome(user(), covers=True) == "ntlm-fallback"
    assert outcome(user(), covers=False) == "unchecked"
    assert outcome(covers=False) == "uncertain"
    assert outcome(user("contososvc", FULL), covers=False) == "kerberos"
    assert outcome(user(), user("othersvc", FULL), covers=False) == "modified"


def test_another_domains_entry_covers_that_domain_only() -> None:
    text = whole("child.test.com") + computer() + user()
    found = world(server(site(HEADER), pool=SERVICE, creds=True), ad=text, dns=A)
    assert found.outcome(FULL) == "unchecked"
    assert found.requirement(FULL).holders is None


def test_an_attribute_that_was_not_exported_is_not_judged() -> None:
    assert not custom(right(pwdLastSet=days_ago(9999)), rodc_group("20090101000000.0Z")).ids & {"etype-risk"}
    known = custom(
        right(pwdLastSet=days_ago(9999)), rodc_group("20090101000000.0Z"), user("x", msDS_SupportedEncryptionTypes=24)
    )
    assert "etype-risk" in known.ids
    unknown = custom(right(pwdLastSet=days_ago(5000)), user("x", msDS_SupportedEncryptionTypes=24))
    assert "etype-risk" not in unknown.ids, "whenCreated of RID 521 was not exported"


def test_account_not_found() -> None:
    covered = custom(user("othersvc")).finding("account-not-found")
    assert (covered.severity, str(covered.account)) == ("error", SERVICE)
    found = world(server(site(HEADER), pool=SERVICE, creds=True), ad=ad(computer(), covers=False), dns=A)
    assert found.finding("account-not-found").severity == "warning"
    assert found.outcome(FULL) == "uncertain"


ABSENT = user("othersvc")
DISABLED = user("contososvc", userAccountControl=0x202)


@pytest.mark.parametrize(("account", "told"), [(ABSENT, "account-not-found"), (DISABLED, "account-disabled")])
@pytest.mark.parametrize("holder", [(), ("othersvc2",)])
def test_an_account_that_cannot_run_a_pool_ends_the_chain(account: str, told: str, holder: tuple[str, ...]) -> None:
    """The pool answers 503: nothing about SPNs is said beside it, and none is moved."""
    found = custom(account, *(user(name, *BOTH) for name in holder))
    assert (found.outcome(FULL), str(found.requirement(FULL).account)) == ("impossible", SERVICE)
    assert found.ids - {"spn-stale"} == {told}
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert [blocked.finding for blocked in found.report.plan.blocked] == [told]
    assert not any("setspn" in line for one in found.report.findings for line in one.fix)


@pytest.mark.parametrize(("account", "told"), [(ABSENT, "account-not-found"), (DISABLED, "account-disabled")])
def test_a_dmsa_that_holds_the_spns_of_a_vanished_account_is_named(account: str, told: str) -> None:
    found = custom(account, entry("dmsaWeb$", *BOTH, kind="dMSA"))
    assert found.outcome(FULL) == "impossible"
    assert r"the dMSA TEST\dmsaWeb$ holds HTTP/contoso" in found.finding(told).message
    assert "dMSA" not in custom(account, entry("gmsaWeb$", *BOTH, kind="gMSA")).finding(told).message


def test_an_account_migrated_to_a_dmsa_that_was_not_read_is_not_called_disabled() -> None:
    old = {"msDS_SupersededServiceAccountState": 2, "userAccountControl": 0x202}
    link = {"msDS_SupersededManagedAccountLink": "CN=dmsaWeb,OU=x,DC=test,DC=com"}
    found = custom(user("contososvc", **old, **link))
    assert found.outcome(FULL) == "uncertain"
    assert "account-disabled" not in found.ids
    assert "migrated to a dMSA" in found.finding("account-uncertain").message
    assert found.report.plan.steps == ()


def test_a_computer_that_the_directory_does_not_have_is_more_likely_called_otherwise() -> None:
    found = world(server(site(HEADER)), ad=ad(computer("IIS09"), user("othersvc", FULL)), dns=A)
    assert found.outcome(FULL) == "uncertain"
    assert found.ids == {"account-not-found"}
    assert found.finding("account-not-found").fix == (
        "Check the server's name (--computer, machine.json), or export the directory again.",
    )
    assert found.report.plan.steps == ()
    assert "userName" not in "".join(blocked.why for blocked in found.report.plan.blocked)


def test_a_namesake_in_the_one_covered_domain_is_asked_about() -> None:
    built = server(site(HEADER), pool=r"NORD\contososvc", creds=True, facts={"netbios_domain": None})
    found = world(built, ad=ad(computer(), user("contososvc", FULL)), dns=A)
    assert found.outcome(FULL) == "uncertain"
    told = found.finding("account-not-found")
    assert told.severity == "warning"
    assert "is NORD the NetBIOS name of test.com, which has an account of that name?" in told.message
    assert found.report.plan.steps == ()


def test_nothing_that_is_uncertain_is_advised_with_a_setspn() -> None:
    """An account of a domain that nobody knows, seen in a text that proves no absence."""
    built = server(site(HEADER), pool=r"NORD\contososvc", creds=True, facts={"netbios_domain": None})
    found = world(built, ad=setspn_l({DN: [FULL]}), dns=A)
    assert found.outcome(FULL) == "uncertain"
    assert found.requirement(FULL).advice == (
        "Is NORD the NetBIOS name of test.com? Then give --netbios-domain NORD=test.com.",
    )


def test_the_netbios_name_comes_from_the_cross_reference_first() -> None:
    text = ad(computer(), user("contososvc", FULL), cross_reference("CORP"))
    found = world(
        server(site(HEADER), pool=r"CORP\contososvc", creds=True, facts={"netbios_domain": "CORP"}), ad=text, dns=A
    )
    assert found.outcome(FULL, r"CORP\contososvc") == "kerberos"
    found = world(server(site(HEADER), pool="contososvc@test.com", creds=True), ad=text, dns=A)
    assert str(found.application().decrypts_as) == r"CORP\contososvc"


def test_the_netbios_name_may_be_given() -> None:
    text = ad(computer(), user("contososvc", FULL))
    built = server(site(HEADER), pool=r"CORP\contososvc", creds=True, facts={"netbios_domain": "CORP"})
    found = world(built, ad=text, dns=A, netbios={"test.com": "CORP"})
    assert found.outcome(FULL, r"CORP\contososvc") == "kerberos"


def test_the_netbios_name_of_machine_json_counts_where_no_cross_reference_says_it() -> None:
    text = ad(computer(), user("contososvc", FULL))
    built = server(site(HEADER), pool=r"CORP\contososvc", creds=True, facts={"netbios_domain": "CORP"})
    found = world(built, ad=text, dns=A)
    assert found.outcome(FULL, r"CORP\contososvc") == "kerberos"


def test_without_a_directory_the_first_label_in_capitals_is_the_netbios_name() -> None:
    built = server(site(HEADER), pool=r"corp.example.net\svc", creds=True)
    assert str(world(built).application().decrypts_as) == r"CORP\svc"


def test_a_upn_without_a_directory_is_likely_its_prefix() -> None:
    found = world(server(site(HEADER), pool="contososvc@test.com", creds=True))
    application = found.application()
    assert (application.decryption, str(application.decrypts_as)) == ("uncertain", SERVICE)
    assert found.outcome(FULL) == "uncertain"


def test_a_upn_is_looked_up_and_its_prefix_may_differ_from_the_account_name() -> None:
    text = ad(computer(), user("svc0815", FULL, userPrincipalName="contososvc@test.com"), user("contososvc"))
    found = world(server(site(HEADER), pool="contososvc@test.com", creds=True), ad=text, dns=A)
    application = found.application()
    assert (application.decryption, str(application.decrypts_as)) == ("pool", r"TEST\svc0815")
    assert found.outcome(FULL) == "kerberos"


def test_a_bare_name_is_looked_up() -> None:
    found = custom(right(), pool="contososvc")
    assert (found.application().decryption, str(found.application().decrypts_as)) == ("pool", SERVICE)
    placed = world(server(site(HEADER), pool="contososvc", creds=True))
    assert (placed.application().decryption, placed.application().decrypts_as) == ("uncertain", None)
    assert placed.outcome(FULL) == "uncertain"
    absent = custom(pool="contososvc")
    assert (absent.application().decryption, absent.application().rule) == ("uncertain", None)


@pytest.mark.parametrize("written", [r"test\CONTOSOSVC", r"test.com\contososvc", r"TEST.COM\contososvc"])
def test_accounts_are_compared_by_identity_not_by_text(written: str) -> None:
    assert custom(right(), pool=written).outcome(FULL) == "kerberos"


def test_on_a_domain_controller_a_local_form_is_a_domain_account() -> None:
    built = server(site(HEADER), pool=r".\contososvc", creds=True, facts={"domain_controller": True})
    found = world(built, ad=ad(computer(), right()), dns=A)
    assert (str(found.application().decrypts_as), found.outcome(FULL)) == (SERVICE, "kerberos")


def test_a_standalone_dmsa_is_uncertain_and_in_no_row() -> None:
    found = world(
        server(site(HEADER), pool=r"TEST\dmsaWeb$", creds=True),
        ad=ad(computer(), entry("dmsaWeb$", *BOTH, kind="dMSA")),
        dns=A,
    )
    application = found.application()
    assert (application.decryption, application.rule) == ("uncertain", None)
    assert str(application.decrypts_as) == r"TEST\dmsaWeb$"


def test_a_superseded_account_never_gets_an_spn() -> None:
    found = superseded(2)
    assert str(found.application().decrypts_as) == r"TEST\dmsaWeb$"
    assert found.outcome(FULL) == "kerberos"
    assert not any(r"-S HTTP/contoso.test.com TEST\contososvc" in line for f in found.report.findings for line in f.fix)


def test_an_account_that_was_superseded_is_told_once_for_each_pool() -> None:
    link = "CN=dmsaWeb,OU=x,DC=test,DC=com"
    old = user("contososvc", msDS_SupersededServiceAccountState=2, msDS_SupersededManagedServiceAccountLink=link)
    apps = [app("/", "A"), app("/b", "A"), app("/c", "B"), app("/d", "B")]
    found = world(
        server(site(HEADER, apps=apps), pools={"A": SERVICE, "B": SERVICE}, creds=True),
        ad=ad(computer(), old, entry("dmsaWeb$", *BOTH, kind="dMSA")),
    )
    assert [told.path for told in found.findings("account-superseded")] == ["/", "/c"]


def test_a_pool_without_its_user_is_told_once() -> None:
    text = config([site(apps=[app("/", "A"), app("/b", "a"), app("/c", "B")])], {"A": "x", "B": "x"}, ROOT)
    found = bare(text=text.replace('userName="x"', ""))
    assert [told.path for told in found.findings("pool-identity-incomplete")] == ["/", "/c"]


def group(name: str, relative: int) -> str:
    lines = (f"dn: CN={name},OU=x,DC=test,DC=com", "objectClass: group", f"sAMAccountName: {name}")
    return "\n".join([*lines, f"objectSid: S-1-5-21-1-2-3-{relative}", "", ""])


def reading_through_a_group(*groups: str) -> World:
    """The gMSA's password may be read by the group with RID 2000; IIS01 is a member of these groups."""
    managed = entry("gmsaWeb$", *BOTH, kind="gMSA", msDS_GroupMSAMembership=readers(2000))
    member = computer(objectSid=sid(1101), memberOf=[f"CN={group},OU=x,DC=test,DC=com" for group in groups])
    return world(
        server(site(HEADER), pool=r"TEST\gmsaWeb$", creds=True), ad=ad(member, managed, group("Farm", 2000)), dns=A
    )


def test_a_group_may_let_the_server_read_the_gmsas_password() -> None:
    assert "gmsa-server-not-allowed" not in reading_through_a_group("Farm").ids


def test_a_server_outside_the_group_may_not_read_the_gmsas_password() -> None:
    assert "gmsa-server-not-allowed" in reading_through_a_group("Else").ids


HERE = "OU=x,DC=test,DC=com"
CHILD = whole("child.test.com")


@pytest.mark.parametrize(
    ("member_of", "described", "told"),
    [
        ([f"CN=Else,{HERE}"], [group("Farm", 2000)], True),
        ([f"CN=Farm,{HERE}"], [group("Farm", 2000)], False),
        ([f"CN=Else,{HERE}"], [group("Farm", 2000), group("Else", 2001)], True),
        ([f"CN=Else,{HERE}"], [group("Else", 2001)], True),
        # a group of another domain, or one that the file does not describe, may stand in the reader
        ([f"CN=Else,{HERE}", "CN=Far,OU=x,DC=child,DC=test,DC=com"], [group("Farm", 2000)], False),
        ([f"CN=Else,{HERE}", "CN=Far,OU=x,DC=child,DC=test,DC=com"], [group("Farm", 2000), CHILD], False),
        ([f"CN=Else,{HERE}"], [], False),
        ([], [group("Farm", 2000)], False),
    ],
)
def test_a_server_is_kept_from_a_password_where_all_its_groups_are_known_to_be_others(
    member_of: list[str], described: list[str], told: bool
) -> None:
    """The reader has RID 2000. Its primary group is Domain Computers (515), as of every computer."""
    managed = entry("gmsaWeb$", *BOTH, kind="gMSA", msDS_GroupMSAMembership=readers(2000))
    found = world(
        server(site(HEADER), pool=r"TEST\gmsaWeb$", creds=True),
        ad=ad(computer(objectSid=sid(1101), memberOf=member_of), managed, group("Domain Computers", 515), *described),
    )
    assert ("gmsa-server-not-allowed" in found.ids) is told


@pytest.mark.parametrize(("cut", "told"), [("", True), ("dn: CN=Farm,OU=x,DC=test,DC=com\nobjectCl", False)])
def test_only_a_directory_that_was_read_whole_proves_that_a_reader_is_no_group_of_the_server(
    cut: str, told: bool
) -> None:
    """The reader with RID 2000 is in the file as no group: it is none, or its entry is what was cut off."""
    managed = entry("gmsaWeb$", *BOTH, kind="gMSA", msDS_GroupMSAMembership=readers(2000))
    others = group("Domain Computers", 515) + computer("IIS02", memberOf="CN=Else,OU=x,DC=test,DC=com")
    found = world(
        server(site(HEADER), pool=r"TEST\gmsaWeb$", creds=True),
        ad=ad(computer(objectSid=sid(1101)), others, managed, cut),
    )
    assert ("directory-incomplete" in found.ids) is not told
    assert ("gmsa-server-not-allowed" in found.ids) is told


def test_an_additional_name_of_the_computer_is_covered() -> None:
    found = WORKING["additional name of the computer"]()
    requirement = found.requirement(FULL)
    assert (requirement.need, str(requirement.covered_by)) == ("covered", "HOST/contoso.test.com")


def test_a_client_that_sends_names_as_typed_does_not_reach_a_full_header_by_its_first_label() -> None:
    found = world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=ad(computer(), user("contososvc", FULL)),
        dns=A,
        clients=["curl-sspi", "java", "chrome-nocname"],
    )
    assert found.need("HTTP/contoso") == "optional"
    assert found.ids == frozenset()


def test_the_forests_own_spn_mappings_count() -> None:
    mapped = directory_service(sPNMappings="host=alerter,cifs")
    found = world(server(), ad=ad(computer(), mapped))
    assert found.outcome("HTTP/iis01.test.com") == "ntlm-fallback"


@pytest.mark.parametrize(
    ("target", "others", "told"),
    [
        ("HTTP/api.test.com", [user("apisvc", "HTTP/api.test.com")], None),
        ("HTTP/api.test.com", [user("apisvc", "HTTP/API.test.com")], None),
        ("HTTP/api.test.com", [computer("API")], None),
        ("MSSQLSvc/api.test.com", [computer("API")], "no account holds"),
        ("HTTP/api.test.com", [], "no account holds"),
        ("HTTP/api.test.com", [CHILD, user("a", "HTTP/api.test.com", domain="child.test.com")], "only child.test.com"),
        (
            "HTTP/api.child.test.com",
            [CHILD, computer("API", domain="child.test.com")],
            "only child.test.com holds: constrained delegation does not leave the domain test.com",
        ),
        (
            "HTTP/api.test.com",
            [CHILD, user("a", "HTTP/api.test.com"), user("b", "HTTP/api.test.com", domain="child.test.com")],
            None,
        ),
    ],
)
def test_delegation_leads_to_whoever_answers_in_the_accounts_own_domain(
    target: str, others: list[str], told: str | None
) -> None:
    """R8.3, R8.6: HOST/ answers for the classes that sPNMappings leads to it."""
    found = custom(right(msDS_AllowedToDelegateTo=target), *others).findings("delegation-broken")
    assert [told in one.message for one in found if told] == ([True] if told else [])
    assert bool(found) is bool(told)
    partly = world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=ad(computer(), right(msDS_AllowedToDelegateTo=target), covers=False),
    )
    assert "delegation-broken" not in partly.ids, "of a part no absence is known"


def test_a_domain_controllers_delegation_is_silent() -> None:
    built = server(facts={"domain_controller": True})
    found = world(built, ad=ad(computer(userAccountControl=0x82000)), dns="iis01 A 10.0.5.2")
    assert "unconstrained-delegation" not in found.ids


def test_an_spn_with_the_port_is_told_of_where_a_host_spn_answers_without_it() -> None:
    """The first hides nothing (rule 2.16): default clients get a ticket for the computer."""
    shadowed = world(
        server(site("*:8080:"), pool=SERVICE, creds=True),
        ad=ad(computer(), user("contososvc", "HTTP/iis01.test.com:8080")),
        dns="iis01 A 10.0.5.2",
    )
    assert shadowed.outcome("HTTP/iis01.test.com") == "modified"
    assert "spn-shadowed-by-host" in shadowed.ids
    assert shadowed.finding("spn-port-only", "HTTP/iis01.test.com").severity == "warning"
    held = world(
        server(site("*:8080:contoso.test.com"), pool=SERVICE, creds=True),
        ad=ad(computer(), user("contososvc", f"{FULL}:8080"), user("othersvc", FULL)),
        dns=A,
    )
    assert "spn-misplaced" in held.ids
    assert "spn-port-only" not in held.ids


def test_a_name_that_no_client_asked_about_sends_is_an_error_where_it_is_broken() -> None:
    """A farm's name that is an alias, on the wrong account: the default clients send what it leads to."""
    found = world(
        server(pool=SERVICE, creds=True),
        ad=ad(
            computer(), user("contososvc", "HTTP/vip.test.com", "HTTP/vip"), user("othersvc", "HTTP/portal.test.com")
        ),
        dns="iis01 A 10.0.5.2; vip A 10.0.0.9; portal CNAME vip",
        farm=[farm_name("portal.test.com", "IIS01")],
    )
    assert found.requirement("HTTP/portal.test.com").asked_by == ()
    assert found.report.spns.broken == 1
    told = found.finding("spn-misplaced", "HTTP/portal.test.com")
    assert (told.severity, "(only clients that send portal.test.com as typed)" in told.message) == ("error", True)


@pytest.mark.parametrize(
    ("clients", "whose"), [(("edge",), "clients that ask for it use"), (("edge", "java"), ": java use")]
)
def test_a_finding_names_the_clients_where_others_fare_otherwise(clients: tuple[str, ...], whose: str) -> None:
    """An alias of the computer, by a name of its own: Edge asks for the computer, and works."""
    found = world(
        server(site(HEADER)),
        ad=ad(computer()),
        dns="iis01 A 10.0.5.2;contoso CNAME iis01",
        clients=clients,
    )
    assert found.outcome("HTTP/iis01.test.com") == "kerberos"
    told = [one.message for one in found.findings("spn-missing", FULL)]
    assert all(whose in message for message in told)
    assert bool(told) == ("java" in clients)


# -- ages ----------------------------------------------------------------------------------------------------------


def test_long_unused_is_over_180_days() -> None:
    def stale(days: int) -> bool:
        return "spn-stale" in custom(right(), user("old", FULL, lastLogonTimestamp=days_ago(days))).ids

    assert not stale(180)
    assert stale(181)


def test_an_old_password_is_over_365_days() -> None:
    def old(days: int) -> bool:
        return "kerberoastable-account" in custom(right(pwdLastSet=days_ago(days))).ids

    assert not old(365)
    assert old(366)


@pytest.mark.parametrize("kind", ["user", "gMSA"])
def test_only_a_users_password_can_be_guessed(kind: str) -> None:
    """Windows makes the passwords of computers and managed accounts: 240 random bytes."""
    name = "contososvc" if kind == "user" else "contososvc$"
    held = entry(name, *BOTH, kind=kind, pwdLastSet=days_ago(999))
    told = custom(held, pool=rf"TEST\{name}").ids
    assert ("kerberoastable-account" in told) is (kind == "user")
    assert "kerberoastable-account" not in world(server(), ad=ad(computer(pwdLastSet=days_ago(999)))).ids


def test_an_account_of_which_nobody_says_what_it_is_may_be_a_managed_one() -> None:
    """An export without objectClass."""
    dn = "dn: CN=contososvc,OU=x,DC=test,DC=com"
    lines = [dn, "sAMAccountName: contososvc", *(f"servicePrincipalName: {name}" for name in BOTH)]
    bare_entry = "\n".join([*lines, f"pwdLastSet: {days_ago(999)}", "", ""])
    assert custom(bare_entry).outcome(FULL) == "kerberos"
    assert "kerberoastable-account" not in custom(bare_entry).ids


def test_older_than_aes_is_before_the_group_with_rid_521() -> None:
    def risk(days_before: int) -> bool:
        from datetime import timedelta

        created = NOW - timedelta(days=3000)
        password = file_time(created - timedelta(days=days_before))
        group = rodc_group(created.strftime("%Y%m%d%H%M%S.0Z"))
        other = user("x", msDS_SupportedEncryptionTypes=24)
        return "etype-risk" in custom(right(pwdLastSet=password), group, other).ids

    assert risk(1)
    assert not risk(-1)


# -- the registry --------------------------------------------------------------------------------------------------


def test_what_was_not_collected_of_the_registry_is_not_judged() -> None:
    assert not world(server(site(HEADER))).ids & {"loopback-name", "header-limit"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"BackConnectionHostNames": [], "DisableLoopbackCheck": 0}, True),
        ({"BackConnectionHostNames": []}, True),
        ({"BackConnectionHostNames": [], "DisableLoopbackCheck": 1}, False),
        ({"BackConnectionHostNames": ["contoso.test.com"], "DisableLoopbackCheck": 0}, False),
    ],
)
def test_loopback(values: dict[str, object], told: bool) -> None:
    assert ("loopback-name" in registry(**values).ids) is told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, True),
        ({"MaxFieldLength": 65534}, True),
        ({"MaxFieldLength": 16384, "MaxRequestBytes": 16384}, True),
        ({"MaxFieldLength": 65534, "MaxRequestBytes": 32768}, False),
    ],
)
def test_header_limits_at_their_default_or_absent(values: dict[str, object], told: bool) -> None:
    assert ("header-limit" in registry(**values).ids) is told


def test_header_limits_are_told_once_for_all_servers() -> None:
    facts: dict[str, object] = {"registry": {"MaxFieldLength": 16384}}
    raised: dict[str, object] = {"registry": {"MaxFieldLength": 65534, "MaxRequestBytes": 65534}}
    built = [server(name=name, facts=raised if name == "IIS03" else facts) for name in ("IIS01", "IIS02", "IIS03")]
    told = world(*built).finding("header-limit")
    assert (told.severity, set(told.servers)) == ("info", {"IIS01", "IIS02"})


# -- what the configuration alone tells ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "pools", "because"),
    [
        (True, {"Pool": "ApplicationPoolIdentity"}, "with a built-in identity"),
        (False, {"Pool": "ApplicationPoolIdentity"}, "with kernel mode off"),
        (False, {"Pool": SERVICE}, "with kernel mode off"),
        (True, {"Pool": SERVICE}, None),
        (True, {"Else": SERVICE}, None),
    ],
)
def test_pool_credentials_count_for_an_account_in_kernel_mode_only(
    kernel: bool, pools: dict[str, str], because: str | None
) -> None:
    told = bare(creds=True, kernel=kernel, pools=pools).findings("pool-credentials-no-effect")
    assert [one.message.partition("has no effect ")[2] for one in told] == ([because] if because else [])
    assert not bare(creds=False, kernel=kernel, pools=pools).findings("pool-credentials-no-effect")


@pytest.mark.parametrize(
    ("offered", "told"),
    [
        (["Negotiate", "NTLM"], set()),
        (["Negotiate"], set()),
        (["NTLM", "Negotiate"], {"providers-order"}),
        (["ntlm", "NEGOTIATE:Kerberos"], {"providers-order"}),
        (["Negotiate:Kerberos", "NTLM"], set()),
        (["Negotiate:PKU2U", "NTLM", "Negotiate"], {"providers-order"}),
        (["Negotiate:PKU2U", "Negotiate", "NTLM"], set()),
        (["NTLM"], {"negotiate-missing"}),
        (["Negotiate:PKU2U", "NTLM"], {"negotiate-missing"}),
        ([], {"windows-auth-not-installed"}),
    ],
)
def test_what_the_list_of_providers_makes_of_it(offered: list[str], told: set[str]) -> None:
    assert bare(offered=offered, kernel=False).ids == told
    assert bare(offered=offered, kernel=False, enabled=False).ids == set()


@pytest.mark.parametrize(
    ("modules", "looks"),
    [
        (["WINDOWSAuthenticationModule"], "looks installed"),
        (["BasicAuthenticationModule"], "looks not installed"),
        (None, "nothing tells"),
    ],
)
def test_without_any_provider_the_modules_tell_whether_the_role_is_there(modules: list[str] | None, looks: str) -> None:
    assert looks in bare(offered=[], modules=modules).finding("windows-auth-not-installed").message


@pytest.mark.parametrize(
    ("membership", "words"), [("workgroup", "in a workgroup"), ("entra", "joined to Entra ID only"), ("domain", None)]
)
def test_a_server_outside_a_domain_is_told_where_it_negotiates(membership: str, words: str | None) -> None:
    told = [one.message for one in bare(facts={"membership": membership}).findings("not-domain-joined")]
    assert [words in message for message in told if words] == ([True] if words else [])
    assert not bare(facts={"membership": membership}, enabled=False).findings("not-domain-joined")


def test_the_evidence_of_a_conflict_tells_a_default_from_what_a_file_says() -> None:
    found = world(
        server(site(HEADER, apps=[app(), app("/b", "B")]), pools={"Pool": SERVICE, "B": ""}, kernel=None, creds=True)
    )
    lines = {line.text: line.file for line in found.finding("spn-conflict").evidence}
    assert lines == {
        "Site/: useKernelMode=true (IIS default)": None,
        "Site/: useAppPoolCredentials=true": "applicationHost.config",
        "Site/: pool Pool: SpecificUser": "applicationHost.config",
        "Site/b: useKernelMode=true (IIS default)": None,
        "Site/b: useAppPoolCredentials=true": "applicationHost.config",
        "Site/b: pool B: ApplicationPoolIdentity (IIS default)": None,
    }


def variant(dns: str, *clients: str, port: int = 80, **more: object) -> World:
    built = server(site(f"*:{port}:contoso.test.com"), pool=SERVICE, creds=True, **more)  # type: ignore[arg-type]
    return world(built, ad=ad(computer(), right()), dns=dns, clients=clients)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: variant("iis01 A 10.0.5.2;contoso CNAME iis01", "edge"),
            "edge ask for HTTP/iis01.test.com, because that is what they make of contoso.test.com, and get "
            r"KRB_AP_ERR_MODIFIED: three prompts, then 401 (TEST\IIS01$ answers, TEST\contososvc decrypts)",
        ),
        (
            lambda: variant(A, "edge-port", port=8080),
            "edge-port ask for HTTP/contoso.test.com:8080, because they include the port, and get NTLM",
        ),
        (
            lambda: variant("iis01 A 10.0.5.2;web A 10.0.5.2;contoso CNAME web", "edge", "firefox"),
            "edge, firefox ask for HTTP/web.test.com, because that is what they make of contoso.test.com, and get NTLM",
        ),
    ],
)
def test_a_variant_says_who_asks_why_and_what_they_get(make: Make, words: str) -> None:
    assert make().finding("client-spn-variant").message == words


def test_a_suspected_farm_is_told_once_for_a_name_whatever_its_ports() -> None:
    built = pair("*:8080:portal.test.com", pool=SERVICE, creds=True, second={"creds": False})
    (told,) = world(*built, clients=["edge", "edge-port"]).findings("farm-suspected")  # type: ignore[arg-type]
    assert str(told.spn) == "HTTP/portal.test.com"


SPLIT: dict[str, object] = {"pool": SERVICE, "creds": True, "second": {"creds": False}}


@pytest.mark.parametrize(
    ("dns", "farm", "is_farm"),
    [
        (None, [], False),
        (None, [farm_name("portal.test.com", "IIS01", "IIS02")], True),
        (None, [farm_name("portal.test.com", "IIS01")], False),
        (None, [farm_name("portal.test.com", "IIS01"), farm_name("portal.test.com", "IIS02")], False),
        (None, [farm_name("other.test.com", "IIS01", "IIS02")], False),
        ("portal A 10.0.5.2;portal A 10.0.5.3", [], True),
        ("portal A 10.0.5.2", [], False),
        ("portal A 10.0.9.9", [], False),
    ],
)
def test_servers_are_one_farm_where_the_farm_file_or_dns_says_it_of_two(
    dns: str | None, farm: list[FarmName], is_farm: bool
) -> None:
    found = world(*pair(**SPLIT), dns=dns, farm=farm)  # type: ignore[arg-type]
    assert ("farm-nodes-differ" in found.ids) is is_farm
    assert ("farm-suspected" in found.ids) is (dns is None and not is_farm), "DNS tells to which of them it leads"


# -- aliases, shadows, collisions ----------------------------------------------------------------------------------


def test_a_default_client_that_gets_modified_makes_the_variant_an_error_and_it_speaks_alone() -> None:
    found = PAIRS["client-spn-variant"][0]()
    told = found.finding("client-spn-variant")
    assert told.severity == "error"
    assert found.errors == [f"client-spn-variant: {told.message}"]


def test_the_right_spn_and_an_alias_in_place_of_nothing() -> None:
    """KERBEROS by alias needs no SPN at all while the computer decrypts: nothing is asked to be changed."""
    found = WORKING["alias of the computer"]()
    assert "explicit" not in found.needs.values()
    assert found.report.plan.steps == ()


def test_on_a_shared_name_the_winrm_collision_names_the_holder() -> None:
    told = by_own_name(user("contososvc", *OWN)).findings("winrm-collision")
    assert {str(one.spn) for one in told} == {"HTTP/IIS01", "HTTP/iis01.test.com"}
    assert {holder for one in told for holder in map(str, one.holders)} == {SERVICE}
    assert {one.severity for one in told} == {"warning"}


def test_a_computer_that_holds_anothers_name_is_foreign_but_no_collision_with_a_service_account() -> None:
    told = by_own_name(right(), computer("OLD", "HTTP/iis01.test.com"), creds=False)
    assert "foreign-http-owner" in told.ids
    assert "winrm-collision" not in told.ids


@pytest.mark.parametrize(
    ("creds", "entries", "told"),
    [
        (True, [user()], True),
        (True, None, True),
        (True, [user("contososvc", *OWN)], True),
        (False, [user()], False),
        (False, None, False),
    ],
)
def test_a_pool_account_for_the_computers_own_name_collides(creds: bool, entries: list[str] | None, told: bool) -> None:
    """With a custom name beside it, the computer cannot decrypt instead: what the plan would need breaks WinRM."""
    text = None if entries is None else ad(computer(), *entries)
    found = world(server(site("*:80:", HEADER), pool=SERVICE, creds=creds), ad=text, dns=A)
    assert ("winrm-collision" in found.ids) is told


def test_a_collision_that_the_plan_would_make_is_told_too() -> None:
    """Own names and a custom one on one pool account: the host header first, then a warning."""
    found = world(server(site("*:80:", HEADER), pool=SERVICE, creds=True), ad=ad(computer(), right()), dns=A)
    assert "winrm-collision" in found.ids
    added = {step.spn for step in found.report.plan.steps if step.is_add}
    assert not added & {spn("HTTP/iis01"), spn("HTTP/iis01.test.com")}


def test_duplicates_may_be_of_host_and_in_two_domains() -> None:
    found = world(
        server(site(HEADER)),
        ad=ad(computer("IIS01", "HOST/contoso.test.com"), computer("OLD", "HOST/contoso.test.com")),
        dns=A,
    )
    assert found.outcome(FULL) == "duplicate"
    found = world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=[ad(computer(), right()), whole("child.test.com") + user("contososvc", FULL, domain="child.test.com")],
        dns=A,
    )
    assert {str(one) for one in found.finding("spn-duplicate").holders} == {SERVICE, r"CHILD\contososvc"}


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/http://contoso.test.com",
        "http://contoso.test.com",
        "HTTP\\contoso.test.com",
        "HTTPS/contoso.test.com",
        "HTTP/*.test.com",
        "HTTP/HTTP/contoso.test.com",
        "HTTP/contoso.test.com\u200b",
        "HTTP/contoso.test.com@TEST.COM",
        "HTTP/c\u043entoso.test.com",
    ],
)
def test_values_that_can_never_match(text: str) -> None:
    found = custom(right(), user("othersvc", text))
    told = found.finding("spn-malformed")
    assert (told.severity, [str(one) for one in told.holders]) == ("warning", [r"TEST\othersvc"])
    assert told.message.isprintable()
    assert found.outcome(FULL) == "kerberos"


def meant_for(text: str, *bindings: str) -> list[str]:
    """What is told of an account with this value; which accounts a source keeps is not asked here."""
    found = world(
        server(site(HEADER, *bindings), site(name="Own"), pool=SERVICE, creds=True), ad=ad(computer(), user())
    )
    case = found.analysis.cases[0]
    assert case.directory is not None
    holders = {account.identity: (spn(text),) for account in case.directory.named("contososvc")}
    return [told.message for told in spns.malformed(replace(case, directory=with_spns(case.directory, holders)))]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("HTTP/http://contoso.test.com/app", "contoso.test.com"),
        ("HTTP/contoso.test.com:80 ", "contoso.test.com"),
        ("HTTP/old contoso.test.com", "contoso.test.com"),
        ("HTTP\\contoso", "contoso"),
        ("HTTP/iis01.test.com@TEST.COM", "iis01.test.com"),
        ("HTTP/iis01\a.test.com", "iis01.test.com"),
        ("HTTP/*.test.com", "contoso.test.com"),
        ("HTTP/*.apps.test.com", "*.apps.test.com"),
        ("HTTP/c\u043entoso.test.com", "contoso.test.com"),
        ("HTTP/\u0441\u043entoso", "contoso"),
    ],
)
def test_a_malformed_value_is_told_with_the_name_it_was_meant_for(text: str, host: str) -> None:
    (message,) = meant_for(text, "*:80:*.apps.test.com")
    assert f" never matches HTTP/{host}: " in message


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS/contosa.test.com",
        "HTTP/*.other.net",
        "HTTP/c\u043entosa.test.com",
        "HTTP/c\u043entoso.test.co",
        "HTTP/c\u043entoso.test.com.other.net",
        "MSSQLSvc/contoso.test.com@TEST.COM",
    ],
)
def test_a_malformed_value_meant_for_nobody_we_know_is_passed_over(text: str) -> None:
    assert meant_for(text) == []


# -- through the front door ----------------------------------------------------------------------------------------


def test_a_server_without_web_configs_looked_at_says_so_and_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    file.write_text(config([site()], {"Pool": ""}, ROOT))
    report = inspect([file], computer="iis01.test.com")
    assert report.complete
    assert [problem.id for problem in report.servers[0].problems] == ["content-not-collected"]
    assert str(report.applications[0].decrypts_as) == r"TEST\IIS01$"


def test_nothing_is_required_of_a_computer_that_nobody_named(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    file.write_text(config([site()], {"Pool": ""}, ROOT))
    report = inspect([file])
    (told,) = [found for found in report.findings if found.id == "machine-unknown"]
    assert told.severity == "warning"
    assert [application.decrypts_as for application in report.applications] == [None]
    assert not report.requirements
