"""The same facts as LDIF and as setspn text: the text may say less, and never the opposite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import test_cure
from console import Ldif
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, ad, app, computer, farm_name, server, setspn_l, site, user, world

from agent import Report, inspect
from agent.iis.snapshot import Snapshot
from agent.model import Step

SAMPLES = Path(__file__).parents[1] / "sample_configs"
OPEN = frozenset({"unchecked", "uncertain"})
STATE = frozenset({"impossible"})
"""That an account is disabled, or not there, no setspn text shows."""


def held(texts: Sequence[str]) -> dict[str, list[str]]:
    """Who holds what, by distinguished name."""
    found: dict[str, list[str]] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ad.ldif"
        for text in texts:
            path.write_text(text, encoding="utf-8")
            for entry in Ldif(path).entries:
                if names := entry.values("servicePrincipalName"):
                    found[entry.dn] = names
    return found


def as_queries(holders: Mapping[str, Sequence[str]]) -> str:
    """What `setspn -T * -F -Q */*` prints: every holder with all it holds."""
    blocks = [f"{dn}\n" + "".join(f"\t{name}\n" for name in names) for dn, names in holders.items()]
    return "Checking forest DC=test,DC=com\n" + "\n".join(blocks) + "\nExisting SPN found!\n"


def as_duplicates(holders: Mapping[str, Sequence[str]]) -> str:
    """What `setspn -X -F` prints: what is held twice, and nothing else."""
    by_name: dict[str, dict[str, None]] = {}
    for dn, names in holders.items():
        for name in names:
            by_name.setdefault(name.lower(), {})[dn] = None
    groups = {name: dns for name, dns in by_name.items() if len(dns) > 1}
    blocks = [
        f"{name} is registered on these accounts:\n" + "".join(f"\t{dn}\n" for dn in groups[name]) for name in groups
    ]
    head = "Checking forest DC=test,DC=com\nProcessing entry 0\n"
    return f"{head}{''.join(f'{block}{chr(10)}' for block in blocks)}found {len(groups)} groups of duplicate SPNs.\n"


FORMS = {"setspn -L": setspn_l, "setspn -Q": as_queries, "setspn -X": as_duplicates}


# -- what may not be -----------------------------------------------------------------------------------------------

Place = tuple[str, str, str, str]


def _outcomes(report: Report) -> dict[Place, set[str]]:
    found: dict[Place, set[str]] = {}
    for one in report.requirements:
        for at in one.applications:
            found.setdefault((one.spn.key, at.server, at.site, at.path), set()).add(one.outcome)
    return found


def _change(step: Step) -> tuple[object, ...]:
    """What a step does; a domain without a known NetBIOS name goes without it in a command."""
    account = "" if step.account is None else step.account.name.lower().removesuffix("$")
    setting = re.search(r"/(\w+:\w+) ", step.command or "")
    return (step.kind, step.spn, account) if step.changes_spn else (step.kind, step.server, setting and setting[1])


def _every(report: Report) -> Iterator[Step]:
    yield from report.plan.steps
    for way in report.plan.alternatives:
        yield from way.steps


def opposites(full: Report, text: Report) -> Iterator[str]:
    """What the text says against the export."""
    known = _outcomes(full)
    for place, ends in _outcomes(text).items():
        allowed = known.get(place, set())
        if not ends <= allowed | OPEN and not allowed & STATE:
            yield f"{place}: {ends}, in LDIF {allowed}"
    if any(allowed & STATE for allowed in known.values()):
        return
    done = {_change(step) for step in _every(full)}
    for step in text.plan.steps:
        if step.kind != "manual" and _change(step) not in done:
            yield f"{step.title if step.changes_spn else step.command} is a step from setspn text only"


# -- worlds --------------------------------------------------------------------------------------------------------

SVC = r"TEST\svc"
HEADER = site("*:80:x.test.com")
ROWS: dict[str, tuple[list[Snapshot], str, dict[str, object]]] = {
    "right": ([server(HEADER, pool=SVC, creds=True)], ad(computer(), user("svc", "HTTP/x.test.com")), {}),
    "on another": (
        [server(HEADER, pool=SVC, creds=True)], ad(computer(), user("svc"), user("other", "HTTP/x.test.com")), {},
    ),
    "twice": (
        [server(HEADER, pool=SVC, creds=True)],
        ad(computer(), user("svc", "HTTP/x.test.com"), user("other", "HTTP/x.test.com")), {},
    ),
    "the setting disagrees": (
        [server(HEADER, pool=SVC)], ad(computer(), user("svc", "HTTP/x.test.com", "HTTP/x")), {},
    ),
    "own names on the pool's account": (
        [server(pool=SVC)], ad(computer(), user("svc", "HTTP/iis01.test.com", "HTTP/IIS01")), {},
    ),
    "the computer's own names, covered": ([server()], ad(computer(), user("svc")), {}),
    "HOST/ of a retired server": (
        [server(HEADER, pool=SVC, creds=True)], ad(computer(), computer("OLD", "HOST/x.test.com"), user("svc")), {},
    ),
    "two applications of one account": (
        [server(site("*:80:x.test.com", apps=[app("/", "A"), app("/b", "B")]), pools={"A": SVC, "B": SVC})],
        ad(computer(), user("svc", "HTTP/x.test.com")), {},
    ),
    "a farm": (
        [server(HEADER, name=name, pool=SVC, creds=name == "IIS01") for name in ("IIS01", "IIS02")],
        ad(computer(), computer("IIS02"), user("svc", "HTTP/x.test.com")),
        {"farm": [farm_name("x.test.com", "IIS01", "IIS02")]},
    ),
}  # fmt: skip
ZONE = "iis01 A 10.0.5.2; iis02 A 10.0.5.3; x A 10.0.5.2"


def both(servers: Sequence[Snapshot], texts: Sequence[str], form: str, **said: object) -> tuple[World, World]:
    text = FORMS[form](held(texts))
    return world(*servers, ad=texts, **said), world(*servers, ad=[text], **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ROWS)
def test_setspn_text_says_less_and_never_the_opposite(name: str, form: str) -> None:
    servers, directory, said = ROWS[name]
    full, text = both(servers, [directory], form, **{"dns": ZONE, **said})
    assert list(opposites(full.report, text.report)) == []


@pytest.mark.parametrize("form", FORMS)
def test_of_the_samples(form: str, tmp_path: Path) -> None:
    path = tmp_path / "setspn.txt"
    path.write_text(FORMS[form](held([(SAMPLES / "directory.ldif").read_text(encoding="utf-8")])), encoding="utf-8")
    how = {"dns": SAMPLES / "zone.txt", "farm": SAMPLES / "farm.toml"}
    servers = sorted(SAMPLES.glob("IIS0?"))
    full, text = (inspect(servers, ad=source, **how) for source in (SAMPLES / "directory.ldif", path))  # type: ignore[arg-type]
    assert list(opposites(full, text)) == []
    said = {"duplicate"} if form == "setspn -X" else {"kerberos", "modified", "duplicate"}
    assert {one.outcome for one in text.requirements} >= said, "it says something"


@settings(max_examples=120)
@given(
    servers=test_cure.servers(),
    texts=test_cure.directories(),
    dns=st.sampled_from(test_cure.ZONES),
    farm=st.sampled_from(test_cure.DECLARED),
    clients=st.sampled_from(test_cure.CLIENTS),
    form=st.sampled_from(sorted(FORMS)),
)
def test_of_random_farms(servers: Sequence[Snapshot], texts: Sequence[str], form: str, **said: object) -> None:
    full, text = both(servers, texts, form, **said)
    told = list(opposites(full.report, text.report))
    assert not told, told[0]
