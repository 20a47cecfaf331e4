"""A private certificate authority for tests, and servers' certificates signed by it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """`ca_file` is what a client trusts; `server_context` is what a server shows."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        """Make the authority's own key and certificate."""
        key, subject = ec.generate_private_key(ec.SECP256R1()), _name(self.name)
        certificate = _certificate(subject, subject, key.public_key(), key, authority=True)
        object.__setattr__(self, "_key", key)
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def ca_file(self) -> Path:
        """The authority's certificate."""
        return self.folder / f"{self.name}.pem"

    def server_context(self, host: str) -> ssl.SSLContext:
        """TLS for a server whose certificate names `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(
            _name(host), _name(self.name), key.public_key(), self._key, authority=False, host=host
        )
        chain = self.folder / f"{self.name}-{host}.pem"
        chain.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject, issuer, public_key, signing_key, *, authority, host=None):
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
    return builder.sign(signing_key, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
