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


def grey(kind: str, mode: str, darkest: float, brightest: float, *, side: int = 64) -> bytes:
    """A ramp with more than 8 bits, from dark on the left to bright on the right."""
    made = Image.new("F", (64, 64))
    made.putdata([darkest + (brightest - darkest) * (pixel % 64) / 63 for pixel in range(64 * 64)])
    made = made.resize((side, side))
    file = io.BytesIO()
    (made if mode == "F" else made.convert("I").convert(mode)).save(file, kind)
    return file.getvalue()


def stereo(width: int, height: int) -> bytes:
    """A photograph as many telephones make them: a JPEG with a second image behind the first."""
    made = [Image.new("RGB", (width, height), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    made[0].save(file, "MPO", save_all=True, append_images=made[1:])
    return file.getvalue()


def three_scans(width: int, height: int) -> bytes:
    """A JPEG that is not progressive, and has a scan for each of its colours."""
    made = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(made, "JPEG")
    segments, scan = _segments(made.getvalue())
    size = struct.pack(">BHHB", 8, height, width, 3)
    frame = _segment(0xC0, size + b"".join(bytes([layer, 0x11, 0]) for layer in (1, 2, 3)))
    head = [frame if segment[1] == 0xC0 else segment for segment in segments]
    scans = [_segment(0xDA, bytes([1, layer, 0, 0, 63, 0])) + scan for layer in (1, 2, 3)]
    return b"\xff\xd8" + b"".join(head + scans) + b"\xff\xd9"


def _segment(name: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, name, len(data) + 2) + data


def _segments(jpeg: bytes) -> tuple[list[bytes], bytes]:
    """What comes before its only scan, and the scan's data."""
    segments, start = [], 2
    while True:
        end = start + 2 + int.from_bytes(jpeg[start + 2 : start + 4])
        if jpeg[start + 1] == 0xDA:
            return segments, jpeg[end:-2]
        segments.append(jpeg[start:end])
        start = end


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
