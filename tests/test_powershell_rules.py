"""Rules that every PowerShell file here keeps, and every script that a plan prints; no engine is needed to look.

Windows PowerShell 5.1 is the oldest that reads them, a script without BOM in the code page of the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
from test_script import PARSER, every_kind, moved, nodes, words

from agent.render.powershell import to_powershell

ROOT = Path(__file__).parents[1]
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for pattern in ("*.ps1", "install/*.ps1", "agent/**/*.ps1", "tests/**/*.ps1", "tests/**/*.psm1")
    for path in sorted(ROOT.glob(pattern))
}
PRINTED = {"a plan": to_powershell(every_kind()), "a plan that moves": to_powershell(moved())}
TEXTS = {**FILES, **PRINTED}
SHIPPED = {name: text for name, text in TEXTS.items() if not name.startswith("tests/")}
every_text = pytest.mark.parametrize("name", TEXTS)
every_shipped = pytest.mark.parametrize("name", SHIPPED)

# learn.microsoft.com/powershell/scripting/developer/cmdlet/approved-verbs-for-windows-powershell-commands, those in use
APPROVED = frozenset(
    re.findall(
        r"\S+",
        """Add Assert Compare Complete Compress ConvertFrom ConvertTo Expand Find Format Get Hide Install
        Invoke New Read Register Remove Resolve Restore Save Search Select Set Show Skip Test Undo Uninstall
        Unregister Watch Write""",
    )
)
# Get-Alias of Windows PowerShell 5.1, those somebody might write
ALIASES = frozenset(
    re.findall(
        r"\S+",
        """% ? ac asnp cat cd chdir clc clear cli clp cls copy cp cpi curl cvpa del diff dir echo epal epcsv
        erase fc fl foreach ft fw gal gc gci gcm gcs gdr gi gjb gl gm gmo gp gps group gsv gu gv gwmi h
        history icm iex ihy ii ipal ipcsv ipmo iwr kill lp ls man md measure mi mount move mp mv nal ndr ni
        nmo nv ogv oh popd ps pushd pwd r rd ren ri rm rmdir rni rp rv sajb sal saps sasv sbp sc select set
        shcm si sl sleep sls sort sp spps spsv start sv swmi tee trcm type wget where wjb write""",
    )
)
NEVER = {
    "Invoke-Expression": "runs text as code",
    "Write-Host": "cannot be kept from the screen by who calls",
    "ConvertTo-SecureString": "no password is handled",
    "Add-Type": "compiles code on a server",
}
# What Windows PowerShell 5.1 does not know, outside of strings and comments.
NEWER = {
    r"\?\?|\?\.": "null operators (7.0)",
    r"&&|\|\|": "chains (7.0)",
    r"-AsHashtable\b": "parameters of 6.0",
    r"-Parallel\b|-AsUTC|-LeafBase|-Extension\b|-NoProxy|-EscapeHandling|-AsArray": "parameters of 6.0 and 7.0",
    r"\$Is(Windows|Linux|MacOS|CoreCLR)\b": "variables of 6.0, an error in strict mode",
    r"utf8NoBOM|utf8BOM": "encodings of 6.0",
    r"\b(Test-Json|Get-Error|Get-Uptime|Join-String|Remove-Service|Remove-Alias|Switch-Process)\b": "cmdlets of 6, 7",
    r"GetRelativePath|\bclean\s*\{": "members of .NET Core, blocks of 7.3",
}
IN_TESTS = {"-AsHashtable"}
"""The driver of the tests runs in PowerShell 7 only."""


def tree(name: str) -> tree_sitter.Node:
    return PARSER.parse(TEXTS[name].encode()).root_node


def functions(root: tree_sitter.Node) -> dict[str, tree_sitter.Node]:
    """The functions of a file by their names; the file itself is the one without a name."""
    found = {}
    for node in nodes(root):
        if node.type == "function_statement":
            (named,) = [words(child) for child in node.named_children if child.type == "function_name"]
            found[named] = node
    return found


def called(node: tree_sitter.Node) -> set[str]:
    return {words(one) for one in nodes(node) if one.type == "command_name"}


def code_of(name: str) -> str:
    """A text without its strings and comments."""
    text = TEXTS[name].encode()
    for node in nodes(tree(name)):
        if node.type in {"comment", "string_literal"}:
            text = text[: node.start_byte] + b" " * (node.end_byte - node.start_byte) + text[node.end_byte :]
    return text.decode()


@every_text
def test_it_is_powershell(name: str) -> None:
    assert [words(n) for n in nodes(tree(name)) if n.type == "ERROR" or n.is_missing] == []


@every_text
def test_it_is_ascii_without_tabs(name: str) -> None:
    assert re.findall(r"[^ -~\r\n]", TEXTS[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_lines_are_short(name: str) -> None:
    assert [line for line in TEXTS[name].splitlines() if len(line) > 120] == []


@every_text
def test_functions_are_called_as_cmdlets_are(name: str) -> None:
    for function in functions(tree(name)):
        assert re.fullmatch(r"[A-Z][a-zA-Z]+-[A-Z][A-Za-z0-9]+", function), function
        assert function.partition("-")[0] in APPROVED, function


@every_text
def test_no_alias_and_nothing_that_is_never_used(name: str) -> None:
    used = {command.lower() for command in called(tree(name))}
    assert used & ALIASES == set()
    assert used & {command.lower() for command in NEVER} == set()


@every_text
@pytest.mark.parametrize("pattern", NEWER)
def test_nothing_newer_than_5_1(name: str, pattern: str) -> None:
    found = {match[0] for match in re.finditer(pattern, code_of(name), re.IGNORECASE)}
    assert found - (IN_TESTS if name.startswith("tests/") else set()) == set()


@every_shipped
def test_join_path_has_two_parts(name: str) -> None:
    """Windows PowerShell 5.1 takes no third."""
    for node in nodes(tree(name)):
        if node.type == "command" and called(node) and words(node).startswith("Join-Path"):
            elements = [one for child in node.named_children for one in child.named_children]
            assert len([one for one in elements if one.type != "command_argument_sep"]) == 2, words(node)


@pytest.mark.parametrize("name", ["install.ps1", "a plan"])
def test_what_changes_something_can_be_asked_what_if(name: str) -> None:
    assert "[CmdletBinding(SupportsShouldProcess" in SHIPPED[name]


# -- the installer -------------------------------------------------------------------------------------------------

INSTALLER = [name for name in FILES if name.startswith("install")]
CHANGING = re.compile(
    r"\b(New-Item|New-ItemProperty|Set-Content|Add-Content|Remove-Item|Copy-Item|Move-Item|Set-Acl|Set-ItemProperty"
    r"|Register-ScheduledTask|Unregister-ScheduledTask|WriteAllText|Invoke-Program)\b|\[IO\.File\]::(Move|Replace)"
)


def helped(text: str) -> dict[str, str]:
    """The sections of comment-based help, numbered: their keywords, and the texts (about_Comment_Based_Help)."""
    block = re.match(r"<#\n(.*?)\n#>", text, re.DOTALL)
    assert block is not None
    parts = re.split(r"^\.([A-Z]+(?: \w+)?)\n", block[1], flags=re.MULTILINE)
    assert parts[0] == ""
    return {f"{at}:{name}": said.strip() for at, (name, said) in enumerate(zip(parts[1::2], parts[2::2], strict=True))}


def parameters(text: str) -> list[str]:
    block = re.search(r"^param\(\n(.*?)^\)\n", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return re.findall(r"\] \$(\w+)(?: = [^\n]*)?,?$", block[1], flags=re.MULTILINE)


def test_help_has_a_section_for_each_parameter_and_examples() -> None:
    sections = helped(FILES["install.ps1"])
    assert all(sections.values())
    names = [name.partition(":")[2] for name in sections]
    assert [name.removeprefix("PARAMETER ") for name in names if name.startswith("PARAMETER ")] == parameters(
        FILES["install.ps1"]
    )
    assert names.count("EXAMPLE") >= 3
    assert {"SYNOPSIS", "DESCRIPTION", "NOTES"} <= set(names)


def test_each_example_has_only_parameters_that_there_are() -> None:
    known = {*parameters(FILES["install.ps1"]), "WhatIf"}
    for name, text in helped(FILES["install.ps1"]).items():
        if name.endswith(":EXAMPLE"):
            assert set(re.findall(r" -(\w+)", text.splitlines()[0])) <= known


def installer() -> Iterator[tuple[str, tree_sitter.Node]]:
    for name in INSTALLER:
        yield from functions(tree(name)).items()


def test_every_change_of_the_installer_is_behind_should_process() -> None:
    """From the first call no change is reached but through a function that asks `ShouldProcess`."""
    known = dict(installer())
    free, waiting = set(), ["Invoke-Setup"]
    while waiting:
        name = waiting.pop()
        if name in free or "$PSCmdlet.ShouldProcess(" in words(known[name]):
            continue
        free.add(name)
        waiting += called(known[name]) & known.keys()
    assert {"Read-Manifest", "Invoke-Plan", "Undo-Unfinished", "Get-Installation"} <= free
    changing = {name for name in free if CHANGING.search(words(known[name]))}
    assert changing == {"Write-Log", "Assert-Python", "Invoke-Program"}, (
        "the log (not with -WhatIf), and asking a Python"
    )


def test_functions_that_ask_say_so_in_their_attribute() -> None:
    for name, node in installer():
        assert ("$PSCmdlet.ShouldProcess(" in words(node)) == ("SupportsShouldProcess" in words(node)), name


def test_each_edge_stands_alone() -> None:
    """What only Windows has is called in one file, which the tests replace function by function."""
    only = re.compile(
        r"\b(Get-Acl|Set-Acl|GetAccessControl|\w+-ScheduledTask\w*|New-ItemProperty|HKLM|HKCU)\b|Security\.(Principal|AccessControl)\."
    )
    assert [name for name in INSTALLER if only.search(FILES[name])] == ["install/windows.ps1"]


def test_no_function_is_long_and_none_is_unused() -> None:
    known = dict(installer())
    used = {name for node in known.values() for name in called(node)} | called(tree("install.ps1"))
    assert set(known) - used == set()
    assert max(len(words(node).splitlines()) for node in known.values()) <= 25
