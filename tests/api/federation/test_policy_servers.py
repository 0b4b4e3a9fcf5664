"""Rooms whose events another server signs too, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from palpo.core.event_hashes import add_signature, verify_event_signature
from palpo.core.policy_servers import KEY_ID
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import room_version
from palpo.core.signing import SigningKey
from palpo.services.federation.events.policy_servers import PAUSE_MS
from tests.support.federation import Asked
from tests.support.remote_users import BOB, CAROL, SERVER
from tests.support.transactions import MEMBER, Sender, sender_in

RULES = room_version("12")
KEY = SigningKey(key_id=KEY_ID, seed=b"policy" + bytes(26))
STABLE, UNSTABLE = "/_matrix/policy/v1/sign", "/_matrix/policy/unstable/org.matrix.msc4284/sign"
CONTENT = {"via": SERVER, "public_keys": {"ed25519": KEY.verify_key_base64}}


class Policy:
    """Signs whatever is no spam."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def sign(self, asked: Asked) -> Any:
        pdu = orjson.loads(asked.body)
        self.asked.append(pdu)
        if "spam" in pdu["content"].get("body", ""):
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "That is spam"}, status=400)
        return {SERVER: {KEY_ID: add_signature(RULES, pdu, SERVER, KEY)["signatures"][SERVER][KEY_ID]}}

    @property
    def bodies(self) -> list[str]:
        return [pdu["content"]["body"] for pdu in self.asked if pdu["type"] == "m.room.message"]


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


@pytest.fixture
def policy(sender: Sender) -> Policy:
    policy = Policy()
    sender.server.answers["POST", STABLE] = policy.sign
    return policy


def path(sender: Sender, type_: str = "m.room.policy") -> str:
    return f"/rooms/{sender.room.room_id}/state/{type_}"


async def test_events_of_ours(sender: Sender, policy: Policy) -> None:
    alice, room_id = sender.alice, sender.room.room_id
    await alice.put(path(sender), CONTENT)
    assert policy.asked == []
    url = f"/rooms/{room_id}/send/m.room.message/t1"
    event_id = (await alice.put(url, {"msgtype": "m.text", "body": "tea"}))["event_id"]
    assert (await alice.put(url, {"msgtype": "m.text", "body": "tea"}))["event_id"] == event_id
    assert policy.bodies == ["tea"]
    stored = (await sender.room.history.events.signed([event_id]))[event_id]
    verify_event_signature(RULES, stored.pdu, SERVER, KEY_ID, KEY.verify_key_base64)
    assert set(stored.pdu["signatures"]) == {"hs1.test", SERVER}
    refused = await alice.put(
        f"/rooms/{room_id}/send/m.room.message/t2", {"msgtype": "m.text", "body": "spam"}, status=400
    )
    assert refused == {"errcode": "M_FORBIDDEN", "error": "That is spam"}
    await alice.put(path(sender, "m.room.name"), {"name": "Tea"})
    assert policy.asked[-1]["type"] == "m.room.name"
    assert await sender.bodies() == ["tea"]
    before = len(policy.asked)
    await alice.put(path(sender), {})
    await alice.send(room_id, "spam")
    assert len(policy.asked) == before


