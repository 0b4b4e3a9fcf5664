"""Registration tokens, for administrators."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver

TOKENS = "//_synapse/admin/v1/registration_tokens"


async def create(admin: Client, status: int = 200, **body: Any) -> Any:
    return await admin.request("POST", f"{TOKENS}/new", body, status=status)


async def test_a_token_that_is_made_up(admin: Client) -> None:
    made = await create(admin)
    assert len(made.pop("token")) == 16
    assert made == {"uses_allowed": None, "pending": 0, "completed": 0, "expiry_time": None}
    assert len((await create(admin, length=64))["token"]) == 64


async def test_a_token_that_is_given(server: Homeserver, admin: Client) -> None:
    expires = server.clock.now_ms() + 1000
    made = await create(admin, token="abc", uses_allowed=3, expiry_time=expires)
    assert made == {"token": "abc", "uses_allowed": 3, "pending": 0, "completed": 0, "expiry_time": expires}
    assert await admin.request("GET", f"{TOKENS}/abc") == made
    await create(admin, token="abc", status=400)


@pytest.mark.parametrize(
    "body",
    [
        {"token": ""},
        {"token": "x" * 65},
        {"token": "a b"},
        {"token": 3},
        {"length": 0},
        {"length": 65},
        {"uses_allowed": -1},
        {"uses_allowed": 1.5},
        {"expiry_time": 1},
        {"expiry_time": "soon"},
    ],
)
async def test_what_makes_no_token(admin: Client, body: dict[str, Any]) -> None:
    await create(admin, status=400, **body)


async def test_which_may_be_used(server: Homeserver, admin: Client) -> None:
    await create(admin, token="always")
    await create(admin, token="never", uses_allowed=0)
    await create(admin, token="soon_over", expiry_time=server.clock.now_ms() + 1000)

    async def names(query: str) -> set[str]:
        found = await admin.request("GET", f"{TOKENS}{query}")
        return {item["token"] for item in found["registration_tokens"]}

    assert await names("?valid=true") == {"always", "soon_over"}
    server.clock.advance(2000)
    assert await names("?valid=true") == {"always"}
    assert await names("?valid=false") == {"never", "soon_over"}
    assert await names("") == {"always", "never", "soon_over"}


async def test_changing_one(server: Homeserver, admin: Client) -> None:
    await create(admin, token="abc", uses_allowed=3)
    expires = server.clock.now_ms() + 1000
    changed = await admin.request("PUT", f"{TOKENS}/abc", {"expiry_time": expires})
    assert (changed["uses_allowed"], changed["expiry_time"]) == (3, expires)
    changed = await admin.request("PUT", f"{TOKENS}/abc", {"uses_allowed": None, "expiry_time": None})
    assert (changed["uses_allowed"], changed["expiry_time"]) == (None, None)
    await admin.request("PUT", f"{TOKENS}/abc", {"expiry_time": 1}, status=400)
    await admin.request("PUT", f"{TOKENS}/nothing", {}, status=404)


async def test_deleting_one(admin: Client) -> None:
    await create(admin, token="abc")
    assert await admin.request("DELETE", f"{TOKENS}/abc") == {}
    await admin.request("DELETE", f"{TOKENS}/abc", status=404)
    await admin.request("GET", f"{TOKENS}/abc", status=404)


async def test_uses_are_counted(server: Homeserver, admin: Client) -> None:
    await create(admin, token="abc", uses_allowed=2)
    client = server.client()
    body: dict[str, Any] = {"username": "bob", "password": "something long"}
    challenge = await client.post("/register", body, status=401)
    auth = {"type": "m.login.registration_token", "token": "abc", "session": challenge["session"]}
    await client.post("/register", {**body, "auth": auth}, status=401)
    assert (await admin.request("GET", f"{TOKENS}/abc"))["pending"] == 1
    auth = {"type": "m.login.dummy", "session": challenge["session"]}
    await client.post("/register", {**body, "auth": auth})
    found = await admin.request("GET", f"{TOKENS}/abc")
    assert (found["pending"], found["completed"]) == (0, 1)
