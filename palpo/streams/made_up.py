"""Names and secrets that are made up, and that people type."""

from __future__ import annotations

import secrets


def made_up(length: int) -> str:
    """Letters, digits and underscores that nobody can guess; a shell takes none of them for an option."""
    return secrets.token_urlsafe(length)[:length].replace("-", "_")
