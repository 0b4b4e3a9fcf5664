"""TLS contexts of listeners: made from files that are said by name where they are of no use."""

from __future__ import annotations

import ssl
from pathlib import Path

from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.config.sections.listeners import Listener

ENCRYPTED = "ENCRYPTED"


PROTOCOLS = {"hypercorn": ("h2", "http/1.1"), "uvicorn": ("http/1.1",)}
"""What is offered by ALPN, by engine."""


class Certificates:
    """The context of each certificate and engine that is listened with; ``reload`` reads the files again."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError where a file is of no use."""
        self._config = config
        self._contexts: dict[tuple[Path, Path, str], ssl.SSLContext] = {}
        for listener in config.listeners:
            pair = _pair(listener)
            engine = config.engine_of(listener)
            if pair is not None and (*pair, engine) not in self._contexts:
                self._contexts[*pair, engine] = context = _context(*pair)
                context.set_alpn_protocols(PROTOCOLS[engine])

    def context(self, listener: Listener) -> ssl.SSLContext | None:
        """The context to listen with; None without TLS. It is the same as long as the process lives."""
        pair = _pair(listener)
        return None if pair is None else self._contexts[*pair, self._config.engine_of(listener)]

    def reload(self) -> None:
        """Use what the files hold now for connections to come; raises ConfigError, and then changes none."""
        for certificate, key, _ in self._contexts:
            _context(certificate, key)
        for (certificate, key, _), context in self._contexts.items():
            context.load_cert_chain(certificate, key)


def _pair(listener: Listener) -> tuple[Path, Path] | None:
    if listener.tls_certificate is None or listener.tls_key is None:
        return None
    return listener.tls_certificate, listener.tls_key


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _read("tls_certificate", certificate, "CERTIFICATE")
    if ENCRYPTED in _read("tls_key", key, "PRIVATE KEY"):
        raise ConfigError(f"listeners: tls_key: {key} is encrypted; it has to be a key without a passphrase")
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"listeners: tls_key: {key} is not the key of {certificate}") from error
        raise ConfigError(f"listeners: {certificate} and {key} cannot be used for TLS: {error}") from error
    return context


def _read(setting: str, file: Path, what: str) -> str:
    try:
        text = file.read_text("latin-1")
    except OSError as error:
        raise ConfigError(f"listeners: {setting}: {file} cannot be read: {error.strerror}") from error
    if what not in text:
        raise ConfigError(f"listeners: {setting}: there is no {what.lower()} in {file}")
    return text
