"""What stands in a text that somebody captured: every wording of reference 10.1, 10.2 and 7.2, and the tools' outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_setspn_text import LISTED, QUERIED, SHARED

from agent.evidence.captured import Captured
from agent.evidence.page import Page
from agent.evidence.reading import Found, read_page
from tests.work import calls as counted

CONTOSO, IIS01 = "HTTP/contoso.test.com", "HTTP/iis01.test.com"


def read(text: str) -> Found:
    return read_page(Page("f", text))


def the(text: str, kind: str | None = None) -> Captured:
    """The only piece of evidence in a text."""
    found = read(text)
    (one,) = [each for each in found.evidence if kind in {None, each.kind}]
    return one


def facts(text: str, kind: str | None = None) -> dict[str, object]:
    return the(text, kind).facts.known


# -- event 4 (10.1) ------------------------------------------------------------------------------------------------

OF_2003 = (
    "The kerberos client received a KRB_AP_ERR_MODIFIED error from the server host/myserver.domain.com. This indicates "
    "that the password used to encrypt the kerberos service ticket is different than that on the target server. Commonly, "
    "this is due to identically named machine accounts in the target realm (DOMAIN.COM), and the client realm. Please "
    "contact your system administrator."
)
OF_2003_WITH_TARGET = OF_2003.replace(". This", ". The target name used was cifs/myserver.domain.com. This")
OF_2008 = (
    "The Kerberos client received a KRB_AP_ERR_MODIFIED error from the server contososvc. The target name used was "
    "HTTP/iis01.test.com. This indicates that the target server failed to decrypt the ticket provided by the client. Please "
    "ensure that the target SPN is registered on, and only registered on, the account used by the server. If the server "
    "name is not fully qualified, and the target domain (TEST.COM) is different from the client domain (SUB.TEST.COM), check"
)
OF_2012 = OF_2008.replace("Please ensure", "Ensure").replace("on, and only registered on, the", "on the")
GERMAN = (
    'Der Kerberos-Client hat einen KRB_AP_ERR_MODIFIED-Fehler vom Server "contososvc" empfangen. Der verwendete Zielname '
    "war HTTP/iis01.test.com. Dies deutet darauf hin, dass der Zielserver das Ticket nicht entschl\u00fcsseln konnte."
)
FRENCH = (
    "Le client Kerberos a re\u00e7u une erreur KRB_AP_ERR_MODIFIED du serveur contososvc. Le nom cible utilis\u00e9 \u00e9tait "
    "HTTP/iis01.test.com. Cela indique que le serveur cible n'a pas pu d\u00e9chiffrer le ticket."
)
SPANISH = (
    "El cliente Kerberos recibi\u00f3 un error KRB_AP_ERR_MODIFIED del servidor contososvc. El nombre de destino usado fue "
    "HTTP/iis01.test.com."
)
JAPANESE = (
    "Kerberos \u30af\u30e9\u30a4\u30a2\u30f3\u30c8\u306f\u3001\u30b5\u30fc\u30d0\u30fc contososvc \u304b\u3089 "
    "KRB_AP_ERR_MODIFIED \u30a8\u30e9\u30fc\u3092\u53d7\u4fe1\u3057\u307e\u3057\u305f\u3002\u4f7f\u7528\u3055\u308c\u305f"
    "\u30bf\u30fc\u30b2\u30c3\u30c8\u540d\u306f HTTP/iis01.test.com \u3067\u3059\u3002"
)
RUSSIAN = (
    "\u041a\u043b\u0438\u0435\u043d\u0442 Kerberos \u043f\u043e\u043b\u0443\u0447\u0438\u043b \u043e\u0448\u0438\u0431\u043a"
    "\u0443 KRB_AP_ERR_MODIFIED \u043e\u0442 \u0441\u0435\u0440\u0432\u0435\u0440\u0430 contososvc. \u0418\u0441\u043f\u043e"
    "\u043b\u044c\u0437\u043e\u0432\u0430\u043b\u043e\u0441\u044c \u0438\u043c\u044f HTTP/iis01.test.com."
)


@pytest.mark.parametrize(
    ("text", "server", "spn", "realm"),
    [
        (OF_2003, "host/myserver.domain.com", None, "DOMAIN.COM"),
        (OF_2003_WITH_TARGET, "host/myserver.domain.com", "cifs/myserver.domain.com", "DOMAIN.COM"),
        (OF_2008, "contososvc", IIS01, "TEST.COM"),
        (OF_2012, "contososvc", IIS01, "TEST.COM"),
        (OF_2008.replace("contososvc", "iis01$"), "iis01$", IIS01, "TEST.COM"),
        (
            OF_2008.replace(" The target", "\nThe target").replace("server contososvc", "server\ncontososvc"),
            "contososvc",
            IIS01,
            "TEST.COM",
        ),
        (GERMAN, "contososvc", IIS01, None),
        (GERMAN.replace('"', ""), "contososvc", IIS01, None),
        (FRENCH, "contososvc", IIS01, None),
        (SPANISH, "contososvc", IIS01, None),
        (JAPANESE, "contososvc", IIS01, None),
        (RUSSIAN, "contososvc", IIS01, None),
    ],
)
def test_event_4(text: str, server: str, spn: str | None, realm: str | None) -> None:
    one = the(f"Log Name: System\nEvent ID: 4\nComputer: CLIENT7.test.com\nDescription:\n{text}\n")
    assert (one.kind, one.readable, one.secret) == ("event-4", True, False)
    told = one.facts
    assert (told.server, told.spn, told.realm) == (server, spn, realm)
    assert (told.error_code, told.error_name, told.event_id) == (41, "KRB_AP_ERR_MODIFIED", 4)
    assert told.computer == "CLIENT7.test.com"


def test_each_event_of_a_list_stands_at_its_line() -> None:
    found = read(f"{OF_2003}\n\n\n{OF_2008}\n{GERMAN}\n")
    assert [(one.line, one.facts.server) for one in found.evidence] == [
        (1, "host/myserver.domain.com"),
        (4, "contososvc"),
        (5, "contososvc"),
    ]


def test_words_about_the_error_are_no_event() -> None:
    text = "Scenarios result in KRB_AP_ERR_MODIFIED\nIt may fail with KRB_AP_ERR_MODIFIED.\nHTTP/Contoso Registered on test\\a\n"
    assert read(text).evidence == ()


def test_an_event_that_is_cut_off_says_what_is_left() -> None:
    one = the("The Kerberos client received a KRB_AP_ERR_MODIFIED error from the server")
    assert (one.kind, one.readable, one.facts.server) == ("event-4", False, None)


# -- what domain controllers log (10.2) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"There are multiple accounts with name {CONTOSO} of type DS_SERVICE_PRINCIPAL_NAME.",
        "The KDC encountered duplicate names while processing a Kerberos authentication request. The duplicate name is "
        f"{CONTOSO} (of type DS_SERVICE_PRINCIPAL_NAME). This may result in authentication failures or downgrades to NTLM.",
        f"Der doppelte Name ist {CONTOSO} (vom Typ DS_SERVICE_PRINCIPAL_NAME).",
        f"The duplicate name is\n{CONTOSO}\n(of type DS_SERVICE_PRINCIPAL_NAME)",
    ],
)
def test_event_11(text: str) -> None:
    assert facts(text) == {"event_id": 11, "spn": CONTOSO}


EVENT_4769 = """A Kerberos service ticket was requested.

