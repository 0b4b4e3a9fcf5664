"""The server's signing key: a file in the data folder, made on the first start."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path

import signedjson.key

from palpo.config.errors import ConfigError
from palpo.core.signing import SigningKey

FILE_NAME = "signing.key"


def load(folder: Path) -> SigningKey | None:
    """The key in ``folder``; None where there is none. Raises ConfigError."""
    return read(folder / FILE_NAME)


def read(path: Path) -> SigningKey | None:
    """The key in a file, likewise."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _unlike(path) from error
    try:
        (key,) = signedjson.key.read_signing_keys(text.splitlines())
        return SigningKey(key_id=f"{key.alg}:{key.version}", seed=bytes(key))
    except Exception as error:
        raise _unlike(path) from error


def _unlike(path: Path) -> ConfigError:
    return ConfigError(f"{path}: not a signing key (ed25519 VERSION SEED)")


def load_or_create(folder: Path) -> SigningKey:
    """The key in ``folder``; made, readable by its owner only, if there is none. Raises ConfigError."""
    key = load(folder)
    if key is not None:
        return key
    try:
        return _create(folder / FILE_NAME)
    except FileExistsError:
        return load_or_create(folder)
    except OSError as error:
        raise ConfigError(f"{folder / FILE_NAME}: {error.strerror}") from error


def copy(path: Path, folder: Path) -> None:
    """Have ``folder``, which has no key, have that of the file ``path``. Raises ConfigError."""
    try:
        _write(folder / FILE_NAME, path.read_text())
    except OSError as error:
        raise ConfigError(f"{folder / FILE_NAME}: {error.strerror}") from error


def replace(folder: Path) -> SigningKey:
    """A new key in ``folder``; one that is there stays beside it under its ID. Raises ConfigError."""
    path = folder / FILE_NAME
    try:
        before = load(folder)
    except ConfigError:
        before = None
    try:
        if before is not None:
            path.rename(path.with_name(f"{FILE_NAME}.{before.key_id.partition(':')[2]}"))
        elif path.exists():
            path.rename(path.with_name(f"{FILE_NAME}.unreadable"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return load_or_create(folder)


def _create(path: Path) -> SigningKey:
    """A new key, whole in ``path`` at once: neither a crash nor another process finds half of it."""
    key = signedjson.key.generate_signing_key(f"a_{secrets.token_hex(3)}")
    text = io.StringIO()
    signedjson.key.write_signing_keys(text, [key])
    _write(path, text.getvalue())
    return SigningKey(key_id=f"{key.alg}:{key.version}", seed=bytes(key))


def _write(path: Path, text: str) -> None:
    """Make the file ``path``, whole; raises FileExistsError where it is there."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(written, path)
    finally:
        written.unlink()
