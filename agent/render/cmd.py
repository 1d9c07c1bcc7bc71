"""The plan as a batch file for cmd.exe: `setspn` lines with checks around them, everything else as remarks.

`setspn` gives no exit code to rely on (`-X` exits 1 on success) and its sentences are translated. So each step is
judged by what `setspn -L` and `-F -Q` list afterwards, which is the SPN itself in every language. The file is ASCII
whatever the names are: cmd.exe reads it in the code page of the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.change.plan import rolled_back
from agent.checks.commands import APPCMD, setspn, setspn_list, setspn_query
from agent.model import Report, Step
from agent.names import AccountName, Spn
from agent.render.script import ALIAS, CACHES, DUPLICATES, RIGHTS, Outline, ask_first, comment, heading, told

TRIES = 40
SECONDS = 15
"""A move waits for replication at most this often, this long each time: ten minutes."""

LONGEST_TEXT = 250
"""findstr takes no longer text on every Windows."""

_RULE = "rem " + "-" * 70
_SPECIAL = re.compile(r'[&|<>^%!"]')


def to_cmd(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller wished for, which `setspn` cannot be told."""
    outline = Outline(report)
    lines = [
        "@echo off",
        *_head(outline, server),
        *_elsewhere(outline),
        "setlocal EnableExtensions DisableDelayedExpansion",
    ]
    for step in outline.changes:
        lines += ["", *_step(outline, step)]
    lines += ["", *_ends(outline), "", *_rollback(outline)]
    return "".join(f"{line}\r\n" for line in lines)


# -- remarks -------------------------------------------------------------------------------------------------------


def _rem(text: str = "") -> str:
    """A remark that cannot become anything else: cmd.exe expands % in remarks, and may act on the others."""
    return f"rem {_shown_text(text)}".rstrip()


def _shown_text(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", comment(text))


def _shown(step: Step) -> Iterator[str]:
    """What is done in another place, as remarks from which a command can be copied."""
    for part in told(step):
        bare = part.removeprefix(APPCMD)
        copied = part.isascii() and part.isprintable() and not _SPECIAL.search(bare.replace('"', ""))
        yield f"rem    {part}" if copied else _rem(f"   {part}")


def _head(outline: Outline, server: str | None) -> Iterator[str]:
    yield _RULE
    for sentence in heading(outline):
        yield _rem(sentence)
    yield _rem(RIGHTS)
    if server is not None:
        yield _rem(f"setspn cannot be told to use {server}: use the PowerShell or the LDIF form for that.")
    yield _rem("setspn chooses the domain controller itself: where an SPN moves, the script waits until the old")
    yield _rem(f"holder is gone from the forest, at most {TRIES * SECONDS // 60} minutes.")
    yield _rem("It may be run again: what is done already is passed over. The way back stands at the end.")
    yield _RULE


def _elsewhere(outline: Outline) -> Iterator[str]:
    """What must be done on other machines, or by hand."""
    for server, steps in outline.settings.items():
        yield _rem()
        yield _rem(f"IIS settings, before the SPNs: run on {server}, in an elevated prompt, not here")
        for step in steps:
            if outline.is_held(step):
                yield _rem(f"   {ask_first(step)}")
            yield from _shown(step)
    for title, others in (("DNS, before the SPNs:", outline.dns), ("By hand:", outline.manual)):
        if others:
            yield _rem()
            yield _rem(title)
        for step in others:
            yield from _shown(step)
    yield _rem()


def _rollback(outline: Outline) -> Iterator[str]:
    yield _RULE
    yield _rem("The way back, last step first. Nothing below is run; take back only what was done.")
    if outline.ends_duplicates:
        yield _rem(DUPLICATES)
    for step in rolled_back(outline.steps):
        if step.kind == "iis-setting":
            yield _rem(f"run on {step.server or 'the web server'}:")
        yield from _shown(step)
    yield _RULE


# -- steps ---------------------------------------------------------------------------------------------------------


def _step(outline: Outline, step: Step) -> Iterator[str]:
    order, (name, account), kind = step.order, step.value, step.account_kind
    yield _rem(f"Step {order} ({step.finding}): {step.title}")
    change = setspn("-S" if step.is_add else "-D", name, account, kind)
    listing, query = setspn_list(account, kind), setspn_query(name)
    if change is None or listing is None or query is None or not _fits(name, account):
        yield _rem("BY HAND: this name cannot be written into a batch file; use the PowerShell form.")
        return
    if outline.needs_administrator(step):
        yield _rem(ALIAS)
    if outline.is_held(step):
        yield _rem(ask_first(step))
        yield f"rem ASK FIRST: {change}"
        return
    found = _finds(name)
    yield f"echo Step {order}: {step.title}"
    yield f"set IIS_SPN_STEP={order}"
    yield f'{listing} | findstr /L /C:",DC=" >nul'
    yield "if errorlevel 1 goto unread"
    yield f"{listing} | {found}"
    yield f"if {'not ' if step.is_add else ''}errorlevel 1 goto done{order}"
    if outline.follows_delete(step):
        yield from _wait(order, f"{query} | {found}")
    yield change
    yield f"{listing} | {found}"
    yield f"if {'' if step.is_add else 'not '}errorlevel 1 goto failed"
    yield f":done{order}"


def _fits(name: Spn, account: AccountName) -> bool:
    return all(text.isascii() and len(text) <= LONGEST_TEXT for text in (name.text, str(account)))


def _finds(name: Spn) -> str:
    """Looks for a line that ends with the SPN: the values stand indented, one on each line."""
    literal = name.text.replace("\\", "\\\\")
    return f'findstr /I /E /L /C:"{literal}" >nul'


def _wait(order: int, search: str) -> Iterator[str]:
    yield "set IIS_SPN_TRIES=0"
    yield f":wait{order}"
    yield search
    yield f"if errorlevel 1 goto gone{order}"
    yield "set /a IIS_SPN_TRIES+=1"
    yield f"if %IIS_SPN_TRIES% GEQ {TRIES} goto late"
    yield "echo The old holder is still seen in the forest. Waiting for replication."
    yield f"timeout /t {SECONDS} /nobreak >nul"
    yield f"goto wait{order}"
    yield f":gone{order}"


def _ends(outline: Outline) -> Iterator[str]:
    """How the script ends: well, at the first step that did not do what it should, or with nothing known."""
    if outline.is_blind:
        yield f"echo {_shown_text(outline.without_ground or '')}"
        yield "exit /b 2"
        return
    yield f"echo Done. {CACHES[0]}"
    yield f"echo Then on the client: {CACHES[1]}"
    yield f"echo and for services of the client: {CACHES[2]}"
    yield "exit /b 0"
    told = {
        "unread": "the account could not be read. Is a domain controller there, and does the account exist?",
        "late": "the old holder is still seen in the forest. Wait for replication and run this again.",
        "failed": "setspn did not do it, see its message above. Rights, or an SPN that is not unique.",
    }
    for label, why in told.items():
        yield f":{label}"
        yield f"echo Step %IIS_SPN_STEP%: {why}"
        yield "echo Nothing after this step was run."
        yield "exit /b 1"
