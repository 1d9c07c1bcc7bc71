"""Credential caches of krb5 in memory, each with a ticket-granting ticket: of a password, or of the present logon.

What krb5 raises has no public base and may hold a password in its frames: only `krb5_code` and `context_words` of it
get out, as callers see to.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class CredentialCache(NamedTuple):
    """`name` is how krb5 and GSSAPI call it; `handles` keep it from being freed."""

    name: str
    handles: tuple[Any, ...]


def of_password(principal: str, password: str) -> CredentialCache:
    """A new ticket-granting ticket. Raises ImportError, and whatever krb5 raises."""
    import krb5

    context = krb5.init_context()
    client = krb5.parse_name_flags(context, principal.encode())
    options = krb5.get_init_creds_opt_alloc(context)
    krb5.get_init_creds_opt_set_canonicalize(options, True)
    credentials = krb5.get_init_creds_password(context, client, options, password=password.encode())
    return _kept(context, credentials.client, [credentials])


def of_present_logon() -> CredentialCache:
    """The ticket-granting tickets of the present cache alone: a service ticket from before a change would answer.

    Raises ImportError, and whatever krb5 raises, where there is no cache or no such ticket in it.
    """
    import krb5

    context = krb5.init_context()
    present = krb5.cc_default(context)
    return _kept(context, present.principal, [each for each in present if _grants(context, each)])


def end_of(cache: CredentialCache, token: bytes) -> float | None:
    """When the ticket in a token ends, in seconds since 1970; None where it stands in no ticket of the cache."""
    import krb5

    context = krb5.init_context()
    tickets = krb5.cc_resolve(context, cache.name.encode())
    return next((each.times.endtime for each in tickets if each.ticket and each.ticket in token), None)


def _grants(context: Any, credentials: Any) -> bool:
    import krb5

    return bool(krb5.unparse_name_flags(context, credentials.server).startswith(b"krbtgt/"))


def _kept(context: Any, principal: Any, tickets: list[Any]) -> CredentialCache:
    import krb5

    cache = krb5.cc_new_unique(context, b"MEMORY")
    krb5.cc_initialize(context, cache, principal)
    for each in tickets:
        krb5.cc_store_cred(context, cache, each)
    return CredentialCache(f"MEMORY:{(cache.name or b'').decode()}", (context, cache))
