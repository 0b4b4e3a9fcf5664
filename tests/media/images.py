"""Images made for tests."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def image(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """One image: red left half, blue right half."""
    red: Any = (255, 0, 0, 128)[: len(mode)]
    blue: Any = (0, 0, 255, 128)[: len(mode)]
    made = Image.new(mode, (width, height), red)
    made.paste(blue, (width // 2, 0, width, height))
    file = io.BytesIO()
    made.save(file, kind, **options)
    return file.getvalue()


def grey(kind: str, mode: str, darkest: float, brightest: float) -> bytes:
    """A ramp of 64 by 64 pixels with more than 8 bits, from dark on the left to bright on the right."""
    made = Image.new("F", (64, 64))
    made.putdata([darkest + (brightest - darkest) * (pixel % 64) / 63 for pixel in range(64 * 64)])
    file = io.BytesIO()
    (made if mode == "F" else made.convert("I").convert(mode)).save(file, kind)
    return file.getvalue()


def stereo(width: int, height: int) -> bytes:
    """A photograph as many telephones make them: a JPEG with a second image behind the first."""
    made = [Image.new("RGB", (width, height), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    made[0].save(file, "MPO", save_all=True, append_images=made[1:])
    return file.getvalue()


def animation(width: int, height: int, frames: int = 3, kind: str = "GIF") -> bytes:
    """Frames that last 50 ms each, again and again."""
    made = [Image.new("RGB", (width, height), (80 * number % 256, 0, 0)) for number in range(frames)]
    file = io.BytesIO()
    made[0].save(file, kind, save_all=True, append_images=made[1:], duration=50, loop=0)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that unfolds to ``width * height * 4`` bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compressobj(9)
    data = b"".join(pixels.compress(bytes(width * 4 + 1)) for _ in range(height)) + pixels.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def opened(data: bytes) -> Image.Image:
    """The image in ``data``, decoded."""
    made = Image.open(io.BytesIO(data))
    made.load()
    return made
