"""Simplified sliding sync (MSC4186): wait until there is something, collect it, remember what was sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import msgspec

from palpo.db.topics import Topics
from palpo.db.transaction import Transaction
from palpo.services.accounts.sessions import Requester
from palpo.services.history.tokens import parse_stream_token
from palpo.services.push.unread import Unread
from palpo.services.reading.client_events import ClientEvents
from palpo.services.reading.waiting import Waiting
from palpo.services.server import Server
from palpo.storage import memberships
from palpo.storage.memberships import Membership
from palpo.storage.sliding_sync import OF_CONNECTION, RoomSent
from palpo.streams import topics
from palpo.streams.task_group import task_group
from palpo.sync.each import each
from palpo.sync.sections import sections
from palpo.sync.sliding import assemble
from palpo.sync.sliding.changes import GONE, Due, Plan, leaving, match_rooms, plan
from palpo.sync.sliding.config import SlidingRequest
from palpo.sync.sliding.connections import Connection, Connections, Pos, UnknownPos, parse_pos
from palpo.sync.sliding.extensions import Coverage, ExtensionNews, Extensions, of_connection
from palpo.sync.sliding.rooms import Listener, RoomNews, SlidingRooms
from palpo.sync.sliding.user_lists import UserList, UserLists
from palpo.sync.window import Window
from palpo.wire.client import sliding_sync as wire

MAX_TIMEOUT_MS = 120_000
MAX_ATTEMPTS = 3
"""How often a response is made anew because another process has moved the connection on."""
"""Rooms that are read at the same time, where the database is another process."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What is new to a connection."""

    window: Window
    counts: dict[str, int]
    extensions: ExtensionNews
    rooms: list[RoomNews] = field(default_factory=list)
    changes: dict[str, RoomSent | None] = field(default_factory=dict)
    settled: bool = True
    """Whether this is everything that was due."""

    @property
    def empty(self) -> bool:
        """Whether a client may be kept waiting for more."""
        return not self.rooms and not self.extensions.urgent


