"""Reading what `setspn -L`, `-Q` and `-X` print, in any language: several runs may stand in one file.

Windows translates the sentences, so only the structure is read: who stands at the margin, who is indented, what is a
distinguished name. No such text proves that something is absent.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import MalformedError
from agent.names import spn
from agent.sources.ad.accounts import placed_in
from agent.sources.ad.collector import Collector
from agent.sources.ad.distinguished_names import common_name
from agent.spn.directory import Account

LARGEST_FILE = 64 << 20

_DN = re.compile(r"(?<![\w=,])CN=.+,DC=[\w-]+", re.IGNORECASE)
_DOMAIN = re.compile(r"(?<![\w=,])DC=[\w-]+", re.IGNORECASE)
_PROMPT = re.compile(r"(?:\[[^\]]*\]: )?(?:PS )?(?:[A-Za-z]:\\|\\\\)[^>]*>|>|PS> ?")
_SHARED_SPN = re.compile(r"[^\s/]+/\S+(?=\s)")
_LINE_END = re.compile(r"\r*\n|\r")
"""`setspn -X` rewrites its "Processing entry" line with a bare CR, and some redirections double the CR."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A distinguished name and the SPNs that stand with it."""

    dn: str
    spns: tuple[str, ...]


@dataclass(slots=True)
class _Run:
    """Where the reading stands: below a holder (-L, -Q), below a shared SPN (-X), or below neither."""

    found: dict[str, list[str]] = field(default_factory=dict)
    holder: str | None = None
    shared: str | None = None
    asked_a_domain: bool = False

    def at_margin(self, line: str) -> None:
        """A line that begins at column 0 ends what stood above it."""
        self.holder = self.shared = None
        if _PROMPT.match(line):
            return
        dn = _DN.search(line)
        if dn is not None:
            if dn.group() == line or line.endswith((":", "\uff1a")):
                self.holder = self._holder(dn.group())
        elif _DOMAIN.search(line):
            self.asked_a_domain = True
        elif shared := _SHARED_SPN.match(line):
            self.shared = shared.group()

    def indented(self, line: str) -> None:
        dn = _DN.fullmatch(line)
        if self.shared is not None and dn is not None:
            self.found[self._holder(line)].append(self.shared)
        elif self.holder is not None and dn is None:
            self.found[self.holder].append(line)

    def _holder(self, dn: str) -> str:
        self.found.setdefault(dn, [])
        return dn


def holdings(text: str, file: str) -> tuple[Holding, ...]:
    """Who holds what by the text of one or several runs (reference 7.2). Raises MalformedError for another text.

    A search that found nobody is empty: it names the domain it asked, and no account.
    """
    run = _Run()
    for line in _LINE_END.split(text):
        if not line.strip():
            run.holder = run.shared = None
        elif line[0].isspace():
            run.indented(line.strip())
        else:
            run.at_margin(line.rstrip())
    if not run.found and not run.asked_a_domain:
        raise MalformedError(file, 1, "no distinguished name stands in it: neither LDIF nor the output of setspn")
    return tuple(Holding(dn, tuple(dict.fromkeys(names))) for dn, names in run.found.items())


def accounts(text: str, file: str) -> Iterator[Account]:
    """The holders as accounts: named by their CN (a computer's without `$`), in the domain of their DN."""
    for holding in holdings(text, file):
        yield Account(
            name=placed_in(holding.dn, common_name(holding.dn)),
            dn=holding.dn,
            spns=tuple(map(spn, holding.spns)),
        )


def read_setspn(path: Path, collector: Collector) -> None:
    """Feed the holders that a file of setspn output names to `collector`. Raises OSError and MalformedError."""
    collector.next_source(str(path))
    collector.saw({"serviceprincipalname"})
    if path.stat().st_size > LARGEST_FILE:
        raise MalformedError(str(path), 1, f"no LDIF, and over {LARGEST_FILE >> 20} MB too long for setspn output")
    for account in accounts(decoded(path.read_bytes()), str(path)):
        collector.add_account(account)


def decoded(data: bytes) -> str:
    """Text as a console, PowerShell or an editor saved it: UTF-8, UTF-16, else a Western code page.

    0x81, 0x8D, 0x8F, 0x90 and 0x9D mean nothing in cp1252; a console's cp850 has letters there.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("cp850")
