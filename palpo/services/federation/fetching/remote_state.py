"""The state at events that follow a gap, as other servers tell it.

It is told as a difference from the room's current state: only events that are not here are fetched, each with
/event where they are few, and all with /state where they are many, or the server knows nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import islice

from palpo.core import state_tree
from palpo.core.errors import MatrixError
from palpo.core.event_format import is_event_id
from palpo.core.event_hashes import encoder_again, event_id_of
from palpo.core.events import SignedEvent, StateKey
from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import CREATE
from palpo.db.engine import Database
from palpo.net.connections import Times
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.events.received_events import decoded
from palpo.services.federation.fetching.remote_events import RemoteEvents, Room, is_unknown
from palpo.services.federation.servers.failed_fetches import FailedFetches
from palpo.services.history.event_stash import EventStash
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead
from palpo.services.history.state_import import StateImport
from palpo.storage import events as events_storage
from palpo.storage import state as state_storage
from palpo.streams.task_group import together
from palpo.streams.turns import Turns

FEW = 20
"""Events that are fetched one by one, of however many there are."""
SHARE = 10
"""Of more only one in so many."""
BATCH = 500
"""Rows in one transaction, and names in one query."""


class Withheld(Exception):
    """A server does not give what is needed, or may not be asked for it now."""


@dataclass(slots=True)
class _Told:
    """A state: the IDs of its events, and those events, of it and of what it rests on, that were fetched."""

    state: Sequence[str]
    events: EventStash


class RemoteState:
    """Asks for it, and stores it."""

    def __init__(
        self,
        db: Database,
        remote: RemoteEvents,
        failed: FailedFetches,
        store: EventStore,
        imports: StateImport,
    ) -> None:
        self._db = db
        self._remote = remote
        self._failed = failed
        self._store = store
        self._imports = imports

    async def before(
        self, server: ServerName, head: RoomHead, event: SignedEvent, branch: str | None = None
    ) -> bytes:
        """The root of the state before an event; raises Withheld, FederationError, BadJson.

        Of an event with one event before it, that is the state after that one: then that is asked about. So
        it is with a ``branch``: then it is the state after that event, one of several right before.
        """
        prev = branch or _only(event.prev_events)
        return await self._root(head, *await self._told_before(server, room_of(head), event, prev))

    async def after(self, server: ServerName, head: RoomHead, event_id: str, times: Times) -> bytes:
        """The root of the state after an event, likewise."""
        room = room_of(head)
        last = await self._event(server, room, event_id)
        if last is None:
            raise Withheld(f"{event_id} is not given")
        return await self._root(head, *await self._told_after(server, room, last, times))

    async def _told_after(
        self, server: ServerName, room: Room, last: SignedEvent, times: Times | None
    ) -> tuple[_Told, SignedEvent | None]:
        told = await self._told(server, room, last.event_id, times)
        told.events.add(last)
        return told, last if last.is_state else None

    async def _told_before(
        self, server: ServerName, room: Room, event: SignedEvent, prev: str | None, times: Times | None = None
    ) -> tuple[_Told, SignedEvent | None]:
        """A state, and what has to be set in it to have that before an event, or after ``prev``."""
        if prev is not None:
            last = await self._event(server, room, prev)
            if last is not None:
                return await self._told_after(server, room, last, times)
        return await self._told(server, room, event.event_id, times), None

    async def whole(self, server: ServerName, head: RoomHead, event: SignedEvent, times: Times) -> bytes:
        """The same as ``before`` of a state of which much may be missing here."""
        room = room_of(head)
        told, last = await self._told_before(server, room, event, _only(event.prev_events), times)
        try:
            await self.keep(head, told.events)
        finally:
            await told.events.empty()
        names = [*told.state, *([] if last is None else [last.event_id])]
        entries = await self._good(head, names)
        if CREATE not in entries:
            raise Withheld("The state is told without its create event")
        return await self._imports.store_root(list(entries.items()))

    async def keep(self, head: RoomHead, events: EventStash) -> None:
        """Store events that others rest on, judged by their own auth events. Raises BadJson."""
        if events:
            name = head.row.create_event_id
            events.add((await self._store.signed([name]))[name])
            await self._imports.store_given(head.rules, head.room_id, [name], events)

    async def unknown(self, event_ids: Iterable[str]) -> list[str]:
        """Those of the events that are not stored."""
        names: dict[str, None] = {}
        turns = Turns()
        async for name in turns.over(event_ids):
            if is_event_id(name):
                names[name] = None
        unknown: list[str] = []
        left = iter(names)
        while part := list(islice(left, BATCH)):
            await turns.breathe()
            known = await self._db.read(partial(events_storage.statuses, ids=part))
            unknown += [name for name in part if name not in known]
        return unknown

    async def new_ones(self, room: Room, texts: list[bytes]) -> EventStash:
        """Those of many PDUs, each in JSON, that are events of the room, and are not stored.

        The others are not checked. ``texts`` is emptied: there may be very many of them.
        """
        by_id: dict[str, bytes] = {}
        await _named(room, texts, by_id)
        return await self._new(room, by_id)

    async def _new(self, room: Room, by_id: dict[str, bytes]) -> EventStash:
        unknown = await self.unknown(by_id)
        texts = [by_id[name] async for name in Turns().over(unknown)]
        by_id.clear()
        events = stash_of(room)
        async for event in self._remote.read(room, texts):
            events.add(event)
        return events

    async def each(
        self, server: ServerName, room: Room, names: Sequence[str]
    ) -> dict[str, SignedEvent | None]:
        """Fetch events one by one: None for those that are not what they should be; others are not given."""
        askable = await self._failed.askable(server, names)
        found = await together(self._one(server, room, name) for name in askable) if askable else []
        given = {name: item[0] for name, item in zip(askable, found, strict=True) if item}
        await self._failed.failed(server, [name for name in askable if name not in given])
        return given

    async def _one(self, server: ServerName, room: Room, name: str) -> tuple[SignedEvent | None] | None:
        try:
            return (await self._remote.event(server, room, name),)
        except FederationError:
            return None

    async def _event(self, server: ServerName, room: Room, name: str) -> SignedEvent | None:
        stored = (await self._store.signed([name])).get(name)
        return stored or (await self.each(server, room, [name])).get(name)

    async def _told(self, server: ServerName, room: Room, event_id: str, times: Times | None) -> _Told:
        try:
            ids = await self._remote.state_ids(server, room, event_id, times)
        except ServerError as error:
            if not is_unknown(error):
                raise
            return await self._whole(server, room, event_id, times)
        wanted = [*ids.state, *ids.auth_chain]
        unknown = await self.unknown(wanted)
        if len(unknown) > max(FEW, len(wanted) // SHARE):
            if len(unknown) < len(wanted) // 2:
                return await self._whole(server, room, event_id, times)
            return _Told(ids.state, await self._all(server, room, event_id, times))
        given = await self.each(server, room, unknown)
        withheld = set(unknown).intersection(ids.state) - given.keys()
        if withheld:
            raise Withheld(f"{len(withheld)} events of the state are not given, {min(withheld)} for one")
        events = stash_of(room)
        for event in given.values():
            if event is not None:
                events.add(event)
        return _Told(ids.state, events)

    async def _whole(self, server: ServerName, room: Room, event_id: str, times: Times | None) -> _Told:
        told = await self._remote.state(server, room, event_id, times)
        by_id: dict[str, bytes] = {}
        await _named(room, told.auth_chain, by_id)
        state = await _named(room, told.state, by_id)
        return _Told(state, await self._new(room, by_id))

    async def _all(self, server: ServerName, room: Room, event_id: str, times: Times | None) -> EventStash:
        """The events of a state, and those that it rests on, of which few are here: so all are checked."""
        told = await self._remote.state(server, room, event_id, times)
        events = stash_of(room)
        async for event in self._remote.read(room, await _once(told.state, told.auth_chain)):
            events.add(event)
        return events

    async def _root(self, head: RoomHead, told: _Told, last: SignedEvent | None) -> bytes:
        """The root of the state that was told, as far as it is good, with ``last`` set in it."""
        await self.keep(head, told.events)
        names = set(told.state)
        here, changes = await self._compared(head, names)
        if CREATE in changes:
            raise Withheld("The state is told without its create event")
        more = [*(names - here), *([] if last is None else [last.event_id])]
        for key, name in (await self._good(head, more)).items():
            changes[key] = name
        update = await self._store.read_state(state_tree.update(head.state_root, changes))
        nodes = iter(update.new_nodes.items())
        while some := dict(islice(nodes, BATCH)):
            await self._db.write(partial(state_storage.insert_nodes, nodes=some))
        return update.root

    async def _compared(self, head: RoomHead, names: set[str]) -> tuple[set[str], dict[StateKey, str | None]]:
        """Those of ``names`` that are in the current state, and what else that has, to be taken out."""
        here: set[str] = set()
        gone: dict[StateKey, str | None] = {}
        turns = Turns()
        for part in await self._store.read_state(state_tree.parts(head.state_root, BATCH)):
            await turns.breathe()
            for key, name in (await self._store.read_state(state_tree.items(part))).items():
                if name in names:
                    here.add(name)
                else:
                    gone[key] = None
        return here, gone

    async def _good(self, head: RoomHead, names: Sequence[str]) -> dict[StateKey, str]:
        """What those of the events set that are state events of the room, and are not rejected.

        Of several that set the same, the later one does.
        """
        found: dict[StateKey, str] = {}
        turns = Turns()
        for at in range(0, len(names), BATCH):
            await turns.breathe()
            # No event has such a name, and no database looks it up.
            ids = [name for name in names[at : at + BATCH] if "\0" not in name]
            rows = await self._db.read(partial(events_storage.state_keys, ids=ids))
            for name in ids:
                room_id, key, status = rows.get(name, (None, None, EventStatus.REJECTED))
                if key is not None and room_id == head.room_id and status is not EventStatus.REJECTED:
                    found[key] = name
        return found


def _only(names: Sequence[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def stash_of(room: Room) -> EventStash:
    """Room for events of a room."""
    return EventStash(room.rules, room.room_id)


async def _once(*lists: list[bytes]) -> list[bytes]:
    """What is in any of the lists, once; they are emptied."""
    seen: set[bytes] = set()
    texts: list[bytes] = []
    turns = Turns()
    for items in lists:
        while items:
            await turns.breathe()
            text = items.pop()
            digest = blake2b(text, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                texts.append(text)
    return texts


async def _named(room: Room, texts: list[bytes], by_id: dict[str, bytes]) -> list[str]:
    """The IDs of PDUs in JSON, by which they are added to ``by_id``; ``texts`` is emptied."""
    names: list[str] = []
    turns = Turns()
    while texts:
        await turns.breathe()
        text = texts.pop()
        if (name := _id_of(room, text)) is not None:
            by_id[name] = text
            names.append(name)
    return names


def _id_of(room: Room, text: bytes) -> str | None:
    """The ID that a PDU in JSON has; None where it can have none. Its form is not checked."""
    pdu = decoded(text)
    if not isinstance(pdu, dict):
        return None
    try:
        return event_id_of(room.rules, pdu, encode=encoder_again(room.rules))
    except (MatrixError, TypeError):
        return None


def room_of(head: RoomHead) -> Room:
    """The room, to ask about it."""
    return Room(room_id=head.room_id, rules=head.rules)
