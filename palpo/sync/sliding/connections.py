"""What each connection has been sent, in memory and in the database.

A response that changes this makes a new generation, which its ``pos`` names: ``s123_1f0c_7`` is the
stream up to 123 and the generation 7 of the connection's. As long as the client has not come back with
it, the generation before is kept too: a client that has lost the response goes on from there. Rooms that
are being followed are known up to the position in ``pos``, so new events in them change nothing here.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from palpo.core.errors import BadRequest
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.sessions import Requester
from palpo.storage import sliding_sync as storage
from palpo.storage.sliding_sync import ConnectionRow, RoomRow, RoomSent
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.sizes import deep_size
from palpo.sync.sliding.config import SlidingRequest, StateConfig

MAX_CONNECTIONS = 10
"""Connections of one device; those not used for longest are given up."""
MAX_OF_USER = 100
"""Connections of all of a user's devices, likewise."""
DEVICES = 20_000
MAX_CONFIG_BYTES = 1024 * 1024
"""Bytes of the wishes for rooms of a connection; then it has to begin anew."""
MAX_CONFIGS = 1000
"""Different wishes for rooms in the life of a connection; then it has to begin anew."""
MAX_PATTERNS = 20_000
"""Patterns in all of them, likewise."""
_POS = re.compile(r"s([0-9]{1,18})_([0-9a-z]{1,32})_([0-9]{1,18})")
_CONFIGS = msgspec.json.Decoder(list[StateConfig])

Changes = Mapping[str, RoomSent | None]
"""By room, what a connection knows once it has a response; None for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pos:
    """What a ``pos`` says."""

    position: int
    tag: str
    generation: int

    def __str__(self) -> str:
        return f"s{self.position}_{self.tag}_{self.generation}"


class UnknownPos(BadRequest):
    """The ``pos`` is not one of this connection's, or not any more: the client begins anew."""

    errcode = "M_UNKNOWN_POS"


class Connection:
    """One connection as this process knows it."""

    def __init__(self, key: bytes, requester: Requester, tag: str, *, stored: bool) -> None:
        self.key = key
        self.user_id = requester.user_id
        self.device_id = requester.device_id or ""
        self.tag = tag
        self.stored = stored
        self.confirmed = 0
        """The generation of ``rooms``."""
        self.offered = 0
        """The newest generation: ``rooms`` with ``pending`` over them."""
        self.rooms: dict[str, RoomSent] = {}
        self.pending: dict[str, RoomSent | None] = {}
        self.client = object()
        """Whom lazy loading keeps count for: somebody else once members may have been lost."""
        self.newest: Pos | None = None
        """Where the newest response with members leads."""
        self.configs: list[StateConfig] = []
        self.config_bytes = 0
        """What they take."""
        self.stored_bytes = 0
        """What they take in the database."""
        self.settled: tuple[int, SlidingRequest] | None = None
        """The generation and the request for which everything that was due has been sent."""
        self.requests = 0
        """Counts them: only the latest one may change anything."""
        self.lock = asyncio.Lock()

    def config_index(self, config: StateConfig) -> int:
        """The index that stands for ``config``."""
        if config not in self.configs:
            self.add_configs([config])
        return self.configs.index(config)

    def add_configs(self, configs: Iterable[StateConfig]) -> None:
        """Add configurations, which get the next indexes."""
        for config in configs:
            self.configs.append(config)
            self.config_bytes += deep_size(config)

    @property
    def overfull(self) -> bool:
        """Whether too many wishes have come together."""
        patterns = sum(rule.size for config in self.configs for rule in config)
        too_many = len(self.configs) > MAX_CONFIGS or patterns > MAX_PATTERNS
        return too_many or self.stored_bytes > MAX_CONFIG_BYTES

    def go_back(self, pos: Pos) -> None:
        """The client has come with ``pos``: where it has not had the newest members, it is sent all again."""
        newest = self.newest
        if newest is not None and (newest.generation > pos.generation or newest.position > pos.position):
            self.client, self.newest = object(), None

    def reach(self, generation: int) -> bool:
        """The client has that generation; False where it is not one of the two that are known."""
        if generation == self.offered:
            _apply(self.rooms, self.pending)
            self.pending = {}
            self.confirmed = generation
        return generation == self.confirmed


