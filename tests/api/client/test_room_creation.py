"""POST /createRoom."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.room_versions import ROOM_VERSIONS
from palpo.storage import events as events_storage
from tests.support.homeserver import Client, Homeserver


async def history(server: Homeserver, room_id: str) -> list[Any]:
    """The room's events, oldest first."""
    ids = await server.services.server.db.read(
        lambda tx: events_storage.latest_ids(tx, room_id, after=0, upto=10**9, limit=100)
    )
    return [item.event for item in reversed(await server.services.history.events.get_list(ids))]


async def content(server: Homeserver, room_id: str, type_: str, key: str = "") -> dict[str, Any] | None:
    head = await server.services.history.room_heads.get(room_id)
    found = await server.services.history.events.state_event(head.state_root, type_, key)
    return found.event.content if found else None


async def test_the_order_of_events(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        preset="public_chat",
        room_alias_name="wombles",
        name="Wombles",
        topic="Underground",
        invite=[bob.user_id],
        initial_state=[
            {"type": "m.room.name", "content": {"name": "Not this"}},
            {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}},
            {"type": "example", "state_key": "x", "content": {"a": 1}},
        ],
    )
    events = await history(server, room_id)
    assert [(event.type, event.state_key) for event in events] == [
        ("m.room.create", ""),
        ("m.room.member", alice.user_id),
        ("m.room.power_levels", ""),
        ("m.room.canonical_alias", ""),
        ("m.room.join_rules", ""),
        ("m.room.history_visibility", ""),
        ("m.room.guest_access", ""),
        ("example", "x"),
        ("m.room.name", ""),
        ("m.room.topic", ""),
        ("m.room.member", bob.user_id),
    ]
    assert events[3].content == {"alias": "#wombles:test.example"}
    assert events[4].content == {"join_rule": "public"}
    assert events[6].content == {"guest_access": "can_join"}
    assert events[8].content == {"name": "Wombles"}
    assert events[9].content == {
        "topic": "Underground",
        "m.topic": {"m.text": [{"body": "Underground"}]},
    }
    found = await alice.get("/directory/room/%23wombles:test.example")
    assert found["room_id"] == room_id


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_every_version(server: Homeserver, alice: Client, bob: Client, version: str) -> None:
    room_id = await alice.create_room(
        room_version=version, preset="trusted_private_chat", invite=[bob.user_id], is_direct=True
    )
    create = await content(server, room_id, "m.room.create")
    levels = await content(server, room_id, "m.room.power_levels")
    assert create is not None
    assert levels is not None
    assert create["room_version"] == version
    assert (create.get("creator") == alice.user_id) == (int(version) < 11)
    if version == "12":
        assert create["additional_creators"] == [bob.user_id]
        assert levels["users"] == {}
        assert levels["events"]["m.room.tombstone"] == 150
    else:
        assert levels["users"] == {alice.user_id: 100, bob.user_id: 100}
    member = await content(server, room_id, "m.room.member", bob.user_id)
    assert member == {"membership": "invite", "is_direct": True, "displayname": "bob"}


async def test_creation_content_cannot_say_what_the_server_says(server: Homeserver, alice: Client) -> None:
    given = {"m.federate": False, "room_version": "x", "creator": "@eve:x", "extra": 1}
    room_id = await alice.create_room(creation_content=given)
    create = await content(server, room_id, "m.room.create")
    assert create == {"m.federate": False, "extra": 1, "room_version": "12"}


