"""Twice as much of anything costs about twice as many steps (`benchmarks/growth.py` measures the seconds).

No function takes more than in proportion: the sum would hide one that compares everything with everything until it is
large. Whatever a command takes or writes has an axis here, or a reason why it does not grow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from configurations import application, configuration, element, evaluate, site, web_config
from work import calls

from agent.cli import arguments, formats, program
from agent.cli.anatomy import commands_of
from agent.errors import MalformedError
from agent.iis import authentication
from benchmarks.documents import DOCUMENTS
from benchmarks.growth import AXES, WANTED
from tests.fuzz.evidence import SEEDS

ROOT = Path(__file__).parents[1]

KNOWN = {
    "virtual directories, and web.config files below each": "each leads to each: that is a product, and bounded",
    "acceptances, and findings": "each finding is compared with each subject that holds a `*`, and those are few",
    "plan --want: names": "each name is held against every application and every step for the others",
    "lines in an unclosed ( of a zone": "a record has at most 256 lines, and the smaller size has fewer of them",
}
"""Axes that grow faster, and why that stays so."""


# -- each axis -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown() -> Mapping[str, Any]:
    """What `tests/growing.py` counts, of all axes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.growing"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", AXES)
def test_twice_as_much_costs_twice_as_many_steps(name: str, grown: Mapping[str, Any]) -> None:
    small, large = grown[name]["steps"]
    growing = grown[name]["growing"]
    assert (large <= WANTED * small and not growing) is (name not in KNOWN), (f"{large / small:.2f} times", growing)


JUDGED = [name for name in AXES if ":" not in name]
"""Where libraries do a part of the work, whose steps are not counted: their calls are."""


@pytest.mark.parametrize("name", JUDGED)
def test_twice_as_much_costs_twice_as_many_calls(name: str) -> None:
    axis = AXES[name]
    size = axis.size // 5
    small, large = (calls(axis.make(count)) for count in (size, 2 * size))
    assert large <= WANTED * small or name in KNOWN, f"{large / small:.2f} times"


# -- all that there is ---------------------------------------------------------------------------------------------

FIXED = {
    "completion": "a script for each shell",
    "rules": "the rules and the findings of this release",
}
"""Commands that print what the program knows itself."""

PROGRAM = commands_of(arguments.parser())


def test_every_command_has_an_axis_or_nothing_that_grows() -> None:
    grown = {name.split(":")[0].split()[0] for name in AXES if ":" in name}
    assert grown | FIXED.keys() == PROGRAM.keys()
    assert {runner.__name__.lower() for runner in program.COMMANDS} == PROGRAM.keys() | {"script"}, "of collect"


def test_every_command_writes_each_of_its_documents_in_each_of_its_formats() -> None:
    assert DOCUMENTS.keys() == set(get_args(formats.Command))
    for command, documents in DOCUMENTS.items():
        for form in formats.known_by(command):
            for what in documents:
                assert f"{command} {form}: {what}" in AXES


PLACES = {
    "OLD": "diff OLD",
    "FILE|TARGET": "diagnose FILE",
    "TARGET": "inspect TARGET",
    "HOST": "sweep HOST",
}
"""Words of a command line that name what may be large, by their axes."""
SAME = {"NEW": "OLD", "URL|TARGET": "TARGET"}
OPTIONS = {
    "--accept": "inspect --accept",
    "--ad": "inspect --ad",
    "--config": "inspect --config",
    "--dns": "inspect --dns",
    "--farm": "inspect --farm",
    "--forget": "collect --forget",
    "--inventory": "sweep --inventory",
    "--names": "inspect --names",
    "--rollback": "plan --rollback",
    "--to": "collect --to",
    "--want": "plan --want",
    "--write-accept": "inspect --write-accept",
}
"""Options that name what may be large, by their axes."""
SMALL = {
    "--ca": "OpenSSL reads it",
    "--cert": "OpenSSL reads it",
    "--cert-key": "OpenSSL reads it",
    "--computer": "one name",
    "--confirm": "what somebody agrees to one by one",
    "--confirm-delete": "what somebody agrees to one by one",
    "--client": "each kind once",
    "--drop": "two files",
    "--fail-on": "each level once",
    "--from-ad": "one name; who is below it is asked of a controller (benchmarks/directory.py)",
    "--interval": "a time",
    "--netbios-domain": "one for each domain",
    "--output": "what is written has axes of its own",
    "--prometheus": "what is written has axes of its own",
    "--report": "a report, as diff reads it",
    "--server": "typed one by one",
    "--site": "typed one by one",
    "--state": "the axis of agent",
}
"""Options with a value that does not grow, or that has its axis elsewhere."""


def actions() -> Iterator[argparse.Action]:
    for command in PROGRAM.values():
        yield from command._actions


def test_whatever_is_given_has_an_axis_or_is_small() -> None:
    words = {str(each.metavar or each.dest.upper()) for each in actions() if not each.option_strings}
    assert words - {"ID", "SHELL", "URL"} == PLACES.keys() | SAME.keys()
    takes = {each.option_strings[-1] for each in actions() if each.option_strings and each.nargs != 0}
    values = {name for name in takes if name in OPTIONS or name in SMALL}
    assert takes - values == OTHER
    for name in (*PLACES.values(), *OPTIONS.values()):
        assert any(axis.startswith(f"{name}") for axis in AXES), name


OTHER = {
    *("--ad-user", "--format", "--jea", "--parallel", "--password-env", "--port", "--stale-after", "--timeout"),
    *("--transport", "--user"),
}
"""A word or a number each."""


def test_every_kind_of_evidence_has_an_axis() -> None:
    assert all(f"diagnose FILE: {kind}" in AXES for kind in SEEDS)


# -- what is a product ---------------------------------------------------------------------------------------------


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
