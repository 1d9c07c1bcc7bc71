"""A pasted line as cmd.exe and as PowerShell read it; what either might take for more than one command is an error."""

from __future__ import annotations

import re

import cmd_reader
import tree_sitter
import tree_sitter_powershell

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
_AROUND = {
    *("program", "statement_list", "pipeline", "pipeline_chain", "command", "command_elements"),
    *("array_literal_expression", "unary_expression", "string_literal"),
}
_WORDS = {
    "command_name",
    "command_parameter",
    "generic_token",
    "expandable_string_literal",
    "decimal_integer_literal",
    "integer_literal",
    "real_literal",
}
_ACTED_ON = re.compile(r"[\u2013-\u2015\u2018-\u201e\0-\x1f`{}();<>|&,@#%]|\$(?!\Z)")
"""What PowerShell acts on in a word without quotes; the grammar knows ASCII's quotes and dashes only."""
_ACTED_ON_IN_QUOTES = re.compile(r"[\u201c-\u201e\0-\x1f`]|\$(?!\Z)")


class PasteError(ValueError):
    """A line that is not exactly one command without anything to be expanded."""


def as_powershell(line: str) -> tuple[str, ...]:
    """The words of the one command that PowerShell runs for a line."""
    root = _PARSER.parse(line.encode()).root_node
    found = list(_words(root))
    if root.has_error or not found or found[0][0] != "command_name" or len(root.named_children) != 1:
        raise PasteError(line)
    return tuple(_value(kind, text, line) for kind, text in found)


def _words(node: tree_sitter.Node) -> list[tuple[str, str]]:
    if node.type in _WORDS:
        return [(node.type, (node.text or b"").decode())]
    if node.type == "command_argument_sep":
        return []
    if node.type not in _AROUND:
        raise PasteError(f"{node.type}: {(node.text or b'').decode()!r}")
    return [word for child in node.named_children for word in _words(child)]


def _value(kind: str, text: str, line: str) -> str:
    is_quoted = kind == "expandable_string_literal"
    text = text[1:-1] if is_quoted else text
    if (_ACTED_ON_IN_QUOTES if is_quoted else _ACTED_ON).search(text):
        raise PasteError(f"{text!r} of {line!r}")
    return text


def as_cmd(line: str) -> tuple[tuple[str, ...], ...]:
    """The words of each command that cmd.exe runs for a line; `%windir%` is the one variable that may stand there."""
    plain = re.sub(r"\A%windir%\\System32\\inetsrv\\appcmd\.exe ", "appcmd ", line)
    if re.search(r"[\0-\x1f!]", plain):
        raise PasteError(line)
    found = cmd_reader.read_line(plain)
    return tuple((command.name, *command.arguments) for command in found)
