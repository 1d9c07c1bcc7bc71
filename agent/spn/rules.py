"""THE TABLE: which account decrypts the ticket, and does the name need an SPN of its own?

The ten rows are the article's reference scenarios 1 to 8 in its order and columns ("IIS 7+ Kerberos authentication
failure: KRB_AP_ERR_MODIFIED", SPN and IIS configuration reference), and two combinations it leaves out. The principle
below says the same in two lines; a test proves that both agree over the whole space.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

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


def rule(kernel_mode: bool, pool_credentials: bool, identity: Identity, name: NameKind) -> Rule:
    """The one row for a combination."""
    for row in TABLE:
        if (
            row.kernel_mode == kernel_mode
            and row.pool_credentials in {EITHER, pool_credentials}
            and row.identity in {EITHER, identity}
            and row.name == name
        ):
            return row
    raise AssertionError("the table is complete; a test proves it")


def key_owner(kernel_mode: bool, pool_credentials: bool, identity: Identity) -> KeyOwner:
    """The principle, first line: kernel mode without pool credentials, or a machine identity: the computer."""
    return "computer" if (kernel_mode and not pool_credentials) or identity == "machine account" else "pool"


def coverage(decrypts: KeyOwner, name: NameKind) -> Coverage:
    """The principle, second line: HOST/ covers the computer's own names while the computer decrypts, nothing else."""
    return "covered" if decrypts == "computer" and name == "own name" else "explicit"


def pool_decides(kernel_mode: bool, pool_credentials: bool) -> bool:
    """Whether the pool identity's credentials decrypt (rules R1.1 to R1.3)."""
    return not kernel_mode or pool_credentials
