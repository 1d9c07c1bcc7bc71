"""What one more site costs, in calls: the time of a big file is made of what each element and each name takes."""

from collections.abc import Callable, Mapping

import pytest
from work import calls

from agent.iis.effective import effective
from agent.iis.parse import parse
from agent.iis.snapshot import Machine, Snapshot
from benchmarks.parse import sites

STAGES: Mapping[str, Callable[[bytes], Callable[[], object]]] = {
    "parse": lambda data: lambda: parse(data, "x"),
    "effective": lambda data: _evaluating(data),
}


def _evaluating(data: bytes) -> Callable[[], object]:
    document, snapshot = parse(data, "x"), Snapshot(source="x", machine=Machine(), files={})
    return lambda: effective(document, snapshot)


@pytest.mark.parametrize(("stage", "most"), [("parse", 300), ("effective", 360)])
def test_a_site_takes_so_many_calls_and_no_more(stage: str, most: int) -> None:
    """With its pool, its location and two bindings; a call and its return are two."""
    few, many = (calls(STAGES[stage](sites(range(count)).encode())) for count in (100, 200))
    assert (many - few) / 100 <= most
