"""Virtual Windows servers for tests: each on a loopback address of its own, all in one process that is not the test's.

    with farm.running(tmp_path, servers=20) as f, farm.resolving():
        session = winrm.Session(f.url(1), auth=(f.user, f.password), transport="ntlm")
        f.set(match="web0002", fault="hang", on="Receive")
        assert f.shells_left() == 0

`faults.FAULTS` lists what can go wrong. This folder has no __init__.py: pytest puts tests/ on the path, where a
regular package `winrm` would stand before pywinrm.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import certificates, faults, names
from .names import BASE, DOMAIN, resolving
from .settings import NT_HASH, PASSWORD, SECRET, USER, Behaviour, Options

__all__ = ["BASE", "DOMAIN", "PASSWORD", "SECRET", "USER", "Farm", "Stats", "resolving", "running"]

ROOT = Path(__file__).parents[2]
ANSWER_SECONDS = 60.0
_NAMED_ADDRESSES = 50


@dataclass(frozen=True, slots=True)
class Stats:
    """What happened since the last reset. `cpu_seconds` is the endpoint's own."""

    counters: Mapping[str, int]
    shells_left: int
    connections_open: int
    connections_peak: int
    requests_peak: int
    cpu_seconds: float

    @property
    def injected(self) -> int:
        """How often a fault struck."""
        return sum(count for what, count in self.counters.items() if what.startswith("injected."))

    def __getitem__(self, what: str) -> int:
        """`requests`, `connections`, `tls`, `shells`, `401`, `auth.ntlm`, `op.Create`, `fault.5`, `injected.drop`..."""
        return self.counters.get(what, 0)


