"""The plan as a batch file for cmd.exe: `setspn` lines with checks around them, everything else as remarks.

`setspn` gives no exit code to rely on (`-X` exits 1 on success) and its sentences are translated. So each step is
judged by what `setspn -L` and `-F -Q` list afterwards, which is the SPN itself in every language. It chooses the domain
controller itself, so a registration waits until its removal is seen everywhere. The file is ASCII whatever the names
are: cmd.exe reads it in the code page of the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.change.plan import rolled_back
from agent.checks.commands import APPCMD, setspn, setspn_list, setspn_query
from agent.model import Report, Step
from agent.names import Spn
from agent.render.goals import purpose
from agent.render.script import (
    ALIAS,
    CACHES,
    DUPLICATES,
    RIGHTS,
    Outline,
    aside,
    ask_first,
    at,
    comment,
    heading,
    if_done,
    told,
    when,
)
from agent.render.wording import plural

TRIES = 40
SECONDS = 15
"""A move waits for replication at most this often, this long each time: ten minutes."""

LONGEST_TEXT = 250
"""findstr takes no longer text on every Windows."""

_RULE = "rem " + "-" * 70
_SPECIAL = re.compile(r'[&|<>^%!"]')


def to_cmd(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller wished for, which `setspn` cannot be told."""
    outline = Outline(report, can_write)
    lines = [
        "@echo off",
        *_head(outline, server),
        *_elsewhere(outline),
        "setlocal EnableExtensions DisableDelayedExpansion",
        "set IIS_SPN_DONE=",
        *_first_look(outline),
    ]
    for step in outline.changes:
        lines += ["", *_step(outline, step)]
    lines += ["", *_ends(outline), "", *_rollback(outline)]
    return "".join(f"{line}\r\n" for line in lines)


def can_write(step: Step) -> bool:
    """Whether a batch file can hold an SPN step."""
    name, account = step.value
    lines = (setspn("-S", name, account, step.account_kind), setspn_query(name))
    return None not in lines and all(text.isascii() and len(text) <= LONGEST_TEXT for text in (name.text, str(account)))


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
        if copied or step.command is None:
            yield f"rem    {part}" if copied else _rem(f"   {part}")
        else:
            what = step.title if step.changes_spn else f"step {step.order}"
            yield _rem(f"   BY HAND: {what}. A batch file cannot hold its line, see --format ticket.")


def _head(outline: Outline, server: str | None) -> Iterator[str]:
    yield _RULE
    for sentence in heading(outline):
        yield _rem(sentence)
    yield _rem(RIGHTS)
    if server is not None:
        yield _rem(f"setspn cannot be told to use {server}: use the PowerShell or the LDIF form for that.")
    yield _rem("setspn chooses the domain controller itself: where an SPN moves, the script waits until the old")
    yield _rem(f"holder is gone from the forest, at most {TRIES * SECONDS // 60} minutes for each.")
    yield _rem("It may be run again: what is done already is passed over. The way back stands at the end.")
    yield _rem("It ends with 0: all done; 1: steps are left to people; 2: stopped, or nothing was begun.")
    yield _RULE


def _elsewhere(outline: Outline) -> Iterator[str]:
    """What must be done on other machines, or by hand."""
    for server, steps in outline.settings.items():
        yield _rem()
        yield _rem(f"IIS settings, {when(outline, steps)}: run on {server}, in an elevated cmd prompt, not here")
        for step in steps:
            if outline.is_held(step):
                yield _rem(f"   {ask_first(step)}")
            yield from _shown(step)
            yield from (_rem(f"      {note}") for note in aside(outline, step))
    for title, others in ((f"DNS, {when(outline, outline.dns)}:", outline.dns), ("By hand:", outline.manual)):
        if others:
            yield _rem()
            yield _rem(title)
        for step in others:
            yield from _shown(step)
            yield from (_rem(f"      {note}") for note in aside(outline, step))
    yield _rem()


def _rollback(outline: Outline) -> Iterator[str]:
    yield _RULE
    yield _rem("The way back, last step first. Nothing below is run; take back only what was done.")
    if outline.ends_duplicates:
        yield _rem(DUPLICATES)
    for step, back in zip(reversed(outline.steps), rolled_back(outline.steps), strict=True):
        yield _rem(if_done(step))
        if step.kind == "iis-setting":
            yield _rem(f"run {at(step)}:")
        yield from _shown(back)
    yield _RULE


# -- steps ---------------------------------------------------------------------------------------------------------


def _listing(step: Step) -> str:
    return setspn_list(step.value[1], step.account_kind) or ""


def _first_look(outline: Outline) -> Iterator[str]:
    """Each account once, before anything is changed."""
    run = [step for step in outline.changes if not outline.is_left(step)]
    if run:
        yield from ("", _rem("Nothing is changed unless every account answers."))
    accounts: dict[str, Step] = {}
    for step in run:
        accounts.setdefault(_listing(step), step)
    for step in accounts.values():
        yield f"set IIS_SPN_STEP={step.order}"
        yield f'{_listing(step)} | findstr /L /C:",DC=" >nul'
        yield "if errorlevel 1 goto unready"


