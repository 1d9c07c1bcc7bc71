"""What a farm is started with, and what a test may change about each server while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from .names import BASE

USER = r"CORP\svc-spn"
PASSWORD = "Lab-Pa55word"
NT_HASH = "8ED7DDAC421887739A54825E5B24903A"
"""MD4 of PASSWORD in UTF-16LE: with it in the user file a logon costs no DES, and the password stands in no file."""

SECRET = "Cl3ar-P00l-Passw0rd"
"""Stands in the generated configuration where passwords stand, unless the collector blanks them."""


@dataclass
class Options:
    """Fixed for the life of a farm. Times are seconds."""

    directory: str
    servers: int = 1
    base: str = BASE
    http_port: int = 0
    https_port: int = 0
    accounts: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    authentication: list[str] = field(default_factory=lambda: ["negotiate", "kerberos", "credssp", "basic"])
    allow_unencrypted: bool = False
    channel_bindings: str = "relaxed"  # or "strict", or "none"
    max_envelope: int = 512_000
    max_shells: int = 30
    max_timeout: float = 60.0
    sites: int = 40
    pwsh: list[str] = field(default_factory=list)
    prelude: str = ""


@dataclass
class Behaviour:
    """One virtual server, as `Farm.set` changes it. Times are seconds."""

    latency: float = 0.0
    """Before each answer."""
    domain: str = "corp.test"
    """Whose member it says it is in its challenge, which is USER's domain; empty: of none."""
    connect_latency: float = 0.0
    """Between the TCP handshake and the first byte, TLS included."""
    start: float = 0.0
    """What powershell.exe takes to start."""
    runs: float = 0.0
    """What the script takes."""

    fault: str = ""
    on: str = "*"
    times: int = -1
    """How often the fault comes before all is well; -1: always."""
    after: int = 0
    """How often all is well before the fault comes."""
    argument: float = 0.0

    piece: int = 0
    """Most bytes of output in one Receive; 0: as many as the envelope takes."""
    done_with_output: bool = False
    """Whether `Done` comes with the last output; Windows mostly sends it in an answer of its own."""

    folder: str = ""
    """A snapshot folder to answer with; empty: a generated configuration."""
    packing: str = "gzip"
    blanked: bool = True
    banner: str = ""
    miscount: int = 0
    """Added to the number of characters that both markers announce."""
    keep: float = 1.0
    """The part of the output that is printed; below 1 the script ends in the middle of it."""
    clixml: bool = False
    """Whether stderr carries a progress record, as it does where $ProgressPreference was not set first."""
    output: str | None = None
    """Printed instead of the collector's frame."""
    errors: str = ""
    exit_code: int = 0
