"""The article's scenarios and the rows of the truth table that one Samba domain can express, as data and as servers.

`~` in any text becomes a mark of the row's own (`contoso~` is `contoso-07`), `%` in DNS records its number: all rows
live in one directory and do not disturb each other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from xml.sax.saxutils import quoteattr

from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.model import Outcome
from agent.names import host_name
from agent.sources.dns import zone
from agent.spn.clients import CLIENTS, DEFAULT_CLIENTS
from agent.spn.computer_names import FarmName
from agent.spn.directory import AskDirectory

from .samba import (
    Change,
    DomainController,
    add_spn,
    computer,
    create,
    delete,
    managed_account,
    password_of,
    replace_spns,
    set_attribute,
    user,
)

KERBEROS, MODIFIED, NO_TICKET = "kerberos", "modified", "no-ticket"
KIND_OF: Mapping[Outcome, str] = {
    "kerberos": KERBEROS,
    "modified": MODIFIED,
    "ntlm-fallback": NO_TICKET,
    "duplicate": NO_TICKET,
}
"""What the KDC must show for what the program predicts; other outcomes predict nothing that it could show."""

VERDICTS = {
    "OK_KERBEROS": {KERBEROS},
    "OK_KERBEROS_WITH_SIDE_EFFECT": {KERBEROS},
    "NTLM_FALLBACK": {NO_TICKET},
    "FAIL_DUPLICATE": {NO_TICKET},
    "FAIL_MODIFIED": {MODIFIED},
    "DECRYPTS_AS_COMPUTER": {KERBEROS},  # the row's question is who: the SPN is put there
    "DECRYPTS_AS_POOL_ACCOUNT": {KERBEROS},
}
"""The truth table's verdicts that a KDC can confirm; the others (WARN, INFO, CONFLICT) say nothing of tickets."""

POOL = "TEST\\contososvc~"
OTHER = "TEST\\othersvc~"
GMSA = "TEST\\gmsaWeb~$"
BUILT_IN = ("NetworkService", "LocalSystem", "LocalService", "ApplicationPoolIdentity")

CUSTOM = "HTTP/contoso~.test.com"
OWN = "HTTP/iis01~.test.com"
BOTH_CUSTOM = ("HTTP/contoso~", CUSTOM)
BOTH_OWN = ("HTTP/IIS01~", OWN)
PORTAL = "HTTP/portal~.test.com"
BOTH_PORTAL = ("HTTP/portal~", PORTAL)

HEADER = ("http *:80:contoso~.test.com", "https *:443:contoso~.test.com")
PLAIN = ("http *:80:",)

SERVER_DNS = "iis01~ A 10.0.%.5"
CUSTOM_DNS = f"{SERVER_DNS}\ncontoso~ A 10.0.%.5"
CNAME_DNS = f"{SERVER_DNS}\ncontoso~ CNAME iis01~"
FARM_DNS = f"{SERVER_DNS}\niis02~ A 10.0.%.6\nportal~ A 10.0.%.100"


# -- servers -------------------------------------------------------------------------------------------------------


class App(NamedTuple):
    """One application: its pool's identity (a user, or a built-in type) and the two attributes; None: not written."""

    path: str = "/"
    identity: str = POOL
    kernel: bool | None = True
    credentials: bool | None = False
    windows: bool = True
    left_over: str = ""
    """A userName that stays in the file although the type is a built-in one."""
    anonymous: bool = False


class Site(NamedTuple):
    bindings: tuple[str, ...]
    apps: tuple[App, ...]


class Server(NamedTuple):
    sites: tuple[Site, ...]
    name: str = "IIS01~"
    full_name: str = "iis01~.test.com"
    address: str = "10.0.%.5"
    domain_controller: bool = False


def server(
    kernel: bool | None, credentials: bool | None, identity: str = POOL, bindings: Sequence[str] = HEADER, **more: Any
) -> Server:
    """A server with one site of one application."""
    app = App(identity=identity, kernel=kernel, credentials=credentials, left_over=more.pop("left_over", ""))
    return Server((Site(tuple(bindings), (app,)),), **more)


# -- rows ----------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One row. `sees`: what a client that asks for `asks` gets, by the account that decrypts (sAMAccountName)."""

    id: str
    verdict: str
    asks: str
    sees: dict[str, str]
    servers: tuple[Server, ...]
    spns: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never changed
    dns: str = CUSTOM_DNS
    zones: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ("http://contoso~.test.com/",)
    client: str = "edge"
    farm: tuple[tuple[str, tuple[str, ...]], ...] = ()
    raw: bool = False
    """The SPNs go past the checks of Samba, which refuses duplicates and what is not an SPN."""
    attributes: dict[str, dict[str, str | bytes]] = {}  # noqa: RUF012
    protected: tuple[str, ...] = ()
    """Members of Protected Users."""
    deleted: tuple[str, ...] = ()
    says: dict[str, str] = {}  # noqa: RUF012
    """What the program must say of an SPN where no ticket can confirm it: "uncertain" claims nothing, whatever is seen,
    "impossible" is about a pool that does not start."""
    number: int = 0


POOL_SAM, OTHER_SAM, IIS01, IIS02, GMSA_SAM = "contososvc~", "othersvc~", "IIS01~$", "IIS02~$", "gmsaWeb~$"
OWN_URLS = ("http://IIS01~/", "http://iis01~.test.com/")


