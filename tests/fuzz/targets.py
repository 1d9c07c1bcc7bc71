"""THE TABLE of what is tried: every reader of what others wrote or answered."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.errors import IisSpnError, MalformedError, SourceError, UsageError
from agent.sources.endpoint import MOST_NAMES
from tests import made_tokens
from tests.fuzz import dns_answers, evidence, ldap_answers, reading, remoting, sealing, web_answers, winrm_answers
from tests.fuzz.reading import sample

FOUND = Path(__file__).parent / "found"
"""A folder for each target, with what went wrong once."""


class Target(NamedTuple):
    """One reader: it takes bytes, and gives a result or raises one of `refusals`. `seeds` are of use to it."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    refusals: tuple[type[IisSpnError], ...] = ()
    besides: int = 0
    """Calls that an input may take besides those for its size: `web[1:100000]` is short."""

    def holds(self, data: bytes) -> None:
        """Raises whatever is no refusal."""
        with contextlib.suppress(*self.refusals):
            self.read(data)


def _texts(*texts: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [text.encode() for text in texts]


def _sample(*names: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [sample(name) for name in names]


_FOR_RANGES = 200 * MOST_NAMES
_FARM = '[[name]]\nhost = "intranet.test.com"\nservers = ["IIS01"]\nsite = "Intranet"\nproxy = "passthrough"\n'
_WANT = (
    '[[want]]\nhost = "portal.test.com"\nservers = ["IIS01"]\nsite = "Intranet"\naccount = "TEST\\\\svc"\n'
    'short_name = false\n[[want]]\nhost = "a.test.com"\nservers = ["iis01.test.com"]\naccount = "computer"\n'
)
_CONFIG = (
    'ad = ["a.ldif", "b.ldif"]\ndns = "off"\nformat = "json"\nfail-on = ["warning"]\nquiet = false\nparallel = 8\n'
    'netbios-domain = ["TEST=test.com"]\nclient = ["edge"]\nserver = "IIS*"\ntimeout = 1.5\n'
)
_ACCEPT = '[[accept]]\nid = "spn-missing"\nsubject = "HTTP/*.test.com"\nreason = "known"\nuntil = 2027-01-31\n'
_TEXT = "web01 web[02:04].test.com ; three\n10.0.0.5:5986\n[fe80::1]:5985 # one\nhttps://web05\n"
_INI = (
    "[iis]\nweb[01:03].test.com ansible_port=5986 ansible_user='CORP\\alice'\n[all:vars]\nansible_connection=winrm\n"
    "[sub:children]\niis\n"
)
_YAML = (
    "all:\n  children:\n    iis:\n      hosts:\n        web[01:02].test.com:\n          ansible_host: 10.0.0.5\n"
    "      vars:\n        ansible_port: 5986\n        ansible_winrm_transport: ntlm\n        s: !vault |\n          $\n"
)
_JSON = (
    '{"iis": {"hosts": ["web01", "web02"], "vars": {"ansible_port": 5986}, "children": ["sub"]}, '
    '"sub": ["web03"], "_meta": {"hostvars": {"web01": {"ansible_host": "10.0.0.5", "ansible_user": "alice"}}}}'
)
_VARS = "ansible_port: 5986\nansible_user: alice\nansible_password: !vault |\n  $ANSIBLE\nansible_connection: winrm\n"
_SETSPN = (
    "Registered ServicePrincipalNames for CN=contososvc,OU=Services,DC=test,DC=com:\n\tHTTP/intranet.test.com\n"
    "\tHTTP/intranet\n\nChecking domain DC=test,DC=com\nProcessing entry 0\n"
    "HTTP/intranet.test.com is registered on these accounts:\n\tCN=a,DC=test,DC=com\n\tCN=b,DC=test,DC=com\n\n"
    "found 1 group of duplicate SPNs.\n\nNo such SPN found.\n"
)
_RECORD = (
    '{"schema": "iis-spn/sweep/1", "started": "2026-11-22T10:00:00Z", "finished": null, "asked": ["web01", "web02"], '
    '"answered": ["web01"], "failed": [{"host": "web02", "stage": "connect", "reason": "r", "fix": "f"}]}'
)
_STEPS = (
    '[{"kind": "spn-add", "dn": "CN=svc,DC=test,DC=com", "account": "TEST\\\\svc", "spn": "HTTP/a.test.com", '
    '"finding": "spn-missing"}]'
)
_JOURNAL = f'{{"event": "begin", "server": "dc1", "steps": {_STEPS}}}\n{{"event": "intent", "step": 1}}\n'
_ROLLBACK = (
    f'{{"schema": "iis-spn/rollback/1", "server": "dc1", "steps": {_STEPS}, '
    '"before": {"CN=svc,DC=test,DC=com": ["HTTP/b"]}, "not_done": [], "by_hand": []}'
)
_LINES = (
    "inspect\nsample_configs/*\n--ad\nd.ldif\n--dns\nz.txt\n--farm\nf.toml\n--client\nchrome\n--format\njson",
    "sweep\nweb[01:20]\n--inventory\nhosts.ini\n--user\nCORP\\alice\n--transport\nntlm\n--port\n5986\n--parallel\n8",
    "collect\nweb01\n--to\nfolder\n--timeout\n60\n--stale-after\n4\n--jea\nSpn",
    "plan\nIIS01\n--apply\n--confirm\nHTTP/a\n--rollback\nr.json\n--netbios-domain\ntest.com=TEST",
    "explain\nhttp://a.test.com/\nIIS01\n--debug",
)
_WORDS = (
    *(
        "web[01:20:2].test.com",
        "https://web01:5986",
        "[fe80::1%eth0]:5985",
        "http://user:p@b\u00fccher.test.com:80/a?b#c",
    ),
    *("HTTP/a.test.com:8080", "TEST\\svc", "svc@test.com", "HTTP/*.test.com", "gc://dc1.test.com:3268", "[::1]:53"),
)
_TOP = '<configuration><configurationRedirection enabled="{}" path="{}" userName="u" password="p" /></configuration>'
_WEB = (
    b'<configuration><location path="a"><system.webServer><security><authentication>'
    b'<windowsAuthentication enabled="true" useKernelMode="false"><providers><clear /><add value="NTLM" /></providers>'
    b'<extendedProtection tokenChecking="Require"><spn name="HTTP/a" /></extendedProtection></windowsAuthentication>'
    b"</authentication></security></system.webServer></location></configuration>"
)
_CERTIFICATE = bytes.fromhex("301e301ca31a301830160603550411040f300d820b612e746573742e636f6d")
_WHOLE_CERTIFICATE = base64.b64decode(
    b"MIIBLDCB0qADAgECAgEBMAoGCCqGSM49BAMCMBAxDjAMBgNVBAMMBXdlYjAxMB4XDTI2MDEwMTAwMDAwMFoXDTMwMDEwMTAwMDAw"
    b"MFowEDEOMAwGA1UEAwwFd2ViMDEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ+16KOxkjtzl1bfiUvayqvu0SDURSiSzyqj3EP"
    b"ZJk7wlcRo0zckikIC2OfCZd/63ypHszhZJv+qK2Fxysgat5+ox0wGzAZBgNVHREEEjAQgg53ZWIwMS50ZXN0LmNvbTAKBggqhkjO"
    b"PQQDAgNJADBGAiEAy0axOsZwrVxacNypkEw15a1UVtuP0uq9JISZgrHMR0wCIQDsdomvXSTcENT6JvRLgog31fLQ9UxZq2nUycr4"
    b"SIJGTg=="
)
"""Self-signed, of web01.test.com."""

TARGETS: Mapping[str, Target] = {
    "configuration": Target(reading.configuration, lambda: [reading.SMALL, sample("IIS04/applicationHost.config")]),
    "web.config": Target(reading.web_config, lambda: [_WEB, sample("IIS04/files/C/inetpub/stock/web.config")]),
    "redirection": Target(
        reading.redirection, _texts(_TOP.format("true", r"\\files\iis"), _TOP.format("false", r"C:\web"))
    ),
    "emptied configuration": Target(reading.emptied, lambda: [reading.SMALL, _WEB], (MalformedError,)),
    "machine.json": Target(reading.machine, _sample("IIS01/machine.json")),
    "snapshot": Target(reading.document, lambda: [reading.snapshot_document()], (MalformedError,)),
    "packed snapshot": Target(reading.packed, lambda: [reading.snapshot_document()], (MalformedError,)),
    "framed snapshot": Target(reading.frame, lambda: [reading.framed()], (MalformedError,)),
    "snapshot folder": Target(reading.kept, lambda: [reading.folded()]),
    "sweep.json": Target(reading.record, _texts(_RECORD), (MalformedError,)),
    "LDIF": Target(reading.directory, lambda: [sample("directory.ldif")[:3000], sample("directory.ldif")[-3000:]]),
    "setspn": Target(reading.directory, _texts(_SETSPN)),
    "zone": Target(reading.zone, _sample("zone.txt")),
    "farm": Target(reading.farm, _texts(_FARM), (UsageError,)),
    "config": Target(reading.config, _texts(_CONFIG), (UsageError,)),
    "want": Target(reading.want, _texts(_WANT), (UsageError,)),
    "accept": Target(reading.accept, _texts(_ACCEPT), (UsageError,)),
    "names": Target(
        reading.names, _texts("# seen\nintranet.test.com\n10.0.0.5\nb\u00fccher.test.com\n"), (UsageError,)
    ),
    "inventory, text": Target(reading.inventory("servers.txt"), _texts(_TEXT), (UsageError,), _FOR_RANGES),
    "inventory, INI": Target(reading.inventory("hosts.ini"), _texts(_INI), (UsageError,), _FOR_RANGES),
    "inventory, YAML": Target(reading.inventory("hosts.yml"), _texts(_YAML), (UsageError,), _FOR_RANGES),
    "inventory, JSON": Target(reading.inventory("hosts.json"), _texts(_JSON), (UsageError,), _FOR_RANGES),
    "group_vars": Target(reading.inventory("group_vars/all.yml"), _texts(_VARS), (UsageError,)),
    "command line": Target(reading.line, _texts(*_LINES), (UsageError,)),
    "words": Target(reading.word, _texts(*_WORDS), besides=_FOR_RANGES),
    "certificate": Target(reading.certificate, lambda: [_CERTIFICATE, _WHOLE_CERTIFICATE]),
    "token": Target(reading.token, lambda: [text.encode() for text in made_tokens.SEEDS]),
    **{name: Target(evidence.evidence, lambda seeds=seeds: seeds) for name, seeds in evidence.SEEDS.items()},
    "web server": Target(web_answers.web, lambda: web_answers.SEEDS, (SourceError,)),
    "TLS": Target(sealing.tls_answer, lambda: [sealing.alert(), sealing.server_hello()]),
    "WinRM": Target(
        winrm_answers.winrm, lambda: [winrm_answers.conversation(), winrm_answers.fault()], (MalformedError,)
    ),
    "WinRM, sealed": Target(sealing.winrm_sealed, lambda: [sealing.sealed_conversation(b"ntlm")], (MalformedError,)),
    "WinRM, CredSSP": Target(
        sealing.winrm_sealed, lambda: [sealing.sealed_conversation(b"credssp")], (MalformedError,)
    ),
    "WinRM logon": Target(winrm_answers.winrm_logon, lambda: [winrm_answers.logon()]),
    "JEA": Target(
        remoting.jea_answers, lambda: [remoting.printed(), remoting.failed(), remoting.broken()], (MalformedError,)
    ),
    "LDAP entry": Target(ldap_answers.entry, ldap_answers.entries),
    "LDAP": Target(ldap_answers.ldap, lambda: [ldap_answers.search()]),
    "LDAP, sealed": Target(sealing.ldap_sealed, lambda: [sealing.sealed_search()]),
    "LDAP logon": Target(ldap_answers.ldap_logon_and_more, lambda: [ldap_answers.bound()]),
    "LDAP computers": Target(ldap_answers.computers, lambda: [ldap_answers.machines()], (SourceError, UsageError)),
    "DNS": Target(dns_answers.names, lambda: [dns_answers.replies()]),
    "report": Target(reading.report, lambda: [reading.finished()], (IisSpnError,)),
    "journal": Target(reading.journal, _texts(_JOURNAL)),
    "rollback": Target(reading.rollback, _texts(_ROLLBACK), (UsageError,)),
}
