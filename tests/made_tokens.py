"""Tokens as IIS and browsers send them, made by hand (RFC 4120, RFC 4121, RFC 4178): another decoder reads them too."""

from __future__ import annotations

import base64

KERBEROS, KERBEROS_MS = bytes.fromhex("06092a864886f712010202"), bytes.fromhex("06092a864882f712010202")
SPNEGO, NTLM = bytes.fromhex("06062b0601050502"), bytes.fromhex("060a2b06010401823702020a")
AP_REQ, AP_REP, ERROR = b"\x01\x00", b"\x02\x00", b"\x03\x00"
AES256, RC4 = 18, 23


def tagged(tag: int, *contents: bytes) -> bytes:
    """DER; the length in one byte, or in more with their count before them."""
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def text(value: str) -> bytes:
    return tagged(0x1B, value.encode())


def principal(*parts: str, kind: int = 2) -> bytes:
    return tagged(0x30, tagged(0xA0, integer(kind)), tagged(0xA1, tagged(0x30, *map(text, parts))))


# -- Kerberos ------------------------------------------------------------------------------------------------------


def krb_error(code: int, server: str, realm: str = "TEST.COM", time: str = "20261122100000Z") -> bytes:
    """KRB-ERROR of an acceptor: `server` is the account that tried to decrypt."""
    fields = {
        0xA0: integer(5),
        0xA1: integer(30),
        0xA4: tagged(0x18, time.encode()),
        0xA5: integer(485594),
        0xA6: integer(code),
        0xA9: text(realm),
        0xAA: principal(*server.split("/"), kind=1),
    }
    return tagged(0x7E, tagged(0x30, *(tagged(tag, value) for tag, value in fields.items())))


def encrypted(etype: int, kvno: int | None, cipher: bytes) -> bytes:
    version = b"" if kvno is None else tagged(0xA1, integer(kvno))
    return tagged(0x30, tagged(0xA0, integer(etype)), version, tagged(0xA2, tagged(0x04, cipher)))


def ap_req(spn: str, realm: str = "TEST.COM", etype: int = AES256, kvno: int | None = 3, size: int = 1000) -> bytes:
    """AP-REQ with a ticket of `size` bytes."""
    ticket = tagged(
        0x61,
        tagged(
            0x30,
            tagged(0xA0, integer(5)),
            tagged(0xA1, text(realm)),
            tagged(0xA2, principal(*spn.split("/"))),
            tagged(0xA3, encrypted(etype, kvno, bytes(range(256)) * (size // 256 + 1))),
        ),
    )
    fields = {
        0xA0: integer(5),
        0xA1: integer(14),
        0xA2: tagged(0x03, b"\x00\x20\x00\x00\x00"),
        0xA3: ticket,
        0xA4: encrypted(etype, None, b"\x5a" * 200),
    }
    return tagged(0x6E, tagged(0x30, *(tagged(tag, value) for tag, value in fields.items())))


def ap_rep(etype: int = AES256) -> bytes:
    fields = {0xA0: integer(5), 0xA1: integer(15), 0xA2: encrypted(etype, None, b"\x5a" * 80)}
    return tagged(0x6F, tagged(0x30, *(tagged(tag, value) for tag, value in fields.items())))


# -- what they travel in -------------------------------------------------------------------------------------------


def framed(kind: bytes, message: bytes) -> bytes:
    """RFC 4121 4.1."""
    return tagged(0x60, KERBEROS, kind, message)


def init(token: bytes, *mechanisms: bytes) -> bytes:
    """NegTokenInit of a client."""
    fields = tagged(0xA0, tagged(0x30, *mechanisms)), tagged(0xA2, tagged(0x04, token))
    return tagged(0x60, SPNEGO, tagged(0xA0, tagged(0x30, *fields)))


def response(token: bytes = b"", state: int = 1, mechanism: bytes = KERBEROS) -> bytes:
    """NegTokenResp of a server: 0 accept-completed, 1 accept-incomplete, 2 reject."""
    inner = tagged(0xA2, tagged(0x04, token)) if token else b""
    return tagged(0xA1, tagged(0x30, tagged(0xA0, tagged(0x0A, bytes([state]))), tagged(0xA1, mechanism), inner))


def written(token: bytes) -> str:
    return base64.b64encode(token).decode()


REFUSED = written(response(framed(ERROR, krb_error(41, "contososvc"))))
ASKED = written(init(framed(AP_REQ, ap_req("HTTP/iis01.test.com")), KERBEROS_MS, KERBEROS, NTLM))
ACCEPTED = written(response(framed(AP_REP, ap_rep()), 0))
_PAIRS = b"".join(
    number.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
    for number, value in {
        1: "IIS01".encode("utf-16-le"),
        3: "iis01.test.com".encode("utf-16-le"),
        7: (134398152000000000).to_bytes(8, "little"),  # 2026-11-22T10:00:00Z
        0: b"",
    }.items()
)
NTLM_CHALLENGE = written(
    b"NTLMSSP\0\x02\0\0\0\x08\0\x08\0\x38\0\0\0\x05\x82\x89\xa2"
    + bytes(16)
    + len(_PAIRS).to_bytes(2, "little") * 2
    + b"\x40\0\0\0"
    + bytes(8)
    + "TEST".encode("utf-16-le")
    + _PAIRS
)
SEEDS = (REFUSED, ASKED, ACCEPTED, NTLM_CHALLENGE, f"Negotiate {REFUSED}, NTLM", "oQcwBaADCgEC")
