"""The search index, on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import uvloop

from palpo.core.search_terms import SearchTerm
from palpo.core.search_text import BODY, NAME, room_token, tokens
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import search as storage
from palpo.storage.search import Entry, Wanted

ALICE, BOB = "@alice:test.example", "@bob:test.example"
ROOM, OTHER = "!room:test.example", "!other:test.example"
LONG = "x" * 300


def entry(position: int, text: str, *, room_id: str = ROOM, sender: str = ALICE, key: str = BODY) -> Entry:
    words = " ".join([room_token(room_id), *tokens(text)])
    return Entry(
        position=position,
        event_id=f"${position}",
        room_id=room_id,
        sender=sender,
        key=key,
        words=words,
    )


async def add(database: Database, *entries: Entry) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.add(tx, entries)

    await database.write(unit)


async def find(
    database: Database, term: str, *, rooms: Sequence[str] = (ROOM,), limit: int = 10, **wanted: Any
) -> list[int]:
    asked = Wanted(**{"groups": SearchTerm(term).groups, "keys": [BODY, NAME], "before": 2**62, **wanted})

    async def read(tx: Transaction) -> list[tuple[int, str]]:
        scopes = [room_token(room_id) for room_id in rooms]
        return await storage.newest(tx, asked, rooms=rooms, scopes=scopes, limit=limit)

    found = await database.read(read)
    assert [event_id for _, event_id in found] == [f"${position}" for position, _ in found]
    return [position for position, _ in found]


async def test_every_word_is_found_and_all_must_be_there(database: Database) -> None:
    await add(
        database,
        entry(1, "The 4 of us, and a WHO"),
        entry(2, "the four of us"),
        entry(3, "Straße, naïve 東京 हिन्दी 🎉"),
        entry(4, LONG),
    )

    assert await find(database, "the") == [2, 1]
    assert await find(database, "us the 4") == [1]
    assert await find(database, "who") == [1]
    assert await find(database, "STRASSE naive") == [3]
    assert await find(database, "京") == [3]
    assert await find(database, LONG) == [4]
    assert await find(database, "y" + LONG) == []
    assert await find(database, "nobody") == []


async def test_only_what_is_asked_for(database: Database) -> None:
    await add(
        database,
        entry(1, "hello"),
        entry(2, "hello", room_id=OTHER),
        entry(3, "hello", sender=BOB),
        entry(4, "hello", key=NAME),
    )

    assert await find(database, "hello") == [4, 3, 1]
    assert await find(database, "hello", rooms=[ROOM, OTHER]) == [4, 3, 2, 1]
    assert await find(database, "hello", rooms=[OTHER]) == [2]
    assert await find(database, "hello", senders=[BOB]) == [3]
    assert await find(database, "hello", senders=[]) == []
    assert await find(database, "hello", keys=[NAME]) == [4]
    assert await find(database, "hello", before=4) == [3, 1]
    assert await find(database, "hello", limit=2) == [4, 3]


async def test_many_words_of_many_rooms(database: Database) -> None:
    text = " ".join(f"word{number}" for number in range(32))
    await add(database, entry(7, text))
    rooms = [f"!room{number}:test.example" for number in range(199)]

    assert await find(database, text, rooms=[*rooms, ROOM]) == [7]
    assert await find(database, text, rooms=rooms) == []


def test_the_revisions_make_the_index_too(empty_database_url: str) -> None:
    on_connection(empty_database_url, upgrade_from_nothing)

    async def found() -> list[int]:
        database = Database(create_engine(empty_database_url))
        await database.open()
        try:
            await add(database, entry(1, "hello"))
            return await find(database, "hello")
        finally:
            await database.close()

    assert uvloop.run(found()) == [1]