def _seed() -> Iterator[Row]:
    """The article: reference scenarios 1 to 8, wrong configurations 1 to 3, the duplicate and the CNAME."""
    own = {"urls": OWN_URLS, "dns": SERVER_DNS, "asks": OWN}
    custom = {"asks": CUSTOM}
    kernel_own, kernel_custom = server(True, False, bindings=PLAIN), server(True, False)
    pool_own, pool_custom = server(True, True, bindings=PLAIN), server(True, True)
    user_own, user_custom = server(False, None, bindings=PLAIN), server(False, None)
    machine_own = server(False, None, "NetworkService", PLAIN)
    machine_custom = server(False, None, "NetworkService")
    computer_works, pool_works = {IIS01: KERBEROS}, {POOL_SAM: KERBEROS}
    yield Row("SEED-S1", "OK_KERBEROS", sees=computer_works, servers=(kernel_own,), **own)
    yield Row("SEED-S2", "NTLM_FALLBACK", sees={IIS01: NO_TICKET}, servers=(kernel_custom,), **custom)
    yield Row(
        "SEED-S2-OK", "OK_KERBEROS", sees=computer_works, servers=(kernel_custom,), spns={IIS01: BOTH_CUSTOM}, **custom
    )
    yield Row("SEED-S3", "OK_KERBEROS", sees=pool_works, servers=(pool_custom,), spns={POOL_SAM: BOTH_CUSTOM}, **custom)
    side_effect = "OK_KERBEROS_WITH_SIDE_EFFECT"
    yield Row("SEED-S4", side_effect, sees=pool_works, servers=(pool_own,), spns={POOL_SAM: BOTH_OWN}, **own)
    yield Row("SEED-S5", "OK_KERBEROS", sees=pool_works, servers=(user_custom,), spns={POOL_SAM: BOTH_CUSTOM}, **custom)
    broken = {POOL_SAM: MODIFIED}
    yield Row("SEED-S6", "FAIL_MODIFIED", sees=broken, servers=(user_own,), spns={POOL_SAM: BOTH_OWN[:1]}, **own)
    yield Row("SEED-S6-OK", side_effect, sees=pool_works, servers=(user_own,), spns={POOL_SAM: BOTH_OWN}, **own)
    yield Row(
        "SEED-S7", "OK_KERBEROS", sees=computer_works, servers=(machine_custom,), spns={IIS01: BOTH_CUSTOM}, **custom
    )
    yield Row("SEED-S8", "OK_KERBEROS", sees=computer_works, servers=(machine_own,), **own)
    extra = server(True, True, "ApplicationPoolIdentity")
    yield Row("extra-1", "OK_KERBEROS", sees=computer_works, servers=(server(True, True, "LocalSystem", PLAIN),), **own)
    yield Row("extra-2", "OK_KERBEROS", sees=computer_works, servers=(extra,), spns={IIS01: BOTH_CUSTOM}, **custom)
    yield Row(
        "SEED-W1", "FAIL_MODIFIED", sees={IIS01: MODIFIED}, servers=(kernel_own,), spns={POOL_SAM: BOTH_OWN}, **own
    )
    yield Row(
        "SEED-W2",
        "FAIL_MODIFIED",
        sees={IIS01: MODIFIED},
        servers=(kernel_custom,),
        spns={POOL_SAM: BOTH_CUSTOM},
        **custom,
    )
    yield Row("SEED-W3A", "FAIL_MODIFIED", sees=broken, servers=(pool_own,), **own)
    yield Row("SEED-W3B", "FAIL_MODIFIED", sees=broken, servers=(pool_own,), spns={IIS01: BOTH_OWN}, **own)
    yield Row(
        "SEED-DUP",
        "FAIL_DUPLICATE",
        sees={POOL_SAM: NO_TICKET},
        servers=(pool_custom,),
        spns={POOL_SAM: (CUSTOM,), OTHER_SAM: (CUSTOM,)},
        raw=True,
        **custom,
    )
    yield Row(
        "SEED-CNAME",
        "FAIL_MODIFIED",
        asks=OWN,
        sees=broken,
        servers=(server(True, True, bindings=("http *:80:contoso~", "http *:80:contoso~.test.com")),),
        spns={POOL_SAM: (CUSTOM,)},
        dns=CNAME_DNS,
        urls=("http://contoso~/", "http://contoso~.test.com/"),
    )


