"""Password, deactivation, third-party identifiers, moderation."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from palpo.core.identifiers import UserId
from palpo.db.transaction import WriteTransaction
from palpo.storage import account_data, accounts, key_backups, profiles, push_rules
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

NEW_PASSWORD = "staple battery horse"


def auth(user: str = "alice", password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password, **more}


async def log_in(server: Homeserver, password: str, status: int = 200) -> Any:
    body = {"type": "m.login.password", "user": "alice", "password": password}
    return await server.client().post("/login", body, status=status)


async def test_change_password(server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await server.login("alice")
    removed: list[tuple[str, list[str]]] = []

    async def hook(tx: WriteTransaction, user_id: str, device_ids: Any) -> None:
        removed.append((user_id, list(device_ids)))

    removal = server.services.accounts.device_removal
    monkeypatch.setattr(removal, "_hooks", (*removal._hooks, hook))
    challenge = await alice.post("/account/password", {"new_password": NEW_PASSWORD}, status=401)
    assert challenge["flows"] == [{"stages": ["m.login.password"]}]
    body = {"new_password": NEW_PASSWORD, "auth": auth(session=challenge["session"])}
    assert await alice.post("/account/password", body) == {}
    await alice.get("/account/whoami")
    await other.get("/account/whoami", status=401)
    assert removed == [(alice.user_id, [other.device_id])]
    await log_in(server, PASSWORD, 403)
    await log_in(server, NEW_PASSWORD)


async def test_change_password_and_keep_devices(server: Homeserver, alice: Client) -> None:
    other = await server.login("alice")
    body = {"new_password": NEW_PASSWORD, "logout_devices": False, "auth": auth()}
    await alice.post("/account/password", body)
    await other.get("/account/whoami")
    await log_in(server, NEW_PASSWORD)


async def test_weak_new_password(alice: Client) -> None:
    body = {"new_password": "short", "auth": auth()}
    assert (await alice.post("/account/password", body, status=400))["errcode"] == "M_WEAK_PASSWORD"


async def test_change_password_needs_a_token(server: Homeserver) -> None:
    body = {"new_password": NEW_PASSWORD, "auth": auth()}
    assert (await server.client().post("/account/password", body, status=401))["errcode"] == "M_MISSING_TOKEN"


async def test_deactivate(server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await server.login("alice")
    gone: list[str] = []

    async def hook(user_id: str) -> None:
        gone.append(user_id)

    service = server.services.accounts.accounts
    monkeypatch.setattr(service, "_hooks", (*service._hooks, hook))
    failed = await alice.post("/account/deactivate", {"auth": auth(password="wrong one")}, status=401)
    assert failed["errcode"] == "M_FORBIDDEN"
    answer = await alice.post("/account/deactivate", {"auth": auth(), "erase": True})
    assert answer == {"id_server_unbind_result": "success"}
    assert gone == [alice.user_id]
    for client in (alice, other):
        await client.get("/account/whoami", status=401)
    assert (await log_in(server, PASSWORD, 403))["errcode"] == "M_USER_DEACTIVATED"
    error = await alice.get("/register/available", params={"username": "alice"}, status=400)
    assert error["errcode"] == "M_USER_IN_USE"


async def test_who_deactivates_is_in_no_room(server: Homeserver, alice: Client, bob: Client) -> None:
    joined = await alice.create_room(preset="public_chat", invite=[bob.user_id])
    await bob.post(f"/join/{joined}")
    invited = await bob.create_room(invite=[alice.user_id])
    await alice.post("/account/deactivate", {"auth": auth()})
    for room_id in (joined, invited):
        state = await bob.get(f"/rooms/{room_id}/state/m.room.member/{alice.user_id}")
        assert state["membership"] == "leave"


async def test_a_deactivation_that_was_cut_short(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await bob.create_room(preset="public_chat")
        await alice.post(f"/join/{room_id}")
        await server.services.server.db.write(lambda tx: accounts.deactivate(tx, alice.user_id, erase=False))
        member = f"/rooms/{room_id}/state/m.room.member/{alice.user_id}"
        assert (await bob.get(member))["membership"] == "join"
    async with homeserver(tmp_path) as server:
        bob = await server.login("bob")
        async with asyncio.timeout(5):
            while await server.services.server.db.read(accounts.unfinished_deactivations):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await bob.get(member))["membership"] == "leave"


@pytest.mark.parametrize("erase", [True, False])
async def test_erasing_leaves_no_data(server: Homeserver, alice: Client, erase: bool) -> None:
    data = f"/user/{alice.user_id}/account_data/org.example"
    await alice.put(data, {"secret": True})
    await alice.put("/pushrules/global/sender/@x:y.example", {"actions": []})
    await alice.put("/profile/" + alice.user_id + "/displayname", {"displayname": "Alice"})
    assert await alice.get(f"/profile/{alice.user_id}") == {"displayname": "Alice"}
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {}}
    version = (await alice.post("/room_keys/version", backup))["version"]
    await alice.post("/account/deactivate", {"auth": auth(), "erase": erase})
    services = server.services
    kept = [
        await services.server.db.read(lambda tx: account_data.get(tx, alice.user_id, None, "org.example")),
        await services.server.db.read(lambda tx: push_rules.get(tx, alice.user_id)),
        await services.server.db.read(lambda tx: key_backups.find(tx, alice.user_id, version)),
        await services.server.db.read(lambda tx: profiles.get(tx, alice.user_id)),
    ]
    assert [found is None for found in kept] == [erase] * 4
    assert (await services.accounts.profiles.get(UserId(alice.user_id))).fields == (
        {} if erase else {"displayname": "Alice"}
    )


async def test_login_token_of_deactivated(server: Homeserver, alice: Client) -> None:
    token = await server.services.accounts.logins.make_login_token(alice.user_id)
    await server.services.accounts.accounts.deactivate(alice.user_id, erase=False)
    await server.client().post("/login", {"type": "m.login.token", "token": token}, status=403)


EMAIL = {"client_secret": "s", "email": "a@example.org", "send_attempt": 1}
MSISDN = {"client_secret": "s", "country": "GB", "phone_number": "1", "send_attempt": 1}


@pytest.mark.parametrize(
    ("path", "body", "status", "errcode"),
    [
        ("/register/email/requestToken", EMAIL, 403, "M_THREEPID_DENIED"),
        ("/register/msisdn/requestToken", MSISDN, 403, "M_THREEPID_DENIED"),
        ("/account/password/email/requestToken", EMAIL, 403, "M_THREEPID_DENIED"),
        ("/account/password/msisdn/requestToken", MSISDN, 400, "M_THREEPID_NOT_FOUND"),
        ("/account/3pid/email/requestToken", EMAIL, 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
        ("/account/3pid/msisdn/requestToken", MSISDN, 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
        ("/account/3pid/email/requestToken", {}, 400, "M_MISSING_PARAM"),
        ("/account/3pid", {"three_pid_creds": {}}, 400, "M_MISSING_PARAM"),
        (
            "/account/3pid",
            {"three_pid_creds": {"client_secret": "s", "sid": "1", "id_server": "x", "id_access_token": "y"}},
            403,
            "M_THREEPID_AUTH_FAILED",
        ),
        ("/account/3pid/add", {"client_secret": "s", "sid": "1"}, 403, "M_THREEPID_AUTH_FAILED"),
        (
            "/account/3pid/bind",
            {"client_secret": "s", "sid": "1", "id_server": "x", "id_access_token": "y"},
            400,
            "M_SERVER_NOT_TRUSTED",
        ),
        ("/account/3pid/delete", {"medium": "pigeon", "address": "x"}, 400, "M_BAD_JSON"),
    ],
)
async def test_third_party_identifiers(
    alice: Client, path: str, body: dict[str, Any], status: int, errcode: str
) -> None:
    assert (await alice.post(path, body, status=status))["errcode"] == errcode


async def test_no_third_party_identifiers(alice: Client) -> None:
    assert await alice.get("/account/3pid") == {"threepids": []}
    body = {"medium": "email", "address": "a@example.org"}
    for action in ("delete", "unbind"):
        answer = await alice.post(f"/account/3pid/{action}", body)
        assert answer == {"id_server_unbind_result": "no-support"}


@pytest.fixture
async def admin(server: Homeserver) -> Client:
    root = await server.register("root")
    await server.services.accounts.accounts.set_flags(root.user_id, is_admin=True)
    return root


async def test_lock(server: Homeserver, admin: Client, alice: Client) -> None:
    await alice.get("/account/whoami")
    path = f"/client/v1/admin/lock/{alice.user_id}"
    assert await admin.request("PUT", path, {"locked": True}) == {"locked": True}
    assert await admin.request("GET", path) == {"locked": True}
    error = await alice.get("/account/whoami", status=401)
    assert error["errcode"] == "M_USER_LOCKED"
    assert error["soft_logout"] is True
    assert (await log_in(server, PASSWORD, 401))["errcode"] == "M_USER_LOCKED"
    await admin.request("PUT", path, {"locked": False})
    await alice.get("/account/whoami")
    await admin.request("PUT", path, {"locked": True})
    await alice.post("/logout")


async def test_refresh_of_locked(server: Homeserver, admin: Client, alice: Client) -> None:
    body = {"type": "m.login.password", "user": "alice", "password": PASSWORD, "refresh_token": True}
    answer = await server.client().post("/login", body)
    await admin.request("PUT", f"/client/v1/admin/lock/{alice.user_id}", {"locked": True})
    error = await alice.post("/refresh", {"refresh_token": answer["refresh_token"]}, status=401)
    assert error["errcode"] == "M_USER_LOCKED"


async def test_suspend(server: Homeserver, admin: Client, alice: Client) -> None:
    path = f"/client/unstable/uk.timedout.msc4323/admin/suspend/{alice.user_id}"
    assert await admin.request("GET", path) == {"suspended": False}
    assert await admin.request("PUT", path, {"suspended": True}) == {"suspended": True}
    requester = await server.services.accounts.sessions.authenticate(alice.token)
    assert requester.suspended
    await alice.get("/account/whoami")


@pytest.mark.parametrize(
    ("user_id", "status", "errcode"),
    [
        ("@nobody:test.example", 404, "M_NOT_FOUND"),
        ("@alice:elsewhere.example", 400, "M_INVALID_PARAM"),
        ("alice", 400, "M_INVALID_PARAM"),
        ("@root:test.example", 403, "M_FORBIDDEN"),
    ],
)
async def test_who_is_moderated(admin: Client, user_id: str, status: int, errcode: str) -> None:
    for action, body in (("lock", {"locked": True}), ("suspend", {"suspended": True})):
        path = f"/client/v1/admin/{action}/{user_id}"
        assert (await admin.request("PUT", path, body, status=status))["errcode"] == errcode


async def test_only_administrators_moderate(alice: Client, bob: Client) -> None:
    for target in (bob.user_id, "@nobody:test.example"):
        error = await alice.request("GET", f"/client/v1/admin/lock/{target}", status=403)
        assert error["errcode"] == "M_FORBIDDEN"


async def test_whois(admin: Client, alice: Client, bob: Client) -> None:
    for client in (admin, alice):
        answer = await client.get(f"/admin/whois/{alice.user_id}")
        assert answer["user_id"] == alice.user_id
        assert list(answer["devices"]) == [alice.device_id]
    await bob.get(f"/admin/whois/{alice.user_id}", status=403)
    await admin.get("/admin/whois/@nobody:test.example", status=404)
