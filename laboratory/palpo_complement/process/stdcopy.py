"""Docker's multiplexed log stream: stream number, three zeros, big-endian length, then the bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

STDOUT = 1
STDERR = 2
MAX_FRAME = 16_384


def frames(data: bytes, stream: int = STDOUT) -> Iterator[bytes]:
    """`data` as frames of at most 16,384 bytes."""
    for start in range(0, len(data), MAX_FRAME):
        chunk = data[start : start + MAX_FRAME]
        yield struct.pack(">BxxxL", stream, len(chunk)) + chunk
