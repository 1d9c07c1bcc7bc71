"""The table of findings: every id the program can report, how bad it is, and when it is reported.

Laid beside the contract this table reads line by line; `docs/findings.md` has a section for each row.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.model import Severity


class FindingKind(NamedTuple):
    """One row: `severities` in the order the contract gives them, the first one the usual."""

    severities: tuple[Severity, ...]
    when: str


FINDINGS: dict[str, FindingKind] = {
    "config-malformed": FindingKind(
        ("error",),
        "a file is not XML, has a DTD, is empty, or is not the kind it should be; with file and line; "
        "everything else is still analysed",
    ),
    "config-invalid": FindingKind(
        ("error",),
        "IIS would refuse it: a section twice for one path, a duplicate collection key, both allowOverride "
        "and overrideMode, an unknown attribute, element or value within windowsAuthentication (elsewhere "
        "unknown names are kept and ignored: servers get newer schemas)",
    ),
    "section-locked": FindingKind(
        ("error",),
        "a locked section stands in a web.config: 500.19 / 0x80070021 from that level down; no effective "
        "value is given there",
    ),
    "shared-configuration": FindingKind(
        ("info", "error"),
        "redirection.config is in force; error when its target could not be read",
    ),
    "source-unreadable": FindingKind(
        ("error",),
        "the system lets nobody read it: access denied, a share that refuses, a file in use; with the right that is "
        "missing",
    ),
    "content-unread": FindingKind(
        ("error",),
        "a web.config could not be opened where windowsAuthentication may be set in it: its part is unknown",
    ),
    "machine-unknown": FindingKind(
        ("warning",),
        "the server's name or domain is not known, so its computer account cannot be named",
    ),
    "windows-auth-not-installed": FindingKind(
        ("error",),
        "windowsAuthentication is enabled somewhere, but its provider list is empty or cleared (the message "
        "says whether the module looks installed)",
    ),
    "negotiate-missing": FindingKind(("warning",), "enabled, but no Negotiate provider: NTLM only"),
    "providers-order": FindingKind(("warning",), "NTLM stands before Negotiate"),
    "negotiate-kerberos-kernel-mode": FindingKind(("error",), "Negotiate:Kerberos with kernel mode on"),
    "pool-undefined": FindingKind(("error",), "an application names a pool that does not exist, or none"),
    "pool-identity-incomplete": FindingKind(("error",), "SpecificUser without userName"),
    "pool-credentials-no-effect": FindingKind(
        ("info",),
        "useAppPoolCredentials=true with kernel mode off, or with a built-in identity",
    ),
    "not-domain-joined": FindingKind(("error",), "Kerberos needs a domain"),
    "local-account-decrypts": FindingKind(
        ("error",),
        "the pool runs as a local user and the pool would decrypt: impossible",
    ),
    "local-service-identity": FindingKind(("warning",), "LocalService would decrypt: uncertain"),
    "account-uncertain": FindingKind(
        ("warning", "info"),
        "the account that decrypts cannot be named for sure from what was read: a bare name, a UPN, a standalone dMSA",
    ),
    "account-not-found": FindingKind(
        ("error", "warning"),
        "the account that must hold the SPN is not in the directory",
    ),
    "account-disabled": FindingKind(("warning", "error"), "it is disabled; error when a pool runs as it (503)"),
    "alternate-service-account": FindingKind(
        ("info",),
        "an Exchange server, or one whose machine.json names further accounts: which accounts decrypt besides the "
        "computer is shown by Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus",
    ),
    "account-superseded": FindingKind(("warning",), "it was migrated to a dMSA, which now holds the SPNs"),
    "gmsa-server-not-allowed": FindingKind(("error",), "this server may not read the gMSA's password"),
    "wildcard-host": FindingKind(("info",), "a wildcard binding: no SPN can match it; name the hosts"),
    "ip-only-binding": FindingKind(("info",), "reached by address only: clients do not try Kerberos"),
    "binding-malformed": FindingKind(
        ("warning",),
        "an http or https binding whose text IIS cannot read: it answers nothing; the rest of the site is analysed",
    ),
    "spn-missing": FindingKind(("warning",), "nobody answers for it: silent NTLM"),
    "spn-misplaced": FindingKind(
        ("error",),
        "exactly one holder, the wrong one: KRB_AP_ERR_MODIFIED, three prompts, 401",
    ),
    "spn-shadowed-by-host": FindingKind(
        ("error",),
        "no explicit HTTP/, and a HOST/ SPN on another account answers: KRB_AP_ERR_MODIFIED",
    ),
    "spn-duplicate": FindingKind(("error",), "two or more holders"),
    "spn-duplicate-elsewhere": FindingKind(
        ("info",),
        "duplicates in the directory that concern none of our names (counted)",
    ),
    "spn-uniqueness-off": FindingKind(("warning",), "dSHeuristics lets duplicates in"),
    "spn-malformed": FindingKind(
        ("warning",),
        "an SPN in the directory that concerns us can never match (http://, backslash, HTTPS/, *, service "
        "class as host, invisible characters)",
    ),
    "spn-stale": FindingKind(
        ("warning",),
        "an HTTP/ SPN for one of our names, or a second holder, on a disabled or long unused account",
    ),
    "spn-port-only": FindingKind(
        ("warning",),
        "only a port-qualified SPN exists; default clients ask without port, and nobody, or a HOST/ SPN of another "
        "account, answers them",
    ),
    "upn-shadows-spn": FindingKind(("warning",), "a userPrincipalName has the text of the SPN"),
    "spn-conflict": FindingKind(
        ("error",),
        "one SPN is needed on two accounts by applications of one server; no setspn can satisfy both",
    ),
    "farm-machine-identity": FindingKind(
        ("error",),
        "one name, several servers, each decrypting with its own computer account",
    ),
    "farm-suspected": FindingKind(
        ("warning",),
        "the same name is bound on several servers with different decrypting accounts, and nothing says "
        "whether they are one farm",
    ),
    "farm-nodes-differ": FindingKind(
        ("error",),
        "the servers behind one name decrypt with different accounts or settings (and not all as computers)",
    ),
    "winrm-collision": FindingKind(
        ("warning",),
        "an HTTP/ SPN for a computer's own name is, or by the plan would be, on a non-computer account: WinRM "
        "and every other http.sys service there break",
    ),
    "foreign-http-owner": FindingKind(
        ("info",),
        "an HTTP/ SPN for one of our servers' names is on an account that no pool uses",
    ),
    "client-spn-variant": FindingKind(
        ("warning", "error"),
        "some client kind asks for another SPN (CNAME, port, short name) and gets a worse outcome; error when "
        "a client kind asked about gets modified or duplicate (this finding alone then speaks for that name)",
    ),
    "name-suspected": FindingKind(
        ("info",),
        "the account that decrypts holds an HTTP/ SPN for a host that no inspected site claims, and DNS leads that "
        "host to no inspected address, or two inspected servers run the account, or an inspected <webFarms> names "
        "them: do clients come through a load balancer or proxy?",
    ),
    "name-elsewhere": FindingKind(("warning",), "a site's name leads to an address of none of the known servers"),
    "site-not-started": FindingKind(
        ("info",),
        "the site does not start with IIS (serverAutoStart), or an application's pool does not (autoStart); nobody "
        "reaches its names",
    ),
    "names-from-certificate": FindingKind(
        ("info",),
        "names in the certificates of https bindings that no site claims",
    ),
    "farm-node-name": FindingKind(
        ("info",),
        "the node's own name fails behind a declared farm name: normal, test with the farm's name",
    ),
    "loopback-name": FindingKind(
        ("info",),
        "a site's name is not in BackConnectionHostNames and DisableLoopbackCheck is off (only when collected)",
    ),
    "header-limit": FindingKind(
        ("info",),
        "MaxFieldLength or MaxRequestBytes is at its default or absent, 16384 (only when the registry was "
        "collected; once per report, with servers[])",
    ),
    "extended-protection-behind-proxy": FindingKind(
        ("warning",),
        "tokenChecking Require or Allow behind a proxy that terminates TLS, unless flags=Proxy with an spn list that "
        "holds the clients' name, or the proxy uses the same certificate",
    ),
    "etype-risk": FindingKind(
        ("warning",),
        "the holder's encryption types or password age will fail with today's KDC defaults, or leave RC4 only",
    ),
    "kerberoastable-account": FindingKind(("info",), "an HTTP/ SPN on a user account with an old password: use a gMSA"),
    "unconstrained-delegation": FindingKind(
        ("warning",),
        "the decrypting account is trusted for delegation to any service (domain controllers always are: silent there)",
    ),
    "delegation-broken": FindingKind(
        ("warning",),
        "an entry of msDS-AllowedToDelegateTo that nobody holds, or delegation that cannot work as set, also that of a "
        "front end in the farm file (delegate)",
    ),
    "plan-blocked-by-alias": FindingKind(
        ("warning",),
        "the DC will refuse the planned SPN from anyone but a full domain administrator (KB5008382)",
    ),
    "dns-incomplete": FindingKind(
        ("warning",),
        "names could not be looked up, or are aliases of a name in no given zone: what DNS says of them is not known",
    ),
    "running-identity-differs": FindingKind(
        ("warning",),
        "a pool's worker process runs as another account than is configured (only when collected): recycle",
    ),
    "snapshot-stale": FindingKind(("warning",), "a snapshot is older than `--stale-after`"),
    "prediction-differs": FindingKind(("error",), "`probe` observed another outcome than was predicted"),
    "accept-unmatched": FindingKind(("info",), "an acceptance that matches nothing, or whose last day is over"),
    "server-unreachable": FindingKind(("error",), "a server of the sweep gave no answer; with the reason"),
    "internal-error": FindingKind(("error",), "a fault of this program cost one server; nothing is said of it"),
    "directory-incomplete": FindingKind(("error",), "the directory could not be read whole"),
}
"""Finding id -> what it is."""
