"""Cross-signing keys, and signatures of keys (spec: "Cross-signing", MSC1756, MSC3967)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from palpo.core.device_keys import (
    USAGES,
    cross_signing_key_id,
    encode_key,
    storable,
    without_signatures,
)
from palpo.core.errors import BadJson, BadRequest, Forbidden, MatrixError, MissingParam, NotFound
from palpo.core.records.quotas import Kind
from palpo.core.signing import SignatureError, signature_key_ids, verify_json
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import cross_signing as storage
from palpo.storage import cross_signing_resets, device_lists, devices, remote_device_lists
from palpo.storage import keys as key_storage
from palpo.storage.cross_signing import CrossSigningKey, KeySignature
from palpo.streams.clock import Clock

REPLACEMENT_MS = 10 * 60 * 1000
"""How long users may replace their keys without authenticating, where an administrator lets them."""
MAX_SIGNATURES = 1000
"""Signed objects in one request."""

SignedObjects = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""User ID → device ID or public key → the signed key."""


class InvalidSignature(BadRequest):
    """A signature is missing or does not match."""

    errcode = "M_INVALID_SIGNATURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUpload:
    """Checked cross-signing keys.

    ``stored`` are the user's keys, by usage, that they were checked against.
    """

    user_id: str
    keys: list[CrossSigningKey]
    stored: dict[str, CrossSigningKey]

    @property
    def needs_auth(self) -> bool:
        """Whether keys that are there would change (MSC3967)."""
        return "master" in self.stored and not _unchanged(self.keys, self.stored)


class CrossSigning:
    """Keeps users' cross-signing keys and what they have signed."""

    def __init__(self, db: Database, clock: Clock, quotas: Quotas) -> None:
        self._db = db
        self._clock = clock
        self._quotas = quotas

    async def allow_replacement(self, user_id: str) -> int:
        """Let a user replace their keys once without authenticating; until when, in milliseconds.

        Raises NotFound where they have no master key.
        """
        until = self._clock.now_ms() + REPLACEMENT_MS

        async def unit(tx: WriteTransaction) -> bool:
            if "master" not in await _by_usage(tx, user_id):
                return False
            await cross_signing_resets.allow(tx, user_id, until)
            return True

        if not await self._db.write(unit):
            raise NotFound("The user has no master cross-signing key")
        return until

    async def may_replace(self, user_id: str) -> bool:
        """Whether a user may replace their keys without authenticating."""
        until = await self._db.read(lambda tx: cross_signing_resets.until(tx, user_id))
        return self._clock.now_ms() < until

    async def check_upload(self, user_id: str, keys: Mapping[str, Mapping[str, Any]]) -> KeyUpload:
        """Check keys (by usage) that a user uploads, before they are asked to authenticate.

        Raises BadJson, InvalidParam, InvalidSignature, MissingParam where there is no master key, and
        Forbidden where a public key is one of the user's device IDs.
        """
        checked = [
            CrossSigningKey(
                user_id=user_id,
                usage=usage,
                key_id=cross_signing_key_id(keys[usage], user_id, usage),
                json=_canonical(keys[usage]),
            )
            for usage in USAGES
            if usage in keys
        ]

        async def unit(tx: Transaction) -> dict[str, CrossSigningKey]:
            await _refuse_device_ids(tx, user_id, checked)
            return await _by_usage(tx, user_id)

        stored = await self._db.read(unit)
        master = next((key for key in checked if key.usage == "master"), stored.get("master"))
        if checked and master is None:
            raise MissingParam("There is no master key")
        for key in checked:
            if master is not None and key.usage != "master":
                _verify(dict(keys[key.usage]), user_id, master.key_id, master.public_key)
        return KeyUpload(user_id=user_id, keys=checked, stored=stored)

    async def store(self, upload: KeyUpload) -> None:
        """Store keys that were checked; all who share a room with the user are told.

        Raises Forbidden where another request has changed the keys since: who uploads might have had to
        authenticate, or to sign with another key.
        """

        async def unit(tx: WriteTransaction) -> None:
            stored = await _by_usage(tx, upload.user_id)
            if stored != upload.stored and not _unchanged(upload.keys, stored):
                raise Forbidden("Another request has just changed the keys")
            await _refuse_device_ids(tx, upload.user_id, upload.keys)
            changed = [key for key in upload.keys if stored.get(key.usage) != key]
            for key in changed:
                replaced = stored.get(key.usage)
                if replaced is not None and replaced.key_id != key.key_id:
                    await storage.delete_signatures(tx, key.user_id, replaced.key_id)
                await storage.put(tx, key)
            if changed:
                await cross_signing_resets.end(tx, upload.user_id)
                await self._quotas.recount(tx, upload.user_id, Kind.KEY_BYTES)
                # A user-signing key is shown to nobody else.
                private = all(key.usage == "user_signing" for key in changed)
                observer = upload.user_id if private else device_lists.EVERYONE
                await device_lists.record(tx, upload.user_id, observer=observer)

        if upload.keys:
            await self._db.write(unit)

    async def sign(self, signer: str, objects: SignedObjects) -> dict[str, dict[str, dict[str, Any]]]:
        """Add a user's signatures to keys; the errors, by user and key, of those that failed.

        A user's own devices are signed by their self-signing key, their master key by their devices,
        others' master keys by their user-signing key.
        """
        if sum(len(by_key) for by_key in objects.values()) > MAX_SIGNATURES:
            raise BadJson(f"More than {MAX_SIGNATURES} signed objects at once")

        async def unit(tx: WriteTransaction) -> dict[str, dict[str, dict[str, Any]]]:
            failures: dict[str, dict[str, dict[str, Any]]] = {}
            for user_id, by_key in objects.items():
                new: list[KeySignature] = []
                for name, signed in by_key.items():
                    try:
                        new += await _new_signatures(tx, signer, user_id, name, signed)
                    except MatrixError as error:
                        failures.setdefault(user_id, {})[name] = error.body()
                await _add(tx, signer, user_id, new)
            return failures

        return await self._db.write(unit)


