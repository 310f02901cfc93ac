"""Certificates for main servers, good ones and bad ones, all made by an authority of the run's own.

A forwarder trusts the authority where its environment names the file with the authority's certificate in SSL_CERT_FILE.
"""

import functools
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.moments import utc_now

LOOPBACK = "127.0.0.1"
_PEM = serialization.Encoding.PEM
_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; its own says nothing but that it may."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(_PEM)

    def certify(self, name: str, *, days: float = 1.0) -> ssl.SSLContext:
        """A server's context for the address or host `name`; valid until so many days from now, or before now."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_general(name)])
        usage = x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True})
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(name, self.certificate.subject, key, days)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
        )
        return _context(builder.sign(self.key, hashes.SHA256()), key)


@functools.cache
def authority() -> Authority:
    """That of the run."""
    return new_authority("An authority of the tests")


def new_authority(name: str) -> Authority:
    """One that nobody trusts until told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True})
    builder = (
        _builder(name, None, key, days=1.0)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(key, builder.sign(key, hashes.SHA256()))


@functools.cache
def good() -> ssl.SSLContext:
    return authority().certify(LOOPBACK)


@functools.cache
def expired() -> ssl.SSLContext:
    return authority().certify(LOOPBACK, days=-1.0)


@functools.cache
def for_another_host() -> ssl.SSLContext:
    return authority().certify("another.test")


@functools.cache
def by_a_stranger() -> ssl.SSLContext:
    """Signed by an authority that nobody trusts."""
    return new_authority("A stranger").certify(LOOPBACK)


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, days: float
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = utc_now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _context(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    """The standard library takes a certificate from a file only."""
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(certificate.public_bytes(_PEM) + private)
        context.load_cert_chain(file)
    return context
