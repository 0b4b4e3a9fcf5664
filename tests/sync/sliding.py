"""A connection of simplified sliding sync, as a client drives it."""

from __future__ import annotations

from typing import Any

from tests.support.homeserver import Client

Json = dict[str, Any]
PATH = "/client/unstable/org.matrix.simplified_msc3575/sync"
BASIC = [["m.room.create", ""], ["m.room.name", ""]]


def room_list(*ranges: list[int], limit: int = 10, state: Any = BASIC, **more: Any) -> Json:
    """A list, in the form that clients use today."""
    return {
        "ranges": list(ranges) or [[0, 19]],
        "timeline_limit": limit,
        "required_state": state,
        **more,
    }


class Connection:
    """Keeps the position and the body that is sent with it."""

    def __init__(self, client: Client, conn_id: str = "main", **body: Any) -> None:
        self.client = client
        self.pos: str | None = None
        self.body: Json = {"conn_id": conn_id, **body}

    async def request(
        self, pos: str | None = None, *, timeout: int = 0, status: int = 200, **body: Any
    ) -> Json:
        """One request from ``pos``; does not move on."""
        query: Json = {"timeout": timeout, **({"pos": pos} if pos else {})}
        answer: Json = await self.client.request(
            "POST", PATH, {**self.body, **body}, params=query, status=status
        )
        return answer

    async def sync(self, *, timeout: int = 0, **body: Any) -> Json:
        """The next request; ``body`` stays for the ones after it."""
        self.body.update(body)
        answer = await self.request(self.pos, timeout=timeout)
        self.pos = answer["pos"]
        return answer

    async def rooms(self, **options: Any) -> Json:
        """The rooms of the next response."""
        rooms: Json = (await self.sync(**options))["rooms"]
        return rooms


def all_rooms(client: Client, conn_id: str = "main", **options: Any) -> Connection:
    """A connection with one list of the first twenty rooms."""
    return Connection(client, conn_id, lists={"all": room_list(**options)})


async def make_rooms(client: Client, count: int, **body: Any) -> list[str]:
    """Rooms, the newest last."""
    return [await client.create_room(name=f"Room {number}", **body) for number in range(count)]


def bodies(room: Json) -> list[str]:
    """The texts in a room's timeline."""
    return [event["content"]["body"] for event in room["timeline"] if "body" in event["content"]]


def keys(room: Json) -> set[tuple[str, str]]:
    """The state in a room's ``required_state``."""
    return {(event["type"], event["state_key"]) for event in room.get("required_state", ())}


def members(room: Json) -> set[str]:
    """Whose membership is in ``required_state``."""
    return {key for type_, key in keys(room) if type_ == "m.room.member"}
