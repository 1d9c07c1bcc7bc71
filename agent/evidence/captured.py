"""What was captured: one `Captured` for each header, event, ticket or block of output, with the facts read from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

Kind = Literal[
    "krb-error",
    "ap-req",
    "ntlm",
    "spnego",
    "event-4",
    "event-11",
    "event-4769",
    "event-2974",
    "event-etype",
    "event-40970",
    "freb",
    "klist",
    "setspn",
    "ldif",
    "dns",
    "ipconfig",
    "iis-log",
]


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one piece of evidence says, as it is written there; None, and left out of JSON, where it says nothing.

    `server` is who tried to decrypt, `spn` what was asked for, `account` whose key encrypted (the service name of event
    4769). Times are ISO 8601 in UTC; a log has `first` and `last`, and `time` is the first. `status` is "401.1" of IIS
    or the number of event 4769, `win32_status` unsigned. `spns` are those that stand on `account`, `holders` those who
    hold `spn`; an empty tuple: nobody does. `state` is the answer of SPNEGO ("reject"), `message` which of NTLM's three
    it is ("negotiate", "challenge", "authenticate").
    """

    error_code: int | None = None
    error_name: str | None = None
    realm: str | None = None
    server: str | None = None
    spn: str | None = None
    account: str | None = None
    etype: int | None = None
    kvno: int | None = None
    time: str | None = None
    end_time: str | None = None
    client: str | None = None
    client_realm: str | None = None
    holders: tuple[str, ...] | None = None
    spns: tuple[str, ...] | None = None
    count: int | None = None
    status: str | int | None = None
    win32_status: int | None = None
    event_id: int | None = None
    host_names: tuple[str, ...] | None = None
    addresses: tuple[str, ...] | None = None
    alias_of: str | None = None
    computer: str | None = None
    domain: str | None = None
    first: str | None = None
    last: str | None = None
    state: str | None = None
    mechanisms: tuple[str, ...] | None = None
    message: str | None = None
    channel_bindings: bool | None = None

    @property
    def known(self) -> dict[str, object]:
        """The facts that it says, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Captured(Struct, frozen=True, kw_only=True):
    """One piece of evidence. `line` is where it begins, 1-based; 1 for a file without lines.

    `readable` False: it is damaged, and `facts` are those that survived. `secret`: it holds a ticket or a hash that can
    be used by whoever reads it; nothing of its text is kept.
    """

    kind: Kind
    source: str
    line: int
    readable: bool = True
    secret: bool = False
    facts: Facts = Facts()


class Unread(Struct, frozen=True):
    """What could not be read, in whole or in part, and why; `line` None where no line can be named."""

    source: str
    line: int | None
    why: str
