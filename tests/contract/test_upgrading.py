"""A database of the first release, filled, is brought up to date, and a homeserver works on it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from palpo.db import full_text
from palpo.db.errors import DatabaseError
from palpo.db.migrations import HEAD, VERSIONS
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.differences import differences
from palpo.db.migrations.start import bring_up_to_date
from palpo.db.migrations.stated import is_up_to_date
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.migrations.upgrade import current, upgrade
from palpo.db.tables.quotas import quota_usage
from palpo.db.tables.rooms import events
from tests.support.homeserver import Client, homeserver

FIRST = "0001_initial"
FILLED = json.loads(gzip.decompress((Path(__file__).parent / "data" / "first_release.json.gz").read_bytes()))
"""The rows of a small homeserver's database as the first release left it, and what its users know."""
FACTS = FILLED["facts"]


def fill(connection: sa.Connection) -> None:
    """Make the tables of the first release, with rows in most of them."""
    upgrade_from_nothing(connection, FIRST)
    connection.execute(sa.text("DELETE FROM stream_position"))
    for name, rows in FILLED["tables"].items():
        table = sa.table(name, *(sa.column(column) for column in rows[0]))
        connection.execute(table.insert(), [{k: _value(v) for k, v in row.items()} for row in rows])


def _value(value: Any) -> Any:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A filled database of the first release, and the data folder beside it."""

    url: str
    data: Path


@pytest.fixture
def old(empty_database_url: str, tmp_path: Path) -> Old:
    on_connection(empty_database_url, fill)
    data = tmp_path / "data"
    data.mkdir()
    (data / "signing.key").write_text(FILLED["signing_key"])
    return Old(url=empty_database_url, data=data)


def test_the_first_revision_is_never_changed() -> None:
    digest = hashlib.sha256((VERSIONS / f"{FIRST}.py").read_bytes()).hexdigest()

    assert digest == "ad41499c68750c8f31c62dd3cc5d75d3bb0c8ba3e33451ea529c5f8bf89327c5"


async def test_a_homeserver_works_on_an_upgraded_database(old: Old) -> None:
    upgrade_in_thread(old.url)
    room = FACTS["room"]
    async with homeserver(old.data, database={"url": old.url}) as server:
        alice = Client(server.http, **FACTS["alice"])
        bob = Client(server.http, **FACTS["bob"])
        synced = await alice.get("/sync", params={"since": FACTS["since"]})
        texts = [e["content"]["body"] for e in synced["rooms"]["join"][room]["timeline"]["events"]]
        waiting = [event["content"] for event in synced["to_device"]["events"]]
        repeated = await bob.send(room, "message number 0")
        path = f"/rooms/{room}/send/m.room.message/new"
        sent = (await bob.put(path, {"msgtype": "m.text", "body": "written after the upgrade"}))["event_id"]
        newer = await alice.get("/sync", params={"since": synced["next_batch"]})
        await server.login("alice")

        assert texts == ["after the sync"]
        assert waiting == [{"waiting": True}]
        assert synced["device_one_time_keys_count"] == {"signed_curve25519": 5}
        assert [e["event_id"] for e in newer["rooms"]["join"][room]["timeline"]["events"]] == [sent]
        assert await found(alice, "number 0") == [repeated], "a transaction ID of before is known"
        assert await found(alice, "quick fox") == [FACTS["first"]]
        await eventually_found(alice, "upgrade", sent)
        assert (await alice.get("/directory/room/%23first:test.example"))["room_id"] == room
        assert (await alice.get(f"/user/{alice.user_id}/account_data/org.example.old")) == {"kept": True}


async def found(client: Client, term: str) -> list[str]:
    """The IDs of the events that a search finds."""
    asked = {"search_categories": {"room_events": {"search_term": term}}}
    answer = await client.post("/search", asked)
    return [item["result"]["event_id"] for item in answer["search_categories"]["room_events"]["results"]]


async def eventually_found(client: Client, term: str, event_id: str) -> None:
    """Wait for the search worker."""
    for _ in range(1000):
        if await found(client, term) == [event_id]:
            return
        await asyncio.sleep(0.02)
    pytest.fail("it is not found")


def test_an_upgraded_database_is_as_declared(old: Old) -> None:
    upgrade(old.url)

    assert on_connection(old.url, differences) == []
    assert on_connection(old.url, is_up_to_date)
    assert current(old.url) == HEAD


def test_rooms_that_there_are_count_as_their_makers(old: Old) -> None:
    upgrade(old.url)

    makers = sa.select(events.c.sender, sa.func.count()).where(events.c.type == "m.room.create")
    counted = sa.select(quota_usage.c.user_id, quota_usage.c.amount).where(quota_usage.c.kind == "rooms")
    made = {row[0]: row[1] for row in on_connection(old.url, rows_of(makers.group_by(events.c.sender)))}
    assert made
    found = {row[0]: row[1] for row in on_connection(old.url, rows_of(counted))}
    assert found == {**made, "": sum(made.values())}


def rows_of(statement: sa.Select[Any]) -> Callable[[sa.Connection], list[Any]]:
    """What reads the statement's rows."""
    return lambda connection: list(connection.execute(statement))


