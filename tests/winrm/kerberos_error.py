"""What a Windows server answers to a ticket that it does not take: a KRB-ERROR (RFC 4120 5.9.1), mostly number 41.

That is KRB_AP_ERR_MODIFIED: it cannot decrypt the ticket. MIT's acceptor says 31, 35 or 44 there, and pyspnego loses
its token; so this one is made by hand. That Windows wraps it in a NegTokenResp with accept-incomplete is known from
captures of SMB, and taken over from there.
"""

from __future__ import annotations

import time

MODIFIED = 41
_CANNOT_DECRYPT = frozenset({31, 35, 44, 45})  # BAD_INTEGRITY, NOT_US, BADKEYVER, NOKEY
_KRB5_ERRORS = -1765328384
_KERBEROS = bytes.fromhex("06092a864886f712010202")  # 1.2.840.113554.1.2.2
_ERROR_TOKEN = b"\x03\x00"  # RFC 4121 4.1
_KRB_NT_SRV_INST = 2


def code_of(error: BaseException) -> int:
    """The number that Windows would give (RFC 4120 7.5.9) where MIT's acceptor failed so; 0: no KRB-ERROR at all."""
    minor = int(getattr(getattr(error, "base_error", None), "min_code", 0))
    code = (minor - 2**32 if minor >= 2**31 else minor) - _KRB5_ERRORS
    return MODIFIED if code in _CANNOT_DECRYPT else code if 0 < code < 128 else 0


def modified(service: str, host: str, *, spnego: bool) -> bytes:
    """The token for a ticket that cannot be decrypted."""
    return token(MODIFIED, service, host, spnego=spnego)


def token(code: int, service: str, host: str, *, spnego: bool) -> bytes:
    """The token for a 401, for a ticket of `service/host`; with `spnego` for Negotiate, without for Kerberos."""
    token = _tagged(0x60, _KERBEROS + _ERROR_TOKEN + _krb_error(code, service, host))
    if not spnego:
        return token
    accept_incomplete = _tagged(0xA0, b"\x0a\x01\x01")
    answer = accept_incomplete + _tagged(0xA1, _KERBEROS) + _tagged(0xA2, _tagged(0x04, token))
    return _tagged(0xA1, _tagged(0x30, answer))


def _krb_error(code: int, service: str, host: str) -> bytes:
    name = _tagged(0xA0, _integer(_KRB_NT_SRV_INST)) + _tagged(0xA1, _tagged(0x30, _text(service) + _text(host)))
    now = time.strftime("%Y%m%d%H%M%SZ", time.gmtime()).encode()
    fields = (
        (0xA0, _integer(5)),
        (0xA1, _integer(30)),
        (0xA4, _tagged(0x18, now)),
        (0xA5, _integer(0)),
        (0xA6, _integer(code)),
        (0xA9, _text("")),
        (0xAA, _tagged(0x30, name)),
    )
    return _tagged(0x7E, _tagged(0x30, b"".join(_tagged(tag, value) for tag, value in fields)))


def _integer(value: int) -> bytes:
    return _tagged(0x02, bytes([value]))


def _text(value: str) -> bytes:
    return _tagged(0x1B, value.encode())


def _tagged(tag: int, content: bytes) -> bytes:
    """DER; the length in one byte, or in more with their count before them."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
