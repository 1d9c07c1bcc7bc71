"""THE TABLE: which account decrypts the ticket, and does the name need an SPN of its own?

The ten rows are the article's reference scenarios 1 to 8 in its order and columns ("IIS 7+ Kerberos authentication
failure: KRB_AP_ERR_MODIFIED", SPN and IIS configuration reference), and two combinations it leaves out. Every decision
reads its row; what the rows have in common (`docs/rules.md`) is said again, in two lines, by a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple, get_args

Identity = Literal["machine account", "service account"]
NameKind = Literal["own name", "custom name"]
KeyOwner = Literal["computer", "pool"]
Coverage = Literal["covered", "explicit"]

EITHER = None
"""The article's "No Matter"."""


class Rule(NamedTuple):
    """One row: three columns of configuration, the URL's name, and what follows."""

    id: str
    kernel_mode: bool
    pool_credentials: bool | None
    identity: Identity | None
    name: NameKind
    decrypts: KeyOwner
    spn: Coverage
    comment: str


TABLE = (
    Rule("scenario-1", True, False, EITHER, "own name", "computer", "covered", "the default of IIS 7 and later"),
    Rule("scenario-2", True, False, EITHER, "custom name", "computer", "explicit", "one server only"),
    Rule("scenario-3", True, True, "service account", "custom name", "pool", "explicit", "right for farms"),
    Rule("scenario-4", True, True, "service account", "own name", "pool", "explicit", "breaks WinRM on the server"),
    Rule("scenario-5", False, EITHER, "service account", "custom name", "pool", "explicit", "as in IIS 6"),
    Rule("scenario-6", False, EITHER, "service account", "own name", "pool", "explicit", "breaks WinRM on the server"),
    Rule("scenario-7", False, EITHER, "machine account", "custom name", "computer", "explicit", "as in IIS 6"),
    Rule("scenario-8", False, EITHER, "machine account", "own name", "computer", "covered", "the default of IIS 6"),
    Rule("extra-1", True, True, "machine account", "own name", "computer", "covered", "not in the article (R1.4)"),
    Rule("extra-2", True, True, "machine account", "custom name", "computer", "explicit", "not in the article (R1.4)"),
)
"""`covered`: no HTTP/ SPN is required, the HOST/ SPN written at domain join serves. `explicit`: HTTP/ must be set."""


_Combination = tuple[bool, bool, Identity | None, NameKind]


def by_combination(table: Sequence[Rule]) -> dict[_Combination, Rule | None]:
    """The row for each combination of settings, identity and name; for an identity of neither kind (None) the row
    that applies whichever it is, None where it would depend on that.

    Raises ValueError for a table that has no row, or more than one, for a combination.
    """
    rows: dict[_Combination, Rule | None] = {}
    for kernel_mode, pool_credentials, name in product((True, False), (True, False), get_args(NameKind)):
        found = [
            _only([row for row in table if _is_for(row, (kernel_mode, pool_credentials, identity, name))])
            for identity in get_args(Identity)
        ]
        for identity, row in zip(get_args(Identity), found, strict=True):
            rows[kernel_mode, pool_credentials, identity, name] = row
        rows[kernel_mode, pool_credentials, None, name] = found[0] if len(set(found)) == 1 else None
    return rows


def _is_for(row: Rule, combination: _Combination) -> bool:
    return all(cell in {EITHER, value} for cell, value in zip(row[1:5], combination, strict=True))


def _only(rows: Sequence[Rule]) -> Rule:
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows of the table are for one combination")
    return rows[0]


_ROWS: Mapping[_Combination, Rule | None] = by_combination(TABLE)
_NAMED: Mapping[str, Rule] = {row.id: row for row in TABLE}


def row(kernel_mode: bool, pool_credentials: bool, identity: Identity | None, name: NameKind) -> Rule | None:
    """The row that applies. None where the identity is neither kind, and it would depend on which."""
    return _ROWS[kernel_mode, pool_credentials, identity, name]


def named(rule_id: str | None) -> Rule | None:
    """The row of an id."""
    return _NAMED.get(rule_id or "")
