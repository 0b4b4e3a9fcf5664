"""POST /register and what belongs to it."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

DUMMY = {"type": "m.login.dummy"}
SHARED_SECRET = "//_synapse/admin/v1/register"


async def test_flows_then_account(server: Homeserver) -> None:
    client = server.client()
    body = {"username": "carol", "password": PASSWORD, "device_id": "PHONE"}
    challenge = await client.post("/register", body, status=401)
    assert challenge["flows"] == [{"stages": ["m.login.dummy"]}]
    assert challenge["params"] == {}
    assert "errcode" not in challenge
    answer = await client.post("/register", {**body, "auth": {**DUMMY, "session": challenge["session"]}})
    assert answer["user_id"] == "@carol:test.example"
    assert answer["device_id"] == "PHONE"
    assert "refresh_token" not in answer
    owner = await Client(server.http, token=answer["access_token"]).get("/account/whoami")
    assert owner["device_id"] == "PHONE"


async def test_upper_case_and_taken(server: Homeserver) -> None:
    answer = await server.client().post("/register", {"username": "CaRol", "auth": DUMMY})
    assert answer["user_id"] == "@carol:test.example"
    # The name is refused before any stage is asked for.
    error = await server.client().post("/register", {"username": "carol"}, status=400)
    assert error["errcode"] == "M_USER_IN_USE"


@pytest.mark.parametrize("username", ["a,b", "é", "a b", "", "12345", "a\n", "x" * 250, "a:b", "\u212a"])
async def test_invalid_username(server: Homeserver, username: str) -> None:
    body = {"username": username, "auth": DUMMY}
    assert (await server.client().post("/register", body, status=400))["errcode"] == "M_INVALID_USERNAME"
    error = await server.client().get("/register/available", params={"username": username}, status=400)
    assert error["errcode"] == "M_INVALID_USERNAME"


async def test_available(server: Homeserver, alice: Client) -> None:
    assert await alice.get("/register/available", params={"username": "dave"}) == {"available": True}
    error = await alice.get("/register/available", params={"username": "alice"}, status=400)
    assert error["errcode"] == "M_USER_IN_USE"
    assert (await alice.get("/register/available", status=400))["errcode"] == "M_MISSING_PARAM"


async def test_made_up_username_and_no_login(server: Homeserver) -> None:
    answer = await server.client().post("/register", {"auth": DUMMY, "inhibit_login": True})
    assert answer.keys() <= {"user_id", "home_server"}
    assert not answer["user_id"].split(":")[0][1:].isdigit()


async def test_weak_password(server: Homeserver) -> None:
    body = {"username": "carol", "password": "short", "auth": DUMMY}
    assert (await server.client().post("/register", body, status=400))["errcode"] == "M_WEAK_PASSWORD"
    assert (await server.client().get("/register/available", params={"username": "carol"}))["available"]


@pytest.mark.parametrize(
    "body",
    [{"device_id": "D" * 256}, {"device_id": "a\0"}, {"initial_device_display_name": "a\0"}],
)
async def test_device_that_cannot_be_stored(server: Homeserver, body: dict[str, Any]) -> None:
    error = await server.client().post("/register", {**body, "auth": DUMMY}, status=400)
    assert error["errcode"] == "M_INVALID_PARAM"


async def test_long_password(server: Homeserver) -> None:
    body = {"password": "p" * 1000, "auth": DUMMY}
    assert (await server.client().post("/register", body, status=400))["errcode"] == "M_INVALID_PARAM"


async def test_body_that_is_not_utf8(server: Homeserver) -> None:
    response = await server.http.post("/_matrix/client/v3/register", content=b'{ "test":"a\x81" }')
    assert response.status_code == 400
    assert response.json()["errcode"] == "M_NOT_JSON"


async def test_guest(server: Homeserver) -> None:
    body = {"device_id": "IGNORED", "username": "ignored", "initial_device_display_name": "Browser"}
    answer = await server.client().post("/register", body, params={"kind": "guest"})
    assert answer["user_id"].split(":")[0][1:].isdigit()
    assert answer["device_id"] != "IGNORED"
    guest = Client(server.http, token=answer["access_token"])
    assert (await guest.get("/account/whoami"))["is_guest"] is True
    error = await guest.post("/account/password", {"new_password": PASSWORD}, status=403)
    assert error["errcode"] == "M_GUEST_ACCESS_FORBIDDEN"


async def test_guest_becomes_user(server: Homeserver, alice: Client) -> None:
    guest = await server.client().post("/register", params={"kind": "guest"})
    localpart = guest["user_id"].split(":")[0][1:]
    body = {"username": localpart, "password": PASSWORD, "auth": DUMMY}
    theirs = {**body, "guest_access_token": alice.token}
    assert (await server.client().post("/register", theirs, status=403))["errcode"] == "M_FORBIDDEN"
    await server.services.accounts.accounts.set_flags(guest["user_id"], locked=True)
    locked = {**body, "guest_access_token": guest["access_token"]}
    assert (await server.client().post("/register", locked, status=401))["errcode"] == "M_USER_LOCKED"
    await server.services.accounts.accounts.set_flags(guest["user_id"], locked=False)
    # That is found before anybody goes through user-interactive auth.
    other = {"username": "x" + localpart, "guest_access_token": guest["access_token"]}
    assert (await server.client().post("/register", other, status=403))["errcode"] == "M_FORBIDDEN"
    mine = {**body, "guest_access_token": guest["access_token"]}
    assert (await server.client().post("/register", mine))["user_id"] == guest["user_id"]
    assert "is_guest" not in await (await server.login(localpart)).get("/account/whoami")
    assert "is_guest" not in await Client(server.http, token=guest["access_token"]).get("/account/whoami")


async def test_closed(tmp_path: Path) -> None:
    async with homeserver(tmp_path, registration={"open": False, "guests": False}) as server:
        for kind in ("user", "guest"):
            error = await server.client().post(
                "/register", {"auth": DUMMY}, params={"kind": kind}, status=403
            )
            assert error["errcode"] in ("M_FORBIDDEN", "M_GUEST_ACCESS_FORBIDDEN")
        path = "/client/v1/register/m.login.registration_token/validity"
        await server.client().request("GET", path, params={"token": "x"}, status=403)


async def test_registration_token(tmp_path: Path) -> None:
    stage = {"type": "m.login.registration_token"}
    async with homeserver(tmp_path, registration={"open": False, "token": "sesame"}) as server:
        client = server.client()
        challenge = await client.post("/register", {"username": "eve"}, status=401)
        assert challenge["flows"] == [{"stages": ["m.login.registration_token", "m.login.dummy"]}]
        auth = {**stage, "token": "wrong", "session": challenge["session"]}
        failed = await client.post("/register", {"username": "eve", "auth": auth}, status=401)
        assert failed["errcode"] == "M_FORBIDDEN"
        assert failed["session"] == challenge["session"]
        await client.post("/register", {"username": "eve", "auth": DUMMY}, status=401)
        auth["token"] = "sesame"
        halfway = await client.post("/register", {"username": "eve", "auth": auth}, status=401)
        assert halfway["completed"] == ["m.login.registration_token"]
        last = {**DUMMY, "session": challenge["session"]}
        answer = await client.post("/register", {"username": "eve", "auth": last})
        assert answer["user_id"] == "@eve:test.example"

        path = "/client/v1/register/m.login.registration_token/validity"
        for token, valid in (("sesame", True), ("other", False)):
            assert await client.request("GET", path, params={"token": token}) == {"valid": valid}


def mac(nonce: str, username: str, password: str, admin: str) -> str:
    text = f"{nonce}\0{username}\0{password}\0{admin}"
    return hmac.new(b"complement", text.encode(), hashlib.sha1).hexdigest()


async def test_shared_secret(server: Homeserver) -> None:
    client = server.client()
    nonce = (await client.request("GET", SHARED_SECRET))["nonce"]
    body = {"nonce": nonce, "username": "Root", "password": PASSWORD, "admin": True}
    body["mac"] = mac(nonce, "Root", PASSWORD, "admin")
    answer = await client.request("POST", SHARED_SECRET, body)
    assert answer["user_id"] == "@root:test.example"
    root = Client(server.http, token=answer["access_token"])
    assert "m.account_moderation" in (await root.get("/capabilities"))["capabilities"]
    again = await client.request("POST", SHARED_SECRET, body, status=400)
    assert again["errcode"] == "M_UNKNOWN"


async def test_shared_secret_refused(server: Homeserver) -> None:
    client = server.client()
    nonce = (await client.request("GET", SHARED_SECRET))["nonce"]
    body = {"nonce": nonce, "username": "root", "password": PASSWORD, "admin": True}
    await client.request(
        "POST", SHARED_SECRET, {**body, "mac": mac(nonce, "root", PASSWORD, "notadmin")}, status=403
    )
    forged = "1.a.b"
    body = {**body, "nonce": forged, "mac": mac(forged, "root", PASSWORD, "admin")}
    await client.request("POST", SHARED_SECRET, body, status=400)
    nonce = (await client.request("GET", SHARED_SECRET))["nonce"]
    server.clock.advance(61_000)
    body = {**body, "nonce": nonce, "mac": mac(nonce, "root", PASSWORD, "admin")}
    await client.request("POST", SHARED_SECRET, body, status=400)


async def test_shared_secret_is_off_without_one(tmp_path: Path) -> None:
    async with homeserver(tmp_path, registration={"shared_secret": ""}) as server:
        body = {"nonce": "n", "username": "root", "password": PASSWORD, "mac": mac("n", "root", PASSWORD, "")}
        assert (await server.client().request("GET", SHARED_SECRET, status=404))[
            "errcode"
        ] == "M_UNRECOGNIZED"
        await server.client().request("POST", SHARED_SECRET, body, status=404)
