"""`explain` through the front door: its first line, its exit code, and repairs of what answers the URL."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import inputs
import pytest
from console import typed
from inputs import Inputs
from work import calls
from worlds import NOW, ad, app, computer, farm_name, server, site, user, whole, windows, world

from agent import Explanation, UsageError, exits, explain
from agent.cli.program import main
from agent.iis.snapshot import Snapshot
from agent.render import story
from agent.spn.computer_names import FarmName
from agent.story import explain as tell
from agent.story import read_url

SAMPLES = Path(__file__).parents[1] / "sample_configs"
AD = ("--ad", str(SAMPLES / "directory.ldif"))
DNS = ("--dns", str(SAMPLES / "zone.txt"))
POOLED = {"pool": r"TEST\svc", "creds": True}
ZONE = "iis01 A 10.0.5.2; iis02 A 10.0.5.3; shop A 10.0.5.2"
SHOP = "http://shop.test.com/"


def told(given: Inputs, url: str) -> Explanation:
    how = {"ad": given.directory or None, "dns": given.zones or None, "farm": given.farm, "now": NOW}
    return explain(url, given.servers, **how, clients=given.clients or None)  # type: ignore[arg-type]


def code(given: Inputs, url: str, *words: str) -> int:
    said = [("--ad", path) for path in given.directory] + [("--dns", path) for path in given.zones]
    said += [("--farm", given.farm)] if given.farm else []
    clients = [word for client in given.clients for word in ("--client", client)]
    files = [str(word) for pair in said for word in pair]
    return main(["explain", url, *map(str, given.servers), *files, *clients, *words])


# -- the exit code -------------------------------------------------------------------------------------------------

RIGHT = ad(computer(), user("svc", "HTTP/shop.test.com"))
ON_ANOTHER = ad(computer(), user("svc"), user("other", "HTTP/shop.test.com"))
TWICE = ad(computer(), user("svc", "HTTP/shop.test.com"), user("other", "HTTP/shop.test.com"))
NOBODY = ad(computer(), user("svc"))
GONE = ad(computer())
HEADER = site("*:80:shop.test.com")
BROKEN_ELSEWHERE = (HEADER, site("*:80:wrong.test.com", name="Wrong", apps=[app("/", "Wrong")]))


def shop(*sites: object, **said: object) -> Snapshot:
    return server(*(sites or (HEADER,)), **{**POOLED, **said})  # type: ignore[arg-type]


ROWS: dict[str, tuple[Snapshot, str | None, str, dict[str, int]]] = {
    "works": (shop(), RIGHT, SHOP, {"error": 0, "warning": 0, "unchecked": 0}),
    "modified": (shop(), ON_ANOTHER, SHOP, {"error": 1, "never": 0}),
    "duplicate": (shop(), TWICE, SHOP, {"error": 1}),
    "impossible": (shop(), GONE, SHOP, {"error": 1}),
    "NTLM is a warning": (shop(), NOBODY, SHOP, {"error": 0, "warning": 1, "unchecked": 0}),
    "nobody looked": (shop(), None, SHOP, {"error": 0, "unchecked": 1}),
    "not whole": (shop(), ad(user("svc"), covers=False), SHOP, {"error": 0, "unchecked": 1}),
    "nothing answers": (shop(), RIGHT, "https://shop.test.com/", {"error": 1, "never": 0}),
    "no such name": (shop(), RIGHT, "http://else.test.com/", {"error": 1}),
    "switched off": (shop(enabled=False), RIGHT, SHOP, {"error": 0, "warning": 0, "unchecked": 0}),
    "refused": (shop(web={"": f"<configuration>{windows(useKernelMode='false')}</configuration>"}), RIGHT, SHOP,
                {"error": 1, "never": 0}),
    "another site is broken": (
        server(*BROKEN_ELSEWHERE, pools={"Pool": r"TEST\svc", "Wrong": r"TEST\gone"}, creds=True),
        RIGHT, SHOP, {"error": 0, "warning": 0},
    ),
}  # fmt: skip
"""What is there, who holds it, the URL, and the code by `--fail-on`."""


@pytest.mark.parametrize("name", ROWS)
def test_the_exit_code_follows_what_the_clients_get(name: str, tmp_path: Path) -> None:
    built, directory, url, codes = ROWS[name]
    given = inputs.written(tmp_path, [built], ad=directory, dns=ZONE)
    assert {level: code(given, url, "--fail-on", level) for level in codes} == codes


@pytest.mark.parametrize(
    ("config", "words", "expected"),
    [
        ("*:80:", (), exits.INCOMPLETE),  # who answers, and who decrypts, depends on the computer's name
        ("*:80:shop.test.com", (), exits.CLEAN),  # the header says who answers, the pool's account decrypts
        ("*:80:", ("--computer", "iis01.test.com"), exits.CLEAN),
    ],
)
def test_a_computer_that_nobody_named(config: str, words: Sequence[str], expected: int, tmp_path: Path) -> None:
    given = inputs.written(tmp_path, [shop(site(config))], ad=RIGHT)
    file = given.servers[0] / "applicationhost.config"
    assert main(["explain", SHOP, str(file), "--ad", str(given.directory[0]), *words]) == expected


def test_the_computer_decrypts_and_nobody_named_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = inputs.written(tmp_path, [server(HEADER)], ad=RIGHT)
    file = given.servers[0] / "applicationhost.config"
    words = ["explain", SHOP, str(file), "--ad", str(given.directory[0])]
    assert main(words) == exits.INCOMPLETE
    assert "give --computer" in capsys.readouterr().out
    assert main([*words, "--format", "json"]) == exits.INCOMPLETE
    said = json.loads(capsys.readouterr().out)
    assert {one["outcome"] for one in said["outcomes"]} == {"uncertain"}
    assert said["unnamed"] == [said["servers"][0]["name"]]


# -- the first line ------------------------------------------------------------------------------------------------


def first_line(given: Inputs, url: str) -> str:
    return story.to_text(told(given, url), 200, color=False).partition("\n")[0]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            "https://shop.test.com/a",
            "Nothing answers https://shop.test.com/a; IIS01 answers http://shop.test.com/a: Site.",
        ),
        (
            "http://shop.test.com:81/",
            "Nothing answers http://shop.test.com:81/; IIS01 answers http://shop.test.com/: Site.",
        ),
        ("http://nowhere.test.com/", "Nothing inspected answers http://nowhere.test.com/: DNS knows no such name."),
        ("http://shop.test.com/", "http://shop.test.com/: OK"),
    ],
)
def test_the_first_line_says_what_comes_near(url: str, line: str, tmp_path: Path) -> None:
    assert first_line(inputs.written(tmp_path, [shop()], ad=RIGHT, dns=ZONE), url) == line


def farm(second: dict[str, object]) -> list[Snapshot]:
    return [shop(name="IIS01"), shop(name="IIS02", **second)]


FARM: Sequence[FarmName] = [farm_name("shop.test.com", "IIS01", "IIS02")]


@pytest.mark.parametrize(
    ("second", "clients", "line"),
    [
        ({"creds": False}, (), "BROKEN on 1 of 2 servers (IIS02), OK on 1 of 2 servers (IIS01)"),
        ({}, (), "OK"),
        ({"enabled": False}, (), "OK on 1 of 2 servers (IIS01), NO TICKET on 1 of 2 servers (IIS02)"),
        ({}, ("edge", "edge-port"), "NTLM for edge-port, OK for edge"),
    ],
)
def test_the_first_line_counts_servers_and_names_clients(
    second: dict[str, object], clients: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    url = "http://shop.test.com:8080/" if clients else SHOP
    built = [shop(site("*:8080:shop.test.com"), name=name) for name in ("IIS01", "IIS02")] if clients else farm(second)
    directory = ad(computer(), computer("IIS02"), user("svc", "HTTP/shop.test.com"))
    given = inputs.written(tmp_path, built, ad=directory, dns="shop A 10.0.0.9", farm=FARM, clients=clients)
    assert first_line(given, url) == f"{url}: {line}"


@pytest.mark.parametrize("url", ["IIS05", "http://wiki.test.com/"])
def test_a_url_among_the_files_is_told_to_come_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", url, "http://sales.test.com/"]) == exits.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "http://sales.test.com/ is a URL: " in captured.err


# -- repairs -------------------------------------------------------------------------------------------------------


def test_the_repair_belongs_to_the_site_that_answers() -> None:
    """Default Web Site answers http://sales/, and clients ask for HTTP/sales.test.com: mending Sales mends nothing."""
    found = explain("http://sales/", [SAMPLES / "IIS05"], ad=SAMPLES / "directory.ldif", dns=SAMPLES / "zone.txt")
    assert {(one.site, one.outcome) for one in found.outcomes} == {("Default Web Site", "modified")}
    assert all(one.site != "Sales" for one in found.findings)
    text = " ".join(sentence for one in found.outcomes for sentence in one.fix)
    assert "give it the host header sales too" in text
    assert "appcmd" not in text
    assert main(["explain", "http://sales/", str(SAMPLES / "IIS05"), *AD, *DNS]) == exits.FINDINGS