def _decryptors() -> Iterator[Row]:
    """Who decrypts: the SPN stands there, so that only a wrong answer of the program can fail."""
    computer_rows = {
        "DEC-02": server(True, False, "NetworkService"),
        "DEC-03": server(True, False, "ApplicationPoolIdentity"),
        "DEC-04": server(True, False, "LocalService"),
        "DEC-06": server(True, False, GMSA),
        "DEC-07": server(True, False, "IIS01~\\localweb"),
        "DEC-12": server(True, True, "NetworkService"),
        "DEC-13": server(True, True, "LocalSystem"),
        "DEC-17": server(False, None, "ApplicationPoolIdentity"),
        "DEC-35": server(None, None, "ApplicationPoolIdentity"),
        "DEC-36": server(True, True, "ApplicationPoolIdentity", left_over=POOL),
    }
    for row, made in computer_rows.items():
        yield Row(row, "DECRYPTS_AS_COMPUTER", CUSTOM, {IIS01: KERBEROS}, (made,), {IIS01: BOTH_CUSTOM})
    pool_rows = {
        "DEC-08": (server(True, True), POOL_SAM),
        "DEC-09": (server(True, True, GMSA), GMSA_SAM),
        "DEC-10": (server(True, True, "TEST\\smsaWeb~$"), "smsaWeb~$"),
        "DEC-19": (server(False, None), POOL_SAM),
        "DEC-20": (server(False, None, GMSA), GMSA_SAM),
        "DEC-23": (server(False, None, "webpool~@test.com"), POOL_SAM),
    }
    for row, (made, account) in pool_rows.items():
        other_upn = {POOL_SAM: {"userPrincipalName": "webpool~@test.com"}} if row == "DEC-23" else {}
        yield Row(
            row,
            "DECRYPTS_AS_POOL_ACCOUNT",
            CUSTOM,
            {account: KERBEROS},
            (made,),
            {account: BOTH_CUSTOM},
            attributes=other_upn,
        )
    controller = server(True, False, name="DC1", full_name="dc1.test.com", address="10.0.%.5", domain_controller=True)
    dns = "dc1 A 10.0.%.5\ncontoso~ A 10.0.%.5"
    yield Row("DEC-29", "DECRYPTS_AS_COMPUTER", CUSTOM, {"DC1$": KERBEROS}, (controller,), {"DC1$": BOTH_CUSTOM}, dns)


def _hosts() -> Iterator[Row]:
    """Names, DNS and ports."""
    pool = (server(True, True),)
    works, fails = {POOL_SAM: KERBEROS}, {POOL_SAM: NO_TICKET}
    yield Row("HOST-01", "OK_KERBEROS", CUSTOM, works, pool, {POOL_SAM: (CUSTOM,)})
    yield Row("HOST-02", "NTLM_FALLBACK", CUSTOM, fails, pool)
    yield Row(
        "HOST-05",
        "NTLM_FALLBACK",
        "HTTP/hr.apps~.test.com",
        fails,
        (server(True, True, bindings=("http *:80:*.apps~.test.com",)),),
        {POOL_SAM: ("HTTP/*.apps~.test.com",)},
        f"{SERVER_DNS}\nhr.apps~ A 10.0.%.5",
        urls=("http://hr.apps~.test.com/",),
        raw=True,
    )
    own = server(True, False, "ApplicationPoolIdentity", PLAIN)
    yield Row("HOST-06", "OK_KERBEROS", OWN, {IIS01: KERBEROS}, (own,), dns=SERVER_DNS, urls=OWN_URLS)
    yield Row("HOST-08", "OK_KERBEROS", OWN, {IIS01: KERBEROS}, (own,), dns=CNAME_DNS)
    yield Row(
        "HOST-09",
        "NTLM_FALLBACK",
        "HTTP/vip-17.lb~.test.com",
        fails,
        (server(True, True, bindings=("http *:80:portal~.test.com",)),),
        {POOL_SAM: (PORTAL,)},
        f"{SERVER_DNS}\nportal~ CNAME vip-17.lb~\nvip-17.lb~ A 10.0.%.9",
        urls=("http://portal~.test.com/",),
        farm=(("portal~.test.com", ("IIS01~",)),),
    )
    yield Row(
        "HOST-10",
        "NTLM_FALLBACK",
        "HTTP/c~.test.com",
        fails,
        (server(True, True, bindings=("http *:80:a~.test.com",)),),
        {POOL_SAM: ("HTTP/a~.test.com", "HTTP/b~.test.com")},
        f"{SERVER_DNS}\na~ CNAME b~\nb~ CNAME c~\nc~ A 10.0.%.5",
        urls=("http://a~.test.com/",),
    )
    yield Row(
        "HOST-13",
        "NTLM_FALLBACK",
        CUSTOM,
        fails,
        pool,
        {POOL_SAM: ("HTTPS/contoso~.test.com",)},
        urls=("https://contoso~.test.com/",),
    )
    port = (server(True, True, bindings=("http *:8080:contoso~.test.com",)),)
    at_port = ("http://contoso~.test.com:8080/",)
    yield Row("HOST-14", "NTLM_FALLBACK", CUSTOM, fails, port, {POOL_SAM: (f"{CUSTOM}:8080",)}, urls=at_port)
    yield Row(
        "HOST-15",
        "NTLM_FALLBACK",
        f"{CUSTOM}:8080",
        fails,
        port,
        {POOL_SAM: (CUSTOM,)},
        urls=at_port,
        client="edge-port",
    )
    yield Row(
        "HOST-16",
        "NTLM_FALLBACK",
        f"{OWN}:8080",
        {IIS01: NO_TICKET},
        (server(True, False, "ApplicationPoolIdentity", ("http *:8080:",)),),
        dns=SERVER_DNS,
        urls=("http://iis01~.test.com:8080/",),
        client="edge-port",
    )
    branch = "iis01~.branch.test.net"
    yield Row(
        "HOST-17",
        "OK_KERBEROS",
        f"HTTP/{branch}",
        {IIS01: KERBEROS},
        (server(True, False, bindings=PLAIN, full_name=branch),),
        {IIS01: ("HOST/IIS01~", f"HOST/{branch}")},
        "",
        (("branch.test.net", SERVER_DNS),),
        urls=(f"http://{branch}/", "http://IIS01~/"),
        attributes={IIS01: {"dNSHostName": branch}},
    )
    long_name, account = "averylongservername.test.com", "AVERYLONGSERVER$"
    yield Row(
        "HOST-18",
        "OK_KERBEROS",
        f"HTTP/{long_name}",
        {account: KERBEROS},
        (server(True, False, bindings=PLAIN, name="AVERYLONGSERVER", full_name=long_name),),
        {account: ("HOST/AVERYLONGSERVER", f"HOST/{long_name}")},
        "averylongservername A 10.0.%.5",
        urls=("http://averylongservername/", f"http://{long_name}/"),
        attributes={account: {"dNSHostName": long_name}},
    )
    dotted = ("http://contoso~.test.com./",)
    dotted_too = (server(True, True, bindings=(*HEADER, "http *:80:contoso~.test.com.")),)
    yield Row("HOST-20", "UNCERTAIN", CUSTOM, works, dotted_too, {POOL_SAM: (CUSTOM,)}, urls=dotted)
    yield Row(
        "HOST-22",
        "OK_KERBEROS",
        "HTTP/my_app~.test.com",
        works,
        (server(True, True, bindings=("http *:80:my_app~.test.com",)),),
        {POOL_SAM: ("HTTP/my_app~.test.com",)},
        f"{SERVER_DNS}\nmy_app~ A 10.0.%.5",
        urls=("http://my_app~.test.com/",),
    )
    realm, three = f"{CUSTOM}@TEST.COM", f"{CUSTOM}/test.com"
    yield Row("HOST-23", "NTLM_FALLBACK", CUSTOM, fails, pool, {POOL_SAM: (realm,)}, raw=True)
    yield Row("HOST-24", "NTLM_FALLBACK", CUSTOM, fails, pool, {POOL_SAM: (three,)}, raw=True)


