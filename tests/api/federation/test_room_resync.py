"""``palpo federation resync``: the state of a room that has gone wrong here is what others and we come to."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from palpo.core import state_tree
from palpo.core.errors import MatrixError, NotFound
from palpo.core.events import SignedEvent, StateKey
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import TOPIC
from palpo.services.federation.fetching.room_resync import Resynced
from palpo.storage import state as state_storage
from tests.support.federation import Asked
from tests.support.homeserver import Homeserver
from tests.support.pairs import Town
from tests.support.remote_users import BOB, CAROL, SERVER
from tests.support.transactions import MEMBER, Sender, sender_in, text

V1 = "/_matrix/federation/v1"
NAME = ("m.room.name", "")
UNKNOWN = partial(web.json_response, {"errcode": "M_NOT_FOUND", "error": "Not here"}, status=404)


async def set_state(server: Homeserver, room_id: str, changes: dict[StateKey, str | None]) -> None:
    """Have the room's state be wrong: no event says so."""
    history = server.services.history
    head = await history.room_heads.get(room_id)
    update = await history.events.read_state(state_tree.update(head.state_root, changes))
    await server.services.server.db.write(lambda tx: state_storage.insert_nodes(tx, update.new_nodes))
    await history.room_writer.admit(room_id, partial(history.admission.reroot, root=update.root))


async def state(server: Homeserver, room_id: str) -> dict[StateKey, str]:
    history = server.services.history
    head = await history.room_heads.get(room_id)
    return {key: item.event_id for key, item in (await history.events.full_state(head.state_root)).items()}


