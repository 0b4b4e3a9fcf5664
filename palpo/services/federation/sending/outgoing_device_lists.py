"""Other servers are told of changes of devices of users here (spec: server-server API, "Device Management").

What was told of each device is remembered by its hash: what differs from it is told to all servers in the
user's rooms, one update after the other, each of which names the one before. Who was not told of one sees
that by the next, and fetches the list. So those that are new in the user's rooms are told the last one again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import ServerName
from palpo.db.transaction import WriteTransaction
from palpo.services.encryption.published_devices import PublishedDevices, published
from palpo.storage import destination_edus, partial_rooms, room_servers, told_devices
from palpo.storage.destination_edus import NewEdu
from palpo.storage.told_devices import CROSS_SIGNING
from palpo.wire.federation.device_edus import DEVICE_LIST_UPDATE, SIGNING_KEY_UPDATE

MAX_UPDATES = 20
"""Updates that are told one by one; of more, the last only, as nobody knows the one before it."""

Content = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A user whose devices may have ``changed``, or who has ``joined`` rooms: room ID → position of that."""

    user_id: str
    changed: bool
    joined: Mapping[str, int] = field(default_factory=dict)


async def tell(tx: WriteTransaction, news: News) -> None:
    """Have all servers told that are to be told something."""
    user_id = news.user_id
    new = await _new_servers(tx, news)
    servers = await told_devices.servers(tx, user_id) if news.changed or new else ()
    if not servers:
        return
    told = await told_devices.find(tx, user_id)
    now = _contents(user_id, await published(tx, user_id))
    hashes = {device_id: _hash(content) for device_id, content in now.items()}
    changed = [
        each for each in sorted(now) if hashes[each] != told.hashes.get(each) and each != CROSS_SIGNING
    ]
    gone = sorted(told.hashes.keys() - now.keys())
    updates = [now[device_id] for device_id in changed] + [_deleted(user_id, each) for each in gone]
    if updates:
        stream_id = await _tell_all(tx, servers, told.stream_id, updates)
    else:
        stream_id = told.stream_id
        await _tell_again(tx, new, stream_id, now)
    signing = hashes[CROSS_SIGNING] != told.hashes.get(CROSS_SIGNING)
    if signing and len(now[CROSS_SIGNING]) > 1:
        await destination_edus.put(tx, _edus(servers, SIGNING_KEY_UPDATE, now[CROSS_SIGNING]))
    if signing or updates:
        fresh = {each: hashes[each] for each in (CROSS_SIGNING, *changed)}
        await told_devices.put(tx, user_id, fresh, gone, stream_id)


async def tell_again(tx: WriteTransaction, user_id: str, servers: Collection[ServerName]) -> None:
    """Have servers told the last update, that they may have missed."""
    told = await told_devices.find(tx, user_id)
    await _tell_again(tx, servers, told.stream_id, _contents(user_id, await published(tx, user_id)))


async def _new_servers(tx: WriteTransaction, news: News) -> set[ServerName]:
    """The servers that were in rooms that the user has joined, and are in no other room of the user's.

    Not of a room whose members were not known then (MSC3902): its servers ask, as they do anyway.
    """
    new: set[ServerName] = set()
    for room_id, position in news.joined.items():
        if await partial_rooms.was_partial(tx, room_id, position):
            continue
        there = await room_servers.of_room(tx, room_id)
        new.update(item.server_name for item in there if item.joined and item.position < position)
    return new - await told_devices.servers(tx, news.user_id, besides=news.joined) if new else new


async def _tell_all(
    tx: WriteTransaction, servers: Collection[ServerName], last: int, updates: Sequence[Content]
) -> int:
    """Have updates told that follow the one called ``last``; what the last of them is called."""
    first = await tx.positions(len(updates))
    chain: list[int] = [last, *range(first, first + len(updates))]
    if len(updates) > MAX_UPDATES:
        chain, updates = chain[-2:], updates[-1:]
    for prev_id, stream_id, update in zip(chain, chain[1:], updates, strict=False):
        content = {**update, "stream_id": stream_id, "prev_id": [prev_id] if prev_id else []}
        await destination_edus.put(tx, _edus(servers, DEVICE_LIST_UPDATE, content))
    return chain[-1]


async def _tell_again(
    tx: WriteTransaction, servers: Collection[ServerName], stream_id: int, now: Mapping[str, Content]
) -> None:
    """Have the last update told to servers that may know nothing of the user.

    With any of the devices: it is only to be seen that it follows none that they know.
    """
    devices = sorted(now.keys() - {CROSS_SIGNING})
    if devices:
        content = {**now[devices[0]], "stream_id": stream_id, "prev_id": []}
        await destination_edus.put(tx, _edus(servers, DEVICE_LIST_UPDATE, content))


def _contents(user_id: str, found: PublishedDevices) -> dict[str, Content]:
    """What is told of each device, and of the cross-signing keys."""
    contents: dict[str, Content] = {
        CROSS_SIGNING: _told(
            {
                "user_id": user_id,
                "master_key": found.master_key,
                "self_signing_key": found.self_signing_key,
            }
        )
    }
    for device in found.devices:
        contents[device.device_id] = _told(
            {
                "user_id": user_id,
                "device_id": device.device_id,
                "device_display_name": device.display_name,
                "keys": device.keys,
            }
        )
    return contents


def _told(content: Content) -> Content:
    """Without what is None, and decoded."""
    return {
        name: orjson.loads(bytes(value)) if isinstance(value, msgspec.Raw) else value
        for name, value in content.items()
        if value is not None
    }


def _deleted(user_id: str, device_id: str) -> Content:
    return {"user_id": user_id, "device_id": device_id, "deleted": True}


def _hash(content: Content) -> bytes:
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _edus(servers: Collection[ServerName], edu_type: str, content: Content) -> Iterator[NewEdu]:
    """One for each server; it takes the place of one about the same device that has not been sent yet."""
    about = to_json([content["user_id"], content.get("device_id")])
    key = blake2b(about, digest_size=16).hexdigest()
    for server in sorted(servers):
        yield NewEdu(destination=server, edu_type=edu_type, key=key, content=content)
