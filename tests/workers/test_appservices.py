"""What application services are sent, by a real server to a real server, with restarts of both."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from palpo.workers.appservices import Delivery
from tests.support import encryption
from tests.support.appservices import HS_TOKEN, Appservice, AppserviceUser, make_user, registration
from tests.support.homeserver import homeserver
from tests.support.pairs import Town
from tests.support.remote_invites import OtherRoom
from tests.support.remote_server import remote_server

HURRY = Delivery(first_pause_s=0.05, longest_pause_s=0.2)


def bodies(events: list[dict[str, Any]]) -> list[str]:
    return [event["content"]["body"] for event in events if event["type"] == "m.room.message"]


async def test_events_of_interest_in_order(tmp_path: Path) -> None:
    bridge = Appservice()
    async with (
        bridge.running(),
        homeserver(tmp_path, delivery=HURRY, appservices=[registration(tmp_path, url=bridge.url)]) as server,
    ):
        alice = await server.register("alice")
        elsewhere = await alice.create_room()
        await alice.send(elsewhere, "not for the bridge")
        room = await alice.create_room(preset="public_chat")
        await alice.send(room, "before")
        user = await make_user(server, "_irc_ann")
        await alice.post(f"/rooms/{room}/invite", {"user_id": user.user_id})
        await user.post(f"/join/{room}")
        for number in range(5):
            await alice.send(room, f"{number}")
        await user.post(f"/rooms/{room}/leave")
        await alice.send(room, "after")
        await alice.send(elsewhere, "nor this")
        await bridge.until(lambda: any(is_leave(event) for event in bridge.events()))
        await asyncio.sleep(0.2)
        events = bridge.events()
        assert bodies(events) == ["0", "1", "2", "3", "4"]
        shown = [event["content"]["membership"] for event in events if event["type"] == "m.room.member"]
        assert shown == ["invite", "join", "leave"]
        assert {event["room_id"] for event in events} == {room}
        assert {item.token for item in bridge.transactions} == {HS_TOKEN}
        paths = [item.path for item in bridge.transactions]
        assert len(set(paths)) == len(paths)


def is_leave(event: dict[str, Any]) -> bool:
    return event["type"] == "m.room.member" and event["content"]["membership"] == "leave"


async def test_rooms_and_aliases_of_its_namespaces(tmp_path: Path) -> None:
    bridge = Appservice()
    spaces = {"aliases": [{"regex": "#logged_.*"}], "rooms": [{"regex": "!"}]}
    files = [
        registration(tmp_path, url=bridge.url, namespaces={"aliases": spaces["aliases"]}),
    ]
    every = Appservice()
    files.append(
        registration(
            tmp_path,
            id="every",
            as_token="x",
            sender_localpart="every",
            url=every.url,
            namespaces={"rooms": spaces["rooms"]},
        )
    )
    async with (
        bridge.running(),
        every.running(),
        homeserver(tmp_path, delivery=HURRY, appservices=files) as server,
    ):
        alice = await server.register("alice")
        plain = await alice.create_room()
        named = await alice.create_room(room_alias_name="logged_1")
        await alice.send(plain, "plain")
        await alice.send(named, "named")
        await bridge.until(lambda: bodies(bridge.events()) == ["named"])
        await every.until(lambda: bodies(every.events()) == ["plain", "named"])


async def test_it_is_told_again_until_it_has_heard(tmp_path: Path) -> None:
    bridge = Appservice()
    refused = 0

    def refuse(asked: Any) -> tuple[int, Any]:
        nonlocal refused
        refused += 1
        return (500, {"errcode": "M_UNKNOWN"}) if refused < 4 else (200, {})

    bridge.answer = refuse
    async with (
        bridge.running(),
        homeserver(tmp_path, delivery=HURRY, appservices=[registration(tmp_path, url=bridge.url)]) as server,
    ):
        user = await make_user(server, "_irc_ann")
        room = await user.create_room()
        await user.send(room, "first")
        await bridge.until(lambda: "first" in bodies(bridge.events()))
        await user.send(room, "second")
        await bridge.until(lambda: "second" in bodies(bridge.events()))
        first = bridge.transactions[0]
        again = [item for item in bridge.transactions if item.path == first.path]
        assert len(again) == 4
        assert [item.body for item in again] == [first.body] * 4
        assert bridge.transactions[:4] == again, "nothing overtakes it"


async def test_restarts_of_both_sides(tmp_path: Path) -> None:
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url)]
    async with bridge.running(), homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        user = await make_user(server, "_irc_ann")
        room = await user.create_room()
        await user.send(room, "heard")
        await bridge.until(lambda: "heard" in bodies(bridge.events()))
    refused: list[Any] = []

    def refuse(asked: Any) -> tuple[int, Any]:
        refused.append(asked)
        return 503, {"errcode": "M_UNKNOWN"}

    async with homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        user = AppserviceUser(server, user.user_id)
        async with bridge.running():
            bridge.answer = refuse
            await user.put(f"/rooms/{room}/send/m.room.message/a", {"body": "refused"})
            await bridge.until(lambda: refused)
        await user.put(f"/rooms/{room}/send/m.room.message/b", {"body": "unheard"})
    async with homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        user = AppserviceUser(server, user.user_id)
        await user.put(f"/rooms/{room}/send/m.room.message/c", {"body": "after the restart"})
        await asyncio.sleep(0.2)
        bridge.asked.clear()
        bridge.answer = lambda asked: (200, {})
        async with bridge.running():
            await bridge.until(lambda: "after the restart" in bodies(bridge.events()))
    assert (bridge.transactions[0].path, bridge.transactions[0].body) == (refused[0].path, refused[0].body)
    assert bodies(bridge.events()) == ["refused", "unheard", "after the restart"]


async def test_one_that_never_answers_slows_nobody_down(tmp_path: Path) -> None:
    stuck = Appservice()

    async def never(asked: Any) -> tuple[int, Any]:
        await asyncio.sleep(3600)
        return 200, {}

    stuck.answer = never
    bridge, away = Appservice(), Appservice()
    everyone = {"users": [{"regex": ".*"}]}
    files = [
        registration(tmp_path, url=bridge.url),
        registration(
            tmp_path, id="stuck", as_token="s", sender_localpart="s", url=stuck.url, namespaces=everyone
        ),
        registration(
            tmp_path, id="away", as_token="w", sender_localpart="w", url=away.url, namespaces=everyone
        ),
    ]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bridge.running())
        await stack.enter_async_context(stuck.running())
        server = await stack.enter_async_context(homeserver(tmp_path, delivery=HURRY, appservices=files))
        user = await make_user(server, "_irc_ann")
        async with asyncio.timeout(10):
            room = await user.create_room()
            for number in range(20):
                await user.send(room, f"{number}")
            await bridge.until(lambda: len(bodies(bridge.events())) == 20)
        assert len(stuck.transactions) == 1


async def test_ephemeral_data(tmp_path: Path) -> None:
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url, receive_ephemeral=True)]
    async with bridge.running(), homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        alice = await server.register("alice")
        user = await make_user(server, "_irc_ann")
        room = await alice.create_room(preset="public_chat")
        await user.post(f"/join/{room}")
        other = await alice.create_room()
        event_id = await user.send(room, "read me")
        await alice.put(f"/rooms/{other}/typing/{alice.user_id}", {"typing": True, "timeout": 5000})
        await alice.put(f"/rooms/{room}/typing/{alice.user_id}", {"typing": True, "timeout": 5000})
        await alice.post(f"/rooms/{room}/receipt/m.read/{event_id}")
        await alice.put(f"/presence/{alice.user_id}/status", {"presence": "online", "status_msg": "here"})
        own = await alice.send(room, "for the bridge")
        await user.post(f"/rooms/{room}/receipt/m.read.private/{own}")

        def kinds() -> set[str]:
            return {item["type"] for item in bridge.all_of("ephemeral")}

        await bridge.until(lambda: kinds() == {"m.typing", "m.receipt", "m.presence"})
        await bridge.until(lambda: "m.read.private" in str(bridge.all_of("ephemeral")))
        found = bridge.all_of("ephemeral")
        typing = [item for item in found if item["type"] == "m.typing"]
        assert {item["room_id"] for item in typing} == {room}
        assert typing[0]["content"] == {"user_ids": [alice.user_id]}
        receipts = [item for item in found if item["type"] == "m.receipt"]
        assert receipts[0]["room_id"] == room
        assert alice.user_id in receipts[0]["content"][event_id]["m.read"]
        presence = next(item for item in found if item["type"] == "m.presence")
        assert presence["sender"] == alice.user_id
        private = await alice.send(room, "my own business")
        await alice.post(f"/rooms/{room}/receipt/m.read.private/{private}")
        await user.send(room, "later")
        await bridge.until(lambda: "later" in bodies(bridge.events()))
        assert private not in str(bridge.all_of("ephemeral"))


async def test_nothing_ephemeral_unless_wanted(tmp_path: Path) -> None:
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url)]
    async with bridge.running(), homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        user = await make_user(server, "_irc_ann")
        room = await user.create_room()
        await user.put(f"/rooms/{room}/typing/{user.user_id}", {"typing": True, "timeout": 5000})
        await user.send(room, "done")
        await bridge.until(lambda: "done" in bodies(bridge.events()))
        assert {key for item in bridge.transactions for key in item.body} == {"events"}


async def test_what_encryption_needs(tmp_path: Path) -> None:
    bridge = Appservice()
    settings: dict[str, Any] = {"org.matrix.msc3202": True, "de.sorunome.msc2409.push_ephemeral": True}
    files = [registration(tmp_path, url=bridge.url, **settings)]
    async with bridge.running(), homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        alice = await server.register("alice")
        user = await make_user(server, "_irc_ann")
        await user.put("/devices/DEV", {}, status=201)
        device = AppserviceUser(server, user.user_id, "DEV")
        body = {
            "device_keys": encryption.device_keys(user.user_id, "DEV"),
            "one_time_keys": encryption.one_time_keys(user.user_id, "DEV", 1, 2),
        }
        await device.post("/keys/upload", body)
        counts = "org.matrix.msc3202.device_one_time_keys_count"
        fallback = "org.matrix.msc3202.device_unused_fallback_key_types"

        def last_count() -> Any:
            told = [item.body[counts] for item in bridge.transactions if counts in item.body]
            return told[-1][user.user_id]["DEV"]["signed_curve25519"] if told else None

        await bridge.until(lambda: last_count() == 2)
        assert any(item.body.get(fallback) == {user.user_id: {"DEV": []}} for item in bridge.transactions)
        await alice.post("/keys/claim", {"one_time_keys": {user.user_id: {"DEV": "signed_curve25519"}}})
        await bridge.until(lambda: last_count() == 1)

        content = {"messages": {user.user_id: {"DEV": {"secret": 1}}, alice.user_id: {"*": {"secret": 2}}}}
        await alice.put("/sendToDevice/m.test/1", content)
        key = "de.sorunome.msc2409.to_device"
        await bridge.until(lambda: bridge.all_of(key))
        assert bridge.all_of(key) == [
            {
                "type": "m.test",
                "sender": alice.user_id,
                "content": {"secret": 1},
                "to_user_id": user.user_id,
                "to_device_id": "DEV",
            }
        ]
        await asyncio.sleep(0.1)
        assert "to_device" not in await device.get("/sync"), "nobody else is to be told"
        assert (await alice.get("/sync"))["to_device"]["events"][0]["content"] == {"secret": 2}

        lists = "org.matrix.msc3202.device_lists"

        def told_of(what: str) -> set[str]:
            return {
                name for item in bridge.transactions if lists in item.body for name in item.body[lists][what]
            }

        room = await alice.create_room(preset="public_chat")
        await user.post(f"/join/{room}")
        await alice.post(
            "/keys/upload", {"device_keys": encryption.device_keys(alice.user_id, alice.device_id)}
        )
        await bridge.until(lambda: alice.user_id in told_of("changed"))
        await alice.post(f"/rooms/{room}/leave")
        await bridge.until(lambda: alice.user_id in told_of("left"))


async def test_key_counts_of_many_users_at_once(tmp_path: Path) -> None:
    few = replace(HURRY, max_users=2, gather_s=0.3)
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url, **{"org.matrix.msc3202": True})]
    async with bridge.running(), homeserver(tmp_path, delivery=few, appservices=files) as server:
        alice = await server.register("alice")
        users = [await make_user(server, f"_irc_{number}") for number in range(5)]
        for user in users:
            await user.put("/devices/DEV", {}, status=201)
            body = {
                "device_keys": encryption.device_keys(user.user_id, "DEV"),
                "one_time_keys": encryption.one_time_keys(user.user_id, "DEV", 1, 2),
            }
            await AppserviceUser(server, user.user_id, "DEV").post("/keys/upload", body)

        def told() -> dict[str, int]:
            counts = "org.matrix.msc3202.device_one_time_keys_count"
            found = [item.body.get(counts, {}) for item in bridge.transactions]
            assert all(len(users) <= 2 for users in found)
            return {name: item["DEV"]["signed_curve25519"] for users in found for name, item in users.items()}

        await bridge.until(lambda: told() == {user.user_id: 2 for user in users})
        wanted = {user.user_id: {"DEV": "signed_curve25519"} for user in users}
        await alice.post("/keys/claim", {"one_time_keys": wanted})
        await bridge.until(lambda: told() == {user.user_id: 1 for user in users})


async def test_a_new_service_is_not_told_of_the_past(tmp_path: Path) -> None:
    everything = {"rooms": [{"regex": "!"}]}
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room = await alice.create_room()
        await alice.send(room, "long ago")
        token = alice.token
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url, namespaces=everything)]
    async with bridge.running(), homeserver(tmp_path, delivery=HURRY, appservices=files) as server:
        alice = server.client()
        alice.token = token
        await alice.put(f"/rooms/{room}/send/m.room.message/now", {"body": "now"})
        await bridge.until(lambda: bodies(bridge.events()))
        assert bodies(bridge.events()) == ["now"]


async def test_one_of_two_processes_sends_and_the_other_takes_over(tmp_path: Path) -> None:
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url)]
    async with bridge.running(), AsyncExitStack() as stack:
        first = AsyncExitStack()
        server = await first.enter_async_context(homeserver(tmp_path, delivery=HURRY, appservices=files))
        other = await stack.enter_async_context(homeserver(tmp_path, delivery=HURRY, appservices=files))
        user = await make_user(server, "_irc_ann")
        room = await user.create_room()
        elsewhere = AppserviceUser(other, user.user_id)
        await elsewhere.put(f"/rooms/{room}/send/m.room.message/a", {"body": "by the other"})
        await user.send(room, "by the first")
        await bridge.until(lambda: len(bodies(bridge.events())) == 2)
        await first.aclose()
        await elsewhere.put(f"/rooms/{room}/send/m.room.message/b", {"body": "alone"})
        await bridge.until(lambda: len(bodies(bridge.events())) == 3)
        assert bodies(bridge.events()) == ["by the other", "by the first", "alone"]
        assert len({item.path for item in bridge.transactions}) == len(bridge.transactions)


async def test_a_ping_that_succeeds_ends_the_wait(tmp_path: Path) -> None:
    patient = Delivery(first_pause_s=60.0)
    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url)]
    async with homeserver(tmp_path, delivery=patient, appservices=files) as server:
        user = await make_user(server, "_irc_ann")
        room = await user.create_room()
        await user.send(room, "while it was away")
        await asyncio.sleep(0.3)
        async with bridge.running():
            await AppserviceUser(server).request("POST", "/client/v1/appservice/bridge/ping", {})
            await bridge.until(lambda: "while it was away" in bodies(bridge.events()))


async def test_an_invite_to_a_room_that_is_not_here(tmp_path: Path) -> None:
    bridge = Appservice()
    town = Town.of(tmp_path, "hs1.test", "remote.example")
    file = registration(tmp_path, url=bridge.url)
    async with (
        bridge.running(),
        town.homeserver("hs1.test", delivery=HURRY, appservices=[file]) as server,
        remote_server(town, "remote.example", now_ms=server.clock.now_ms) as remote,
    ):
        user, alice = await make_user(server, "_irc_ann"), await server.register("alice")
        room = OtherRoom(remote)
        invite, leave = room.membership(user.user_id, "invite"), room.membership(user.user_id, "leave")
        await room.invite(server, room.membership(alice.user_id, "invite"))
        await room.invite(server, invite)
        await bridge.until(bridge.events)
        await server.services.federation.received_invites.end(leave.pdu)
        await bridge.until(lambda: any(is_leave(event) for event in bridge.events()))
        assert [event["event_id"] for event in bridge.events()] == [invite.event_id, leave.event_id]