async def _refuse_device_ids(tx: Transaction, user_id: str, keys: Sequence[CrossSigningKey]) -> None:
    """Raises Forbidden where a public key is one of the user's device IDs."""
    device_ids = (await devices.ids_of(tx, [user_id])).get(user_id, set())
    if any(key.public_key in device_ids for key in keys):
        raise Forbidden("A public key is the same as one of the user's device IDs")


async def _by_usage(tx: Transaction, user_id: str) -> dict[str, CrossSigningKey]:
    return {usage: key for (_, usage), key in (await storage.of_users(tx, [user_id])).items()}


async def _new_signatures(
    tx: Transaction, signer: str, user_id: str, name: str, signed: Mapping[str, Any]
) -> list[KeySignature]:
    """The valid signatures of ``signed`` by ``signer``.

    Raises NotFound where ``user_id`` has no such key, or not of a kind that ``signer`` may sign, and
    InvalidSignature where the object differs from the stored one or nobody who may sign it did.
    """
    target, stored, signing_keys = await _signable(tx, signer, user_id, name)
    if without_signatures(signed) != without_signatures(stored):
        raise InvalidSignature("The signed object is not the key that is stored")
    candidate = dict(signed)
    key_ids = [key_id for key_id in signature_key_ids(candidate, signer) if key_id in signing_keys]
    if not key_ids:
        raise InvalidSignature("No signature by a key that may sign this one")
    for key_id in key_ids:
        _verify(candidate, signer, key_id, signing_keys[key_id])
    return [
        KeySignature(
            user_id=user_id,
            target=target,
            signer_user_id=signer,
            signer_key_id=key_id,
            signature=candidate["signatures"][signer][key_id],
        )
        for key_id in key_ids
    ]


async def _signable(
    tx: Transaction, signer: str, user_id: str, name: str
) -> tuple[str, dict[str, Any], dict[str, str]]:
    """What ``name`` is to be stored under, the key itself, and the public keys that may sign it, by ID."""
    if not storable(user_id) or not storable(name):
        raise NotFound("No such key")
    found = await storage.of_users(tx, [user_id, signer])
    master = found.get((user_id, "master")) or await _remote_master(tx, user_id)
    if master is not None and master.key_id == f"ed25519:{name}":
        if user_id == signer:
            return master.key_id, orjson.loads(master.json), await _device_public_keys(tx, signer)
        return master.key_id, orjson.loads(master.json), _public_key(found.get((signer, "user_signing")))
    json = await key_storage.find_device_keys(tx, user_id, name) if user_id == signer else None
    if json is None:
        raise NotFound("No such key")
    return name, orjson.loads(json), _public_key(found.get((signer, "self_signing")))


async def _remote_master(tx: Transaction, user_id: str) -> CrossSigningKey | None:
    """The master key of a user of another server, where that has told it."""
    known = (await remote_device_lists.find(tx, [user_id])).get(user_id)
    if known is None or known.master_key is None:
        return None
    (key_id,) = orjson.loads(known.master_key)["keys"]
    return CrossSigningKey(user_id=user_id, usage="master", key_id=key_id, json=known.master_key)


async def _device_public_keys(tx: Transaction, user_id: str) -> dict[str, str]:
    """The ed25519 keys of a user's devices, by key ID."""
    found: dict[str, str] = {}
    for _, device_id, json, _ in await key_storage.all_device_keys(tx, [user_id]):
        key_id = f"ed25519:{device_id}"
        public_key = orjson.loads(json)["keys"].get(key_id)
        if public_key is not None:
            found[key_id] = public_key
    return found


async def _add(tx: WriteTransaction, signer: str, user_id: str, new: list[KeySignature]) -> None:
    """Store signatures, and tell those who can see them if one was not there before."""
    if not new:
        return
    known = await storage.signatures(tx, [user_id], observer=signer)
    fresh = [item for item in new if item not in known.get((user_id, item.target), [])]
    for item in fresh:
        await storage.add_signature(tx, item)
    if not fresh:
        return
    observer = device_lists.EVERYONE if user_id == signer else signer
    await device_lists.record(tx, user_id, observer=observer)


def _public_key(key: CrossSigningKey | None) -> dict[str, str]:
    return {} if key is None else {key.key_id: key.public_key}


def _verify(signed: dict[str, Any], user_id: str, key_id: str, public_key: str) -> None:
    try:
        verify_json(signed, user_id, key_id, public_key)
    except SignatureError as error:
        raise InvalidSignature(error.message) from error


def _canonical(key: Mapping[str, Any]) -> bytes:
    return encode_key({name: value for name, value in key.items() if name != "unsigned"})


def _unchanged(keys: Sequence[CrossSigningKey], stored: Mapping[str, CrossSigningKey]) -> bool:
    return all(_same(key, stored.get(key.usage)) for key in keys)


def _same(key: CrossSigningKey, stored: CrossSigningKey | None) -> bool:
    """Whether ``stored`` is the same key, whatever signatures either has."""
    if stored is None or key.key_id != stored.key_id:
        return False
    return without_signatures(orjson.loads(key.json)) == without_signatures(orjson.loads(stored.json))
