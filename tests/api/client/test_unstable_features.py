"""What /versions announces as unstable features: a request that shows that each is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from palpo.wire.client.server_info import UNSTABLE_FEATURES
from tests.support.homeserver import PASSWORD, Client, Homeserver

UNSTABLE = "/client/unstable/"
Proof = Callable[[Homeserver, Client, Client], Awaitable[None]]


async def event_relationships(server: Homeserver, alice: Client, bob: Client) -> None:
    event_id = await alice.send(await alice.create_room(), "x")
    answer = await alice.request("POST", UNSTABLE + "event_relationships", {"event_id": event_id})
    assert [event["event_id"] for event in answer["events"]] == [event_id]


async def deleted_account_data(server: Homeserver, alice: Client, bob: Client) -> None:
    path = f"/user/{alice.user_id}/account_data/org.example"
    await alice.put(path, {"n": 1})
    await alice.request("DELETE", f"{UNSTABLE}org.matrix.msc3391{path}")
    await alice.get(path, status=404)


async def dehydrated_devices(server: Homeserver, alice: Client, bob: Client) -> None:
    """As matrix-js-sdk asks: M_UNRECOGNIZED would say no."""
    error = await alice.request("GET", UNSTABLE + "org.matrix.msc3814.v1/dehydrated_device", status=404)
    assert error["errcode"] == "M_NOT_FOUND"


async def login_tokens(server: Homeserver, alice: Client, bob: Client) -> None:
    path = UNSTABLE + "org.matrix.msc3882/login/get_token"
    challenge = await alice.request("POST", path, {}, status=401)
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.user_id},
        "password": PASSWORD,
        "session": challenge["session"],
    }
    token = (await alice.request("POST", path, {"auth": auth}))["login_token"]
    answer = await server.client().post("/login", {"type": "m.login.token", "token": token})
    assert answer["user_id"] == alice.user_id


async def delayed_events(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    delay = {"org.matrix.msc4140.delay": 1000}
    made = await alice.put(f"/rooms/{room_id}/send/org.example/1", {"n": 1}, params=delay)
    waiting = await alice.request("GET", UNSTABLE + "org.matrix.msc4140/delayed_events")
    assert [item["delay_id"] for item in waiting["delayed_events"]] == [made["delay_id"]]


async def rtc_transports(server: Homeserver, alice: Client, bob: Client) -> None:
    answer = await alice.request("GET", UNSTABLE + "org.matrix.msc4143/rtc/transports")
    assert answer == {"rtc_transports": []}


async def invite_filtering(server: Homeserver, alice: Client, bob: Client) -> None:
    type_ = "org.matrix.msc4155.invite_permission_config"
    wanted = {"enabled": True, "blocked_users": [alice.user_id]}
    await bob.put(f"/user/{bob.user_id}/account_data/{type_}", wanted)
    room_id = await alice.create_room()
    error = await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id}, status=403)
    assert error["errcode"] == "M_INVITE_BLOCKED"


async def thread_subscriptions(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    root = await alice.send(room_id, "root")
    path = f"{UNSTABLE}io.element.msc4306/rooms/{room_id}/thread/{quote(root)}/subscription"
    await alice.request("PUT", path, {})
    assert await alice.request("GET", path) == {"automatic": False}


async def sliding_sync(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    rooms: dict[str, Any] = {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []}
    path = UNSTABLE + "org.matrix.simplified_msc3575/sync"
    answer = await alice.request("POST", path, {"lists": {"all": rooms}})
    assert list(answer["rooms"]) == [room_id]


async def mutual_rooms(server: Homeserver, alice: Client, bob: Client) -> None:
    await shared_rooms(alice, bob, UNSTABLE + "uk.half-shot.msc2666/user/mutual_rooms")


async def stable_mutual_rooms(server: Homeserver, alice: Client, bob: Client) -> None:
    await shared_rooms(alice, bob, "/client/v1/mutual_rooms")


async def shared_rooms(alice: Client, bob: Client, path: str) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    answer = await alice.request("GET", path, params={"user_id": bob.user_id})
    assert answer["joined"] == [room_id]


async def moderation(server: Homeserver, alice: Client, bob: Client) -> None:
    await server.services.accounts.accounts.set_flags(alice.user_id, is_admin=True)
    for action, state in (("suspend", "suspended"), ("lock", "locked")):
        path = f"{UNSTABLE}uk.timedout.msc4323/admin/{action}/{bob.user_id}"
        assert await alice.request("PUT", path, {state: True}) == {state: True}
        assert await alice.request("GET", path) == {state: True}


PROOFS: dict[str, Proof] = {
    "org.matrix.msc2836": event_relationships,
    "org.matrix.msc3391": deleted_account_data,
    "org.matrix.msc3814": dehydrated_devices,
    "org.matrix.msc3882": login_tokens,
    "org.matrix.msc4140": delayed_events,
    "org.matrix.msc4143": rtc_transports,
    "org.matrix.msc4155": invite_filtering,
    "org.matrix.msc4306": thread_subscriptions,
    "org.matrix.simplified_msc3575": sliding_sync,
    "uk.half-shot.msc2666.query_mutual_rooms": mutual_rooms,
    "uk.half-shot.msc2666.query_mutual_rooms.stable": stable_mutual_rooms,
    "uk.timedout.msc4323": moderation,
}


async def test_every_feature_has_a_proof(server: Homeserver) -> None:
    answer = await server.client().request("GET", "/client/versions")
    assert answer["unstable_features"] == dict.fromkeys(PROOFS, True)


@pytest.mark.parametrize("feature", sorted(UNSTABLE_FEATURES))
async def test_it_is_served(server: Homeserver, alice: Client, bob: Client, feature: str) -> None:
    await PROOFS[feature](server, alice, bob)
