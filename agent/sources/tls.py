"""TLS as every connection of this program has it."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Sequence
from pathlib import Path


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
