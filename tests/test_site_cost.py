"""What one more site costs, in calls: the time of a big file is made of what each element and each name takes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from work import calls

from agent.iis.effective import effective
from agent.iis.parse import parse
from agent.iis.snapshot import Machine, Snapshot
from benchmarks import farm
from benchmarks.parse import sites, stages, whole

ROOT = Path(__file__).parents[1]
STAGES: Mapping[str, Callable[[bytes], Callable[[], object]]] = {
    "parse": lambda data: lambda: parse(data, "x"),
    "effective": lambda data: _evaluating(data),
}


def _evaluating(data: bytes) -> Callable[[], object]:
    document, snapshot = parse(data, "x"), Snapshot(source="x", machine=Machine(), files={})
    return lambda: effective(document, snapshot)


@pytest.mark.parametrize(("stage", "most"), [("parse", 300), ("effective", 380)])
def test_a_site_takes_so_many_calls_and_no_more(stage: str, most: int) -> None:
    """With its pool, its location and two bindings; a call and its return are two."""
    kinds = (range(1_000, 1_100), range(2_000, 2_200))  # no site twice: what is kept of its names would count
    few, many = (calls(STAGES[stage](sites(numbers).encode())) for numbers in kinds)
    assert (many - few) / 100 <= most


def test_what_the_benchmark_measures_still_runs(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    file.write_text(sites(range(3)))
    assert len(whole(file).applications) == 3
    assert all(stage() is not None for stage in stages(file).values())


@pytest.mark.parametrize(("file", "function"), farm.STAGES.values(), ids=farm.STAGES)
def test_each_stage_of_the_farms_figures_is_a_function(file: str, function: str) -> None:
    """A stage that was renamed would be told as no time at all."""
    assert any(f"def {function}(" in path.read_text(encoding="utf-8") for path in (ROOT / "agent").rglob(file))
