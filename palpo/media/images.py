"""Thumbnails and facts of images, by processes that do nothing else (``image_process``)."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from palpo.core.errors import Unavailable
from palpo.streams.fair_queue import FairQueue

PROCESS = Path(__file__).with_name("image_process.py")
"""Run by its path, and not imported: the server itself needs no Pillow."""
MAX_ANSWER = 64 * 1024
STARTS = 2
"""New processes that one image is put to: one may be ended by somebody else."""
GIVEN_BACK = 128 * 1024
"""Bytes of the smallest block that the process gives back to the system as soon as it is freed (glibc)."""
SMALL = 40 * 1024 * 1024
"""Bytes of memory that decoding may take beside others: a screenshot of 3840 by 2160 pixels, for example."""
MAX_WAITING = 400
MAX_WAITING_EACH = 100
"""Images that may wait for a process, and those of one user: a client that scrolls asks for many at once."""


class ImageUnsupported(Exception):
    """Not an image of a known format, a broken one, or one that takes too long."""


class ImageTooLarge(Exception):
    """The image has too many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image is. Sizes are pixels, upright."""

    content_type: str
    width: int
    height: int
    animated: bool
    original: bool = False
    """It is no larger than the thumbnail that was asked for, so none was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailSpec:
    """What a client asks for. Sizes are pixels."""

    width: int
    height: int
    crop: bool = False
    animated: bool = False

    @property
    def variant(self) -> str:
        """The specification as a short text."""
        method = "crop" if self.crop else "scale"
        return f"{method}-{self.width}x{self.height}{'-animated' if self.animated else ''}"


class ImageWorkers:
    """Up to ``count`` processes and one for large images; ``close`` them in the end.

    They are started when there is work, and shared out fairly: ``inspect`` and ``thumbnail`` raise
    LimitExceeded where too much waits, and Unavailable where no process can be started. Large is what takes
    more than SMALL to decode: one at a time, which no small one waits for.
    """

    def __init__(self, *, max_pixels: int, count: int = 2, timeout_s: float = 20.0) -> None:
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self.queue = _queue("images", count)
        self.large = _queue("large images", 1)
        self._idle: list[asyncio.subprocess.Process] = []

    async def inspect(self, source: Path) -> ImageFacts:
        """What the image at ``source`` is; raises ImageUnsupported and ImageTooLarge."""
        return _facts(await self._ask({"op": "inspect", "source": str(source)}))

    async def thumbnail(self, source: Path, target: Path, spec: ThumbnailSpec) -> ImageFacts:
        """Write a thumbnail to ``target``, at least of the size asked for where the source is.

        Writes nothing, and says so, where the source itself will do. Raises ImageUnsupported,
        ImageTooLarge, and OSError where the disk does not take it.
        """
        job = {
            "op": "thumbnail",
            "source": str(source),
            "target": str(target),
            "width": spec.width,
            "height": spec.height,
            "crop": spec.crop,
            "animated": spec.animated,
        }
        return _facts(await self._ask(job))

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await _end(self._idle.pop())

    async def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        job["max_pixels"] = self._max_pixels
        async with self.queue.turn():
            answer = await self._exchange({**job, "max_bytes": SMALL})
        if answer.get("error") == "large":
            async with self.large.turn():
                answer = await self._exchange({**job, "max_bytes": sys.maxsize})
        error = answer.get("error")
        if error == "too_large":
            raise ImageTooLarge
        if error == "storage":
            raise OSError(answer["errno"], "The thumbnail cannot be written")
        if error is not None:
            raise ImageUnsupported
        return answer

    async def _exchange(self, job: dict[str, Any]) -> dict[str, Any]:
        """One line there, one back; from another process where one has ended before it answered."""
        line = orjson.dumps(job) + b"\n"
        started = 0
        while started < STARTS:
            fresh = not self._idle
            started += fresh
            process = await self._start() if fresh else self._idle.pop()
            answer = b""
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await _converse(process, line)
            except TimeoutError as error:
                raise ImageUnsupported from error
            finally:
                if answer:
                    self._idle.append(process)
                else:
                    await _end(process)
            if answer:
                parsed: dict[str, Any] = orjson.loads(answer)
                return parsed
        raise ImageUnsupported

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(PROCESS),
                str(self._max_pixels),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MAX_ANSWER,
                env={"PATH": os.defpath, "MALLOC_MMAP_THRESHOLD_": str(GIVEN_BACK)},
            )
        except OSError as error:  # Too many processes or open files, or no memory.
            raise Unavailable("Images cannot be worked on at the moment") from error


def _queue(name: str, workers: int) -> FairQueue:
    return FairQueue(
        name,
        workers=workers,
        each=max(1, workers - 1),
        waiting=MAX_WAITING,
        waiting_each=MAX_WAITING_EACH,
    )


async def _converse(process: asyncio.subprocess.Process, line: bytes) -> bytes:
    """The answer to ``line``; nothing where the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        await process.stdin.drain()
        answer = await process.stdout.readline()
    except (OSError, RuntimeError, ValueError):
        # A closed pipe: uvloop raises RuntimeError where asyncio's own loop raises ConnectionError. And
        # ValueError is an answer without end.
        return b""
    return answer if answer.endswith(b"\n") else b""


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await asyncio.shield(process.wait())


def _facts(answer: dict[str, Any]) -> ImageFacts:
    return ImageFacts(
        content_type=str(answer["content_type"]),
        width=int(answer["width"]),
        height=int(answer["height"]),
        animated=bool(answer["animated"]),
        original=bool(answer.get("original", False)),
    )
