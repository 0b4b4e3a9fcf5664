"""Heads, and what is known of their states."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpo.core.state_keys import CREATE, FIXED, JOIN_RULES, MEMBER, NAME, POWER_LEVELS
from palpo.services.history.known_state import MAX_KEYS, KnownState
from tests.support.homeserver import Client, Homeserver, homeserver


def test_of_what_is_known_the_newest_stays_and_what_every_room_has() -> None:
    users = [(MEMBER, f"@user{number}:test.example") for number in range(MAX_KEYS * 3)]
    known = KnownState().including({CREATE: "$create", NAME: None, ("any", "thing"): None})
    assert known.ids == {CREATE: "$create", NAME: None}
    for key in users:
        before, known = known, known.including({key: f"$of {key[1]}"})
        assert key not in before.ids
        assert known.ids.keys() >= {CREATE, NAME, key}
        assert len(known.ids) <= MAX_KEYS
    assert KnownState().including(known.ids).bytes == known.bytes
    assert known.including({NAME: "$name"}).ids[NAME] == "$name"


@pytest.mark.one_database
async def test_what_is_known_goes_with_the_head_and_the_next_state(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of state reads nothing of the state that was looked up before it."""
    room_id = await alice.create_room()
    heads = server.services.history.room_heads
    keys = [*FIXED, (MEMBER, alice.user_id)]
    before = await heads.get(room_id)
    found = await heads.state(before, keys)
    await alice.put(f"/rooms/{room_id}/state/m.room.name/", {"name": "a"})
    await alice.send(room_id, "hello")
    head = await heads.get(room_id)
    assert head.state_root != before.state_root

    read: list[bytes] = []
    monkeypatch.setattr(server.services.history.events, "read_state", read.append)
    after = await heads.state(head, keys)

    assert not read
    assert after.pop(NAME).content == {"name": "a"}
    assert after == found
    assert before.unsaved is head.unsaved is None


async def test_a_head_is_asked_in_the_words_of_its_reader(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    heads = server.services.history.room_heads
    head = await heads.get(room_id)
    rules = await heads.state_event(head, JOIN_RULES)
    assert rules is not None
    assert rules.content == {"join_rule": "public"}
    assert await heads.state_event(head, NAME) is None
    assert await heads.membership(head, alice.user_id) == "join"
    assert await heads.membership(head, bob.user_id) is None
    assert (await heads.power_levels(head)).user(alice.user_id) >= 100


async def test_other_processes_are_seen_in_what_is_known(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as one, homeserver(tmp_path) as two:
        alice = await one.register("alice")
        room_id = await alice.create_room(name="first")
        for name in ("second", "third"):
            heads = two.services.history.room_heads
            head = await heads.get(room_id)
            assert {CREATE, POWER_LEVELS, NAME} <= (await heads.state(head, FIXED)).keys()
            await alice.put(f"/rooms/{room_id}/state/m.room.name/", {"name": name})
            heads.forget([room_id])
            event = await heads.state_event(await heads.get(room_id), NAME)
            assert event is not None
            assert event.content == {"name": name}
