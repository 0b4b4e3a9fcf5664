"""What bytes are, by how they begin."""

from __future__ import annotations

HEAD = 16
"""How many bytes it takes to tell."""


def image_type(head: bytes) -> str | None:
    """The media type of an image of a format that thumbnails are made of; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"BM"):
        return "image/bmp"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None
