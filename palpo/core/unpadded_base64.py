"""Base64 without ``=`` padding, standard and URL-safe (spec: appendices, "Unpadded Base64")."""

from __future__ import annotations

import binascii


def encode(data: bytes) -> str:
    """``data`` in the standard alphabet."""
    return binascii.b2a_base64(data, newline=False).decode("ascii").rstrip("=")


def encode_urlsafe(data: bytes) -> str:
    """``data`` in the URL-safe alphabet."""
    return encode(data).replace("+", "-").replace("/", "_")


def decode(text: str) -> bytes:
    """The bytes of ``text``: either alphabet, padded or not; raises ``ValueError`` for anything else."""
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
