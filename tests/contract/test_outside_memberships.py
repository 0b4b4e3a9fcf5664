"""Invites to rooms that are not here, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.errors import LimitExceeded
from palpo.core.events import SignedEvent, build_event
from palpo.core.identifiers import ServerName
from palpo.core.membership import Membership
from palpo.core.records.accounts import Account
from palpo.core.room_versions import ROOM_VERSIONS
from palpo.core.signing import SigningKey
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history import outside_memberships
from palpo.services.history.outside_memberships import OutsideMemberships, signed
from palpo.storage import accounts, memberships
from palpo.storage.memberships import Member

ALICE, BOB = "@alice:here", "@bob:there"
THERE = ServerName("there")
KEY = SigningKey(key_id="ed25519:1", seed=bytes(32))
RULES = ROOM_VERSIONS["11"]


def event(membership: str, room_id: str = "!r:there", sender: str = BOB, **content: Any) -> SignedEvent:
    return build_event(
        RULES,
        server_name=THERE,
        key=KEY,
        room_id=room_id,
        type="m.room.member",
        sender=sender,
        content={"membership": membership, **content},
        origin_server_ts=1,
        depth=5,
        prev_events=["$p"],
        auth_events=["$a"],
        state_key=ALICE,
    )


async def member(database: Database, room_id: str = "!r:there") -> Member:
    found = await database.read(lambda tx: memberships.get(tx, room_id, ALICE))
    assert found is not None
    return found


async def test_an_invite_and_its_end(database: Database) -> None:
    outside = OutsideMemberships(database)
    invite = event("invite", text="ü")
    assert await outside.get("!r:there", ALICE) is None
    assert await outside.put(RULES, invite, THERE, shown=[{"type": "m.room.name"}])
    told = await member(database)
    assert (told.membership, told.sender, told.stripped_state) == (
        Membership("invite"),
        BOB,
        b'[{"type":"m.room.name"}]',
    )
    stored = await outside.get("!r:there", ALICE)
    assert stored is not None
    assert stored.server_name == THERE
    assert signed(stored) == invite
    assert await outside.put(RULES, invite, THERE, shown=[])
    assert await member(database) == told, "the same event says nothing new"

    leave = event("leave")
    assert not await outside.put(RULES, leave, THERE, instead_of="$other")
    assert await outside.put(RULES, leave, THERE, instead_of=invite.event_id)
    told = await member(database)
    assert (told.membership, told.stripped_state) == (Membership("leave"), None)
    shown = await outside.event(told)
    assert shown is not None
    assert (shown.event_id, shown.position, shown.event.content) == (
        leave.event_id,
        told.position,
        {"membership": "leave"},
    )


async def test_the_state_of_a_room_that_is_here_counts(database: Database) -> None:
    outside = OutsideMemberships(database)
    await outside.put(RULES, event("invite"), THERE, shown=[])

    async def join(tx: WriteTransaction) -> None:
        await tx.positions()
        await accounts.insert(tx, Account(user_id=ALICE, created_ts=1))
        told = Member(
            room_id="!r:there",
            user_id=ALICE,
            membership=Membership("join"),
            event_id="$join",
            sender=ALICE,
            position=7,
        )
        await memberships.put(tx, [told])

    await database.write(join)
    assert await outside.get("!r:there", ALICE) is None
    assert await outside.event(await member(database)) is None
    assert not await outside.put(RULES, event("invite", more=1), THERE, shown=[])
    assert (await member(database)).membership == "join"


async def test_invites_without_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_memberships, "MAX_INVITES", 2)
    outside = OutsideMemberships(database)
    for room in "ab":
        assert await outside.put(RULES, event("invite", f"!{room}:there"), THERE, shown=[])
    with pytest.raises(LimitExceeded):
        await outside.put(RULES, event("invite", "!c:there"), THERE, shown=[])
    assert await outside.put(RULES, event("invite", "!c:there"), ServerName("elsewhere"), shown=[])
    assert await outside.put(RULES, event("invite", "!a:there", again=1), THERE, shown=[])
    assert await outside.put(RULES, event("leave", "!a:there"), THERE)
    assert await outside.put(RULES, event("invite", "!d:there"), THERE, shown=[])
