"""Aliases, the directory's list and reports, on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palpo.core.membership import Membership
from palpo.core.records.accounts import Account
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.storage import accounts, aliases, memberships, reports, room_directory, rooms
from palpo.storage.aliases import AliasRow
from palpo.storage.memberships import Member
from palpo.storage.reports import Report
from palpo.storage.rooms import HeadRow

ALIAS = AliasRow(alias="#a:x", room_id="!r:x", creator="@a:x", created_ts=1)


async def test_aliases(database: Database) -> None:
    other = replace(ALIAS, alias="#A:x", room_id="!s:x")
    for row in (ALIAS, other):
        await database.write(lambda tx, row=row: aliases.insert(tx, row))
    with pytest.raises(UniqueViolation):
        await database.write(lambda tx: aliases.insert(tx, ALIAS))
    assert await database.read(lambda tx: aliases.get(tx, "#a:x")) == ALIAS
    assert await database.read(lambda tx: aliases.get(tx, "#b:x")) is None
    found = await database.read(lambda tx: aliases.rooms_of(tx, ["#a:x", "#A:x", "#b:x"]))
    assert found == {"#a:x": "!r:x", "#A:x": "!s:x"}
    await database.write(lambda tx: aliases.move(tx, "!r:x", "!s:x"))
    assert await database.read(lambda tx: aliases.of_room(tx, "!s:x")) == ["#A:x", "#a:x"]
    await database.write(lambda tx: aliases.point(tx, "#a:x", "!t:x"))
    await database.write(lambda tx: aliases.delete_one(tx, "#A:x"))
    assert await database.read(lambda tx: aliases.of_room(tx, "!t:x")) == ["#a:x"]
    assert await database.read(lambda tx: aliases.of_room(tx, "!s:x")) == []


async def test_directory(database: Database) -> None:
    heads = [
        HeadRow(
            room_id=room_id,
            version="12",
            create_event_id=f"${room_id}",
            head=0,
            extremities=(),
            depth=1,
            state_root=EMPTY_ROOT,
        )
        for room_id in ("!a", "!b", "!c")
    ]
    members = [
        Member(
            room_id=room_id,
            user_id=user,
            membership=Membership(membership),
            event_id="$e",
            sender=user,
            position=1,
        )
        for room_id, user, membership in (
            ("!a", "@a:x", "join"),
            ("!a", "@b:x", "join"),
            ("!a", "@c:x", "leave"),
            ("!b", "@a:x", "join"),
        )
    ]
    await database.write(lambda tx: rooms.insert_heads(tx, heads))
    await database.write(lambda tx: memberships.put(tx, members))
    changes = (("!a", "", True), ("!b", "irc", True), ("!c", "", True), ("!c", "", False))
    for room_id, network, listed in changes:
        await database.write(
            lambda tx, room_id=room_id, network=network, listed=listed: room_directory.put(
                tx, room_id, network_id=network, listed=listed
            )
        )
    assert await database.read(lambda tx: room_directory.listed_rooms(tx, "")) == {"!a": EMPTY_ROOT}
    assert set(await database.read(lambda tx: room_directory.listed_rooms(tx, "irc"))) == {"!b"}
    assert set(await database.read(lambda tx: room_directory.listed_rooms(tx, None))) == {"!a", "!b"}
    assert await database.read(lambda tx: room_directory.is_listed(tx, "!a"))
    assert not await database.read(lambda tx: room_directory.is_listed(tx, "!c"))
    assert not await database.read(lambda tx: room_directory.is_listed(tx, "!d"))
    counts = await database.read(lambda tx: room_directory.joined_counts(tx, ["!a", "!b", "!c"]))
    assert counts == {"!a": 2, "!b": 1}


async def test_memberships(database: Database) -> None:
    members = [
        Member(
            room_id=room_id,
            user_id=user,
            membership=Membership(membership),
            event_id="$e",
            sender=user,
            position=1,
        )
        for room_id, user, membership in (
            ("!a", "@a:x", "join"),
            ("!a", "@g:x", "join"),
            ("!a", "@r:y", "join"),
            ("!b", "@r:y", "join"),
            ("!b", "@a:x", "leave"),
            ("!c", "@a:x", "join"),
            ("!c", "@g:x", "invite"),
        )
    ]
    await database.write(lambda tx: memberships.put(tx, members))
    for account in (Account(user_id="@a:x"), Account(user_id="@g:x", is_guest=True)):
        await database.write(lambda tx, account=account: accounts.insert(tx, account))
    local = await database.read(lambda tx: memberships.local_users_in_room(tx, "!a", 5))
    assert sorted(local) == ["@a:x", "@g:x"]
    assert len(await database.read(lambda tx: memberships.local_users_in_room(tx, "!a", 1))) == 1
    assert await database.read(lambda tx: memberships.local_users_in_room(tx, "!b", 1)) == []
    assert await database.read(lambda tx: memberships.guests_in_room(tx, "!a")) == ["@g:x"]
    assert await database.read(lambda tx: memberships.guests_in_room(tx, "!c")) == []
    assert await database.read(lambda tx: memberships.mutual_rooms(tx, "@a:x", "@g:x")) == ["!a"]
    assert await database.read(lambda tx: memberships.mutual_rooms(tx, "@a:x", "@nobody:x")) == []


async def test_reports(database: Database) -> None:
    new = Report(
        position=0,
        reporter="@a:x",
        room_id="!r:x",
        event_id=None,
        user_id=None,
        reason="\U0001f595",
        score=-1,
        received_ts=5,
    )
    first = await database.write(lambda tx: reports.insert(tx, new))
    second = await database.write(lambda tx: reports.insert(tx, new))
    assert await database.read(lambda tx: reports.get(tx, first)) == replace(new, position=first)
    newest = await database.read(lambda tx: reports.newest(tx, before=second + 1, limit=1))
    assert [item.position for item in newest] == [second]
    assert await database.read(reports.count) == 2
    assert await database.write(lambda tx: reports.delete_one(tx, first))
    assert not await database.write(lambda tx: reports.delete_one(tx, first))
