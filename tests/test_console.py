"""The console that types the plan's commands must refuse what the real programs refuse."""

from __future__ import annotations

from pathlib import Path

import inputs
import pytest
from console import Refused, holders, typed
from inputs import Inputs
from worlds import ad, app, computer, entry, server, site, user

from agent.names import spn

SECTION = "-section:system.webServer/security/authentication/windowsAuthentication"
APPCMD = r"%windir%\System32\inetsrv\appcmd.exe set config"


@pytest.fixture
def given(tmp_path: Path) -> Inputs:
    """One server with an application in a pool of its own, a user called like the computer, and a zone."""
    accounts = ad(computer("IIS01", "HTTP/x.test.com"), user("IIS01"), user("svc"), entry("gmsa$", kind="gMSA"))
    one = server(site("*:80:x.test.com", apps=[app("/"), app("/app", creds=False)]))
    return inputs.written(tmp_path / "given", [one], ad=accounts, dns="iis01 A 10.0.5.2; x CNAME iis01; y A 10.0.5.2")


def who(given: Inputs, name: str) -> list[str]:
    return [dn.partition(",")[0].removeprefix("CN=") for dn in holders(given, spn(name))]


def test_setspn_tells_a_user_from_the_computer_of_its_name(given: Inputs) -> None:
    typed(r"setspn -F -U -S HTTP/y.test.com TEST\IIS01", given)
    assert b"sAMAccountName: IIS01\nservicePrincipalName::" in given.directory[0].read_bytes()
    typed(r"setspn -C -D HTTP/X.TEST.COM TEST\IIS01", given)
    assert who(given, "HTTP/x.test.com") == []


def test_setspn_takes_a_managed_account_by_its_whole_name(given: Inputs) -> None:
    typed(r"setspn -F -S HTTP/y.test.com TEST\gmsa$", given)
    assert who(given, "HTTP/y.test.com") == ["gmsa"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (r"setspn -F -U -S http/X.test.com TEST\svc", "Duplicate SPN found"),
        (r"setspn -U -S HTTP/y.test.com TEST\svc", "only this domain"),
        (r"setspn -F -U -S HTTP/y.test.com TEST\gmsa$", "could not find account"),
        (r"setspn -F -C -S HTTP/y.test.com TEST\svc", "could not find account"),
        (r"setspn -F -U -S HTTP/y.test.com OTHER\svc", "could not find account"),
        (r"setspn -U -D HTTP/y.test.com TEST\svc", "does not hold"),
        ("dnscmd /RecordDelete sub.test.com x CNAME /f", "DNS_ERROR_ZONE_DOES_NOT_EXIST"),
        ("dnscmd /RecordDelete test.com y CNAME /f", "DNS_ERROR_RECORD_DOES_NOT_EXIST"),
        ("dnscmd /RecordAdd test.com x A 10.0.5.2", "DNS_ERROR_CNAME_COLLISION"),
        ("dnscmd /RecordAdd test.com z CNAME iis01.test.com", "relative"),
        (f'{APPCMD} "Other" {SECTION} /useKernelMode:true /commit:apphost', "Cannot find"),
        ("Give the site a host header", "not recognized"),
    ],
)
def test_what_the_programs_refuse(line: str, answer: str, given: Inputs) -> None:
    with pytest.raises(Refused, match=answer):
        typed(line, given, "IIS01")


def test_appcmd_writes_where_the_section_stands(given: Inputs) -> None:
    typed(f'{APPCMD} "Site/app" {SECTION} /useAppPoolCredentials:true /commit:apphost', given, "IIS01")
    text = (given.servers[0] / "applicationhost.config").read_text()
    assert text.count('path="Site/app"') == 1
    assert text.count('useAppPoolCredentials="true"') == 1
    typed(f'{APPCMD} "Site" {SECTION} /useKernelMode:false /commit:apphost', given, "IIS01")
    said = {one.path: one.windows_auth for one in given.inspected().applications}
    assert [(said[path].kernel_mode, said[path].pool_credentials) for path in ("/", "/app")] == [  # type: ignore[union-attr]
        (False, False),
        (False, True),
    ]


def test_appcmd_sets_a_page_below_an_application(given: Inputs) -> None:
    typed(f'{APPCMD} "Site/page.aspx" {SECTION} /useKernelMode:false /commit:apphost', given, "IIS01")
    (page,) = given.inspected().applications[0].places
    assert (page.path, page.windows_auth.kernel_mode) == ("/page.aspx", False)  # type: ignore[union-attr]


def test_appcmd_clears_one_attribute(given: Inputs) -> None:
    before = given.inspected().applications[1].origins
    typed(f'{APPCMD} "Site/app" {SECTION} /useKernelMode:false /commit:apphost', given, "IIS01")
    typed(f'{APPCMD} "Site/app" {SECTION} /useKernelMode /commit:apphost'.replace("set", "clear", 1), given, "IIS01")
    after = given.inspected().applications[1].origins
    assert after.kernel_mode.why == before.kernel_mode.why == "inherited"  # type: ignore[union-attr]
    assert after.pool_credentials.why == "explicit"  # type: ignore[union-attr]


def test_appcmd_makes_the_web_config_of_a_path(given: Inputs) -> None:
    typed(f'{APPCMD} "Site/app" {SECTION} /useKernelMode:false', given, "IIS01")
    assert b'useKernelMode="false"' in (given.servers[0] / "files/C/web/app/web.config").read_bytes()


def test_dnscmd_changes_one_record(given: Inputs) -> None:
    before = given.zones[0].read_text().splitlines()
    typed("dnscmd /RecordDelete test.com x CNAME /f && dnscmd /RecordAdd test.com x A 10.0.5.2", given)
    after = given.zones[0].read_text().splitlines()
    assert set(before) - set(after) == {"x CNAME iis01"}
    assert set(after) - set(before) == {"x.test.com. A 10.0.5.2"}
