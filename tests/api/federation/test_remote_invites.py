"""Users of ours invite users of other servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from palpo.core.event_hashes import add_signature
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.room_versions import room_version
from palpo.core.signing import SigningKey
from palpo.services.rooms import invites_elsewhere
from tests.support.federated_rooms import bodies, listens, transactions, until, until_found
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER
from tests.support.resident import FEDERATION, refusal

V1, V2 = ("PUT", f"{FEDERATION}/v1/invite/"), ("PUT", f"{FEDERATION}/v2/invite/")


class Invited:
    """Signs invites."""

    def __init__(self, remote: RemoteServer, version: str) -> None:
        self.remote = remote
        self.rules = room_version(version)
        self.key: SigningKey = KEY
        self.events: list[SignedEvent] = []
        self.shown: list[Any] = []
        self.changes: dict[str, Any] = {}

    async def second(self, asked: Asked) -> Any:
        """PUT /v2/invite."""
        body = self.remote.content()
        assert body["room_version"] == self.rules.id
        self.shown = body["invite_room_state"]
        return {"event": self._sign(asked, body["event"])}

    async def first(self, asked: Asked) -> Any:
        """PUT /v1/invite."""
        event = self.remote.content()
        self.shown = event["unsigned"]["invite_room_state"]
        return [200, {"event": self._sign(asked, event)}]

    def _sign(self, asked: Asked, pdu: dict[str, Any]) -> dict[str, Any]:
        event = parse_pdu(self.rules, pdu)
        assert event.event_id == unquote(asked.uri.split("/")[-1])
        self.events.append(event)
        return {**add_signature(self.rules, pdu, self.remote.name, self.key), **self.changes}


async def membership(client: Client, room_id: str, *, status: int = 200) -> Any:
    return await client.get(f"/rooms/{room_id}/state/m.room.member/{BOB}", status=status)


@pytest.mark.parametrize(("version", "newest"), [("1", 1), ("2", 2), ("10", 2), ("12", 2)])
async def test_an_invite(alice: Client, remote: RemoteServer, version: str, newest: int) -> None:
    invited = Invited(remote, version)
    remote.answers[V1] = invited.first
    if newest == 2:
        remote.answers[V2] = invited.second
    room_id = await alice.create_room(name="Tea", room_version=version)
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB, "reason": "tea"})
    (event,) = invited.events
    assert event.content == {"membership": "invite", "reason": "tea"}
    assert await membership(alice, room_id) == event.content
    shown = {item["type"]: item for item in invited.shown}
    assert {"m.room.create", "m.room.name", "m.room.join_rules", "m.room.member"} <= set(shown)
    assert all("signatures" in item and "auth_events" in item for item in shown.values())
    await alice.send(room_id, "and on it goes")


@pytest.mark.parametrize(
    ("status", "errcode", "told", "as_"),
    [
        (403, "M_FORBIDDEN", 403, "M_FORBIDDEN"),
        (403, "M_INVITE_BLOCKED", 403, "M_INVITE_BLOCKED"),
        (400, "M_INCOMPATIBLE_ROOM_VERSION", 400, "M_INCOMPATIBLE_ROOM_VERSION"),
        (500, "M_UNKNOWN", 404, "M_NOT_FOUND"),
    ],
)
async def test_refusals(
    alice: Client, remote: RemoteServer, status: int, errcode: str, told: int, as_: str
) -> None:
    remote.answers[V2] = refusal(status, errcode)
    room_id = await alice.create_room()
    answer = await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=told)
    assert answer["errcode"] == as_
    await membership(alice, room_id, status=404)


async def test_a_server_that_is_away(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=404)
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": "@bob:nowhere.example"}, status=404)
    await membership(alice, room_id, status=404)


async def test_who_may_not_invite_asks_nobody(
    server: Homeserver, alice: Client, remote: RemoteServer
) -> None:
    room_id = await alice.create_room()
    carol = await server.register("carol")
    await carol.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=403)
    assert not remote.asked


@pytest.mark.parametrize("wrong", ["unsigned", "changed", "other key", "nonsense"])
async def test_signatures(alice: Client, remote: RemoteServer, wrong: str) -> None:
    invited = Invited(remote, "12")
    remote.answers[V2] = invited.second
    room_id = await alice.create_room()
    taken = False
    if wrong == "unsigned":
        invited.changes = {"signatures": {}}
    elif wrong == "nonsense":
        invited.changes = {"signatures": {SERVER: {"ed25519:1": "x", "x": "y" * 70_000}}}
    elif wrong == "other key":
        invited.key = SigningKey(key_id="ed25519:1", seed=bytes(32))
    else:
        # Only the signature is taken of what comes back.
        invited.changes, taken = {"content": {"membership": "join"}, "sender": BOB}, True
    answer = await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=None)
    assert ("errcode" not in answer) is taken
    if taken:
        assert await membership(alice, room_id) == {"membership": "invite"}
    else:
        await membership(alice, room_id, status=404)


async def test_the_room_goes_on_meanwhile(server: Homeserver, alice: Client, remote: RemoteServer) -> None:
    invited = Invited(remote, "12")
    room_id = await alice.create_room()

    async def later(asked: Asked) -> Any:
        await alice.send(room_id, "meanwhile")
        return await invited.second(asked)

    remote.answers[V2] = later
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB})
    assert (await membership(alice, room_id))["membership"] == "invite"
    await alice.send(room_id, "after")
    chunk = (await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=3"))["chunk"]
    assert [item["type"] for item in chunk] == ["m.room.message", "m.room.member", "m.room.message"]


async def test_an_invite_that_comes_too_late(server: Homeserver, alice: Client, remote: RemoteServer) -> None:
    invited = Invited(remote, "12")
    room_id = await alice.create_room()

    async def later(asked: Asked) -> Any:
        await alice.post(f"/rooms/{room_id}/ban", {"user_id": BOB})
        return await invited.second(asked)

    remote.answers[V2] = later
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=403)
    assert (await membership(alice, room_id))["membership"] == "ban"


async def test_a_room_is_created_with_an_invite(alice: Client, remote: RemoteServer) -> None:
    invited = Invited(remote, "12")
    remote.answers[V2] = invited.second
    room_id = await alice.create_room(invite=[BOB], is_direct=True)
    assert await membership(alice, room_id) == {"membership": "invite", "is_direct": True}


OTHER = "other.example"
CAROL = f"@carol:{OTHER}"


@asynccontextmanager
async def two_others(folder: Path) -> AsyncIterator[tuple[Client, Invited, Invited]]:
    """A user of ours, and two other servers."""
    town = Town.of(folder, "hs1.test", SERVER, OTHER)
    async with town.homeserver("hs1.test") as ours, AsyncExitStack() as stack:
        found = []
        for name, key in ((SERVER, KEY), (OTHER, SigningKey(key_id="ed25519:2", seed=b"other" + bytes(27)))):
            server = remote_server(town, name, key=key, now_ms=ours.clock.now_ms)
            invited = Invited(await stack.enter_async_context(server), "12")
            invited.key = key
            invited.remote.answers[V2] = invited.second
            found.append(invited)
        yield await ours.register("alice"), found[0], found[1]


async def invited_users(client: Client, room_id: str) -> set[str]:
    answer = await client.get(f"/rooms/{room_id}/members", params={"membership": "invite"})
    return {item["state_key"] for item in answer["chunk"]}


async def test_servers_are_asked_at_once(tmp_path: Path) -> None:
    """Each signs only when the other was asked too; the room goes on after both."""
    async with two_others(tmp_path) as (alice, *both):
        asked = {invited.remote.name: asyncio.Event() for invited in both}

        async def sign(invited: Invited, item: Asked) -> Any:
            signed = await invited.second(item)
            asked[invited.remote.name].set()
            for event in asked.values():
                await event.wait()
            return signed

        for invited in both:
            invited.remote.answers[V2] = partial(sign, invited)
        room_id = await alice.create_room(invite=[BOB, CAROL])
        assert await invited_users(alice, room_id) == {BOB, CAROL}
        await alice.send(room_id, "and on it goes")
        assert await invited_users(alice, room_id) == {BOB, CAROL}


async def test_who_makes_a_room_waits_for_no_server_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its invite goes on, and comes when it answers after all."""
    async with two_others(tmp_path) as (alice, _, slow):
        go = asyncio.Event()

        async def sign(item: Asked) -> Any:
            await go.wait()
            return await slow.second(item)

        slow.remote.answers[V2] = sign
        monkeypatch.setattr(invites_elsewhere, "PATIENCE_S", 0.2)
        room_id = await alice.create_room(invite=[BOB, CAROL])
        assert CAROL not in await invited_users(alice, room_id)
        go.set()
        news = await alice.get("/sync")
        async with asyncio.timeout(20):
            while await invited_users(alice, room_id) != {BOB, CAROL}:
                news = await alice.get("/sync", params={"since": news["next_batch"], "timeout": 200})


async def test_one_that_is_taken_back_while_its_server_is_away_is_told_after_a_restart(town: Town) -> None:
    """Nobody of that server is in the room, and it is told of nothing else that happens there."""
    clock = itertools.count(1_700_000_000_000).__next__
    async with remote_server(town, SERVER, key=KEY, now_ms=clock) as remote:
        invited = Invited(remote, "12")
        remote.answers[V2] = invited.second
        async with town.homeserver("hs1.test") as server:
            alice = await server.register("alice")
            room_id = await alice.create_room()
            await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB})
            await alice.post(f"/rooms/{room_id}/kick", {"user_id": BOB})
            await until_found(lambda: _failing(server))
        assert bodies(remote) == []
        listens(remote)
        remote.asked.clear()
        async with town.homeserver("hs1.test"):
            await until(lambda: transactions(remote))
        told = [pdu for _, content in transactions(remote) for pdu in content["pdus"]]
        assert [pdu["content"]["membership"] for pdu in told] == ["leave"]
        assert told[0]["state_key"] == BOB


async def _failing(server: Homeserver) -> bool:
    return any(item.failures for item in await server.services.federation.destinations.all())
