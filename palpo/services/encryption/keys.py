"""Device keys, one-time keys and fallback keys (spec: "End-to-End Encryption").

For sync::

    counts = await keys.counts(user_id, device_id)
    counts.one_time_keys       # device_one_time_keys_count: algorithm → number
    counts.unused_fallback     # device_unused_fallback_key_types: a list of algorithms

answered from memory until the device's keys change. Cross-signing has a module of its own, ``cross_signing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from palpo.core.device_keys import UploadedKey, check_device_keys, check_uploaded_keys, storable
from palpo.core.errors import InvalidParam, NotFound, UnknownToken
from palpo.core.identifiers import ServerName, UserId, server_name_of
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.encryption.published_devices import PublishedDevices, key_ids, merged, published
from palpo.services.encryption.remote_keys import ClaimedKeys, QueriedKeys, RemoteKeys
from palpo.services.server.quotas import Quotas
from palpo.storage import accounts, cross_signing, device_lists, devices, told_devices
from palpo.storage import keys as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

MAX_UPLOAD = 1000
"""One-time keys in one request."""
MAX_STORED = 10_000
"""One-time keys of one device."""
MAX_CLAIMED = 1000
"""Claimed one-time keys of one device that are remembered: none of them is stored again."""
MAX_FALLBACK = 20
"""Algorithms of which a device may have fallback keys."""
MAX_USERS = 10_000
"""Users in one query or claim."""

REMOTE_S = 10.0
"""Seconds that other servers have to answer, unless the client says how many."""

USUAL_ALGORITHM = "signed_curve25519"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUpload:
    """Checked keys of a device. ``identity`` is its device keys in canonical form."""

    user_id: UserId
    device_id: str
    identity: bytes | None
    one_time: Sequence[UploadedKey]
    fallback: Sequence[UploadedKey]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return self.identity is None and not self.one_time and not self.fallback


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCounts:
    """What a device has left for others to claim."""

    one_time_keys: Mapping[str, int]
    unused_fallback: Sequence[str]


class Keys:
    """Keeps devices' public keys, and gives them to those who ask."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        caches: CacheBudget,
        quotas: Quotas,
        remote: RemoteKeys | None,
        *,
        server_name: ServerName,
        keep_claimed: int = MAX_CLAIMED,
    ) -> None:
        self._keep_claimed = keep_claimed
        self._db = db
        self._quotas = quotas
        self._remote = remote
        self._server_name = server_name
        self._counts: Cache[tuple[str, str], KeyCounts] = caches.cache(
            "key_counts", group=lambda device, counts: device[0]
        )
        wakeups.listen(topics.ONE_TIME_KEYS, self._counts.forget)

    async def upload(self, upload: KeyUpload) -> Mapping[str, int]:
        """Store keys of a device's own; how many one-time keys it has then, by algorithm.

        Raises InvalidParam, UnknownToken where the device has just been removed, and what quotas do; then
        nothing is stored.
        """
        user_id, device_id = upload.user_id, upload.device_id
        if upload.empty:
            return (await self.counts(user_id, device_id)).one_time_keys

        async def unit(tx: WriteTransaction) -> Mapping[str, int]:
            if await devices.find(tx, user_id, device_id) is None:
                raise UnknownToken("The device has been removed")
            await tx.positions()
            counts = await store_keys(tx, upload, keep_claimed=self._keep_claimed)
            await self._quotas.recount(tx, user_id, Kind.KEY_BYTES)
            return counts

        return await self._db.write(unit)

    async def query(
        self, observer: UserId, wanted: Mapping[str, Sequence[str]], *, within_s: float = REMOTE_S
    ) -> QueriedKeys:
        """The device and cross-signing keys of users, as ``observer`` may see them.

        ``wanted`` maps user IDs to device IDs, none meaning all. Users that do not exist are left out.
        Other servers have ``within_s`` seconds to answer. Raises InvalidParam.
        """
        local, elsewhere = self._split(wanted)
        found = await self.query_local(observer, local)
        if not elsewhere:
            return found
        if self._remote is None:
            found.failures.update(_unreachable(elsewhere))
            return found
        found.add(await self._remote.query(observer, elsewhere, within_s=within_s))
        await self._db.read(lambda tx: _add_signatures(tx, found, list(elsewhere), observer))
        return found

    async def query_local(self, observer: str, wanted: Mapping[str, Sequence[str]]) -> QueriedKeys:
        """The same of users of this server; others are left out. Raises InvalidParam."""
        asked = {user_id: frozenset(devices) for user_id, devices in self._split(wanted)[0].items()}
        local = list(asked)
        found = QueriedKeys()
        if not local:
            return found

        async def unit(tx: Transaction) -> None:
            for user_id in await accounts.find_all(tx, local):
                found.device_keys[user_id] = {}
            signatures = await cross_signing.signatures(tx, local, observer=observer)
            for user_id, device_id, json, name in await storage.all_device_keys(tx, local):
                if not asked[user_id] or device_id in asked[user_id]:
                    shown = merged(json, signatures.get((user_id, device_id), ()), name)
                    found.device_keys.setdefault(user_id, {})[device_id] = shown
            for (user_id, usage), key in (await cross_signing.of_users(tx, local)).items():
                if usage != "user_signing" or user_id == observer:
                    shown = merged(key.json, signatures.get((user_id, key.key_id), ()))
                    found.cross_signing.setdefault(usage, {})[user_id] = shown

        await self._db.read(unit)
        return found

    async def published(self, user_id: UserId) -> tuple[int, PublishedDevices]:
        """What other servers may see of a local user's devices, and the last update that was sent of them.

        Raises NotFound.
        """

        async def unit(tx: Transaction) -> tuple[int, PublishedDevices]:
            account = await accounts.find(tx, user_id)
            if server_name_of(user_id) != self._server_name or account is None or account.deactivated:
                raise NotFound("There is no such user")
            return await told_devices.stream_id(tx, user_id), await published(tx, user_id)

        return await self._db.read(unit)

    async def claim(
        self, wanted: Mapping[str, Mapping[str, str]], *, within_s: float = REMOTE_S
    ) -> ClaimedKeys:
        """One one-time key for each device of ``wanted`` (user → device → algorithm), else its fallback key.

        Nobody else is ever given the same one-time key. Raises InvalidParam.
        """
        local, elsewhere = self._split(wanted)
        claimed = await self.claim_local(local)
        if not elsewhere:
            return claimed
        if self._remote is None:
            claimed.failures.update(_unreachable(elsewhere))
        else:
            claimed.add(await self._remote.claim(elsewhere, within_s=within_s))
        return claimed

    async def claim_local(self, wanted: Mapping[str, Mapping[str, str]]) -> ClaimedKeys:
        """The same of users of this server; others are left out. Raises InvalidParam."""
        local, _ = self._split(wanted)
        if not local:
            return ClaimedKeys()

        async def unit(tx: WriteTransaction) -> dict[str, dict[str, dict[str, msgspec.Raw]]]:
            claimed: dict[str, dict[str, dict[str, msgspec.Raw]]] = {}
            for user_id, known in (await devices.ids_of(tx, list(local))).items():
                for device_id in sorted(known.intersection(local[user_id])):
                    key = await _claim_one(tx, user_id, device_id, local[user_id][device_id])
                    if key is not None:
                        claimed.setdefault(user_id, {})[device_id] = {key[0]: msgspec.Raw(bytes(key[1]))}
            return claimed

        return ClaimedKeys(one_time_keys=await self._db.write(unit))

    async def counts(self, user_id: str, device_id: str) -> KeyCounts:
        """What a device has left; see the module."""
        known = self._counts.touch((user_id, device_id))
        if known is not None:
            return known

        async def unit(tx: Transaction) -> KeyCounts:
            one_time, unused_fallback = await storage.counts(tx, user_id, device_id)
            return KeyCounts(one_time_keys=_with_usual(one_time), unused_fallback=unused_fallback)

        return await self._counts.read((user_id, device_id), lambda: self._db.read(unit))

    def _split(self, wanted: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
        """What is wanted of local users, and of others."""
        if len(wanted) > MAX_USERS:
            raise InvalidParam(f"More than {MAX_USERS} users at once")
        local: dict[str, T] = {}
        elsewhere: dict[str, T] = {}
        for user_id, of_user in wanted.items():
            whose = local if server_name_of(user_id) == self._server_name else elsewhere
            whose[user_id] = of_user
        return local, elsewhere


def _unreachable(user_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A failure for each user's server."""
    failure = {"status": 503, "message": "The server cannot be reached"}
    return {server_name_of(user_id): dict(failure) for user_id in user_ids}


async def _add_signatures(
    tx: Transaction, found: QueriedKeys, user_ids: Sequence[str], observer: str
) -> None:
    """Add what ``observer`` has signed of other servers' users to what these servers say."""
    signatures = await cross_signing.signatures(tx, user_ids, observer=observer)
    masters = found.cross_signing.get("master", {})
    for (user_id, target), items in signatures.items():
        if user_id in masters and target in key_ids(masters[user_id]):
            masters[user_id] = merged(bytes(masters[user_id]), items)


def check_key_upload(
    user_id: UserId,
    device_id: str,
    *,
    device_keys: Mapping[str, Any] | None,
    one_time_keys: Mapping[str, Any],
    fallback_keys: Mapping[str, Any],
) -> KeyUpload:
    """Keys as a client uploads them; raises BadJson and InvalidParam."""
    identity = None if device_keys is None else check_device_keys(device_keys, user_id, device_id)
    if len(one_time_keys) > MAX_UPLOAD:
        raise InvalidParam(f"More than {MAX_UPLOAD} one-time keys at once")
    fallback = check_uploaded_keys(fallback_keys)
    if len({key.algorithm for key in fallback}) < len(fallback):
        raise InvalidParam("More than one fallback key of one algorithm")
    return KeyUpload(
        user_id=user_id,
        device_id=device_id,
        identity=identity,
        one_time=check_uploaded_keys(one_time_keys),
        fallback=fallback,
    )


async def store_keys(
    tx: WriteTransaction, upload: KeyUpload, *, keep_claimed: int = MAX_CLAIMED
) -> dict[str, int]:
    """Store keys within a unit of work; how many one-time keys there are then, by algorithm."""
    user_id, device_id = upload.user_id, upload.device_id
    if upload.identity is not None:
        await _store_device_keys(tx, user_id, device_id, upload.identity)
    await _store_one_time_keys(tx, user_id, device_id, upload.one_time, keep_claimed)
    await _store_fallback_keys(tx, user_id, device_id, upload.fallback)
    one_time, _ = await storage.counts(tx, user_id, device_id)
    return _with_usual(one_time)


def _with_usual(counts: dict[str, int]) -> dict[str, int]:
    """One-time keys by algorithm. Some clients upload more only when told of 0, so it is always told."""
    return {USUAL_ALGORITHM: 0, **counts}


async def _store_device_keys(tx: WriteTransaction, user_id: UserId, device_id: str, json: bytes) -> None:
    known = await storage.find_device_keys(tx, user_id, device_id)
    if known == json:
        return
    await storage.put_device_keys(tx, user_id, device_id, json)
    if known is not None:
        await cross_signing.delete_signatures(tx, user_id, device_id)
    await device_lists.record(tx, user_id)


async def _store_one_time_keys(
    tx: WriteTransaction, user_id: UserId, device_id: str, keys: Sequence[UploadedKey], keep_claimed: int
) -> None:
    """Add the keys that are new; raises InvalidParam where one differs from the one of its name.

    An upload is repeated if its answer was lost, and may arrive after later ones. What was claimed
    meanwhile is not to be claimed again: the last ``keep_claimed`` claimed keys are remembered.
    """
    if not keys:
        return
    names = [key.name for key in keys]
    known = await storage.named_one_time_keys(tx, user_id, device_id, names)
    new = []
    for key in keys:
        stored = known.get(key.name)
        if stored is not None and stored.is_same(key.json):
            continue
        if stored is not None and not stored.claimed:
            raise InvalidParam(f"One time key {key.name} already exists with another value")
        new.append(key)
    if not new:
        return
    counts, _ = await storage.counts(tx, user_id, device_id)
    if sum(counts.values()) + len(new) > MAX_STORED:
        raise InvalidParam(f"A device has at most {MAX_STORED} one-time keys")
    await storage.add_one_time_keys(tx, user_id, device_id, new)
    await storage.forget_claimed(tx, user_id, device_id, keep=keep_claimed)


async def _store_fallback_keys(
    tx: WriteTransaction, user_id: UserId, device_id: str, keys: Sequence[UploadedKey]
) -> None:
    """Store the keys that are new, one for each algorithm; the same key again stays used if it was."""
    if not keys:
        return
    known = await storage.fallback_keys_of(tx, user_id, device_id)
    if len(known.keys() | {key.algorithm for key in keys}) > MAX_FALLBACK:
        raise InvalidParam(f"A device has fallback keys of at most {MAX_FALLBACK} algorithms")
    new = [key for key in keys if known.get(key.algorithm) != (key.name, key.json)]
    await storage.put_fallback_keys(tx, user_id, device_id, new)


async def _claim_one(
    tx: WriteTransaction, user_id: str, device_id: str, algorithm: str
) -> tuple[str, bytes] | None:
    if not storable(algorithm):
        return None
    key = await storage.take_one_time_key(tx, user_id, device_id, algorithm)
    return key or await storage.use_fallback_key(tx, user_id, device_id, algorithm)
