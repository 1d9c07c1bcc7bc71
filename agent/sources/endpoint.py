"""Where one server's WinRM service is asked, and how: what the command line and the inventory agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Transport = Literal["auto", "kerberos", "ntlm", "credssp", "certificate", "basic"]
"""`auto`: Kerberos where a ticket can be had, else (with a user) NTLM; on Windows the operating system chooses."""

HTTP_PORT, HTTPS_PORT = 5985, 5986


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One WinRM service. `name` is what people call the server, `host` what is connected to.

    `kerberos_host` is the name asked of the KDC where that is not `host`; `user` None means the user of the run.
    """

    name: str
    host: str
    port: int = HTTP_PORT
    tls: bool = False
    transport: Transport = "auto"
    user: str | None = None
    kerberos_host: str | None = None
