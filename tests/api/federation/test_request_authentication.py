"""Requests between servers: found by name, over TLS, signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.api.call import Call
from palpo.core.x_matrix import SignedRequest, authorization
from palpo.wire.endpoint import Auth, Endpoint, Json, NoBody, Params, federation
from tests.support.homeserver import Homeserver
from tests.support.pairs import Town, pair
from tests.support.remote_server import RemoteServer, remote_server

REMOTE = "remote.example"
PATH = "/_matrix/federation/v1/test/%2Fa"


class RoomParams(Params, frozen=True):
    room_id: str


ECHO: Endpoint[RoomParams, Json, Json] = Endpoint(
    operation_id="palpo.echo",
    method="PUT",
    paths=federation("/test/{room_id}"),
    auth=Auth.SERVER,
    params=RoomParams,
    body=Json,
    response=Json,
)
ASK: Endpoint[RoomParams, NoBody, Json] = Endpoint(
    operation_id="palpo.ask",
    method="GET",
    paths=federation("/test/{room_id}"),
    auth=Auth.SERVER,
    params=RoomParams,
    response=Json,
)


async def echo(call: Call, params: RoomParams, body: Json) -> Json:
    return {"origin": call.origin, "body": body}


async def ask(call: Call, params: RoomParams, body: NoBody) -> Json:
    return {"origin": call.origin}


def serve(server: Homeserver) -> None:
    server.app.dispatcher.serve(ECHO, echo)
    server.app.dispatcher.serve(ASK, ask)


@pytest.fixture
async def town(tmp_path: Path) -> Town:
    return Town.of(tmp_path, "hs1.test", REMOTE, "other.example")


@pytest.fixture
async def server(town: Town) -> AsyncIterator[Homeserver]:
    async with town.homeserver("hs1.test", rate_limits={"enabled": True}) as server:
        serve(server)
        yield server


async def test_two_servers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        serve(two)
        client = one.services.server.federation_client
        answer = await client.json("hs2.test", "PUT", PATH, content={"a": "é"}, query=[("q", "ü 1")])
        assert answer == {"origin": "hs1.test", "body": {"a": "é"}}
        assert await client.json("hs2.test", "GET", PATH) == {"origin": "hs1.test"}


async def test_signed(server: Homeserver, remote: RemoteServer) -> None:
    assert await remote.ask(server, "PUT", PATH, {"a": [1]}) == {"origin": REMOTE, "body": {"a": [1]}}
    assert await remote.ask(server, "GET", f"{PATH}?a=%20") == {"origin": REMOTE}


async def refused(server: Homeserver, remote: RemoteServer, status: int = 401, **changes: str) -> None:
    """Something signed otherwise than it is sent."""
    signed = {
        "method": "PUT",
        "uri": PATH,
        "origin": REMOTE,
        "destination": "hs1.test",
        "content": {"a": 1},
        **changes,
    }
    header = authorization(SignedRequest(**signed), remote.key)  # type: ignore[arg-type]
    answer = await remote.ask(server, "PUT", PATH, {"a": 1}, status=status, headers={"Authorization": header})
    assert answer["errcode"] in ("M_UNAUTHORIZED", "M_FORBIDDEN")


async def test_x_matrix_with_our_destination_method_uri_and_body(
    server: Homeserver, remote: RemoteServer
) -> None:
    await refused(server, remote, method="POST")
    await refused(server, remote, uri=f"{PATH}?a=b")
    await refused(server, remote, destination="hs2.test")
    await refused(server, remote, content={"a": 2})  # type: ignore[arg-type]
    await refused(server, remote, origin="other.example")


async def test_not_signed(server: Homeserver, remote: RemoteServer) -> None:
    answer = await remote.ask(server, "PUT", PATH, {}, status=401, headers={"Authorization": "Bearer x"})
    assert answer["errcode"] == "M_UNAUTHORIZED"
    await remote.ask(server, "PUT", PATH, {}, status=401, headers={"A": "b"})


async def test_guessing_is_bounded(server: Homeserver, remote: RemoteServer) -> None:
    for _ in range(10):
        await refused(server, remote, uri="/else")
    answer = await remote.ask(server, "PUT", PATH, {"a": 1}, status=429)
    assert answer["errcode"] == "M_LIMIT_EXCEEDED"


async def test_denied(town: Town) -> None:
    async with town.homeserver("hs1.test", federation={"deny": [REMOTE]}) as server:
        serve(server)
        async with remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote:
            await remote.ask(server, "PUT", PATH, {}, status=403)


async def test_acl_of_the_room(server: Homeserver, remote: RemoteServer) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    path = f"/_matrix/federation/v1/test/{room_id}"
    await remote.ask(server, "GET", path)
    acl = {"allow": ["*"], "deny": ["*.example"]}
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl", acl)
    answer = await remote.ask(server, "GET", path, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
