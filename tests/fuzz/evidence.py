"""What somebody captured, as a function that takes its bytes: read, judged and told in every format."""

from __future__ import annotations

from agent.cli.formats import known_by
from agent.evidence import asked
from agent.evidence.diagnose import diagnose, used_names
from agent.evidence.known import Known
from agent.model import Tool
from agent.render.screen import Screen
from agent.render.used_names import to_lines
from agent.sources.ad.exports import read_exports
from agent.sources.evidence_files import read_evidence
from tests import made_tokens
from tests.fuzz import reading

_EVENT = (
    "Event ID: 4\nComputer: a.test.com\nThe Kerberos client received a KRB_AP_ERR_MODIFIED error from the server iis05$. The "
    "target name used was HTTP/sales.test.com. (TEST.COM) (TEST.COM)\n\nDer Fehler KRB_AP_ERR_MODIFIED vom Server svc. HTTP/a\n"
    "The duplicate name is HTTP/a.test.com (of type DS_SERVICE_PRINCIPAL_NAME)\nA Kerberos service ticket was requested.\n"
    "A: a@T\nD: T\nG: {f85c455e-c66e-205c-6b39-f6c60a7fe453}\nService Name: svc\nTicket Encryption Type: 0x12\n"
    "Failure Code: 0x0\nA Kerberos Error Message was received:\n Error Code: 0x7 X\n Server Name: HTTP/a\n"
)
_OUTPUTS = (
    "#0> Client: a @ T\n Server: HTTP/a @ T\n Type: AES-256-CTS-HMAC-SHA1-96\nC:\\>klist get HTTP/a\nklist failed with "
    "0xc000018b\nHTTP/a@T: kvno = 3\nName:    a.test.com\nAddress:  10.0.5.2\nAliases:  b.test.com\n\nb CNAME 6 Answer a\n"
    "   Host Name . . . . : IIS01\n   Suffix . . . . . : test.com\n   A . . . : x\n   IPv4 . . . : 10.0.5.2(Preferred)\n"
    "+ ErrorCode: KRB_AP_ERR_MODIFIED (41)\n+ Realm: T\n+ Sname: svc\ntkt-vno: 5\nrealm: T\nSNameString: HTTP\nkvno: 3\n\n"
    "Registered ServicePrincipalNames for CN=svc,DC=test,DC=com:\n\tHTTP/a\n\nHTTP/b\nChecking forest DC=test,DC=com\n\n"
    "No such SPN found.\n"
)
_XML = (
    "<Events><Event xmlns='x'><System><Provider Name='Microsoft-Windows-Security-Kerberos'/><EventID>4</EventID><TimeCreated "
    "SystemTime='2026-08-12T16:20:18.1Z'/></System><EventData><Data Name='Server'>svc</Data><Data Name='Targetname'>HTTP/a"
    "</Data></EventData></Event></Events>"
)
_TRACE = (
    "<?xml version='1.0'?><failedRequest url='http://a/' statusCode='401.1'><Event><EventData><Data Name='ErrorCode'>"
    "0x80090346</Data><Data Name='Headers'>Host: a\nAuthorization: Negotiate oQcwBaADCgEC</Data></EventData></Event>"
    "</failedRequest>"
)
_LOG = (
    "#Software: x\n#Fields: date time cs-host sc-status sc-substatus sc-win32-status time-taken\n"
    "2026-08-12 10:00:00 a.test.com 401 1 2148074310 15\n2026-08-12 10:00:01 b:80 200 0 0 15\n"
)
SEEDS = {
    "evidence": [
        (
            _EVENT
            + f"> Host: a\nWWW-Authenticate: Negotiate {made_tokens.REFUSED}\nAuthorization: Negotiate {made_tokens.ASKED}"
        ).encode(),
        (_OUTPUTS + _EVENT).encode("utf-16"),
    ],
    "evidence, XML": [_XML.encode(), _TRACE.encode()],
    "evidence, log": [_LOG.encode()],
}


def evidence(data: bytes) -> None:
    """From bytes to every page of it."""
    with reading.file(data, "evidence.txt") as path:
        brought = read_evidence(path)
    pieces = brought.found.evidence
    directory = read_exports((), asked.question(pieces), {}, brought.said)
    known = Known(pieces, (directory,))
    found = diagnose(known, brought.found.unread, Tool("iis-spn", "0"), lacks_host=brought.found.lacks_host)
    for form in known_by("diagnose").values():
        for _ in form.pieces(found, Screen(80, False, "all")):
            pass
    to_lines(used_names(brought.found.rows))