def test_what_the_sites_own_name_needs_is_told_as_inspect_tells_it() -> None:
    how = {"ad": SAMPLES / "directory.ldif", "dns": SAMPLES / "zone.txt"}
    found = explain("http://sales.test.com/", [SAMPLES / "IIS05"], **how)  # type: ignore[arg-type]
    (wanted,) = [one for one in found.requirements if str(one.spn) == "HTTP/sales.test.com"]
    assert {one.fix for one in found.outcomes} == {wanted.advice}
    assert {(one.id, one.site) for one in found.findings if one.spn} == {("spn-misplaced", "Sales")}


SETSPN = re.compile(r"setspn .+?(?= \(|$)")


@pytest.mark.parametrize(
    ("built", "directory"),
    [
        (server(), ad(computer(), user("other", "HTTP/shop.test.com"))),
        (server(), ad(computer())),
        (server(), ad(computer("IIS01", "HTTP/shop.test.com"), user("other", "HTTP/shop.test.com"))),
        (server(**POOLED), ad(computer(), user("svc"), user("other", "HTTP/shop.test.com"))),  # type: ignore[arg-type]
        (server(site("*:80:*.test.com"), **POOLED), ad(computer(), user("svc"))),  # type: ignore[arg-type]
    ],
)
def test_a_name_that_no_site_shows_is_repaired_by_what_it_says(built: Snapshot, directory: str, tmp_path: Path) -> None:
    """The kind of `explain-not-asked`: a wildcard record leads here, and the fix is followed in the files."""
    zone = "iis01 A 10.0.5.2; *.test.com. A 10.0.5.2"
    given = inputs.written(tmp_path / "given", [built], ad=directory, dns=zone)
    before = told(given, SHOP)
    assert {one.outcome for one in before.outcomes} <= {"modified", "ntlm-fallback", "duplicate"}
    assert not any(str(one.spn) == "HTTP/shop.test.com" for one in before.requirements)
    copy = given.copied(tmp_path / "copy")
    for sentence in before.outcomes[0].fix:
        for command in SETSPN.findall(sentence):
            typed(command, copy)
    after = told(copy, SHOP)
    assert {one.outcome for one in after.outcomes} == {"kerberos"}
    assert [one.fix for one in after.outcomes if one.fix] == []
    errors = [{one.message for one in each.findings if one.severity == "error"} for each in (before, after)]
    assert errors[1] <= errors[0]


