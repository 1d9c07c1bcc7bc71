"""THE TABLE of causes: what each means, the one look that decides it, and what mends it.

Those with the id of a finding are explained in docs/findings.md as well, the others in docs/diagnose.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """`decide` and `fix` may name `{spn}`, `{who}` (who tried to decrypt), `{holder}` and `{host}`."""

    decide: str
    fix: tuple[str, ...]


_WHICH = "klist on the client right after it fails: for which HTTP/ name is the ticket? Who holds that (setspn -F -Q)?"
_WHO_HOLDS = "setspn -F -Q {spn}: who holds it? (and HOST/ for the same name, if nobody does)"
_MOVE = (
    "Move {spn} to the account that decrypts, or let IIS decrypt with the account that holds it; iis-spn plan says "
    "which way disturbs less, and prints the steps."
)

CAUSES: Mapping[str, Row] = {
    "spn-duplicate": Row(
        "setspn -X -F: is {spn} on several accounts?",
        ("Remove {spn} from every account but the one that decrypts; ask the owners of the others first.",),
    ),
    "spn-misplaced": Row(_WHO_HOLDS, (_MOVE,)),
    "spn-shadowed-by-host": Row(
        _WHO_HOLDS,
        (
            "Register {spn} on {who}, or let the computer decrypt (useAppPoolCredentials=false); iis-spn plan says "
            "which disturbs less.",
        ),
    ),
    "client-spn-variant": Row(
        "nslookup {host}: is the name that people type an alias?",
        (
            "Give the name that people type an address record instead of the alias: that touches no other service "
            "of the computer. Or register {spn} on {who}.",
        ),
    ),
    "same-name-two-domains": Row(
        "setspn -F -Q {spn}: in which domain is the account that holds it?",
        ("Use the full name of the server, and keep {spn} on the account of the domain in which the server decrypts.",),
    ),
    "wrong-server": Row(
        "nslookup {host} on the client, and ipconfig on the server that is meant: are the addresses the same?",
        (
            "Let the name lead to the server that is meant: DNS, the hosts file, the load balancer or the proxy. "
            "Where several servers are to answer, all have to decrypt with one account.",
        ),
    ),
    "farm-machine-identity": Row(
        "Which servers answer {host}? Each of them has a computer account of its own.",
        ("Let all nodes decrypt with one domain account or gMSA (useAppPoolCredentials=true), and put {spn} on it.",),
    ),
    "farm-nodes-differ": Row(
        "Which account decrypts on each server that answers {host}?",
        ("Let all nodes decrypt with one domain account or gMSA, with the same settings, and put {spn} on it.",),
    ),
    "spn-conflict": Row(
        "Which applications of the server answer {host}, and with which accounts do they decrypt?",
        ("Give one of the applications a name of its own: {spn} can lead to one account only.",),
    ),
    "running-identity-differs": Row(
        "On the server: which account runs the worker process (w3wp.exe)?",
        ("Recycle the application pool, so that it runs as it is configured.",),
    ),
    "stale-password": Row(
        "Is pwdLastSet of {who} younger than the pool's last start, or than the client's ticket (klist)?",
        (
            "On the client: klist purge, and try again.",
            "On the server: enter the account's present password in the pool and recycle it; a gMSA ends this.",
        ),
    ),
    "computer-password": Row(
        "On the server: Test-ComputerSecureChannel. Netlogon events 3210 and 5722 say the same.",
        (
            "On the client: klist purge, and try again.",
            "On the server: Test-ComputerSecureChannel -Repair. A clone or a restored snapshot has the old password.",
        ),
    ),
    "spn-not-replicated": Row(
        "repadmin /showobjmeta on each domain controller for the account that holds {spn}: is the value there?",
        ("Wait for replication, or force it (repadmin /syncall); on the client then klist purge.",),
    ),
    "spn-missing": Row(_WHO_HOLDS, ("Register {spn} on the account that decrypts; iis-spn plan prints the step.",)),
    "plan-blocked-by-alias": Row(
        _WHO_HOLDS,
        (
            "Let a full domain administrator register {spn}: nobody else may, while HOST/ of the name is on another "
            "account (KB5008382).",
        ),
    ),
    "etype-mismatch": Row(
        "Which msDS-SupportedEncryptionTypes and pwdLastSet has the account that holds {spn}?",
        (
            "Set msDS-SupportedEncryptionTypes of the account to 24 (AES), reset its password, which makes AES keys, "
            "and enter the new one wherever it is used.",
        ),
    ),
    "clock-skew": Row(
        "w32tm /stripchart /computer:DC on client and server: is one of them more than 5 minutes off?",
        ("Let client, server and domain controllers take their time from the domain (w32tm /resync).",),
    ),
    "ticket-expired": Row(
        "klist on the client: has the ticket ended? Is its clock right?",
        ("On the client: klist purge, and try again; if it comes back, compare the clocks.",),
    ),
    "negotiate-missing": Row(
        "appcmd list config SITE /section:windowsAuthentication: is Negotiate among the providers?",
        ("Add Negotiate as the first provider.",),
    ),
    "providers-order": Row(
        "appcmd list config SITE /section:windowsAuthentication: does Negotiate stand first?",
        ("Put Negotiate before NTLM.",),
    ),
    "ip-only-binding": Row(
        "Do people use a name, or the address?", ("Use a name: clients do not ask for a ticket for an address.",)
    ),
    "loopback": Row(
        "Does it fail on the server itself only?",
        ("On the server itself: add the name to BackConnectionHostNames (KB896861, KB926642); elsewhere it works.",),
    ),
    "channel-binding": Row(
        "Is there a proxy that ends TLS before the server, or another certificate on it?",
        (
            "Behind a proxy that ends TLS: extendedProtection flags=Proxy with the clients' name in its spn list, or "
            "tokenChecking=None.",
        ),
    ),
    "header-too-long": Row(
        "In how many groups is the user? whoami /groups",
        (
            "Raise MaxFieldLength and MaxRequestBytes of http.sys (at most 65534 and 16777216), or shrink the user's "
            "groups.",
        ),
    ),
    "not-kerberos": Row(
        "On the client after the logon: klist. Is there a ticket for {spn}?",
        ("Where Kerberos is wanted: let somebody hold {spn}, and let the client use a name of the intranet zone.",),
    ),
    "unknown": Row(
        "Event 4 or 3 of the client (enable Kerberos logging, KB262177), and iis-spn collect on the server.", ()
    ),
}


_PLAIN = re.compile(r"[A-Za-z0-9._/:\\$@-]{1,512}")


def can_stand(name: object) -> bool:
    """Whether a name of evidence may stand in a line that somebody pastes into a shell: who wrote it nobody knows."""
    return _PLAIN.fullmatch(str(name)) is not None


def words(id_: str, **names: str) -> Row:
    """The row with its names; one that nobody knows is told as such."""
    row = CAUSES[id_]
    if "spn" not in names and "{spn}" in row.decide:
        row = row._replace(decide=_WHICH)
    known = {"spn": "the SPN", "who": "the account that decrypts", "holder": "its holder", "host": "the name"} | names
    return Row(row.decide.format(**known), tuple(sentence.format(**known) for sentence in row.fix))
