"""What other packages have and their documentation does not offer: an upgrade may move it without a word.

So it is taken here and nowhere else, each piece with the reason; `tests/test_borrowed.py` looks at every one of them
before any other test runs. Nothing is imported before it is used: each piece belongs to an extra.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sansldap import LDAPClient, LDAPControl, LDAPMessage, LDAPResult
    from sansldap._messages import PackingOptions as PackingOptions
    from sansldap.asn1 import ASN1Reader


# -- pywinrm -------------------------------------------------------------------------------------------------------


def write_winrm_messages(written: Callable[[Mapping[str, Any]], str]) -> None:
    """Let pywinrm turn its messages into XML with `written`; no other user of xmltodict notices.

    xmltodict checks each letter of each name of each message anew, which takes longer than the rest of an exchange.
    """
    import winrm.protocol

    vars(winrm.protocol)["xmltodict"] = SimpleNamespace(unparse=written)


# -- pyspnego ------------------------------------------------------------------------------------------------------


def nt_hash(password: str) -> bytes | None:
    """NTOWFv1 of MS-NLMP 3.3.1, which hashlib no longer has everywhere (MD4); None where pyspnego has it no longer.

    With the hash a sweep asks a thousand servers; without it pyspnego hashes the password for each.
    """
    try:
        from spnego._ntlm_raw.crypto import ntowfv1
    except ImportError:
        return None
    return ntowfv1(password)


# -- sansldap 0.1.0, which reads directories and does not change them ----------------------------------------------


def learn_ldap_answer(tag_number: int, make: Callable[[int, list[LDAPControl], LDAPResult], LDAPMessage]) -> None:
    """Let sansldap read one more kind of answer that holds an LDAPResult and nothing else (RFC 4511 4.1.9).

    It counts on each connection which answer belongs to what, so no answer can be read past it.
    """
    from sansldap import _messages

    def unpack(
        reader: ASN1Reader, options: PackingOptions, message_id: int, controls: list[LDAPControl]
    ) -> LDAPMessage:
        return make(message_id, controls, _messages._unpack_ldap_result(reader, options))

    _messages.PROTOCOL_PACKER.setdefault(tag_number, unpack)


def send_ldap_request(client: LDAPClient, request: LDAPMessage) -> int:
    """Number and queue a request of a kind that sansldap has no method for; gives its message ID.

    The request writes itself in `_pack_inner(writer, options)`.
    """
    return client._send(request)


def send_ldap_bytes(client: LDAPClient, written: Callable[[int], bytes]) -> int:
    """As `send_ldap_request`, of a message that `written` gives whole under its number; gives that number.

    sansldap takes one message as the answer to it, so entries that come before the last are not shown to it.
    """
    request: Any = SimpleNamespace(message_id=0)
    request.pack = lambda _options: written(request.message_id)
    return client._send(request)