Account Information:
\tAccount Name:\t\talice@TEST.COM
\tAccount Domain:\t\tTEST.COM
\tLogon GUID:\t\t{f85c455e-c66e-205c-6b39-f6c60a7fe453}

Service Information:
\tService Name:\t\tcontososvc
\tService ID:\t\tTEST\\contososvc

Network Information:
\tClient Address:\t\t::ffff:10.0.5.3
\tClient Port:\t\t49272

Additional Information:
\tTicket Options:\t\t0x40810000
\tTicket Encryption Type:\t0x12
\tFailure Code:\t\t0x0
\tTransited Services:\t-
"""
GERMAN_4769 = """Ein Kerberos-Dienstticket wurde angefordert.

Kontoinformationen:
\tKontoname:\t\talice@TEST.COM
\tKontodom\u00e4ne:\t\tTEST.COM
\tAnmelde-GUID:\t\t{f85c455e-c66e-205c-6b39-f6c60a7fe453}

Dienstinformationen:
\tDienstname:\t\tcontososvc
\tDienst-ID:\t\tTEST\\contososvc

Netzwerkinformationen:
\tClientadresse:\t\t::ffff:10.0.5.3
\tClientport:\t\t49272

Weitere Informationen:
\tTicketoptionen:\t\t0x40810000
\tTicketverschl\u00fcsselungstyp:\t0x12
\tFehlercode:\t\t0x0
"""


@pytest.mark.parametrize("text", [EVENT_4769, GERMAN_4769, EVENT_4769.replace("\t", "  ")])
def test_event_4769_names_the_account_whose_key_encrypted(text: str) -> None:
    assert facts(text) == {
        "account": "contososvc",
        "client": "alice@TEST.COM",
        "client_realm": "TEST.COM",
        "etype": 18,
        "event_id": 4769,
        "status": 0,
    }


def test_event_4769_without_a_ticket_names_what_was_asked_for() -> None:
    text = (
        EVENT_4769.replace("\t\tcontososvc", f"\t\t{CONTOSO}").replace("0x12", "0xFFFFFFFF").replace("0x0\n", "0x7\n")
    )
    told = facts(text)
    assert (told["spn"], told["error_code"], told["error_name"]) == (CONTOSO, 7, "KDC_ERR_S_PRINCIPAL_UNKNOWN")
    assert told["status"] == 7
    assert "account" not in told
    assert "etype" not in told


def test_event_2974() -> None:
    text = (
        "The attribute value provided is not unique in the forest or partition. Attribute:\nservicePrincipalName "
        f"Value={CONTOSO}\nCN=contososvc,OU=svc,DC=test,DC=com Winerror: 8647\n"
    )
    assert facts(text, "event-2974") == {
        "event_id": 2974,
        "spn": CONTOSO,
        "holders": ("CN=contososvc,OU=svc,DC=test,DC=com",),
    }


def test_events_of_missing_keys() -> None:
    text = (
        f"Event ID: 27\nWhile processing a TGS request for the target server {CONTOSO}, the account alice@TEST.COM did not "
        "have a suitable key for generating a Kerberos ticket (the missing key has an ID of 9)."
    )
    assert facts(text) == {"event_id": 27, "spn": CONTOSO, "client": "alice@TEST.COM"}
    text = (
        "Event ID: 203\nThe Key Distribution Center (KDC) blocked cipher usage because service msDS-SupportedEncryptionTypes "
        "is not defined.\nService Information\n  Service Name: contososvc\n"
    )
    assert facts(text) == {"event_id": 203, "account": "contososvc"}


def test_event_40970() -> None:
    text = (
        f"The Security System has detected a downgrade attempt when contacting the 3-part SPN\n\n{CONTOSO}/test.com\n\nwith "
        'error code "The SAM database on the Windows Server does not have a computer account for the workstation trust '
        'relationship. (0x0000018b)". Authentication was denied.'
    )
    assert facts(text) == {"event_id": 40970, "spn": f"{CONTOSO}/test.com", "win32_status": 0x18B}


EVENT_3 = """A Kerberos Error Message was received:
 on logon session TEST\\alice
 Client Time:
 Server Time: 16:20:18.0000 8/12/2026 Z
 Error Code: {}
 Extended Error:
 Client Realm:
 Client Name:
 Server Realm: TEST.COM
 Server Name: {}
 Target Name: HTTP/contoso.test.com@TEST.COM
