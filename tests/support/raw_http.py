"""HTTP/1.1 by hand, for what no client library would send; and a certificate to speak TLS with."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SECONDS = 60.0
"""How long anything may take on a busy machine; what is bounded takes a fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it announces the connection's end."""
        return self.headers.get("connection", "").lower() == "close"

    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


class Raw:
    """A connection."""

    def __init__(self, port: int, *, tls: bool = False, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=SECONDS)
        if tls:
            self.socket = unverified().wrap_socket(self.socket)
        self._read = b""

    def send(self, text: str | bytes, body: bytes = b"") -> None:
        """Send a head, whose lines end as in Python's text, and a body."""
        head = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode("latin-1")
        self.socket.sendall(head + body)

    def answer(self, *, head: bool = False) -> Answer:
        """The next response; ``head`` where it is one to HEAD."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        lines, _, rest = self._read.partition(b"\r\n\r\n")
        first, *fields = lines.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        self._read = rest
        status = int(first.split(" ")[1])
        length = 0 if head or status < 200 else int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return Answer(status=status, headers=headers, body=body)

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError(f"closed after {self._read!r}")
        self._read += piece

    def ended(self) -> bool:
        """Whether the server ends the connection, and says nothing more; waits for that."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def unverified() -> ssl.SSLContext:
    """TLS with whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for ``name`` and 127.0.0.1, signed by itself, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths
