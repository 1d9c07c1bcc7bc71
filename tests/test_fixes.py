"""Fix sentences followed in the model, like steps: what they mend is gone, and nothing else has an error for it.

Commands in sentences are the plan's, and are typed in `test_cure.py`. Here stand the sentences that a person follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
import test_findings
from test_findings import (
    BOTH,
    FULL,
    HEADER,
    LOCKED,
    PAIRS,
    SERVICE,
    A,
    Make,
    accepting,
    bare,
    custom,
    nodes,
    pair,
    registry,
    right,
)
from worlds import (
    World,
    ad,
    app,
    computer,
    days_ago,
    directory_service,
    server,
    site,
    user,
    world,
)

from agent.model import Finding

# -- negotiate-missing: a ticket that cannot be read is worse than NTLM --------------------------------------------

NTLM, BOTH_OFFERED = ("NTLM",), ("Negotiate", "NTLM")
HOLDERS = {
    "nobody": ((), (), ()),
    "the pool's account": ((FULL,), (), ()),
    "the computer": ((), (FULL,), ()),
    "another": ((), (), (FULL,)),
    "two": ((FULL,), (), (FULL,)),
}
"""Who holds the SPN: contososvc, IIS01$, othersvc."""


def offering(providers: tuple[str, ...], where: str, creds: bool, held: tuple[tuple[str, ...], ...]) -> World:
    """`where` is a binding, by which clients use the computer's own name or another one."""
    pool, own, other = (tuple(name.replace(FULL, _spn(where)) for name in names) for names in held)
    directory = ad(computer("IIS01", *own), user("contososvc", *pool), user("othersvc", *other))
    built = server(site(where), pool=SERVICE, creds=creds, offered=providers)
    return world(built, ad=directory, dns=A)


def _spn(where: str) -> str:
    return FULL if where == HEADER else "HTTP/iis01.test.com"


@pytest.mark.parametrize("creds", [True, False])
@pytest.mark.parametrize("where", [HEADER, "*:80:"])
@pytest.mark.parametrize("held", HOLDERS)
def test_negotiate_is_offered_where_nobody_loses_by_it(held: str, where: str, creds: bool) -> None:
    """Rule R15.8: some sites run on NTLM by design, and three prompts are worse."""
    before = offering(NTLM, where, creds, HOLDERS[held])
    assert before.errors == []
    fix = before.finding("negotiate-missing").fix
    after = offering(BOTH_OFFERED, where, creds, HOLDERS[held])
    clients = [one for one in after.report.requirements if one.asked_by]
    is_safe = all(one.outcome in {"kerberos", "ntlm-fallback"} for one in clients)
    assert (fix == ("Add the provider Negotiate before NTLM.",)) is is_safe
    if not is_safe:
        (wanted,) = [one for one in clients if one.outcome not in {"kerberos", "ntlm-fallback"}]
        assert fix[0].startswith(f"Leave it at NTLM until {wanted.spn} leads to {wanted.account} alone")
        right_holder = HOLDERS["the pool's account" if creds else "the computer"]
        assert offering(BOTH_OFFERED, HEADER, creds, right_holder).errors == []


def test_where_nobody_looked_it_says_to_look_first() -> None:
    found = world(server(site(HEADER), pool=SERVICE, creds=True, offered=NTLM), dns=A)
    assert found.finding("negotiate-missing").fix[0].startswith(f"See first who holds {FULL}")


# -- each sentence, before and after -------------------------------------------------------------------------------

LOCAL_SERVICE = "LocalService"
PROTECTED = [app(token_checking="Require")]
WANTED = ad(computer("IIS01", *BOTH), user("contososvc"))
POOLED = ad(computer("IIS01"), user("contososvc", *BOTH))


def of(identity: str, directory: str = WANTED, **settings: object) -> World:
    return world(server(site(HEADER), pool=identity, **settings), ad=directory, dns=A)  # type: ignore[arg-type]


def web(text: str, mode: str = "Deny") -> World:
    files = {"": text} if text else None
    return world(server(mode=mode, web=files), ad=ad(computer()), dns="iis01 A 10.0.5.2")


def farm(**both: object) -> World:
    return world(*pair(**both), ad=nodes(user("contososvc", "HTTP/portal.test.com")), farm=test_findings.FARM)  # type: ignore[arg-type]


