"""Rooms of other servers are used before all of their members are known (MSC3706, MSC3902)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pytest

from palpo.core.events import SignedEvent
from palpo.core.state_keys import MEMBER, POWER_LEVELS
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER
from tests.support.resident import FEDERATION, Resident, refusal

CAROL = f"@carol:{SERVER}"
LAZY = orjson.dumps({"room": {"state": {"lazy_load_members": True}}}).decode()


class PartialResident(Resident):
    """One that leaves members out, and keeps the state back until it is told to give it."""

    def __init__(self, remote: RemoteServer, room: RemoteRoom) -> None:
        super().__init__(remote, room)
        self.queries: list[dict[str, list[str]]] = []
        self.state_asked = asyncio.Event()
        self.given = asyncio.Event()
        self.states: dict[str, list[SignedEvent]] = {}
        """By event, the state before it, or, where a test has not said otherwise, after it."""
        remote.answers["GET", f"{FEDERATION}/v1/state_ids/"] = self.state_ids
        remote.answers["GET", f"{FEDERATION}/v1/state/"] = self.state
        remote.answers["GET", f"{FEDERATION}/v1/event/"] = self.event
        remote.answers["GET", f"{FEDERATION}/v1/event_auth/"] = self.event_auth

    async def send(self, asked: Asked) -> Any:
        self.queries.append(parse_qs(urlsplit(asked.uri).query))
        (last,) = self.room.last
        self.states.setdefault(last, list(self.room.state.values()))
        return await super().send(asked)

    def _joined(self, event: SignedEvent, state: Any) -> dict[str, Any]:
        few = {key: item for key, item in state.items() if key[0] != MEMBER or key[1] == event.state_key}
        told = super()._joined(event, few)
        return {**told, "members_omitted": True, "servers_in_room": [self.remote.name]}

    async def make(self, asked: Asked) -> Any:
        """For nobody who is banned."""
        user_id = unquote(urlsplit(asked.uri).path.rsplit("/", 1)[-1])
        there = self.room.state.get((MEMBER, user_id))
        if there is not None and there.content["membership"] == "ban":
            return refusal(403, "M_FORBIDDEN")
        return await super().make(asked)

    async def state_ids(self, asked: Asked) -> Any:
        self.state_asked.set()
        await self.given.wait()
        state, chain = self._at(asked)
        return {
            "pdu_ids": [item.event_id for item in state],
            "auth_chain_ids": [item.event_id for item in chain],
        }

    async def state(self, asked: Asked) -> Any:
        state, chain = self._at(asked)
        return {"pdus": [item.pdu for item in state], "auth_chain": [item.pdu for item in chain]}

    async def event(self, asked: Asked) -> Any:
        event = self.room.events[unquote(asked.uri.rsplit("/", 1)[-1])]
        return {"origin": self.remote.name, "origin_server_ts": 1, "pdus": [event.pdu]}

    async def event_auth(self, asked: Asked) -> Any:
        event = self.room.events[unquote(asked.uri.rsplit("/", 1)[-1])]
        return {"auth_chain": [item.pdu for item in self.room.auth_chain([event])]}

    def _at(self, asked: Asked) -> tuple[list[SignedEvent], list[SignedEvent]]:
        (event_id,) = parse_qs(urlsplit(asked.uri).query)["event_id"]
        state = self.states[event_id]
        return state, self.room.auth_chain(state)


@pytest.fixture
def room() -> RemoteRoom:
    room = RemoteRoom()
    room.add(CAROL, (MEMBER, CAROL), {"membership": "join"})
    return room


@pytest.fixture
def resident(remote: RemoteServer, room: RemoteRoom) -> PartialResident:
    return PartialResident(remote, room)


async def join(client: Client, room: RemoteRoom) -> None:
    await client.post(f"/join/{room.room_id}", params={"via": SERVER})


async def completed(server: Homeserver, resident: PartialResident) -> None:
    """The state is given, and the room made whole."""
    resident.given.set()
    await server.services.federation.partial_rooms.look()
    await server.services.federation.partial_rooms.settled()


async def rooms(client: Client, **params: str) -> Any:
    return (await client.get("/sync", params=params)).get("rooms", {}).get("join", {})


async def send(server: Homeserver, remote: RemoteServer, *events: SignedEvent, edus: Any = ()) -> Any:
    content = {
        "origin": remote.name,
        "origin_server_ts": 1,
        "pdus": [event.pdu for event in events],
        "edus": list(edus),
    }
    path = f"{FEDERATION}/v1/send/{len(remote.asked)}-{id(content)}"
    answer = await remote.ask(server, "PUT", path, content)
    await server.services.federation.gaps.settled()
    return answer


async def test_what_is_known_at_once(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    await join(alice, room)
    assert resident.queries == [{"omit_members": ["true"]}]
    assert await server.services.federation.room_servers.joined(room.room_id) == {SERVER}
    assert room.room_id in await rooms(alice, filter=LAZY)
    assert room.room_id not in await rooms(alice)
    typing = {"room_id": room.room_id, "user_id": CAROL, "typing": True}
    await send(server, remote, edus=[{"edu_type": "m.typing", "content": typing}])
    told = (await rooms(alice, filter=LAZY))[room.room_id]
    assert told["ephemeral"]["events"][0]["content"] == {"user_ids": [CAROL]}
    await completed(server, resident)
    state = (await rooms(alice))[room.room_id]["state"]["events"]
    assert {item["state_key"] for item in state if item["type"] == MEMBER} == {BOB, CAROL}


async def test_many_members(
    server: Homeserver, alice: Client, room: RemoteRoom, resident: PartialResident
) -> None:
    users = [f"@user{number}:{SERVER}" for number in range(30)]
    for user in users:
        room.add(user, (MEMBER, user), {"membership": "join"})
        room.add(user, (MEMBER, user), {"membership": "join", "displayname": "Somebody"})
    await join(alice, room)
    await completed(server, resident)
    told = (await alice.get(f"/rooms/{room.room_id}/members"))["chunk"]
    names = {item["state_key"]: item["content"].get("displayname") for item in told}
    assert names.keys() == {alice.user_id, BOB, CAROL, *users}
    assert {names[user] for user in users} == {"Somebody"}


async def test_what_was_set_right_before_the_join(
    server: Homeserver, alice: Client, room: RemoteRoom, resident: PartialResident
) -> None:
    """It is in no state that is told: that has what was set before."""
    topics = [room.event(BOB, ("m.room.topic", ""), {"topic": f"{number}"}) for number in range(2)]
    # The later one counts, whatever their IDs.
    last, before = sorted(topics, key=lambda item: item.event_id)
    room.take(before)
    resident.states[last.event_id] = list(room.state.values())
    room.take(last)
    await join(alice, room)
    await completed(server, resident)
    topic = await alice.get(f"/rooms/{room.room_id}/state/m.room.topic")
    assert topic == last.content


async def test_members_are_waited_for(
    server: Homeserver, alice: Client, room: RemoteRoom, resident: PartialResident
) -> None:
    await join(alice, room)
    waits = asyncio.ensure_future(alice.get(f"/rooms/{room.room_id}/members"))
    joined = asyncio.ensure_future(alice.get(f"/rooms/{room.room_id}/joined_members"))
    await server.services.federation.partial_rooms.look()
    await resident.state_asked.wait()
    assert not waits.done()
    assert not joined.done()
    await completed(server, resident)
    assert {item["state_key"] for item in (await waits)["chunk"]} == {alice.user_id, BOB, CAROL}
    assert (await joined)["joined"].keys() == {alice.user_id, BOB, CAROL}


async def test_senders_are_told_with_what_they_send(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    await join(alice, room)
    await send(server, remote, room.add(CAROL, "m.room.message", {"body": "Hello"}))
    told = (await rooms(alice, filter=LAZY))[room.room_id]
    assert told["timeline"]["events"][-1]["content"] == {"body": "Hello"}
    members = {item["state_key"] for item in told["state"]["events"] if item["type"] == MEMBER}
    assert CAROL in members
    assert BOB not in members
    await completed(server, resident)


async def test_what_was_believed_wrongly(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    """Dave had left, and the room was not to be named, nor Carol kicked, by him."""
    dave = f"@dave:{SERVER}"
    levels = {"users": {BOB: 100, dave: 100, CAROL: 50}}
    room.add(BOB, POWER_LEVELS, levels)
    there = room.add(dave, (MEMBER, dave), {"membership": "join"})
    room.add(dave, (MEMBER, dave), {"membership": "leave"})
    await join(alice, room)
    auth = [room.state[key].event_id for key in ((POWER_LEVELS), (MEMBER, CAROL))]
    auth += [there.event_id, next(name for name, item in room.events.items() if item.type == "m.room.create")]
    kick = room.event(dave, (MEMBER, CAROL), {"membership": "leave"}, auth=auth)
    topic = room.event(CAROL, ("m.room.topic", ""), {"topic": "Mine"}, after=(kick.event_id,))
    room.take(topic)
    await send(server, remote, kick, topic)
    token = (await alice.get("/sync", params={"filter": LAZY}))["next_batch"]
    path = f"/rooms/{room.room_id}/event"
    await alice.get(f"{path}/{kick.event_id}")
    await alice.get(f"{path}/{topic.event_id}", status=404)
    await completed(server, resident)
    await alice.get(f"{path}/{kick.event_id}", status=404)
    assert (await alice.get(f"{path}/{topic.event_id}"))["content"] == {"topic": "Mine"}
    told = (await rooms(alice, since=token, filter=LAZY))[room.room_id]
    assert [item["event_id"] for item in told["timeline"]["events"]] == [topic.event_id]
    carol = await alice.get(f"/rooms/{room.room_id}/state/{MEMBER}/{CAROL}")
    assert carol["membership"] == "join"


async def test_a_restart_goes_on(town: Town, room: RemoteRoom) -> None:
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        resident = PartialResident(remote, room)
        alice = await server.register("alice")
        await join(alice, room)
        await server.services.federation.partial_rooms.look()
        await resident.state_asked.wait()
    # It asks as soon as it runs.
    async with (
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
        town.homeserver("hs1.test") as again,
    ):
        states = resident.states
        resident = PartialResident(remote, room)
        resident.states = states
        client = Client(again.http, alice.user_id, alice.token, alice.device_id)
        assert room.room_id not in await rooms(client)
        again.clock.advance(60_000)
        await completed(again, resident)
        assert room.room_id in await rooms(client)


async def test_leaving_ends_it(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    remote.answers["GET", f"{FEDERATION}/v1/state_ids/"] = {"pdu_ids": [], "auth_chain_ids": []}
    partial = server.services.federation.partial_rooms
    await join(alice, room)
    await partial.look()
    await partial.settled()
    await alice.post(f"/rooms/{room.room_id}/leave")
    asked = len(remote.asked)
    server.clock.advance(60_000)
    await partial.look()
    await partial.settled()
    assert not [item for item in remote.asked[asked:] if "/state_ids/" in item.uri]
    history = server.services.history
    head = await history.room_heads.get(room.room_id)
    assert not head.row.is_partial
    # Whoever joins again after the leave finds members missing as before.
    left = await history.events.signed(head.row.extremities)
    for event in left.values():
        room.take(event)
    await join(alice, room)
    assert (await history.room_heads.get(room.room_id)).row.is_partial
    remote.answers["GET", f"{FEDERATION}/v1/state_ids/"] = resident.state_ids
    resident.states |= {name: list(room.state.values()) for name in left}
    await completed(server, resident)
    members = await alice.get(f"/rooms/{room.room_id}/joined_members")
    assert CAROL in members["joined"]


async def test_others_are_not_let_in(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    await join(alice, room)
    for name in ("make_join", "make_knock"):
        path = f"{FEDERATION}/v1/{name}/{room.room_id}/@eve:{SERVER}?ver=11"
        answer = await remote.raw(server, "GET", path)
        assert (answer.status_code, answer.json()["errcode"]) == (404, "M_NOT_FOUND")
    await completed(server, resident)


async def test_another_user_is_let_in_by_who_knows_all_members(
    server: Homeserver, alice: Client, room: RemoteRoom, resident: PartialResident
) -> None:
    ivan, erin = await server.register("ivan"), await server.register("erin")
    room.add(BOB, (MEMBER, ivan.user_id), {"membership": "ban"})
    await join(alice, room)
    refused = await ivan.post(f"/join/{room.room_id}", params={"via": SERVER}, status=403)
    assert refused["errcode"] == "M_FORBIDDEN"
    path = f"/rooms/{room.room_id}/state/{MEMBER}/{ivan.user_id}"
    await ivan.put(path, {"membership": "join"}, status=403)
    await join(erin, room)
    assert [event.state_key for event in resident.taken] == [alice.user_id, erin.user_id]
    news = (await rooms(erin, filter=LAZY))[room.room_id]["timeline"]["events"]
    assert news[-1]["event_id"] == resident.taken[-1].event_id
    assert room.room_id not in await rooms(ivan, filter=LAZY)
    # What they call themselves is nobody else's business.
    asked = len(resident.asked)
    await erin.put(f"/profile/{erin.user_id}/displayname", {"displayname": "Erin"})
    assert len(resident.asked) == asked
    await completed(server, resident)
    await ivan.post(f"/join/{room.room_id}", status=403)
    assert len(resident.asked) == asked


async def test_another_user_waits_where_nobody_says_whether_they_may_join(
    server: Homeserver, alice: Client, remote: RemoteServer, room: RemoteRoom, resident: PartialResident
) -> None:
    ivan, erin = await server.register("ivan"), await server.register("erin")
    room.add(BOB, (MEMBER, ivan.user_id), {"membership": "ban"})
    await join(alice, room)
    remote.answers["GET", f"{FEDERATION}/v1/make_join/"] = refusal(500, "M_UNKNOWN")
    banned = asyncio.ensure_future(ivan.post(f"/join/{room.room_id}", status=403))
    free = asyncio.ensure_future(erin.post(f"/join/{room.room_id}"))
    await server.services.federation.partial_rooms.look()
    await resident.state_asked.wait()
    assert not banned.done()
    assert not free.done()
    await completed(server, resident)
    await asyncio.gather(banned, free)
    assert room.room_id in await rooms(erin)


async def test_it_can_be_turned_off(town: Town, room: RemoteRoom) -> None:
    async with (
        town.homeserver("hs1.test", federation={"partial_joins": False}) as server,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        resident = Resident(remote, room)
        await join(await server.register("alice"), room)
        assert all("omit_members" not in asked.uri for asked in resident.asked)
