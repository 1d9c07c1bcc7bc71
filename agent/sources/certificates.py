"""The names that the certificates of https bindings are for: http.sys knows the certificates, no file of IIS does."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping

from agent.der import elements, first
from agent.iis.bindings import binding
from agent.iis.parse import Node
from agent.iis.snapshot import CertificateNames
from agent.names import fold

_ALTERNATIVE_NAMES = b"\x55\x1d\x11"
"""2.5.29.17, subjectAltName."""
_OBJECT_IDENTIFIER, _EXTENSIONS, _DNS_NAME = 0x06, 0xA3, 0x82
_NAME = re.compile(r"[A-Za-z0-9*_.-]+")


def names_by_site(sites: Node, bound: Mapping[str, bytes]) -> tuple[CertificateNames, ...]:
    """The names by site, of the sites that have any.

    `bound` has the certificates (DER) by endpoint, as http.sys calls it: `0.0.0.0:443`, and with SNI
    `www.test.com:443`.
    """
    known = {fold(endpoint): certificate for endpoint, certificate in bound.items()}
    return tuple(found for site in sites.children if (found := _of_site(site, known)).names)


def _of_site(site: Node, known: Mapping[str, bytes]) -> CertificateNames:
    names: dict[str, str] = {}
    for endpoints in _endpoints(site):
        certificate = next((known[endpoint] for endpoint in endpoints if endpoint in known), b"")
        for name in dns_names(certificate):
            names.setdefault(fold(name), name)
    return CertificateNames(site.attributes.get("name", ""), tuple(names.values()))


def _endpoints(site: Node) -> Iterator[tuple[str, str]]:
    """Where the certificate of each https binding is looked up: first by its host name, then by its address."""
    for bindings in site.children:
        for node in bindings.children if bindings.name == "bindings" else ():
            found = binding(node)
            if found.protocol == "https" and found.serves:
                address = f"[{found.address}]" if ":" in found.address else found.address or "0.0.0.0"  # noqa: S104
                yield fold(f"{found.host.text if found.host else ''}:{found.port}"), f"{address}:{found.port}"


def dns_names(certificate: bytes) -> tuple[str, ...]:
    """The DNS names among the subject alternative names of a certificate; none where its DER is damaged."""
    extensions = [
        list(elements(extension.content))
        for field in elements(_inside(_inside(certificate)))
        if field.tag == _EXTENSIONS
        for extension in elements(_inside(field.content))
    ]
    texts = [
        name.content.decode("latin-1")
        for parts in extensions
        if parts and parts[0][:2] == (_OBJECT_IDENTIFIER, _ALTERNATIVE_NAMES)
        for name in elements(_inside(parts[-1].content))
        if name.tag == _DNS_NAME
    ]
    return tuple(text for text in texts if _NAME.fullmatch(text))


def _inside(der: bytes) -> bytes:
    return first(der).content


# -- Windows -------------------------------------------------------------------------------------------------------

if sys.platform == "win32":
    import ssl
    import winreg

    _HTTP = r"SYSTEM\CurrentControlSet\Services\HTTP\Parameters"

    def bound() -> dict[str, bytes] | None:
        """The certificates of http.sys (DER) by endpoint; None where Windows does not say. Opens no private key."""
        try:
            found = list(_bound())
            stored = {store: _stored(store) for store in {store for _, store, _ in found}}
        except OSError:
            return None
        return {endpoint: stored[store][digest] for endpoint, store, digest in found if digest in stored[store]}

    def _bound() -> Iterator[tuple[str, str, bytes]]:
        """Each endpoint with the store and the SHA-1 digest of its certificate.

        A key is called after its address and port; one for a host name holds that name as a value.
        """
        for table in ("SslBindingInfo", "SslSniBindingInfo"):
            with contextlib.suppress(FileNotFoundError), _key(rf"{_HTTP}\{table}") as keys:
                for name in [winreg.EnumKey(keys, index) for index in range(winreg.QueryInfoKey(keys)[0])]:
                    with _key(rf"{_HTTP}\{table}\{name}") as key:
                        values = dict(winreg.EnumValue(key, index)[:2] for index in range(winreg.QueryInfoKey(key)[1]))
                    endpoint, store = values.get("HostnamePort") or name, values.get("SslCertStoreName") or "MY"
                    yield str(endpoint), str(store), bytes(values.get("SslCertHash") or b"")

    def _key(path: str) -> winreg.HKEYType:
        return winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY)

    def _stored(store: str) -> dict[bytes, bytes]:
        """The certificates of a store by their SHA-1 digest."""
        found = (data for data, encoding, _ in ssl.enum_certificates(store) if encoding == "x509_asn")
        return {hashlib.sha1(data, usedforsecurity=False).digest(): data for data in found}