class SlidingSync:
    """Answers the POST form of /sync."""

    def __init__(
        self,
        server: Server,
        waiting: Waiting,
        connections: Connections,
        lists: UserLists,
        rooms: SlidingRooms,
        extensions: Extensions,
        client_events: ClientEvents,
        unread: Unread,
    ) -> None:
        self._db = server.db
        self._wakeups = server.wakeups
        self._history = server.stream_history
        self._waiting = waiting
        self._connections = connections
        self._lists = lists
        self._rooms = rooms
        self._extensions = extensions
        self._client_events = client_events
        self._unread = unread

    async def sync(self, requester: Requester, request: SlidingRequest) -> wire.SlidingSyncResponse:
        """What is new on the connection, as soon as there is something or the time is up.

        Raises UnknownPos, InvalidParam.
        """
        deadline = time.monotonic() + min(request.timeout_ms, MAX_TIMEOUT_MS) / 1000
        request = await self._of_this_history(request)
        await self._extensions.acknowledge(requester, request)
        for _ in range(MAX_ATTEMPTS):
            connection, pos = await self._connections.open(requester, request.conn_id, request.pos)
            connection.requests += 1
            number = connection.requests
            answer = await self._wait(requester, request, connection, pos, deadline)
            if connection.requests != number:
                return _superseded(pos)
            async with task_group() as group:
                offered = group.create_task(self._connections.offer(connection, answer.changes))
                made = group.create_task(self._response(requester, answer))
            generation = offered.result()
            if generation is not None:
                if answer.settled:
                    connection.settled = generation, request
                _note_members(connection, answer, generation)
                token = Pos(position=answer.window.upto, tag=connection.tag, generation=generation)
                return msgspec.structs.replace(made.result(), pos=str(token))
        raise UnknownPos("The connection is in use elsewhere")

    async def _of_this_history(self, request: SlidingRequest) -> SlidingRequest:
        """The request without what is ahead of the stream; raises UnknownPos."""
        if request.pos is not None and await self._history.is_ahead(parse_pos(request.pos).position):
            raise UnknownPos("This pos is ahead of the server")
        config = request.extensions.to_device
        if config is None or not config.since:
            return request
        if not await self._history.is_ahead(parse_stream_token(config.since)):
            return request
        to_device = msgspec.structs.replace(config, since=None)
        return replace(request, extensions=msgspec.structs.replace(request.extensions, to_device=to_device))

    async def _wait(
        self,
        requester: Requester,
        request: SlidingRequest,
        connection: Connection,
        pos: Pos | None,
        deadline: float,
    ) -> Answer:
        while True:
            window = self._window(pos)
            of = await self._lists.get(requester.user_id, window.upto)
            wanted = _topics(requester.user_id, of)
            if self._nothing_new(request, connection, pos, window, wanted):
                answer = await self._quiet(requester, request, window, of)
            else:
                answer = await self._collect(requester, request, connection, window, of)
            remaining = deadline - time.monotonic()
            if pos is None or not answer.empty:
                return answer
            if not await self._waiting.wait(requester, wanted, after=window.upto, timeout_s=remaining):
                return answer

    def _window(self, pos: Pos | None) -> Window:
        upto = self._wakeups.position
        if pos is None:
            return Window(since=None, upto=upto, changed=None)
        since = min(pos.position, upto)
        return Window(since=since, upto=upto, changed=self._wakeups.changed_since(since))

    def _nothing_new(
        self,
        request: SlidingRequest,
        connection: Connection,
        pos: Pos | None,
        window: Window,
        wanted: Topics,
    ) -> bool:
        """Whether the client wants what it wanted before, had all of it, and nothing has happened since."""
        settled = connection.settled
        return (
            pos is not None
            and settled is not None
            and settled[0] == pos.generation
            and window.is_quiet(wanted)
            and settled[1].same_wishes(request)
        )

    async def _quiet(
        self, requester: Requester, request: SlidingRequest, window: Window, of: UserList
    ) -> Answer:
        counts = {rule.name: len(await self._lists.view(of, rule.filter)) for rule in request.lists}
        extensions = await self._extensions.quiet(requester, request, window)
        return Answer(window=window, counts=counts, extensions=extensions)

    async def _collect(
        self,
        requester: Requester,
        request: SlidingRequest,
        connection: Connection,
        window: Window,
        of: UserList,
    ) -> Answer:
        matches = await match_rooms(self._lists, of, request)
        todo = plan(
            connection,
            matches,
            of,
            since=window.after,
            extensions=Coverage(request).bits,
            counted=window.read_by(requester.user_id),
            touched=_touched(requester.user_id, window),
        )
        due = [*todo.due, *await self._leaving(requester.user_id, connection, todo, of, window)]
        collected = await self._collect_rooms(requester, connection, window, of, due)
        news = {item.due.room_id: item for item in collected}
        _note_sent(connection, todo, news)
        known = connection.rooms.get(OF_CONNECTION)
        extension_news = await self._extensions.collect(
            requester,
            request,
            window,
            [room_id for room_id, room in of.rooms.items() if room.membership == "join"],
            (todo.followed, news),
            known=0 if known is None else known.extensions,
        )
        _note_global(connection, request, todo)
        return Answer(
            window=window,
            counts=matches.counts,
            extensions=extension_news,
            rooms=[item for item in collected if not item.empty],
            changes=todo.changes,
            settled=not todo.cut,
        )

    async def _leaving(
        self, user_id: str, connection: Connection, todo: Plan, of: UserList, window: Window
    ) -> list[Due]:
        """Rooms that the client knows and the user has left: told once, whether a rule matches or not."""
        gone = {
            room_id: sent
            for room_id, now in todo.changes.items()
            if now is None and (sent := connection.rooms[room_id]).membership not in GONE
        }
        rows: list[tuple[str, Membership | None]] = []
        if gone:

            async def unit(tx: Transaction) -> list[tuple[str, Membership | None]]:
                return [(room_id, await memberships.get(tx, room_id, user_id)) for room_id in gone]

            rows = await self._db.read(unit)
        return [
            leaving(connection, room_id, gone[room_id], row, window.after)
            for room_id, row in rows
            if row is not None and row.membership in GONE
        ]

    async def _collect_rooms(
        self,
        requester: Requester,
        connection: Connection,
        window: Window,
        of: UserList,
        due: list[Due],
    ) -> list[RoomNews]:
        listener = Listener(
            user_id=requester.user_id,
            device_id=requester.device_id,
            ignored=of.personal.ignored,
            members=connection.members,
        )
        collected = await each(due, lambda item: self._rooms.collect(listener, item, window.upto))
        joined = {item.due.room_id: item for item in collected if item.due.joined}
        counts = await self._unread.counts_many(requester.user_id, list(joined), window.upto)
        counted = window.read_by(requester.user_id)
        for room_id, unread in counts.items():
            joined[room_id].unread = unread
            joined[room_id].counted = room_id in counted
        return collected

    async def _response(self, requester: Requester, answer: Answer) -> wire.SlidingSyncResponse:
        """The response, but for its ``pos``."""
        events = [
            item
            for news in answer.rooms
            for item in (*(news.timeline.events if news.timeline is not None else ()), *news.state)
        ]
        made = await self._client_events.render(
            events, user_id=requester.user_id, device_id=requester.device_id, with_room_id=False
        )
        rendered = {item.event_id: form for item, form in zip(events, made, strict=True)}
        return wire.SlidingSyncResponse(
            pos="",
            lists={name: wire.SyncListResult(count=count) for name, count in answer.counts.items()},
            rooms=await sections(
                answer.rooms,
                lambda news: news.due.room_id,
                lambda news: assemble.room_result(news, rendered, since=answer.window.since),
            ),
            extensions=answer.extensions.result,
        )


