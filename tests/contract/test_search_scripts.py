"""Searches in all scripts, over HTTP, with the same results on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from palpo.core.search_text import BODY, room_token
from palpo.db import consumers
from palpo.db.engine import Database
from palpo.db.statements import Statement, in_list
from palpo.db.tables.consumers import consumers as consumer_table
from palpo.db.transaction import WriteTransaction
from palpo.services.reading.search_index import CONSUMER, REBUILD
from palpo.services.reading.user_directory import REBUILD as REBUILD_WORDS
from palpo.storage import profiles
from palpo.storage import search as storage
from palpo.storage.search import Entry
from tests.contract.search_rows import NAMES, ROWS
from tests.support.homeserver import Client, Homeserver, homeserver

FORGET = Statement(delete(consumer_table).where(in_list(consumer_table.c.name, "names")))


@pytest.fixture
async def server(tmp_path: Path, database_url: str, database: Database) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, database={"url": database_url}) as server:
        yield server


async def search(client: Client, term: str, **criteria: Any) -> Any:
    body = {"search_categories": {"room_events": {"search_term": term, **criteria}}}
    return (await client.post("/search", body))["search_categories"]["room_events"]


async def found(client: Client, term: str) -> list[str]:
    answer = await search(client, term, order_by="recent", filter={"limit": 50})
    return [result["result"]["content"]["body"] for result in answer["results"]]


async def test_messages_in_every_script(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    for text in dict.fromkeys(text for _, text, _, _ in ROWS):
        await alice.send(room_id, text)

    wrong = [row for row in ROWS if (row[1] in await found(alice, row[2])) != row[3]]

    assert wrong == []


async def test_names_in_every_script(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat")
    users: dict[str, str] = {}
    for name in dict.fromkeys(name for _, name, _, _ in NAMES):
        user = await server.register(f"u{len(users)}")
        await user.put(f"/profile/{user.user_id}/displayname", {"displayname": name})
        await user.post(f"/rooms/{room_id}/join")
        users[name] = user.user_id

    async def matches(term: str) -> list[str]:
        answer = await alice.post("/user_directory/search", {"search_term": term})
        return [item["user_id"] for item in answer["results"]]

    wrong = [row for row in NAMES if (users[row[1]] in await matches(row[2])) != row[3]]

    assert wrong == []


async def test_whole_words_and_words_in_order_come_first(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    texts = ["servers of tea", "tea servers", "server of teas", "a server, tea"]
    for text in texts:
        await alice.send(room_id, text)

    answer = await search(alice, "server tea")

    ranked = [result["result"]["content"]["body"] for result in answer["results"]]
    assert ranked[0] == "a server, tea"
    assert sorted(ranked) == sorted(texts)
    assert {"server", "servers", "tea", "teas"} >= set(answer["highlights"]) >= {"server", "servers", "tea"}


async def test_entries_of_an_older_version_are_made_anew(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    async with homeserver(tmp_path, database={"url": database_url}) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room(preset="public_chat")
        sent = await alice.send(room_id, "バッタと鈴虫")
        gone = await alice.send(room_id, "鈴虫はどこ")
        await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "鈴虫"})
        assert await found(alice, "鈴虫") == ["鈴虫はどこ", "バッタと鈴虫"]
        await alice.put(f"/rooms/{room_id}/redact/{gone}/1")
        assert await found(alice, "鈴虫") == ["バッタと鈴虫"]
    stored = await database.read(lambda tx: consumers.position_of(tx, CONSUMER))
    assert stored is not None

    async def as_before(tx: WriteTransaction) -> None:
        """What an older version had stored."""
        position = (await storage.events_after(tx, 0, 1000))[-2][0]
        await storage.remove_range(tx, 0, stored)
        await tx.run(FORGET, names=[REBUILD, REBUILD_WORDS])
        entry = Entry(
            position=position,
            event_id=gone,
            room_id=room_id,
            sender=alice.user_id,
            key=BODY,
            words=f"{room_token(room_id)} q1old",
        )
        await storage.add(tx, [entry])
        await profiles.set_words(tx, alice.user_id, [b"old"])

    await database.write(as_before)
    async with homeserver(tmp_path, database={"url": database_url}) as server:
        assert await found(Client(server.http, alice.user_id, alice.token), "鈴虫") == []
        bob = await server.register("bob")
        while not await server.services.reading.search_index.rebuild():
            pass
        await server.services.reading.user_directory.rebuild()
        assert await found(Client(server.http, alice.user_id, alice.token), "鈴虫") == ["バッタと鈴虫"]
        answer = await bob.post("/user_directory/search", {"search_term": "虫"})
        assert [item["user_id"] for item in answer["results"]] == [alice.user_id]
        assert (await search(Client(server.http, alice.user_id, alice.token), "鈴虫"))["results"][0][
            "result"
        ]["event_id"] == sent
