"""Locked sections in a web.config, whatever they are called: 500.19 from there down (rule R15.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from worlds import App, World, ad, computer, config, server, site, world

from agent.sources.snapshots.blanking import blanked
from tests.pages import in_text

ROOT = App(enabled=False, providers=("Negotiate", "NTLM"))
HEAD = "<configuration><system.webServer><security><authentication>\n"
TAIL = "</authentication></security></system.webServer></configuration>\n"
ANONYMOUS, WINDOWS = '<anonymousAuthentication enabled="false"/>\n', '<windowsAuthentication enabled="true"/>\n'
BOTH = f"{HEAD}{ANONYMOUS}{WINDOWS}{TAIL}"
"""What ASP.NET Core documents for an application (AspNetCore.Docs issue 22829)."""

DECLARED = '<section name="windowsAuthentication" overrideModeDefault="{}" />'


def declaring(anonymous: str, windows: str, *unlocking: str) -> str:
    """An applicationHost.config with the modes of the two sections; `unlocking` stands at its end."""
    text = config([site(apps=[App(), App(path="/app")])], {"Pool": ""}, ROOT, mode=windows, body="\n".join(unlocking))
    section = f'<section name="anonymousAuthentication" overrideModeDefault="{anonymous}" />' if anonymous else ""
    return text.replace(DECLARED.format(windows), section + DECLARED.format(windows))


def location(path: str, mode: str) -> str:
    body = "<anonymousAuthentication /></authentication></security></system.webServer></location>"
    return f'<location path="{path}" overrideMode="{mode}"><system.webServer><security><authentication>{body}'


def looked_at(text: str, web: str = BOTH, folder: str = "") -> World:
    return world(server(text=text, web={folder: web}), ad=ad(computer()), dns="iis01 A 10.0.5.2")


def lines(found: World) -> list[int | None]:
    return [line.line for one in found.findings("section-locked") for line in one.evidence]


@pytest.mark.parametrize(
    ("anonymous", "windows", "unlocking", "locked"),
    [
        ("Deny", "Allow", (), [2]),
        ("Deny", "Deny", (), [2, 3]),
        ("Allow", "Deny", (), [3]),
        ("Allow", "Allow", (), []),
        ("", "Allow", (), []),  # not declared, as in an excerpt: nothing is known of it
        ("Deny", "Allow", (location("", "Allow"),), []),
        ("Deny", "Allow", (location("Site", "Allow"),), []),
        ("Deny", "Allow", (location("Other", "Allow"),), [2]),
        ("Allow", "Allow", (location("Site", "Deny"),), [2]),
        ("Deny", "Allow", (location("Site", "Allow"), location("Site/app", "Deny")), []),
    ],
)
def test_every_section_that_is_declared_deny_locks(
    anonymous: str, windows: str, unlocking: Sequence[str], locked: list[int]
) -> None:
    found = looked_at(declaring(anonymous, windows, *unlocking))
    assert lines(found) == locked
    assert len(found.findings("section-locked")) == bool(locked), "all its lines in one finding"
    applications = [found.application(path) for path in ("/", "/app")]
    assert [one.why_not for one in applications] == (["refused"] * 2 if locked else [None, None])
    assert bool(found.report.requirements) is not bool(locked)
    assert found.ends("http://iis01.test.com/") == ({None} if locked else {"kerberos"})


def test_a_lock_further_down_takes_what_stands_there_only() -> None:
    text = declaring("Deny", "Allow", location("Site", "Allow"), location("Site/app", "Deny"))
    found = looked_at(text, folder=r"\app")
    assert (found.application("/").why_not, found.application("/app").why_not) == ("disabled", "refused")


def test_a_folder_that_is_no_application_is_a_place() -> None:
    found = looked_at(declaring("Deny", "Allow"), f"{HEAD}{ANONYMOUS}{TAIL}", r"\private")
    assert found.application("/").why_not == "disabled"
    (place,) = found.application("/").places
    assert (place.path, place.why_not) == ("/private", "refused")
    assert found.finding("section-locked").path == "/private"


def test_a_location_of_the_web_config_is_refused_where_it_leads() -> None:
    inner = BOTH.replace("<configuration>", '<configuration><location path="app">').replace(
        "</configuration>", "</location></configuration>"
    )
    found = looked_at(declaring("Deny", "Allow"), inner)
    assert (found.application("/").why_not, found.application("/app").why_not) == ("disabled", "refused")


def test_any_section_will_do() -> None:
    text = declaring("", "Allow").replace(
        "</configSections>",
        '<sectionGroup name="system.webServer"><section name="handlers" overrideModeDefault="Deny"/>'
        "</sectionGroup></configSections>",
    )
    web = "<configuration><system.webServer>\n<handlers><clear/></handlers></system.webServer></configuration>"
    assert lines(looked_at(text, web)) == [2]


def test_the_fix_names_every_line_and_mends_it_when_it_is_followed() -> None:
    found = looked_at(declaring("Deny", "Deny"))
    (sentence,) = found.finding("section-locked").fix
    assert re.search(r"\(lines 2, 3\), or unlock every one of them", sentence)
    unlocked = looked_at(declaring("Allow", "Allow"))
    taken_out = looked_at(declaring("Deny", "Deny"), f"{HEAD}{TAIL}")
    assert unlocked.errors == taken_out.errors == []


def test_the_first_line_is_no_all_clear() -> None:
    found = looked_at(declaring("Deny", "Allow"))
    line = in_text(found.report, 200, color=False).partition("\n")[0]
    assert line.startswith("NOT CHECKED: IIS refuses a configuration")
    assert looked_at(declaring("Allow", "Allow")).report.spns.total == 2


def test_a_snapshot_keeps_what_shows_a_lock() -> None:
    """Of a section that is not read its name is kept, and every section's overrideModeDefault."""
    text, web = declaring("Deny", "Deny"), BOTH
    kept = looked_at(blanked(text.encode()).decode(), blanked(web.encode()).decode())
    assert lines(kept) == [2, 3]
