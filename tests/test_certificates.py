"""Which names the certificates of https bindings are for; another reader of X.509 makes the certificates."""

from datetime import datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from agent.iis.parse import parse
from agent.iis.schema import SITES
from agent.iis.snapshot import CertificateNames
from agent.sources.certificates import dns_names, names_by_site

KEY = ec.derive_private_key(7, ec.SECP256R1())


def certificate(*names: str | x509.GeneralName, subject: str = "subject.test.com") -> bytes:
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder(called, called, KEY.public_key(), 1, datetime(2026, 1, 1), datetime(2027, 1, 1))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if names:
        each = [name if isinstance(name, x509.GeneralName) else x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(each), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# -- one certificate -----------------------------------------------------------------------------------------------


def test_dns_names_alone_are_taken() -> None:
    directory = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "inside.test.com")])
    names: list[str | x509.GeneralName] = [
        *("www.test.com", "*.test.com"),
        *(x509.IPAddress(ip_address("10.0.0.5")), x509.RFC822Name("mail@test.com"), x509.DirectoryName(directory)),
        *(x509.UniformResourceIdentifier("https://uri.test.com/"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
        *(x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03u@d"), "last.test.com"),
    ]
    assert dns_names(certificate(*names)) == ("www.test.com", "*.test.com", "last.test.com")


def test_subject_is_no_name_that_clients_look_at() -> None:
    assert dns_names(certificate()) == ()


def test_lengths_of_one_two_and_three_bytes() -> None:
    for count in (1, 5, 40, 4000):
        names = [f"web{number}.farm.test.com" for number in range(count)]
        assert dns_names(certificate(*names)) == tuple(names)
    long = ".".join(["x" * 60] * 4)
    assert dns_names(certificate(long)) == (long,)


def test_what_no_host_can_be_called_is_left_out() -> None:
    assert dns_names(certificate("two words", "www.test.com", "a\nb", "")) == ("www.test.com",)


WHOLE = certificate("www.test.com")


@given(st.binary(max_size=40), st.integers(min_value=0, max_value=600))
def test_damaged_certificate_has_no_names_and_ends(put: bytes, at: int) -> None:
    dns_names(put)
    dns_names(WHOLE[:at])
    dns_names(WHOLE[:at] + put + WHOLE[at + len(put) :])


# -- the sites of a server -----------------------------------------------------------------------------------------


def sites(*bindings: str, name: str = "Shop") -> bytes:
    each = "".join(
        f'<binding protocol="{protocol}" bindingInformation="{information}"/>'
        for protocol, _, information in (text.partition(" ") for text in bindings)
    )
    return f'<site name="{name}" id="1"><bindings>{each}</bindings></site>'.encode()


def named(text: bytes, bound: dict[str, bytes]) -> tuple[CertificateNames, ...]:
    whole = b"<configuration><system.applicationHost><sites>%s</sites></system.applicationHost></configuration>" % text
    node = parse(whole, "applicationHost.config").section(SITES)
    assert node is not None
    return names_by_site(node, bound)


A, B = certificate("a.test.com"), certificate("b.test.com", "A.test.com")


@pytest.mark.parametrize(
    ("binding", "bound"),
    [
        ("https *:443:", {"0.0.0.0:443": A}),
        ("https :443:", {"0.0.0.0:443": A}),
        ("https *:443:www.test.com", {"0.0.0.0:443": A}),
        ("HTTPS *:443:WWW.test.com", {"www.TEST.com:443": A}),
        ("https *:443:www.test.com", {"0.0.0.0:443": B, "www.test.com:443": A}),
        ("https 10.0.0.5:8443:", {"10.0.0.5:8443": A, "0.0.0.0:8443": B}),
        ("https [fe80::5]:443:", {"[fe80::5]:443": A}),
    ],
)
def test_certificate_of_a_binding_by_its_host_name_then_by_its_address(binding: str, bound: dict[str, bytes]) -> None:
    assert named(sites(binding), bound) == (CertificateNames("Shop", ("a.test.com",)),)


@pytest.mark.parametrize(
    ("binding", "bound"),
    [
        ("http *:443:", {"0.0.0.0:443": A}),
        ("https *:444:", {"0.0.0.0:443": A}),
        ("https 10.0.0.6:443:", {"10.0.0.5:443": A}),
        ("https *:443:other.test.com", {"www.test.com:443": A}),
        ("https nonsense", {"0.0.0.0:443": A}),
        ("https *:443:", {"0.0.0.0:443": certificate()}),
        ("https *:443:www.test.com", {"www.test.com:443": certificate(), "0.0.0.0:443": A}),
    ],
)
def test_binding_without_a_certificate_of_its_own_names_nothing(binding: str, bound: dict[str, bytes]) -> None:
    assert named(sites(binding), bound) == ()


def test_names_of_all_bindings_of_a_site_each_once() -> None:
    text = sites("https *:443:", "https *:444:", "net.tcp 808:*") + sites("http *:80:", name="Plain")
    (found,) = named(text, {"0.0.0.0:443": A, "0.0.0.0:444": B})
    assert found == CertificateNames("Shop", ("a.test.com", "b.test.com"))