async def test_one_that_is_away_or_answers_anything(sender: Sender, policy: Policy) -> None:
    alice, room_id = sender.alice, sender.room.room_id
    await alice.put(path(sender), CONTENT)
    url = f"/rooms/{room_id}/send/m.room.message"
    other = SigningKey(key_id=KEY_ID, seed=bytes(32))
    answers: list[Any] = [
        {},
        {SERVER: []},
        {SERVER: {KEY_ID: 1}},
        {SERVER: {KEY_ID: other.sign(b"x")}},
        web.json_response({"errcode": "M_NOT_FOUND", "error": "?"}, status=404),
        web.json_response([], status=200),
    ]
    for number, answer in enumerate(answers):
        sender.server.answers["POST", STABLE] = lambda asked, answer=answer: _the(answer)
        response = await alice.put(f"{url}/a{number}", {"body": "x", "msgtype": "m.text"}, status=None)
        assert response["errcode"] in ("M_FORBIDDEN", "M_NOT_FOUND"), answer
        sender.ours.clock.advance(PAUSE_MS)
    failing = web.json_response({"errcode": "M_UNKNOWN", "error": "?"}, status=502)
    sender.server.answers["POST", STABLE] = lambda asked: _the(failing)
    await alice.put(f"{url}/away", {"body": "x", "msgtype": "m.text"}, status=403)
    sender.server.answers["POST", STABLE] = policy.sign
    await alice.put(f"{url}/away", {"body": "x", "msgtype": "m.text"}, status=403)
    assert policy.bodies == []
    sender.ours.clock.advance(PAUSE_MS)
    await alice.put(f"{url}/away", {"body": "there", "msgtype": "m.text"})
    assert await sender.bodies() == ["there"]


async def _the(answer: Any) -> Any:
    return answer


async def test_events_of_others(sender: Sender, policy: Policy) -> None:
    await sender.alice.put(path(sender), CONTENT)
    tea, spam = await sender.message("tea"), await sender.message("spam")
    assert await sender.send(tea, spam) == {"pdus": {tea.event_id: {}, spam.event_id: {}}}
    assert await sender.status(tea) is EventStatus.ACCEPTED
    assert await sender.status(spam) is EventStatus.SOFT_FAILED
    assert await sender.bodies() == ["tea"]
    assert sorted(policy.bodies) == ["spam", "tea"]
    coffee = await sender.message("coffee")
    signed = add_signature(RULES, coffee.pdu, SERVER, KEY)
    assert await sender.send(signed) == {"pdus": {coffee.event_id: {}}}
    assert len(policy.bodies) == 2
    assert await sender.bodies() == ["tea", "coffee"]


async def test_a_slow_one_is_asked_about_all_at_once(sender: Sender, policy: Policy) -> None:
    await sender.alice.put(path(sender), CONTENT)
    messages = [await sender.message(str(number)) for number in range(4)]
    all_asked, number = asyncio.Event(), 0

    async def slow(asked: Asked) -> Any:
        nonlocal number
        number += 1
        if number == len(messages):
            all_asked.set()
        await all_asked.wait()
        return await policy.sign(asked)

    sender.server.answers["POST", STABLE] = slow
    await sender.send(*messages)
    assert await sender.bodies() == ["0", "1", "2", "3"]


async def test_by_its_unstable_names(sender: Sender, policy: Policy) -> None:
    draft = Policy()
    sender.server.answers["POST", UNSTABLE] = draft.sign
    content = {"via": SERVER, "public_key": KEY.verify_key_base64}
    await sender.alice.put(path(sender, "org.matrix.msc4284.policy"), content)
    await sender.alice.send(sender.room.room_id, "tea")
    assert draft.bodies == ["tea"]
    del sender.server.answers["POST", UNSTABLE]
    await sender.alice.send(sender.room.room_id, "more tea")
    assert policy.bodies == ["more tea"]


async def test_one_that_is_not_in_the_room(sender: Sender, policy: Policy) -> None:
    for content in ({**CONTENT, "via": "elsewhere.example"}, {**CONTENT, "public_keys": {}}, {"via": [1]}):
        await sender.alice.put(path(sender), content)
        await sender.alice.send(sender.room.room_id, "tea")
    await sender.alice.put(path(sender), CONTENT)
    leave = await sender.room.event(BOB, (MEMBER, BOB), {"membership": "leave"})
    await sender.send(leave)
    await sender.alice.send(sender.room.room_id, "alone")
    assert policy.bodies == []
    join = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await sender.send(join)
    await sender.alice.send(sender.room.room_id, "asked")
    assert policy.bodies == ["asked"]
