"""Quotas, noun by noun: what a user may have, what more of it is answered, and what makes room again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from palpo.core.records.quotas import Kind
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

DELETION = "/client/unstable/org.matrix.msc3391"
BACKUP = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "x"}}
ROOM = "!room:test.example"


@dataclass(frozen=True)
class Noun:
    """How a client comes to have one more of something of ``size``, and how it gets rid of it."""

    kind: Kind
    size: int
    add: Callable[[Client, int], Awaitable[Any]]
    remove: Callable[[Client, Any, int], Awaitable[Any]] | None = None
    prepare: Callable[[Client], Awaitable[Any]] | None = None


async def put_data(client: Client, number: int) -> Any:
    path = f"/user/{client.user_id}/account_data/t.{number}"
    return await client.put(path, {"x": "y" * 92}, status=None)


async def delete_data(client: Client, _answer: Any, number: int) -> None:
    await client.request("DELETE", f"{DELETION}/user/{client.user_id}/account_data/t.{number}")


async def put_room_data(client: Client, number: int) -> Any:
    path = f"/user/{client.user_id}/rooms/!{number}:test.example/account_data/t"
    return await client.put(path, {"x": "y" * 92}, status=None)


async def empty_room_data(client: Client, _answer: Any, number: int) -> None:
    await client.put(f"/user/{client.user_id}/rooms/!{number}:test.example/account_data/t", {})


async def put_tag(client: Client, number: int) -> Any:
    return await client.put(f"/user/{client.user_id}/rooms/!{number}:test.example/tags/u.t", {}, status=None)


async def upload(client: Client, number: int) -> Any:
    return await client.request("POST", "/media/v3/upload", content=b"%100d" % number, status=None)


async def upload_later(client: Client, number: int) -> Any:
    uri = (await client.request("POST", "/media/v1/create"))["content_uri"].removeprefix("mxc://")
    return await client.request("PUT", f"/media/v3/upload/{uri}", content=b"%100d" % number, status=None)


async def new_backup(client: Client, _number: int = 0) -> Any:
    return await client.post("/room_keys/version", BACKUP, status=None)


async def delete_backup(client: Client, answer: Any, _number: int) -> None:
    await client.delete(f"/room_keys/version/{answer['version']}")


async def put_key(client: Client, number: int) -> Any:
    version = (await client.get("/room_keys/version"))["version"]
    path = f"/room_keys/keys/{ROOM}/s{number}?version={version}"
    key = {
        "first_message_index": 0,
        "forwarded_count": 0,
        "is_verified": True,
        "session_data": {"x": "y" * 92},
    }
    return await client.put(path, key, status=None)


async def delete_key(client: Client, _answer: Any, number: int) -> None:
    version = (await client.get("/room_keys/version"))["version"]
    await client.delete(f"/room_keys/keys/{ROOM}/s{number}?version={version}")


async def put_pusher(client: Client, number: int, kind: str | None = "http") -> Any:
    data = {"url": "https://push.example/_matrix/push/v1/notify"}
    names = {"app_display_name": "a", "device_display_name": "d", "lang": "en"}
    body = {"app_id": "app", "pushkey": f"key{number}", "kind": kind, "data": data, **names}
    return await client.post("/pushers/set", {**body, "append": True}, status=None)


async def delete_pusher(client: Client, _answer: Any, number: int) -> None:
    await put_pusher(client, number, kind=None)


async def report(client: Client, number: int) -> Any:
    return await client.post(f"/users/{client.user_id}/report", {"reason": str(number)}, status=None)


def alias(client: Client, number: int) -> str:
    return f"/directory/room/%23{client.user_id[1:].partition(':')[0]}{number}:test.example"


async def put_alias(client: Client, number: int) -> Any:
    room = (await client.get("/joined_rooms"))["joined_rooms"][0]
    return await client.put(alias(client, number), {"room_id": room}, status=None)


async def delete_alias(client: Client, _answer: Any, number: int) -> None:
    await client.delete(alias(client, number))


async def new_room(client: Client) -> None:
    await client.create_room()


async def make_room(client: Client, _number: int) -> Any:
    return await client.post("/createRoom", status=None)


async def put_one_time_key(client: Client, number: int) -> Any:
    return await client.post(
        "/keys/upload", {"one_time_keys": {f"curve25519:{number}": "y" * 98}}, status=None
    )


NOUNS = {
    "pushers": Noun(Kind.PUSHERS, 1, put_pusher, delete_pusher),
    "rooms": Noun(Kind.ROOMS, 1, make_room),
    "reports": Noun(Kind.REPORTS, 1, report),
    "aliases": Noun(Kind.ALIASES, 1, put_alias, delete_alias, new_room),
    "one-time keys": Noun(Kind.KEY_BYTES, 100, put_one_time_key),
    "account data": Noun(Kind.ACCOUNT_DATA, 1, put_data, delete_data),
    "account data of rooms": Noun(Kind.ACCOUNT_DATA, 1, put_room_data, empty_room_data),
    "tags": Noun(Kind.ACCOUNT_DATA, 1, put_tag),
    "bytes of account data": Noun(Kind.ACCOUNT_DATA_BYTES, 100, put_data, delete_data),
    "bytes of account data of rooms": Noun(Kind.ACCOUNT_DATA_BYTES, 100, put_room_data, empty_room_data),
    "media": Noun(Kind.MEDIA, 1, upload),
    "bytes of media": Noun(Kind.MEDIA_BYTES, 100, upload),
    "media that come later": Noun(Kind.MEDIA_BYTES, 100, upload_later),
    "versions of backups": Noun(Kind.BACKUP_VERSIONS, 1, new_backup, delete_backup),
    "backed up keys": Noun(Kind.BACKUP_KEYS, 1, put_key, delete_key, new_backup),
    "bytes of backed up keys": Noun(Kind.BACKUP_BYTES, 100, put_key, delete_key, new_backup),
}
nouns = pytest.mark.parametrize("noun", NOUNS.values(), ids=NOUNS)


def bounds(kind: Kind, *, user: int = 0, server: int = 0) -> dict[str, Any]:
    return {kind.value: {"user": user, "server": server}}


async def used(server: Homeserver, kind: Kind) -> int:
    """As the metrics have it."""
    text = (await server.http.get("/_palpo/metrics")).text
    found = re.search(rf'^palpo_quota_used{{kind="{kind.value}"}} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@nouns
async def test_a_users_bound(tmp_path: Path, noun: Noun) -> None:
    async with homeserver(tmp_path, quotas=bounds(noun.kind, user=3 * noun.size)) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        for client in (alice, bob):
            if noun.prepare is not None:
                await noun.prepare(client)
        answers = await asyncio.gather(*(noun.add(alice, number) for number in range(12)))
        refused = [answer for answer in answers if "errcode" in answer]
        assert {answer["errcode"] for answer in refused} == {"M_USER_LIMIT_EXCEEDED"}
        assert {answer["info_uri"] for answer in refused} != {""}
        assert (len(refused), await used(server, noun.kind)) == (9, 3 * noun.size)
        assert "errcode" not in await noun.add(bob, 0)
        if noun.remove is not None:
            number = next(number for number, answer in enumerate(answers) if "errcode" not in answer)
            await noun.remove(alice, answers[number], number)
            assert await used(server, noun.kind) == 3 * noun.size
            assert "errcode" not in await noun.add(alice, 99)
            assert "errcode" in await noun.add(alice, 100)
        await alice.get("/sync")
        await alice.post("/logout")


@nouns
async def test_the_servers_bound(tmp_path: Path, noun: Noun) -> None:
    async with homeserver(tmp_path, quotas=bounds(noun.kind, server=3 * noun.size)) as server:
        users = [await server.register(name) for name in ("alice", "bob", "carol", "dave")]
        for client in users:
            if noun.prepare is not None:
                await noun.prepare(client)
        answers = [await noun.add(client, 1) for client in users]
        assert [answer.get("errcode", "") for answer in answers] == ["", "", "", "M_RESOURCE_LIMIT_EXCEEDED"]
        assert answers[3]["admin_contact"]
        text = (await server.http.get("/_palpo/metrics")).text
        assert f'palpo_quota_refusals_total{{kind="{noun.kind.value}",of="server"}} 1.0' in text


async def test_the_same_again_takes_no_more(tmp_path: Path) -> None:
    limits = {**bounds(Kind.ACCOUNT_DATA_BYTES, user=250), **bounds(Kind.BACKUP_BYTES, user=250)}
    async with homeserver(tmp_path, quotas=limits) as server:
        alice = await server.register("alice")
        await new_backup(alice)
        for _ in range(5):
            assert "errcode" not in await put_data(alice, 1)
            assert "errcode" not in await put_key(alice, 1)
        assert await used(server, Kind.ACCOUNT_DATA_BYTES) == 100
        assert await used(server, Kind.BACKUP_BYTES) == 100


async def test_what_is_deleted_at_once_makes_room(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.BACKUP_BYTES, user=300)) as server:
        alice = await server.register("alice")
        version = (await new_backup(alice))["version"]
        for number in range(3):
            await put_key(alice, number)
        await alice.delete(f"/room_keys/keys?version={version}")
        assert await used(server, Kind.BACKUP_BYTES) == 0
        for number in range(3):
            await put_key(alice, number)
        await alice.delete(f"/room_keys/version/{version}")
        assert await used(server, Kind.BACKUP_BYTES) == 0


async def test_the_oldest_filter_makes_room(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.FILTERS, user=3)) as server:
        alice = await server.register("alice")
        path = f"/user/{alice.user_id}/filter"

        async def define(number: int) -> str:
            return str((await alice.post(path, {"room": {"timeline": {"limit": number}}}))["filter_id"])

        first = await define(1)
        others = [await define(number) for number in (2, 3, 4)]
        assert (await alice.get(f"{path}/{first}", status=404))["errcode"] == "M_NOT_FOUND"
        for filter_id in others:
            await alice.get(f"{path}/{filter_id}")
        assert await used(server, Kind.FILTERS) == 3
        assert await define(1) == first
        await alice.get(f"{path}/{first}")


async def test_the_oldest_thumbnails_make_room(tmp_path: Path) -> None:
    stream = BytesIO()
    Image.effect_noise((400, 400), 100).save(stream, "jpeg")
    async with homeserver(tmp_path, quotas=bounds(Kind.THUMBNAIL_BYTES, server=8_000)) as server:
        alice = await server.register("alice")
        answer = await alice.request("POST", "/media/v3/upload", content=stream.getvalue())
        uri = answer["content_uri"].removeprefix("mxc://")
        sizes = []
        for side in (64, 96, 128, 64, 96, 128):
            query = f"width={side}&height={side}&method=crop"
            made = await alice.request("GET", f"/client/v1/media/thumbnail/{uri}?{query}")
            sizes.append(len(made.content))
            assert await used(server, Kind.THUMBNAIL_BYTES) <= 8_000
        assert sizes[:3] == sizes[3:]
        assert sum(sizes[:3]) > 8_000
        kept = [path.stat().st_size for path in (tmp_path / "media").rglob("*") if path.is_file()]
        assert sum(kept) - len(stream.getvalue()) == await used(server, Kind.THUMBNAIL_BYTES)
        await server.services.media.media_cleanup.delete(*uri.split("/"))
        assert await used(server, Kind.THUMBNAIL_BYTES) == 0


async def test_the_device_that_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.DEVICES, user=3)) as server:
        devices = [await server.register("alice")]
        for _ in range(4):
            server.clock.advance(1000)
            devices.append(await server.login("alice"))
            assert len((await devices[-1].get("/devices"))["devices"]) <= 3
            assert await used(server, Kind.DEVICES) <= 3
        left = {device["device_id"] for device in (await devices[-1].get("/devices"))["devices"]}
        assert left == {device.device_id for device in devices[-3:]}
        for gone in devices[:2]:
            await gone.get("/account/whoami", status=401)
        # Logging in again on a device that is there takes no other's place.
        await server.client().post(
            "/login",
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": "alice"},
                "password": PASSWORD,
                "device_id": devices[-1].device_id,
            },
        )
        await devices[-2].get("/account/whoami")
        await devices[-2].post("/logout")
        assert await used(server, Kind.DEVICES) == 2


async def test_keys_go_with_their_device(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await put_one_time_key(alice, 1)
        assert await used(server, Kind.KEY_BYTES) == 100
        await alice.post("/logout")
        assert await used(server, Kind.KEY_BYTES) == 0


async def test_media_that_administrators_delete_make_room(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.MEDIA, user=1)) as server:
        alice = await server.register("alice")
        uri = (await upload(alice, 1))["content_uri"].removeprefix("mxc://")
        assert "errcode" in await upload(alice, 2)
        await server.services.media.media_cleanup.delete(*uri.split("/"))
        assert "errcode" not in await upload(alice, 2)


async def test_a_room_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.ROOMS, user=1)) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await alice.create_room()
        made = {"room_alias_name": "more", "invite": [bob.user_id], "visibility": "public"}
        answer = await alice.post("/createRoom", made, status=403)
        assert answer["errcode"] == "M_USER_LIMIT_EXCEEDED"
        assert answer["error"] == "You may have no more: rooms, of which a user may have 1"
        answer = await alice.post(f"/rooms/{room}/upgrade", {"new_version": "12"}, status=403)
        assert answer["errcode"] == "M_USER_LIMIT_EXCEEDED"

        assert "rooms" not in await bob.get("/sync")
        await alice.get(f"/rooms/{room}/state/m.room.tombstone", status=404)
        await alice.send(room, "as before")
        assert (await alice.get("/joined_rooms"))["joined_rooms"] == [room]
        assert (await used(server, Kind.ROOMS), await used(server, Kind.ALIASES)) == (1, 0)
        await bob.create_room(room_alias_name="more")


async def test_a_room_made_by_an_upgrade_is_its_makers(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.ROOMS, user=1)) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        levels = {"users": {alice.user_id: 100, bob.user_id: 100}}
        options = {"room_version": "11", "preset": "public_chat", "power_level_content_override": levels}
        room = await alice.create_room(**options)
        await bob.post(f"/join/{room}")

        await bob.post(f"/rooms/{room}/upgrade", {"new_version": "12"})
        # The successor is there by now: who asks again makes none.
        await alice.post(f"/rooms/{room}/upgrade", {"new_version": "12"})
        assert (await bob.post("/createRoom", status=403))["errcode"] == "M_USER_LIMIT_EXCEEDED"
        assert await used(server, Kind.ROOMS) == 2


async def test_who_left_a_room_has_made_it_all_the_same(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.ROOMS, user=1)) as server:
        alice = await server.register("alice")
        room = await alice.create_room()
        await alice.post(f"/rooms/{room}/leave")
        await alice.post(f"/rooms/{room}/forget")
        assert (await alice.post("/createRoom", status=403))["errcode"] == "M_USER_LIMIT_EXCEEDED"


async def test_what_is_written_together_with_a_refused_room(tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas=bounds(Kind.ROOMS, user=2)) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room()
        answers = await asyncio.gather(
            *(make_room(alice, number) for number in range(5)),
            make_room(bob, 0),
            *(bob.send(room, str(number)) for number in range(5)),
        )
        refused = [answer["errcode"] for answer in answers[:5] if "errcode" in answer]
        assert refused == ["M_USER_LIMIT_EXCEEDED"] * 3
        assert "errcode" not in answers[5]
        chunk = (await bob.get(f"/rooms/{room}/messages?dir=b&limit=5"))["chunk"]
        assert {event["event_id"] for event in chunk} == set(answers[6:])
        assert len((await alice.get("/joined_rooms"))["joined_rooms"]) == 2


async def test_who_erases_their_account_makes_room(tmp_path: Path) -> None:
    kinds = (Kind.ACCOUNT_DATA, Kind.ACCOUNT_DATA_BYTES, Kind.BACKUP_KEYS, Kind.BACKUP_BYTES)
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await put_data(alice, 1)
        await new_backup(alice)
        await put_key(alice, 1)
        assert [await used(server, kind) for kind in kinds] == [1, 100, 1, 100]
        await server.services.accounts.accounts.deactivate(alice.user_id, erase=True)
        assert [await used(server, kind) for kind in kinds] == [0, 0, 0, 0]


async def test_deletions_are_not_remembered_for_ever(server: Homeserver, alice: Client) -> None:
    """A type that is set and deleted again leaves a row, so that devices hear of it: but so many."""
    kept = 20

    async def rows() -> int:
        position = server.services.server.wakeups.position
        return len(await server.services.personal.account_data.changed(alice.user_id, 1, position))

    for number in range(30):
        await put_data(alice, number)
        await delete_data(alice, None, number)
    from palpo.storage import account_data as storage

    before = await rows()
    await server.services.server.db.write(lambda tx: storage.forget_deleted(tx, alice.user_id, keep=kept))
    assert before - await rows() == 30 - kept
