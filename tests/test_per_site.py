"""What one more site costs, counted: what sites have in common is worked out once for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from work import calls_by_function
from worlds import app, server, site

from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Report
from agent.render import terminal

Counts = tuple[Counter[str], Counter[str]]

SITES = 40
"""How many, and twice as many."""

WRITTEN: dict[str, Callable[[Report], object]] = {
    "json": lambda report: report.to_json(),
    "table": lambda report: "".join(terminal.to_text(report, 100, color=False, shown="causes")),
}


def inspected(count: int, written: Callable[[Report], object]) -> Counter[str]:
    pools = {f"Pool{number}": r"TEST\svc" for number in range(count)}
    sites = [
        site(f"*:80:s{number}.test.com", f"*:443:s{number}.test.com", name=f"S{number}", apps=[app(pool=pool)])
        for number, pool in enumerate(pools)
    ]
    snapshot = server(*sites, pools=pools, creds=True)
    return calls_by_function(lambda: written(analyse([snapshot], Sources()).report))


@pytest.fixture(scope="module", params=WRITTEN)
def counts(request: pytest.FixtureRequest) -> Counts:
    written = WRITTEN[request.param]
    return inspected(SITES, written), inspected(2 * SITES, written)


ONCE = (
    "names.py user_name",
    "spn/identity.py pool_identity",
    "spn/identity.py why_not",
    "spn/identity.py decide",
    "spn/needs.py _kinds",
    "spn/require.py _decide",
    "spn/require.py _configured_account",
)
"""What follows from the user of a pool, from settings and from the kinds of clients: all sites here have the same."""


@pytest.mark.parametrize("function", ONCE)
def test_what_sites_have_in_common_is_worked_out_once(function: str, counts: Counts) -> None:
    small, large = counts
    assert 0 < small[function] == large[function]


MOST = {
    "names.py fold": 18,
    "names.py __hash__": 22,
    "spn/reach.py hosts": 1,
    "spn/needs.py spn_hosts": 1,
    "checks/commands.py setspn": 1,
    "checks/commands.py setspn_query": 1,
}
"""For one more site, which has two names, of which one must be registered."""


@pytest.mark.parametrize("function", MOST)
def test_one_more_site_costs_so_many_calls(function: str, counts: Counts) -> None:
    small, large = counts
    assert 0 < large[function] - small[function] <= MOST[function] * SITES


ALL = 235
"""Calls of the program's own functions, those that read the configuration left out."""


def test_one_more_site_costs_so_many_calls_in_all(counts: Counts) -> None:
    small, large = counts
    judging = [sum(n for name, n in one.items() if not name.startswith("iis/")) for one in (small, large)]
    assert judging[1] - judging[0] <= ALL * SITES
