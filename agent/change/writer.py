"""One value of one account on one domain controller: looked at, noted in the journal, changed, noted again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from agent.change.journal import Change, Journal, Words
from agent.errors import IisSpnError, SourceError
from agent.names import fold, printable


class RefusedError(SourceError):
    """The directory answered no: nothing was changed. Any other SourceError of a change leaves open what happened."""


class Writer(Protocol):
    """One domain controller. Every method raises RefusedError where it says no, else SourceError."""

    @property
    def server(self) -> str:
        """Its full host name: a change is finished, and taken back, where it was begun."""

    def values(self, dn: str) -> tuple[str, ...]:
        """The servicePrincipalName values of an account, spelt as stored."""

    def holders(self, text: str) -> tuple[str, ...]:
        """The DNs that hold a value, without case, as far as this controller knows."""

    def add_value(self, dn: str, text: str) -> None:
        """Fails where the account holds the value already."""

    def delete_value(self, dn: str, text: str) -> None:
        """Fails where the account does not hold the value."""


class SurpriseError(IisSpnError):
    """The directory is not as the plan says."""


def attempt(change: Change, writer: Writer, journal: Journal, words: Words, *, is_open: bool) -> IisSpnError | None:
    """Make one change: why it did not succeed. Ctrl-C is told like a lost connection.

    `is_open`: it may have been made already, by a run that was broken off; the directory decides.
    """
    try:
        _carry_out(change, writer, journal, words, is_open=is_open)
    except (SourceError, SurpriseError) as error:
        return error
    except KeyboardInterrupt:
        return SourceError("interrupted from the keyboard")
    return None


def _carry_out(change: Change, writer: Writer, journal: Journal, words: Words, *, is_open: bool) -> None:
    values = writer.values(change.dn)
    if not (is_open and _is_made(change, values)):
        if change.kind == "spn-delete":
            demand_held(change, values)
        else:
            demand_free(change, values, writer.holders(change.spn))
        journal.note(words.before, change.number)
        try:
            _send(change, writer)
        except RefusedError:
            journal.note(words.refused, change.number)
            raise
    journal.note(words.after, change.number)


def _send(change: Change, writer: Writer) -> None:
    if change.kind == "spn-add":
        writer.add_value(change.dn, change.spn)
    else:
        writer.delete_value(change.dn, change.spn)


def spelt_alike(values: Iterable[str], text: str) -> list[str]:
    """The values that are the same SPN, in whatever letters."""
    return [value for value in values if fold(value) == fold(text)]


def _is_made(change: Change, values: Sequence[str]) -> bool:
    return change.spn in values if change.kind == "spn-add" else not spelt_alike(values, change.spn)


def demand_held(change: Change, values: Sequence[str]) -> None:
    """Another spelling is a surprise too: it would not come back as it was."""
    if change.spn not in values:
        other = spelt_alike(values, change.spn)
        now = f", but {printable(other[0])}" if other else ""
        raise SurpriseError(f"{printable(change.account)} does not hold {printable(change.spn)} any more{now}")


def demand_free(change: Change, values: Sequence[str], holders: Sequence[str]) -> None:
    """Nobody holds it; not every directory refuses a duplicate by itself."""
    here = spelt_alike(values, change.spn)
    if here:
        raise SurpriseError(f"{printable(change.account)} holds {printable(here[0])} already")
    if holders:
        raise SurpriseError(f"{printable(change.spn)} is on {', '.join(map(printable, holders))} now")
