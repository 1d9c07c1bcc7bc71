"""Writing servicePrincipalName values by LDAP: the Modify operation (RFC 4511 4.6), which sansldap 0.1.0 does not have.

One value per request, and never the control that makes a server overlook a value that is there or gone already: a
changed state has to make the request fail.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sansldap import LDAPMessage, LDAPResult, PartialAttribute, SearchResultDone
from sansldap.asn1 import ASN1Writer

from agent.change.writer import RefusedError
from agent.errors import UsageError
from agent.names import printable
from agent.sources.ad.connection import BASE, SUBTREE, LdapConnection
from agent.sources.ad.filters import equal
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.results import SUCCESS, LdapError, code_of, result_of, result_words
from agent.sources.ad.wire import Deadline
from agent.sources.borrowed import learn_ldap_answer, send_ldap_request

if TYPE_CHECKING:
    from agent.sources.borrowed import PackingOptions

ATTRIBUTE = "servicePrincipalName"
ALLOWED = "allowedAttributesEffective"
"""Constructed for each reader: the attributes that he may write on this very object ([MS-ADTS] 3.1.1.4.5.16)."""

Operation = Literal["add", "delete"]
_OPERATIONS: Mapping[Operation, int] = {"add": 0, "delete": 1}


class LdapRefusedError(LdapError, RefusedError):
    """The server answered no; nothing was changed."""


# -- the operation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModifyRequest(LDAPMessage):
    """ModifyRequest with one change: add or delete the values of one attribute."""

    tag_number = 6

    object_name: str
    operation: Operation
    attribute: PartialAttribute

    def _pack_inner(self, writer: ASN1Writer, options: PackingOptions) -> None:
        writer.write_octet_string(self.object_name.encode(options.string_encoding))
        with writer.push_sequence_of() as changes, changes.push_sequence() as change:
            change.write_enumerated(_OPERATIONS[self.operation])
            with change.push_sequence() as attribute:
                attribute.write_octet_string(self.attribute.name.encode(options.string_encoding))
                with attribute.push_set_of() as values:
                    for value in self.attribute.values:
                        values.write_octet_string(value)


@dataclass(frozen=True)
class ModifyResponse(SearchResultDone):
    """ModifyResponse: like a SearchResultDone an LDAPResult and nothing else."""

    tag_number = 7


learn_ldap_answer(ModifyResponse.tag_number, ModifyResponse)


def modify(connection: LdapConnection, dn: str, operation: Operation, attribute: str, value: bytes) -> None:
    """Add or delete one value. LdapRefusedError when the server said no, LdapError when nobody knows."""
    change = ModifyRequest(0, [], dn, operation, PartialAttribute(attribute, [value]))
    answer = connection.exchange(lambda client: send_ldap_request(client, change))
    if not isinstance(answer, ModifyResponse):
        raise LdapError(f"{connection.server} answered a change with something else")
    result = result_of(answer)
    code = code_of(result)
    if code != SUCCESS:
        raise LdapRefusedError(f"{connection.server} refuses: {_words(result)}", code)


_RESULTS = {
    8: "it demands a sealed or signed logon (strongerAuthRequired): use ldaps://, or Kerberos",
    10: "it cannot write there: it is read-only or serves another domain; name a writable controller of that domain",
    16: "the account does not hold this value any more (noSuchAttribute): somebody changed it meanwhile",
    19: "the value is not allowed there (constraintViolation)",
    20: "the account holds this value already (attributeOrValueExists): somebody changed it meanwhile",
    32: "the account is not there any more (noSuchObject): it was moved, renamed or deleted",
    50: "the logon may not write servicePrincipalName of this account (insufficientAccessRights)",
    53: "it is unwilling to change this account (unwillingToPerform)",
    68: "another object has this value already (entryAlreadyExists)",
}
_NOT_UNIQUE = (
    "the SPN is not unique in the forest (error 0x21C7, 8647): another account holds it, or holds the HOST/ SPN of "
    "the same name, past which only a full domain administrator can add it"
)
_NOT_UNIQUE_SIGNS = ("21C7", "8647", "would cause a conflict", "not unique")
"""What Active Directory and Samba (4.17) write into the diagnostic message."""


def _words(result: LDAPResult) -> str:
    code, own = code_of(result), printable(result.diagnostics_message.strip("\0 \n"))[:300]
    if code in (19, 68) and any(sign in own for sign in _NOT_UNIQUE_SIGNS):
        return f"{_NOT_UNIQUE} ({own})"
    if code in _RESULTS:
        return f"{_RESULTS[code]} ({own})" if own else _RESULTS[code]
    return result_words(result)


# -- the writer ----------------------------------------------------------------------------------------------------


class Renewable(Deadline):
    """A deadline for each request: between two of them a person may think for as long as he likes."""

    def renew(self) -> None:
        self._end = time.monotonic() + self.seconds


class LdapWriter:
    """`agent.change.apply.Writer` on one connection, that is on one domain controller."""

    def __init__(self, connection: LdapConnection, deadline: Renewable) -> None:
        """Ask the controller who it is. Raises LdapError."""
        self._connection = connection
        self._deadline = deadline
        root = self._first("", ("dnsHostName", "defaultNamingContext"))
        self.server = root.get("dnshostname", connection.server.host)
        self._base = root.get("defaultnamingcontext", "")

    def _first(self, dn: str, names: tuple[str, ...]) -> dict[str, str]:
        for _, found in self._connection.search(dn, BASE, None, names):
            return {name.lower(): _text(values[0]) for name, values in found.items() if values}
        return {}

    def values(self, dn: str) -> tuple[str, ...]:
        """The servicePrincipalName values of an account, spelt as stored."""
        self._deadline.renew()
        with _refusals():
            for _, found in self._connection.search(dn, BASE, None, [ATTRIBUTE]):
                stored = (values for name, values in found.items() if name.lower() == ATTRIBUTE.lower())
                return tuple(_text(value) for values in stored for value in values)
        raise LdapRefusedError(f"{self.server} does not show the account {printable(dn)}")

    def holders(self, text: str) -> tuple[str, ...]:
        """The DNs of this controller's domain whose servicePrincipalName holds a value, without case."""
        self._deadline.renew()
        wanted = [equal(ATTRIBUTE, _data(text))]
        with _refusals():
            return tuple(dn for dn, _ in self._connection.search(self._base, SUBTREE, wanted, ["1.1"]))

    def may_write(self, dn: str) -> bool:
        """Whether the controller shows that the logon may write servicePrincipalName of an account.

        Not shown are validated writes; a controller may refuse all the same.
        """
        self._deadline.renew()
        with _refusals():
            for _, found in self._connection.search(dn, BASE, None, [ALLOWED]):
                return ATTRIBUTE.lower() in {_text(value).lower() for values in found.values() for value in values}
        return False

    def add_value(self, dn: str, text: str) -> None:
        self._deadline.renew()
        modify(self._connection, dn, "add", ATTRIBUTE, _data(text))

    def delete_value(self, dn: str, text: str) -> None:
        self._deadline.renew()
        modify(self._connection, dn, "delete", ATTRIBUTE, _data(text))


@contextlib.contextmanager
def writer(source: LdapSource) -> Iterator[LdapWriter]:
    """Connect, protected and logged on as `source` does. Raises UsageError and LdapError."""
    deadline = Renewable(source.seconds)
    controllers = source.controllers(deadline)
    if controllers.is_forest:
        raise UsageError("--apply cannot write to a global catalog: name a domain controller with --ad ldap://DC")
    with controllers.open(controllers.first()) as connection:
        yield LdapWriter(connection, deadline)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """An error code in the answer to a search means that the server did answer."""
    try:
        yield
    except LdapError as error:
        if error.code is None:
            raise
        raise LdapRefusedError(str(error), error.code) from None


# A value that is not UTF-8 must come back as it was.


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
