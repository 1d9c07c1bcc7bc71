"""An address is one address however it is spelled: in machine.json, a binding, a zone, a URL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import App as Application
from worlds import config, names, site, world

from agent.names import HostName, host_name, ip_address
from agent.sources.snapshots import targets

SPELLINGS = ("fd00::52", "FD00::52", "fd00:0:0::52", "fd00:0000:0000:0000:0000:0000:0000:0052", "fd00::0.0.0.82")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *((spelling, "fd00::52") for spelling in SPELLINGS),
        ("[FD00::52]", "fd00::52"),
        ("fe80::1%7", "fe80::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("10.0.5.2", "10.0.5.2"),
        ("10.0.5", None),
        ("iis01", None),
        ("", None),
    ],
)
def test_one_spelling(text: str, address: str | None) -> None:
    assert ip_address(text) == address


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_host_that_is_an_address_is_the_same_in_every_spelling(spelling: str) -> None:
    hosts: set[HostName] = {host_name("fd00::52"), host_name(spelling), host_name(f"[{spelling}]")}
    assert len(hosts) == 1
    assert host_name(spelling).text == spelling


def snapshot(folder: Path, name: str, address: str, *bindings: str) -> Path:
    here = folder / name
    here.mkdir()
    facts = {"name": name, "dns_name": f"{name.lower()}.test.com", "domain": "test.com", "netbios_domain": "TEST"}
    (here / "machine.json").write_text(json.dumps({**facts, "addresses": [address]}), encoding="utf-8")
    text = config([site(*bindings)], {"Pool": ""}, Application(enabled=True, providers=["Negotiate"]))
    (here / "applicationHost.config").write_text(text, encoding="utf-8")
    return here


ZONE = "iis01 AAAA FD00:0::52;portal AAAA fd00::52;portal AAAA fd00:0:0:0::53;iis02 AAAA fd00::53;there AAAA fd00::53"


@pytest.mark.parametrize("first", [*SPELLINGS, "FD00::52%7"])
def test_machine_zone_and_binding_may_spell_an_address_differently(first: str, tmp_path: Path) -> None:
    one = snapshot(tmp_path, "IIS01", first, "[fd00:0:0:0:0:0:0:52]:80:", "*:80:portal.test.com", "*:80:there.test.com")
    two = snapshot(tmp_path, "IIS02", "fd00::0053", "*:80:portal.test.com", "*:80:there.test.com")
    found = world(*(targets.read_target(path, None, {}) for path in (one, two)), service=names(ZONE))

    assert found.needs["http/iis01.test.com"] == "covered", "the binding to the server's own address"
    assert found.findings("farm-machine-identity", "HTTP/portal.test.com"), "both servers answer"
    assert "name-elsewhere" not in found.ids
    assert found.need("HTTP/there.test.com", r"TEST\IIS01$") == "optional", "only the other server is reached by it"
    assert found.need("HTTP/there.test.com", r"TEST\IIS02$") == "explicit"
    assert {outcome.decrypts_as.name for outcome in found.explain("http://there.test.com/") if outcome.decrypts_as} == {
        "IIS02$"
    }
    assert found.ends("http://[FD00:0::52]/") == {"ntlm-fallback"}, "a server answers; clients do not try Kerberos"
