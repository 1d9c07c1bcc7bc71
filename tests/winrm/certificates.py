"""A certificate authority, what its servers show (the good and the bad), and a client's certificate."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "expired", "wrong-name", "self-signed")
"""What a server can show."""

_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_DAY = datetime.timedelta(days=1)
_KEY_PURPOSES = dict.fromkeys(
    ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
)


class Issued(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write(directory: Path, names: Iterable[str], addresses: Iterable[str], client: str) -> None:
    """Write ca.pem, KIND.pem for each kind (certificate and key), client.pem and client.key."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = _issue("farm.test test authority", None, [_is_authority(), _usage(authority=True)])
    subject = x509.SubjectAlternativeName(
        [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(each)) for each in addresses)]
    )
    server = [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), _usage(authority=False)]
    elsewhere = x509.SubjectAlternativeName([x509.DNSName("elsewhere.example")])
    shown = {
        "good": _issue("farm.test", authority, [subject, *server]),
        "expired": _issue("farm.test", authority, [subject, *server], until=-1),
        "wrong-name": _issue("elsewhere.example", authority, [elsewhere, *server]),
        "self-signed": _issue("farm.test", None, [subject, *server]),
    }
    (directory / "ca.pem").write_bytes(_pem(authority.certificate))
    for kind, issued in shown.items():
        (directory / f"{kind}.pem").write_bytes(_pem(issued.certificate) + _key_pem(issued.key))
    user = _issue(client, authority, [_principal(f"{client}@farm.test"), _for_clients(), _usage(authority=False)])
    (directory / "client.pem").write_bytes(_pem(user.certificate))
    (directory / "client.key").write_bytes(_key_pem(user.key))


def _issue(name: str, authority: Issued | None, extensions: list[x509.ExtensionType], until: int = 30) -> Issued:
    """A new key and its certificate, valid for `until` days from now; without authority it is self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = authority.key if authority else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now + until * _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension in extensions:
        critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=critical)
    return Issued(builder.sign(signer, hashes.SHA256()), key)


def _is_authority() -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=0)


def _for_clients() -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_encipherment=False, key_cert_sign=authority, crl_sign=authority, **_KEY_PURPOSES
    )


def _principal(name: str) -> x509.SubjectAlternativeName:
    """What Windows maps a client certificate to an account by: the UPN, as a DER UTF8String."""
    text = name.encode()
    return x509.SubjectAlternativeName([x509.OtherName(_UPN, b"\x0c" + bytes([len(text)]) + text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