def test_without_dns_what_is_only_taken_for_this_server_says_so(tmp_path: Path) -> None:
    given = inputs.written(tmp_path, [server()], ad=ad(computer("IIS01", "HTTP/shop.test.com")))
    assert {(one.outcome, one.provided) for one in told(given, SHOP).outcomes} == {
        ("kerberos", ("no name is an alias", "shop.test.com leads to IIS01"))
    }


def test_an_account_that_is_not_there_is_said(tmp_path: Path) -> None:
    given = inputs.written(tmp_path, [server()], ad=whole() + user("x", "HTTP/iis01.test.com"), dns=ZONE)
    for one in told(given, "http://iis01.test.com/").outcomes:
        assert one.outcome == "uncertain"
        assert one.because[-1].endswith(r"TEST\IIS01$ is not in the directory.")


def test_what_no_url_is_stays_wrong_usage() -> None:
    with pytest.raises(UsageError):
        explain("ftp://shop/", [SAMPLES / "IIS05"])


def test_what_several_servers_need_on_several_accounts_nobody_is_told_to_register(tmp_path: Path) -> None:
    """Without DNS both sites without a host header may answer: whoever holds the SPN, somebody fails."""
    built = [server(name="IIS01"), server(name="IIS02")]
    given = inputs.written(tmp_path, built, ad=ad(computer(), computer("IIS02")))
    found = told(given, SHOP)
    assert {one.server for one in found.outcomes} == {"IIS01", "IIS02"}
    assert not any("setspn" in sentence for one in found.outcomes for sentence in one.fix)
    assert all(one.fix for one in found.outcomes)


def test_a_story_of_many_servers_grows_with_their_number() -> None:
    def told_of(number: int) -> int:
        built = [server(name=f"WEB{each:03}") for each in range(number)]
        found = world(*built, ad=ad(*(computer(f"WEB{each:03}") for each in range(number))))
        analysis = found.typed(read_url(SHOP).typed)
        return calls(lambda: tell(analysis, SHOP))

    assert told_of(40) < 2.5 * told_of(20)