def _odd_holders() -> Iterator[Row]:
    """Not in the table: what HOST-05, 13, 14, 23 and 24 store, on an account that no server names."""
    apps = server(True, True, bindings=("http *:80:*.apps~.test.com",))
    apps_dns = f"{SERVER_DNS}\nhr.apps~ A 10.0.%.5"
    for row, text in (
        ("wildcard", "HTTP/*.apps~.test.com"),
        ("HTTPS", "HTTPS/contoso~.test.com"),
        ("port", f"{CUSTOM}:8080"),
        ("realm", f"{CUSTOM}@TEST.COM"),
        ("short realm", "HTTP/contoso~@TEST.COM"),
        ("three parts", f"{CUSTOM}/test.com"),
        ("short three", "HTTP/contoso~/test.com"),
        ("URL", "http://contoso~.test.com/"),
    ):
        wild = row == "wildcard"
        yield Row(
            row,
            "NTLM_FALLBACK",
            "HTTP/hr.apps~.test.com" if wild else CUSTOM,
            {POOL_SAM: NO_TICKET},
            (apps if wild else server(True, True),),
            {OTHER_SAM: (text,)},
            apps_dns if wild else CUSTOM_DNS,
            urls=("http://hr.apps~.test.com/",) if wild else ("http://contoso~.test.com/",),
            raw=True,
        )


def _holders() -> Iterator[Row]:
    """How the KDC picks."""
    pool = (server(True, True),)
    stale = {"OLDSRV~$": ("HOST/OLDSRV~", "HOST/oldsrv~.test.com", "HOST/contoso~.test.com")}
    yield Row("KDC-02", "FAIL_MODIFIED", CUSTOM, {POOL_SAM: MODIFIED}, pool, stale)
    yield Row(
        "KDC-07",
        "NTLM_FALLBACK",
        CUSTOM,
        {POOL_SAM: NO_TICKET},
        pool,
        {OTHER_SAM: BOTH_CUSTOM},
        deleted=(OTHER_SAM,),
    )
    yield Row(
        "KDC-11",
        "WARN",
        CUSTOM,
        {POOL_SAM: KERBEROS},
        # Windows compares without zero-width characters: there `othersvc` comes with the answer, here by its name
        (Server((Site(HEADER, (App(credentials=True), App("/open", OTHER, windows=False))),)),),
        {POOL_SAM: (CUSTOM,), OTHER_SAM: ("HTTP/conto\u200bso~.test.com",)},
        raw=True,
    )
    host = ("HOST/IIS01~", "HOST/iis01~.test.com", "HOST/contoso~", "HOST/contoso~.test.com")
    yield Row(
        "KDC-16",
        "OK_KERBEROS",
        CUSTOM,
        {IIS01: KERBEROS},
        (server(True, False),),
        {IIS01: host},
        attributes={IIS01: {"msDS-AdditionalDnsHostName": "contoso~.test.com"}},
    )


