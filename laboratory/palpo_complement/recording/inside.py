"""What a server says over TLS, read along inside its own process.

Python makes the TLS of every connection by `SSLContext.sslobject_class`, asyncio's and uvloop's alike. One
that reads along sees what is asked of the server, and what the server asks of others, without a key or a
relay. Each exchange becomes a line in a file: a server that is killed loses none that was answered. The gate
reads the file when its server is removed.
"""

from __future__ import annotations

import json
import os
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpo_conformance.violations import read_records

from .exchanges import Exchange, HttpReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An exchange, and to whom it was sent; the server's own answers have no `peer`."""

    exchange: Exchange
    peer: str | None


def watch(file: Path) -> None:
    """Have this process write down what passes in its TLS connections, from now on."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def keep(seen: Seen) -> None:
        with suppress(OSError):
            os.write(handle, _line(seen))

    ssl.SSLContext.sslobject_class = watched(keep)


def watched(on_seen: Callable[[Seen], None]) -> type[ssl.SSLObject]:
    """A class of TLS connections that tells of each exchange."""

    class Watched(ssl.SSLObject):
        # It is made without `__init__`, so what it needs is made when it is first used.
        _reader: HttpReader | None = None

        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            got: Any = super().read(len, buffer)
            self._pass(got if buffer is None else memoryview(buffer)[:got], received=True)
            return got

        def write(self, data: Any) -> int:
            count = super().write(data)
            self._pass(memoryview(data)[:count], received=False)
            return count

        def _pass(self, data: Any, *, received: bool) -> None:
            reader = self._reader = self._reader or HttpReader(self._tell, bodies=True)
            if received == self.server_side:
                reader.request(bytes(data))
            else:
                reader.response(bytes(data))

        def _tell(self, exchange: Exchange) -> None:
            peer = None if self.server_side else self.server_hostname or ""
            on_seen(Seen(exchange=exchange, peer=peer))

    return Watched


def _line(seen: Seen) -> bytes:
    exchange = seen.exchange
    record = {
        "method": exchange.method,
        "target": exchange.target,
        "status": exchange.status,
        "body": _text(exchange.body),
        "asked": _text(exchange.asked),
        "ended": exchange.ended,
        "peer": seen.peer,
    }
    return json.dumps(record).encode() + b"\n"


def _text(body: bytes | None) -> str | None:
    return None if body is None else b64encode(body).decode()


def seen_in(file: Path) -> Iterator[Seen]:
    """What was written down; a line that was torn is passed over."""
    for record in read_records([file]) if file.exists() else ():
        exchange = Exchange(
            method=record["method"],
            target=record["target"],
            status=record["status"],
            body=_bytes(record["body"]),
            ended=record["ended"],
            asked=_bytes(record["asked"]),
        )
        yield Seen(exchange=exchange, peer=record["peer"])


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
