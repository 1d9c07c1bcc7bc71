"""What a plan costs grows with what it is about: many SPNs on one account, many servers behind one name.

No function runs more than in proportion: the sum would hide one that compares everything with everything until it is
large. 2,000 SPNs and 500 servers stand in `benchmarks/plan.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import worlds
from work import instructions
from worlds import World, ad, computer, farm_name, server, site, user, world

from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.model import Report
from agent.render import cmd, ldif, powershell, steps, steps_markdown, steps_sheet, ticket

FORMATS: tuple[Callable[[Report], object], ...] = (
    cmd.to_cmd,
    powershell.to_powershell,
    ldif.to_ldif,
    ticket.to_ticket,
    steps_markdown.to_markdown,
    steps_sheet.to_csv,
    lambda report: steps.to_text(report, 100, color=False),
)
SIZE = 30
IN_PROPORTION = 2.6
"""Twice the size; a sort and what is done once make it a little more or less."""
WORTH_LOOKING_AT = 3_000


def many_sites(count: int, *, credentials: bool, holder: str) -> World:
    """One server; all SPNs of its sites are on one account, which is the right one or not."""
    names = [f"n{number}" for number in range(count)]
    spns = [f"HTTP/{name}.test.com" for name in names]
    sites = [site(f"*:80:{name}.test.com", name=name) for name in names]
    return world(
        server(*sites, pool=r"TEST\svc", creds=credentials),
        ad=ad(computer(), *(user(name, *(spns if name == holder else ())) for name in ("svc", "old"))),
        dns="; ".join(f"{name} A 10.0.5.2" for name in ("iis01", *names)),
    )


def one_name(count: int, *, declared: bool) -> World:
    """Servers behind one name, half of which decrypt with another account than the rest."""
    names = [f"IIS{number:03}" for number in range(count)]
    nodes = [
        server(site("*:80:x.test.com"), name=name, pool=r"TEST\svc", creds=number % 2 == 0)
        for number, name in enumerate(names)
    ]
    farm = [farm_name("x.test.com", *names)] if declared else []
    return world(*nodes, ad=ad(*map(computer, names), user("svc"), user("old", "HTTP/x.test.com")), farm=farm)


WORLDS: dict[str, Callable[[int], World]] = {
    "SPNs on a wrong account": lambda count: many_sites(count, credentials=True, holder="old"),
    "SPNs on the pool's account": lambda count: many_sites(count, credentials=False, holder="svc"),
    "a farm": lambda count: one_name(count, declared=True),
    "a suspected farm": lambda count: one_name(count, declared=False),
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, Sources]]:
    """What each world is analysed from."""
    found: list[tuple[object, Sources]] = []

    def recording(snapshots: object, sources: Sources) -> Analysis:
        kept = tuple(snapshots)  # type: ignore[call-overload]
        found.append((kept, sources))
        return analyse(kept, sources)

    monkeypatch.setattr(worlds, "analyse", recording)
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_no_part_of_a_plan_grows_faster_than_what_it_is_about(name: str, given: list[tuple[object, Sources]]) -> None:
    def work() -> None:
        report = analyse(*given[-1]).report  # type: ignore[arg-type]
        for render in FORMATS:
            render(report)

    WORLDS[name](SIZE)
    small = instructions(work)
    WORLDS[name](2 * SIZE)
    large = instructions(work)
    grown = {
        place: f"{small[place]} -> {count}"
        for place, count in large.items()
        if count > WORTH_LOOKING_AT and count > IN_PROPORTION * small[place]
    }
    assert grown == {}
    assert sum(large.values()) > 1.5 * sum(small.values())
