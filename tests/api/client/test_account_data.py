"""Account data, tags, and the filters that clients keep here."""

from __future__ import annotations

import asyncio

import pytest

from palpo.services.personal.account_data import MAX_TAGS_BYTES
from tests.support.homeserver import Client, Homeserver

ROOM = "!somewhere:test.example"
DELETION = "/client/unstable/org.matrix.msc3391"


def base(client: Client) -> str:
    return f"/user/{client.user_id}"


async def changed(server: Homeserver, client: Client, after: int) -> list[tuple[str | None, str, bytes]]:
    return await server.services.personal.account_data.changed(
        client.user_id, after, server.services.server.wakeups.position
    )


@pytest.mark.parametrize("where", ["", f"/rooms/{ROOM}"])
async def test_put_get_delete(server: Homeserver, alice: Client, where: str) -> None:
    path = f"{base(alice)}{where}/account_data/org.example.x"
    await alice.get(path, status=404)
    await alice.put(path, {"value": 1.5})
    await alice.put(path, {"value": "second"})
    assert await alice.get(path) == {"value": "second"}
    room_id = ROOM if where else None
    seen = server.services.server.wakeups.position
    assert (room_id, "org.example.x", b'{"value":"second"}') in await changed(server, alice, 0)
    assert await changed(server, alice, seen) == []
    await alice.request("DELETE", f"{DELETION}{path}")
    await alice.get(path, status=404)
    assert await changed(server, alice, seen) == [(room_id, "org.example.x", b"{}")]
    assert [item[1] for item in await changed(server, alice, 0)] == ["m.push_rules"]
    await alice.put(path, {"value": 3})
    await alice.put(path, {})
    await alice.get(path, status=404)


@pytest.mark.parametrize("type_", ["m.fully_read", "m.push_rules"])
@pytest.mark.parametrize("where", ["", f"/rooms/{ROOM}"])
async def test_the_servers_own_types(alice: Client, type_: str, where: str) -> None:
    answer = await alice.put(f"{base(alice)}{where}/account_data/{type_}", {"a": 1}, status=405)
    assert answer["errcode"] == "M_BAD_JSON"


async def test_refused(alice: Client, bob: Client) -> None:
    await bob.get(f"{base(alice)}/account_data/x", status=403)
    await bob.put(f"{base(alice)}/account_data/x", {"a": 1}, status=403)
    await alice.put(f"{base(alice)}/account_data/{'x' * 256}", {"a": 1}, status=400)
    await alice.put(f"{base(alice)}/account_data/a%00b", {"a": 1}, status=400)
    answer = await alice.put(f"{base(alice)}/rooms/nonsense/account_data/x", {"a": 1}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"
    answer = await alice.put(f"{base(alice)}/account_data/x", [1], status=400)
    assert answer["errcode"] == "M_BAD_JSON"


async def test_push_rules_can_be_read(alice: Client) -> None:
    content = await alice.get(f"{base(alice)}/account_data/m.push_rules")
    assert content["global"]["override"][0]["rule_id"] == ".m.rule.master"


async def test_tags(server: Homeserver, alice: Client, bob: Client) -> None:
    path = f"{base(alice)}/rooms/{ROOM}/tags"
    assert await alice.get(path) == {"tags": {}}
    await asyncio.gather(
        alice.put(f"{path}/m.favourite", {"order": 0.1}), alice.put(f"{path}/u.work", {"extra": True})
    )
    assert await alice.get(path) == {"tags": {"m.favourite": {"order": 0.1}, "u.work": {"extra": True}}}
    await alice.delete(f"{path}/m.favourite")
    await alice.delete(f"{path}/m.favourite")
    assert await alice.get(f"{base(alice)}/rooms/{ROOM}/account_data/m.tag") == {
        "tags": {"u.work": {"extra": True}}
    }
    await alice.put(f"{path}/u.x", {"order": "first"}, status=400)
    await bob.get(path, status=403)


async def test_settings_go_with_their_device(server: Homeserver, alice: Client) -> None:
    second = await server.login("alice")
    path = f"{base(alice)}/account_data/org.matrix.msc3890.local_notification_settings.{second.device_id}"
    await alice.put(path, {"is_silenced": True})
    await second.post("/logout")
    assert (await alice.get(path, status=404))["errcode"] == "M_NOT_FOUND"


async def test_ignored_users(server: Homeserver, alice: Client) -> None:
    service = server.services.personal.account_data
    assert await service.ignored_users(alice.user_id) == frozenset()
    content = {"ignored_users": {"@bob:test.example": {}}}
    await alice.put(f"{base(alice)}/account_data/m.ignored_user_list", content)
    assert await service.ignored_users(alice.user_id) == {"@bob:test.example"}


async def test_filters(alice: Client, bob: Client) -> None:
    filter_ = {"room": {"timeline": {"limit": 10}}, "org.example.kept": {"a": 1}}
    filter_id = (await alice.post(f"{base(alice)}/filter", filter_))["filter_id"]
    assert not filter_id.startswith("{")
    assert await alice.get(f"{base(alice)}/filter/{filter_id}") == filter_
    assert (await alice.post(f"{base(alice)}/filter", filter_))["filter_id"] == filter_id
    await alice.get(f"{base(alice)}/filter/unknown", status=404)
    await bob.get(f"{base(bob)}/filter/{filter_id}", status=404)
    await bob.get(f"{base(alice)}/filter/{filter_id}", status=403)
    await alice.post(f"{base(alice)}/filter", {"room": {"timeline": {"limit": "x"}}}, status=400)
    await alice.post(f"{base(alice)}/filter", {"room": {"rooms": ["not_a_room_id"]}}, status=400)


async def test_a_tag_without_an_order(alice: Client) -> None:
    path = f"{base(alice)}/rooms/{ROOM}/tags"
    await alice.put(f"{path}/u.work", {"order": None})
    assert await alice.get(path) == {"tags": {"u.work": {}}}


async def test_the_tags_of_a_room_are_bounded(alice: Client) -> None:
    path = f"{base(alice)}/rooms/{ROOM}/tags"
    await alice.put(f"{path}/u.work", {"extra": "x" * (MAX_TAGS_BYTES // 2)})
    answer = await alice.put(f"{path}/u.more", {"extra": "x" * (MAX_TAGS_BYTES // 2)}, status=413)
    assert answer["errcode"] == "M_TOO_LARGE"
    assert list((await alice.get(path))["tags"]) == ["u.work"]
