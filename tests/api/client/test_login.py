"""Logging in and refreshing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from palpo.core.errors import Forbidden, LimitExceeded
from palpo.services.accounts.logins import DeviceChoice
from palpo.storage import cross_signing
from palpo.storage.cross_signing import CrossSigningKey
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver


def by_password(user: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password, **more}


async def test_flows(server: Homeserver) -> None:
    flows = (await server.client().get("/login"))["flows"]
    assert {"type": "m.login.password"} in flows
    assert {"type": "m.login.token", "get_login_token": True} in flows


@pytest.mark.parametrize("user", ["alice", "@alice:test.example", "ALICE", "@Alice:test.example"])
async def test_who(server: Homeserver, alice: Client, user: str) -> None:
    answer = await server.client().post("/login", by_password(user))
    assert answer["user_id"] == alice.user_id
    assert answer["device_id"] != alice.device_id
    await Client(server.http, token=answer["access_token"]).get("/account/whoami")


async def test_deprecated_user_field(server: Homeserver, alice: Client) -> None:
    body = {"type": "m.login.password", "user": "alice", "password": PASSWORD}
    assert (await server.client().post("/login", body))["user_id"] == alice.user_id


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        (by_password("alice", "wrong password"), 403, "M_FORBIDDEN"),
        (by_password("nobody"), 403, "M_FORBIDDEN"),
        (by_password("@alice:elsewhere.example"), 403, "M_FORBIDDEN"),
        (by_password("@alice"), 403, "M_FORBIDDEN"),
        (by_password("a\0"), 403, "M_FORBIDDEN"),
        (by_password("a" * 300), 403, "M_FORBIDDEN"),
        (by_password("alice", "p" * 2000), 403, "M_FORBIDDEN"),
        ({"type": "m.login.sso"}, 400, "M_UNKNOWN"),
        ({"type": "m.login.token", "token": "x"}, 403, "M_FORBIDDEN"),
        ({"type": "m.login.token"}, 400, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "user": "alice"}, 400, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "password": "x"}, 400, "M_MISSING_PARAM"),
        ({}, 400, "M_MISSING_PARAM"),
        ({"type": 1}, 400, "M_BAD_JSON"),
        (by_password("alice", device_id="D" * 256), 400, "M_INVALID_PARAM"),
    ],
)
async def test_refused(
    server: Homeserver, alice: Client, body: dict[str, Any], status: int, errcode: str
) -> None:
    assert (await server.client().post("/login", body, status=status))["errcode"] == errcode


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        ({"type": "m.id.thirdparty", "medium": "email", "address": "a@example.org"}, 403),
        ({"type": "m.id.phone", "country": "GB", "phone": "1"}, 403),
        ({"type": "org.example.other"}, 400),
    ],
)
async def test_other_identifiers(server: Homeserver, identifier: dict[str, str], status: int) -> None:
    body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    await server.client().post("/login", body, status=status)


async def test_same_device_again(server: Homeserver, alice: Client) -> None:
    await alice.get("/account/whoami")
    answer = await server.client().post("/login", by_password("alice", device_id=alice.device_id))
    assert answer["device_id"] == alice.device_id
    assert (await alice.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"


async def test_device_id_of_a_cross_signing_key(server: Homeserver, alice: Client) -> None:
    key = CrossSigningKey(user_id=alice.user_id, usage="master", key_id="ed25519:ABC", json=b"{}")
    await server.services.server.db.write(lambda tx: cross_signing.put(tx, key))
    error = await server.client().post("/login", by_password("alice", device_id="ABC"), status=403)
    assert error["errcode"] == "M_FORBIDDEN"


async def test_what_happens_between_proof_and_login(server: Homeserver, alice: Client) -> None:
    services = server.services
    proved = await services.accounts.logins.check_password("alice", PASSWORD)
    await services.accounts.accounts.set_password(alice.user_id, "a new password", log_out=True)
    with pytest.raises(Forbidden, match="changed"):
        await services.accounts.logins.log_in(proved, DeviceChoice())
    proved = await services.accounts.logins.check_password("alice", "a new password")
    await services.accounts.accounts.deactivate(alice.user_id, erase=False)
    with pytest.raises(Forbidden, match="deactivated"):
        await services.accounts.logins.log_in(proved, DeviceChoice())
    assert await services.accounts.devices.list(alice.user_id) == []


@pytest.mark.parametrize("log_out", [True, False])
async def test_login_tokens_and_a_new_password(server: Homeserver, alice: Client, log_out: bool) -> None:
    token = await server.services.accounts.logins.make_login_token(alice.user_id)
    await server.services.accounts.accounts.set_password(alice.user_id, "a new password", log_out=log_out)
    body = {"type": "m.login.token", "token": token}
    await server.client().post("/login", body, status=403 if log_out else 200)


async def test_failures_are_limited_for_each_account(tmp_path: Path) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.001, "burst": 3}}
    limits["registration"] = {"per_second": 100, "burst": 100}
    async with homeserver(tmp_path, rate_limits=limits, http={"trusted_proxies": ["127.0.0.1"]}) as server:
        await server.register("alice")
        await server.register("bob")

        async def login(user: str, password: str, address: str, status: int) -> Any:
            headers = {"X-Forwarded-For": address}
            body = by_password(user, password)
            return await server.client().post("/login", body, headers=headers, status=status)

        for number in range(3):
            await login("alice", "wrong", f"10.0.0.{number}", 403)
        error = await login("alice", PASSWORD, "10.0.0.9", 429)
        assert error["errcode"] == "M_LIMIT_EXCEEDED"
        assert error["retry_after_ms"] > 0
        await login("bob", PASSWORD, "10.0.0.9", 200)
        server.clock.advance(2_000_000)
        await login("alice", PASSWORD, "10.0.0.9", 200)


async def test_many_attempts_at_once_are_too_many(tmp_path: Path) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.001, "burst": 3}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        alice = await server.register("alice")
        check = server.services.accounts.logins.check_password
        for _ in range(5):
            await check("alice", PASSWORD)
        guesses = await asyncio.gather(*(check("alice", "wrong") for _ in range(20)), return_exceptions=True)
        assert [type(guess) for guess in guesses].count(Forbidden) == 3
        assert [type(guess) for guess in guesses].count(LimitExceeded) == 17
        # Who is logged in already can still confirm what they do.
        auth = by_password("alice")
        await alice.post("/account/password", {"new_password": "a new password", "auth": auth})


async def test_refresh(server: Homeserver, alice: Client) -> None:
    first = await server.client().post("/login", by_password("alice", refresh_token=True))
    assert first["expires_in_ms"] == 300_000
    old = Client(server.http, token=first["access_token"])
    await old.get("/account/whoami")

    second = await old.post("/refresh", {"refresh_token": first["refresh_token"]})
    # The answer may have been lost: until the new tokens are used the old ones are good.
    await old.get("/account/whoami")
    third = await old.post("/refresh", {"refresh_token": first["refresh_token"]})
    assert third["access_token"] != second["access_token"]

    new = Client(server.http, token=third["access_token"])
    assert (await new.get("/account/whoami"))["device_id"] == first["device_id"]
    assert (await old.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    error = await old.post("/refresh", {"refresh_token": first["refresh_token"]}, status=401)
    assert error["errcode"] == "M_UNKNOWN_TOKEN"
    await new.get("/account/whoami")


async def test_refresh_token_counts_as_use(server: Homeserver, alice: Client) -> None:
    client = server.client()
    first = await client.post("/login", by_password("alice", refresh_token=True))
    second = await client.post("/refresh", {"refresh_token": first["refresh_token"]})
    await client.post("/refresh", {"refresh_token": second["refresh_token"]})
    await client.post("/refresh", {"refresh_token": first["refresh_token"]}, status=401)
    error = await Client(server.http, token=first["access_token"]).get("/account/whoami", status=401)
    assert "soft_logout" not in error


async def test_expiry(server: Homeserver, alice: Client) -> None:
    answer = await server.client().post("/login", by_password("alice", refresh_token=True))
    client = Client(server.http, token=answer["access_token"])
    await client.get("/account/whoami")
    server.clock.advance(300_000)
    error = await client.get("/account/whoami", status=401)
    assert error["errcode"] == "M_UNKNOWN_TOKEN"
    assert error["soft_logout"] is True
    new = await client.post("/refresh", {"refresh_token": answer["refresh_token"]})
    await Client(server.http, token=new["access_token"]).get("/account/whoami")
    await alice.get("/account/whoami")


async def test_refresh_ends_with_logout(server: Homeserver, alice: Client) -> None:
    answer = await server.client().post("/login", by_password("alice", refresh_token=True))
    await Client(server.http, token=answer["access_token"]).post("/logout")
    await server.client().post("/refresh", {"refresh_token": answer["refresh_token"]}, status=401)


async def test_login_token(server: Homeserver, alice: Client) -> None:
    await alice.request("POST", "/client/v1/login/get_token", {}, status=401)
    auth = {"type": "m.login.password", "user": "alice", "password": PASSWORD}
    answer = await alice.request("POST", "/client/v1/login/get_token", {"auth": auth})
    assert answer["expires_in_ms"] == 120_000
    body = {"type": "m.login.token", "token": answer["login_token"]}
    assert (await server.client().post("/login", body))["user_id"] == alice.user_id
    assert (await server.client().post("/login", body, status=403))["errcode"] == "M_FORBIDDEN"


async def test_login_token_expires(server: Homeserver, alice: Client) -> None:
    token = await server.services.accounts.logins.make_login_token(alice.user_id)
    server.clock.advance(120_000)
    await server.client().post("/login", {"type": "m.login.token", "token": token}, status=403)


async def test_hash_follows_the_configuration(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        before = await server.services.accounts.accounts.find(alice.user_id)
    async with homeserver(tmp_path, password={"time_cost": 2}) as server:
        await server.login("alice")
        after = await server.services.accounts.accounts.find(alice.user_id)
        assert before is not None
        assert after is not None
        assert before.password_hash != after.password_hash
        await server.login("alice")
        assert await server.services.accounts.accounts.find(alice.user_id) == after


async def test_well_known_in_login(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url="https://matrix.test.example") as server:
        await server.register("alice")
        answer = await server.client().post("/login", by_password("alice"))
        expected = {"m.homeserver": {"base_url": "https://matrix.test.example"}}
        assert answer["well_known"] == expected
        found = await server.client().request("GET", "//.well-known/matrix/client")
        assert {"m.homeserver": found["m.homeserver"]} == expected


async def test_fallback_page(server: Homeserver) -> None:
    page = await server.client().request("GET", "/static/client/login/", params={"device_id": "D"})
    assert page.headers["content-type"].startswith("text/html")
    assert "matrixLogin.onLogin" in page.text