"""


def test_event_3_is_a_kerberos_error_in_words() -> None:
    told = facts(EVENT_3.format("0x7  KDC_ERR_S_PRINCIPAL_UNKNOWN", CONTOSO))
    assert (told["spn"], told["error_code"], told["time"]) == (CONTOSO, 7, "2026-08-12T16:20:18Z")
    assert "server" not in told
    told = facts(EVENT_3.format("0x29 KRB_AP_ERR_MODIFIED", "contososvc"))
    assert (told["server"], told["spn"], told["error_code"]) == ("contososvc", CONTOSO, 41)


# -- events as XML -------------------------------------------------------------------------------------------------

EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='{}'/><EventID "
    "Qualifiers='16384'>{}</EventID><TimeCreated SystemTime='2026-08-12T16:20:18.1234567Z'/><Computer>CLIENT7.test.com"
    "</Computer></System><EventData>{}</EventData></Event>"
)
KERBEROS, KDC = "Microsoft-Windows-Security-Kerberos", "Microsoft-Windows-Kerberos-Key-Distribution-Center"


def data(**named: str) -> str:
    return "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in named.items())


XML_4 = EVENT.format(
    KERBEROS, 4, data(Server="contososvc", TargetRealm="TEST.COM", Targetname=IIS01, ClientRealm="TEST.COM")
)


@pytest.mark.parametrize(
    "text",
    [
        XML_4,
        f"<?xml version='1.0' encoding='utf-8'?>\n<Events>\n{XML_4}</Events>",
        EVENT.format(
            KERBEROS, 4, f"<Data>contososvc</Data><Data>TEST.COM</Data><Data>{IIS01}</Data><Data>TEST.COM</Data>"
        ),
        XML_4.replace("><", ">\n  <"),
        EVENT.format(KERBEROS, 4, "").replace(
            "</Event>", f"<RenderingInfo><Message>{OF_2008}</Message></RenderingInfo></Event>"
        ),
    ],
)
def test_event_4_as_xml(text: str) -> None:
    told = the(text).facts
    assert (told.server, told.spn, told.realm, told.error_code) == ("contososvc", IIS01, "TEST.COM", 41)
    assert (told.time, told.computer, told.event_id) == ("2026-08-12T16:20:18Z", "CLIENT7.test.com", 4)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (EVENT.format(KDC, 11, data(Name=CONTOSO, Type="DS_SERVICE_PRINCIPAL_NAME")), "event-11", {"spn": CONTOSO}),
        (EVENT.format("KDC", 11, f"<Data>{CONTOSO}</Data><Data>x</Data>"), "event-11", {"spn": CONTOSO}),
        (EVENT.format(KDC, 16, data(Target=CONTOSO, Account="a@T")), "event-etype", {"spn": CONTOSO, "client": "a@T"}),
        (EVENT.format(KDC, 205, data(ServiceName="contososvc")), "event-etype", {"account": "contososvc"}),
        (
            EVENT.format(
                "Microsoft-Windows-Security-Auditing",
                4769,
                data(TargetUserName="a@TEST.COM", ServiceName="IIS01$", TicketEncryptionType="0x17", Status="0x0"),
            ),
            "event-4769",
            {"account": "IIS01$", "client": "a@TEST.COM", "client_realm": "TEST.COM", "etype": 23, "status": 0},
        ),
        (
            EVENT.format(
                "Microsoft-Windows-ActiveDirectory_DomainService",
                2974,
                f"<Data>servicePrincipalName</Data><Data>{CONTOSO}</Data><Data>CN=a,DC=t</Data><Data>8647</Data>",
            ),
            "event-2974",
            {"spn": CONTOSO, "holders": ("CN=a,DC=t",)},
        ),
        (
            EVENT.format("LsaSrv", 40970, f'<Data>{CONTOSO}/test.com</Data><Data>"..." (0x0000018b)</Data>'),
            "event-40970",
            {"spn": f"{CONTOSO}/test.com", "win32_status": 0x18B},
        ),
        (
            EVENT.format(
                KERBEROS, 3, data(ErrorCode="0x7", ServerRealm="TEST.COM", ServerName=CONTOSO, TargetName=CONTOSO)
            ),
            "krb-error",
            {"spn": CONTOSO, "realm": "TEST.COM", "error_code": 7, "error_name": "KDC_ERR_S_PRINCIPAL_UNKNOWN"},
        ),
    ],
)
def test_other_events_as_xml(text: str, kind: str, expected: dict[str, object]) -> None:
    told = facts(text, kind)
    assert {name: told[name] for name in told.keys() - {"event_id", "time", "computer"}} == expected


def test_an_event_of_another_kind_is_none() -> None:
    assert read(EVENT.format("Service Control Manager", 4, data(Server="a"))) == Found((), ())
    assert read(EVENT.format(KERBEROS, 7, data(Server="a"))) == Found((), ())


def test_a_damaged_event_costs_no_other() -> None:
    found = read(f"{XML_4}\n<Event><System><broken></Event>\n{XML_4}\n<Event><System>")
    assert [one.line for one in found.evidence] == [1, 3]
    assert [one.line for one in found.unread] == [2, 4]


def test_an_event_that_does_not_end_in_time_is_told() -> None:
    found = read(f"<Event><A>{'x' * (1 << 20)}</A></Event>\n{XML_4}\n")
    assert ([one.line for one in found.evidence], [one.line for one in found.unread]) == ([2], [1])


def test_events_that_never_end_cost_no_more_than_their_size() -> None:
    few, many = (counted(lambda text=text: read(text)) for text in ("<Event>" * 1000, "<Event>" * 2000))
    assert many < 2.2 * few


@pytest.mark.parametrize("sign", ["<!DOCTYPE x [<!ENTITY a 'b'>]>", "<!ENTITY a SYSTEM 'file:///etc/passwd'>"])
def test_xml_with_a_dtd_is_refused(sign: str) -> None:
    found = read(f"<?xml version='1.0'?>\n{sign}\n<Events>{XML_4}</Events>")
    assert [one for one in found.evidence if one.kind == "event-4"] == []
    assert [one.line for one in found.unread] == [2]


# -- klist ---------------------------------------------------------------------------------------------------------

KLIST = """
Current LogonId is 0:0x3e7

