"""Accounts, for administrators."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from palpo.wire.endpoint import Auth
from palpo.wire.registry import endpoints
from tests.support.homeserver import PASSWORD, Client, Homeserver

V1, V2 = "//_synapse/admin/v1", "//_synapse/admin/v2"
NOBODY = "@nobody:test.example"
STRANGER = "@stranger:other.example"
OF_ADMINS = sorted(
    (endpoint.method, path)
    for endpoint in endpoints()
    for path in endpoint.paths
    if endpoint.auth is Auth.ADMIN
)


def whose(client: Client, *, version: str = V1, what: str = "") -> str:
    return f"{version}/users/{client.user_id}{what}"


async def put(admin: Client, user_id: str, /, *, status: int = 200, **body: Any) -> Any:
    return await admin.request("PUT", f"{V2}/users/{user_id}", body, status=status)


async def one(admin: Client, client: Client) -> Any:
    return await admin.request("GET", whose(client, version=V2))


async def listed(admin: Client, query: str = "", *, version: str = "v2") -> list[str]:
    answer = await admin.request("GET", f"//_synapse/admin/{version}/users?{query}")
    assert answer["total"] >= len(answer["users"])
    return [user["name"][1:].partition(":")[0] for user in answer["users"]]


@pytest.mark.parametrize(("method", "path"), OF_ADMINS)
async def test_only_administrators_may(alice: Client, method: str, path: str) -> None:
    known = {"user_id": "@alice:test.example", "room_id": "!a:test.example", "server_name": "test.example"}
    for name in (*known, *(part[1:-1] for part in path.split("/") if part.startswith("{"))):
        path = path.replace(f"{{{name}}}", known.get(name, "1"))
    answer = await alice.request(method, f"/{path}", {} if method != "GET" else None, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    anonymous = Client(alice.http)
    answer = await anonymous.request(method, f"/{path}", {} if method != "GET" else None, status=401)
    assert answer["errcode"] == "M_MISSING_TOKEN"


async def test_a_user(admin: Client, alice: Client) -> None:
    assert await one(admin, alice) == {
        "name": alice.user_id,
        "admin": False,
        "deactivated": False,
        "locked": False,
        "shadow_banned": False,
        "creation_ts": (await one(admin, alice))["creation_ts"],
        "appservice_id": None,
        "consent_server_notice_sent": None,
        "consent_version": None,
        "consent_ts": None,
        "user_type": None,
        "is_guest": False,
        "suspended": False,
        "displayname": "alice",
        "avatar_url": None,
        "threepids": [],
        "external_ids": [],
        "erased": False,
        "last_seen_ts": None,
    }
    assert (await one(admin, admin))["admin"] is True


async def test_of_which_there_is_none(admin: Client) -> None:
    await admin.request("GET", f"{V2}/users/{NOBODY}", status=404)
    await admin.request("GET", f"{V2}/users/{STRANGER}", status=400)
    await admin.request("GET", f"{V2}/users/alice", status=400)


async def test_a_list(server: Homeserver, admin: Client, alice: Client) -> None:
    answer = await admin.request("GET", f"{V2}/users")
    assert answer["total"] == 2
    assert "next_token" not in answer
    assert answer["users"][1] == {
        "name": alice.user_id,
        "user_type": None,
        "is_guest": False,
        "admin": False,
        "deactivated": False,
        "shadow_banned": False,
        "displayname": "alice",
        "avatar_url": None,
        "creation_ts": server.clock.now_ms(),
        "erased": False,
        "last_seen_ts": None,
        "locked": False,
    }
    assert answer["users"][0]["admin"] is True


async def test_lists(server: Homeserver, admin: Client, alice: Client) -> None:
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "Wonder"})
    bob, carol = await server.register("bob"), await server.register("carol")
    await put(admin, bob.user_id, locked=True, user_type="bot")
    await admin.request("POST", f"{V1}/deactivate/{carol.user_id}", {})
    assert await listed(admin) == ["admin", "alice"]
    assert await listed(admin, "locked=true&dir=b") == ["bob", "alice", "admin"]
    assert await listed(admin, "locked=true&not_user_type=bot") == ["admin", "alice"]
    assert await listed(admin, "locked=true&not_user_type=bot&not_user_type=") == []
    assert await listed(admin, "deactivated=true") == ["admin", "alice", "carol"]
    assert await listed(admin, version="v3") == ["admin", "alice", "carol"]
    assert await listed(admin, "deactivated=true", version="v3") == ["carol"]
    assert await listed(admin, "deactivated=false", version="v3") == ["admin", "alice"]
    assert await listed(admin, "name=WOND") == ["alice"]
    assert await listed(admin, "name=test.example") == []
    assert await listed(admin, "user_id=test.example") == ["admin", "alice"]
    assert await listed(admin, "admins=true") == ["admin"]
    assert await listed(admin, "admins=false") == ["alice"]
    assert await listed(admin, "order_by=displayname&dir=b") == ["alice", "admin"]


async def test_guests_are_left_out(admin: Client) -> None:
    guest = await Client(admin.http).post("/register?kind=guest", {})
    localpart = guest["user_id"][1:].partition(":")[0]
    assert localpart in await listed(admin)
    assert localpart not in await listed(admin, "guests=false")


async def test_pages(admin: Client, alice: Client) -> None:
    first = await admin.request("GET", f"{V2}/users?limit=1")
    assert first["next_token"] == "1"
    second = await admin.request("GET", f"{V2}/users?limit=1&from=1")
    assert [user["name"] for user in second["users"]] == [alice.user_id]
    assert "next_token" not in second
    for query in ("limit=-1", "from=-1", "order_by=shoe_size", "dir=up"):
        answer = await admin.request("GET", f"{V2}/users?{query}", status=400)
        assert answer["errcode"] == "M_INVALID_PARAM"


async def test_make_one(server: Homeserver, admin: Client) -> None:
    answer = await put(
        admin,
        "@new:test.example",
        status=201,
        password=PASSWORD,
        displayname="New",
        avatar_url="mxc://test.example/a",
        threepids=[{"medium": "email", "address": "New@example.org"}],
        external_ids=[{"auth_provider": "oidc-a", "external_id": "1/2"}],
        user_type="bot",
        admin=True,
    )
    assert answer["displayname"] == "New"
    assert answer["avatar_url"] == "mxc://test.example/a"
    assert answer["user_type"] == "bot"
    assert answer["admin"] is True
    assert answer["external_ids"] == [{"auth_provider": "oidc-a", "external_id": "1/2"}]
    assert answer["threepids"][0]["address"] == "new@example.org"
    assert answer["threepids"][0]["added_at"] == server.clock.now_ms()
    new = await server.login("new")
    assert await listed(new, "name=new") == ["new"]
    found = await admin.request("GET", f"{V1}/threepid/email/users/NEW@example.org")
    assert found == {"user_id": new.user_id}
    for unknown in ("email/users/nowhere", "email/users/a@example.org", "msisdn/users/x", "fax/users/1"):
        await admin.request("GET", f"{V1}/threepid/{unknown}", status=404)
    found = await admin.request("GET", f"{V1}/auth_providers/oidc-a/users/1%2F2")
    assert found == {"user_id": new.user_id}


async def test_nothing_is_made_of_what_cannot_be(admin: Client, alice: Client) -> None:
    await put(admin, "@new:other.example", status=400)
    await put(admin, "@New:test.example", status=400)
    for body in (
        {"user_type": "shoe"},
        {"admin": "yes"},
        {"threepids": [{"medium": "email", "address": "nowhere"}]},
        {"external_ids": [{"auth_provider": "", "external_id": "x"}]},
        {"password": "x" * 1000},
    ):
        await put(admin, "@new:test.example", status=400, **body)
    await admin.request("GET", f"{V2}/users/@new:test.example", status=404)


async def test_what_another_account_has(admin: Client, alice: Client) -> None:
    mine = {
        "threepids": [{"medium": "msisdn", "address": "447470274584"}],
        "external_ids": [{"auth_provider": "a", "external_id": "b"}],
    }
    await put(admin, alice.user_id, **mine)
    answer = await put(admin, admin.user_id, status=400, threepids=mine["threepids"])
    assert answer["errcode"] == "M_THREEPID_IN_USE"
    await put(admin, admin.user_id, status=409, external_ids=mine["external_ids"])
    await put(admin, alice.user_id, threepids=[], external_ids=[])
    await put(admin, admin.user_id, **mine)


@pytest.mark.parametrize(
    "taken",
    [
        {"threepids": [{"medium": "email", "address": "taken@example.org"}]},
        {"external_ids": [{"auth_provider": "a", "external_id": "taken"}]},
    ],
)
async def test_what_is_refused_in_part_is_not_done_at_all(
    server: Homeserver, admin: Client, alice: Client, taken: dict[str, Any]
) -> None:
    await put(admin, admin.user_id, **taken)
    whole = {"password": "another long one", "displayname": "Changed", "admin": True, "locked": True, **taken}
    status = 400 if "threepids" in taken else 409
    before = await one(admin, alice)
    await put(admin, alice.user_id, status=status, **whole)
    assert await one(admin, alice) == before
    await server.login("alice")  # With the password that she had.
    await put(admin, "@new:test.example", status=status, **whole)
    await admin.request("GET", f"{V2}/users/@new:test.example", status=404)


async def test_change_one(server: Homeserver, admin: Client, alice: Client) -> None:
    await put(admin, alice.user_id, displayname="Alice", locked=True, user_type="support")
    found = await one(admin, alice)
    assert (found["displayname"], found["locked"], found["user_type"]) == ("Alice", True, "support")
    answer = await alice.get("/account/whoami", status=401)
    assert answer["errcode"] == "M_USER_LOCKED"
    await put(admin, alice.user_id, displayname="", locked=False, suspended=True, user_type=None)
    found = await one(admin, alice)
    assert (found["displayname"], found["locked"], found["user_type"]) == (None, False, None)
    assert found["suspended"] is True
    assert await put(admin, alice.user_id) == found


@pytest.mark.parametrize("by", ["put", "reset"])
@pytest.mark.parametrize("log_out", [True, False])
async def test_a_password(server: Homeserver, admin: Client, alice: Client, by: str, log_out: bool) -> None:
    new = "quite another password"
    if by == "put":
        await put(admin, alice.user_id, password=new, logout_devices=log_out)
    else:
        body = {"new_password": new, "logout_devices": log_out}
        await admin.request("POST", f"{V1}/reset_password/{alice.user_id}", body)
    await alice.get("/account/whoami", status=401 if log_out else 200)
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": new,
    }
    await Client(alice.http).post("/login", login)


async def test_a_password_of_nobody(admin: Client) -> None:
    path = f"{V1}/reset_password/{NOBODY}"
    await admin.request("POST", path, {"new_password": PASSWORD}, status=404)
    answer = await admin.request("POST", path, {}, status=400)
    assert answer["errcode"] == "M_MISSING_PARAM"


async def test_administrators(admin: Client, alice: Client) -> None:
    path = whose(alice, what="/admin")
    assert await admin.request("GET", path) == {"admin": False}
    assert await admin.request("PUT", path, {"admin": True}) == {}
    assert await alice.request("GET", whose(admin, what="/admin")) == {"admin": True}
    await alice.request("PUT", path, {"admin": False}, status=400)
    await put(alice, alice.user_id, status=400, admin=False)
    await admin.request("PUT", path, {}, status=400)
    await admin.request("PUT", path, {"admin": False})
    await alice.request("GET", path, status=403)
    assert await admin.request("GET", f"{V1}/users/{NOBODY}/admin") == {"admin": False}
    await admin.request("GET", f"{V1}/users/{STRANGER}/admin", status=400)


async def test_deactivate_and_back(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    answer = await admin.request("POST", f"{V1}/deactivate/{alice.user_id}", {"erase": True})
    assert answer == {"id_server_unbind_result": "success"}
    await alice.get("/account/whoami", status=401)
    found = await one(admin, alice)
    assert (found["deactivated"], found["erased"], found["displayname"]) == (True, True, None)
    memberships = await admin.request("GET", whose(alice, what="/memberships"))
    assert memberships == {"memberships": {room_id: "leave"}}
    found = await put(admin, alice.user_id, deactivated=False, password=PASSWORD)
    assert (found["deactivated"], found["erased"]) == (False, False)
    await server.login("alice")
    await put(admin, alice.user_id, deactivated=True)
    assert (await one(admin, alice))["deactivated"] is True
    await admin.request("POST", f"{V1}/deactivate/{NOBODY}", {}, status=404)


async def test_suspend(admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    path = f"{V1}/suspend/{alice.user_id}"
    answer = await admin.request("PUT", path, {"suspend": True})
    assert answer == {f"user_{alice.user_id}_suspended": True}
    refused = await alice.put(f"/rooms/{room_id}/send/m.room.message/1", {"body": "x"}, status=403)
    assert refused["errcode"] == "M_USER_SUSPENDED"
    await admin.request("PUT", path, {"suspend": False})
    await alice.send(room_id, "y")
    await admin.request("PUT", f"{V1}/suspend/{NOBODY}", {"suspend": True}, status=404)


async def test_log_in_as_somebody(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    token = (await admin.request("POST", whose(alice, what="/login"), {}))["access_token"]
    puppet = Client(admin.http, alice.user_id, token)
    assert (await puppet.get("/account/whoami"))["user_id"] == alice.user_id
    await puppet.send(room_id, "hello")
    assert len((await alice.get("/devices"))["devices"]) == 1
    await alice.post("/logout/all")
    await puppet.get("/account/whoami")
    await admin.post("/logout/all")
    await puppet.get("/account/whoami", status=401)


async def test_such_a_login_ends(server: Homeserver, admin: Client, alice: Client) -> None:
    path = whose(alice, what="/login")
    soon = server.clock.now_ms() + 1000
    token = (await admin.request("POST", path, {"valid_until_ms": soon}))["access_token"]
    puppet = Client(admin.http, alice.user_id, token)
    await puppet.get("/account/whoami")
    server.clock.advance(1000)
    await puppet.get("/account/whoami", status=401)
    await admin.request("POST", path, {"valid_until_ms": 1}, status=400)
    token = (await admin.request("POST", path, {}))["access_token"]
    puppet = Client(admin.http, alice.user_id, token)
    await puppet.post("/logout")
    await puppet.get("/account/whoami", status=401)
    await alice.get("/account/whoami")


async def test_who_is_no_administrator_any_more_is_nobody_else_either(
    server: Homeserver, admin: Client, alice: Client
) -> None:
    bob = await server.register("bob")
    await admin.request("PUT", whose(bob, what="/admin"), {"admin": True})
    token = (await bob.request("POST", whose(alice, what="/login"), {}))["access_token"]
    await admin.request("PUT", whose(bob, what="/admin"), {"admin": False})
    await Client(admin.http, alice.user_id, token).get("/account/whoami", status=401)


async def test_as_whom_nobody_logs_in(admin: Client, alice: Client) -> None:
    await admin.request("POST", whose(admin, what="/login"), {}, status=400)
    await admin.request("POST", f"{V1}/users/{NOBODY}/login", {}, status=404)
    await admin.request("POST", f"{V1}/deactivate/{alice.user_id}", {})
    await admin.request("POST", whose(alice, what="/login"), {}, status=403)


async def test_names(admin: Client, alice: Client) -> None:
    path = f"{V1}/username_available"
    assert await admin.request("GET", f"{path}?username=free") == {"available": True}
    answer = await admin.request("GET", f"{path}?username=alice", status=400)
    assert answer["errcode"] == "M_USER_IN_USE"
    answer = await admin.request("GET", f"{path}?username=%C3%9C", status=400)
    assert answer["errcode"] == "M_INVALID_USERNAME"
    await admin.request("GET", f"{V1}/threepid/email/users/nobody@example.org", status=404)
    await admin.request("GET", f"{V1}/auth_providers/a/users/b", status=404)


async def test_features(admin: Client, alice: Client) -> None:
    path = f"{V1}/experimental_features/{alice.user_id}"
    features = (await admin.request("GET", path))["features"]
    assert features == {"msc3881": False, "msc3575": True, "msc4222": True}
    await admin.request("PUT", path, {"features": {"msc4222": True}})
    await admin.request("PUT", path, {"features": {"msc4222": False}}, status=400)
    await admin.request("PUT", path, {"features": {"msc0": True}}, status=400)


async def test_register_by_the_secret(server: Homeserver, admin: Client) -> None:
    path = f"{V1}/register"
    nonce = (await Client(admin.http).request("GET", path))["nonce"]
    text = "\0".join((nonce, "new", PASSWORD, "notadmin", "bot"))
    mac = hmac.new(b"complement", text.encode(), hashlib.sha1).hexdigest()
    body = {
        "nonce": nonce,
        "username": "new",
        "password": PASSWORD,
        "user_type": "bot",
        "displayname": "New one",
        "mac": mac,
    }
    answer = await Client(admin.http).request("POST", path, body)
    await Client(admin.http).request("POST", path, body, status=400)
    found = await admin.request("GET", f"{V2}/users/{answer['user_id']}")
    assert (found["displayname"], found["user_type"]) == ("New one", "bot")
    entries = [
        entry
        for entry in await server.services.server.audit_log.newest()
        if entry.action == "synapse.registerBySharedSecret"
    ]
    assert [entry.status for entry in entries] == [400, 200]
    assert entries[0].target == "new"
    assert b"password" not in entries[0].details


async def test_it_is_written_down(server: Homeserver, admin: Client, alice: Client) -> None:
    await put(admin, "@new:test.example", status=201, password=PASSWORD)
    await put(admin, alice.user_id, displayname="Alice")
    new, changed = (await server.services.server.audit_log.newest())[1::-1]
    assert (new.action, new.target, new.status) == ("synapse.putUser", "@new:test.example", 201)
    assert PASSWORD.encode() not in new.details
    assert (changed.target, changed.status) == (alice.user_id, 200)
