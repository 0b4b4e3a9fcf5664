"""A client whose answer was lost asks again, in the session of user-interactive auth that is complete.

Spec: client-server API, "User-interactive API in the REST API": the server returns the result of the call.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

NEW_PASSWORD = "another horse battery"
STAGE = {"type": "m.login.dummy"}
HALF_AN_HOUR_MS = 30 * 60_000


async def begun(client: Client, path: str, body: dict[str, Any], method: str = "POST") -> str:
    """A session for a request."""
    answer = await client.request(method, f"/client/v3{path}", body, status=401)
    return str(answer["session"])


def proof(session: str, **stage: Any) -> dict[str, Any]:
    return {"auth": {**(stage or STAGE), "session": session}}


def password_proof(client: Client, session: str) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": client.user_id}
    return proof(session, type="m.login.password", identifier=identifier, password=PASSWORD)


BODIES = [
    {"password": PASSWORD},
    {"username": "alice", "password": PASSWORD},
    {"username": "alice", "password": PASSWORD, "device_id": "PHONE", "refresh_token": True},
    {"username": "alice", "password": PASSWORD, "inhibit_login": True},
]


@pytest.mark.parametrize("body", BODIES, ids=["made-up", "named", "device", "no-login"])
async def test_registering_again_is_the_same_account(server: Homeserver, body: dict[str, Any]) -> None:
    client = server.client()
    session = await begun(client, "/register", body)
    first = await client.post("/register", {**body, **proof(session)})
    again = await client.post("/register", {**body, **proof(session)})
    poll = await client.post("/register", {**body, "auth": {"session": session}})
    for answer in (again, poll):
        assert {k: answer.get(k) for k in ("user_id", "device_id")} == {
            k: first.get(k) for k in ("user_id", "device_id")
        }
        assert answer.keys() == first.keys()
    if "access_token" in first:
        for answer in (first, again, poll):
            headers = {"Authorization": f"Bearer {answer['access_token']}"}
            assert (await client.get("/account/whoami", headers=headers))["user_id"] == first["user_id"]
    if "refresh_token" in again:
        await client.post("/refresh", {"refresh_token": again["refresh_token"]})


@pytest.mark.parametrize("name", [{}, {"username": "alice"}])
async def test_registering_twice_at_once_is_one_account(server: Homeserver, name: dict[str, str]) -> None:
    client = server.client()
    body = {"password": PASSWORD, **name}
    session = await begun(client, "/register", body)
    answers = await asyncio.gather(*(client.post("/register", {**body, **proof(session)}) for _ in range(5)))
    assert len({answer["user_id"] for answer in answers}) == 1


async def test_who_asks_for_something_else_begins_again(server: Homeserver) -> None:
    client = server.client()
    body = {"username": "alice", "password": PASSWORD}
    session = await begun(client, "/register", body)
    await client.post("/register", {**body, **proof(session)})
    for other in ({"username": "bob"}, {"password": "not the same one"}, {"device_id": "OTHER"}):
        answer = await client.post("/register", {**body, **other, **proof(session)}, status=None)
        assert answer.get("errcode") == "M_USER_IN_USE" or answer["session"] != session
        assert "access_token" not in answer


async def test_after_a_logout_the_session_gives_nothing(server: Homeserver) -> None:
    client = server.client()
    body = {"password": PASSWORD}
    session = await begun(client, "/register", body)
    first = await client.post("/register", {**body, **proof(session)})
    await client.post("/logout", headers={"Authorization": f"Bearer {first['access_token']}"})
    answer = await client.post("/register", {**body, **proof(session)}, status=401)
    assert answer["session"] != session


async def test_the_result_is_kept_for_as_long_as_the_session(server: Homeserver) -> None:
    client = server.client()
    body = {"password": PASSWORD}
    session = await begun(client, "/register", body)
    await client.post("/register", {**body, **proof(session)})
    server.clock.advance(HALF_AN_HOUR_MS)
    answer = await client.post("/register", {**body, **proof(session)}, status=401)
    assert answer["session"] != session


async def test_flows_of_several_stages(tmp_path: Path) -> None:
    settings = {"registration": {"open": False, "token": "come"}}
    async with homeserver(tmp_path, **settings) as server:
        client = server.client()
        body = {"username": "alice", "password": PASSWORD}
        session = await begun(client, "/register", body)
        token = proof(session, type="m.login.registration_token", token="come")
        await client.post("/register", {**body, **token}, status=401)
        first = await client.post("/register", {**body, **proof(session)})
        again = await client.post("/register", {**body, **proof(session)})
        assert again["user_id"] == first["user_id"]


def database_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("palpo.db*"))


@pytest.mark.sqlite
async def test_no_secret_is_on_the_disk(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        client = server.client()
        body = {"username": "alice", "password": PASSWORD}
        session = await begun(client, "/register", body)
        first = await client.post("/register", {**body, **proof(session)})
        again = await client.post("/register", {**body, **proof(session)})
    stored = database_bytes(tmp_path)
    for secret in (session, PASSWORD, first["access_token"], again["access_token"]):
        assert secret.encode() not in stored
    with sqlite3.connect(tmp_path / "palpo.db") as connection:
        assert connection.execute("SELECT count(*) FROM uia_results").fetchone() == (1,)


async def test_a_password_that_was_replaced(alice: Client) -> None:
    body = {"new_password": NEW_PASSWORD}
    session = await begun(alice, "/account/password", body)
    changed = {**body, **password_proof(alice, session)}
    assert await alice.post("/account/password", changed) == {}
    # The proof is of the old password, which is none any more.
    assert await alice.post("/account/password", changed) == {}
    other = {**changed, "new_password": "one more horse battery"}
    assert (await alice.post("/account/password", other, status=401))["session"] != session


async def test_devices_that_were_deleted(server: Homeserver, alice: Client, bob: Client) -> None:
    for path, method, body in (
        ("/delete_devices", "POST", lambda device: {"devices": [device]}),
        ("/devices/{}", "DELETE", lambda device: {}),
    ):
        device = (await server.login("alice")).device_id
        path = path.format(device)
        session = await begun(alice, path, body(device), method)
        request = {**body(device), **password_proof(alice, session)}
        for _ in range(2):
            assert await alice.request(method, f"/client/v3{path}", request) == {}
        # To nobody else.
        stolen = await bob.request(method, f"/client/v3{path}", request, status=401)
        assert stolen["session"] != session


async def test_an_account_that_is_gone(alice: Client) -> None:
    session = await begun(alice, "/account/deactivate", {})
    await alice.post("/account/deactivate", password_proof(alice, session))
    # That ends what a client does: it is logged out.
    answer = await alice.post("/account/deactivate", password_proof(alice, session), status=401)
    assert answer["errcode"] == "M_UNKNOWN_TOKEN"
