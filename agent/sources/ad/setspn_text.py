"""Files of setspn output as a source of the directory; what stands in them `agent.evidence.setspn_output` reads."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import BinaryIO

from agent.errors import MalformedError
from agent.evidence.setspn_output import Absence, Holding, said_in
from agent.names import spn
from agent.sources.ad.accounts import placed_in
from agent.sources.ad.collector import Collector
from agent.sources.ad.distinguished_names import common_name
from agent.sources.text_file import read_at_most
from agent.spn.directory import Account

LARGEST_FILE = 64 << 20


def read_setspn(stream: BinaryIO, collector: Collector) -> None:
    """Feed what a file of setspn output says to `collector`. Raises OSError and MalformedError."""
    file = collector.file or ""
    data = read_at_most(stream, LARGEST_FILE)
    if len(data) > LARGEST_FILE:
        raise MalformedError(file, 1, f"no LDIF, and over {LARGEST_FILE >> 20} MB too long for setspn output")
    said = said_in(decoded(data), file)
    tell(said.holdings, said.absences, collector)
    for line, text in said.remarks:
        collector.incomplete(text, line)


def tell(holdings: Iterable[Holding], absences: Iterable[Absence], collector: Collector) -> None:
    """The holders are named by their CN (a computer's without `$`), in the domain of their DN."""
    collector.saw({"serviceprincipalname"})
    for holding in holdings:
        name = placed_in(holding.dn, common_name(holding.dn))
        collector.add_account(Account(name=name, dn=holding.dn, spns=tuple(map(spn, holding.spns))))
    for absence in absences:
        collector.nobody_holds(spn(absence.spn), absence.root, in_forest=absence.in_forest)


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
