"""Whether a snapshot is whole, told without working out its settings, beside what `inspect` says of the same files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Problem
from agent.sources.snapshots.standing import assess
from tests.configurations import application, configuration, location, site, web_config, windows

APP = r"C:\app\web.config"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
DELEGATED = location("Site/app", windows(), overrideMode="Allow")
ELSEWHERE = location("Other", windows(), overrideMode="Allow")
TWO_SITES = site("Site") + site("Other", application("/", r"C:\other"), id="2", inner="")
SHARED = (
    "<configuration><configSections><section name='configurationRedirection'/></configSections>"
    r"<configurationRedirection enabled='true' path='\\srv\iis'/></configuration>"
)
OWN = r"C:\Windows\System32\inetsrv\config"


class Case(NamedTuple):
    """A snapshot, how complete it is, and what `inspect` says where that is another word."""

    status: str
    config: str | None = configuration()
    unread: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, bytes | str] = {}
    problems: tuple[Problem, ...] = ()
    inspected: str | None = None

    @property
    def snapshot(self) -> Snapshot:
        given: dict[str, bytes | str] = dict(self.files)
        if self.config is not None:
            given["applicationhost.config"] = self.config.encode()
        files = {
            key: SourceFile(key, b"", data) if isinstance(data, str) else SourceFile(key, data)
            for key, data in given.items()
        }
        machine = Machine(name="WEB01", membership="workgroup", content_looked=True, unread=self.unread)
        return Snapshot(source="WEB01", machine=machine, files=files, problems=self.problems)


def denied(*paths: str) -> tuple[tuple[str, str], ...]:
    return tuple((path, "access denied") for path in paths)


CASES = {
    "whole": Case("ok"),
    "an unread web.config that may say nothing": Case("ok", unread=denied(APP)),
    "delegated everywhere": Case("partial", configuration(mode="Allow"), denied(APP)),
    "delegated there": Case("partial", configuration(body=DELEGATED), denied(APP)),
    "delegated elsewhere": Case("partial", configuration(sites=TWO_SITES, body=ELSEWHERE), denied(APP), inspected="ok"),
    "delegated, and all is read": Case(
        "ok", configuration(mode="Allow"), files={"files/c/app/web.config": web_config("")}
    ),
    "a file of its own that nothing depends on": Case(
        "ok", configuration(mode="Allow"), denied(rf"{OWN}\administration.config")
    ),
    "a damaged file": Case("partial", configuration(mode="Allow"), files={"files/c/app/web.config": "damaged"}),
    "a damaged file that may say nothing": Case("ok", files={"files/c/app/web.config": "damaged"}),
    "a path that was refused": Case(
        "partial", problems=(Problem(id="config-malformed", message="the path leads upwards"),)
    ),
    "a name in doubt": Case("ok", problems=(Problem(id="machine-unknown", message="it is another one"),)),
    "no configuration": Case("failed", None, files={"files/c/app/web.config": web_config("")}),
    "access denied": Case("failed", None, files={"applicationhost.config": "access denied"}),
    "not known which file counts": Case("failed", files={"redirection.config": "access denied"}),
    "a share that refused": Case(
        "failed", unread=denied(r"\\srv\iis\applicationHost.config"), files={"redirection.config": SHARED.encode()}
    ),
    "the stale copy of a shared configuration": Case(
        "ok",
        None,
        denied(rf"{OWN}\applicationHost.config"),
        {
            "applicationhost.config": "access denied",
            "redirection.config": SHARED.encode(),
            "files/unc/srv/iis/applicationhost.config": configuration(mode="Allow").encode(),
        },
    ),
    "nothing is known of a malformed one": Case("partial", "<configuration", denied(APP), inspected="failed"),
    "what is wrong inside is for inspect": Case("ok", "<configuration", inspected="failed"),
}


@pytest.mark.parametrize("name", CASES)
def test_standing(name: str) -> None:
    case = CASES[name]
    found = assess(case.snapshot)
    assert found.status == case.status
    assert bool(found.gaps) == (case.status != "ok")
    report = analyse([case.snapshot], Sources(now=NOW)).report
    assert report.servers[0].status == (case.inspected or case.status)


def test_a_gap_for_each_reason_not_for_each_file() -> None:
    late = "not looked at after 60 seconds"
    unread = (*denied(APP), *((rf"D:\{number}\web.config", late) for number in range(50_000)))
    found = assess(Case("partial", configuration(mode="Allow"), unread).snapshot)
    assert [gap.message for gap in found.gaps] == [
        rf"{APP} could not be opened: access denied",
        rf"D:\0\web.config and 49999 more could not be opened: {late}",
    ]
