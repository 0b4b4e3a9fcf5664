"""Rooms of ours in which another server is, and what that server has been told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, Remote

SEND = "/_matrix/federation/v1/send/"
MEMBER = "m.room.member"


async def shared_room(server: Homeserver, alice: Client, user: str = BOB) -> str:
    """A room of Alice's that a user of another server has joined."""
    room_id = await alice.create_room(preset="public_chat")
    await set_membership(server, room_id, user, "join")
    return room_id


async def set_membership(server: Homeserver, room_id: str, user: str, membership: str) -> None:
    """Take in what another server says of its user."""
    remote = Remote(server, room_id)
    await remote.send(await remote.event(user, (MEMBER, user), {"membership": membership}))


def listens(remote: RemoteServer) -> None:
    """Have a server take transactions."""
    remote.answers["PUT", SEND] = {"pdus": {}}


def transactions(remote: RemoteServer) -> list[tuple[str, dict[str, Any]]]:
    """Each transaction that it was sent, with its ID."""
    return [
        (asked.uri.removeprefix(SEND), orjson.loads(asked.body))
        for asked in list(remote.asked)
        if asked.uri.startswith(SEND)
    ]


def bodies(remote: RemoteServer) -> list[str]:
    """The messages that it was sent, in order, as often as it was."""
    return [
        pdu["content"]["body"]
        for _, content in transactions(remote)
        for pdu in content["pdus"]
        if pdu["type"] == "m.room.message"
    ]


def edus(remote: RemoteServer, edu_type: str) -> list[dict[str, Any]]:
    """The contents of the EDUs of a type that it was sent."""
    return [
        edu["content"]
        for _, content in transactions(remote)
        for edu in content["edus"]
        if edu["edu_type"] == edu_type
    ]


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so; fails after 20 s."""

    async def look() -> object:
        return true()

    await until_found(look)


async def until_found(look: Callable[[], Awaitable[object]]) -> None:
    """The same of something that has to be read."""
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - nobody says when it comes true
            await asyncio.sleep(0.01)