Cached Tickets: (2)

#0>     Client: alice @ TEST.COM
        Server: krbtgt/TEST.COM @ TEST.COM
        KerbTicket Encryption Type: AES-256-CTS-HMAC-SHA1-96
        Ticket Flags 0x40e10000 -> forwardable renewable initial pre_authent name_canonicalize
        Start Time: 8/12/2026 16:00:00 (local)
        Session Key Type: AES-256-CTS-HMAC-SHA1-96
        Cache Flags: 0x1 -> PRIMARY
        Kdc Called: dc1.test.com

#1>     Client: alice @ TEST.COM
        Server: HTTP/contoso.test.com @ TEST.COM
        KerbTicket (Verschl\u00fcsselungstyp): RSADSI RC4-HMAC(NT)
        Kdc Called: dc1.test.com
"""


def test_klist_of_windows() -> None:
    tgt, ticket = read(KLIST).evidence
    assert (tgt.kind, tgt.line, tgt.facts.spn, tgt.facts.etype) == ("klist", 6, "krbtgt/TEST.COM", 18)
    assert ticket.line == 15
    assert ticket.facts.known == {"client": "alice@TEST.COM", "spn": CONTOSO, "realm": "TEST.COM", "etype": 23}


def test_klist_of_others_and_kvno() -> None:
    text = (
        "Ticket cache: FILE:/tmp/krb5cc\nDefault principal: alice@TEST.COM\n\nValid starting       Expires              Service "
        f"principal\n08/12/2026 16:20:18  08/13/2026 02:20:18  {CONTOSO}@TEST.COM\n\tEtype (skey, tkt): "
        "aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96\n"
    )
    assert facts(text) == {"spn": CONTOSO, "realm": "TEST.COM", "etype": 17}
    assert facts(f"{CONTOSO}@TEST.COM: kvno = 5\n") == {"spn": CONTOSO, "realm": "TEST.COM", "kvno": 5}


def test_klist_get_without_a_ticket() -> None:
    text = (
        f"C:\\>klist get {CONTOSO}\nCurrent LogonId is 0:0x5a1\nError calling API LsaCallAuthenticationPackage (GetTicket "
        "substatus): 0x6fb\n\nklist failed with 0xc000018b/-1073741429: The SAM database ...\n"
    )
    told = facts(text)
    assert (told["spn"], told["error_code"], told["win32_status"]) == (CONTOSO, 7, 0xC000018B)


# -- setspn (7.2) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", ["", f"{OF_2008}\n\nC:\\>setspn\n", "Hello,\n\nthis is what it says:\n\n"])
def test_blocks_of_setspn_among_other_things(around: str) -> None:
    shift = around.count("\n")
    listed = the(f"{around}{LISTED}", "setspn")
    assert (listed.line, listed.facts.account) == (1 + shift, "CN=MYHOST,CN=Computers,DC=CONTOSO,DC=com")
    assert listed.facts.spns == ("HOST/myhost.contoso.com", "HOST/MYHOST")
    queried = the(f"{around}{QUERIED}", "setspn")
    assert (queried.line, queried.facts.account) == (2 + shift, "CN=DC,OU=Domain Controllers,DC=active,DC=htb")
    shared = the(f"{around}{SHARED}", "setspn")
    assert (shared.line, shared.facts.spn) == (3 + shift, "MSSQLSvc/sqlserver.corp.firma.com")
    assert shared.facts.holders == tuple(
        f"CN=sqlservice_{which},OU=Service Accounts,DC=corp,DC=firma,DC=com" for which in ("old", "new")
    )
    assert read(f"{around}{SHARED}").unread == ()


def test_a_question_that_nobody_answers() -> None:
    text = f"{CONTOSO}\nChecking forest DC=test,DC=com\n\nNo such SPN found.\n"
    assert facts(text) == {"spn": CONTOSO, "holders": ()}


@pytest.mark.parametrize(
    "text",
    [
        "Checking domain DC=jlg,DC=local\n\nNo such SPN found.\n",
        "Processing entry 0\nfound 0 group of duplicate SPNs.\n",
    ],
)
def test_a_clean_answer_is_no_evidence(text: str) -> None:
    assert read(text) == Found((), ())


def test_a_damaged_block_is_told() -> None:
    found = read(LISTED.replace("        HOST/MYHOST", "        HOST/MYH OST"))
    assert (found.evidence, [one.line for one in found.unread]) == ((), [3])


def test_a_refusal_of_setspn() -> None:
    text = (
        "Failed to assign SPN on account 'CN=contososvc,OU=svc,DC=test,DC=com', error 0x21c7/8647 -> The operation failed "
        "because SPN value provided for addition/modification is not unique forest-wide.\n"
    )
    assert facts(text) == {"account": "CN=contososvc,OU=svc,DC=test,DC=com", "win32_status": 0x21C7}


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Server:  dc1.test.com\nAddress:  10.0.5.1\n\nName:    iis01.test.com\nAddress:  10.0.5.2\nAliases:  contoso.test.com\n",
            [{"host_names": ("contoso.test.com",), "alias_of": "iis01.test.com", "addresses": ("10.0.5.2",)}],
        ),
        (
            "Name:    iis01.test.com\nAddresses:  2001:db8::5\n          10.0.5.2\n",
            [{"host_names": ("iis01.test.com",), "addresses": ("2001:db8::5", "10.0.5.2")}],
        ),
        (
            "*** dc1.test.com can't find nobody.test.com: Non-existent domain\n",
            [{"host_names": ("nobody.test.com",), "addresses": ()}],
        ),
        (
            "contoso.test.com               CNAME  1200  Answer     iis01.test.com\n"
            "iis01.test.com                 A      1200  Answer     10.0.5.2\n",
            [
                {"host_names": ("contoso.test.com",), "alias_of": "iis01.test.com"},
                {"host_names": ("iis01.test.com",), "addresses": ("10.0.5.2",)},
            ],
        ),
        (
            "Name      : contoso.test.com\nQueryType : CNAME\nTTL       : 1200\nSection   : Answer\nNameHost  : iis01.test.com\n",
            [{"host_names": ("contoso.test.com",), "alias_of": "iis01.test.com"}],
        ),
        (
            "contoso.test.com.\t3600\tIN\tCNAME\tiis01.test.com.\n",
            [{"host_names": ("contoso.test.com",), "alias_of": "iis01.test.com"}],
        ),
        (
            "- ARecord: contoso.test.com of type CNAME on class Internet : iis01.test.com\n",
            [{"host_names": ("contoso.test.com",), "alias_of": "iis01.test.com"}],
        ),
    ],
)
def test_answers_of_name_servers(text: str, expected: list[dict[str, object]]) -> None:
    found = [one.facts.known for one in read(text).evidence]
    assert found == expected


def test_ipconfig_in_any_language() -> None:
    text = (
        "Windows-IP-Konfiguration\n\n   Hostname  . . . . . . . . . . . . : IIS01\n   Prim\u00e4res DNS-Suffix . . . . . . . : "
        "test.com\n   Knotentyp . . . . . . . . . . . . : Hybrid\n   IP-Routing aktiviert  . . . . . . : Nein\n\nEthernet-Adapter:\n\n"
        "   IPv4-Adresse  . . . . . . . . . . : 10.0.5.2(Bevorzugt)\n   Subnetzmaske  . . . . . . . . . . : 255.255.255.0\n"
        "   Standardgateway . . . . . . . . . : 10.0.5.254\n"
    )
    assert facts(text) == {
        "computer": "IIS01",
        "domain": "test.com",
        "host_names": ("iis01.test.com".replace("iis", "IIS"),),
        "addresses": ("10.0.5.2",),
    }


# -- decoded by a network monitor ----------------------------------------------------------------------------------


def test_what_network_monitor_decoded() -> None:
    text = "- Error: KRB_ERROR (30)\n+ ErrorCode: KRB_AP_ERR_MODIFIED (41)\n+ Realm: TEST.COM\n+ Sname: contososvc\nDate: Fri\n"
    assert facts(text) == {
        "error_code": 41,
        "error_name": "KRB_AP_ERR_MODIFIED",
        "realm": "TEST.COM",
        "server": "contososvc",
    }


def test_what_wireshark_decoded() -> None:
    text = (
        "    krb-error\n        stime: Aug 12, 2026\n        stime: 2026-08-12 16:20:18 (UTC)\n        error-code: "
        "eRR-AP-MODIFIED (41)\n        realm: TEST.COM\n        sname\n            name-type: kRB5-NT-SRV-INST (2)\n            "
        "sname-string: 2 items\n                SNameString: host\n                SNameString: iis01.test.com\n"
    )
    told = facts(text)
    assert (told["server"], told["realm"], told["time"]) == ("host/iis01.test.com", "TEST.COM", "2026-08-12T16:20:18Z")
    text = (
        "    ap-req\n        ticket\n            tkt-vno: 5\n            realm: TEST.COM\n            sname\n                SNameString: "
        "HTTP\n                SNameString: contoso.test.com\n            enc-part\n                etype: "
        "eTYPE-AES256-CTS-HMAC-SHA1-96 (18)\n                kvno: 3\n                cipher: a3b0deadbeef\n"
    )
    one = the(text)
    assert (one.kind, one.secret) == ("ap-req", True)
    assert one.facts.known == {"spn": CONTOSO, "realm": "TEST.COM", "etype": 18, "kvno": 3}


@pytest.mark.parametrize("page", ["findings.md", "rules.md", "diagnose.md", "decisions/0013-evidence.md"])
def test_words_about_evidence_are_none(page: str) -> None:
    """Our own pages speak of all of it, and hold none."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8")
    found = read(text)
    assert [one for one in found.evidence if one.kind == "event-4"] == []
    assert found.unread == ()
