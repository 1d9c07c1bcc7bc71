"""The pieces of other packages that are nobody's promise: whoever upgrades one sees here, and first, what moved."""

from __future__ import annotations

import ast
import importlib
import inspect
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.sources import borrowed

ROOT = Path(__file__).parents[1]


class Piece(NamedTuple):
    """A piece as `module:name.of.attribute`, and what goes wrong without it."""

    package: str
    where: str
    without: str


PIECES = [
    Piece("pywinrm", "winrm.protocol:xmltodict.unparse", "each message of a sweep takes longer to write"),
    Piece("pyspnego", "spnego._ntlm_raw.crypto:ntowfv1", "a sweep hashes the password anew for every server"),
    Piece("sansldap", "sansldap._messages:PROTOCOL_PACKER", "`plan --apply` cannot read the answer to a change"),
    Piece("sansldap", "sansldap._messages:_unpack_ldap_result", "`plan --apply` cannot read the answer to a change"),
    Piece("sansldap", "sansldap._messages:PackingOptions", "a change is not written"),
    Piece("sansldap", "sansldap:LDAPClient._send", "no directory is searched, and no change is sent"),
    Piece("sansldap", "sansldap:LDAPMessage._pack_inner", "a change is not written"),
    Piece("Python", "argparse:_SubParsersAction", "completion and man page know no command"),
    Piece("Python", "argparse:HelpFormatter._fill_text", "the examples of a help run together"),
]


def _version(package: str) -> str:
    return platform.python_version() if package == "Python" else version(package)


@pytest.mark.parametrize("piece", PIECES, ids=[piece.where for piece in PIECES])
def test_it_is_still_there(piece: Piece) -> None:
    pytest.importorskip(piece.where.partition(":")[0].partition(".")[0])
    module, _, names = piece.where.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        said = f"{piece.package} {_version(piece.package)} has no {piece.where} any more: {piece.without}"
        pytest.fail(f"{said}. Mend agent/sources/borrowed.py, or keep the older version.", pytrace=False)


# -- and still does the same ---------------------------------------------------------------------------------------


def test_the_nt_hash() -> None:
    pytest.importorskip("spnego")
    known = "a4f49c406510bdcab6824ee7c30fd852"  # of "Password", MS-NLMP 4.2.2.1.2
    assert borrowed.nt_hash("Password") == bytes.fromhex(known)


def test_pywinrm_writes_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = pytest.importorskip("winrm.protocol")
    monkeypatch.setattr(protocol, "xmltodict", protocol.xmltodict)
    sent: list[str] = []
    borrowed.write_winrm_messages(lambda message: f"<{next(iter(message))}/>")
    talk = protocol.Protocol("http://127.0.0.1:5985/wsman", username="u", password="p")
    talk.transport.send_message = lambda message: sent.append(message) or b""  # type: ignore[func-returns-value]
    with pytest.raises(Exception, match="no element found"):
        talk.open_shell()
    assert sent == ["<env:Envelope/>"]


def test_pywinrm_needs_no_more_than_it_is_given() -> None:
    """`messages.Messages` passes over Protocol.__init__, so it has to set whatever the other methods look at."""
    protocol = pytest.importorskip("winrm.protocol").Protocol
    tree = ast.parse(inspect.getsource(protocol))
    methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
    looked_at = {
        node.attr
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    assert looked_at - {method.name for method in methods} <= {"operation_timeout_sec", "transport"}


def test_sansldap_learns_an_answer() -> None:
    """A ModifyResponse (RFC 4511 4.6), byte by byte: success, message 1."""
    sansldap = pytest.importorskip("sansldap")
    modify = importlib.import_module("agent.sources.ad.modify")
    client = sansldap.LDAPClient()
    attribute = sansldap.PartialAttribute("servicePrincipalName", [b"HTTP/a"])
    request = modify.ModifyRequest(0, [], "CN=a", "add", attribute)
    assert borrowed.send_ldap_request(client, request) == 1
    assert b"\x66" in client.data_to_send()  # [APPLICATION 6]
    answer = bytes.fromhex("300c 0201 01 67 07 0a01 00 0400 0400".replace(" ", ""))
    (message,) = client.receive(answer)
    assert isinstance(message, modify.ModifyResponse)
    assert message.result.result_code.value == 0


def test_sansldap_numbers_what_others_wrote() -> None:
    """It knows the number afterwards: the last message of a search ends it, and another one is refused."""
    sansldap = pytest.importorskip("sansldap")
    client = sansldap.LDAPClient()
    assert [borrowed.send_ldap_bytes(client, b"%d;".__mod__) for _ in range(2)] == [1, 2]
    assert client.data_to_send() == b"1;2;"
    done = bytes.fromhex("300c 0201 02 65 07 0a01 04 0400 0400".replace(" ", ""))
    (message,) = client.receive(done)
    assert (message.message_id, message.result.result_code.value) == (2, 4)
    with pytest.raises(sansldap.ProtocolError, match="unexpected message id"):
        client.receive(done)


# -- and nothing else is borrowed ----------------------------------------------------------------------------------

TYPES = {"etree._Element": "the type of an element, which lxml documents", "argparse._": "types, which typeshed has"}
OF_NAMED_TUPLES = {"_replace", "_fields", "_asdict", "_make"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def borrowings(tree: ast.Module) -> Iterator[str]:
    """What a module takes that begins with an underscore and is no part of itself, or puts into another module."""
    modules = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = (*node.module.split("."), *(alias.name for alias in node.names))
            if node.module != "__future__" and any(map(is_private, names)):
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in OF_NAMED_TUPLES:
            if ast.unparse(node.value) not in {"self", "cls"}:
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node).partition(".")[0] in modules:
                yield f"{ast.unparse(node)} = ..."
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"vars", "setattr"}:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    "text",
    [
        "from spnego._ntlm_raw.crypto import md4",
        "from sansldap import _messages",
        "client._send(change)",
        "import winrm.protocol\nwinrm.protocol.xmltodict = ours",
        "vars(winrm.protocol)['xmltodict'] = ours",
    ],
)
def test_a_borrowing_is_seen(text: str) -> None:
    assert list(borrowings(ast.parse(text)))


def test_nothing_is_borrowed_elsewhere() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {what}"
        for path in (ROOT / "agent").rglob("*.py")
        if path.name not in {"borrowed.py", "anatomy.py"}
        for what in borrowings(ast.parse(path.read_text(encoding="utf-8")))
        if not what.startswith(tuple(TYPES))
    }
    assert not found
