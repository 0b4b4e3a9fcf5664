"""What application services may do on the client-server API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palpo.services.appservices import appservice_queries
from tests.support import encryption
from tests.support.appservices import HS_TOKEN, Appservice, AppserviceUser, make_user, registration
from tests.support.homeserver import Homeserver, homeserver

APPSERVICE_LOGIN = "m.login.application_service"


@pytest.fixture
async def bridge() -> AsyncIterator[Appservice]:
    service = Appservice()
    async with service.running():
        yield service


@pytest.fixture
async def server(tmp_path: Path, bridge: Appservice) -> AsyncIterator[Homeserver]:
    files = [
        registration(tmp_path, url=bridge.url, protocols=["irc"], rate_limited=False),
        registration(
            tmp_path,
            id="other",
            as_token="other-token",
            sender_localpart="_other",
            namespaces={"users": [{"regex": "@_other_.*", "exclusive": False}]},
        ),
    ]
    limits = {"enabled": True, "room_creation": {"per_second": 0.001, "burst": 3}}
    limits["registration"] = {"per_second": 1000, "burst": 1000}
    async with homeserver(tmp_path, appservices=files, rate_limits=limits) as running:
        yield running


async def test_it_acts_as_its_sender_and_as_its_users(server: Homeserver) -> None:
    sender = AppserviceUser(server)
    assert await sender.get("/account/whoami") == {"user_id": "@_bridge:test.example"}
    user = await make_user(server, "_irc_ann")
    assert user.user_id == "@_irc_ann:test.example"
    assert (await user.get("/account/whoami"))["user_id"] == user.user_id


async def test_it_cannot_act_as_others(server: Homeserver) -> None:
    alice = await server.register("alice")
    for user_id in (alice.user_id, "@_irc_unknown:test.example", "@_irc_x:elsewhere.example", "nonsense"):
        error = await AppserviceUser(server, user_id).get("/account/whoami", status=403)
        assert error["errcode"] == "M_FORBIDDEN"
    error = await AppserviceUser(server, token="guessed").get("/account/whoami", status=401)
    assert error["errcode"] == "M_UNKNOWN_TOKEN"


async def test_devices_without_logins(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    masquerading = AppserviceUser(server, user.user_id, "DEV")
    assert (await masquerading.get("/account/whoami", status=400))["errcode"] == "M_UNKNOWN_DEVICE"
    await user.put("/devices/DEV", {"display_name": "Bridge"}, status=201)
    await user.put("/devices/DEV", {"display_name": "The bridge"}, status=200)
    assert (await masquerading.get("/account/whoami"))["device_id"] == "DEV"
    keys = encryption.device_keys(user.user_id, "DEV")
    await masquerading.post("/keys/upload", {"device_keys": keys})
    unstable = {"org.matrix.msc3202.device_id": "DEV"}
    assert (await user.get("/account/whoami", params=unstable))["device_id"] == "DEV"
    await user.delete("/devices/DEV", {})
    assert (await masquerading.get("/account/whoami", status=400))["errcode"] == "M_UNKNOWN_DEVICE"


async def test_cross_signing_keys_are_replaced_without_questions(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    for name in ("first", "second"):
        await user.post("/keys/device_signing/upload", encryption.cross_signing_keys(user.user_id, name))
    public_key = encryption.signing_key("secondmaster").verify_key_base64
    await user.put(f"/devices/{quote(public_key, safe='')}", {}, status=403)


async def test_one_user_in_a_room_suffices_to_ask_who_is_in_it(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat")
    path = f"/rooms/{room_id}/joined_members"
    sender, user = AppserviceUser(server), await make_user(server, "_irc_ann")
    assert (await sender.get(path, status=403))["errcode"] == "M_FORBIDDEN"
    await user.post(f"/join/{room_id}")
    assert (await sender.get(path))["joined"].keys() == {alice.user_id, user.user_id}
    await AppserviceUser(server, token="other-token").get(path, status=403)


async def test_registration(server: Homeserver) -> None:
    sender = AppserviceUser(server)
    body: dict[str, Any] = {"type": APPSERVICE_LOGIN, "username": "_irc_ann"}
    answer = await sender.post("/register", body, params={"kind": "user"})
    assert answer["user_id"] == "@_irc_ann:test.example"
    assert answer["access_token"]
    assert answer["device_id"]
    assert (await sender.post("/register", body, status=400))["errcode"] == "M_USER_IN_USE"
    outside = {"type": APPSERVICE_LOGIN, "username": "ann"}
    assert (await sender.post("/register", outside, status=400))["errcode"] == "M_EXCLUSIVE"
    assert (await sender.post("/register", {"type": APPSERVICE_LOGIN}, status=400))["errcode"] == (
        "M_MISSING_PARAM"
    )
    nobody = server.client()
    assert (await nobody.post("/register", body, status=401))["errcode"] == "M_MISSING_TOKEN"
    alice = await server.register("alice")
    assert (await alice.post("/register", body, status=401))["errcode"] == "M_UNKNOWN_TOKEN"


async def test_nobody_else_registers_in_an_exclusive_namespace(server: Homeserver) -> None:
    body = {"username": "_irc_eve", "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
    assert (await server.client().post("/register", body, status=400))["errcode"] == "M_EXCLUSIVE"
    path = "/register/available?username=_irc_eve"
    assert (await server.client().get(path, status=400))["errcode"] == "M_EXCLUSIVE"
    other = {"type": APPSERVICE_LOGIN, "username": "_irc_eve"}
    stranger = AppserviceUser(server, token="other-token")
    assert (await stranger.post("/register", other, status=400))["errcode"] == "M_EXCLUSIVE"
    await server.register("_other_free")


async def test_login(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    sender = AppserviceUser(server)
    body: dict[str, Any] = {
        "type": APPSERVICE_LOGIN,
        "identifier": {"type": "m.id.user", "user": "_irc_ann"},
        "device_id": "LOGIN",
    }
    answer = await sender.post("/login", body)
    assert (answer["user_id"], answer["device_id"]) == (user.user_id, "LOGIN")
    types = {flow["type"] for flow in (await server.client().get("/login"))["flows"]}
    assert APPSERVICE_LOGIN in types
    assert (await server.client().post("/login", body, status=401))["errcode"] == "M_MISSING_TOKEN"
    alice = await server.register("alice")
    assert (await alice.post("/login", body, status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    body["identifier"]["user"] = "_irc_nobody"
    assert (await sender.post("/login", body, status=403))["errcode"] == "M_FORBIDDEN"
    body["identifier"]["user"] = "alice"
    assert (await sender.post("/login", body, status=403))["errcode"] == "M_EXCLUSIVE"


async def test_login_where_passwords_are_off(tmp_path: Path) -> None:
    files = [registration(tmp_path)]
    async with homeserver(tmp_path, password={"enabled": False}, appservices=files) as server:
        flows = (await server.client().get("/login"))["flows"]
        assert flows == [{"type": APPSERVICE_LOGIN}]
    async with homeserver(tmp_path, password={"enabled": False}) as server:
        assert (await server.client().get("/login", status=404))["errcode"] == "M_UNRECOGNIZED"


async def test_rate_limits_are_for_others(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    for _ in range(4):
        await user.create_room()
    limited = await make_user(server, "_other_ann", "other-token")
    for _ in range(3):
        await limited.create_room()
    assert (await limited.post("/createRoom", status=429))["errcode"] == "M_LIMIT_EXCEEDED"
    sender = AppserviceUser(server, token="other-token")
    for _ in range(4):
        await sender.create_room()


async def test_times_of_the_past(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    room = await user.create_room()
    old = {"ts": "1000000000000"}
    sent = await user.put(f"/rooms/{room}/send/m.room.message/1", {"body": "then"}, params=old)
    topic = await user.put(f"/rooms/{room}/state/m.room.topic", {"topic": "then"}, params=old)
    content = {"redacts": await user.send(room, "x")}
    redacted = await user.put(f"/rooms/{room}/send/m.room.redaction/1", content, params=old)
    for event_id in (sent["event_id"], topic["event_id"], redacted["event_id"]):
        event = await user.get(f"/rooms/{room}/event/{event_id}")
        assert event["origin_server_ts"] == 1_000_000_000_000
    for path in (f"/rooms/{room}/send/m.room.message/2", f"/rooms/{room}/state/m.room.topic"):
        for wrong in ("-5", "soon", str(2**60)):
            error = await user.put(path, {"body": "x"}, params={"ts": wrong}, status=400)
            assert error["errcode"] == "M_INVALID_PARAM"
    ghost = await make_user(server, "_irc_bob")
    member = f"/rooms/{room}/state/m.room.member/{ghost.user_id}"
    invite = await user.put(member, {"membership": "invite"}, params=old)
    event = await user.get(f"/rooms/{room}/event/{invite['event_id']}")
    assert event["origin_server_ts"] == 1_000_000_000_000
    alice = await server.register("alice")
    own = await alice.create_room()
    now = await alice.put(f"/rooms/{own}/send/m.room.message/1", {"body": "now"}, params=old)
    event = await alice.get(f"/rooms/{own}/event/{now['event_id']}")
    assert event["origin_server_ts"] == server.clock.now_ms()


async def test_aliases_of_an_exclusive_namespace(server: Homeserver) -> None:
    user = await make_user(server, "_irc_ann")
    room = await user.create_room(preset="public_chat")
    alias = "%23_irc_chat:test.example"
    alice = await server.register("alice")
    own = await alice.create_room()
    taken = await alice.put(f"/directory/room/{alias}", {"room_id": own}, status=400)
    assert taken["errcode"] == "M_EXCLUSIVE"
    assert (await alice.post("/createRoom", {"room_alias_name": "_irc_x"}, status=400))["errcode"] == (
        "M_EXCLUSIVE"
    )
    outside = await user.put("/directory/room/%23chat:test.example", {"room_id": room}, status=400)
    assert outside["errcode"] == "M_EXCLUSIVE"
    await user.put(f"/directory/room/{alias}", {"room_id": room})
    assert (await alice.delete(f"/directory/room/{alias}", status=400))["errcode"] == "M_EXCLUSIVE"
    await AppserviceUser(server).delete(f"/directory/room/{alias}")
    login = {"type": APPSERVICE_LOGIN, "identifier": {"type": "m.id.user", "user": "_irc_ann"}}
    token = (await AppserviceUser(server).post("/login", login))["access_token"]
    ghost = server.client()
    ghost.token = token
    await ghost.put(f"/directory/room/{alias}", {"room_id": room})
    await ghost.delete(f"/directory/room/{alias}")
    await alice.get(f"/directory/room/{alias}", status=404)


async def test_an_alias_is_made_when_it_is_looked_up(server: Homeserver, bridge: Appservice) -> None:
    user = await make_user(server, "_irc_ann")

    async def make(asked: Any) -> tuple[int, Any]:
        if "/rooms/#_irc_made" not in asked.path:
            return 404, {"errcode": "IRC_NOT_FOUND"}
        await user.post("/createRoom", {"room_alias_name": "_irc_made", "preset": "public_chat"})
        return 200, {}

    bridge.answer = make
    alice = await server.register("alice")
    joined = await alice.post("/join/%23_irc_made:test.example")
    assert joined["room_id"] in (await alice.get("/joined_rooms"))["joined_rooms"]
    queries = [item for item in bridge.asked if "/rooms/" in item.path]
    assert [(item.path, item.token) for item in queries] == [
        ("/_matrix/app/v1/rooms/#_irc_made:test.example", HS_TOKEN)
    ]
    await alice.post("/join/%23_irc_never:test.example", status=404)
    await alice.post("/join/%23never:test.example", status=404)
    assert len([item for item in bridge.asked if "/rooms/" in item.path]) == 2


async def test_a_user_is_made_when_looked_up_or_invited(server: Homeserver, bridge: Appservice) -> None:
    async def make(asked: Any) -> tuple[int, Any]:
        if "/users/@_irc_" not in asked.path:
            return 200, {}
        user = await make_user(server, asked.path.partition("@")[2].partition(":")[0])
        await user.put(f"/profile/{user.user_id}/displayname", {"displayname": "From IRC"})
        return 200, {}

    bridge.answer = make
    alice = await server.register("alice")
    assert await alice.get("/profile/@_irc_one:test.example") == {"displayname": "From IRC"}
    room = await alice.create_room()
    await alice.post(f"/rooms/{room}/invite", {"user_id": "@_irc_two:test.example"})
    shown = await alice.get(f"/rooms/{room}/state/m.room.member/@_irc_two:test.example")
    assert shown["displayname"] == "From IRC"
    await alice.get("/profile/@nobody:test.example", status=404)


async def test_an_older_service_is_asked_at_the_older_path(server: Homeserver, bridge: Appservice) -> None:
    bridge.answer = lambda asked: (404, {}) if "/v1/" in asked.path else (200, {})
    alice = await server.register("alice")
    await alice.get("/profile/@_irc_one:test.example", status=404)
    assert [item.path for item in bridge.asked if "/users/" in item.path] == [
        "/_matrix/app/v1/users/@_irc_one:test.example",
        "/users/@_irc_one:test.example",
    ]
    assert bridge.asked[-1].query == {"access_token": [HS_TOKEN]}


async def test_pings(server: Homeserver, bridge: Appservice) -> None:
    sender = AppserviceUser(server)
    path = "/client/v1/appservice/bridge/ping"
    answer = await sender.request("POST", path, {"transaction_id": "meow"})
    assert answer["duration_ms"] >= 0
    assert [(item.path, item.body) for item in bridge.asked if "ping" in item.path] == [
        ("/_matrix/app/v1/ping", {"transaction_id": "meow"})
    ]
    bridge.answer = lambda asked: (403, {"errcode": "M_FORBIDDEN"})
    error = await sender.request("POST", path, {}, status=502)
    assert (error["errcode"], error["status"]) == ("M_BAD_STATUS", 403)
    assert error["body"] == '{"errcode": "M_FORBIDDEN"}'
    other = "/client/v1/appservice/other/ping"
    assert (await sender.request("POST", other, {}, status=403))["errcode"] == "M_FORBIDDEN"
    without = AppserviceUser(server, token="other-token")
    assert (await without.request("POST", other, {}, status=400))["errcode"] == "M_URL_NOT_SET"
    alice = await server.register("alice")
    assert (await alice.request("POST", path, {}, status=403))["errcode"] == "M_FORBIDDEN"


async def test_a_ping_into_the_void(tmp_path: Path) -> None:
    files = [registration(tmp_path, url=Appservice().url)]
    async with homeserver(tmp_path, appservices=files) as server:
        sender = AppserviceUser(server)
        error = await sender.request("POST", "/client/v1/appservice/bridge/ping", {}, status=502)
        assert error["errcode"] == "M_CONNECTION_FAILED"
        alice = await server.register("alice")
        await alice.get("/profile/@_irc_one:test.example", status=404)
        await alice.get("/directory/room/%23_irc_one:test.example", status=404)


async def test_one_that_does_not_answer_lets_others_wait_once(
    server: Homeserver, bridge: Appservice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.services.appservices.appservice_queries, "_query_s", 0.1)

    async def never(asked: Any) -> tuple[int, Any]:
        await asyncio.sleep(3600)
        return 200, {}

    bridge.answer = never
    alice = await server.register("alice")
    await alice.get("/profile/@_irc_one:test.example", status=408)
    asked = len(bridge.asked)
    assert asked == appservice_queries.ATTEMPTS
    await alice.get("/profile/@_irc_one:test.example", status=404)
    room = await alice.create_room(invite=["@_irc_two:test.example"])
    await alice.post(f"/rooms/{room}/invite", {"user_id": "@_irc_three:test.example"})
    assert len(bridge.asked) == asked
    path = "/client/v1/appservice/bridge/ping"
    error = await AppserviceUser(server).request("POST", path, {}, status=504)
    assert error["errcode"] == "M_CONNECTION_TIMEOUT"


PROTOCOL = {
    "user_fields": ["nick"],
    "location_fields": ["channel"],
    "icon": "mxc://test.example/icon",
    "field_types": {
        "nick": {"regexp": ".+", "placeholder": "nick"},
        "channel": {"regexp": "#.+", "placeholder": "#channel"},
    },
    "instances": [{"network_id": "libera", "desc": "Libera", "fields": {"network": "libera"}}],
}
LOCATION = {"alias": "#_irc_a:test.example", "protocol": "irc", "fields": {"channel": "#a"}}
THIRD_PARTY_USER = {"userid": "@_irc_a:test.example", "protocol": "irc", "fields": {"nick": "a"}}


def third_party(asked: Any) -> tuple[int, Any]:
    """An application service that knows one network."""
    kind = asked.path.removeprefix("/_matrix/app/v1/thirdparty/")
    if kind == "protocol/irc":
        return 200, PROTOCOL
    if kind in ("location/irc", "location"):
        return 200, [LOCATION]
    if kind in ("user/irc", "user"):
        return 200, [THIRD_PARTY_USER]
    return 200, {}


async def test_third_party_networks(server: Homeserver, bridge: Appservice) -> None:
    bridge.answer = third_party
    alice = await server.register("alice")
    protocols = await alice.get("/thirdparty/protocols")
    instance = protocols["irc"]["instances"][0]
    assert instance["network_id"] == "libera"
    assert await alice.get("/thirdparty/protocol/irc") == protocols["irc"]
    assert (await alice.get("/thirdparty/protocol/icq", status=404))["errcode"] == "M_NOT_FOUND"
    assert await alice.get("/thirdparty/location/irc", params={"channel": "#a"}) == [LOCATION]
    assert bridge.asked[-1].query == {"channel": ["#a"]}
    assert await alice.get("/thirdparty/user/irc", params={"nick": "a"}) == [THIRD_PARTY_USER]
    assert await alice.get("/thirdparty/location", params={"alias": LOCATION["alias"]}) == [LOCATION]
    assert bridge.asked[-1].query == {"alias": [LOCATION["alias"]]}
    user_id = THIRD_PARTY_USER["userid"]
    assert await alice.get("/thirdparty/user", params={"userid": user_id}) == [THIRD_PARTY_USER]
    await alice.get("/thirdparty/user", params={"userid": alice.user_id}, status=404)
    await alice.get("/thirdparty/location/icq", status=404)

    room = await (await make_user(server, "_irc_ann")).create_room(preset="public_chat")
    listing = f"/directory/list/appservice/libera/{room}"
    await alice.put(listing, {"visibility": "public"}, status=403)
    await AppserviceUser(server).put(listing, {"visibility": "public"})
    wanted = {"third_party_instance_id": instance["instance_id"]}
    assert [item["room_id"] for item in (await alice.post("/publicRooms", wanted))["chunk"]] == [room]
    assert (await alice.post("/publicRooms", {}))["chunk"] == []
