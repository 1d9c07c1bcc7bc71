"""What setspn prints (reference 7.2), in any language and encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import MalformedError
from agent.evidence.setspn_output import Holding, said_in
from agent.names import AccountName, spn
from agent.sources.ad.exports import read_exports
from agent.sources.ad.setspn_text import decoded
from agent.spn.directory import Question

LISTED = """Registered ServicePrincipalNames for CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com:
        HOST/myhost.contoso.com
        HOST/MYHOST
"""
QUERIED = """Checking domain DC=active,DC=htb
CN=DC,OU=Domain Controllers,DC=active,DC=htb
        ldap/DC.active.htb/ForestDnsZones.active.htb
        HOST/DC

Existing SPN found!
"""
SHARED = """Checking forest DC=corp,DC=firma,DC=com
Processing entry 1
MSSQLSvc/sqlserver.corp.firma.com is registered on these accounts:
    CN=sqlservice_old,OU=Service Accounts,DC=corp,DC=firma,DC=com
    CN=sqlservice_new,OU=Service Accounts,DC=corp,DC=firma,DC=com

found 1 group of duplicate SPNs.
"""
LISTED_HOLDING = Holding("CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com", ("HOST/myhost.contoso.com", "HOST/MYHOST"))
QUERIED_HOLDING = Holding(
    "CN=DC,OU=Domain Controllers,DC=active,DC=htb", ("ldap/DC.active.htb/ForestDnsZones.active.htb", "HOST/DC")
)
SHARED_HOLDINGS = tuple(
    Holding(
        f"CN=sqlservice_{which},OU=Service Accounts,DC=corp,DC=firma,DC=com", ("MSSQLSvc/sqlserver.corp.firma.com",)
    )
    for which in ("old", "new")
)


def holdings(text: str) -> tuple[Holding, ...]:
    """Who holds what by a text of which every line is understood."""
    said = said_in(text, "f")
    assert said.remarks == ()
    return said.holdings


def test_each_form() -> None:
    assert holdings(LISTED) == (LISTED_HOLDING,)
    assert holdings(QUERIED) == (QUERIED_HOLDING,)
    assert holdings(SHARED) == SHARED_HOLDINGS


@pytest.mark.parametrize("prompt", ["C:\\Users\\me>", "PS C:\\> ", "[dc01]: PS C:\\Windows> ", "> "])
def test_several_runs_with_prompts(prompt: str) -> None:
    text = f"{prompt}setspn -L myhost\n{LISTED}{prompt}setspn -Q */dc\n{QUERIED}{prompt}setspn -X -F\n{SHARED}{prompt}"
    assert holdings(text) == (LISTED_HOLDING, QUERIED_HOLDING, *SHARED_HOLDINGS)


@pytest.mark.parametrize(
    "header",
    [
        "Registrierte Dienstprinzipalnamen (SPN) für CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com:",
        "Noms ServicePrincipalNames inscrits pour CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com\u00a0:",
        "CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com için kayıtlı ServicePrincipalNames:",
        "CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com に登録されている ServicePrincipalNames：",
    ],
)
def test_the_language_does_not_matter(header: str) -> None:
    assert holdings("\n".join((header, *LISTED.splitlines()[1:], ""))) == (LISTED_HOLDING,)


def test_names_being_removed_are_not_held() -> None:
    text = (
        "Unregistering ServicePrincipalNames for CN=anni,OU=x,DC=eagle,DC=local\n        http/ws001\nUpdated object\n"
    )
    said = said_in(text + LISTED, "f")
    assert (said.holdings, [line for line, _ in said.remarks]) == ((LISTED_HOLDING,), [1])


def test_counters_are_no_names() -> None:
    text = "Checking domain DC=a,DC=com\nProcessing entry 0\rProcessing entry 1\r\nfound 0 groups of duplicate SPNs.\n"
    assert holdings(text) == ()


def test_a_failure_is_told() -> None:
    failed = "Failed to assign SPN on account 'CN=x,DC=a,DC=com', error 0x2098/8344 -> Insufficient access rights."
    said = said_in(f"{QUERIED}\n{failed}\n", "f")
    assert (said.holdings, [line for line, _ in said.remarks]) == ((QUERIED_HOLDING,), [8])
    assert "0x2098" in said.remarks[0].text


def test_an_account_without_names_is_still_there() -> None:
    assert holdings("x CN=a,DC=test,DC=com:\n") == (Holding("CN=a,DC=test,DC=com", ()),)


def test_doubled_carriage_returns_separate_nothing() -> None:
    assert holdings(LISTED.replace("\n", "\r\r\n")) == (LISTED_HOLDING,)


def test_a_search_without_holders_is_empty() -> None:
    assert holdings("Checking domain DC=jlg,DC=local\n\nNo such SPN found.\n") == ()


@pytest.mark.parametrize(
    ("cut", "held"),
    [("        HOST/MYHO", ["HOST/myhost.contoso.com", "HOST/MYHO"]), ("   ", ["HOST/myhost.contoso.com"])],
)
def test_a_text_that_ends_in_a_line_was_cut(cut: str, held: list[str]) -> None:
    said = said_in("\n".join((*LISTED.splitlines()[:2], cut)), "f")
    assert [(list(one.spns), said.remarks[0].line) for one in said.holdings] == [(held, 3)]
    assert said_in(f"{LISTED}x CN=a,DC=test,DC=c", "f").holdings == (LISTED_HOLDING,)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("        HOST/MYHOST   <-- this one", 3),  # a remark
        ("this is the old one", 3),
        ("DC=com", 3),  # the rest of a line
        ("        CN=x,OU=y", 3),
        ("        HOST/MYHO\nST", 4),
        ("> HOST/MYHOST", 3),
    ],
)
def test_a_block_with_a_line_of_another_form_does_not_count(line: str, at: int) -> None:
    first, second, _ = LISTED.splitlines()
    said = said_in(f"{first}\n{second}\n{line}\n\n{QUERIED}", "f")
    assert (said.holdings, [remark.line for remark in said.remarks]) == ((QUERIED_HOLDING,), [at])


@pytest.mark.parametrize(("said", "seen"), [("found 2 groups", 1), ("2 Gruppen gefunden", 1)])
def test_the_groups_of_x_are_counted(said: str, seen: int) -> None:
    (remark,) = said_in(SHARED.replace("found 1 group", said), "f").remarks
    assert (remark.line, str(seen) in remark.text) == (7, True)
    missing = said_in("Checking domain DC=a,DC=com\nProcessing entry 0\nfound 3 groups of duplicate SPNs.\n", "f")
    assert [remark.line for remark in missing.remarks] == [3]
    (remark,) = said_in(SHARED[: SHARED.index("found")], "f").remarks
    assert "cut off" in remark.text


ROOT = "Checking {} DC=test,DC=com\n\n{}\n"
ASKED = "HTTP/a.test.com\n"


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        (ASKED + ROOT.format("domain", "No such SPN found."), [("HTTP/a.test.com", "DC=test,DC=com", False)]),
        (ASKED + ROOT.format("forest", "No such SPN found."), [("HTTP/a.test.com", "DC=test,DC=com", True)]),
        (
            (ASKED + ROOT.format("forest", "No such SPN found.")) * 2 + "HTTP/b.test.com\n" + QUERIED,
            [("HTTP/a.test.com", "DC=test,DC=com", True)] * 2,
        ),
        (ROOT.format("forest", "No such SPN found."), []),
        ("C:\\>setspn -F -Q HTTP/a.test.com\n" + ROOT.format("forest", "No such SPN found."), []),
        (ROOT.format("domain", "No such SPN found.") + ASKED + "No such SPN found.\n", []),
        (ASKED + ROOT.format("forest", ""), []),
        (ASKED + ROOT.format("forest", "No such"), []),
        (ASKED + ROOT.format("forest", "Ldap Error(0x51 -- Server Down): ldap_connect"), []),
        (ASKED + ROOT.format("domain", "found 0 group of duplicate SPNs."), []),
        (ASKED + "Checking domain DC=test,\nDC=com\n\nNo such SPN found.\n", []),
    ],
)
def test_an_echoed_question_proves_absence(text: str, absent: list[tuple[str, str, bool]]) -> None:
    assert [(one.spn, one.root, one.in_forest) for one in said_in(text, "f").absences] == absent


def test_where_a_search_proves_absence(tmp_path: Path) -> None:
    path, name = tmp_path / "held.txt", spn("HTTP/a.test.com")

    def proves(word: str, domain: str, *more: str) -> bool:
        path.write_text(ASKED + ROOT.format(word, "No such SPN found.") + "".join(more))
        directory = read_exports([path], Question(spns=frozenset({name})))
        return directory.proves_absence(name, AccountName("T", "svc", domain))

    assert proves("domain", "test.com")
    assert proves("forest", "test.com")
    assert proves("forest", "child.test.com")
    assert not proves("domain", "child.test.com")
    assert not proves("forest", "other.com")
    assert not proves("forest", "test.com", "a remark of somebody\n")


def test_another_text_is_refused() -> None:
    with pytest.raises(MalformedError) as caught:
        said_in("hello\n    HTTP/contoso\n", "notes.txt")
    assert (caught.value.file, caught.value.line) == ("notes.txt", 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp850"])
def test_encodings(encoding: str) -> None:
    text = "für CN=Müller,DC=test,DC=com:\n"
    assert decoded(text.encode(encoding)) == text


def test_accounts_are_named_by_cn_and_prove_no_absence(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text(LISTED + SHARED)
    question = Question(
        account_names=frozenset({"myhost$"}), spns=frozenset({spn("mssqlsvc/SQLSERVER.corp.firma.com")})
    )
    directory = read_exports([path], question, {"corp.firma.com": "FIRMA"})
    found = {str(account.name): account.kind for account in directory.accounts}
    assert found == {
        "CONTOSO\\MYHOST": "unknown",
        "FIRMA\\sqlservice_old": "unknown",
        "FIRMA\\sqlservice_new": "unknown",
    }
    assert [(domain.dns_name, domain.covered) for domain in directory.domains] == [
        ("CONTOSO.com", False),
        ("corp.firma.com", False),
    ]
    assert directory.problems == ()