def _superseded(pos: Pos | None) -> wire.SlidingSyncResponse:
    """The client has given this request up and made another one: nothing, which leads nowhere."""
    if pos is None:
        raise UnknownPos("The connection has begun anew")
    return wire.SlidingSyncResponse(pos=str(pos), lists={}, rooms={}, extensions=wire.ExtensionResults())


def _topics(user_id: str, of: UserList) -> Topics:
    joined = {room_id for room_id, room in of.rooms.items() if room.membership == "join"}
    return {topics.ROOM: joined, topics.USER: {user_id}}


def _touched(user_id: str, window: Window) -> frozenset[str] | None:
    """The rooms in which anything may have changed, None for all of them."""
    changed = window.changed
    if changed is None or user_id in changed.get(topics.ACCOUNT_DATA, ()):
        return None
    return frozenset().union(*(changed.get(kind, ()) for kind in (topics.ROOM, topics.RECEIPTS)))


def _note_sent(connection: Connection, todo: Plan, news: dict[str, RoomNews]) -> None:
    """What the connection knows once it has ``news``."""
    for due in todo.due:
        if due.joined or due.sent is None or due.initial:
            config = connection.config_index(due.match.config.state)
        else:
            config = due.sent.config
        sent = news[due.room_id].sent(config)
        if sent != connection.rooms.get(due.room_id):
            todo.changes[due.room_id] = sent


def _note_members(connection: Connection, answer: Answer, generation: int) -> None:
    place = generation, answer.window.upto
    for news in answer.rooms:
        if news.members:
            connection.members.mark(place, news.due.room_id, news.members, anew=news.forgets)


def _note_global(connection: Connection, request: SlidingRequest, todo: Plan) -> None:
    """Which extensions the client has what is not of rooms from."""
    bits = of_connection(request)
    before = connection.rooms.get(OF_CONNECTION)
    if bits != (0 if before is None else before.extensions):
        todo.changes[OF_CONNECTION] = RoomSent("", None, 0, 0, bits) if bits else None
