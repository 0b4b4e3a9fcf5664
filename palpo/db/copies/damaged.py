"""What whoever reads files may find."""

from __future__ import annotations


class Damaged(Exception):
    """An archive, or a backup, is not what its manifest says; the message names the file."""