def test_a_database_of_a_development_version_is_refused_in_one_line(old: Old) -> None:
    on_connection(old.url, lambda c: c.execute(sa.text("DROP TABLE openid_tokens")))

    with pytest.raises(DatabaseError, match=r"\(no table openid_tokens\)") as refusal:
        bring_up_to_date(old.url)
    assert "\n" not in str(refusal.value)
    assert current(old.url) == FIRST


def test_a_database_that_is_not_as_declared_is_refused_in_one_line(empty_database_url: str) -> None:
    upgrade(empty_database_url)

    def tamper(connection: sa.Connection) -> None:
        connection.execute(sa.text("DROP TABLE openid_tokens"))
        connection.execute(sa.text("ALTER TABLE receipts ADD COLUMN more BIGINT"))
        connection.execute(sa.text("UPDATE server_meta SET value = 'another' WHERE name = 'schema'"))

    on_connection(empty_database_url, tamper)

    with pytest.raises(DatabaseError, match=r"\(no table openid_tokens\)") as refusal:
        bring_up_to_date(empty_database_url)
    assert "\n" not in str(refusal.value)


def test_another_hash_of_the_same_tables_is_no_hindrance(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    on_connection(
        empty_database_url,
        lambda c: c.execute(sa.text("UPDATE server_meta SET value = 'another' WHERE name = 'schema'")),
    )

    bring_up_to_date(empty_database_url)

    assert on_connection(empty_database_url, is_up_to_date)


def test_tables_of_another_program_are_refused(empty_database_url: str) -> None:
    on_connection(empty_database_url, lambda c: c.execute(sa.text("CREATE TABLE users (name INTEGER)")))

    with pytest.raises(DatabaseError, match=r"no column users\.user_id"):
        bring_up_to_date(empty_database_url)


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("additive", [True, False])
def test_the_release_before_goes_on_where_the_newer_one_has_only_added(
    empty_database_url: str, additive: bool
) -> None:
    upgrade(empty_database_url)

    def as_a_later_release(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999_later'"))
        connection.execute(sa.text("ALTER TABLE receipts ADD COLUMN more BIGINT"))
        works_with = sa.text("UPDATE server_meta SET value = :names WHERE name = 'works_with'")
        connection.execute(works_with, {"names": f"{HEAD} 0001_initial" if additive else ""})

    on_connection(empty_database_url, as_a_later_release)

    if additive:
        bring_up_to_date(empty_database_url)
    else:
        with pytest.raises(DatabaseError, match="does not know"):
            bring_up_to_date(empty_database_url)
    assert current(empty_database_url) == "9999_later"


def test_a_second_start_finishes_what_the_first_began(old: Old) -> None:
    """Where a statement commits by itself, half a revision is there."""
    for at in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377):
        if not cut_short(old.url, upgrade, at):
            break
    else:
        pytest.fail("it never comes to its end")
    bring_up_to_date(old.url)

    assert on_connection(old.url, differences) == []
    assert on_connection(old.url, is_up_to_date)


@pytest.mark.parametrize("at", [1, 40, 120])
def test_a_second_start_finishes_making_a_database(empty_database_url: str, at: int) -> None:
    assert cut_short(empty_database_url, upgrade, at)
    bring_up_to_date(empty_database_url)

    assert on_connection(empty_database_url, differences) == []
    assert all(on_connection(empty_database_url, index.exists) for index in full_text.DECLARED)
    assert on_connection(empty_database_url, is_up_to_date)


def cut_short(url: str, work: Callable[[str], None], at: int) -> bool:
    """Whether ``work`` was still changing the schema when it was killed, after ``at`` changes."""
    changes = 0

    def count(connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal changes
        if connection.engine.url.database and statement.lstrip().split(None, 1)[0].upper() in (
            "CREATE",
            "ALTER",
            "DROP",
            "INSERT",
            "UPDATE",
        ):
            changes += 1
            if changes > at:
                raise Killed

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        work(url)
    except Killed:
        return True
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    return False


def upgrade_in_thread(url: str) -> None:
    """Upgrade away from the running loop."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(bring_up_to_date, url).result()