def _clients() -> Iterator[Row]:
    """What each kind asks for, at `http://contoso:8080` with the alias: the computer decrypts and holds no HTTP/."""
    made = (server(True, False, bindings=("http *:8080:",)),)
    asked = {
        "CLI-01": ("ie", OWN),
        "CLI-02": ("edge", OWN),
        "CLI-03": ("chrome-nocname", "HTTP/contoso~"),
        "CLI-04": ("edge-port", f"{OWN}:8080"),
        "CLI-05": ("firefox", OWN),
        "CLI-07": ("dotnetframework", OWN),
        "CLI-13": ("curl-sspi", "HTTP/contoso~"),
    }
    for row, (client, name) in asked.items():
        sees = {IIS01: KERBEROS if name == OWN else NO_TICKET}
        yield Row(row, "INFO", name, sees, made, dns=CNAME_DNS, urls=("http://contoso~:8080/",), client=client)
    pointer = (("%.0.10.in-addr.arpa", "5 PTR web~.test.com."),)
    pointer_dns = f"{CNAME_DNS}\nweb~ A 10.0.%.5"
    for row, name, zones in (
        ("CLI-06", OWN, (("%.0.10.in-addr.arpa", "5 PTR iis01~.test.com."),)),
        ("CLI-14", "HTTP/web~.test.com", pointer),
    ):
        yield Row(
            row,
            "INFO",
            name,
            {IIS01: KERBEROS},
            made,
            {IIS01: ("HTTP/web~.test.com",)},
            pointer_dns if zones is pointer else CNAME_DNS,
            zones,
            ("http://contoso~:8080/",),
            "curl-mit",
        )


def _farms() -> Iterator[Row]:
    """Several servers or several identities behind one name."""
    farm = (("portal~.test.com", ("IIS01~", "IIS02~")),)
    common = {"dns": FARM_DNS, "farm": farm, "urls": ("http://portal~.test.com/",)}
    second = {"name": "IIS02~", "full_name": "iis02~.test.com", "address": "10.0.%.6"}
    header = ("http *:80:portal~.test.com",)

    def nodes(kernel: bool, first: bool, other: bool, identity: str) -> tuple[Server, ...]:
        return (server(kernel, first, identity, header), server(kernel, other, identity, header, **second))

    machines = nodes(True, False, False, "ApplicationPoolIdentity")
    each = {IIS01: BOTH_PORTAL, IIS02: BOTH_PORTAL}
    duplicate = {IIS01: NO_TICKET, IIS02: NO_TICKET}
    yield Row("FARM-01", "FAIL_DUPLICATE", PORTAL, duplicate, machines, each, raw=True, **common)
    lucky = {IIS01: KERBEROS, IIS02: MODIFIED}
    yield Row("FARM-02", "FAIL_MODIFIED", PORTAL, lucky, machines, {IIS01: BOTH_PORTAL}, **common)
    on_pool = {POOL_SAM: BOTH_PORTAL}
    differing = {POOL_SAM: KERBEROS, IIS02: MODIFIED}
    yield Row("FARM-04", "FAIL_MODIFIED", PORTAL, differing, nodes(True, True, False, POOL), on_pool, **common)
    managed = nodes(True, True, True, GMSA)
    works = {GMSA_SAM: KERBEROS}
    yield Row("FARM-06", "WARN", PORTAL, works, managed, {GMSA_SAM: BOTH_PORTAL}, **common)
    node = (server(True, True, bindings=PLAIN), server(True, True, bindings=PLAIN, **second))
    own = {**common, "urls": ("http://iis01~.test.com/",)}
    yield Row("FARM-07", "FAIL_MODIFIED", OWN, {POOL_SAM: MODIFIED}, node, on_pool, **own)

    def two(first: App, other: App) -> tuple[Server, ...]:
        return (Server((Site(HEADER, (App(windows=False), first, other)),)),)

    below = {"urls": ("http://contoso~.test.com/a", "http://contoso~.test.com/b")}
    custom = {POOL_SAM: BOTH_CUSTOM}
    conflict = two(App("/a", credentials=True), App("/b", OTHER, credentials=True))
    sees = {POOL_SAM: KERBEROS, OTHER_SAM: MODIFIED}
    yield Row("FARM-09", "CONFLICT", CUSTOM, sees, conflict, {**custom, OTHER_SAM: ()}, **below)
    kernel = two(App("/a"), App("/b", OTHER))
    yield Row("FARM-11", "OK_KERBEROS", CUSTOM, {IIS01: KERBEROS}, kernel, {IIS01: BOTH_CUSTOM}, **below)
    legacy = (Server((Site(HEADER, (App(credentials=True), App("/legacy", credentials=False))),)),)
    sees = {POOL_SAM: KERBEROS, IIS01: MODIFIED}
    legacy_urls = ("http://contoso~.test.com/", "http://contoso~.test.com/legacy")
    yield Row("FARM-12", "CONFLICT", CUSTOM, sees, legacy, custom, urls=legacy_urls)
    public = two(App("/a", credentials=True), App("/public", OTHER, credentials=True, windows=False))
    yield Row(
        "FARM-13", "OK_KERBEROS", CUSTOM, {POOL_SAM: KERBEROS}, public, custom, urls=("http://contoso~.test.com/a",)
    )


