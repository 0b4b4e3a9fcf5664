"""What room state costs as rooms and their histories grow: ``python bench/state_tree.py``.

For rooms of 10, 1,000 and 100,000 state entries, and histories of 100 and 100,000 changes to them:
a change (time, nodes, bytes), a look-up of one key from memory and from SQLite at a random point of
the history, and the difference between a state and the next. The claim to hold: nothing in a row
depends on the length of the history.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from palpo.core import state_tree
from palpo.core.driving import drive, drive_async
from palpo.core.events import StateKey
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.upgrade import upgrade
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.state import insert_nodes, load_nodes

SAMPLES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured room. Times are microseconds, sizes bytes."""

    size: int
    history: int
    change_us: float
    change_nodes: float
    change_bytes: float
    file_bytes: float
    look_up_us: float
    look_up_stored_us: float
    neighbours_us: float


def key(number: int) -> StateKey:
    """Every room is one of members, mostly."""
    return ("m.room.member", f"@user{number}:example.org")


def event_id(number: int) -> str:
    """An event ID of the usual length."""
    return f"${number:043}"


async def store(database: Database, nodes: dict[bytes, bytes]) -> None:
    """Write ``nodes`` in one transaction."""

    async def unit(tx: WriteTransaction) -> None:
        await insert_nodes(tx, nodes)

    await database.write(unit)


async def store_once(url: str, nodes: dict[bytes, bytes]) -> None:
    """``store`` in the database at ``url``, and close it."""
    database = Database(create_engine(url))
    await database.open()
    await store(database, nodes)
    await database.close()


async def look_up_stored(tx: Transaction, root: bytes, wanted: StateKey) -> str | None:
    """``state_tree.get``, each node read from the database."""
    return await drive_async(state_tree.get(root, wanted), partial(load_nodes, tx))


def mean_us(call: Callable[[], Any]) -> float:
    """The mean time of ``call``, over SAMPLES."""
    began = time.perf_counter()
    for _ in range(SAMPLES):
        call()
    return (time.perf_counter() - began) / SAMPLES * 1e6


async def measure(directory: Path, size: int, history: int) -> Row:
    """Make a room, change it ``history`` times, and look at what that came to."""
    path = directory / f"{size}-{history}.db"
    url = f"sqlite:///{path}"
    await asyncio.to_thread(upgrade, url)
    first = state_tree.build({key(n): event_id(n) for n in range(size)})
    nodes = dict(first.new_nodes)
    await store_once(url, first.new_nodes)
    before = path.stat().st_size
    database = Database(create_engine(url))
    await database.open()
    roots, seconds, count, total = [first.root], 0.0, 0, 0
    waiting: dict[bytes, bytes] = {}
    for number in range(history):
        change = {key(random.randrange(size)): event_id(size + number)}
        began = time.perf_counter()
        made = drive(state_tree.update(roots[-1], change), lambda names: nodes)
        seconds += time.perf_counter() - began
        count += len(made.new_nodes)
        total += sum(len(name) + len(node) for name, node in made.new_nodes.items())
        nodes.update(made.new_nodes)
        waiting.update(made.new_nodes)
        roots.append(made.root)
        if len(waiting) > 5000:
            await store(database, waiting)
            waiting = {}
    await store(database, waiting)
    await database.close()
    # Closed, the write-ahead log has been moved into the file.
    after = path.stat().st_size
    database = Database(create_engine(url))
    await database.open()
    look_up_stored_us = await mean_stored_us(database, roots, size)
    await database.close()
    return Row(
        size=size,
        history=history,
        change_us=seconds / history * 1e6,
        change_nodes=count / history,
        change_bytes=total / history,
        file_bytes=(after - before) / history,
        look_up_us=mean_us(
            lambda: drive(
                state_tree.get(random.choice(roots), key(random.randrange(size))), lambda names: nodes
            )
        ),
        look_up_stored_us=look_up_stored_us,
        neighbours_us=mean_us(lambda: neighbours(roots, nodes)),
    )


def neighbours(roots: list[bytes], nodes: dict[bytes, bytes]) -> None:
    """The difference that one change made, somewhere in the history."""
    at = random.randrange(len(roots) - 1)
    changed = drive(state_tree.diff(roots[at], roots[at + 1]), lambda names: nodes)
    assert len(changed) == 1


async def mean_stored_us(database: Database, roots: list[bytes], size: int) -> float:
    """The mean time of a look-up whose nodes all come from the database."""

    async def unit(tx: Transaction) -> None:
        assert await look_up_stored(tx, random.choice(roots), key(random.randrange(size))) is not None

    began = time.perf_counter()
    for _ in range(SAMPLES):
        await database.read(unit)
    return (time.perf_counter() - began) / SAMPLES * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--histories", type=int, nargs="+", default=[100, 100_000])
    arguments = parser.parse_args()
    random.seed(0)
    print(
        f"{'entries':>8}{'changes':>9} |{'change µs':>10}{'nodes':>7}{'bytes':>7}{'on disk':>9} |"
        f"{'look-up µs':>11}{'stored µs':>10}{'diff µs':>9}"
    )
    with tempfile.TemporaryDirectory() as directory:
        for size in arguments.sizes:
            for history in arguments.histories:
                row = asyncio.run(measure(Path(directory), size, history))
                print(
                    f"{row.size:>8}{row.history:>9} |{row.change_us:>10.1f}{row.change_nodes:>7.1f}"
                    f"{row.change_bytes:>7.0f}{row.file_bytes:>9.0f} |{row.look_up_us:>11.1f}"
                    f"{row.look_up_stored_us:>10.1f}{row.neighbours_us:>9.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
