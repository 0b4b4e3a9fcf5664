"""The server's signing key: a file in the data folder, made on the first start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from palpo.config.loader import ConfigError
from palpo.core import unpadded_base64
from palpo.core.signing import SEED_BYTES, SigningKey

FILE_NAME = "signing.key"


def load_or_create(folder: Path) -> SigningKey:
    """The key in ``folder``; made, readable by its owner only, if there is none. Raises ConfigError."""
    path = folder / FILE_NAME
    if path.exists():
        return _read(path)
    try:
        return _create(path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _create(path: Path) -> SigningKey:
    """A new key, whole in ``path`` at once: neither a crash nor another process finds half of it."""
    key = SigningKey.generate(secrets.token_bytes(SEED_BYTES), f"a_{secrets.token_hex(3)}")
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"ed25519 {key.key_id.partition(':')[2]} {unpadded_base64.encode(key.seed)}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(written, path)
    finally:
        written.unlink()
    return key


def _read(path: Path) -> SigningKey:
    try:
        algorithm, version, seed = path.read_text().split()
        return SigningKey(key_id=f"{algorithm}:{version}", seed=unpadded_base64.decode(seed))
    except Exception as error:
        raise ConfigError(f"{path}: not a signing key (ed25519 VERSION SEED)") from error
