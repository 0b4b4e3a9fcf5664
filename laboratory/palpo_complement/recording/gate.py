"""The way in to one server, and what is recorded of it.

What is in the clear is read along here. What is encrypted passes unread: the server's own process has read
that along, if it can (`inside`).
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from palpo_complement.records import RECORDS

from .inside import seen_in
from .recorder import Recorder
from .relay import Relay

HTTP_PORT = 8008
FEDERATION_PORT = 8448
INSIDE = "inside.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The files for what a server answered, what it asked of others, and what of it breaks its schema.

    `inside` is where its own process writes what it says over TLS.
    """

    access: Path
    violations: Path
    asked: Path
    inside: Path

    @classmethod
    def below(cls, folder: Path, prefix: str = "") -> Records:
        """The files of a folder, whose names begin with `prefix`."""
        access, violations, asked, inside = (folder / f"{prefix}{name}" for name in (*RECORDS, INSIDE))
        return cls(access=access, violations=violations, asked=asked, inside=inside)


class Gate:
    """Listens at a server's two published addresses while it runs."""

    def __init__(
        self,
        server: str,
        http: tuple[str, int],
        federation: tuple[str, int],
        records: Records,
        schemas: Executor | None,
    ) -> None:
        recorder = self._recorder = Recorder(records.access, records.violations, records.asked, schemas)
        self._inside = records.inside
        self._relays = (
            Relay(http, (server, HTTP_PORT), recorder),
            Relay(federation, (server, FEDERATION_PORT), recorder),
        )

    async def open(self) -> None:
        """Let clients in. Raises OSError where an address is in use."""
        for relay in self._relays:
            await relay.open()

    def shut(self) -> None:
        """Let nobody in any more; it can be opened again."""
        for relay in self._relays:
            relay.close()

    async def close(self) -> None:
        """Shut, and have all records written."""
        self.shut()
        for seen in seen_in(self._inside):
            if seen.peer is None:
                self._recorder(seen.exchange)
            else:
                self._recorder.outside(seen.exchange, seen.peer)
        self._inside.unlink(missing_ok=True)
        await self._recorder.close()