class Connections:
    """Opens connections and moves them on."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        caches: CacheBudget,
        *,
        random_tag: Callable[[], str],
        max_rooms: int = 500,
    ) -> None:
        self.max_rooms = max_rooms
        """In one response; what is due beyond comes with the next one, at once."""
        self._db = db
        self._clock = clock
        self._random_tag = random_tag
        self._of_device: OrderedDict[tuple[str, str], OrderedDict[bytes, None]] = OrderedDict()
        """The connections that may be in memory, those last used at the end."""
        self._cache: Cache[bytes, Connection] = caches.cache("sliding_connections", _connection_bytes)

    async def open(
        self, requester: Requester, conn_id: str, pos: str | None
    ) -> tuple[Connection, Pos | None]:
        """The connection as of ``pos``, a new one for None; raises UnknownPos."""
        key = storage.connection_key(requester.user_id, requester.device_id, conn_id)
        if pos is None:
            return self._new(key, requester), None
        token = parse_pos(pos)
        found = self._cache.touch(key)
        if found is None or not found.stored or found.tag != token.tag or not found.reach(token.generation):
            found = await self._load(key, requester, token)
        if found.overfull:
            raise UnknownPos("The connection has to begin anew")
        found.go_back(token)
        return found, token

    async def offer(self, connection: Connection, changes: Changes) -> int | None:
        """Remember what a response changes, as a new generation where it changes anything.

        None where another process has moved the connection on in the meantime.
        """
        async with connection.lock:
            if connection.stored and not changes:
                return connection.confirmed
            written = {name: connection.rooms.get(name) for name in connection.pending}
            written.update(changes)
            if not await self._write(connection, written):
                self._cache.pop(connection.key, None)
                return None
            connection.stored = True
            connection.offered += 1
            connection.pending = written
            self._keep(connection)
            return connection.offered

    def _keep(self, connection: Connection) -> None:
        """Keep a connection in memory, where a device has no more of them than are stored."""
        self._cache.keep({connection.key: connection})
        device = (connection.user_id, connection.device_id)
        keys = self._of_device.setdefault(device, OrderedDict())
        keys[connection.key] = None
        keys.move_to_end(connection.key)
        if len(keys) > MAX_CONNECTIONS:
            self._cache.pop(keys.popitem(last=False)[0], None)
        self._of_device.move_to_end(device)
        if len(self._of_device) > DEVICES:
            self._of_device.popitem(last=False)

    def _new(self, key: bytes, requester: Requester) -> Connection:
        before = self._cache.get(key)
        if before is not None:
            before.requests += 1
        fresh = Connection(key, requester, self._random_tag(), stored=False)
        self._keep(fresh)
        return fresh

    async def _load(self, key: bytes, requester: Requester, token: Pos) -> Connection:
        async def unit(tx: Transaction) -> tuple[ConnectionRow | None, list[RoomRow]]:
            row = await storage.find(tx, key)
            known = row is not None and row.tag == token.tag
            return row, await storage.rooms(tx, key) if known else []

        row, rooms = await self._db.read(unit)
        if row is None or row.tag != token.tag or token.generation not in (row.confirmed, row.offered):
            raise UnknownPos("This pos is not known (any more)")
        found = Connection(key, requester, row.tag, stored=True)
        found.confirmed, found.offered = row.confirmed, row.offered
        found.add_configs(_CONFIGS.decode(row.configs))
        found.stored_bytes = len(row.configs)
        for room in rooms:
            pending = room.generation > row.confirmed
            _apply(found.rooms, {room.room_id: room.before if pending else room.sent})
            if pending:
                found.pending[room.room_id] = room.sent
        found.reach(token.generation)
        before = self._cache.get(key)
        if before is not None:
            before.requests += 1
        self._keep(found)
        return found

    async def _write(self, connection: Connection, written: dict[str, RoomSent | None]) -> bool:
        generation = connection.offered + 1
        configs = msgspec.json.encode(connection.configs)
        connection.stored_bytes = len(configs)
        row = ConnectionRow(
            connection=connection.key,
            user_id=connection.user_id,
            device_id=connection.device_id,
            tag=connection.tag,
            confirmed=connection.confirmed,
            offered=generation,
            configs=configs,
            last_used_ts=self._clock.now_ms(),
        )
        rooms = {name: (sent, connection.rooms.get(name)) for name, sent in written.items()}
        stored = connection.stored

        async def unit(tx: WriteTransaction) -> bool:
            if stored:
                if not await storage.offer(tx, row):
                    return False
            else:
                await storage.begin(tx, row, keep=MAX_CONNECTIONS, keep_of_user=MAX_OF_USER)
            await storage.put_rooms(tx, row.connection, generation, rooms)
            return True

        return await self._db.write(unit)


def parse_pos(pos: str) -> Pos:
    """What ``pos`` says; raises UnknownPos."""
    match = _POS.fullmatch(pos)
    if match is None:
        raise UnknownPos("This is no pos of this server's")
    return Pos(position=int(match[1]), tag=match[2], generation=int(match[3]))


def _connection_bytes(key: bytes, connection: Connection) -> int:
    """Of what is kept of each room, and of what the client wants."""
    rooms = len(connection.rooms) + len(connection.pending)
    settled = 0 if connection.settled is None else connection.settled[1].size
    return 2500 + connection.config_bytes + 350 * rooms + settled


def _apply(rooms: dict[str, RoomSent], changes: Changes) -> None:
    for room_id, sent in changes.items():
        if sent is None:
            rooms.pop(room_id, None)
        else:
            rooms[room_id] = sent
