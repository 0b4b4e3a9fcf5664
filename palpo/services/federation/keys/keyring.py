"""Whether servers have signed what they are said to have signed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set

from palpo.core.identifiers import ServerName, is_server_name
from palpo.core.server_keys import ServerKey, WantedKey
from palpo.core.signed_objects import SignedObject
from palpo.core.signing import SignatureError
from palpo.db.engine import Database
from palpo.services.federation.keys.key_fetches import KeyFetches
from palpo.services.server.server_keys import ServerKeys
from palpo.storage import server_signing_keys as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.task_group import together
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

AHEAD_MS = 3600 * 1000
"""How long before a key that is in use expires it is fetched again."""
IN_THREADS = 64
"""Objects of which more than so many are checked in threads, so many at a time: one takes some 70 µs."""
THREADS = 2

Keys = Mapping[ServerName, tuple[ServerKey, ...]]
Looked = tuple[Mapping[WantedKey, ServerKey], Set[WantedKey]]
"""The keys that were found, and those that will not do, since they had been retired."""


class Keyring:
    """Public keys of servers: from memory, the database, or whoever has to be asked."""

    def __init__(
        self,
        server_name: ServerName,
        own: ServerKeys,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        fetches: KeyFetches,
    ) -> None:
        self._server_name = server_name
        self._own = own
        self._db = db
        self._clock = clock
        self._fetches = fetches
        self._known: Cache[ServerName, tuple[ServerKey, ...]] = caches.cache("server_keys")
        wakeups.listen(topics.SERVER_KEYS, self._known.forget)

    async def find(self, wanted: Iterable[WantedKey]) -> Mapping[WantedKey, ServerKey]:
        """Those of the keys that can be had, which takes as long as ``FetchBounds`` has it at most."""
        found, _ = await self._look_for(wanted)
        return found

    async def verify(
        self, objects: Sequence[SignedObject], *, fetch: bool = True
    ) -> list[SignatureError | None]:
        """For each of the objects None, or what its ``check`` raises: KeyUnavailable, say.

        All of their keys are looked for together; without ``fetch`` only here.
        """
        wanted = (wanted for item in objects for wanted in item.wanted())
        looked = await self._look_for(wanted, fetch=fetch)
        if len(objects) > IN_THREADS:
            return await _checked_in_threads(objects, looked)
        turns = Turns()
        return [_checked(item, looked) async for item in turns.over(objects)]

    async def _look_for(self, wanted: Iterable[WantedKey], *, fetch: bool = True) -> Looked:
        valid = {item for item in wanted if is_server_name(item.server_name)}
        keys = await self._keys({item.server_name for item in valid})
        missing = [item for item in valid if not _serving(keys, item) and not _retired(keys, item)]
        if missing and fetch:
            await self._fetches.fetch(missing)
            keys |= await self._read({item.server_name for item in missing})
        found = {item: key for item in valid if (key := _serving(keys, item)) is not None}
        self._renew(found)
        return found, {item for item in valid - found.keys() if _retired(keys, item)}

    async def _keys(self, server_names: set[ServerName]) -> dict[ServerName, tuple[ServerKey, ...]]:
        known = self._known.touch_all(server_names)
        unknown = server_names - known.keys()
        return {**known, **await self._read(unknown)} if unknown else known

    async def _read(self, server_names: set[ServerName]) -> dict[ServerName, tuple[ServerKey, ...]]:
        """The keys as they are stored; this server's own as it signs with them."""
        others = server_names - {self._server_name}
        found: dict[ServerName, tuple[ServerKey, ...]] = {}
        if others:
            with self._known.reading() as reading:
                found = await self._db.read(lambda tx: storage.keys_of(tx, others))
                reading.keep({name: keys for name, keys in found.items() if keys})
        if others != server_names:
            found[self._server_name] = self._own.keys()
        return found

    def _renew(self, found: Mapping[WantedKey, ServerKey]) -> None:
        """Have those fetched again, and do not wait for it, that sign what is sent now and expire soon."""
        now = self._clock.now_ms()
        self._fetches.begin(
            WantedKey(server_name=key.server_name, key_id=key.key_id, valid_until_ts=key.valid_until_ts + 1)
            for wanted, key in found.items()
            if not key.retired
            and key.valid_until_ts < now + AHEAD_MS
            and wanted.valid_until_ts > now - AHEAD_MS
        )


def _serving(keys: Keys, wanted: WantedKey) -> ServerKey | None:
    return next((key for key in keys.get(wanted.server_name, ()) if key.serves(wanted)), None)


def _retired(keys: Keys, wanted: WantedKey) -> bool:
    """Whether it is a key that was not in use any more: nobody has to be asked about it again."""
    return any(key.retired and key.key_id == wanted.key_id for key in keys.get(wanted.server_name, ()))


def _checked(item: SignedObject, looked: Looked) -> SignatureError | None:
    keys, refused = looked
    try:
        item.check(keys, refused=refused)
    except SignatureError as error:
        return error
    return None


def _all_checked(objects: Sequence[SignedObject], looked: Looked) -> list[SignatureError | None]:
    return [_checked(item, looked) for item in objects]


async def _checked_in_threads(objects: Sequence[SignedObject], looked: Looked) -> list[SignatureError | None]:
    parts = [objects[at : at + IN_THREADS] for at in range(0, len(objects), IN_THREADS)]
    done: list[SignatureError | None] = []
    for at in range(0, len(parts), THREADS):
        work = (asyncio.to_thread(_all_checked, part, looked) for part in parts[at : at + THREADS])
        for checked in await together(work):
            done += checked
    return done
