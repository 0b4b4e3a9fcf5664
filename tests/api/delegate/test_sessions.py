"""Access tokens of Matrix Authentication Service, and what this server leaves to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.appservices import AS_TOKEN, registration
from tests.support.federated_rooms import until
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.mas import ADMIN, API, DEVICE, Mas, MasClient, client_of

WHOAMI = "/account/whoami"


@pytest.fixture
async def server(tmp_path: Path, service: Mas) -> AsyncIterator[Homeserver]:
    settings = service.settings() | {"appservices": [registration(tmp_path)]}
    async with homeserver(tmp_path, **settings) as running:
        client = MasClient(running.http)
        await client.done("provision_user", 201, localpart="alice")
        await client.done("upsert_device", 201, localpart="alice", device_id="DEVICE12345")
        yield running


@pytest.fixture
def alice(service: Mas, server: Homeserver) -> Client:
    service.grant("alice's", "alice")
    return client_of(server, "alice's")


async def test_a_token_stands_for_a_user_and_a_device(alice: Client) -> None:
    assert await alice.get(WHOAMI) == {"user_id": "@alice:test.example", "device_id": "DEVICE12345"}
    room_id = await alice.create_room()
    await alice.send(room_id, "hello")
    assert room_id in (await alice.get("/sync"))["rooms"]["join"]


async def test_an_old_session_names_its_device_in_a_field(service: Mas, server: Homeserver) -> None:
    device = {"localpart": "alice", "device_id": "a device, by name"}
    await MasClient(server.http).done("upsert_device", 201, **device)
    service.grant_compatible("old", "alice", "a device, by name")
    answer = await client_of(server, "old").get(WHOAMI)
    assert answer["device_id"] == "a device, by name"


async def test_a_device_that_is_not_here_is_signed_out(service: Mas, server: Homeserver) -> None:
    service.grant("early", "alice", "EARLY123456")
    assert (await client_of(server, "early").get(WHOAMI, status=401))["errcode"] == "M_UNKNOWN_TOKEN"


async def test_it_is_asked_once_in_a_while(service: Mas, server: Homeserver, alice: Client) -> None:
    await alice.get(WHOAMI)
    await alice.get(WHOAMI)
    assert service.asked == ["alice's"]
    server.clock.advance(61_000)
    service.grant("alice's", "alice", expires_in=500)
    await alice.get(WHOAMI)
    assert service.asked == ["alice's"] * 2


async def test_a_token_that_ends_is_refused(service: Mas, server: Homeserver, alice: Client) -> None:
    service.grant("alice's", "alice", expires_in=30)
    await alice.get(WHOAMI)
    server.clock.advance(31_000)
    answer = await alice.get(WHOAMI, status=401)
    assert (answer["errcode"], answer["soft_logout"]) == ("M_UNKNOWN_TOKEN", True)


async def test_a_token_that_is_nobodys_is_not_asked_about_again(service: Mas, server: Homeserver) -> None:
    stranger = client_of(server, "stranger's")
    for _ in range(3):
        assert (await stranger.get(WHOAMI, status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    assert service.asked == ["stranger's"]
    await client_of(server, "x" * 5000).get(WHOAMI, status=401)
    assert len(service.asked) == 1


async def test_a_device_that_is_deleted_is_signed_out_at_once(
    service: Mas, server: Homeserver, alice: Client
) -> None:
    since = (await alice.get("/sync"))["next_batch"]
    waiting = asyncio.create_task(alice.get(f"/sync?timeout=60000&since={since}", status=401))
    await until(lambda: server.services.reading.waiting._users)
    del service.tokens["alice's"]
    await MasClient(server.http).done("delete_device", 204, localpart="alice", device_id="DEVICE12345")
    assert (await waiting)["errcode"] == "M_UNKNOWN_TOKEN"
    assert (await alice.get(WHOAMI, status=401))["errcode"] == "M_UNKNOWN_TOKEN"


async def test_who_is_locked_is_told_so(server: Homeserver, alice: Client) -> None:
    await alice.get(WHOAMI)
    await MasClient(server.http).done("provision_user", localpart="alice", locked=True)
    assert (await alice.get("/joined_rooms", status=401))["errcode"] == "M_USER_LOCKED"
    await MasClient(server.http).done("provision_user", localpart="alice", locked=False)
    await alice.get("/joined_rooms")


@pytest.mark.parametrize(
    "scope",
    ["", "openid", f"{DEVICE}DEVICE12345", f"{API} {DEVICE}DEVICE12345 {DEVICE}ANOTHER1234", f"{API}x"],
)
async def test_a_token_for_something_else_is_refused(service: Mas, server: Homeserver, scope: str) -> None:
    service.grant("token", "alice", scope=scope)
    assert (await client_of(server, "token").get(WHOAMI, status=403))["errcode"] == "M_FORBIDDEN"


async def test_a_token_that_is_no_users_is_refused(service: Mas, server: Homeserver) -> None:
    service.grant("token", "alice")
    del service.tokens["token"]["username"]
    await client_of(server, "token").get(WHOAMI, status=403)


async def test_a_user_of_whom_nothing_was_told_yet_waits(service: Mas, server: Homeserver) -> None:
    service.grant("token", "newcomer")
    await client_of(server, "token").get(WHOAMI, status=503)
    await MasClient(server.http).done("provision_user", 201, localpart="newcomer")
    await MasClient(server.http).done("upsert_device", 201, localpart="newcomer", device_id="DEVICE12345")
    await client_of(server, "token").get(WHOAMI)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"active":1}',
        b"\xff",
        b'{"active":true,"scope":7}',
        b'{"active":true,"expires_in":1' + b"0" * 400 + b"}",
        b"[" * 100_000,
    ],
)
async def test_what_cannot_be_read_is_nobodys_fault(service: Mas, alice: Client, raw: bytes) -> None:
    service.raw = raw
    assert (await alice.get(WHOAMI, status=503))["errcode"] == "M_UNKNOWN"


async def test_while_it_is_away(service: Mas, server: Homeserver, alice: Client) -> None:
    await alice.get(WHOAMI)
    service.away = True
    await alice.get(WHOAMI)
    server.clock.advance(61_000)
    await alice.get(WHOAMI, status=503)
    service.away = False
    await alice.get(WHOAMI)
    service.secret = "another"
    await client_of(server, "new").get(WHOAMI, status=503)


async def test_administrators_are_those_whose_token_says_so(
    service: Mas, server: Homeserver, alice: Client
) -> None:
    await server.services.accounts.accounts.set_admin("@alice:test.example", True)
    await alice.request("GET", "//_synapse/admin/v2/users", status=403)
    service.grant("admin", "alice", scope=f"{API} {ADMIN}")
    admin = client_of(server, "admin")
    found = await admin.request("GET", "//_synapse/admin/v2/users")
    assert "@alice:test.example" in [item["name"] for item in found["users"]]


async def test_what_administrators_do_there(service: Mas, server: Homeserver) -> None:
    service.grant("admin", "alice", scope=f"{API} {ADMIN}")
    admin = client_of(server, "admin")
    put = "//_synapse/admin/v2/users/@{}:test.example"
    answer = await admin.request("PUT", put.format("bob"), {"password": "a long enough one"}, status=400)
    assert "Matrix Authentication Service" in answer["error"]
    await admin.request("PUT", put.format("alice"), {"password": "a long enough one"}, status=400)
    await admin.request("PUT", put.format("alice"), {"displayname": "Alice"})
    v1 = "//_synapse/admin/v1"
    for method, path in (
        ("POST", "/reset_password/@alice:test.example"),
        ("POST", "/users/@alice:test.example/login"),
        ("GET", "/register"),
    ):
        answer = await admin.request(method, v1 + path, {}, status=404)
        assert answer["errcode"] == "M_UNRECOGNIZED"


async def test_the_metadata_is_its_own(service: Mas, server: Homeserver) -> None:
    client = server.client()
    assert await client.request("GET", "/client/v1/auth_metadata") == service.metadata()
    unstable = "/client/unstable/org.matrix.msc2965"
    assert await client.request("GET", f"{unstable}/auth_metadata") == service.metadata()
    assert await client.request("GET", f"{unstable}/auth_issuer") == {"issuer": "https://auth.example/"}
    well_known = await client.request("GET", "//.well-known/matrix/client")
    assert well_known["org.matrix.msc2965.authentication"] == {
        "issuer": "https://auth.example/",
        "account": "https://auth.example/account/",
    }
    service.away = True
    server.clock.advance(3_600_000)
    assert await client.request("GET", "/client/v1/auth_metadata") == service.metadata()
    await client.request("GET", "//.well-known/oauth-authorization-server", status=404)


async def test_metadata_that_was_never_there(service: Mas, server: Homeserver) -> None:
    service.away = True
    await server.client().request("GET", "/client/v1/auth_metadata", status=503)
    well_known = await server.client().request("GET", "//.well-known/matrix/client")
    assert "org.matrix.msc2965.authentication" not in well_known


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/register/available?username=bob"),
        ("POST", "/refresh"),
        ("POST", "/logout"),
        ("POST", "/logout/all"),
        ("POST", "/account/password"),
        ("POST", "/account/deactivate"),
        ("POST", "/account/3pid/add"),
        ("GET", "/login/sso/redirect?redirectUrl=https://app.example/"),
    ],
)
async def test_what_is_not_served_here(alice: Client, method: str, path: str) -> None:
    body = {"type": "m.login.password", "new_password": "x", "username": "bob"}
    answer = await alice.request(method, f"/client/v3{path}", body, status=404)
    assert answer["errcode"] == "M_UNRECOGNIZED"


@pytest.mark.parametrize("kind", ["user", "guest"])
async def test_nobody_registers_here(server: Homeserver, kind: str) -> None:
    body = {"username": "bob", "password": "a long enough one"}
    answer = await server.client().post(f"/register?kind={kind}", body, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"


async def test_what_is_told_to_clients(alice: Client) -> None:
    found = (await alice.get("/capabilities"))["capabilities"]
    for name in ("m.change_password", "m.get_login_token", "m.3pid_changes"):
        assert found[name] == {"enabled": False}


async def test_devices_are_deleted_there(alice: Client) -> None:
    answer = await alice.delete("/devices/DEVICE12345", {}, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    await alice.post("/delete_devices", {"devices": ["DEVICE12345"]}, status=403)


async def test_application_services_go_on_as_before(server: Homeserver) -> None:
    bridge = client_of(server, AS_TOKEN)
    body: dict[str, Any] = {"type": "m.login.application_service", "username": "_irc_bob"}
    unsupported = "M_APPSERVICE_LOGIN_UNSUPPORTED"
    assert (await bridge.post("/register", body, status=400))["errcode"] == unsupported
    answer = await bridge.post("/register", {**body, "inhibit_login": True})
    assert answer["user_id"] == "@_irc_bob:test.example"
    identifier = {"type": "m.id.user", "user": "_irc_bob"}
    login = {"type": "m.login.application_service", "identifier": identifier}
    assert (await bridge.post("/login", login, status=400))["errcode"] == unsupported
    as_bob = "user_id=@_irc_bob:test.example"
    await bridge.put(f"/devices/BRIDGE?{as_bob}", {"display_name": "Bridge"}, status=201)
    answer = await bridge.get(f"{WHOAMI}?{as_bob}&device_id=BRIDGE")
    assert (answer["user_id"], answer["device_id"]) == ("@_irc_bob:test.example", "BRIDGE")
    await bridge.delete(f"/devices/BRIDGE?{as_bob}")
    answer = await bridge.get(f"/devices?{as_bob}")
    assert answer["devices"] == []


async def test_the_users_of_application_services_are_taken(server: Homeserver) -> None:
    answer = await MasClient(server.http).get("is_localpart_available", "_irc_bob")
    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_EXCLUSIVE")


async def test_tokens_of_before_are_not_good_any_more(tmp_path: Path, service: Mas) -> None:
    async with homeserver(tmp_path) as before:
        token = (await before.register("bob")).token
    async with homeserver(tmp_path, **service.settings()) as after:
        await client_of(after, token).get(WHOAMI, status=401)
        service.grant(token, "bob", None)
        after.clock.advance(11_000)
        assert (await client_of(after, token).get(WHOAMI))["user_id"] == "@bob:test.example"
