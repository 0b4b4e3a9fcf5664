"""Certificates for servers under test."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

DAY = datetime.timedelta(days=1)


def issue(ca: Path, certificate: Path, key: Path, *, name: str, address: str) -> None:
    """Write a certificate for a server's name and address, and its key, as PEM.

    It is signed by the CA that Complement has put at `ca`, with its key beside it; before that, by itself.
    """
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    issuer, signing = _authority(ca) if ca.exists() else (subject, own)
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 30 * DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signing, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _authority(ca: Path) -> tuple[x509.Name, CertificateIssuerPrivateKeyTypes]:
    """Whom the CA's certificate names, and the CA's key."""
    # Checking the suite's own RSA-4096 key would take longer than all the rest.
    key = serialization.load_pem_private_key(
        ca.with_suffix(".key").read_bytes(), None, unsafe_skip_rsa_key_validation=True
    )
    return x509.load_pem_x509_certificate(ca.read_bytes()).subject, cast(
        CertificateIssuerPrivateKeyTypes, key
    )
