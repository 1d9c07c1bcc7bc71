"""Twice as much of anything costs about twice as many calls (`benchmarks/growth.py` measures the seconds)."""

from __future__ import annotations

import pytest
from configurations import application, configuration, element, evaluate, site, web_config
from work import calls

from agent.errors import MalformedError
from agent.iis import authentication
from benchmarks.growth import AXES, WANTED

KNOWN = {
    "virtual directories, and web.config files below each": "each leads to each: that is a product, and bounded",
    "acceptances, and findings": "each finding is compared with each subject that holds a `*`, and those are few",
}
"""Axes that grow faster, and why that stays so."""


@pytest.mark.parametrize("name", AXES)
def test_twice_as_much_costs_twice_as_many_calls(name: str) -> None:
    axis = AXES[name]
    size = axis.size // 5
    small, large = (calls(axis.make(count)) for count in (size, 2 * size))
    assert (large <= WANTED * small) is (name not in KNOWN), f"{large / small:.2f} times"


@pytest.mark.parametrize(("most", "refused"), [(6, False), (5, True)])
def test_so_many_directories_are_followed_and_no_more(
    monkeypatch: pytest.MonkeyPatch, most: int, refused: bool
) -> None:
    """Two virtual directories that lead to one folder, with three web.config files in it."""
    monkeypatch.setattr(authentication, "MAXIMUM_DIRECTORIES", most)
    again = element("virtualDirectory", path="/again", physicalPath=r"C:\web")
    text = configuration(sites=site("Main", application("/", r"C:\web", again)))
    files = {rf"C:\web\{name}\web.config": web_config("") for name in ("a", "b", "c")}
    if refused:
        with pytest.raises(MalformedError, match=r"more than 5 web\.config files"):
            evaluate(text, files)
    else:
        assert evaluate(text, files).sites
