"""Certificates that no deployment should have, signed by the authority that make-secrets.sh made; and who can have any."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sentinel.local.binary import find_redis_server

needs_tls = pytest.mark.skipif(
    shutil.which("openssl") is None or b"tls-auth-clients" not in find_redis_server(os.environ).read_bytes(),
    reason="there is no openssl to make certificates with, or this redis-server was built without TLS",
)


def replace_certificate(directory: Path, *, host: str = "127.0.0.1", ends_in: dt.timedelta) -> None:
    """Put a certificate for one host or address, and its key, in the place of the nodes'."""
    authority = x509.load_pem_x509_certificate((directory / "redis_tls_ca").read_bytes())
    signer = serialization.load_pem_private_key((directory / "redis_tls_ca_key").read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a node under test")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + ends_in)
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (directory / "redis_tls_cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "redis_tls_key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