def _step(outline: Outline, step: Step) -> Iterator[str]:
    yield _rem(f"Step {step.order} ({purpose(outline.report, step)}): {step.title}")
    if outline.needs_administrator(step):
        yield _rem(ALIAS)
    if outline.is_left(step):
        yield from _not_run(outline, step)
        return
    order, listing, found = step.order, _listing(step), _finds(step.value[0])
    yield f"echo Step {order}: {step.title}"
    yield f"set IIS_SPN_STEP={order}"
    if outline.moved_from(step.value[0]) == step:
        yield from ("set IIS_SPN_TAKEN=", "set IIS_SPN_BEFORE=%IIS_SPN_DONE%")
    yield f'{listing} | findstr /L /C:",DC=" >nul'
    yield "if errorlevel 1 goto unread"
    yield f"{listing} | {found}"
    yield from _added(outline, step) if step.is_add else _removed(outline, step)
    yield f"set IIS_SPN_DONE=%IIS_SPN_DONE% {order}"
    yield f":done{order}"


def _not_run(outline: Outline, step: Step) -> Iterator[str]:
    why = outline.why_left(step)
    if step.order in outline.unable:
        why = "BY HAND: this name cannot be written into a batch file; use the PowerShell form."
    yield _rem(why)
    if can_write(step):
        yield f"rem {why.partition(':')[0]}: {_change(step)}"
    yield f"echo Step {step.order}: NOT RUN. {_shown_text(why)}"


def _change(step: Step) -> str:
    return setspn("-S" if step.is_add else "-D", *step.value, step.account_kind) or ""


def _removed(outline: Outline, step: Step) -> Iterator[str]:
    """Where one holder makes room for another it is noted, for it comes back when the other one is refused."""
    yield f"if errorlevel 1 goto done{step.order}"
    yield _change(step)
    yield f"{_listing(step)} | {_finds(step.value[0])}"
    yield "if not errorlevel 1 goto failed"
    if outline.moved_from(step.value[0]) == step:
        yield "set IIS_SPN_TAKEN=1"


def _added(outline: Outline, step: Step) -> Iterator[str]:
    order, (name, _) = step.order, step.value
    yield f"if not errorlevel 1 goto done{order}"
    if outline.follows_delete(step):
        yield from _wait(order, f"{setspn_query(name)} | {_finds(name)}")
    yield _change(step)
    yield f"{_listing(step)} | {_finds(name)}"
    old = outline.moved_from(name)
    if old is None:
        yield "if errorlevel 1 goto failed"
        return
    yield f"if not errorlevel 1 goto added{order}"
    yield "if not defined IIS_SPN_TAKEN goto failed"
    yield f"echo It was refused. Putting {name} back to {old.value[1]}."
    yield setspn("-S", *old.value, old.account_kind) or ""
    yield f"{_listing(old)} | {_finds(name)}"
    yield "if errorlevel 1 goto homeless"
    yield "set IIS_SPN_DONE=%IIS_SPN_BEFORE%"
    yield "goto failed"
    yield f":added{order}"


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


_STOPS = {
    "unread": "the account could not be read. Is a domain controller there, and does the account exist?",
    "late": "the old holder is still seen in the forest. Until then nobody holds the SPN: run this again.",
    "failed": "setspn did not do it, see its message above. Rights, or an SPN that is not unique.",
    "homeless": "it was refused, and so was putting the SPN back: NOBODY HOLDS IT NOW. See the way back.",
}


def _ends(outline: Outline) -> Iterator[str]:
    """How the script ends: well, with steps left to people, or at the first step that did not do what it should."""
    if outline.is_blind:
        yield f"echo {_shown_text(outline.without_ground or '')}"
        yield "exit /b 2"
        return
    left = outline.left_out
    yield f"echo {'Done.' if not left else 'All that a script can do is done.'} {CACHES[0]}"
    yield f"echo Then on the client: {CACHES[1]}"
    yield f"echo and for services of the client: {CACHES[2]}"
    if left:
        yield f"echo NOT DONE: {plural(len(left), 'step')} of {len(outline.steps)}, see the remarks in this file:"
    for step in left:
        what = step.title if step.changes_spn else at(step)
        yield f"echo    step {step.order}: {_shown_text(what)}"
    yield f"exit /b {1 if left else 0}"
    yield ":unready"
    yield f"echo Step %IIS_SPN_STEP%: {_STOPS['unread']}"
    yield "echo Nothing was changed."
    yield "exit /b 2"
    for label, why in _STOPS.items():
        yield f":{label}"
        yield f"echo Step %IIS_SPN_STEP%: {why}"
        yield "goto stopped"
    yield ":stopped"
    yield "echo Nothing after this step was run. Changed by this run, steps:%IIS_SPN_DONE%"
    yield "exit /b 2"
