"""`iis-spn collect --print-script`: the collector, for a server that WinRM does not reach."""

from __future__ import annotations

from agent import exits
from agent.cli import console
from agent.cli.options import Script
from agent.sources.snapshots.framed import SCRIPT


def run(options: Script) -> int:  # noqa: ARG001  # as every command is run
    console.show_bytes([SCRIPT.read_bytes()])
    return exits.CLEAN
