"""How many events a second each database takes: ``python bench/db_write.py [--events N]``.

An event write here is 2 selects and 5 inserts on tables shaped like those of the server, and one
stream position. Three ways: one caller that waits for each write, 64 callers with a transaction for
each write, and 64 callers whose writes are grouped. SQLite is always measured, PostgreSQL and
MariaDB where PALPO_TEST_POSTGRESQL_URL and PALPO_TEST_MYSQL_URL are set; start those with
PALPO_SERVICES_DURABLE=1 for numbers of servers that flush each commit.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from sqlalchemy import Column, Index, MetaData, Table, bindparam, select

from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.connection import on_connection
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.meta import blob, digest, identifier, integer
from palpo.db.tables.stream_position import stream_position
from palpo.db.transaction import WriteTransaction

ROOMS = 200
metadata = MetaData()
stream = stream_position.to_metadata(metadata)
rooms = Table(
    "bench_rooms",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("head", integer(), nullable=False),
    Column("state_root", digest(16), nullable=False),
)
events = Table(
    "bench_events",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("depth", integer(), nullable=False),
    Column("sender", identifier(), nullable=False),
    Column("pdu", blob(), nullable=False),
    Index("ix_bench_events_position", "position"),
    Index("ix_bench_events_room_id_position", "room_id", "position"),
)
nodes = Table(
    "bench_nodes",
    metadata,
    Column("hash", digest(16), primary_key=True),
    Column("node", blob(), nullable=False),
)
edges = Table(
    "bench_edges",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("prev_event_id", identifier(), primary_key=True),
)
transactions = Table(
    "bench_transactions",
    metadata,
    Column("hash", digest(16), primary_key=True),
    Column("event_id", identifier(), nullable=False),
)
outgoing = Table(
    "bench_outgoing",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("event_id", identifier(), nullable=False),
)

HEAD = Statement(select(rooms.c.head, rooms.c.state_root).where(rooms.c.room_id == bindparam("room_id")))
NODES = Statement(select(nodes.c.hash, nodes.c.node).where(in_list(nodes.c.hash, "hashes")))
INSERTS = [insert_row(table) for table in (events, edges, transactions, outgoing)]
PUT_NODE = upsert(nodes, key=["hash"], update=())
PDU = os.urandom(450)


def write_event(number: int) -> Any:
    """The unit of work for event ``number``."""
    room_id, event_id = f"!room{number % ROOMS}:example.org", f"$event{number:040}"
    key = number.to_bytes(16, "big")

    async def unit(tx: WriteTransaction) -> int:
        await tx.one(HEAD, room_id=room_id)
        await tx.all(NODES, hashes=[key, bytes(16)])
        position = await tx.positions()
        rows: list[dict[str, Any]] = [
            {
                "event_id": event_id,
                "room_id": room_id,
                "position": position,
                "depth": number,
                "sender": "@user:example.org",
                "pdu": PDU,
            },
            {"event_id": event_id, "prev_event_id": f"$event{number - ROOMS:040}"},
            {"hash": key, "event_id": event_id},
            {"position": position, "event_id": event_id},
        ]
        for statement, row in zip(INSERTS, rows, strict=True):
            await tx.many(statement, [row])
        await tx.many(PUT_NODE, [{"hash": key, "node": PDU[:160]}])
        return position

    return unit


async def measure(url: str, numbers: Iterator[int], *, total: int, callers: int, group: int) -> float:
    """Events a second."""
    database = Database(create_engine(url), group_bound=group)
    await database.open()

    async def caller() -> None:
        for _ in range(total // callers):
            await database.write(write_event(next(numbers)))

    await database.write(write_event(next(numbers)))
    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - began
    await database.close()
    return total // callers * callers / seconds


def prepare(url: str) -> None:
    """Make the tables anew."""

    def make(connection: Any) -> None:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        connection.execute(stream.insert(), {"id": 1, "position": 0})
        connection.execute(
            rooms.insert(),
            [{"room_id": f"!room{n}:example.org", "head": 0, "state_root": bytes(16)} for n in range(ROOMS)],
        )

    on_connection(url, make)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3200, help="events per measurement")
    events_each = parser.parse_args().events
    with tempfile.TemporaryDirectory() as directory:
        urls = {
            "SQLite": f"sqlite:///{directory}/bench.db",
            "PostgreSQL": os.environ.get("PALPO_TEST_POSTGRESQL_URL"),
            "MariaDB": os.environ.get("PALPO_TEST_MYSQL_URL"),
        }
        print(f"{'events a second':<16}{'one caller':>12}{'64, ungrouped':>15}{'64, grouped':>13}")
        for name, url in urls.items():
            if url is None:
                continue
            prepare(url)
            numbers = count(ROOMS)
            rates = [
                asyncio.run(measure(url, numbers, total=events_each, callers=callers, group=group))
                for callers, group in ((1, 1), (64, 1), (64, 64))
            ]
            on_connection(url, metadata.drop_all)
            print(f"{name:<16}{rates[0]:>12,.0f}{rates[1]:>15,.0f}{rates[2]:>13,.0f}")


if __name__ == "__main__":
    main()
