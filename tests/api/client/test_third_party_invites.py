"""Invites by address, against an identity server of the test's own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from palpo.core.signing import SigningKey, sign_json
from tests.support.homeserver import Client, Homeserver, homeserver

ADDRESS = "dora@example.org"
PEPPER = "pepper"
PREFIX = "/_matrix/identity/v2"
TOKEN = "t0k3n"


class IdentityServer:
    """Says to whom addresses belong, keeps invites, and signs what accepts them."""

    def __init__(self) -> None:
        self.url = ""
        self.key = SigningKey(key_id="ed25519:0", seed=b"i" * 32)
        self.valid = True
        self.bound: dict[str, str] = {}
        self.stored: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.status = 200
        self.error: dict[str, str] = {}

    def proof(self, mxid: str, sender: str, token: str = TOKEN) -> dict[str, Any]:
        """What an accepting client shows."""
        return sign_json({"mxid": mxid, "sender": sender, "token": token}, "id.example", self.key)

    async def hash_details(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization"))
        return web.json_response(
            self.error or {"lookup_pepper": PEPPER, "algorithms": ["none", "sha256"]}, status=self.status
        )

    async def lookup(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert (body["algorithm"], body["pepper"]) == ("sha256", PEPPER)
        known = {_hash(f"{address} email {PEPPER}"): user_id for address, user_id in self.bound.items()}
        found = {item: known[item] for item in body["addresses"] if item in known}
        return web.json_response({"mappings": found})

    async def store(self, request: web.Request) -> web.Response:
        self.stored.append(await request.json())
        keys = [{"public_key": self.key.verify_key_base64, "key_validity_url": f"{self.url}/isvalid"}]
        return web.json_response({"token": TOKEN, "display_name": "d...", "public_keys": keys})

    async def is_valid(self, request: web.Request) -> web.Response:
        assert request.query["public_key"] == self.key.verify_key_base64
        return web.json_response({"valid": self.valid})


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@asynccontextmanager
async def identity_server() -> AsyncIterator[IdentityServer]:
    identity = IdentityServer()
    app = web.Application()
    app.router.add_get(f"{PREFIX}/hash_details", identity.hash_details)
    app.router.add_post(f"{PREFIX}/lookup", identity.lookup)
    app.router.add_post(f"{PREFIX}/store-invite", identity.store)
    app.router.add_get("/isvalid", identity.is_valid)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        identity.url = f"http://{host}:{port}"
        yield identity
    finally:
        await runner.cleanup()


@pytest.fixture
async def identity() -> AsyncIterator[IdentityServer]:
    async with identity_server() as running:
        yield running


@pytest.fixture
async def server(tmp_path: Path, identity: IdentityServer) -> AsyncIterator[Homeserver]:
    network = {"allow": ["127.0.0.0/8"]}
    servers = [{"name": "id.example", "url": identity.url}]
    async with homeserver(tmp_path, network=network, identity_servers=servers) as running:
        yield running


def by_address(address: str = ADDRESS, **more: str) -> dict[str, str]:
    return {
        "id_server": "id.example",
        "id_access_token": "secret",
        "medium": "email",
        "address": address,
        **more,
    }


async def state_of(client: Client, room_id: str, path: str) -> Any:
    return await client.get(f"/rooms/{room_id}/state/{path}")


async def test_an_address_that_is_somebodys(alice: Client, bob: Client, identity: IdentityServer) -> None:
    room_id = await alice.create_room()
    identity.bound[ADDRESS] = bob.user_id
    assert await alice.post(f"/rooms/{room_id}/invite", by_address("Dora@Example.org", reason="tea")) == {}
    member = await state_of(alice, room_id, f"m.room.member/{bob.user_id}")
    assert (member["membership"], member["reason"]) == ("invite", "tea")
    assert identity.tokens == ["Bearer secret"]
    assert identity.stored == []
    await bob.post(f"/join/{room_id}")


async def test_an_address_that_is_nobodys(alice: Client, identity: IdentityServer) -> None:
    room_id = await alice.create_room(name="Tea", room_alias_name="tea")
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    assert identity.stored == [
        {
            "medium": "email",
            "address": ADDRESS,
            "room_id": room_id,
            "sender": alice.user_id,
            "room_name": "Tea",
            "room_alias": "#tea:test.example",
            "room_join_rules": "invite",
            "sender_display_name": "alice",
        }
    ]
    key = {"public_key": identity.key.verify_key_base64, "key_validity_url": f"{identity.url}/isvalid"}
    pending = await state_of(alice, room_id, f"m.room.third_party_invite/{TOKEN}")
    assert pending == {"display_name": "d...", **key, "public_keys": [key]}


async def test_accepting(alice: Client, bob: Client, identity: IdentityServer) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    await bob.post(f"/join/{room_id}", status=403)
    signed = identity.proof(bob.user_id, alice.user_id)
    assert await bob.post(f"/join/{room_id}", {"third_party_signed": signed}) == {"room_id": room_id}
    messages = (await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b"}))["chunk"]
    of_bob = [event for event in messages if event.get("state_key") == bob.user_id]
    assert [event["content"]["membership"] for event in of_bob] == ["join", "invite"]
    invite = of_bob[1]
    assert invite["sender"] == alice.user_id
    assert invite["content"]["third_party_invite"] == {"display_name": "d...", "signed": signed}
    # Once in the room, the proof changes nothing.
    assert await bob.post(f"/rooms/{room_id}/join", {"third_party_signed": signed}) == {"room_id": room_id}


async def test_accepting_what_is_not_ones_own(
    alice: Client, bob: Client, server: Homeserver, identity: IdentityServer
) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    good = identity.proof(bob.user_id, alice.user_id)
    forged = sign_json(
        {"mxid": bob.user_id, "sender": alice.user_id, "token": TOKEN},
        "id.example",
        SigningKey(key_id="ed25519:0", seed=b"x" * 32),
    )
    eve = await server.register("eve")
    path = f"/rooms/{room_id}/join"
    assert (await eve.post(path, {"third_party_signed": good}, status=403))["errcode"] == "M_FORBIDDEN"
    for bad in (
        forged,
        {**good, "token": "another"},
        identity.proof(bob.user_id, eve.user_id),
        identity.proof(bob.user_id, alice.user_id, "another"),
        identity.proof(bob.user_id, "@alice:elsewhere.example"),
        {**good, "signatures": {}},
    ):
        assert (await bob.post(path, {"third_party_signed": bad}, status=403))["errcode"] == "M_FORBIDDEN"
    for malformed in ("x", {}, {**good, "token": 1}, {**good, "signatures": []}):
        error = await bob.post(path, {"third_party_signed": malformed}, status=400)
        assert error["errcode"] == "M_BAD_JSON"


async def test_a_key_that_was_revoked(alice: Client, bob: Client, identity: IdentityServer) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    identity.valid = False
    body = {"third_party_signed": identity.proof(bob.user_id, alice.user_id)}
    await bob.post(f"/rooms/{room_id}/join", body, status=403)
    identity.valid = True
    await bob.post(f"/rooms/{room_id}/join", body)


async def test_who_may_not_invite_makes_nobody_write(
    alice: Client, bob: Client, identity: IdentityServer
) -> None:
    levels = {"invite": 50}
    room_id = await alice.create_room(preset="public_chat", power_level_content_override=levels)
    path = f"/rooms/{room_id}/invite"
    assert (await bob.post(path, by_address(), status=403))["errcode"] == "M_FORBIDDEN"
    await bob.post(f"/join/{room_id}")
    assert (await bob.post(path, by_address(), status=403))["errcode"] == "M_FORBIDDEN"
    assert identity.tokens == []


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"medium": "email", "address": ADDRESS}, "M_MISSING_PARAM"),
        (by_address(id_server="other.example"), "M_SERVER_NOT_TRUSTED"),
        (by_address("not an address"), "M_INVALID_PARAM"),
        (by_address(medium="pigeon"), "M_INVALID_PARAM"),
        (by_address("+1 555", medium="msisdn"), "M_INVALID_PARAM"),
        (by_address(id_access_token="a\nb"), "M_INVALID_PARAM"),
    ],
)
async def test_what_cannot_be_invited(alice: Client, body: dict[str, str], errcode: str) -> None:
    room_id = await alice.create_room()
    assert (await alice.post(f"/rooms/{room_id}/invite", body, status=400))["errcode"] == errcode


async def test_what_the_identity_server_refuses(alice: Client, identity: IdentityServer) -> None:
    room_id = await alice.create_room()
    path = f"/rooms/{room_id}/invite"
    identity.status, identity.error = 403, {"errcode": "M_TERMS_NOT_SIGNED", "error": "Read them"}
    assert (await alice.post(path, by_address(), status=403))["errcode"] == "M_TERMS_NOT_SIGNED"
    identity.status, identity.error = 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Who?"}
    assert (await alice.post(path, by_address(), status=403))["errcode"] == "M_FORBIDDEN"
    await alice.get("/account/whoami")


async def test_creating_a_room(alice: Client, bob: Client, identity: IdentityServer) -> None:
    identity.bound["bob@example.org"] = bob.user_id
    room_id = await alice.create_room(
        preset="trusted_private_chat",
        room_version="11",
        invite_3pid=[by_address(), by_address("bob@example.org")],
    )
    member = await state_of(alice, room_id, f"m.room.member/{bob.user_id}")
    assert member["membership"] == "invite"
    assert (await state_of(alice, room_id, "m.room.power_levels"))["users"][bob.user_id] == 100
    await state_of(alice, room_id, f"m.room.third_party_invite/{TOKEN}")
    bad = {"invite_3pid": [by_address(id_server="other.example")]}
    assert (await alice.post("/createRoom", bad, status=400))["errcode"] == "M_SERVER_NOT_TRUSTED"
    many = {"invite_3pid": [by_address()] * 21}
    assert (await alice.post("/createRoom", many, status=400))["errcode"] == "M_INVALID_PARAM"


async def test_two_who_accept_at_once(
    alice: Client, bob: Client, server: Homeserver, identity: IdentityServer
) -> None:
    """A token is good for whoever the identity server signs it for."""
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/invite", by_address())
    body = {"third_party_signed": identity.proof(bob.user_id, alice.user_id)}
    phone = await server.login("bob")
    await asyncio.gather(*(each.post(f"/rooms/{room_id}/join", body) for each in (bob, phone)))
    member = await state_of(alice, room_id, f"m.room.member/{bob.user_id}")
    assert member["membership"] == "join"
