"""A NetBIOS name that is not the first label of the domain's DNS name, as an export or a live directory says it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from worlds import World, ad, computer, cross_reference, server, site, user, world

from agent.checks.case import Case
from agent.checks.commands import LONGEST_LINE, ldifde_export
from agent.names import fold
from agent.sources.ad.attributes import ATTRIBUTES

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXPORTS = re.findall(r'^    ldifde -f (\S+) -d "([^"]+)" -r "([^"]+)" -l (\S+)$', README, re.MULTILINE)

NAMED = {"msDS_PrincipalName": r"NORDAD\contososvc"}
DOMAIN = "dn: DC=test,DC=com\nobjectClass: top\nobjectClass: domainDNS\n"
CATEGORY = "objectCategory: CN=Domain-DNS,CN=Schema,CN=Configuration,DC=test,DC=com\n"
HOLDER = user("contososvc", "HTTP/contoso.test.com", "HTTP/contoso")


def told(directory: str) -> World:
    """A bare file with `--computer iis01.test.com`: the pool runs as NORDAD\\contososvc, which decrypts."""
    bare = {"netbios_domain": None, "addresses": (), "content_looked": False}
    pool = server(site("*:80:contoso.test.com"), pool=r"NORDAD\contososvc", creds=True, facts=bare)
    return world(pool, ad=directory)


def the_case(found: World) -> Case:
    """Of the one forest."""
    (case,) = found.analysis.cases
    return case


# -- what the README's lines bring ---------------------------------------------------------------------------------


def test_the_readme_exports_what_tells_it() -> None:
    (_, base, _, accounts), (_, partitions, filter_, references) = EXPORTS
    assert {"msDS-PrincipalName", "objectCategory", "objectClass", "sAMAccountName"} <= set(accounts.split(","))
    assert partitions == f"CN=Partitions,CN=Configuration,{base}"
    assert filter_ == "(nETBIOSName=*)"
    assert {"nCName", "nETBIOSName"} <= set(references.split(","))


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export[0])
def test_what_is_exported_is_read(export: tuple[str, str, str, str]) -> None:
    unread = {fold(name) for name in export[3].split(",")} - ATTRIBUTES
    assert unread == set()


@pytest.mark.parametrize(
    "directory",
    [
        pytest.param(ad(computer(), user("contososvc", "HTTP/contoso.test.com", **NAMED)), id="an account"),
        pytest.param(f"{DOMAIN}{CATEGORY}msDS-PrincipalName: NORDAD\\\n\n{computer()}{HOLDER}", id="the domain"),
        pytest.param(ad(computer(), HOLDER) + cross_reference("NORDAD"), id="the crossRef"),
    ],
)
def test_it_is_read(directory: str) -> None:
    found = told(directory)
    assert found.requirement("HTTP/contoso.test.com").outcome == "kerberos"
    assert str(found.requirement("HTTP/contoso.test.com").account) == r"NORDAD\contososvc"
    assert [one.guessed for one in found.report.servers] == [()]
    assert [account.domain for account in the_case(found).computer_accounts] == ["NORDAD"]
    assert found.errors == []


def test_the_forest_is_read() -> None:
    found = the_case(told(f"{DOMAIN}{CATEGORY}\n{computer()}{HOLDER}")).directory
    assert found is not None
    assert [domain.forest for domain in found.domains] == ["test.com"]


# -- where nothing tells it ----------------------------------------------------------------------------------------


def test_nothing_is_concluded_from_a_guess() -> None:
    """Every right SPN was misplaced: TEST\\contososvc against NORDAD\\contososvc."""
    found = told(ad(computer(), HOLDER))
    assert found.requirement("HTTP/contoso.test.com").outcome == "uncertain"
    assert [one.guessed for one in found.report.servers] == [("netbios_domain",)]
    assert found.errors == []
    assert found.report.plan.steps == ()


def test_the_report_marks_the_guess() -> None:
    document = json.loads(told(ad(computer(), HOLDER)).report.to_json())
    assert document["servers"][0]["guessed"] == ["netbios_domain"]


@pytest.mark.parametrize("directory", [ad(computer(), HOLDER), ad(computer(), HOLDER, covers=False)])
def test_a_wrong_holder_is_told_all_the_same(directory: str) -> None:
    """Accounts of different names are never one, whatever their domains are called."""
    holder = user("othersvc", "HTTP/contoso.test.com")
    found = told(directory.replace("servicePrincipalName: HTTP/contoso.test.com\n", "") + holder)
    assert found.requirement("HTTP/contoso.test.com").outcome == "modified"


def test_a_report_has_the_readmes_line_for_its_own_domain() -> None:
    """Where nobody looked who holds what; a domain of which all is known needs none."""
    ((file, base, filter_, attributes), _) = EXPORTS
    line = f'ldifde -f {file} -d "{base}" -r "{filter_}" -l {attributes}'
    sites = site("*:80:contoso.test.com")
    for directory, lines in ((None, (line,)), (ad(computer(), HOLDER), ())):
        summary = world(server(sites), ad=directory).report.summary
        assert summary is not None
        assert summary.exports == lines


def test_each_domain_has_a_line_and_none_that_nobody_knows() -> None:
    first = server(site("*:80:a.test.com"))
    other = server(site("*:80:b.other.com"), name="IIS02", facts={"domain": "other.com", "dns_name": "iis02.other.com"})
    nameless = server(site("*:80:c.test.com"), name="IIS03", facts={"domain": None, "dns_name": None})
    summary = world(first, other, nameless).report.summary
    assert summary is not None
    assert [re.findall(r'-f (\S+) -d "([^"]+)"', line) for line in summary.exports] == [
        [("other.com.ldif", "DC=other,DC=com")],
        [("test.com.ldif", "DC=test,DC=com")],
    ]


@pytest.mark.parametrize("domain", ['a"b', "a b", "a&b", "a,DC=b", "%a%", "-f", "", "a..b", "$(x)"])
def test_a_name_that_could_be_more_than_a_domain_gives_no_line(domain: str) -> None:
    assert ldifde_export(domain) is None


def test_it_is_one_line_for_cmd_and_powershell() -> None:
    line = ldifde_export("test.com")
    assert line is not None
    assert len(line) < LONGEST_LINE
    assert not set("$`{};%^<>'") & set(line)
    assert "|" not in re.sub(r'"[^"]*"', "", line)
