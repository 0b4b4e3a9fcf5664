"""The same histories on every database: each has the state that the core by itself comes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

import pytest

from palpo.core import state_tree
from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.storage import events as events_storage
from palpo.storage import memberships
from tests.support.histories import History
from tests.support.homeserver import Homeserver, homeserver
from tests.support.remote_rooms import RemoteRoom, join


@pytest.fixture
async def server(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, database={"url": database_url}) as made:
        yield made


async def receive(
    server: Homeserver, room: RemoteRoom, events: Sequence[SignedEvent], random: Random
) -> None:
    """Have the events taken in, a few at a time; what rests on what is missing comes again."""
    history = server.services.history
    waiting = list(events)
    while waiting:
        before = len(waiting)
        for event in list(waiting):
            some = [event, *random.sample(waiting, min(2, len(waiting)))]
            build = partial(history.admission.build, events=some)
            written = {item.event_id for item in await history.room_writer.admit(room.room_id, build)}
            waiting = [item for item in waiting if item.event_id not in written]
        assert len(waiting) < before


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_the_state_in_the_end_is_the_core_s(server: Homeserver, version: str, seed: int) -> None:
    alice = await server.register("alice")
    room = RemoteRoom(version)
    await join(server, room, alice)
    history = History(room, Random(seed), 30)
    random = Random(seed + 1)
    await receive(server, room, history.shuffled(random), random)
    services = server.services.history
    head = await services.room_heads.get(room.room_id)
    found = await services.events.read_state(state_tree.items(head.state_root))
    assert found == history.reference.state
    assert head.row.extremities == (history.events[-1].event_id,)
    await check_memberships(server, room, found)
    await check_verdicts(server, history)


async def check_memberships(server: Homeserver, room: RemoteRoom, state: dict[tuple[str, str], str]) -> None:
    """Their rows are the state's."""
    users = [key[1] for key in state if key[0] == MEMBER]
    rows = await server.services.server.db.read(lambda tx: memberships.event_ids(tx, room.room_id, users))
    assert rows == {key[1]: event_id for key, event_id in state.items() if key[0] == MEMBER}


async def check_verdicts(server: Homeserver, history: History) -> None:
    """What is rejected does not depend on the order; what is redacted neither."""
    ids = [event.event_id for event in history.events]
    known = await server.services.server.db.read(lambda tx: events_storage.statuses(tx, ids))
    rejected = {name for name, status in known.items() if status is EventStatus.REJECTED}
    assert known.keys() == set(ids)
    assert rejected == history.reference.rejected
    redactions = {event.redacts for event in history.events if event.redacts and known[event.event_id] == 0}
    stored = await server.services.history.events.get_many(ids)
    assert {name for name, item in stored.items() if item.redacted_by is not None} == redactions
