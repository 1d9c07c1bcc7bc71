"""A front end that the farm file says delegates: whether it may, and where the SPN it asks for leads.

Sources: MS-SFU 3.2.5.2.4 (the KDC looks into msDS-AllowedToDelegateTo of the front end, then into
msDS-AllowedToActOnBehalfOfOtherIdentity of the back end).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from worlds import World, ad, computer, farm_name, server, site, user, whole, world

from agent.errors import UsageError
from agent.names import account_name, spn
from agent.sources.option_files import farm_file
from agent.spn.computer_names import Delegate

NAME = "HTTP/portal.test.com"
CONNECTOR = r"TEST\connector$"


def fronted(asks: str = NAME, *others: str, front: str | None = None, covers: bool = True, **back: object) -> World:
    """portal is served by svc on IIS01; what answers is declared, with a front end that asks for an SPN."""
    declared = farm_name("portal.test.com", "IIS01")
    declared = replace(declared, delegate=Delegate(account_name(CONNECTOR), spn(asks)))
    connector = computer("CONNECTOR", msDS_AllowedToDelegateTo=NAME, userAccountControl=4096)
    people = ad(computer(), user("svc", NAME, **back), front if front is not None else connector, *others)
    return world(
        server(site("*:80:portal.test.com"), pool=r"TEST\svc", creds=True),
        ad=people if covers else people.removeprefix(whole()),
        farm=[declared],
        netbios={"test.com": "TEST"},
    )


LISTED = computer("CONNECTOR", msDS_AllowedToDelegateTo=NAME, userAccountControl=4096)
ELSEWHERE = computer("CONNECTOR", msDS_AllowedToDelegateTo="HTTP/svc.test.com", userAccountControl=4096)
ANY_SERVICE = computer("CONNECTOR", userAccountControl=4096 | 0x80000)
EXPORTED = user("else", msDS_AllowedToActOnBehalfOfOtherIdentity="x", msDS_AllowedToDelegateTo=NAME)
"""An entry that has both lists: they were exported, so that an absent one is known to be empty."""


@pytest.mark.parametrize("front", [LISTED, ANY_SERVICE])
def test_a_front_end_that_may_delegate_is_not_told(front: str) -> None:
    assert "delegation-broken" not in fronted(NAME, EXPORTED, front=front).ids


def test_a_front_end_that_neither_list_allows_is_told_with_the_value_that_is_missing() -> None:
    found = [
        f for f in fronted(NAME, EXPORTED, front=ELSEWHERE).findings("delegation-broken") if "front end" in f.message
    ]
    assert len(found) == 1
    assert found[0].fix[0].startswith(f"Add {NAME} to msDS-AllowedToDelegateTo of {CONNECTOR}")


def told_of_front_ends(found: World) -> list[str]:
    return [f.message for f in found.findings("delegation-broken") if "front end" in f.message]


def test_what_was_not_exported_or_may_allow_it_on_the_back_end_says_nothing() -> None:
    assert told_of_front_ends(fronted(front=ELSEWHERE)) == [], "the other list was not exported"
    on_back = fronted(NAME, EXPORTED, front=ELSEWHERE, msDS_AllowedToActOnBehalfOfOtherIdentity="x")
    assert told_of_front_ends(on_back) == [], "which front ends it allows was not read"
    no_control = computer("CONNECTOR", msDS_AllowedToDelegateTo="HTTP/svc.test.com")
    assert told_of_front_ends(fronted(NAME, EXPORTED, front=no_control)) == []


def test_a_front_end_that_is_not_there_is_told_only_where_its_domain_was_read_whole() -> None:
    assert "which is not in the directory" in told_of_front_ends(fronted(front=""))[0]
    assert told_of_front_ends(fronted(front="", covers=False)) == []


@pytest.mark.parametrize(
    ("others", "told"),
    [((), "leads to nobody"), ((user("old", "HTTP/front.test.com"),), r"leads to TEST\old")],
)
def test_what_a_front_end_asks_for_must_lead_to_who_decrypts(others: tuple[str, ...], told: str) -> None:
    found = told_of_front_ends(fronted("HTTP/front.test.com", *others))
    assert [told in message for message in found] == [True]
    right = world_with_both()
    assert told_of_front_ends(right) == []


def world_with_both() -> World:
    """svc holds the SPN of the name and the one that the front end asks for, which may ask for it."""
    declared = farm_name("portal.test.com", "IIS01")
    asks = spn("HTTP/front.test.com")
    return world(
        server(site("*:80:portal.test.com"), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc", NAME, asks.text), computer("CONNECTOR", msDS_AllowedToDelegateTo=asks.text)),
        farm=[replace(declared, delegate=Delegate(account_name(CONNECTOR), asks))],
        netbios={"test.com": "TEST"},
    )


# -- the farm file -------------------------------------------------------------------------------------------------


def farm(path: Path, delegate: str) -> Path:
    path.write_text(
        f'[[name]]\nhost = "portal.test.com"\nservers = ["IIS01"]\ndelegate = {delegate}\n', encoding="utf-8"
    )
    return path


def test_the_farm_file_has_it_as_the_contract_writes_it(tmp_path: Path) -> None:
    (name,) = farm_file(farm(tmp_path / "f", r'{account = "TEST\\connector$", spn = "HTTP/portal.test.com"}'))
    assert name.delegate == Delegate(account_name(CONNECTOR), spn(NAME))


@pytest.mark.parametrize(
    ("delegate", "told"),
    [
        ('"TEST"', "must be a table"),
        ('{account = "connector", spn = "HTTP/x"}', "is not DOMAIN"),
        (r'{account = "TEST\\c$"}', "spn is missing"),
        (r'{account = "TEST\\c$", spn = "http://x"}', "never matches"),
        (r'{account = "TEST\\c$", spn = "HTTP/x", name = "y"}', "name"),
    ],
)
def test_what_is_wrong_with_it_is_told_with_the_line(tmp_path: Path, delegate: str, told: str) -> None:
    with pytest.raises(UsageError, match=rf"f:1: \[\[name\]\]: .*{told}"):
        farm_file(farm(tmp_path / "f", delegate))
