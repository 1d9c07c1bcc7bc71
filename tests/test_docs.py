"""The documentation says what the program does, all of it, and its examples run."""

from __future__ import annotations

import argparse
import doctest
import itertools
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from worlds import names

import agent
from agent import exits
from agent.checks.findings import FINDINGS
from agent.cli import arguments, looking, program
from agent.cli.examples import EXAMPLES
from agent.cli.manual import manual
from agent.library import Options
from agent.names import host_name
from agent.render.pages import overview, page
from agent.spn.clients import CLIENTS, asked_hosts, asked_port
from agent.spn.rules import TABLE, Rule

ROOT = Path(__file__).parents[1]
LABELS = ["What it means", "How it shows", "See it by hand", "Fix", "Source"]


class Still(datetime):
    """The day of the samples: on every other their passwords are of another age."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Still:
        return cls(2026, 11, 22, 12, tzinfo=tz)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sections(name: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", read(name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = [a for a in arguments.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(actions[0].choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {o for action in parser._actions for o in action.option_strings if action.help != argparse.SUPPRESS}


def test_a_section_for_each_finding_in_the_order_of_the_table() -> None:
    documented = [name for name in sections("docs/findings.md") if name != "content-not-collected"]
    assert documented == list(FINDINGS)


def test_a_section_for_each_rule() -> None:
    assert [rule.id for rule in TABLE] == [
        name for name in sections("docs/rules.md") if re.match(r"(scenario|extra)-\d", name)
    ]


def table(name: str, first: str) -> list[tuple[str, ...]]:
    """The rows of the Markdown table whose first heading is `first`."""
    lines = read(name).splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(rf"\| {first} +\|", line))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def cells(rule: Rule) -> tuple[str, ...]:
    """A row of the rule table in the words of its page."""
    credentials = {True: "true", False: "false", None: "any"}[rule.pool_credentials]
    holder = {"computer": "the computer", "pool": "the pool account"}[rule.decrypts]
    spn = "none, `HOST/` covers" if rule.spn == "covered" else f"`HTTP/` on {holder}"
    kernel = "enabled" if rule.kernel_mode else "disabled"
    comment = rule.comment.replace("(R1.4)", "(R1.4, inference)")
    return (rule.id, kernel, credentials, rule.identity or "any", rule.name, spn, comment)


def test_the_table_of_rules_is_the_table() -> None:
    assert table("docs/rules.md", "Rule") == [cells(rule) for rule in TABLE]


HERE = "iis01 A 10.0.5.2;contoso {};$ORIGIN 5.0.10.in-addr.arpa.;2 PTR the-ptr-name.;4 PTR the-ptr-name."


def test_the_table_of_client_kinds_is_the_table() -> None:
    by_kind = {}
    for client in CLIENTS.values():
        hosts = []
        for record in ("A 10.0.5.4", "CNAME iis01"):
            (host,) = asked_hosts(client, host_name("contoso"), names(HERE.format(record)), "test.com")
            hosts.append("the PTR name" if host.text == "the-ptr-name" else f"`{host}`")
        by_kind[f"`{client.name}`"] = (*hosts, "yes" if asked_port(client, 8080) else "no")
    rows = table("docs/rules.md", "Client")
    assert {name: tuple(answers) for name, *answers, _source in rows} == by_kind
    assert [name for name, *_ in rows] == list(by_kind)
    assert all(source for *_, source in rows)
    first = [client.default for client in CLIENTS.values()]
    assert first == sorted(first, reverse=True)
    assert f"the first {['no', 'one', 'two', 'three', 'four'][sum(first)]} are asked about" in read("docs/rules.md")


@pytest.mark.parametrize("file", ["docs/findings.md", "docs/rules.md"])
def test_fixed_headings(file: str) -> None:
    ids = {*FINDINGS, *(rule.id for rule in TABLE)}
    for name, text in sections(file).items():
        if name in ids:
            assert re.findall(r"^\*\*([^*]+)\.\*\*", text, flags=re.MULTILINE) == LABELS, name


@pytest.mark.parametrize("name", FINDINGS)
def test_the_page_names_the_severities_of_the_table(name: str) -> None:
    line = sections("docs/findings.md")[name].strip().splitlines()[0]
    assert set(FINDINGS[name].severities) == set(re.findall(r"error|warning|info", line))


@pytest.mark.parametrize("name", [*FINDINGS, *(rule.id for rule in TABLE)])
def test_rules_prints_the_page(name: str) -> None:
    text = page(name, 80, color=False)
    assert text.startswith(name + "\n\n")
    assert [line for line in text.splitlines() if line + "." in {f"{label}." for label in LABELS}] == LABELS


@pytest.mark.parametrize("name", [*FINDINGS, *(rule.id for rule in TABLE)])
def test_a_page_on_the_screen_is_text_and_its_commands_are_whole(name: str) -> None:
    file = "docs/findings.md" if name in FINDINGS else "docs/rules.md"
    text, source = page(name, 80, color=False), sections(file)[name]
    assert not re.search(r"\*\*|```|`|\]\(", text)
    for code in re.findall(r"```\w*\n(.*?)```", source, flags=re.DOTALL):
        assert all(f"    {line}".rstrip() in text.splitlines() for line in code.splitlines())
    prose = [line for line in text.splitlines() if not line.startswith("    ")]
    assert max(map(len, prose)) <= 80 or " " not in max(prose, key=len).strip()


def test_rules_lists_every_rule_and_finding() -> None:
    listed = overview().splitlines()
    for name in [*FINDINGS, *(rule.id for rule in TABLE)]:
        assert any(line.startswith(f"{name} ") for line in listed), name


def test_every_command_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `([a-z]+)[ `]", read("docs/commands.md"), flags=re.MULTILINE)
    assert documented == list(commands())


def test_every_option_is_documented_and_no_other() -> None:
    known = {option for parser in commands().values() for option in options(parser)} - {"-h", "--help"}
    rows = re.findall(r"^\| (`-[^|]+`) \|", read("docs/commands.md"), flags=re.MULTILINE)
    documented = {option for row in rows for option in re.findall(r"`(-{1,2}[a-z-]+)", row)}
    assert documented == known


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", read("docs/commands.md"), flags=re.MULTILINE)}


def test_help_and_documentation_offer_nothing_that_does_not_exist() -> None:
    text = read("README.md") + read("docs/commands.md")
    used = set(re.findall(r"iis-spn ([a-z]+)", text)) - set(commands())
    assert used == set()


def test_every_option_of_the_library_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", read("docs/library.md"), flags=re.MULTILINE)
    assert documented == list(Options.__annotations__)


def test_every_example_of_the_library_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, as one session; an empty line before the fence ends what is expected."""
    monkeypatch.chdir(ROOT)
    text = read("docs/library.md")
    assert text.count("```") == 2 * text.count("```pycon\n")
    session = "\n".join(re.findall(r"^```pycon\n(.+?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(session, {}, "docs/library.md", None, None)
    assert len(test.examples) > 20
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_library_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(.+?)```", read("README.md"), flags=re.DOTALL)
    assert example is not None
    exec(compile(example[1], "README.md", "exec"), {})
    assert "HTTP/sales.test.com TEST\\IIS05$ modified" in capsys.readouterr().out


def test_the_output_shown_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(looking, "datetime", Still)  # the README shows the samples on their day
    shown = re.search(r"```\n\$ iis-spn ([^\n]+)\n(.+?)```", read("README.md"), flags=re.DOTALL)
    assert shown is not None
    assert program.main(shown[1].split()) == exits.FINDINGS
    assert capsys.readouterr().out.startswith(shown[2])


def test_the_package_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert doctest.testmod(agent).failed == 0


def test_the_man_page_is_the_parser() -> None:
    assert read("docs/iis-spn.1") == manual(), "write it anew: python -m agent.cli.manual > docs/iis-spn.1"


@pytest.mark.skipif(shutil.which("man") is None or shutil.which("groff") is None, reason="no man and groff on PATH")
def test_the_man_page_is_one(tmp_path: Path) -> None:
    """No warning of the formatter, and every option and example as it is typed, unbroken."""
    page = tmp_path / "iis-spn.1"
    page.write_text(manual(), encoding="ascii")
    checked = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z", str(page)], capture_output=True, check=True)
    assert checked.stderr == b""
    width = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C", "MAN_KEEP_FORMATTING": ""}
    shown = subprocess.run(["man", "-l", str(page)], capture_output=True, text=True, env=width, check=True).stdout
    words = set(re.split(r"[\s,]+", shown))
    assert {option for parser in commands().values() for option in options(parser)} <= words
    lines = {line.strip() for line in shown.splitlines()}
    assert {example.line for examples in EXAMPLES.values() for example in examples} <= lines


def test_links_lead_somewhere() -> None:
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (file.parent / target).exists(), f"{file.name}: {target}"


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_lead_to_headings_that_are_there() -> None:
    """A heading of the changelog's own releases may be gone by the next."""
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        text = file.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
            if "://" in target:
                continue
            there = (file.parent / target).read_text(encoding="utf-8") if target else text
            assert anchor in {slug(line) for line in re.findall(r"^#+ (.+)$", there, re.MULTILINE)}, f"{file}: {anchor}"


NAMED = re.compile(r"\bR\d+\.\d+\b|\bKB ?\d{6,}|\bRFC \d+|\bM[SC]-[A-Z]{4,}|\bcc\d{6}|CVE-\d|\"[^\"]+\"|`<")


@pytest.mark.parametrize("file", ["docs/findings.md", "docs/rules.md"])
def test_every_source_is_a_link(file: str) -> None:
    for paragraph in re.findall(r"\*\*Source\.\*\*.+?(?=\n\n|\Z)", read(file), flags=re.DOTALL):
        plain = re.sub(r"\[[^]]*\]\([^)]*\)( \(CVE-[-\d]+\))?", "", paragraph)
        assert NAMED.findall(plain) == [], paragraph
        assert "](" in paragraph or "None:" in paragraph


def test_every_rule_that_is_named_stands_among_the_sources_and_no_other() -> None:
    named = {rule for file in ("findings", "rules") for rule in re.findall(r"\[(R\d+\.\d+)\]", read(f"docs/{file}.md"))}
    assert named == set(re.findall(r"^### (R\d+\.\d+)$", read("docs/sources.md"), re.MULTILINE))


def test_help_of_the_program_is_one_screen() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert len(done.stdout.splitlines()) < 30, "as many as a new console window of Windows has"
    assert max(map(len, done.stdout.splitlines())) < 80
    assert done.stderr == ""
