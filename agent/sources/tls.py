"""TLS as every connection of this program has it."""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.errors import UsageError
from agent.names import printable


def client_context(ca_files: Sequence[Path] = ()) -> ssl.SSLContext:
    """TLS 1.2 or newer, chain and name checked; trusts the CAs of these files only, without any the system's store.

    As ssl.create_default_context, which however writes the keys of every session where SSLKEYLOGFILE says. Raises
    OSError with the file's name.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    for file in ca_files:
        try:
            context.load_verify_locations(file)
        except OSError as error:
            error.filename = str(file)
            raise
    if not ca_files:
        context.load_default_certs()
    return context


def trusting(ca_files: Sequence[Path]) -> ssl.SSLContext:
    """The same with the system's store and the CAs of these files besides. Raises UsageError."""
    context = client_context()
    for file in ca_files:
        with readable(file, "certificates"):
            context.load_verify_locations(file)
    return context


@contextlib.contextmanager
def readable(file: Path, what: str) -> Iterator[None]:
    """Turn what OpenSSL and the system say of a file into UsageError."""
    try:
        yield
    except ssl.SSLError:
        raise UsageError(f"cannot use {printable(str(file))} as {what}: PEM without a passphrase is needed") from None
    except OSError as error:
        raise UsageError(f"cannot read {what} in {printable(str(file))}: {error.strerror}") from None
