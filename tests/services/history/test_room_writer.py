"""The one way into a room's history."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from palpo.core import unpadded_base64
from palpo.core.errors import AuthError, NotFound
from palpo.core.events import SignedEvent, reference_hash
from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import ROOM_VERSIONS, EventIdFormat, RoomVersion
from palpo.db.engine import Commit
from palpo.services.history.drafts import Draft, SendTransaction
from palpo.streams import topics
from tests.support.homeserver import Homeserver, homeserver
from tests.support.statements import Statements

ALICE = "@alice:test.example"
BOB = "@bob:test.example"
VERSIONS = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")


def creation(version: RoomVersion) -> list[Draft]:
    content = {"room_version": version.id}
    if not version.implicit_room_creator:
        content["creator"] = ALICE
    return [
        Draft(type="m.room.create", sender=ALICE, state_key="", content=content),
        Draft(type="m.room.member", sender=ALICE, state_key=ALICE, content={"membership": "join"}),
        Draft(type="m.room.join_rules", sender=ALICE, state_key="", content={"join_rule": "invite"}),
    ]


async def create(server: Homeserver, version: RoomVersion = ROOM_VERSIONS["12"]) -> str:
    room_id = None if version.create_event_is_room_id else "!room:test.example"
    return await server.services.history.room_writer.create(version, room_id, creation(version))


def message(body: str, sender: str = ALICE) -> Draft:
    return Draft(type="m.room.message", sender=sender, content={"body": body, "msgtype": "m.text"})


@VERSIONS
async def test_every_room_version_takes_messages(server: Homeserver, version: RoomVersion) -> None:
    room_id = await create(server, version)
    first = await server.services.history.room_writer.send(room_id, message("one"))
    second = await server.services.history.room_writer.send(room_id, message("two"))
    assert (await signed(server, second)).prev_events == (first.event_id,)
    assert second.event.depth == first.event.depth + 1 == 5
    assert second.position > first.position
    head = await server.services.history.room_heads.get(room_id)
    state = await server.services.history.events.full_state(head.state_root)
    assert set(state) == {("m.room.create", ""), ("m.room.member", ALICE), ("m.room.join_rules", "")}


async def signed(server: Homeserver, item: StoredEvent) -> SignedEvent:
    return (await server.services.history.events.signed([item.event_id]))[item.event_id]


async def check_chain(server: Homeserver, version: RoomVersion, sent: list[StoredEvent]) -> None:
    """Each event refers to the one before it, and, in versions that want that, to its hash."""
    events = [await signed(server, item) for item in sorted(sent, key=lambda item: item.position)]
    for before, after in pairwise(events):
        assert after.prev_events == (before.event_id,)
        if version.event_id_format is EventIdFormat.CHOSEN:
            digest = unpadded_base64.encode(reference_hash(version, before.pdu))
            assert after.pdu["prev_events"] == [[before.event_id, {"sha256": digest}]]


@VERSIONS
async def test_many_at_once_make_one_chain(server: Homeserver, version: RoomVersion) -> None:
    room_id = await create(server, version)
    writer = server.services.history.room_writer
    sent = await asyncio.gather(*(writer.send(room_id, message(str(n))) for n in range(200)))
    sent.sort(key=lambda item: item.position)
    assert [item.event.content["body"] for item in sent] == [str(n) for n in range(200)]
    await check_chain(server, version, sent)


@VERSIONS
async def test_batches_state_and_redactions_at_once_make_one_chain(
    server: Homeserver, version: RoomVersion
) -> None:
    room_id = await create(server, version)
    writer = server.services.history.room_writer
    first = await writer.send(room_id, message("to be redacted"))
    drafts = [
        [message("alone")],
        [
            Draft(type="m.room.name", sender=ALICE, state_key="", content={"name": "x"}),
            message("with a name"),
        ],
        [Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=first.event_id)],
        [Draft(type="m.room.topic", sender=ALICE, state_key="", content={"topic": "x"})],
        [message("one"), message("two"), message("three")],
    ]
    written = await asyncio.gather(*(writer.send_all(room_id, batch) for batch in drafts * 3))
    await check_chain(server, version, [first, *(item for batch in written for item in batch)])
    assert (await server.services.history.events.get(first.event_id)).redacted_by is not None


async def test_outsiders_are_refused_and_others_are_not(server: Homeserver) -> None:
    room_id = await create(server)
    writer = server.services.history.room_writer
    results = await asyncio.gather(
        writer.send(room_id, message("no", BOB)),
        writer.send(room_id, message("yes")),
        writer.send("!nowhere:test.example", message("no")),
        return_exceptions=True,
    )
    assert isinstance(results[0], AuthError)
    assert not isinstance(results[1], BaseException)
    assert isinstance(results[2], NotFound)


async def test_the_same_request_makes_one_event(tmp_path: Path) -> None:
    request = SendTransaction(user_id=ALICE, device_id="D", scope="send", transaction_id="1")
    async with homeserver(tmp_path) as server:
        room_id = await create(server)
        writer = server.services.history.room_writer
        once, again = await asyncio.gather(
            writer.send(room_id, message("x"), transaction=request),
            writer.send(room_id, message("x"), transaction=request),
        )
        assert once.event_id == again.event_id
    async with homeserver(tmp_path) as server:
        later, other = await asyncio.gather(
            server.services.history.room_writer.send(room_id, message("x"), transaction=request),
            server.services.history.room_writer.send(room_id, message("y")),
        )
        assert later.event_id == once.event_id
        assert (await signed(server, other)).prev_events == (once.event_id,)


async def test_a_head_that_another_process_moved(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as one, homeserver(tmp_path) as two:
        room_id = await create(one)
        sent = []
        for number in range(6):
            writer = (one, two)[number % 2].services.history.room_writer
            sent.append(await writer.send(room_id, message(str(number))))
        for before, after in pairwise(sent):
            assert (await signed(one, after)).prev_events == (before.event_id,)


async def test_an_invite_shows_the_room(server: Homeserver) -> None:
    from palpo.storage import memberships

    room_id = await create(server)
    invite = Draft(type="m.room.member", sender=ALICE, state_key=BOB, content={"membership": "invite"})
    sent = await server.services.history.room_writer.send(room_id, invite)
    row = await server.services.server.db.read(lambda tx: memberships.get(tx, room_id, BOB))
    assert row is not None
    assert row.position == sent.position
    assert row.stripped_state is not None
    assert b"m.room.create" in row.stripped_state
    assert b'"invite"' in row.stripped_state


async def test_what_another_process_has_written_since_is_not_covered_by_our_own(
    server: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_id = await create(server)
    services = server.services

    def overtaken(commit: Commit) -> None:
        """The hint of a commit that followed upon ours is here before ours is noted."""
        moved = {topics.HEAD: {room_id}, topics.ROOM: {room_id}}
        later = Commit(position=commit.position + 1, since=commit.position, topics=moved)
        services.server.wakeups.on_commit(later)

    services.server.db.listen(overtaken)
    await services.history.room_writer.send(room_id, message("one"))
    statements = Statements(monkeypatch)
    await services.history.room_heads.get(room_id)
    assert statements.count == 1
