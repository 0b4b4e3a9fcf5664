"""Transactions that other servers send: one at a time of each, carried out once (spec: "Transactions")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import structlog

from palpo.core.canonical_json import decode, to_json
from palpo.core.errors import BadJson, LimitExceeded, NotJson
from palpo.core.identifiers import ServerName, is_room_id
from palpo.db.engine import Database
from palpo.services.federation.receiving.edu_waves import Received, waves
from palpo.services.federation.receiving.edus import Edus
from palpo.services.federation.receiving.inbound import Inbound
from palpo.services.federation.servers.destinations import Destinations
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.storage import inbound_transactions as storage
from palpo.storage.inbound_transactions import InboundTransaction
from palpo.streams.clock import Clock
from palpo.streams.task_group import together
from palpo.streams.turns import Turns

log = structlog.get_logger("palpo.federation")

MAX_PDUS = 50
MAX_EDUS = 100
WAITING = 4
"""Transactions of one server that wait for the one that goes on; it should wait itself."""
WAIT_S = 20.0


@dataclass(slots=True)
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    there: int = 0
    """Transactions that go on or wait."""


class Transactions:
    """Carries them out."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        inbound: Inbound,
        edus: Edus,
        acls: ServerAcls,
        destinations: Destinations,
    ) -> None:
        self._db = db
        self._clock = clock
        self._inbound = inbound
        self._edus = edus
        self._acls = acls
        self._destinations = destinations
        self._lines: dict[ServerName, _Line] = {}

    async def receive(
        self, origin: ServerName, transaction_id: str, pdus: Sequence[bytes], edus: Sequence[bytes]
    ) -> bytes:
        """What is answered, as JSON: ``{"pdus": {event ID: {} or {"error": …}}}``.

        Each of the PDUs and EDUs is JSON, or may be. Raises BadJson for too many of them, and LimitExceeded
        where too many transactions of the server wait already.
        """
        if len(pdus) > MAX_PDUS or len(edus) > MAX_EDUS:
            raise BadJson(f"A transaction has {MAX_PDUS} PDUs and {MAX_EDUS} EDUs at most")
        await self._destinations.heard_from(origin)
        name = sha256(transaction_id.encode("utf-8", "surrogatepass")).digest()[:16]
        async with self._turn(origin):
            answer = await self._db.read(lambda tx: storage.answer(tx, origin, name))
            if answer is not None:
                return answer
            errors = await self._inbound.receive(origin, transaction_id, await _decoded(pdus))
            await self._receive_edus(origin, await _decoded(edus))
            told = {event_id: {} if error is None else {"error": error} for event_id, error in errors.items()}
            done = InboundTransaction(
                origin=origin,
                transaction_hash=name,
                received_ts=self._clock.now_ms(),
                answer=to_json({"pdus": told}),
            )
            await self._db.write(lambda tx: storage.put(tx, done))
            return done.answer

    @asynccontextmanager
    async def _turn(self, origin: ServerName) -> AsyncIterator[None]:
        """Wait until no other transaction of the server goes on."""
        line = self._lines.setdefault(origin, _Line())
        if line.there > WAITING:
            raise LimitExceeded("Another transaction of yours goes on", retry_after_ms=1000)
        line.there += 1
        try:
            async with asyncio.timeout(WAIT_S) as timer:
                await line.lock.acquire()
                timer.reschedule(None)
            try:
                yield
            finally:
                line.lock.release()
        except TimeoutError:
            if not timer.expired():
                raise
            raise LimitExceeded("Another transaction of yours goes on", retry_after_ms=1000) from None
        finally:
            line.there -= 1
            if not line.there:
                del self._lines[origin]

    async def _receive_edus(self, origin: ServerName, edus: Sequence[Any]) -> None:
        """Those about different things at the same time, so that they are written together."""
        turns = Turns()
        for wave in waves(filter(None, map(_edu, edus))):
            await together(self._receive_edu(origin, edu_type, content, turns) for edu_type, content in wave)

    async def _receive_edu(
        self, origin: ServerName, edu_type: str, content: dict[str, Any], turns: Turns
    ) -> None:
        await turns.breathe()
        room_id = content.get("room_id")
        if is_room_id(room_id) and not await self._acls.permits(room_id, origin):
            log.info("edu_refused", origin=origin, edu_type=edu_type[:100], error="by the room's ACL")
            return
        await self._edus.receive(origin, edu_type, content)


def _edu(edu: Any) -> Received | None:
    """The type and content of what may be an EDU."""
    if not isinstance(edu, Mapping):
        return None
    edu_type, content = edu.get("edu_type"), edu.get("content")
    return (edu_type, content) if isinstance(edu_type, str) and isinstance(content, dict) else None


async def _decoded(items: Sequence[bytes]) -> list[Any]:
    """The values of those that are JSON."""
    found = []
    async for item in Turns().over(items):
        try:
            found.append(decode(item))
        except NotJson:
            continue
    return found
