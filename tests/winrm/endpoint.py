"""All virtual servers in one process, and what their owner may ask of it."""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import hashlib
import random
import ssl
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spnego.channel_bindings import GssChannelBindings

from .certificates import KINDS
from .counters import Counters
from .server import Server, Tls
from .settings import Behaviour, Options

_FREE_PORTS = (20_000, 32_000)  # below those that Linux gives to clients
_TRIES = 50


class Endpoint:
    """The farm; `start` opens its ports."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.counters = Counters()
        self.servers = [Server(number, options, self.counters) for number in range(1, options.servers + 1)]
        self.use_certificate("good")

    def start(self) -> dict[str, int]:
        """Listen on the given ports, or on free ones, and tell them. Raises OSError where there are none."""
        for _ in range(_TRIES):
            http_port = self.options.http_port or random.randrange(*_FREE_PORTS)
            https_port = self.options.https_port or http_port + 1
            opened: list[Server] = []
            try:
                for server in self.servers:
                    server.open(http_port, https_port)
                    opened.append(server)
            except OSError:
                for server in opened:
                    server.shut()
                if self.options.http_port and self.options.https_port:
                    raise
            else:
                return {"http_port": http_port, "https_port": https_port}
        raise OSError("no free ports")

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(server.close() for server in self.servers))

    # .. what the owner asks ..

    def do_set(self, match: str, values: dict[str, Any]) -> int:
        """Change the behaviour of the servers whose short name matches; how many there are."""
        found = self._matching(match)
        for server in found:
            server.set(values)
        return len(found)

    def do_calm(self, match: str) -> int:
        """Give them back the behaviour they began with."""
        return self.do_set(match, asdict(Behaviour()))

    def do_reset(self) -> None:
        """All counters to zero; scripts are forgotten."""
        self.counters.reset()
        for server in self.servers:
            server.scripts.clear()

    def do_stats(self) -> dict[str, Any]:
        """The farm's counters."""
        return {**self.counters.document(), "shells_left": sum(len(server.service.shells) for server in self.servers)}

    def do_host(self, name: str) -> dict[str, int]:
        """One server's counters."""
        (server,) = self._matching(name)
        return {**self.counters.of_server[server.short], "shells_left": len(server.service.shells)}

    def do_scripts(self, name: str) -> list[str]:
        """The scripts that one server was given, in base64."""
        (server,) = self._matching(name)
        return [base64.b64encode(script).decode() for script in server.scripts]

    def do_printed(self, name: str) -> str:
        """What the collector prints on one server, in base64."""
        (server,) = self._matching(name)
        return base64.b64encode(server.printed()).decode()

    def do_prepare(self) -> int:
        """Make all answers now; the bytes they have."""
        return sum(len(server.printed()) for server in self.servers)

    def do_close_shells(self) -> None:
        """End all shells."""
        for server in self.servers:
            server.service.close()

    def do_use_certificate(self, kind: str) -> None:
        """Show another certificate from now on."""
        self.use_certificate(kind)

    def _matching(self, pattern: str) -> list[Server]:
        short = pattern.lower().partition(".")[0]
        return [server for server in self.servers if fnmatch.fnmatchcase(server.short, short)]

    def use_certificate(self, kind: str) -> None:
        """Show this one of KINDS on every new connection."""
        if kind not in KINDS:
            raise ValueError(f"no certificate {kind!r}; there are {', '.join(KINDS)}")
        directory = Path(self.options.directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / f"{kind}.pem")
        context.load_verify_locations(directory / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        bindings = None
        if self.options.channel_bindings == "strict":
            text = (directory / f"{kind}.pem").read_text()
            end = "-----END CERTIFICATE-----"
            shown = ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])
            # RFC 5929: the hash of the certificate's own signature, SHA-256 here.
            bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(shown).digest())
        for server in self.servers:
            server.tls = Tls(context, bindings)
