"""What an LDAP server says to a request: its result codes (RFC 4511 4.1.9, appendix A), and their words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import SourceError
from agent.names import printable

if TYPE_CHECKING:
    import sansldap

SUCCESS, REFERRAL, SASL_IN_PROGRESS = 0, 10, 14


class LdapError(SourceError):
    """The directory could not be asked, refused, or answered with nonsense; `code` is its LDAP result code."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


def result_of(message: sansldap.LDAPMessage) -> sansldap.LDAPResult:
    """The result in an answer that carries one."""
    result: sansldap.LDAPResult | None = getattr(message, "result", None)
    if result is None:
        raise LdapError("the server answered with another kind of message")
    return result


def code_of(result: sansldap.LDAPResult) -> int:
    """The LDAP result code. In sansldap 0.1.0 a code that it has no name for *equals* 0, success; `value` is right."""
    return int(result.result_code.value)


_RESULTS = {
    1: "it cannot be asked without a logon, or the operation failed",
    3: "its time limit is exceeded; ask for less or another domain controller",
    4: "its size limit is exceeded, so the answer is cut off",
    7: "it does not know this way to log on",
    8: "it demands a stronger logon (strongerAuthRequired): use ldaps:// or StartTLS, or Kerberos",
    10: "it refers to another server; name a domain controller of that domain",
    11: "its administrative limit is exceeded, so the answer is cut off",
    12: "it does not support paged results",
    13: "it demands encryption (confidentialityRequired): use ldaps:// or StartTLS",
    32: "the object does not exist or may not be read",
    48: "it does not allow this way to log on",
    49: "it refuses the logon",
    50: "the account that asks may not read this",
    51: "it is busy; try again later",
    52: "it is not available; try another domain controller",
    53: "it is unwilling to perform the request",
}


def result_words(result: sansldap.LDAPResult) -> str:
    """What an LDAP result means, with the server's own words after it."""
    code = code_of(result)
    meaning = _RESULTS.get(code, f"LDAP result {code}")
    own = printable(result.diagnostics_message.strip("\0 \n"))[:200]
    return f"{meaning} ({own})" if own else meaning
