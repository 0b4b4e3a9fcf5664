"""Base64 without ``=`` padding, standard and URL-safe (spec: appendices, "Unpadded Base64")."""

from __future__ import annotations

import base64
import binascii

_TO_STANDARD = str.maketrans("-_", "+/")
_TO_URLSAFE = str.maketrans("+/", "-_")


def encode(data: bytes) -> str:
    """``data`` in the standard alphabet."""
    return binascii.b2a_base64(data, newline=False).decode("ascii").rstrip("=")


def encode_urlsafe(data: bytes) -> str:
    """``data`` in the URL-safe alphabet."""
    return encode(data).translate(_TO_URLSAFE)


def decode(text: str) -> bytes:
    """The bytes of ``text``: either alphabet, padded or not; raises ``ValueError`` for anything else."""
    standard = text.rstrip("=").translate(_TO_STANDARD)
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
