"""What suspended users may and may not do (spec: client-server API, "Account suspension")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver

DELAY = "org.matrix.msc4140.delay"


@dataclass(slots=True, kw_only=True)
class Scene:
    """A suspended user in a room of theirs with somebody else, and what is around it."""

    server: Homeserver
    alice: Client
    bob: Client
    room_id: str
    own: str
    """An event of the suspended user's."""
    other: str
    """An event of the other's, which the suspended user's level would let them redact."""
    public: str
    """A room that the suspended user is not in."""
    invited: str
    """A room that the suspended user is invited to."""

    def filled(self, value: Any) -> Any:
        """``value``, with the names in braces replaced."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        names = {
            "room": self.room_id,
            "own": self.own,
            "other": self.other,
            "public": self.public,
            "invited": self.invited,
            "me": self.alice.user_id,
            "you": self.bob.user_id,
        }
        return value.format(**names) if isinstance(value, str) else value


@pytest.fixture
async def scene(server: Homeserver, alice: Client, bob: Client) -> Scene:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="room")
    await bob.post(f"/join/{room_id}")
    made = Scene(
        server=server,
        alice=alice,
        bob=bob,
        room_id=room_id,
        own=await alice.send(room_id, "mine"),
        other=await bob.send(room_id, "yours"),
        public=await bob.create_room(preset="public_chat"),
        invited=await bob.create_room(invite=[alice.user_id]),
    )
    await server.services.accounts.accounts.set_flags(alice.user_id, suspended=True)
    return made


FORBIDDEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "send": ("PUT", "/rooms/{room}/send/m.room.message/1", {"body": "x"}),
    "send later": ("PUT", f"/rooms/{{room}}/send/m.room.message/1?{DELAY}=1000", {"body": "x"}),
    "state": ("PUT", "/rooms/{room}/state/m.room.name", {"name": "x"}),
    "redact another's": ("PUT", "/rooms/{room}/redact/{other}/1", {}),
    "redact another's by sending": ("PUT", "/rooms/{room}/send/m.room.redaction/1", {"redacts": "{other}"}),
    "join": ("POST", "/join/{public}", {}),
    "accept": ("POST", "/rooms/{invited}/join", {}),
    "knock": ("POST", "/knock/{public}", {}),
    "invite": ("POST", "/rooms/{room}/invite", {"user_id": "@carol:test.example"}),
    "kick": ("POST", "/rooms/{room}/kick", {"user_id": "{you}"}),
    "ban": ("POST", "/rooms/{room}/ban", {"user_id": "{you}"}),
    "unban": ("POST", "/rooms/{room}/unban", {"user_id": "{you}"}),
    "create a room": ("POST", "/createRoom", {}),
    "alias": ("PUT", "/directory/room/%23x:test.example", {"room_id": "{room}"}),
    "delete an alias": ("DELETE", "/directory/room/%23room:test.example", {}),
    "list": ("PUT", "/directory/list/room/{room}", {"visibility": "public"}),
    "upgrade": ("POST", "/rooms/{room}/upgrade", {"new_version": "11"}),
    "display name": ("PUT", "/profile/{me}/displayname", {"displayname": "x"}),
    "avatar": ("PUT", "/profile/{me}/avatar_url", {"avatar_url": "mxc://test.example/x"}),
    "no display name": ("DELETE", "/profile/{me}/displayname", {}),
    "remove an address": ("POST", "/account/3pid/delete", {"medium": "email", "address": "a@example.org"}),
}

ALLOWED: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "sync": ("GET", "/sync", None),
    "read": ("GET", "/rooms/{room}/messages?dir=b", None),
    "redact": ("PUT", "/rooms/{room}/redact/{own}/1", {}),
    "redact by sending": ("PUT", "/rooms/{room}/send/m.room.redaction/1", {"redacts": "{own}"}),
    "leave": ("POST", "/rooms/{room}/leave", {}),
    "reject": ("POST", "/rooms/{invited}/leave", {}),
    "to-device": ("PUT", "/sendToDevice/m.key.verification.request/1", {"messages": {}}),
    "log out": ("POST", "/logout", {}),
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_forbidden(scene: Scene, name: str) -> None:
    method, path, body = FORBIDDEN[name]
    path = f"/client/v3{scene.filled(path)}"
    error = await scene.alice.request(method, path, scene.filled(body), status=403)
    assert error["errcode"] == "M_USER_SUSPENDED"
    await scene.server.services.accounts.accounts.set_flags(scene.alice.user_id, suspended=False)
    answer = await scene.alice.request(method, path, scene.filled(body), status=None)
    assert answer.get("errcode") != "M_USER_SUSPENDED"


@pytest.mark.parametrize("name", ALLOWED)
async def test_allowed(scene: Scene, name: str) -> None:
    method, path, body = ALLOWED[name]
    await scene.alice.request(method, f"/client/v3{scene.filled(path)}", scene.filled(body))


async def test_new_sessions_are_suspended_too(scene: Scene) -> None:
    phone = await scene.server.login("alice")
    error = await phone.put(f"/rooms/{scene.room_id}/send/m.room.message/1", {"body": "x"}, status=403)
    assert error["errcode"] == "M_USER_SUSPENDED"


@pytest.mark.parametrize("path", ["send/org.example/2", "state/org.example"])
async def test_what_was_to_be_sent_later_is_not(scene: Scene, path: str) -> None:
    services = scene.server.services
    await services.accounts.accounts.set_flags(scene.alice.user_id, suspended=False)
    await scene.alice.put(f"/rooms/{scene.room_id}/{path}", {"n": 1}, params={DELAY: 1000})
    await services.accounts.accounts.set_flags(scene.alice.user_id, suspended=True)
    scene.server.clock.advance(1000)
    await services.rooms.delayed_events.send_due()
    page = await scene.bob.get(f"/rooms/{scene.room_id}/messages", params={"dir": "b"})
    assert "org.example" not in {event["type"] for event in page["chunk"]}
