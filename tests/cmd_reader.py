"""A small reader of batch files, as strict as cmd.exe is lax: what it does not know is an error.

It knows remarks, labels, quotes, ^ escapes, pipes and & && ||, redirections to nul, `if errorlevel` and `if A GEQ B`,
`if defined`, and the variables that a script sets itself.
"""

import re
from typing import NamedTuple

RAW = frozenset({"echo", "set", "goto", "exit", "setlocal"})
"""Commands of cmd.exe itself: they take the rest of the line as it is."""


class BatchError(ValueError):
    """Something that cmd.exe might read in a way nobody meant."""


class Command(NamedTuple):
    """One program or built-in that a line runs; the condition of an `if` is left away."""

    name: str
    arguments: tuple[str, ...]


class Batch(NamedTuple):
    """What a batch file does, and what its remarks say."""

    commands: tuple[Command, ...]
    labels: tuple[str, ...]
    remarks: tuple[str, ...]


def read(text: str) -> Batch:
    """Take a batch file apart. Raises BatchError for anything unexpected."""
    commands: list[Command] = []
    labels: list[str] = []
    remarks: list[str] = []
    if not text.endswith("\r\n"):
        raise BatchError("the last line has no end")
    for line in text.split("\r\n")[:-1]:
        if not re.fullmatch(r"[ -~]*", line):
            raise BatchError(f"not printable ASCII: {line!r}")
        if line.startswith(":"):
            labels.append(_matched(r":([a-z]+[0-9]*)", line)[1])
        elif line == "rem" or line.startswith("rem "):
            remarks.append(_remark(line.removeprefix("rem").removeprefix(" ")))
        elif line:
            commands += read_line(line.removeprefix("@"))
    for command in commands:
        if command.name == "goto" and command.arguments[0] not in labels:
            raise BatchError(f"no label {command.arguments[0]}")
    if len(labels) != len(set(labels)):
        raise BatchError("a label twice: cmd.exe jumps to the first it finds")
    return Batch(tuple(commands), tuple(labels), tuple(remarks))


def _matched(pattern: str, text: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text)
    if match is None:
        raise BatchError(f"unexpected: {text!r}")
    return match


def _remark(text: str) -> str:
    r"""cmd.exe expands % in remarks, and & or a last ^ may count; %windir% is known to do no harm."""
    if re.search(r"[&|<>^%]", text.replace("%windir%", "")):
        raise BatchError(f"a remark that may act: {text!r}")
    return text


def read_line(line: str) -> list[Command]:
    expanded = re.sub(r"%(IIS_SPN_[A-Z]+)%", r"\1", line)
    found = []
    for part in _parts(expanded):
        words = re.sub(
            r"if (?:(?:not )?errorlevel \d+|(?:not )?defined IIS_SPN_[A-Z]+|IIS_SPN_TRIES GEQ \d+) ",
            "",
            part.strip(),
            count=1,
        )
        found.append(_command(words))
    return found


def _parts(line: str) -> list[str]:
    """Split at operators outside quotes; escapes are resolved, redirections to nul taken away."""
    parts, part, quoted, at = [], "", False, 0
    while at < len(line):
        character = line[at]
        if character == "%":
            raise BatchError(f"a variable: {line!r}")
        if character == '"':
            quoted = not quoted
        elif not quoted and character == "^":
            at += 1
            if at == len(line):
                raise BatchError("a line that goes on in the next")
            character = line[at]
        elif not quoted and character in "&|":
            parts.append(part)
            part, character = "", ""
            at += line[at + 1 : at + 2] == line[at]
        elif not quoted and character == ">":
            _matched(r">nul\b.*", line[at:])
            character = ""
            at += len("nul")
        elif not quoted and character == "<":
            raise BatchError(f"input from a file: {line!r}")
        part += character
        at += 1
    if quoted:
        raise BatchError(f"an open quote: {line!r}")
    return [*parts, part]


def _command(text: str) -> Command:
    name, _, rest = text.partition(" ")
    if name in RAW:
        return Command(name, (rest,))
    if not re.fullmatch(r"[a-z][a-z-]*", name):
        raise BatchError(f"no command: {text!r}")
    return Command(name, arguments(rest))


def arguments(text: str) -> tuple[str, ...]:
    """The argument vector a program gets (CommandLineToArgvW)."""
    found: list[str] = []
    current, quoted, started, backslashes = "", False, False, 0
    for character in text + " ":
        if character == "\\":
            backslashes += 1
            started = True
            continue
        if character == '"':
            current += "\\" * (backslashes // 2)
            if backslashes % 2:
                current += '"'
            else:
                quoted = not quoted
            started, backslashes = True, 0
            continue
        current += "\\" * backslashes
        backslashes = 0
        if character in " \t" and not quoted:
            if started:
                found.append(current)
            current, started = "", False
        else:
            current += character
            started = True
    return tuple(found)