async def test_additional_creators_are_joined_with_invites(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(
        preset="trusted_private_chat",
        invite=[bob.user_id],
        creation_content={"additional_creators": ["@carol:test.example", bob.user_id]},
    )
    create = await content(server, room_id, "m.room.create")
    assert create is not None
    assert create["additional_creators"] == ["@carol:test.example", bob.user_id]


@pytest.mark.parametrize(
    ("override", "level"),
    [
        ({}, 150),
        ({"state_default": 200}, 201),
        ({"events": {"m.room.name": 0}}, 150),
        ({"events": {"m.room.tombstone": 60}}, 60),
    ],
)
async def test_closing_a_room_takes_more_than_other_state(
    server: Homeserver, alice: Client, override: dict[str, Any], level: int
) -> None:
    room_id = await alice.create_room(room_version="12", power_level_content_override=override)
    levels = await content(server, room_id, "m.room.power_levels")
    assert levels is not None
    assert levels["events"]["m.room.tombstone"] == level


async def test_who_wants_no_invites_is_not_invited_by_initial_state(alice: Client, bob: Client) -> None:
    path = f"/user/{bob.user_id}/account_data/m.invite_permission_config"
    invite = {"type": "m.room.member", "state_key": bob.user_id, "content": {"membership": "invite"}}
    await alice.create_room(initial_state=[invite])
    await bob.put(path, {"default_action": "block"})
    refused = await alice.post("/createRoom", {"initial_state": [invite]}, status=403)
    assert refused["errcode"] == "M_INVITE_BLOCKED"
    elsewhere = {**invite, "state_key": "@eve:elsewhere.example"}
    await alice.post("/createRoom", {"initial_state": [elsewhere]}, status=403)


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"room_version": 1}, "M_BAD_JSON"),
        ({"room_version": ""}, "M_UNSUPPORTED_ROOM_VERSION"),
        ({"initial_state": [{"type": "", "content": {}}]}, "M_BAD_JSON"),
        ({"room_version": "none"}, "M_UNSUPPORTED_ROOM_VERSION"),
        ({"preset": "no_chat"}, "M_BAD_JSON"),
        ({"invite": ["bob"]}, "M_INVALID_PARAM"),
        ({"room_alias_name": "a:b"}, "M_INVALID_PARAM"),
        ({"room_alias_name": ""}, "M_INVALID_PARAM"),
        ({"room_alias_name": "a\0b"}, "M_INVALID_PARAM"),
        ({"room_alias_name": "a" * 300}, "M_INVALID_PARAM"),
        ({"creation_content": {"additional_creators": "x"}}, "M_BAD_JSON"),
        ({"creation_content": {"additional_creators": ["@a:dom$ain"]}}, "M_BAD_JSON"),
        ({"power_level_content_override": {"users": []}}, "M_BAD_JSON"),
        ({"power_level_content_override": {"users": {"@alice:test.example": 100}}}, "M_BAD_JSON"),
        ({"power_level_content_override": {"events": {"m.room.name": "x"}}}, "M_BAD_JSON"),
        ({"initial_state": [{"type": "m.room.create", "content": {}}]}, "M_BAD_JSON"),
        ({"initial_state": [{"type": "m.room.name"}]}, "M_MISSING_PARAM"),
        ({"initial_state": [{"type": "a\0", "content": {}}]}, "M_BAD_JSON"),
        (
            {"initial_state": [{"type": "x", "state_key": "@eve:test.example", "content": {}}]},
            "M_INVALID_ROOM_STATE",
        ),
        (
            {
                "room_version": "11",
                "power_level_content_override": {"users": {}, "state_default": 50},
                "name": "x",
            },
            "M_INVALID_ROOM_STATE",
        ),
    ],
)
async def test_refused(alice: Client, body: dict[str, Any], errcode: str) -> None:
    answer = await alice.post("/createRoom", body, status=400)
    assert answer["errcode"] == errcode


async def test_a_taken_alias(alice: Client) -> None:
    await alice.create_room(room_alias_name="one")
    answer = await alice.post("/createRoom", {"room_alias_name": "one"}, status=400)
    assert answer["errcode"] == "M_ROOM_IN_USE"


async def test_a_room_that_failed_takes_no_alias(alice: Client) -> None:
    body = {"room_alias_name": "one", "initial_state": [{"type": "m.room.create", "content": {}}]}
    await alice.post("/createRoom", body, status=400)
    await alice.create_room(room_alias_name="one")


async def test_guests_make_no_rooms(server: Homeserver) -> None:
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    refused = await guest.post("/createRoom", {}, status=403)
    assert refused["errcode"] == "M_GUEST_ACCESS_FORBIDDEN"
