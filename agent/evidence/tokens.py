"""What stands behind `Negotiate`, `Kerberos` or `NTLM` in WWW-Authenticate and Authorization.

A damaged token gives what survived: with a character too few or too many its base64 goes on at another of four
alignments, and a field is known by its shape. Neither keys nor answers to a challenge are looked at.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from agent.der import first
from agent.evidence.captured import Facts
from agent.evidence.kerberos_messages import MESSAGES, Message, Read, content_of, survivors
from agent.evidence.negotiation import opened
from agent.evidence.ntlm import SIGNATURE, read_ntlm

Kind = Literal["krb-error", "ap-req", "ntlm", "spnego"]
"""Those of `captured.Kind` that a header has."""
Scheme = Literal["Negotiate", "Kerberos", "NTLM"]

LONGEST = 128 * 1024
"""Characters of a token that are looked at: http.sys takes headers up to 65,534 bytes (MaxFieldLength)."""


class Token(Struct, frozen=True):
    """One token. `facts` stand in it in clear; `unread` says in words what is damaged.

    An AP-REP (the server has proved who it is) is of kind "spnego" with the `message` "ap-rep".
    """

    kind: Kind
    facts: Facts
    unread: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """False where something of it is damaged; `facts` are then what survived."""
        return not self.unread

    @property
    def secret(self) -> bool:
        """True where who has it can replay it for minutes (AP-REQ), try passwords on it (NTLM), or nobody can tell."""
        unknown = bool(self.unread) and self.kind in ("spnego", "ntlm") and self.facts.message is None
        return unknown or self.kind == "ap-req" or self.facts.message == "authenticate"


class Challenge(NamedTuple):
    """One offer or answer in the value of a header; `text` is base64, empty for a bare offer."""

    scheme: Scheme
    text: str


def challenges(value: str) -> tuple[Challenge, ...]:
    """Those of these three schemes in a header's value, which may have several and others (RFC 9110 11.6.1)."""
    found = _CHALLENGE.finditer(_QUOTED.sub("", value[: 4 * LONGEST]))
    return tuple(Challenge(_SCHEMES[match["scheme"].lower()], match["token"] or "") for match in found)


def read_token(text: str) -> Token:
    """What stands in a token as a header has it, in base64. Blanks and line breaks within are passed over."""
    written = "".join(text[:LONGEST].split())
    begins, *others = _RUN.findall(written) or [""]
    runs = [begins, *(run for run in others if len(run) >= _SHORTEST)]
    parts = [_decoded(run[shift:]) for run in runs for shift in range(4)]
    return _read(parts, tuple(_faults(text, written)))


def read_bytes(data: bytes) -> Token:
    """The same for a token out of its base64."""
    return _read([data[:LONGEST]], ())


_SCHEMES: Mapping[str, Scheme] = {"negotiate": "Negotiate", "kerberos": "Kerberos", "ntlm": "NTLM"}
_CHALLENGE = re.compile(
    r"(?:^|[\s,])(?P<scheme>negotiate|kerberos|ntlm)(?:[ \t]+(?P<token>[^\s,=]+=*))?(?=[\s,]|$)", re.IGNORECASE
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_RUN = re.compile(r"[A-Za-z0-9+/]+")
_SHORTEST = 16
"""Characters of base64 that a field with a name takes at least."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def _faults(text: str, written: str) -> Iterator[str]:
    if not written:
        yield "it is empty"
    if len(text) > LONGEST:
        yield f"it is longer than {LONGEST} characters"
    if not _BASE64.fullmatch(written):
        yield "it is not base64 throughout"
    elif len(written.rstrip("=")) % 4 == 1:
        yield "a character of its base64 is missing"


def _decoded(run: str) -> bytes:
    """The bytes in base64 without its padding; a last character alone is none."""
    whole = run[: len(run) - (len(run) % 4 == 1)]
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


# -- messages ------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """`lacks`: the facts that such a message must have and that were not found."""

    kind: Kind
    facts: Read
    lacks: tuple[str, ...] = ()
    is_whole: bool = True


_NOTHING = _Found("spnego", {})
_UNKNOWN = _Found("spnego", {}, ("a message of a known form",), False)


def _read(parts: Sequence[bytes], faults: tuple[str, ...]) -> Token:
    """The first part is the token; the others are looked through where it is damaged."""
    outer = opened(parts[0])
    found = _NOTHING if outer.is_whole and outer.facts and not outer.inner else _message(outer.inner)
    is_whole = outer.is_whole and found.is_whole
    if faults or not is_whole:
        found = _mended(found, parts)
    misfit = () if is_whole or found is _UNKNOWN else (_misfit(parts[0]),)
    lacks = (f"not found in it: {', '.join(found.lacks)}",) if found.lacks else ()
    return Token(found.kind, Facts(**{**outer.facts, **found.facts}), (*faults, *misfit, *lacks))


def _misfit(data: bytes) -> str:
    announced = first(data).end
    if announced > len(data):
        return f"it is cut off after {len(data)} of {announced} bytes"
    return "the lengths in it do not fit together"


def _message(data: bytes) -> _Found:
    if data.startswith(SIGNATURE):
        read = read_ntlm(data)
        return _Found("ntlm", read.facts, (), read.is_whole)
    message = MESSAGES.get(first(data).tag)
    if message is None:
        return _UNKNOWN
    content = content_of(data)
    facts = {**content.facts, "message": message} if message == "ap-rep" else content.facts
    return _Found(_kind(message), facts, content.unread, content.is_whole and not content.unread)


def _kind(message: Message) -> Kind:
    return "spnego" if message == "ap-rep" else message


def _mended(found: _Found, parts: Sequence[bytes]) -> _Found:
    """What else a damaged token has to tell: of its own kind, or where that is not known, of each."""
    if found.kind in ("krb-error", "ap-req"):
        return _with_survivors(found, found.kind, parts)
    if found is _NOTHING or found.kind == "ntlm" or "message" in found.facts:
        return found
    for message, proof in _PROOFS.items():
        other = _with_survivors(_NOTHING, message, parts)
        if proof <= other.facts.keys():
            return other
    ntlm = next((part for part in parts if SIGNATURE in part), None)
    return found if ntlm is None else _message(ntlm[ntlm.index(SIGNATURE) :])


_PROOFS: Mapping[Message, frozenset[str]] = {
    "krb-error": frozenset({"error_code", "server"}),
    "ap-req": frozenset({"spn", "etype"}),
}
"""Facts that are found together in nothing else."""


def _with_survivors(found: _Found, message: Message, parts: Sequence[bytes]) -> _Found:
    content = survivors(message, parts)
    lacks = tuple(name for name in content.unread if name not in found.facts)
    return _Found(_kind(message), {**content.facts, **found.facts}, lacks, False)