def _neighbours() -> Iterator[Row]:
    """One SPN serves every http.sys program of a machine: WinRM and SSRS stand here as sites of their own."""
    web = Site(PLAIN, (App(credentials=True),))
    windows_management = Site(("http *:5985:",), (App("/", "NetworkService"),))
    yield Row(
        "SIDE-01",
        "FAIL_MODIFIED",
        OWN,
        {POOL_SAM: KERBEROS, IIS01: MODIFIED},
        (Server((web, windows_management)),),
        {POOL_SAM: BOTH_OWN},
        SERVER_DNS,
        urls=("http://iis01~.test.com/", "http://iis01~.test.com:5985/"),
    )
    both = Site(PLAIN, (App(credentials=True), App("/reports", OTHER, credentials=True)))
    yield Row(
        "SIDE-02",
        "CONFLICT",
        OWN,
        {POOL_SAM: KERBEROS, OTHER_SAM: MODIFIED},
        (Server((both,)),),
        {POOL_SAM: BOTH_OWN, OTHER_SAM: ()},
        SERVER_DNS,
        urls=("http://iis01~.test.com/", "http://iis01~.test.com/reports"),
    )


def _side_remarks() -> Iterator[Row]:
    """Rows whose remark changes nothing for the ticket; they bring attributes that findings are made of."""
    pool, kernel, on_pool = (server(True, True),), (server(True, False),), {POOL_SAM: BOTH_CUSTOM}
    works = {POOL_SAM: KERBEROS}
    delegating = str(0x200 | 0x10000 | 0x80000)
    anonymous = (Server((Site(HEADER, (App(credentials=True, anonymous=True),)),)),)
    yield Row("IIS-04", "WARN", CUSTOM, works, anonymous, on_pool)
    yield Row("IIS-10", "WARN", CUSTOM, {IIS01: KERBEROS}, kernel, {IIS01: BOTH_CUSTOM})
    protected = (POOL_SAM,)
    yield Row("OTH-08", "WARN", CUSTOM, works, pool, on_pool, protected=protected)
    for row, values in (
        ("DEL-01", {"userAccountControl": delegating}),
        ("DEL-02", {"msDS-AllowedToDelegateTo": "HTTP/nobody~.test.com"}),
    ):
        yield Row(row, "WARN", CUSTOM, works, pool, on_pool, attributes={POOL_SAM: values})


def _little_known() -> Iterator[Row]:
    """Not in the table: names and accounts of which a part is not known, or known not to be there."""
    pool, out = (server(True, True),), "HTTP/web~.cloud.example"
    portal = (server(True, True, bindings=("http *:80:portal~.test.com",)),)
    leads_out = f"{SERVER_DNS}\nportal~ CNAME web~.cloud.example."
    at_portal = {"dns": leads_out, "urls": ("http://portal~.test.com/",), "says": {out: "uncertain"}}
    missing, held = {POOL_SAM: BOTH_PORTAL}, {POOL_SAM: (*BOTH_PORTAL, out)}
    yield Row("alias-out", "UNCERTAIN", out, {POOL_SAM: NO_TICKET}, portal, missing, **at_portal)
    yield Row("alias-held", "UNCERTAIN", out, {POOL_SAM: KERBEROS}, portal, held, **at_portal)

    name, header = "HTTP/hr.apps~.test.com", ("http *:80:hr.apps~.test.com",)
    at_apps = {"urls": ("http://hr.apps~.test.com/",)}
    address, alias = f"{SERVER_DNS}\n*.apps~ A 10.0.%.5", f"{SERVER_DNS}\n*.apps~ CNAME iis01~"
    apps, on_pool = (server(True, True, bindings=header),), {POOL_SAM: (name,)}
    yield Row("wildcard-A", "OK_KERBEROS", name, {POOL_SAM: KERBEROS}, apps, on_pool, address, **at_apps)
    yield Row("wild-alias", "FAIL_MODIFIED", OWN, {POOL_SAM: MODIFIED}, apps, on_pool, alias, **at_apps)
    kernel = (server(True, False, bindings=header),)
    yield Row("wild-HOST", "OK_KERBEROS", OWN, {IIS01: KERBEROS}, kernel, {}, alias, **at_apps)

    nowhere = (server(True, True, "NORDAD\\contososvc~"),)
    open_ = dict.fromkeys(BOTH_CUSTOM, "uncertain")
    custom = {POOL_SAM: BOTH_CUSTOM}
    yield Row("no-domain", "UNCERTAIN", CUSTOM, {POOL_SAM: KERBEROS}, nowhere, custom, says=open_)
    stopped = dict.fromkeys(BOTH_CUSTOM, "impossible")
    off = {POOL_SAM: {"userAccountControl": str(0x202 | 0x10000)}}
    # the KDC issues the ticket and the key would open it, but the pool answers 503
    yield Row("disabled", "IMPOSSIBLE", CUSTOM, {POOL_SAM: KERBEROS}, pool, custom, attributes=off, says=stopped)
    yield Row("gone", "IMPOSSIBLE", CUSTOM, {}, pool, deleted=(POOL_SAM,), says=stopped)


NOT_YET = {
    "no-domain": "an account of a domain that nobody knows is taken for another account",
}
"""Rows that the program does not predict yet; one that it predicts has to leave the table."""

