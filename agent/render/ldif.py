"""The plan as LDIF (RFC 2849) for `ldifde -i` and `ldapmodify`: one value of one account in each record."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from agent.change.plan import rolled_back
from agent.model import Report
from agent.render.script import ALIAS, CACHES, DUPLICATES, RIGHTS, Change, Outline, ask_first, changes, comment, heading

_SAFE = re.compile(r"[!-9;=-~]([ -~]*[!-~])?\Z")
"""RFC 2849's SAFE-STRING without control characters; one that ends in a space is for base64 too."""


def to_ldif(report: Report, server: str | None = None) -> str:
    """The SPN steps, in order. `server` is the domain controller to name in the command line."""
    outline = Outline(report)
    lines = [*map(_remark, _head(outline, server)), ""]
    for change in outline.changes:
        lines += [*_step(outline, change), ""]
    lines += [_remark("The way back, last step first. Put it into a file of its own without the first two characters.")]
    if outline.ends_duplicates:
        lines.append(_remark(DUPLICATES))
    for change in changes(rolled_back(outline.steps)):
        lines += ["#", *(f"# {line}" for line in _record(change) or [_unknown(change)])]
    return "\n".join(lines) + "\n"


def _remark(text: str) -> str:
    return f"# {comment(text)}".rstrip()


def _head(outline: Outline, server: str | None) -> Iterator[str]:
    controller = server or "DC"
    yield from heading(outline)
    yield RIGHTS
    yield f"ldifde -i -f FILE -s {controller}"
    yield f"ldapmodify -H ldap://{controller} -f FILE"
    yield "Both stop at the first record that is refused: what stands before it is done."
    for server_name, steps in outline.settings.items():
        yield f"IIS settings, before the SPNs: run on {server_name}"
        yield from (f"   {step.command}" for step in steps)
    for step in (*outline.dns, *outline.manual):
        yield f"Before the SPNs, {step.kind}: {step.command}"
    yield f"Afterwards. {CACHES[0]} {CACHES[1]}; {CACHES[2]}"


def _step(outline: Outline, change: Change) -> Iterator[str]:
    yield _remark(f"Step {change.step.order} ({change.step.finding}): {change.title}")
    if outline.needs_administrator(change):
        yield _remark(ALIAS)
    record = _record(change)
    if record is None:
        yield _remark(_unknown(change))
    elif outline.is_held(change):
        yield _remark(ask_first(change))
        yield from (f"# {line}" for line in record)
    elif _waits_for_unknown(outline, change):
        yield _remark("BY HAND: the removal before it is by hand.")
        yield from (f"# {line}" for line in record)
    else:
        yield from record


def _waits_for_unknown(outline: Outline, change: Change) -> bool:
    return change.is_add and any(c.spn == change.spn and not c.is_add and _record(c) is None for c in outline.changes)


def _unknown(change: Change) -> str:
    return comment(f"BY HAND: the distinguished name of {change.account} is not known: {change.title}")


def _record(change: Change) -> list[str] | None:
    """One change; None where the account's distinguished name is not known, or no text at all."""
    try:
        dn = _line("dn", change.step.dn or "")
        value = _line("servicePrincipalName", change.spn.text)
    except UnicodeEncodeError:
        return None
    if not change.step.dn or not change.spn.text:
        return None
    return [dn, "changetype: modify", f"{'add' if change.is_add else 'delete'}: servicePrincipalName", value, "-"]


def _line(attribute: str, value: str) -> str:
    """`attribute: value`, in base64 where RFC 2849 demands it, and for control characters."""
    if _SAFE.match(value):
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"
