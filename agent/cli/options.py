"""What was asked for: one frozen struct for each command, made by `agent.cli.arguments`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from agent.cli.formats import Format
from agent.sweep.options import Asking, Logon

if TYPE_CHECKING:
    from agent.render.screen import Following, Shown


class Looking(Struct, frozen=True, kw_only=True):
    """Where to look besides the servers' files: directory, name service, what people know, which clients matter; and
    which `servers` and `sites`, of all that is judged, stand in the report.

    `netbios` maps folded DNS domain names to NetBIOS names; "" stands for whatever domain a server says.
    """

    ad: tuple[str, ...]
    dns: tuple[str, ...]
    farm: tuple[Path, ...]
    names: tuple[Path, ...]
    accept: tuple[Path, ...]
    clients: tuple[str, ...]
    computer: str | None
    netbios: Mapping[str, str]
    servers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


class FailOn(Struct, frozen=True, kw_only=True):
    """What the exit code tells of: findings of these severities; `unchecked`: SPNs that were not checked."""

    severities: frozenset[str]
    unchecked: bool


class Output(Struct, frozen=True, kw_only=True):
    """How a report is written, where (None: stdout), how much of it a table shows and which command lines it names
    for what comes next, what of it the exit code tells, and where its findings are written as accepted ones.
    """

    format: Format
    file: Path | None
    fail_on: FailOn
    shown: Shown
    following: Following
    write_accept: Path | None = None


class Expected(Struct, frozen=True, kw_only=True):
    """What a folder of snapshots should hold: the servers of `inventory`, none older than `stale_after` hours."""

    inventory: tuple[str, ...] = ()
    stale_after: float | None = None


class Inspect(Struct, frozen=True, kw_only=True):
    """`iis-spn inspect`"""

    targets: tuple[str, ...]
    expected: Expected
    looking: Looking
    logon: Logon
    output: Output


class Sweep(Struct, frozen=True, kw_only=True):
    """`iis-spn sweep`"""

    asking: Asking
    looking: Looking
    output: Output


class Collect(Struct, frozen=True, kw_only=True):
    """`iis-spn collect`; the directory is asked for `--from-ad` only. With `forget` nobody is asked."""

    asking: Asking
    ad: tuple[str, ...]
    netbios: Mapping[str, str]
    forget: tuple[str, ...]


class Script(Struct, frozen=True, kw_only=True):
    """`iis-spn collect --print-script`"""


class Explain(Struct, frozen=True, kw_only=True):
    """`iis-spn explain`"""

    url: str
    targets: tuple[str, ...]
    looking: Looking
    logon: Logon
    output: Output


class Probe(Struct, frozen=True, kw_only=True):
    """`iis-spn probe`; `user` asks the KDC, None: the present logon. `report` is one whose names are probed too."""

    urls: tuple[str, ...]
    targets: tuple[str, ...]
    report: Path | None
    user: str | None
    parallel: int
    looking: Looking
    logon: Logon
    output: Output


class Diagnose(Struct, frozen=True, kw_only=True):
    """`iis-spn diagnose`; `words` are evidence and TARGETs, told apart by what stands in them. `names`: only those."""

    words: tuple[str, ...]
    names: bool
    looking: Looking
    logon: Logon
    output: Output


class Change(Struct, frozen=True, kw_only=True):
    """What `plan` does to the directory: nothing, its steps, or the way back that a rollback file holds."""

    apply: bool
    confirm: tuple[str, ...]
    confirm_delete: tuple[str, ...]
    rollback: Path | None


class Plan(Struct, frozen=True, kw_only=True):
    """`iis-spn plan`"""

    targets: tuple[str, ...]
    looking: Looking
    logon: Logon
    output: Output
    change: Change
    want: tuple[Path, ...] = ()


class Diff(Struct, frozen=True, kw_only=True):
    """`iis-spn diff`; what is no report is inspected as `looking` says, of which `typed` is what no file said."""

    old: str
    new: str
    looking: Looking
    typed: Looking
    logon: Logon
    output: Output


class Completion(Struct, frozen=True, kw_only=True):
    """`iis-spn completion`"""

    shell: str


class Rules(Struct, frozen=True, kw_only=True):
    """`iis-spn rules`; `id` None: all of them."""

    id: str | None


class Agent(Struct, frozen=True, kw_only=True):
    """`iis-spn agent`; `interval` in seconds, None: once. `state` None: where such things are kept."""

    interval: float | None
    drop: Path | None
    state: Path | None
    prometheus: Path | None
    event_log: bool
    looking: Looking
    logon: Logon
    fail_on: FailOn


Options = Inspect | Sweep | Collect | Script | Explain | Probe | Diagnose | Plan | Diff | Agent | Completion | Rules
