"""The plan as LDIF (RFC 2849) for `ldifde -i` and `ldapmodify`: one value of one account in each record."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from agent.change.plan import rolled_back
from agent.model import Report, Step
from agent.render.goals import purpose
from agent.render.script import (
    ALIAS,
    CACHES,
    DUPLICATES,
    RIGHTS,
    Outline,
    aside,
    comment,
    heading,
    if_done,
    told,
    when,
    with_question,
)

_SAFE = re.compile(r"[!-9;=-~]([ -~]*[!-~])?\Z")
"""RFC 2849's SAFE-STRING without control characters; one that ends in a space is for base64 too."""


def to_ldif(report: Report, server: str | None = None) -> str:
    """The SPN steps, in order. `server` is the domain controller to name in the command line."""
    outline = Outline(report, lambda step: _record(step) is not None)
    lines = [*map(_remark, _head(outline, server)), ""]
    for step in outline.changes:
        lines += [*_step(outline, step), ""]
    lines.append(_remark(_BACK))
    lines += [f"# {_remark(sentence)}" for sentence in (_STAYS, *([DUPLICATES] if outline.ends_duplicates else []))]
    for step, back in zip(reversed(outline.changes), rolled_back(outline.changes), strict=True):
        lines += ["#", *(f"# {line}" for line in _undone(outline, step, back))]
    return "\n".join(lines) + "\n"


_BACK = "The way back, last step first. Put what follows into a file of its own without the first two characters."
_STAYS = "What did not run stays a remark there too."


def _undone(outline: Outline, step: Step, back: Step) -> Iterator[str]:
    """One level deeper where the step is a remark: whoever takes back the file does not take back what never ran."""
    level = "# " if outline.is_left(step) else ""
    if level:
        yield f"{level}{if_done(step)}"
    yield from (f"{level}{line}" for line in _record(back) or [_unknown(back)])


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
        yield f"IIS settings, {when(outline, steps)}: run on {server_name}, in cmd"
        yield from (f"   {line}" for step in steps for line in with_question(outline, step))
    for step in (*outline.dns, *outline.manual):
        before = when(outline, [step]).capitalize().replace("spns", "SPNs")
        yield from (f"{before}, {step.kind}: {line}" for line in (*told(step), *aside(outline, step)))
    yield f"Afterwards. {CACHES[0]} {CACHES[1]}; {CACHES[2]}"


def _step(outline: Outline, step: Step) -> Iterator[str]:
    yield _remark(f"Step {step.order} ({purpose(outline.report, step)}): {step.title}")
    if outline.needs_administrator(step):
        yield _remark(ALIAS)
    record = _record(step)
    if record is None:
        yield _remark(_unknown(step))
    elif outline.is_left(step):
        yield _remark(outline.why_left(step))
        yield from (f"# {line}" for line in record)
    else:
        yield from record


def _unknown(step: Step) -> str:
    return comment(f"BY HAND: the distinguished name of {step.account} is not known: {step.title}")


def _record(step: Step) -> list[str] | None:
    """One change; None where the account's distinguished name is not known, or no text at all."""
    name, _ = step.value
    try:
        dn = _line("dn", step.dn or "")
        value = _line("servicePrincipalName", name.text)
    except UnicodeEncodeError:
        return None
    if not step.dn or not name.text:
        return None
    return [dn, "changetype: modify", f"{'add' if step.is_add else 'delete'}: servicePrincipalName", value, "-"]


def _line(attribute: str, value: str) -> str:
    """`attribute: value`, in base64 where RFC 2849 demands it, and for control characters."""
    if _SAFE.match(value):
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"
