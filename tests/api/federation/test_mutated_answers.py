"""Answers to handshakes with anything instead of what belongs there: never an error of ours."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from palpo.core.state_keys import JOIN_RULES
from tests.api.federation.test_mutations import JUNK, mutated
from tests.api.federation.test_remote_invites import V1, V2, Invited
from tests.support.federation import Asked
from tests.support.homeserver import Client
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, SERVER
from tests.support.resident import Resident

EACH = 40
Answering = Callable[[Asked], Awaitable[Any]]


def changing(rng: random.Random, answering: Answering) -> Answering:
    """The same answers, one thing in each exchanged; or something else altogether."""

    async def answer(asked: Asked) -> Any:
        right = await answering(asked)
        if isinstance(right, web.Response):
            return right
        return rng.choice(JUNK) if rng.random() < 0.1 else mutated(rng, right)

    return answer


def spoil(remote: RemoteServer, rng: random.Random, name: str) -> None:
    """Have what is answered to one step of a handshake be spoilt."""
    for key, answering in list(remote.answers.items()):
        if name in key[1] and callable(answering):
            remote.answers[key] = changing(rng, answering)


def refused(answer: Any) -> None:
    assert set(answer) in ({"errcode", "error"}, {"room_id"}, set()), answer
    assert answer.get("error") != "Internal server error"


@pytest.mark.one_database
@pytest.mark.parametrize("step", ["make_join", "send_join"])
@pytest.mark.parametrize("version", ["1", "10", "12"])
async def test_joins(alice: Client, remote: RemoteServer, step: str, version: str) -> None:
    rng = random.Random(f"{step} {version}")
    for number in range(EACH):
        room = RemoteRoom(version, name=f"room{number}")
        Resident(remote, room)
        spoil(remote, rng, step)
        path = f"/join/{room.room_id}"
        refused(await alice.post(path, params={"via": SERVER}, status=None))
    await alice.get("/sync")


@pytest.mark.one_database
@pytest.mark.parametrize("step", ["make_knock", "send_knock", "make_leave", "send_leave"])
async def test_knocks_and_leaves(alice: Client, remote: RemoteServer, step: str) -> None:
    rng = random.Random(step)
    room = RemoteRoom("7")
    room.add(BOB, JOIN_RULES, {"join_rule": "knock"})
    Resident(remote, room)
    spoil(remote, rng, step)
    for _ in range(EACH):
        refused(await alice.post(f"/knock/{room.room_id}", params={"via": SERVER}, status=None))
        refused(await alice.post(f"/rooms/{room.room_id}/leave", status=None))
        await alice.get("/sync")


@pytest.mark.one_database
@pytest.mark.parametrize("version", ["1", "12"])
async def test_invites(alice: Client, remote: RemoteServer, version: str) -> None:
    rng = random.Random(version)
    invited = Invited(remote, version)
    remote.answers[V2] = changing(rng, invited.second)
    remote.answers[V1] = changing(rng, invited.first)
    room_id = await alice.create_room(room_version=version)
    for number in range(EACH):
        user_id = f"@bob{number}:{SERVER}"
        refused(await alice.post(f"/rooms/{room_id}/invite", {"user_id": user_id}, status=None))
    await alice.send(room_id, "and on it goes")