FOLLOWED: dict[str, list[tuple[str, Make, Make]]] = {
    "providers-order": [
        ("Put Negotiate before NTLM", lambda: bare(offered=["NTLM", "Negotiate"]), lambda: bare(offered=BOTH_OFFERED)),
    ],
    "pool-credentials-no-effect": [
        ("set it to false", lambda: bare(creds=True), lambda: bare(creds=False)),
        (
            "set it to false",
            lambda: of(SERVICE, POOLED, kernel=False, creds=True),
            lambda: of(SERVICE, POOLED, kernel=False),
        ),
    ],
    "local-account-decrypts": [
        ("Set useAppPoolCredentials=false with kernel mode on", lambda: of(r".\web", creds=True), lambda: of(r".\web")),
        (
            "or run the pool as a domain account",
            lambda: of(r".\web", creds=True),
            lambda: custom(right()),
        ),
    ],
    "local-service-identity": [
        (
            "Use ApplicationPoolIdentity or NetworkService",
            lambda: of(LOCAL_SERVICE, kernel=False),
            lambda: of("NetworkService", kernel=False),
        ),
        (
            "or kernel mode without useAppPoolCredentials; the computer then decrypts",
            lambda: of(LOCAL_SERVICE, kernel=False),
            lambda: of(LOCAL_SERVICE),
        ),
    ],
    "running-identity-differs": [
        (
            "Recycle the pool Pool: its next process runs as",
            lambda: test_findings.running(r"TEST\oldsvc"),
            lambda: test_findings.running(SERVICE),
        ),
    ],
    "account-disabled": [
        ("Enable", lambda: custom(right(userAccountControl=0x202)), lambda: custom(right(userAccountControl=0x200))),
    ],
    "kerberoastable-account": [
        (
            "Set a long random password",
            lambda: custom(right(pwdLastSet=days_ago(400))),
            lambda: custom(right(pwdLastSet=days_ago(0))),
        ),
    ],
    "unconstrained-delegation": [
        (
            "Use constrained delegation",
            lambda: custom(right(userAccountControl=0x80200)),
            lambda: custom(right(userAccountControl=0x200)),
        ),
    ],
    "upn-shadows-spn": [
        (
            "Give the account an ordinary user@domain UPN",
            lambda: custom(right(), user("kt", userPrincipalName="HTTP/contoso.test.com@TEST.COM")),
            lambda: custom(right(), user("kt", userPrincipalName="kt@test.com")),
        ),
    ],
    "spn-uniqueness-off": [
        (
            "Set the 21st character of dSHeuristics back to 0",
            lambda: custom(right(), directory_service(dSHeuristics="000000000100000000022")),
            lambda: custom(right(), directory_service(dSHeuristics="000000000100000000020")),
        ),
    ],
    "section-locked": [
        ("Take the section out of", lambda: web(LOCKED), lambda: web("")),
        ("or unlock it for that path", lambda: web(LOCKED), lambda: web(LOCKED, "Allow")),
    ],
    "loopback-name": [
        (
            "add the name to BackConnectionHostNames",
            lambda: registry(BackConnectionHostNames=[]),
            lambda: registry(BackConnectionHostNames=["contoso.test.com"]),
        ),
    ],
    "header-limit": [
        (
            "Raise both values",
            lambda: registry(MaxFieldLength=16384),
            lambda: registry(MaxFieldLength=65534, MaxRequestBytes=65534),
        ),
    ],
    "farm-suspected": [
        (
            "If they are not, give DNS",
            lambda: world(*pair(), ad=nodes()),  # type: ignore[arg-type]
            lambda: world(*pair(), ad=nodes(), dns="portal A 10.0.5.2"),
        ),  # type: ignore[arg-type]
    ],
    "farm-machine-identity": [
        ("Run the pools of all nodes as one domain account", farm, lambda: farm(pool=SERVICE, creds=True)),
    ],
    "farm-nodes-differ": [
        (
            "Make identity, useKernelMode and useAppPoolCredentials the same",
            lambda: farm(pool=SERVICE, creds=True, second={"creds": False}),
            lambda: farm(pool=SERVICE, creds=True),
        ),
    ],
    "winrm-collision": [
        (
            "Give the site a host header of its own with a DNS A record and move the SPN to that name",
            PAIRS["winrm-collision"][0],
            lambda: custom(right()),
        ),
    ],
    "spn-conflict": [
        (
            "Let all of these applications decrypt with one account",
            PAIRS["spn-conflict"][0],
            lambda: world(
                server(site(HEADER, apps=[app(), app("/b")]), pool=SERVICE, creds=True),
                ad=ad(computer(), right()),
                dns=A,
            ),
        ),
        (
            "Or set useAppPoolCredentials=false with kernel mode on for all of them, with the SPN on the computer",
            PAIRS["spn-conflict"][0],
            lambda: world(
                server(site(HEADER, apps=[app(), app("/b", "B")]), pools={"Pool": SERVICE, "B": r"TEST\b"}),
                ad=ad(computer("IIS01", *BOTH), user(), user("b")),
                dns=A,
            ),
        ),
        (
            "Or give what needs another account a site of its own",
            PAIRS["spn-conflict"][0],
            lambda: world(
                server(
                    site(HEADER),
                    site("*:80:b.test.com", name="B", apps=[app("/", "B")]),
                    pools={"Pool": SERVICE, "B": r"TEST\b"},
                    creds=True,
                ),
                ad=ad(computer(), right(), user("b", "HTTP/b.test.com")),
                dns=f"{A};b A 10.0.5.2",
            ),
        ),
    ],
    "accept-unmatched": [
        ("Take it out of the file", lambda: accepting(FULL, "HTTP/gone.test.com"), lambda: accepting(FULL)),
        ("correct its `id` and `subject`", lambda: accepting("HTTP/gone.test.com"), lambda: accepting(FULL)),
        ("a later `until`", lambda: accepting(FULL, until=date(2020, 1, 1)), lambda: accepting(FULL)),
    ],
}
"""By finding: the words of a sentence, a world in which it is said, and one in which somebody did it."""


