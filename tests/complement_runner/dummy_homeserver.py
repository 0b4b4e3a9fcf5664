"""The least that the runner takes for a homeserver: it answers /versions and keeps a counter on disk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

PRELOADED: list[int] = []


def preload() -> None:
    PRELOADED.append(os.getpid())


def main() -> None:
    """What a console script would call."""
    {"prepare": prepare, "start": start, "fail": fail}[sys.argv[1]](Path(os.environ["SERVER_ROOT"]))


def prepare(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "starts").write_text("0")


def start(root: Path) -> None:
    starts = int((root / "data" / "starts").read_text()) + 1
    (root / "data" / "starts").write_text(str(starts))
    sys.stdout.write(f"start {starts} of {os.environ['SERVER_NAME']}\n")
    (root / "data" / "preloaded").write_text(str([os.getppid()] == PRELOADED))
    asyncio.run(_serve(root, starts))


def fail(root: Path) -> None:
    sys.stderr.write("cannot go on: no configuration\n")
    raise SystemExit(3)


async def _serve(root: Path, starts: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(65_536)
        if not head:
            writer.close()
            return
        path = head.split(b" ", 2)[1]
        # The second is answered as the first, and so against its schema.
        found = path in (b"/_matrix/client/versions", b"/_matrix/client/v3/account/whoami")
        status = "200 OK" if found else "404 Not Found"
        content = {"versions": ["v1.1"], "starts": starts} if found else {"errcode": "M_UNRECOGNIZED"}
        body = json.dumps(content).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode())
        writer.write(b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body)
        writer.close()
        await writer.wait_closed()

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = []
    for port in (8008, 8448):
        servers.append(await asyncio.start_server(answer, os.environ["SERVER_ADDRESS"], port))
    await stop.wait()
    (root / "data" / "stopped").write_text("clean")
    for server in servers:
        server.close()
