"""Names that clients were seen to use (`--names`): whose they are, and what is asked for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import World, ad, computer, server, site, user, world

from agent import inspect
from agent.errors import UsageError
from agent.names import host_name
from agent.sources.names_file import names_file
from agent.spn.computer_names import LoggedNames

POOLED = {"pool": r"TEST\svc", "creds": True}
PEOPLE = ad(computer("IIS01"), computer("IIS02"), user("svc", "HTTP/portal.test.com"))
OWN = "iis01 A 10.0.5.2; iis02 A 10.0.5.3"


def seen(*servers: object, names: str = "portal.test.com", dns: str | None = OWN) -> World:
    hosts = tuple(map(host_name, names.split()))
    return world(*servers, ad=PEOPLE, dns=dns, logged=[LoggedNames("names.txt", hosts)])  # type: ignore[arg-type]


def whose(found: World, host: str) -> dict[str, str]:
    """The servers that answer the name, with what says so."""
    applications = found.report.applications
    return {a.server: h.source for a in applications for h in a.hosts if h.host == host_name(host)}


def note(found: World) -> str | None:
    (read,) = [read for read in found.report.summary.read if read.kind == "names"]
    return read.note


def test_the_only_server_answers_it_in_its_site_without_a_host_header() -> None:
    found = seen(server(**POOLED))
    assert whose(found, "portal.test.com") == {"IIS01": "log"}
    assert (found.need("HTTP/portal.test.com"), found.outcome("HTTP/portal.test.com")) == ("explicit", "kerberos")
    assert "http/portal" not in found.needs, "just this form was seen"
    assert note(found) is None


@pytest.mark.parametrize(
    ("sites", "answering"),
    [
        (("*:80:portal.test.com", "*:81:"), {"IIS01": "binding"}),
        (("*:80:*.test.com", "*:81:"), {"IIS01": "log"}),
        (("*:80:else.test.com",), {}),
    ],
    ids=["a header", "a wildcard", "another header"],
)
def test_a_binding_that_claims_it_comes_before_one_that_answers_every_name(
    sites: tuple[str, ...], answering: dict[str, str]
) -> None:
    claiming = server(*(site(where, name=where) for where in sites), name="IIS01", **POOLED)
    found = seen(claiming, server(site("*:80:other.test.com"), name="IIS02"))
    assert whose(found, "portal.test.com") == answering


def test_of_several_servers_the_one_that_dns_leads_it_to() -> None:
    found = seen(server(name="IIS01"), server(name="IIS02"), dns=f"{OWN}; portal A 10.0.5.3")
    assert set(whose(found, "portal.test.com")) == {"IIS02"}


@pytest.mark.parametrize("dns", [None, f"{OWN}; portal A 10.0.0.100"])
def test_what_leads_to_none_of_several_servers_is_told_and_not_required(dns: str | None) -> None:
    found = seen(server(name="IIS01"), server(name="IIS02"), dns=dns)
    assert (whose(found, "portal.test.com"), "http/portal.test.com" in found.needs) == ({}, False)
    assert note(found) == "no site of an inspected server is known to answer portal.test.com"


def test_a_long_list_of_what_is_left_is_cut() -> None:
    names = " ".join(f"n{number}.test.com" for number in range(12))
    found = seen(server(name="IIS01"), server(name="IIS02"), names=names)
    assert (note(found) or "").endswith(", n9.test.com and 2 more")


@pytest.mark.parametrize("name", ["localhost", "iis01.test.com"])
def test_a_name_that_needs_nothing_of_its_own_changes_nothing(name: str) -> None:
    assert seen(server(**POOLED), names=name).needs == seen(server(**POOLED), names="").needs


def test_a_hidden_name_that_was_seen_is_no_longer_suspected() -> None:
    """The SPN on the pool's account, and DNS that leads to a VIP, suggest what the log then shows."""
    vip = f"{OWN}; portal A 10.0.0.100"
    assert "name-suspected" in seen(server(**POOLED), names="", dns=vip).ids
    assert "name-suspected" not in seen(server(**POOLED), dns=vip).ids


def test_explain_is_sure_of_a_name_that_was_seen() -> None:
    outcomes = seen(server(**POOLED), dns=None).explain("http://portal.test.com/")
    assert {(o.server, o.outcome) for o in outcomes} == {("IIS01", "kerberos")}
    assert all(" leads to " not in each for o in outcomes for each in o.provided or ())


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


# -- the file ------------------------------------------------------------------------------------------------------


def test_a_file_has_a_name_on_a_line(tmp_path: Path) -> None:
    path = file(
        tmp_path, "names.txt", "# from the log\nportal.test.com\n\n  crm.test.com.\r\nPORTAL.test.com\n10.0.5.2\n"
    )
    assert [host.text for host in names_file(path).hosts] == ["portal.test.com", "crm.test.com"]


@pytest.mark.parametrize("line", ["https://portal.test.com", "portal.test.com:8080", "*.test.com", "a b", "a" * 300])
def test_a_line_that_is_no_name_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = file(tmp_path, "names.txt", f"portal.test.com\n{line}\n")
    with pytest.raises(UsageError, match=r"names\.txt:2: .*is not a host name"):
        names_file(path)


@given(st.text(max_size=60))
def test_any_text_is_names_or_refused(text: str) -> None:
    path = Path("names.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.sources.text_file.read_text", lambda _path: text)
        try:
            hosts = names_file(path).hosts
        except UsageError:
            return
    assert all(host.key and not host.is_address and not host.is_wildcard for host in hosts)


def test_several_files_are_read_together(tmp_path: Path) -> None:
    paths = [file(tmp_path, name, f"{name}.test.com\n") for name in ("a", "b")]
    samples = Path(__file__).parents[1] / "sample_configs"
    report = json.loads(inspect(samples / "IIS05", names=paths).to_json())
    hosts = {host["host"]: host["source"] for each in report["applications"] for host in each["hosts"]}
    assert (hosts["a.test.com"], hosts["b.test.com"]) == ("log", "log")
    assert [read["source"] for read in report["summary"]["read"] if read["kind"] == "names"] == list(map(str, paths))