NOT_EXPRESSED = {
    "one domain, one forest": ("KDC-03", "KDC-04", "KDC-12", "KDC-13", "KDC-14", "SET-02"),
    "no account decrypts, or nobody knows which": (
        *("DEC-14", "DEC-18", "DEC-22", "DEC-24", "DEC-26", "DEC-27", "DEC-30", "DEC-31"),
    ),
    "Samba 4.17 knows no dMSA": ("DEC-32", "DEC-34"),
    "not IIS": ("DEC-37", "DEC-38"),
    "a client kind that the contract does not name": ("CLI-08", "CLI-12", "CLI-15", "CLI-18"),
    "a password that the directory does not hold": ("OTH-01", "OTH-02"),
    "the KDC's own settings, which Samba does not have": ("OTH-05", "OTH-06"),
    "about setspn's output or rights, not about tickets": ("KDC-08", "SET-01", "SET-03", "SET-04", "SET-06"),
    "no ticket is asked for, or nothing about tickets": ("IIS-01", "IIS-06", "IIS-07", "IIS-08", "IIS-09"),
}
"""Rows of the truth table that are left out, by the reason."""

_T = TypeVar("_T")


def rows() -> tuple[Row, ...]:
    """All rows, each with names of its own."""
    parts = (
        *(_seed(), _decryptors(), _hosts(), _odd_holders(), _holders(), _clients(), _farms(), _neighbours()),
        *(_side_remarks(), _little_known()),
    )
    found = [row for part in parts for row in part]
    return tuple(_marked(row, number)._replace(number=number) for number, row in enumerate(found, 1))


def _marked(value: _T, number: int) -> _T:
    marked: Any = value
    if isinstance(value, str):
        marked = value.replace("~", f"-{number:02}").replace("%", str(number))
    elif isinstance(value, dict):
        marked = {_marked(key, number): _marked(item, number) for key, item in value.items()}
    elif isinstance(value, tuple):
        items = [_marked(item, number) for item in value]
        marked = type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return marked


# -- into the directory --------------------------------------------------------------------------------------------

_SET_UP: set[int] = set()


def set_up(dc: DomainController) -> None:
    """Put the accounts and SPNs of all rows into the directory, once per controller."""
    if id(dc) not in _SET_UP:
        _SET_UP.add(id(dc))
        dc.apply(*(change for row in rows() for change in changes(row)))


def changes(row: Row) -> Iterator[Change]:
    """The accounts of one row: its servers, whoever holds an SPN, and the users of its pools."""
    identities = [app.identity for made in row.servers for site in made.sites for app in site.apps]
    users = [name.removeprefix("TEST\\") for name in identities if name.startswith("TEST\\")]
    accounts = dict.fromkeys([*(f"{made.name}$" for made in row.servers), *users, *row.spns, *row.attributes])
    for sam in accounts:
        held, more = row.spns.get(sam, ()), row.attributes.get(sam, {})
        if sam == "DC1$":
            yield add_spn(sam, *held)
        else:
            yield _in_one_write(_account(sam, None if row.raw else held, more))
            if row.raw and held:
                yield replace_spns(sam, *_with_default(sam, held), raw=True)
    for name in row.protected:
        yield set_attribute(
            "CN=Protected Users,CN=Users,DC=test,DC=com", "member", f"CN={name},CN=Users,{{base}}", how="add"
        )
    for name in row.deleted:
        yield delete(name)


def _account(sam: str, held: Sequence[str] | None, more: Mapping[str, str | bytes]) -> Change:
    name = sam.removesuffix("$")
    if not sam.endswith("$"):
        return user(name, spns=held or (), **more)
    if name.startswith("gmsa"):
        return managed_account(name, spns=held or (), **more)
    if name.startswith("smsa"):
        return create(
            f"CN={name} object,CN=Managed Service Accounts,{{base}}",
            password=password_of(sam),
            objectClass=["msDS-ManagedServiceAccount"],
            sAMAccountName=[sam],
            userAccountControl=["4096"],
            servicePrincipalName=list(held or ()),
            **{"msDS-SupportedEncryptionTypes": ["28"]},
        )
    return computer(name, spns=_with_default(sam, held or ()), **more)


def _in_one_write(change: Change) -> Change:
    """With its password from the start: two writes for each of some 200 accounts are slow on a busy disk."""
    password = f'"{change["password"]}"'.encode("utf-16-le")
    return {**change, "password": "", "attributes": {**change["attributes"], "unicodePwd": [password]}}


def _with_default(sam: str, held: Iterable[str]) -> tuple[str, ...]:
    """A computer's two HOST/ SPNs, written at domain join, unless the row says which HOST/ it has."""
    name = sam.removesuffix("$")
    if sam == name or name.startswith(("gmsa", "smsa")) or any(text.startswith("HOST/") for text in held):
        return tuple(held)
    return (f"HOST/{name}", f"HOST/{name.lower()}.test.com", *held)


def only_reader(account: str, sid: str) -> Change:
    """Let the account of one SID, and nobody else, read a managed account's password (MS-DTYP 2.4.6)."""
    parts = [int(part) for part in sid.split("-")[2:]]
    owner = struct.pack(f"<BB6s{len(parts) - 1}I", 1, len(parts) - 1, parts[0].to_bytes(6, "big"), *parts[1:])
    entry = struct.pack("<BBHI", 0, 0, 8 + len(owner), 0xF01FF) + owner
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entry), 1, 0) + entry
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 20 + len(owner), 0, 20 + 2 * len(owner))
    return set_attribute(account, "msDS-GroupMSAMembership", head + owner + owner + acl)


# -- into the program ----------------------------------------------------------------------------------------------


