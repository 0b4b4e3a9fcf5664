"""Simplified sliding sync (MSC4186): wait until there is something, collect it, remember what was sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.sessions import Requester
from palpo.services.push.unread import Unread
from palpo.services.reading.client_events import ClientEvents
from palpo.storage import memberships
from palpo.storage.memberships import Member
from palpo.storage.sliding_sync import OF_CONNECTION, RoomSent
from palpo.streams.task_group import task_group
from palpo.sync.each import each
from palpo.sync.feed import Feed, Look, deadline, followed, joined
from palpo.sync.filters import SyncFilter
from palpo.sync.joined import Reader
from palpo.sync.room_news import render
from palpo.sync.sections import sections
from palpo.sync.sliding import assemble
from palpo.sync.sliding.changes import Due, Plan, leaving, match_rooms, plan
from palpo.sync.sliding.config import SlidingRequest
from palpo.sync.sliding.connections import Connection, Connections, Pos, UnknownPos, parse_pos
from palpo.sync.sliding.extensions import Coverage, ExtensionNews, Extensions, of_connection
from palpo.sync.sliding.rooms import SlidingRoomNews, SlidingRooms
from palpo.sync.sliding.user_lists import UserList, UserLists
from palpo.sync.summary import GONE
from palpo.sync.window import Window
from palpo.wire.client import sliding_sync as wire

MAX_ATTEMPTS = 3
"""How often a response is made anew because another process has moved the connection on."""


@dataclass(slots=True, kw_only=True)
class Answer(Look):
    """What is new to a connection."""

    counts: dict[str, int] = field(default_factory=dict)
    extensions: ExtensionNews = field(default_factory=ExtensionNews)
    rooms: list[SlidingRoomNews] = field(default_factory=list)
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
        db: Database,
        feed: Feed,
        connections: Connections,
        lists: UserLists,
        rooms: SlidingRooms,
        extensions: Extensions,
        client_events: ClientEvents,
        unread: Unread,
    ) -> None:
        self._db = db
        self._feed = feed
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
        until = deadline(request.timeout_ms)
        request = await self._of_this_history(request)
        await self._extensions.acknowledge(requester, request)
        for _ in range(MAX_ATTEMPTS):
            connection, pos = await self._connections.open(requester, request.conn_id, request.pos)
            connection.requests += 1
            number = connection.requests
            answer = await self._feed.follow(
                requester, until, partial(self._look, requester, request, connection, pos)
            )
            if connection.requests != number:
                return _superseded(pos)
            async with task_group() as group:
                offered = group.create_task(self._connections.offer(connection, answer.changes))
                made = group.create_task(self._response(requester, answer))
            generation = offered.result()
            if generation is not None:
                if answer.settled:
                    connection.settled = generation, request
                token = Pos(position=answer.window.upto, tag=connection.tag, generation=generation)
                self._note_members(connection, answer, token)
                return msgspec.structs.replace(made.result(), pos=str(token))
        raise UnknownPos("The connection is in use elsewhere")

    async def _of_this_history(self, request: SlidingRequest) -> SlidingRequest:
        """The request without what is ahead of the stream; raises UnknownPos."""
        if request.pos is not None and (await self._feed.start(str(parse_pos(request.pos)))).since is None:
            raise UnknownPos("This pos is ahead of the server")
        config = request.extensions.to_device
        if config is None or not config.since or (await self._feed.start(config.since)).since is not None:
            return request
        to_device = msgspec.structs.replace(config, since=None)
        return replace(request, extensions=msgspec.structs.replace(request.extensions, to_device=to_device))

    async def _look(
        self, requester: Requester, request: SlidingRequest, connection: Connection, pos: Pos | None
    ) -> Answer:
        window = self._feed.window(None if pos is None else pos.position)
        of = await self._lists.get(requester.user_id, window.upto)
        answer = Answer(window=window, followed=followed(requester.user_id, of.memberships))
        if self._nothing_new(request, connection, pos, answer):
            await self._quiet(requester, request, answer, of)
        else:
            await self._collect(requester, request, connection, answer, of)
        return answer

    def _nothing_new(
        self, request: SlidingRequest, connection: Connection, pos: Pos | None, answer: Answer
    ) -> bool:
        """Whether the client wants what it wanted before, had all of it, and nothing has happened since."""
        settled = connection.settled
        return (
            pos is not None
            and settled is not None
            and settled[0] == pos.generation
            and answer.window.is_quiet(answer.followed)
            and settled[1].same_wishes(request)
        )

    async def _quiet(
        self, requester: Requester, request: SlidingRequest, answer: Answer, of: UserList
    ) -> None:
        for rule in request.lists:
            answer.counts[rule.name] = len(await self._lists.view(of, rule.filter))
        answer.extensions = await self._extensions.quiet(requester, request, answer.window)

    async def _collect(
        self,
        requester: Requester,
        request: SlidingRequest,
        connection: Connection,
        answer: Answer,
        of: UserList,
    ) -> None:
        window = answer.window
        matches = await match_rooms(self._lists, of, request)
        todo = plan(
            connection,
            matches,
            of,
            since=window.after,
            extensions=Coverage(request).bits,
            counted=window.read_by(requester.user_id),
            touched=window.touched(requester.user_id),
            max_rooms=self._connections.max_rooms,
        )
        due = [*todo.due, *await self._leaving(requester.user_id, connection, todo, of, window)]
        collected = await self._collect_rooms(requester, connection, window, of, due)
        news = {item.room_id: item for item in collected}
        _note_sent(connection, todo, news)
        known = connection.rooms.get(OF_CONNECTION)
        answer.extensions = await self._extensions.collect(
            requester,
            request,
            window,
            joined(of.memberships),
            (todo.followed, news),
            known=0 if known is None else known.extensions,
        )
        _note_global(connection, request, todo)
        answer.counts = matches.counts
        answer.rooms = [item for item in collected if not item.empty]
        answer.changes, answer.settled = todo.changes, not todo.cut

    async def _leaving(
        self, user_id: str, connection: Connection, todo: Plan, of: UserList, window: Window
    ) -> list[Due]:
        """Rooms that the client knows and the user has left: told once, whether a rule matches or not."""
        gone = {
            room_id: sent
            for room_id, now in todo.changes.items()
            if now is None and (sent := connection.rooms[room_id]).membership not in GONE
        }
        rows: list[tuple[str, Member | None]] = []
        if gone:

            async def unit(tx: Transaction) -> list[tuple[str, Member | None]]:
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
    ) -> list[SlidingRoomNews]:
        reader = Reader(
            user_id=requester.user_id,
            client=connection.client,
            filter=SyncFilter(),
            state_after=True,
            ignored=of.personal.ignored,
        )
        collected = await each(due, lambda item: self._rooms.collect(reader, item, window))
        joined = {item.room_id: item for item in collected if item.due.joined}
        counts = await self._unread.counts_many(requester.user_id, list(joined), window.upto)
        counted = window.read_by(requester.user_id)
        for room_id, unread in counts.items():
            joined[room_id].unread = unread
            joined[room_id].counted = room_id in counted
        return collected

    async def _response(self, requester: Requester, answer: Answer) -> wire.SlidingSyncResponse:
        """The response, but for its ``pos``."""
        rendered = await render(self._client_events, requester, answer.rooms)
        return wire.SlidingSyncResponse(
            pos="",
            lists={name: wire.SyncListResult(count=count) for name, count in answer.counts.items()},
            rooms=await sections(
                answer.rooms,
                lambda news: news.room_id,
                lambda news: assemble.room_result(news, rendered, since=answer.window.since),
            ),
            extensions=answer.extensions.result,
        )

    def _note_members(self, connection: Connection, answer: Answer, pos: Pos) -> None:
        for news in answer.rooms:
            if news.members:
                self._rooms.note_members(connection.client, news, pos.position)
                connection.newest = pos


def _superseded(pos: Pos | None) -> wire.SlidingSyncResponse:
    """The client has given this request up and made another one: nothing, which leads nowhere."""
    if pos is None:
        raise UnknownPos("The connection has begun anew")
    return wire.SlidingSyncResponse(pos=str(pos), lists={}, rooms={}, extensions=wire.ExtensionResults())


def _note_sent(connection: Connection, todo: Plan, news: dict[str, SlidingRoomNews]) -> None:
    """What the connection knows once it has ``news``."""
    for due in todo.due:
        if due.joined or due.sent is None or due.initial:
            config = connection.config_index(due.match.config.state)
        else:
            config = due.sent.config
        sent = news[due.room_id].sent(config)
        if sent != connection.rooms.get(due.room_id):
            todo.changes[due.room_id] = sent


def _note_global(connection: Connection, request: SlidingRequest, todo: Plan) -> None:
    """Which extensions the client has what is not of rooms from."""
    bits = of_connection(request)
    before = connection.rooms.get(OF_CONNECTION)
    if bits != (0 if before is None else before.extensions):
        todo.changes[OF_CONNECTION] = RoomSent("", None, 0, 0, bits) if bits else None
