"""Invites by address, of whose owners another server has the accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.client.test_third_party_invites import (
    IdentityServer,
    by_address,
    identity_server,
)
from tests.support.handshakes import V1, path
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer

REMOTE = "remote.example"
DORA = f"@dora:{REMOTE}"
EXCHANGE = f"{V1}/exchange_third_party_invite"


@pytest.fixture
async def identity() -> AsyncIterator[IdentityServer]:
    async with identity_server() as running:
        yield running


@pytest.fixture
async def server(town: Town, identity: IdentityServer) -> AsyncIterator[Homeserver]:
    servers = [{"name": "id.example", "url": identity.url}]
    async with town.homeserver("hs1.test", identity_servers=servers) as server:
        yield server


def partial(room_id: str, sender: str, signed: dict[str, Any], user_id: str = DORA) -> dict[str, Any]:
    proof = {"display_name": "d", "signed": signed}
    return {
        "type": "m.room.member",
        "room_id": room_id,
        "sender": sender,
        "state_key": user_id,
        "content": {"membership": "invite", "third_party_invite": proof},
    }


async def test_exchanging(
    server: Homeserver, remote: RemoteServer, alice: Client, identity: IdentityServer
) -> None:
    room_id = await alice.create_room()
    other = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    signed = identity.proof(DORA, alice.user_id)
    good = partial(room_id, alice.user_id, signed)
    url = f"{EXCHANGE}{path(room_id)}"
    eve = identity.proof("@eve:elsewhere", alice.user_id)
    for wrong, status in (
        ({**good, "type": "m.room.name"}, 400),
        ({**good, "room_id": other}, 400),
        (partial(room_id, DORA, signed), 403),
        (partial(room_id, "@bob:hs1.test", signed), 403),
        (partial(room_id, alice.user_id, {**signed, "signatures": {}}), 403),
        (partial(room_id, alice.user_id, {**signed, "sender": []}), 403),
        (partial(room_id, alice.user_id, {"mxid": DORA}), 400),
        (partial(room_id, alice.user_id, {"mxid": DORA, "token": 1, "signatures": {}}), 400),
        (partial(room_id, alice.user_id, {"mxid": DORA, "token": "x", "signatures": {}}), 403),
        (partial(room_id, alice.user_id, eve), 403),
        (partial(room_id, alice.user_id, eve, "@eve:elsewhere"), 403),
    ):
        await remote.ask(server, "PUT", url, wrong, status=status)
    away = {**good, "room_id": "!away:hs1.test"}
    await remote.ask(server, "PUT", f"{EXCHANGE}{path('!away:hs1.test')}", away, status=404)
    assert remote.asked == []

    async def sign(asked: Any) -> Any:
        return {"event": remote.content()["event"]}

    remote.answers["PUT", "/_matrix/federation/v2/invite/"] = sign
    await remote.ask(server, "PUT", url, good, status=None)
    asked = remote.content()["event"]
    assert (asked["sender"], asked["state_key"]) == (alice.user_id, DORA)
    assert asked["content"]["third_party_invite"]["signed"] == signed


async def test_an_address_that_was_bound(
    server: Homeserver, remote: RemoteServer, alice: Client, identity: IdentityServer
) -> None:
    dora = await server.register("dora")
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    bob = f"@bob:{REMOTE}"
    invites = [
        {
            "medium": "email",
            "address": "dora@example.org",
            "mxid": mxid,
            "room_id": room,
            "sender": sender,
            "signed": identity.proof(mxid, sender),
        }
        for mxid, room, sender in (
            ("@other:hs1.test", room_id, alice.user_id),
            (dora.user_id, room_id, bob),
            (dora.user_id, "!theirs:remote.example", bob),
            (dora.user_id, room_id, alice.user_id),
        )
    ]
    asked = asyncio.Event()

    async def exchange(_: Any) -> Any:
        asked.set()
        return {}

    remote.answers["PUT", EXCHANGE] = exchange
    binding = {"medium": "email", "address": "dora@example.org", "mxid": dora.user_id, "invites": invites}
    for wrong, status in (
        ({**binding, "mxid": "@nobody:hs1.test"}, 404),
        ({**binding, "mxid": DORA}, 404),
        ({**binding, "invites": invites * 20}, 400),
        ({**binding, "invites": [{**invites[0], "signed": 1}]}, 400),
    ):
        await dora.request("PUT", f"//{V1[1:]}/3pid/onbind", wrong, status=status)
    assert await server.client().request("PUT", f"//{V1[1:]}/3pid/onbind", binding) == {}
    await asyncio.wait_for(asked.wait(), 10)
    assert remote.content() == {
        **partial("!theirs:remote.example", bob, invites[2]["signed"], dora.user_id),
        "content": {
            "membership": "invite",
            "third_party_invite": {"display_name": "", "signed": invites[2]["signed"]},
        },
    }
    news = await dora.get("/sync?timeout=10000")
    while room_id not in news.get("rooms", {}).get("invite", {}):
        news = await dora.get(f"/sync?timeout=10000&since={news['next_batch']}")
    assert len(remote.asked) == 1
