"""What few lines of a zone file hold: quotes and escapes, types that nobody knows by heart, `$GENERATE`.

dnspython reads these. It is loaded when the first of them comes, and refuses in its words, as a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dns.exception
import dns.name
import dns.rdatatype
import dns.reversename
import dns.tokenizer
import dns.zone

from agent.names import Address, ip_address

_WINDOWS_TYPES = frozenset({"WINS", "WINSR", "WINS-R", "ATMA"})


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except dns.exception.DNSException as error:
        raise ValueError(str(error)) from None


@_refused()
def words_of(entry: str) -> list[str]:
    """The words of one record; the first is empty where the owner is left out, a quoted one keeps its quotes."""
    tokenizer = dns.tokenizer.Tokenizer(entry)
    token = tokenizer.get(want_leading=True)
    words = []
    while not token.is_eol_or_eof():
        words.append("" if token.is_whitespace() else f'"{token.value}"' if token.is_quoted_string() else token.value)
        token = tokenizer.get()
    return words


@_refused()
def unescaped(word: str) -> tuple[str, bool]:
    """A name without its needless escapes, and whether it is a full one."""
    name = dns.name.from_text(word, None)
    return name.to_text(), name.is_absolute()


def is_type(word: str) -> bool:
    """Whether there are records of this type, in capital letters; those that only Windows has among them."""
    try:
        dns.rdatatype.from_text(word)
    except (dns.exception.DNSException, ValueError):
        return word in _WINDOWS_TYPES
    return True


def pointing(owner: str) -> Address | None:
    """The address whose PTR record a name holds (RFC 1035 section 3.5, RFC 3596 section 2.5), or None."""
    try:
        return ip_address(dns.reversename.to_address(dns.name.from_text(owner)))
    except (dns.exception.DNSException, ValueError):
        return None


@_refused()
def generated(origin: str, words: Sequence[str]) -> list[tuple[str, str, str]]:
    """Owner, type and data of the records that BIND's `$GENERATE` makes; the names are full ones."""
    text = f"$ORIGIN {origin}.\n$TTL 0\n$GENERATE {' '.join(words)}\n"
    zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
    return [
        (name.to_text(), dns.rdatatype.to_text(data.rdtype), data.to_text()) for name, _, data in zone.iterate_rdatas()
    ]
