"""The five changes that somebody wants most often, as files: servers, directory, zone, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import inputs
from inputs import Inputs
from worlds import ad, app, computer, entry, readers, server, sid, site, user

from agent.iis.snapshot import Snapshot

ADDRESSES = "iis01 A 10.0.5.2; iis02 A 10.0.5.3"
VIP = "10.0.0.100"
"""The load balancer's address."""


@dataclass(frozen=True)
class Change:
    """What is there today, and the want.toml."""

    servers: Sequence[Snapshot]
    ad: str
    want: str
    dns: str | None = None
    said: Mapping[str, object] = field(default_factory=dict)

    def written(self, folder: Path) -> Inputs:
        given = inputs.written(folder, self.servers, ad=self.ad, dns=self.dns, **self.said)  # type: ignore[arg-type]
        (folder / "want.toml").write_text(self.want, encoding="utf-8")
        return given


def want(host: str, *servers: str, **said: object) -> str:
    """One `[[want]]`."""
    listed = ", ".join(f'"{name}"' for name in servers)
    lines = ["[[want]]", f'host = "{host}"', f"servers = [{listed}]"]
    for key, value in said.items():
        lines.append(f"{key} = {str(value).lower()}" if isinstance(value, bool) else f"{key} = '{value}'")
    return "\n".join([*lines, "", ""])


def gmsa(name: str = "gmsaWeb$", *spns: str, read_by: Sequence[int] | None = (), **said: object) -> str:
    """A group managed service account that these may read, by relative identifier; None: not exported."""
    more = {} if read_by is None else {"msDS_GroupMSAMembership": readers(*read_by)}
    return entry(name, *spns, kind="gMSA", objectSid=sid(1200), **more, **said)


def node(name: str, *spns: str, **said: object) -> str:
    """A computer with a SID: IIS01 has S-1-5-21-1-2-3-1101."""
    return computer(name, *spns, objectSid=sid(1100 + int(name[-1])), **said)


PORTAL = site("*:80:portal.test.com", name="Portal", apps=[app("/", "Portal")])
BUILT_IN = {"Portal": "NetworkService"}

KINDS = {
    "network-service-to-gmsa": Change(
        [server(PORTAL, pools=BUILT_IN)],
        ad(node("IIS01", "HTTP/portal.test.com", "HTTP/portal"), gmsa()),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal A 10.0.5.2",
    ),
    "one-server-to-two": Change(
        [server(PORTAL, pools=BUILT_IN), server(PORTAL, name="IIS02", pools=BUILT_IN)],
        ad(node("IIS01", "HTTP/portal.test.com", "HTTP/portal"), node("IIS02"), gmsa(read_by=[1101])),
        want("portal.test.com", "IIS01", "IIS02", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal A 10.0.5.2",
    ),
    "new-name": Change(
        [server(PORTAL, pools={"Portal": r"TEST\svc"}, creds=True)],
        ad(node("IIS01"), user("svc", "HTTP/portal.test.com", "HTTP/portal")),
        want("start.test.com", "IIS01", site="Portal", account=r"TEST\svc"),
        f"{ADDRESSES}; portal A 10.0.5.2",
    ),
    "off-a-machine-name": Change(
        [server(site("*:80:", name="Portal", apps=[app("/", "Portal")]), pools=BUILT_IN)],
        ad(node("IIS01"), gmsa(read_by=[1101])),
        want("portal.test.com", "IIS01", site="Portal", account=r"TEST\gmsaWeb$"),
        ADDRESSES,
    ),
    "old-account-to-new": Change(
        [
            server(
                PORTAL,
                site("*:80:reports.test.com", name="Reports", apps=[app("/", "Portal")]),
                pools={"Portal": r"TEST\old"},
                creds=True,
            )
        ],
        ad(
            node("IIS01"),
            user("old", "HTTP/portal.test.com", "HTTP/portal", "HTTP/reports.test.com"),
            user("new"),
            gmsa(read_by=[1101]),
        ),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal A 10.0.5.2; reports A 10.0.5.2",
    ),
}

CHANGES = {
    **KINDS,
    "other-server": Change(
        [server(PORTAL, pools=BUILT_IN), server(PORTAL, name="IIS02", pools=BUILT_IN)],
        ad(node("IIS01", "HTTP/portal.test.com", "HTTP/portal"), node("IIS02"), gmsa(read_by=[1102])),
        want("portal.test.com", "IIS02", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal A 10.0.5.2",
    ),
    "alias-of-the-computer": Change(
        [server(PORTAL, pools=BUILT_IN)],
        ad(node("IIS01"), gmsa(read_by=[1101])),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal CNAME iis01",
    ),
    "two-names-of-one-site": Change(
        [server(PORTAL, pools=BUILT_IN)],
        ad(node("IIS01", "HTTP/portal.test.com", "HTTP/portal"), gmsa()),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$")
        + want("start.test.com", "IIS01", site="Portal", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; portal A 10.0.5.2",
    ),
}
"""What is reached by the steps."""

HELD_BACK = {
    "neighbour-by-host": Change(
        [server(PORTAL, site("*:80:", name="Default", apps=[app("/", "Portal")]), pools=BUILT_IN, creds=True)],
        ad(node("IIS01", "HTTP/portal.test.com"), gmsa(read_by=[1101])),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$", site="Portal"),
    ),
    "answered-elsewhere": Change(
        [server(PORTAL, pools=BUILT_IN), server(PORTAL, name="IIS02", pools=BUILT_IN)],
        ad(node("IIS01", "HTTP/portal.test.com"), node("IIS02"), gmsa(read_by=[1101])),
        want("portal.test.com", "IIS01", account=r"TEST\gmsaWeb$"),
    ),
    "behind-the-balancer-too": Change(
        [server(PORTAL, name=name, pools=BUILT_IN) for name in ("IIS01", "IIS02", "IIS03")],
        ad(node("IIS01", "HTTP/portal.test.com"), node("IIS02"), node("IIS03"), gmsa(read_by=[1101, 1102])),
        want("portal.test.com", "IIS01", "IIS02", account=r"TEST\gmsaWeb$"),
        f"{ADDRESSES}; iis03 A 10.0.5.4; portal A 10.0.5.2",
    ),
}
"""What would break somebody."""