def analysis(chosen: Sequence[Row], directory: AskDirectory, folder: Path, now: datetime) -> Analysis:
    """Run the program over the servers of some rows, with their DNS as zone files written into `folder`."""
    files = list(_zone_files(chosen, folder))
    farm = [FarmName(host=host_name(host), servers=names) for row in chosen for host, names in row.farm]
    kinds = dict.fromkeys([*DEFAULT_CLIENTS, *(CLIENTS[row.client] for row in chosen)])
    return analyse(
        [snapshot(made) for row in chosen for made in row.servers],
        Sources(
            directory=directory,
            names=lambda _hosts, _addresses: zone.read_zones(files),
            farm=farm,
            clients=tuple(kinds),
            now=now,
        ),
    )


def _zone_files(chosen: Iterable[Row], folder: Path) -> Iterator[Path]:
    zones: dict[str, list[str]] = {}
    for row in chosen:
        for origin, records in (("test.com", row.dns), *row.zones):
            zones.setdefault(origin, []).append(records)
    for origin, texts in zones.items():
        path = folder / f"{origin}.zone"
        records = "\n".join(dict.fromkeys(line for text in texts for line in text.splitlines()))
        head = f"$ORIGIN {origin}.\n$TTL 3600\n@ IN SOA dc1.test.com. hostmaster.test.com. 1 900 600 86400 3600\n"
        path.write_text(f"{head}@ IN NS dc1.test.com.\n{records}\n")
        yield path


def snapshot(made: Server) -> Snapshot:
    """A collected server: its applicationHost.config and what machine.json says of it."""
    machine = Machine(
        name=made.name,
        dns_name=made.full_name,
        domain="test.com",
        netbios_domain="TEST",
        membership="domain",
        domain_controller=made.domain_controller,
        addresses=(made.address,),
        content_looked=True,
    )
    name = "applicationHost.config"
    file = SourceFile(f"{made.name}/{name}", application_host(made).encode())
    return Snapshot(source=f"{made.name}.snapshot", machine=machine, files={name.lower(): file})


_HEAD = """\
<configuration>
  <configSections>
    <sectionGroup name="system.applicationHost">
      <section name="applicationPools" /><section name="sites" />
    </sectionGroup>
    <sectionGroup name="system.webServer"><sectionGroup name="security"><sectionGroup name="authentication">
      <section name="anonymousAuthentication" overrideModeDefault="Deny" />
      <section name="windowsAuthentication" overrideModeDefault="Deny" />
    </sectionGroup></sectionGroup></sectionGroup>
  </configSections>
"""
_OFF = """\
  <system.webServer><security><authentication>
    <windowsAuthentication enabled="false">
      <providers><add value="Negotiate" /><add value="NTLM" /></providers>
    </windowsAuthentication>
  </authentication></security></system.webServer>
"""


def application_host(made: Server) -> str:
    """The configuration; the pools' passwords stand in it in clear, so that a leak would show."""
    pools, sites, locations = [], [], []
    for number, site in enumerate(made.sites, 1):
        apps = []
        for place, app in enumerate(site.apps):
            pool = f"Pool {number}.{place}"
            pools.append(f"      <add name={quoteattr(pool)}>{_process_model(app)}</add>")
            virtual = '<virtualDirectory path="/" physicalPath="C:\\web" />'
            apps.append(f'<application path="{app.path}" applicationPool={quoteattr(pool)}>{virtual}</application>')
            locations.append(_location(f"Site {number}{app.path.rstrip('/')}", app))
        bindings = "".join(_binding(text) for text in site.bindings)
        sites.append(
            f'      <site name="Site {number}" id="{number}">{"".join(apps)}<bindings>{bindings}</bindings></site>'
        )
    lines = ["  <system.applicationHost>", "    <applicationPools>", *pools, "    </applicationPools>"]
    lines += ["    <sites>", *sites, "    </sites>", "  </system.applicationHost>"]
    return _HEAD + "\n".join(lines) + "\n" + _OFF + "".join(locations) + "</configuration>\n"


def _process_model(app: App) -> str:
    kind = app.identity if app.identity in BUILT_IN else "SpecificUser"
    name = app.left_over or ("" if kind == app.identity else app.identity)
    if not name:
        return f'<processModel identityType="{kind}" />'
    password = "" if name.endswith("$") else password_of(name.rpartition("\\")[2])
    return f'<processModel identityType="{kind}" userName={quoteattr(name)} password={quoteattr(password)} />'


def _binding(text: str) -> str:
    protocol, _, information = text.partition(" ")
    return f'<binding protocol="{protocol}" bindingInformation={quoteattr(information)} />'


def _location(path: str, app: App) -> str:
    said = {"useKernelMode": app.kernel, "useAppPoolCredentials": app.credentials}
    written = "".join(f' {name}="{str(value).lower()}"' for name, value in said.items() if value is not None)
    enabled = str(app.windows).lower()
    section = f'<windowsAuthentication enabled="{enabled}"{written} />'
    other = f'<anonymousAuthentication enabled="{str(app.anonymous).lower()}" />'
    inner = f"<authentication>{other}{section}</authentication>"
    return f'  <location path="{path}"><system.webServer><security>{inner}</security></system.webServer></location>\n'


__all__ = [
    *("KIND_OF", "NOT_EXPRESSED", "NOT_YET", "VERDICTS"),
    *("Row", "analysis", "changes", "only_reader", "rows", "set_up", "snapshot"),
]
