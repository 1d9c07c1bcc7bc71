"""The first line, the last one, and a plan where nobody looked: what people have, and what nobody knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from worlds import ad, computer, server, site, user

from agent import exits, inspect
from agent.cli import formats
from agent.cli.program import main

SAMPLES = Path(__file__).parents[1] / "sample_configs"
SERVICE = r"TEST\svc"
AD, DNS = ("--ad", "directory.ldif"), ("--dns", "zone.txt")
PLANS = sorted({form.name for form in formats.FORMATS if "plan" in form.commands})


@pytest.fixture(autouse=True)
def _among_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    monkeypatch.setenv("COLUMNS", "200")


Lines = list[str]
Told = Callable[..., tuple[int, Lines]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def of(*words: str) -> tuple[int, Lines]:
        code = main(words)
        return code, capsys.readouterr().out.splitlines()

    return of


def written(folder: Path, *bindings: str, enabled: bool = True, **given: object) -> str:
    """A bare configuration file whose pool runs as TEST\\svc."""
    built = server(site(*bindings), pool=SERVICE, enabled=enabled, **given)  # type: ignore[arg-type]
    path = folder / "applicationHost.config"
    path.write_bytes(built.files["applicationhost.config"].data)
    return str(path)


def exported(folder: Path, *entries: str) -> tuple[str, str]:
    path = folder / "export.ldif"
    path.write_text(ad(*entries), encoding="utf-8")
    return "--ad", str(path)


# -- the first line and the last -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        (("IIS02", *AD), "OK: 2 of 2 SPNs, if no name is an alias.", "OK: 2 of 2 SPNs"),
        (("IIS01", *AD, *DNS), "OK: 4 of 4 SPNs.", "OK: 4 of 4 SPNs"),
        (
            ("IIS01", *AD),
            "NOT CHECKED: 1 of 5 SPNs, names that clients use are not known. OK: 4, if no name is an alias.",
            "NOT CHECKED: 1 of 5 SPNs, OK: 4",
        ),
        (("IIS02", *AD, *DNS), "BROKEN: 1 of 3 SPNs (three prompts, then 401). OK: 2.", "BROKEN: 1 of 3 SPNs, OK: 2"),
        (("IIS05", *AD, *DNS), "BROKEN: 6 of 7 SPNs. NTLM: 1.", "BROKEN: 6 of 7 SPNs, NTLM: 1"),
        (
            ("IIS02",),
            "NOT CHECKED: nobody looked who holds the SPNs. 2 SPNs matter, 0 known.",
            "NOT CHECKED: 2 of 2 SPNs",
        ),
    ],
    ids=str,
)
def test_the_first_line_counts_what_people_have(told: Told, words: Sequence[str], first: str, last: str) -> None:
    _, lines = told("inspect", *words)
    assert (lines[0], lines[-1]) == (first, last)
    assert not any(line.startswith("ERRORS") for line in lines[:1])


def test_the_name_that_is_missing_and_whose_it_may_be(told: Told) -> None:
    code, lines = told("inspect", "IIS01/applicationHost.config", *AD)
    assert lines[0].startswith("NOT CHECKED: the server's name is not known: give --computer. ")
    assert "   - TEST\\IIS01$ holds two names of this file: --computer iis01.test.com?" in lines
    assert code == exits.CLEAN
    named = ("--computer", "iis01.test.com")
    _, lines = told("inspect", "IIS01/applicationHost.config", *named, *AD, *DNS)
    assert lines[0] == "OK: 3 of 3 SPNs."
    assert not any("of this file" in line for line in lines)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([computer("IIS01"), user("svc")], id="holds no name of the file"),
        pytest.param([user("svc", "HTTP/a.test.com")], id="no computer"),
        pytest.param(
            [
                computer("IIS01", "HTTP/a.test.com", dNSHostName="iis01.test.com"),
                computer("IIS02", "HTTP/a.test.com", dNSHostName="iis02.test.com"),
            ],
            id="two computers alike",
        ),
    ],
)
def test_no_computer_is_suggested_without_a_reason(told: Told, tmp_path: Path, entries: Sequence[str]) -> None:
    _, lines = told("inspect", written(tmp_path, "*:80:a.test.com"), *exported(tmp_path, *entries))
    assert not any("of this file" in line for line in lines)


def test_for_a_site_by_the_servers_own_name_nobody_is_suggested(told: Told, tmp_path: Path) -> None:
    holder = computer("IIS01", dNSHostName="iis01.test.com")
    _, lines = told("inspect", written(tmp_path, "*:80:"), *exported(tmp_path, holder))
    assert lines[0] == "NOT CHECKED: the server's name is not known: give --computer. 1 SPN matters, 0 known."
    assert not any("of this file" in line for line in lines)


def test_who_knows_nothing_is_not_sent_to_what_was_given(told: Told, tmp_path: Path) -> None:
    """A part of the directory shows no holder: who was given it asks the forest, and gives the answer besides."""
    part = tmp_path / "part.ldif"
    part.write_text(ad(user("svc"), covers=False), encoding="utf-8")
    path = written(tmp_path, "*:80:a.test.com", creds=True)
    _, lines = told("inspect", path, "--computer", "iis01.test.com", "--ad", str(part))
    assert lines[0] == "NOT CHECKED: what was read does not tell who holds the SPNs. 1 SPN matters, 0 known."
    assert not any("nobody looked" in line for line in lines)
    (again,) = (line for line in lines if "--ad" in line)
    assert again.endswith(f"--ad {part} --ad held.txt")


@pytest.mark.parametrize(
    ("words", "directory", "dns"),
    [((), True, True), (AD, False, True), (DNS, True, False), ((*AD, *DNS), False, False)],
    ids=str,
)
@pytest.mark.parametrize(
    "command", [("inspect",), ("explain", "http://contoso.test.com/"), ("plan",)], ids=lambda c: c[0]
)
def test_who_was_not_asked_is_said(
    told: Told, command: Sequence[str], words: Sequence[str], directory: bool, dns: bool
) -> None:
    _, lines = told(*command, "IIS02", *words)
    assert ("On any computer of the domain (needs no rights), paste into cmd:" in lines) is directory
    assert any(line.startswith("DNS was not asked") for line in lines) is dns


@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_files_that_nobody_looked_at_are_said(told: Told, command: str) -> None:
    for target, shown in (("IIS02/applicationHost.config", True), ("IIS02", False)):
        _, lines = told(command, target, *AD)
        assert (f"web.config files were not looked at: {target}." in lines) is shown


def test_what_an_outcome_takes_for_granted_stands_beside_it(told: Told) -> None:
    for words, shown in ((AD, True), ((*AD, *DNS), False)):
        _, lines = told("inspect", "IIS02", *words, "--all")
        assert ("  today  if no name is an alias" in lines) is shown
        _, lines = told("inspect", "IIS02", *words, "--format", "markdown")
        assert any("| **OK**, if no name is an alias |" in line for line in lines) is shown
        _, lines = told("explain", "http://contoso.test.com/", "IIS02", *words)
        assert ("  OK, if no name is an alias" in lines) is shown
        _, lines = told("plan", "IIS05", *words, "--format", "ticket")
        assert ("  That is so if no name is an alias." in lines) is shown
        _, lines = told("inspect", "IIS02", *words, "--format", "csv")
        assert any(line.endswith(",no name is an alias") for line in lines) is shown


def test_what_an_account_also_holds_may_be_anothers(told: Told) -> None:
    _, lines = told("inspect", "IIS02", *AD, "--all")
    text = re.sub(r"\s+", " ", " ".join(lines))
    assert "also holds HTTP/iis03.test.com, HTTP/iis03 (no inspected server needs them)" in text
    assert "unused" not in text


# -- a plan where nobody looked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", PLANS)
@pytest.mark.parametrize("words", [("IIS05",), ("IIS01/applicationHost.config", *AD)], ids=["no directory", "no name"])
def test_a_plan_that_nobody_checked_says_so(told: Told, form: str, words: Sequence[str]) -> None:
    code, lines = told("plan", *words, "--format", form, "--fail-on", "never")
    assert code == exits.INCOMPLETE
    text = "\n".join(lines)
    if form == "json":
        spns = json.loads(text)["summary"]["spns"]
        assert spns["not_checked"] + spns["uncertain"] == sum(spns.values()) > 0
        assert json.loads(text)["plan"]["steps"] == []
    else:
        assert "NOT CHECKED" in text
    assert "Nothing that a step could repair" not in text
    assert not re.search(r"^(setspn|dn:|\$object)", text, re.MULTILINE)


def test_a_script_without_ground_ends_as_one_that_did_nothing(told: Told) -> None:
    _, lines = told("plan", "IIS05", "--format", "cmd")
    assert not any(line.startswith("echo Done") for line in lines)
    assert [line for line in lines if line.startswith("exit /b")] == ["exit /b 2"]
    _, lines = told("plan", "IIS05", "--format", "powershell")
    assert "exit 2" in lines


@pytest.mark.parametrize("form", ["table", "markdown", "cmd", "powershell", "ldif", "ticket"])
def test_a_plan_without_windows_authentication_says_that_nothing_asks(told: Told, tmp_path: Path, form: str) -> None:
    path = written(tmp_path, "*:80:a.test.com", enabled=False)
    code, lines = told("plan", path, "--format", form)
    assert code == exits.CLEAN
    text = re.sub(r"\s+", " ", " ".join(line.lstrip("#").removeprefix("rem ") for line in lines))
    assert "no application asks clients for a Kerberos ticket" in text
    assert "NOT CHECKED" not in text


@pytest.mark.parametrize(("mode", "is_open"), [("Allow", True), ("Deny", False)])
@pytest.mark.parametrize("words", [("inspect",), ("plan",), ("plan", "--format", "ticket")])
def test_what_a_web_config_may_switch_on_is_no_all_clear(
    told: Told, tmp_path: Path, words: tuple[str, ...], mode: str, is_open: bool
) -> None:
    """Nobody looked at the files, and where the section is unlocked one may set enabled=true."""
    path = written(tmp_path, "*:80:a.test.com", enabled=False, mode=mode)
    _, lines = told(*words, path)
    text = re.sub(r"\s+", " ", " ".join(lines))
    assert ("may switch Windows authentication on" in text) == is_open
    assert ("OK: no SPN matters" in text) != is_open
    (application,) = inspect([path]).applications
    assert (application.negotiates, application.decryption) == (False, "uncertain" if is_open else "none")


@pytest.mark.parametrize("form", ["table", "cmd", "powershell", "ldif", "ticket"])
def test_a_plan_that_is_not_about_all_names_says_so(told: Told, form: str) -> None:
    """Of three SPNs one is known: the pool account decrypts behind a host header."""
    code, lines = told("plan", "IIS04/applicationHost.config", *AD, "--format", form)
    text = re.sub(r"\s+", " ", " ".join(line.lstrip("#").removeprefix("rem ") for line in lines))
    assert "NOT CHECKED: 2 of 3 SPNs, the server's name is not known: give --computer. No step is about them." in text
    assert code == exits.CLEAN


@pytest.mark.parametrize("form", PLANS)
def test_a_plan_of_a_server_that_is_known_to_be_right(told: Told, form: str) -> None:
    code, lines = told("plan", "IIS01", *AD, *DNS, "--format", form)
    assert code == exits.CLEAN
    assert not any("NOT CHECKED" in line and "<b>0</b>" not in line for line in lines)


def test_nothing_is_applied_where_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "IIS05", "--apply"]) == exits.INCOMPLETE
    assert "nothing is applied" in capsys.readouterr().err


# -- --fail-on unchecked -------------------------------------------------------------------------------------------

URL = "http://contoso.test.com/"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("inspect", "IIS02"), exits.CLEAN),
        (("inspect", "IIS02", "--fail-on", "unchecked"), exits.FINDINGS),
        (("inspect", "IIS02", "--fail-on", "never", "--fail-on", "unchecked"), exits.FINDINGS),
        (("inspect", "IIS02", *AD, "--fail-on", "unchecked"), exits.CLEAN),
        (("inspect", "IIS02", *AD, *DNS, "--fail-on", "unchecked"), exits.FINDINGS),  # an error, as ever
        (("inspect", "IIS02", *AD, *DNS, "--fail-on", "unchecked", "--fail-on", "never"), exits.CLEAN),
        (("inspect", "IIS01/applicationHost.config", *AD), exits.CLEAN),
        (("inspect", "IIS01/applicationHost.config", *AD, "--fail-on", "unchecked"), exits.FINDINGS),
        (("inspect", "IIS01", *AD, *DNS, "--fail-on", "unchecked"), exits.CLEAN),
        (("inspect", "IIS01", *AD, "--fail-on", "info", "--fail-on", "unchecked"), exits.FINDINGS),
        (("inspect", "IIS01", *AD, *DNS, "--fail-on", "error", "--fail-on", "info"), exits.FINDINGS),
        (("inspect", "IIS01", "--fail-on", "never", "--fail-on", "info"), exits.USAGE),
        (("explain", URL, "IIS02"), exits.CLEAN),
        (("explain", URL, "IIS02", "--fail-on", "unchecked"), exits.FINDINGS),
        (("explain", URL, "IIS02", *AD, "--fail-on", "unchecked"), exits.CLEAN),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_unchecked_counts_besides_the_severity(words: Sequence[str], code: int) -> None:
    assert main(words) == code
