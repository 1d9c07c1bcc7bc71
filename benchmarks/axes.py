"""What is read, of any size: servers, directories and names in which one thing grows.

Each function prepares its input and gives the work that is measured: reading and judging it.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.checks.accept import Acceptance
from agent.iis.snapshot import Snapshot, SourceFile
from agent.sources.snapshots.blanking import blanked
from tests.worlds import (
    App,
    Site,
    World,
    ad,
    app,
    computer,
    days_ago,
    farm_name,
    providers,
    server,
    site,
    user,
    windows,
    world,
)

SERVICE = r"TEST\contososvc"
ZONE = "iis01 A 10.0.5.2"


def judged(*servers: Snapshot, **sources: object) -> Callable[[], World]:
    return lambda: world(*servers, **sources)  # type: ignore[arg-type]


def named(count: int, binding: str = "*:80:s{}.test.com", **more: object) -> list[Site]:
    return [site(binding.format(n), name=f"Site{n}", **more) for n in range(count)]  # type: ignore[arg-type]


def zone(count: int, record: str = "s{} A 10.0.5.2") -> str:
    return ";".join([ZONE, *(record.format(n) for n in range(count))])


def spns(count: int) -> list[str]:
    return [f"HTTP/s{n}.test.com" for n in range(count)]


# -- IIS -----------------------------------------------------------------------------------------------------------


def sites(n: int) -> Callable[[], World]:
    return judged(server(*named(n)))


def bindings(n: int) -> Callable[[], World]:
    return judged(server(site(*(f"*:80:s{i}.test.com" for i in range(n)))))


def pools(n: int) -> Callable[[], World]:
    names = {f"Pool{i}": rf"TEST\svc{i}" for i in range(n)}
    return judged(
        server(
            *(site(f"*:80:s{i}.test.com", name=f"S{i}", apps=[app(pool=f"Pool{i}")]) for i in range(n)),
            pools=names,
            creds=True,
        )
    )


def applications(n: int) -> Callable[[], World]:
    return judged(server(site(apps=[App(), *(app(f"/a{i}") for i in range(n))])))


def locations(n: int) -> Callable[[], World]:
    every = "".join(f'<location path="Site/d{i}">{windows(enabled="true")}</location>\n' for i in range(n))
    return judged(server(site(), body=every))


def tags(n: int) -> Callable[[], object]:
    """What is emptied before it is stored."""
    inner = "<a b='c'>d</a>" * n
    text = f"<configuration><x>{inner}</x></configuration>".encode()
    return lambda: blanked(text)


def depth(n: int) -> Callable[[], World]:
    path = "/".join(["Site", *("d" for _ in range(n))])
    return judged(server(site(), body=f'<location path="{path}">{windows(enabled="true")}</location>'))


def offered(n: int) -> Callable[[], World]:
    return judged(server(site(), offered=["Negotiate", *(f"P{i}" for i in range(n))]))


def unread_sections(n: int) -> Callable[[], World]:
    rules = "".join(f'<rule name="r{i}"><match url="x{i}" /></rule>' for i in range(n))
    return judged(
        server(site(), body=f"<system.webServer><rewrite><rules>{rules}</rules></rewrite></system.webServer>")
    )


def web_configs(n: int) -> Callable[[], World]:
    """Files below one application."""
    text = f"<configuration>{windows(providers(['Negotiate']))}</configuration>"
    return judged(server(site(), mode="Allow", web={rf"\d{i}": text for i in range(n)}))


def virtual_directories(n: int) -> Callable[[], World]:
    """Each leads to the one folder that holds as many web.config files."""
    text = f"<configuration>{windows(enabled='true')}</configuration>"
    plain = server(site(), mode="Allow", web={rf"\d{i}": text for i in range(n)})
    data = plain.files["applicationhost.config"].data.decode()
    more = "".join(f'<virtualDirectory path="/v{i}" physicalPath="C:\\web" />' for i in range(n))
    changed = data.replace("</application>", more + "</application>", 1).encode()
    files = {**plain.files, "applicationhost.config": SourceFile("applicationHost.config", changed)}
    return judged(Snapshot(source=plain.source, machine=plain.machine, files=files))


# -- directory -----------------------------------------------------------------------------------------------------


def entries(n: int) -> Callable[[], World]:
    everyone = [user(f"u{i}", f"MSSQLSvc/db{i}.test.com:1433") for i in range(n)]
    return judged(server(site("*:80:contoso.test.com")), ad=ad(computer(), *everyone))


def values(n: int) -> Callable[[], World]:
    """One account with many SPNs that nobody asks for."""
    return judged(server(site("*:80:contoso.test.com")), ad=ad(computer(), user("big", *spns(n))))


def held(n: int) -> Callable[[], World]:
    """One account that holds all that its sites need."""
    return judged(
        server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user("contososvc", *spns(n))), dns=zone(n)
    )


def misplaced(n: int) -> Callable[[], World]:
    """As many findings as sites, and as many steps."""
    return judged(
        server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user(), user("other", *spns(n))), dns=zone(n)
    )


def missing(n: int) -> Callable[[], World]:
    return judged(server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user()), dns=zone(n))


def duplicates(n: int) -> Callable[[], World]:
    """Each SPN on the right account and on one of its own."""
    others = [user(f"other{i}", f"HTTP/s{i}.test.com") for i in range(n)]
    return judged(
        server(*named(n), pool=SERVICE, creds=True),
        ad=ad(computer(), user("contososvc", *spns(n)), *others),
        dns=zone(n),
    )


def holders(n: int) -> Callable[[], World]:
    """One SPN on many accounts."""
    others = [user(f"other{i}", "HTTP/s0.test.com") for i in range(n)]
    return judged(server(*named(1), pool=SERVICE, creds=True), ad=ad(computer(), user(), *others), dns=zone(1))


def accounts(n: int) -> Callable[[], World]:
    """As many pools as accounts, each with a weak key and an old password."""
    names = {f"P{i}": rf"TEST\svc{i}" for i in range(n)}
    many = [site(f"*:80:s{i}.test.com", name=f"S{i}", apps=[app(pool=f"P{i}")]) for i in range(n)]
    known = [
        user(f"svc{i}", f"HTTP/s{i}.test.com", pwdLastSet=days_ago(400), msDS_SupportedEncryptionTypes=4)
        for i in range(n)
    ]
    return judged(server(*many, pools=names, creds=True), ad=ad(computer(), *known), dns=zone(n))


def misspelt(n: int) -> Callable[[], World]:
    """SPNs of characters that no name has, which anybody may write on an account of theirs."""
    odd = [f"HTTP/s{i}\u200b.test.com" for i in range(n)]
    return judged(server(site("*:80:s0.test.com")), ad=ad(computer(), user("odd", *odd)))


def misspelling(n: int) -> Callable[[], World]:
    """One of as many such characters."""
    host = "a" * n
    return judged(server(site(f"*:80:{host}.test.com")), ad=ad(computer(), user("odd", f"HTTP/{'a*' * n}.test.com")))


def accepted(n: int) -> Callable[[], World]:
    """As many findings as acceptances, of which none is about any."""
    many = [Acceptance(id="spn-missing", subject=f"HTTP/*{i}.test.org", reason="known") for i in range(n)]
    return judged(server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user()), dns=zone(n), accepted=many)


# -- names ---------------------------------------------------------------------------------------------------------


def zone_records(n: int) -> Callable[[], World]:
    return judged(server(site("*:80:contoso.test.com")), dns=zone(n, "h{} A 10.1.1.1"))


def aliases(n: int) -> Callable[[], World]:
    """Names that lead to the server, which no site claims by a host header."""
    return judged(server(site()), dns=zone(n, "s{} CNAME iis01"))


def alias_chain(n: int) -> Callable[[], World]:
    chain = [f"c{i} CNAME c{i + 1}" for i in range(n)]
    return judged(server(site("*:80:c0.test.com")), dns=";".join([ZONE, *chain, f"c{n} A 10.0.5.2"]))


def wildcard_sites(n: int) -> Callable[[], World]:
    """Sites with a wildcard of their own, and as many names below each other."""
    return judged(server(*named(n, "*:80:*.w{}.test.com")), dns=zone(n, "a.w{} A 10.0.5.2"))


def one_wildcard(n: int) -> Callable[[], World]:
    return judged(server(site("*:80:*.test.com")), dns=zone(n))


def parentheses(n: int) -> Callable[[], object]:
    return judged(server(site()), dns=";".join([ZONE, "x A ("] + ["10.0.5.2"] * n))


def farm_names(n: int) -> Callable[[], World]:
    pair = [server(*named(n), name=f"IIS0{i}", pool=SERVICE, creds=True) for i in (1, 2)]
    return judged(
        *pair,
        farm=[farm_name(f"s{i}.test.com", "IIS01", "IIS02") for i in range(n)],
        ad=ad(computer("IIS01"), computer("IIS02"), user("contososvc", *spns(n))),
    )


def proxied(n: int) -> Callable[[], World]:
    """Names of a load balancer that ends TLS, for as many sites that check who ended it."""
    checking = app(token_checking="Require", flags="None")
    sites = [site(f"https *:443:s{i}.test.com", name=f"Site{i}", apps=[checking]) for i in range(n)]
    farm = [farm_name(f"s{i}.test.com", "IIS01", site=f"Site{i}", proxy="terminates-tls") for i in range(n)]
    return judged(server(*sites), farm=farm)


def farm_file(n: int) -> Callable[[], World]:
    """Names of a farm file that lead to one site without a host header."""
    return judged(server(site()), farm=[farm_name(f"s{i}.test.com", "IIS01") for i in range(n)])


# -- many servers --------------------------------------------------------------------------------------------------


def servers(n: int) -> Callable[[], World]:
    return judged(*(placed(i, site(f"*:80:s{i}.test.com")) for i in range(n)))


def placed(number: int, *sites: Site, name: str = "WEB{}") -> Snapshot:
    """A server at an address of its own."""
    address = f"10.1.{number // 250}.{number % 250 + 1}"
    return server(*sites, name=name.format(number), facts={"addresses": (address,)})


def servers_of_one_name(n: int) -> Callable[[], World]:
    return judged(*(placed(i, site("*:80:portal.test.com")) for i in range(n)))


def servers_of_one_farm(n: int) -> Callable[[], World]:
    every = [server(site("*:80:portal.test.com"), name=f"WEB{i}", pool=SERVICE, creds=True) for i in range(n)]
    return judged(
        *every,
        farm=[farm_name("portal.test.com", *(f"WEB{i}" for i in range(n)))],
        ad=ad(user("contososvc", "HTTP/portal.test.com")),
    )


def servers_of_one_account(n: int) -> Callable[[], World]:
    """A name in front shows in the directory only."""
    every = [server(name=f"WEB{i}", pool=SERVICE, creds=True) for i in range(n)]
    return judged(*every, ad=ad(*(computer(f"WEB{i}") for i in range(n)), user("contososvc", "HTTP/portal.test.com")))


def machines_of_one_name(n: int) -> Callable[[], World]:
    return judged(*(server(site(), name="WEB", facts={"dns_name": f"web.d{i}.test.com"}) for i in range(n)))