@pytest.mark.parametrize(
    ("finding_id", "words", "before", "after"),
    [(name, *row) for name, rows in FOLLOWED.items() for row in rows],
    ids=[f"{name}: {words}" for name, rows in FOLLOWED.items() for words, *_ in rows],
)
def test_a_sentence_that_is_followed_mends_what_it_is_for(
    finding_id: str, words: str, before: Make, after: Make
) -> None:
    said, done = before(), after()
    assert any(words in sentence for one in said.findings(finding_id) for sentence in one.fix)
    assert finding_id not in done.ids
    assert done.errors == []


# -- every sentence has been thought of ----------------------------------------------------------------------------

ELSEWHERE: dict[str, str] = {
    r"setspn|dnscmd|appcmd|klist": "a command of the plan: typed in test_cure.py",
    r"farm file|--names|--dns|--ad\b|--computer|--netbios-domain|machine\.json|additional_kerberos": "says more, and "
    "changes nothing: less and more knowledge is tests/test_knowledge.py",
    r"^(See|Ask|Test|List|Check|Collect|Read|Say|Run it on the server|Let a full domain|Then test|Please report)\b": (
        "to look, or to ask"
    ),
    r"^Correct|^Create the pool|^Set userName|^Install the role|^Join the server": "what is not there is to be made",
    r"^Add .* to the principals|^Give clients a name|^Nothing must be done": "nothing that works today could break",
    r"host header of its own|^Register SPNs on|choose one domain account|^First settle|^Another step": "leads to a "
    "plan of its own, which is carried out there",
    r"msDS-SupportedEncryptionTypes|pwdLastSet|^Reset its password": "test_encryption.py",
    r"^Set flags=Proxy|let the proxy pass TLS": "test_extended_protection.py",
    r"^Use the provider Negotiate": "test_negotiate_kerberos.py",
    r"lines \d|unlock every": "test_locked_sections.py",
    r"Add the provider Negotiate|^Leave it at NTLM": "above",
    r"^Or register SPNs with the port": "a policy on clients: `--client edge-port` asks for it",
    r"^Write DOMAIN|^Ask\.$": "the same account, named in full",
}
"""Sentences that are followed elsewhere, or change nothing that the model knows; and why."""


def _sentences() -> Iterator[tuple[Finding, str]]:
    for make, _ in PAIRS.values():
        for found in make().report.findings:
            yield from ((found, sentence) for sentence in found.fix)


def test_every_sentence_is_followed_somewhere() -> None:
    followed = {name: [words for words, *_ in rows] for name, rows in FOLLOWED.items()}
    left = {
        (found.id, sentence)
        for found, sentence in _sentences()
        if not any(words in sentence for words in followed.get(found.id, ()))
        and not any(re.search(pattern, sentence) for pattern in ELSEWHERE)
    }
    assert left == set()
