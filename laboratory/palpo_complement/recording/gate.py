"""The way in to one server. What is encrypted passes unread, and what is in the clear is recorded."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from .recorder import Recorder
from .relay import Relay

HTTP_PORT = 8008
FEDERATION_PORT = 8448


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The files for what a server answered and for what of it breaks its schema."""

    access: Path
    violations: Path


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
        recorder = self._recorder = Recorder(records.access, records.violations, schemas)
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
        await self._recorder.close()