class Knowing:
    """What ``remote.example`` tells of the room."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.told: list[str] = []
        """The state after whatever is asked about."""
        self.events: dict[str, SignedEvent] = {}
        self.newest: tuple[str, ...] = ()
        self.knows: set[str] | None = None
        """About which events it tells; None for all."""
        answers = sender.server.answers
        answers["GET", f"{V1}/event/"] = self._event
        answers["GET", f"{V1}/state_ids/"] = self._state_ids
        answers["GET", f"{V1}/state/"] = self._unknown
        answers["GET", f"{V1}/make_leave/"] = self._make_leave

    async def as_here(self, *without: StateKey) -> None:
        """Tell what is here, without some of it."""
        here = await state(self.sender.ours, self.sender.room.room_id)
        self.told = [name for key, name in here.items() if key not in without]

    def add(self, *events: SignedEvent) -> None:
        """Tell these too."""
        self.events |= {event.event_id: event for event in events}
        self.told += [event.event_id for event in events]

    async def _event(self, asked: Asked) -> Any:
        event = self.events.get(asked.uri.split("/")[-1].replace("%24", "$"))
        return UNKNOWN() if event is None else {"origin": SERVER, "origin_server_ts": 1, "pdus": [event.pdu]}

    async def _state_ids(self, asked: Asked) -> Any:
        name = asked.uri.rpartition("event_id=")[2].replace("%24", "$")
        if self.knows is not None and name not in self.knows:
            return UNKNOWN()
        return {"pdu_ids": self.told, "auth_chain_ids": []}

    async def _unknown(self, asked: Asked) -> Any:
        return UNKNOWN()

    async def _make_leave(self, asked: Asked) -> Any:
        if not self.newest:
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "Not in the room"}, status=403)
        user_id = self.sender.alice.user_id
        event = {
            "type": MEMBER,
            "room_id": self.sender.room.room_id,
            "sender": user_id,
            "state_key": user_id,
            "content": {"membership": "leave"},
            "depth": 100,
            "prev_events": list(self.newest),
            "auth_events": [],
        }
        return {"room_version": (await self.sender.room.head()).rules.id, "event": event}


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


@pytest.fixture
async def knowing(sender: Sender) -> Knowing:
    return Knowing(sender)


async def resync(sender: Sender, server: str | None = SERVER, said: list[str] | None = None) -> Resynced:
    run = sender.ours.services.federation.room_resync.run
    return await run(
        RoomId(sender.room.room_id),
        None if server is None else ServerName(server),
        (said if said is not None else []).append,
    )


async def test_what_is_missing_comes_and_nothing_goes(sender: Sender, knowing: Knowing) -> None:
    """A member that we lack comes, the name that they lack stays, and what may not be set is not."""
    room_id = sender.room.room_id
    await sender.alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Tea"})
    carol = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    forbidden = await sender.room.event(BOB, TOPIC, {"topic": "mine"})
    await knowing.as_here(NAME)
    knowing.add(carol, forbidden)
    since = (await sender.alice.get("/sync"))["next_batch"]
    before = await state(sender.ours, room_id)
    done = await resync(sender, None)
    after = await state(sender.ours, room_id)
    assert after == {**before, (MEMBER, CAROL): carol.event_id}
    assert [(item.type, item.state_key, item.was, item.now) for item in done.changes] == [
        (MEMBER, CAROL, None, carol.event_id)
    ]
    told = (await sender.alice.get("/sync", params={"since": since}))["rooms"]["join"][room_id]
    assert [event["event_id"] for event in told["state"]["events"]] == [carol.event_id]
    assert told["summary"]["m.joined_member_count"] == 3
    assert CAROL in (await sender.alice.get(f"/rooms/{room_id}/joined_members"))["joined"]


async def test_what_comes_after_goes_by_it(sender: Sender, knowing: Knowing) -> None:
    """Events of others that follow our newest one, and our own."""
    carol = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await knowing.as_here()
    knowing.add(carol)
    await resync(sender)
    await sender.send(await sender.message("from Bob"))
    hers = await sender.room.event(CAROL, "m.room.message", text("from Carol"))
    await sender.send(hers)
    assert await sender.status(hers) is EventStatus.ACCEPTED
    await sender.alice.send(sender.room.room_id, "from Alice")
    assert (await state(sender.ours, sender.room.room_id))[MEMBER, CAROL] == carol.event_id
    assert await sender.bodies() == ["from Bob", "from Carol", "from Alice"]


async def test_nothing_is_different(sender: Sender, knowing: Knowing) -> None:
    await knowing.as_here()
    before = await sender.room.head()
    assert (await resync(sender)).changes == []
    assert (await sender.room.head()).row == before.row


async def test_their_newest_events_are_taken_in(sender: Sender, knowing: Knowing) -> None:
    await knowing.as_here()
    late = await sender.message("late")
    knowing.events[late.event_id] = late
    knowing.newest = (late.event_id,)
    said: list[str] = []
    await resync(sender, said=said)
    assert await sender.bodies() == ["late"]
    assert (await sender.room.head()).row.extremities == (late.event_id,)
    assert f"  {late.event_id} was not here: 1 events are taken in" in said


async def test_our_newest_event_is_unknown_there(sender: Sender, knowing: Knowing) -> None:
    """Then what is after their newest one counts."""
    (known,) = (await sender.room.head()).row.extremities
    carol = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await knowing.as_here()
    knowing.add(carol)
    await sender.alice.send(sender.room.room_id, "never arrived")
    knowing.knows, knowing.newest = {known}, (known,)
    done = await resync(sender)
    assert [item.state_key for item in done.changes] == [CAROL]


async def test_nobody_tells(sender: Sender, knowing: Knowing) -> None:
    before = await sender.room.head()
    knowing.knows = set()
    said: list[str] = []
    with pytest.raises(MatrixError, match="as it was"):
        await resync(sender, None, said)
    await knowing.as_here(("m.room.create", ""))
    knowing.knows = None
    with pytest.raises(MatrixError, match="as it was"):
        await resync(sender, said=said)
    assert "without its create event" in said[-2]
    run = sender.ours.services.federation.room_resync.run
    with pytest.raises(NotFound):
        await run(RoomId("!nowhere:hs1.test"), None, said.append)
    assert (await sender.room.head()).row == before.row


async def test_the_room_goes_on_meanwhile(sender: Sender, knowing: Knowing) -> None:
    carol = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await knowing.as_here()
    knowing.add(carol)
    sent: list[str] = []
    tell = knowing.sender.server.answers["GET", f"{V1}/state_ids/"]

    async def tell_late(asked: Asked) -> Any:
        if not sent:
            sent.append(await sender.alice.send(sender.room.room_id, "meanwhile"))
        return await tell(asked)

    sender.server.answers["GET", f"{V1}/state_ids/"] = tell_late
    said: list[str] = []
    await resync(sender, said=said)
    assert "  the room went on meanwhile: once more" in said
    assert (await state(sender.ours, sender.room.room_id))[MEMBER, CAROL] == carol.event_id
    assert await sender.bodies() == ["meanwhile"]


async def test_from_the_shell_beside_a_running_server(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", "hs2.test")
    async with town.homeserver("hs1.test") as one, town.homeserver("hs2.test") as two:
        alice, bob = await one.register("alice"), await two.register("bob")
        room_id = await alice.create_room(preset="public_chat", topic="Tea")
        await bob.post(f"/join/{room_id}", params={"server_name": "hs1.test"})
        await bob.get(f"/rooms/{room_id}/members")  # Which waits until the room is whole.
        topic = (await state(two, room_id))[TOPIC]
        await set_state(two, room_id, {TOPIC: None})
        await bob.send(room_id, "in a room without a topic")
        since = (await bob.get("/sync"))["next_batch"]
        assert TOPIC not in await state(two, room_id)
        hosts = ", ".join(f'"{name}" = "{place}"' for name, place in town.hosts.items())
        file = tmp_path / "palpo.toml"
        file.write_text(
            f'server_name = "hs2.test"\ndata = "{tmp_path / "hs2.test"}"\n'
            f'[database]\nurl = "{two.services.server.config.database_url}"\n'
            f'[network]\nallow = ["127.0.0.0/8"]\n'
            f'[federation]\nca_file = "{town.authority.file}"\nhosts = {{ {hosts} }}\n'
        )
        command = ["federation", "resync", room_id, "--from", "hs1.test", "--config", str(file)]
        shell = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "palpo.cli.main", *command, stdout=PIPE, stderr=PIPE
        )
        out, err = await shell.communicate()
        assert shell.returncode == 0, err
        printed = out.decode()
        assert f"  m.room.topic '': not set -> {topic}" in printed
        told = await bob.get("/sync", params={"since": since, "timeout": 10_000})
        events = told["rooms"]["join"][room_id]["state"]["events"]
        assert [event["event_id"] for event in events] == [topic]
