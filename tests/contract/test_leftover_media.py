"""Media of deleted events are noted, and looked for, on each database."""

from __future__ import annotations

from functools import partial

import pytest

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import MxcUri, ServerName
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import account_data, profiles
from palpo.storage import leftover_media as storage

URIS = [MxcUri(ServerName(f"{server}.example"), f"m{number}") for server in "ab" for number in range(3)]


async def test_what_is_noted_is_looked_for_in_parts(database: Database) -> None:
    assert not await database.read(storage.are_there)
    for _ in range(2):
        await database.write(partial(storage.note, uris=URIS))
    assert await database.read(storage.are_there)
    assert await database.read(storage.looked_for) == set()
    assert await database.write(partial(storage.look_for, limit=4)) == 4
    first = await database.read(storage.looked_for)
    assert len(first) == 4
    await database.write(partial(storage.note, uris=URIS))
    assert await database.read(storage.looked_for) == first
    await database.write(partial(storage.forget, uris=first))
    assert await database.read(storage.looked_for) == set()
    assert await database.write(partial(storage.look_for, limit=4)) == 2
    assert await database.read(storage.looked_for) == set(URIS) - first
    await database.write(partial(storage.forget, uris=URIS))
    assert not await database.read(storage.are_there)
    assert await database.read(partial(storage.owners, origin="a.example", media_ids=["m1"])) == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_texts_are_read_once_each_in_order(database: Database, limit: int) -> None:
    written = [(user, room, type_) for user in "ab" for room in ("", "!r") for type_ in ("t", "u")]

    async def unit(tx: WriteTransaction) -> None:
        position = await tx.positions()
        for user, room, type_ in written:
            content = to_json({"is": f"{user}{room}{type_}"})
            await account_data.put(tx, user, room, type_, content, position)
        for user in "ab":
            await profiles.put(tx, user, to_json({"is": user}), position)

    await database.write(unit)
    for name, expected in (
        ("account_data", ["".join(key) for key in written]),
        ("profiles", ["a", "b"]),
        ("events", []),
        ("delayed_events", []),
    ):
        after: list[str] = []
        texts: list[bytes] = []
        while True:
            read = partial(storage.texts, name=name, after=after, limit=limit)
            key, some = await database.read(read)
            if key is None:
                break
            after, texts = key, texts + some
        assert texts == [to_json({"is": item}) for item in expected]
    assert await database.read(partial(storage.since, position=0, limit=10)) == []
    assert await database.read(partial(storage.of_events, event_ids=["$a"])) == []
