"""Events as one user's device is shown them: the client form, with ``unsigned`` filled in.

This is the server's hottest path. The client form of an event is made once; here bytes are put
together. What differs by reader (``membership``, ``transaction_id``, bundled aggregations) is asked
for a whole batch at a time, and only where the answer is not already known to be empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from palpo.core.canonical_json import to_json
from palpo.core.events import SignedEvent, with_unsigned
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.core.state_tree import EMPTY_ROOT, get
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.state_at import StateAt
from palpo.services.history.visibility import Visibility
from palpo.services.personal.account_data import AccountData
from palpo.services.reading.event_filters import relation_type
from palpo.storage import events as events_storage
from palpo.storage import relations as relations_storage
from palpo.storage.relations import REFERENCE, REPLACE, THREAD, Children
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

Unsigned = dict[str, dict[str, Any]]
"""By event ID: members of ``unsigned`` beside ``age`` and ``membership``; bytes are JSON."""

AT_ONCE: Final = 1000
"""Events that are written before others have their turn."""
VIEWED_BYTES: Final = 4096
"""Of an event that is spliced without a copy."""
_NOTHING: Final = ""


class ClientEvents:
    """Writes events for clients."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        clock: Clock,
        wakeups: Wakeups,
        visibility: Visibility,
        account_data: AccountData,
        state_at: StateAt,
        caches: CacheBudget,
    ) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._visibility = visibility
        self._account_data = account_data
        self._state_at = state_at
        self._replaced: Cache[str, str] = caches.cache("replaced_state")
        self._unrelated: Cache[str, bool] = caches.cache("unrelated_rooms")
        wakeups.listen(topics.RELATIONS, self._unrelated.forget)

    async def render(
        self,
        events: Sequence[StoredEvent],
        *,
        user_id: UserId,
        device_id: str | None,
        with_room_id: bool,
        bundle: bool = True,
        threads: bool = True,
    ) -> list[bytes]:
        """Each event as JSON, as ``device_id`` of ``user_id`` is shown it.

        ``bundle`` adds ``m.relations`` (spec: "Aggregations of child events"); without ``threads`` those
        of threads are left out. Of many events some are done at a time, so that others have their turn.
        """
        render = partial(
            self._render,
            user_id=user_id,
            device_id=device_id,
            with_room_id=with_room_id,
            bundle=bundle,
            threads=threads,
        )
        if len(events) <= AT_ONCE:
            return await render(events)
        turns = Turns()
        done: list[bytes] = []
        for start in range(0, len(events), AT_ONCE):
            await turns.breathe()
            done += await render(events[start : start + AT_ONCE])
        return done

    async def _render(
        self,
        events: Sequence[StoredEvent],
        *,
        user_id: UserId,
        device_id: str | None,
        with_room_id: bool,
        bundle: bool,
        threads: bool,
    ) -> list[bytes]:
        more: Unsigned = {}
        own = [item.event_id for item in events if item.event.sender == user_id] if device_id else ()
        if own:
            await self._add_transactions(more, own, device_id)
        changed = [item for item in events if item.redacted_by is not None]
        if changed:
            await self._add_redactions(more, changed)
        changed = [item for item in events if item.event.state_key is not None]
        if changed:
            await self._add_previous(more, changed)
        if bundle and events:
            await self._add_relations(more, events, user_id, threads=threads)
        pairs = await self._state_at.memberships(events, user_id)
        memberships = [after for _, after in pairs]
        return self._splice(events, memberships, more, with_room_id=with_room_id)

    def _splice(
        self, events: Sequence[StoredEvent], memberships: Sequence[str], more: Unsigned, *, with_room_id: bool
    ) -> list[bytes]:
        now = self._clock.now_ms()
        heads: dict[str, bytes] = {}
        tails: dict[str, bytes] = {}
        result = []
        for item, membership in zip(events, memberships, strict=True):
            event = item.event
            head = heads.get(event.room_id)
            if head is None:
                room = b',"room_id":' + to_json(event.room_id) if with_room_id else b""
                head = heads[event.room_id] = room + b',"unsigned":{"age":'
            tail = tails.get(membership)
            if tail is None:
                tail = tails[membership] = b',"membership":' + to_json(membership)
            extra = more.get(event.event_id)
            end = b"}}" if extra is None else _members(extra) + b"}}"
            age = now - event.origin_server_ts
            client = item.client
            # Without its closing brace. Of a large event a view is quicker than a copy.
            if len(client) < VIEWED_BYTES:
                result.append(b"%b%b%d%b%b" % (client[:-1], head, age, tail, end))
            else:
                result.append(b"".join((memoryview(client)[:-1], head, b"%d" % age, tail, end)))
        return result

    async def _add_transactions(self, more: Unsigned, own: Sequence[str], device_id: str | None) -> None:
        for made in await self._db.read(lambda tx: events_storage.transactions_of(tx, own)):
            if made.delay_id is not None:
                more.setdefault(made.event_id, {})["org.matrix.msc4140.delay_id"] = made.delay_id
            elif made.device_id == device_id:
                more.setdefault(made.event_id, {})["transaction_id"] = made.transaction_id

    async def _add_redactions(self, more: Unsigned, redacted: Sequence[StoredEvent]) -> None:
        ids = {item.redacted_by for item in redacted if item.redacted_by is not None}
        found = await self._store.get_many(ids)
        for item in redacted:
            redaction = found.get(item.redacted_by or "")
            if redaction is not None:
                room_id = redaction.event.room_id
                shown = with_unsigned(redaction.client, room_id, None)
                more.setdefault(item.event_id, {})["redacted_because"] = shown

    async def _add_previous(self, more: Unsigned, changed: Sequence[StoredEvent]) -> None:
        """The state that each state event took the place of."""
        previous = await self._previous(changed)
        found = await self._store.get_many({name for name in previous.values() if name})
        for event_id, name in previous.items():
            before = found.get(name)
            if before is not None:
                extra = more.setdefault(event_id, {})
                extra["replaces_state"] = name
                extra["prev_content"] = before.event.content
                extra["prev_sender"] = before.event.sender

    async def _previous(self, changed: Sequence[StoredEvent]) -> dict[str, str]:
        """By state event the one before it, which may be none."""
        names = self._replaced.touch_all(
            [item.event_id for item in changed if item.state_before != EMPTY_ROOT]
        )
        unknown = [item for item in changed if item.event_id not in names and item.state_before != EMPTY_ROOT]
        if unknown:
            found = await self._store.read_states(
                [get(item.state_before, item.event.key) for item in unknown]
            )
            loaded = {item.event_id: name or _NOTHING for item, name in zip(unknown, found, strict=True)}
            self._replaced.keep(loaded)
            names |= loaded
        return names

    async def _add_relations(
        self, more: Unsigned, events: Sequence[StoredEvent], user_id: UserId, *, threads: bool
    ) -> None:
        """Bundled aggregations; state events get none."""
        rooms = {item.event.room_id for item in events}
        unrelated = self._unrelated
        unknown = [room for room in rooms if unrelated.touch(room) is None]
        if not unknown:
            return
        related = {room for room in unknown if await self._related(room)}
        parents = {
            item.event_id: item
            for item in events
            if item.event.state_key is None and item.event.room_id in related
        }
        if not parents:
            return
        targets = list(parents)
        ignored = list(await self._account_data.ignored_users(user_id))
        children = await self._db.read(lambda tx: relations_storage.children(tx, targets, user_id, ignored))
        bundles = await self._bundles(parents, children, user_id, threads=threads)
        for event_id, bundle in bundles.items():
            more.setdefault(event_id, {})["m.relations"] = bundle

    async def _related(self, room_id: RoomId) -> bool:
        with self._unrelated.reading() as reading:
            related = await self._db.read(lambda tx: relations_storage.room_has_any(tx, room_id))
            if not related:
                reading.keep({room_id: True})
        return related

    async def _bundles(
        self, parents: Mapping[str, StoredEvent], children: Children, user_id: UserId, *, threads: bool
    ) -> dict[str, bytes]:
        parts: dict[str, dict[str, bytes]] = {}
        for event_id, references in (await self._references(parents, children, user_id)).items():
            chunk = {"chunk": [{"event_id": name} for name in references]}
            parts.setdefault(event_id, {})[REFERENCE] = to_json(chunk)
        seen = await self._seen(children, user_id)
        edits = _edits(parents, children, seen)
        for event_id, shown in zip(edits, await self._plain(edits.values(), user_id), strict=True):
            parts.setdefault(event_id, {})[REPLACE] = shown
        if threads and children.threads:
            for event_id, summary in (await self._threads(parents, children, seen, user_id)).items():
                parts.setdefault(event_id, {})[THREAD] = summary
        return {event_id: b"{" + _members(bundle)[1:] + b"}" for event_id, bundle in parts.items()}

    async def _references(
        self, parents: Mapping[str, StoredEvent], children: Children, user_id: UserId
    ) -> dict[str, list[str]]:
        """The references to each parent; for who is not in its room, those that they may see."""
        found = dict(children.references)
        for event_id, names in children.references.items():
            if not await self._visibility.is_in(parents[event_id].event.room_id, user_id):
                seen = await self._visibility.visible(await self._store.get_list(names), user_id)
                found[event_id] = [item.event_id for item in seen]
        return {event_id: names for event_id, names in found.items() if names}

    async def _seen(self, children: Children, user_id: UserId) -> dict[str, StoredEvent]:
        """The children that may be bundled, as far as the user may see them."""
        names = {name for names in children.replacements.values() for name in names}
        names |= {name for thread in children.threads.values() for name in thread.newest}
        found = await self._store.get_list(list(names))
        return {item.event_id: item for item in await self._visibility.visible(found, user_id)}

    async def _threads(
        self,
        parents: Mapping[str, StoredEvent],
        children: Children,
        seen: Mapping[str, StoredEvent],
        user_id: UserId,
    ) -> dict[str, bytes]:
        latest = {
            root: newest
            for root, thread in children.threads.items()
            if (newest := next((seen[name] for name in thread.newest if name in seen), None)) is not None
        }
        shown = await self.render(
            list(latest.values()), user_id=user_id, device_id=None, with_room_id=True, threads=False
        )
        return {
            root: b'{"latest_event":%b,"count":%d,"current_user_participated":%b}'
            % (
                event,
                children.threads[root].count,
                to_json(root in children.participated or parents[root].event.sender == user_id),
            )
            for root, event in zip(latest, shown, strict=True)
        }

    async def _plain(self, events: Iterable[StoredEvent], user_id: UserId) -> list[bytes]:
        return await self.render(
            list(events), user_id=user_id, device_id=None, with_room_id=True, bundle=False
        )

    async def exchanged(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The events with the form that servers exchange in place of their client form.

        One that was deleted meanwhile stays as it was read.
        """
        signed = await self._store.signed({item.event_id for item in events})
        return [
            _as_exchanged(item, signed[item.event_id]) if item.event_id in signed else item for item in events
        ]


def _as_exchanged(item: StoredEvent, signed: SignedEvent) -> StoredEvent:
    """With its ID in any case: newer room versions leave it out, and clients could not do without.

    Of an event that was pruned for its reader there is no more in it than in the client form.
    """
    pdu = {name: value for name, value in signed.pdu.items() if name != "unsigned"}
    pdu["event_id"] = item.event_id
    pdu["content"] = item.event.content
    if item.event.redacts is None:
        pdu.pop("redacts", None)
    return msgspec.structs.replace(item, client=to_json(pdu))


def _members(members: Mapping[str, Any]) -> bytes:
    """Members of an object, each after a comma."""
    return b"".join(
        [
            b',"%b":%b' % (name.encode(), value if type(value) is bytes else to_json(value))
            for name, value in members.items()
        ]
    )


def _edits(
    parents: Mapping[str, StoredEvent], children: Children, seen: Mapping[str, StoredEvent]
) -> dict[str, StoredEvent]:
    """The newest valid replacement of each parent (spec: "Validity of replacement events")."""
    edits = {}
    for event_id, names in children.replacements.items():
        parent = parents[event_id]
        if parent.redacted_by is None and relation_type(parent.event) != REPLACE:
            valid = (seen[name] for name in names if name in seen and _has_new_content(seen[name]))
            newest = next(valid, None)
            if newest is not None:
                edits[event_id] = newest
    return edits


def _has_new_content(item: StoredEvent) -> bool:
    """Whether an edit has the content that it is for; of an encrypted one nobody here can tell."""
    event = item.event
    return event.type == "m.room.encrypted" or isinstance(event.content.get("m.new_content"), dict)