class Farm:
    """A running endpoint; made by `running`. Servers count from 1; `match` is a pattern such as `web00[01]*`."""

    user, password = USER, PASSWORD

    def __init__(self, directory: Path, options: Options) -> None:
        self.directory = directory
        self.base = options.base
        self.servers = options.servers
        self.ca = directory / "ca.pem"
        self.client_certificate = directory / "client.pem"
        self.client_key = directory / "client.key"
        self.http_port = self.https_port = 0
        self._options = options
        self._lock = threading.Lock()

    def name(self, number: int = 1) -> str:
        """web0001.farm.test; it resolves inside `resolving()`."""
        return names.name(number)

    def address(self, number: int = 1) -> str:
        """127.10.0.1"""
        return names.address(number, self.base)

    def url(self, number: int = 1, *, https: bool = False) -> str:
        """The service's URL, by name."""
        scheme, port = ("https", self.https_port) if https else ("http", self.http_port)
        return f"{scheme}://{self.name(number)}:{port}/wsman"

    # .. behaviour ..

    def set(self, match: str = "*", **values: Any) -> None:
        """Change the servers that match; the values are the fields of `settings.Behaviour`."""
        unknown = values.keys() - asdict(Behaviour()).keys()
        if unknown:
            raise ValueError(f"a server has no {', '.join(sorted(unknown))}")
        if "fault" in values:
            fault = faults.FAULTS.get(values["fault"])
            on = "connect" if fault and fault.moment == "connection" else "*"
            values = {"on": on, "times": -1, "after": 0, "argument": 0.0, **values}
            faults.check(values["fault"], values["on"])
        if not self._ask("set", match=match, values=values):
            raise ValueError(f"no server matches {match!r}")

    def heal(self, match: str = "*") -> None:
        """Take the faults away; everything else stays as it was set."""
        self.set(match, fault="")

    def calm(self, match: str = "*") -> None:
        """Back to the behaviour of `settings.Behaviour`: no fault, no latency, the generated configuration."""
        self._ask("calm", match=match)

    def close_shells(self) -> None:
        """End all remote shells, as a restart of the WinRM service does."""
        self._ask("close_shells")

    def use_certificate(self, kind: str) -> None:
        """Show `good`, `expired`, `wrong-name` or `self-signed` on new connections."""
        self._ask("use_certificate", kind=kind)

    def prepare(self) -> int:
        """Make all answers now instead of at the first question; the bytes they have together."""
        return int(self._ask("prepare"))

    # .. what was seen ..

    def reset(self) -> None:
        """All counters to zero; scripts are forgotten. Shells and connections stay."""
        self._ask("reset")

    def stats(self) -> Stats:
        """The farm's counters."""
        return Stats(**self._ask("stats"))

    def host(self, name: str) -> Mapping[str, int]:
        """One server's counters, and its `shells_left`."""
        found: dict[str, int] = self._ask("host", name=name)
        return found

    def shells_left(self) -> int:
        """The remote shells that nobody has closed."""
        return self.stats().shells_left

    def scripts(self, name: str) -> list[bytes]:
        """What PowerShell was given to run on a server, in order: standard input where the command reads it."""
        return [base64.b64decode(script) for script in self._ask("scripts", name=name)]

    def printed(self, name: str) -> bytes:
        """What the collector prints on that server."""
        return base64.b64decode(self._ask("printed", name=name))

    @property
    def pid(self) -> int:
        """The endpoint's process."""
        return self._process.pid

    # .. process ..

    def _start(self, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(ANSWER_SECONDS)
        self._lines = self._control.makefile("rb")
        command = [sys.executable, "-W", "error", "-m", "tests.winrm", "--control", str(theirs.fileno())]
        with theirs, (self.directory / "endpoint.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the test; the endpoint ends with the control channel
            )
        ports = self._talk(asdict(self._options))
        self.http_port, self.https_port = ports["http_port"], ports["https_port"]

    def _ask(self, what: str, **arguments: Any) -> Any:
        with self._lock:
            return self._talk({"do": what, **arguments})

    def _talk(self, document: Mapping[str, Any]) -> Any:
        try:
            self._control.sendall(json.dumps(document).encode() + b"\n")
            line = self._lines.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise RuntimeError(f"the endpoint has died: {self._log()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def _log(self) -> str:
        return (self.directory / "endpoint.log").read_text(errors="replace")[-4000:]

    def _stop(self) -> str:
        """End the process; what it complained about."""
        self._lines.close()
        self._control.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "the endpoint did not end by itself"
        return self._log()


@contextlib.contextmanager
def running(
    directory: Path,
    *,
    keytab: Path | None = None,
    krb5_config: Path | None = None,
    behaviour: Mapping[str, Any] | None = None,
    latency: float = 0.0,
    **options: Any,
) -> Iterator[Farm]:
    """A farm until the end of the block; `options` are those of `settings.Options`, `behaviour` is for all servers.

    With `keytab` the servers take Kerberos tickets for every principal in it. At the end the endpoint must have
    complained about nothing; else RuntimeError. On Windows, where the endpoint does not run, tests are skipped.
    """
    if sys.platform == "win32":
        raise unittest.SkipTest("the endpoint inherits a socket and runs on Linux only")
    home = directory / "endpoint"
    farm = Farm(home, Options(directory=str(home), **options))
    addresses = [farm.address(number + 1) for number in range(min(farm.servers, _NAMED_ADDRESSES))]
    certificates.write(home, [f"*.{DOMAIN}"], addresses, USER.rpartition("\\")[2])
    (home / "accounts").write_text(_ntlm_users(farm._options.accounts))
    environment = {
        "NTLM_USER_FILE": str(home / "accounts"),
        "KRB5_KTNAME": str(keytab or home / "no.keytab"),
        "KRB5RCACHENAME": "none:",
        **({"KRB5_CONFIG": str(krb5_config)} if krb5_config else {}),
    }
    try:
        farm._start(environment)
        farm.set("*", latency=latency, **(behaviour or {}))
        yield farm
    finally:
        complaint = farm._stop()
    if complaint:
        raise RuntimeError(f"the endpoint complains: {complaint}")


def _ntlm_users(accounts: Mapping[str, str]) -> str:
    """pyspnego's user file: the hash of the usual password, any other password itself."""
    lines = []
    for name, password in accounts.items():
        domain, _, user = name.rpartition("\\")
        if password == PASSWORD:
            lines.append(f"{name}:1000:{'0' * 32}:{NT_HASH}:[U          ]:LCT-00000000\n")
        else:
            lines.append(f"{domain}:{user}:{password}\n")
    return "".join(lines)
