"""Which encryption types a KDC uses for an account: KB5073381, MS-KILE 2.2.7 and section 5.10 of the rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worlds import World, ad, computer, file_time, rodc_group, server, site, user, world

SPN = "HTTP/contoso.test.com"
REFUSED, WEAK, SILENT = "refused", "weak", "silent"

XP, VISTA, SEVEN = (datetime(year, 2, 3, tzinfo=UTC) for year in (2008, 2009, 2011))
"""A day before Windows Server 2008, and two after it; the domain got AES keys in 2010, where that is known."""


def holding(types: int | None, password: datetime | None, *, is_known: bool) -> World:
    """contososvc holds the SPN of its site; `is_known`: the group with RID 521 was exported."""
    said = {
        "msDS_SupportedEncryptionTypes": types,
        "pwdLastSet": None if password is None else file_time(password),
    }
    account = user("contososvc", SPN, **{name: value for name, value in said.items() if value is not None})
    group = rodc_group("20100101000000.0Z") if is_known else ""
    other = user("other", msDS_SupportedEncryptionTypes=24)
    built = server(site("*:80:contoso.test.com"), pool=r"TEST\contososvc", creds=True)
    return world(built, ad=ad(computer(), account, other, group), dns="iis01 A 10.0.5.2; contoso A 10.0.5.2")


RESET = ("Reset its password",)
SET = ("set msDS-SupportedEncryptionTypes to 24 (0x18)",)

ROWS = [
    # no value of its own: AES only since July 2026, and there is a key or not
    (None, XP, False, REFUSED, RESET),
    (None, XP, True, REFUSED, RESET),
    (None, VISTA, True, REFUSED, RESET),
    (None, VISTA, False, SILENT, ()),
    (None, SEVEN, True, SILENT, ()),
    (None, None, True, SILENT, ()),
    (0, XP, False, REFUSED, RESET),
    (0x20, XP, False, REFUSED, RESET),  # a session key type is no type of a ticket
    # RC4 that somebody allowed stays: the update concerns accounts without an explicit value
    (0x4, SEVEN, True, WEAK, SET),
    (0x4, VISTA, True, WEAK, (*RESET, *SET)),
    (0x4, XP, False, WEAK, (*RESET, *SET)),
    (0x4, None, False, WEAK, ("See whether its password", *SET)),
    (0x7, SEVEN, True, WEAK, SET),
    (0x1C, SEVEN, True, SILENT, ()),
    (0x1C, XP, False, WEAK, RESET),
    # AES only, with a key or without one
    (0x18, SEVEN, True, SILENT, ()),
    (0x18, VISTA, False, SILENT, ()),
    (0x18, XP, False, REFUSED, RESET),
    (0x10, VISTA, True, REFUSED, RESET),
    # DES is gone
    (0x3, SEVEN, True, REFUSED, SET),
    (0x3, XP, True, REFUSED, (*RESET, *SET)),
]


@pytest.mark.parametrize(("types", "password", "is_known", "end", "fix"), ROWS)
def test_encryption_types(
    types: int | None, password: datetime | None, is_known: bool, end: str, fix: tuple[str, ...]
) -> None:
    found = holding(types, password, is_known=is_known)
    assert found.outcome(SPN) == ("uncertain" if end == REFUSED else "kerberos")
    if end == SILENT:
        assert "etype-risk" not in found.ids
        return
    told = found.finding("etype-risk")
    assert ("KDC_ERR_ETYPE_NOTSUPP" in told.message) == (end == REFUSED)
    text = " ".join(told.fix)
    assert [sentence for sentence in fix if sentence not in text] == []
    assert (RESET[0] in text) == (RESET[0] in fix), "a password that made AES keys need not be reset"
    assert ("to 24" in text) == (SET[0] in fix)


def test_what_was_not_exported_is_not_judged() -> None:
    account = user("contososvc", SPN, pwdLastSet=file_time(XP))
    built = server(site("*:80:contoso.test.com"), pool=r"TEST\contososvc", creds=True)
    found = world(built, ad=ad(computer(), account), dns="contoso A 10.0.5.2")
    assert (found.outcome(SPN), "etype-risk" in found.ids) == ("kerberos", False)


def test_a_refused_account_says_what_to_do_about_each_of_its_names() -> None:
    found = holding(None, XP, is_known=False)
    assert found.requirement(SPN).advice == found.finding("etype-risk").fix


@pytest.mark.parametrize("end", [REFUSED, WEAK])
def test_the_fix_mends_it(end: str) -> None:
    """The sentences followed: a new password, then AES."""
    before = holding(None if end == REFUSED else 4, XP, is_known=False)
    assert "etype-risk" in before.ids
    after = holding(24, SEVEN, is_known=False)
    assert (after.outcome(SPN), "etype-risk" in after.ids) == ("kerberos", False)
