"""Deletes rooms: users here are made to leave, and then nothing of the room is left.

A job (``services.server.jobs``) of small transactions, in stages: the new room, the users, the aliases, the
rows. Each may be done again from its beginning: what has been done already is not found any more. While rows
are deleted nobody can join the room, since what is deleted could be that of the new beginning.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog

from palpo.core.errors import BadRequest, Conflict, InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import MxcUri, RoomId, UserId, server_name_of
from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.core.records.jobs import Job, JobState, Json
from palpo.core.records.quotas import Kind
from palpo.db import consumers
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.sessions import Requester
from palpo.services.administration.departures import Departures
from palpo.services.administration.history_purge import INDEXED
from palpo.services.administration.leftover_media import LeftoverMedia
from palpo.services.administration.state_trees import delete_trees
from palpo.services.history import HistoryServices
from palpo.services.history.blocked_rooms import DELETION
from palpo.services.history.drafts import Draft
from palpo.services.reading.search_index import SearchIndex
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.room_creation import NewRoom, RoomCreation
from palpo.services.server import Server
from palpo.services.server.jobs import Step
from palpo.storage import aliases as aliases_storage
from palpo.storage import blocked_rooms, leftover_media, room_rows, room_servers, rooms
from palpo.storage.blocked_rooms import BlockedRoom
from palpo.storage.destinations import SENDER
from palpo.storage.room_rows import EventRow, RowsOf

log = structlog.get_logger("palpo.room_deletion")

KIND = "shutdown_and_purge_room"
"""As Synapse calls it."""
NAME = "Content Violation Notification"
MESSAGE = "Sharing illegal content on this server is not permitted and rooms in violation will be blocked."
BATCH = 200
"""Rows that are deleted in one transaction."""
USERS_AT_ONCE = 20
TELLING_S = 10.0
"""How long other servers have to hear that users have left, before that is deleted."""
LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionWish:
    """What is to become of a room and its users."""

    new_room_user_id: str | None = None
    """Who makes a room that all are moved to; None for no such room."""
    room_name: str = NAME
    message: str = MESSAGE
    block: bool = False
    """Whether nobody here may join it again."""
    purge: bool = True
    """Whether its rows are deleted."""
    force_purge: bool = False
    """Whether they are though users could not be made to leave."""


class RoomDeletion:
    """Begins deletions, carries them out, and says how far they are."""

    def __init__(
        self,
        server: Server,
        history: HistoryServices,
        memberships: Memberships,
        creation: RoomCreation,
        search: SearchIndex,
        leftovers: LeftoverMedia,
        departures: Departures,
    ) -> None:
        self._server = server
        self._db = server.db
        self._quotas = server.quotas
        self._jobs = server.jobs
        self._events = history.events
        self._writer = history.room_writer
        self._blocked = history.blocked_rooms
        self._memberships = memberships
        self._creation = creation
        self._search = search
        self._leftovers = leftovers
        self._departures = departures

    async def start(self, room_id: RoomId, wish: DeletionWish, *, by: str) -> Job:
        """Have a room be deleted.

        One that is not here can be, and is only blocked then, if that is wanted. Raises InvalidParam, and
        Conflict where it is being deleted.
        """
        maker = wish.new_room_user_id
        if maker is not None and server_name_of(UserId(maker)) != self._server.name:
            raise InvalidParam("Who makes the new room is a user of this server")
        return await self._jobs.start(KIND, target=room_id, params=asdict(wish), requested_by=by)

    async def delete_now(self, room_id: RoomId, wish: DeletionWish, *, by: str) -> Job:
        """The same, and wait until it is done; one that is under way is waited for.

        Raises NotFound where nothing of the room is here, BadRequest where it could not be deleted.
        """
        if not await self._db.read(partial(_is_here, room_id=room_id)):
            raise NotFound(f"Unknown room id {room_id}")
        try:
            job = await self.start(room_id, wish, by=by)
        except Conflict:
            job = next(job for job in await self.of_room(room_id) if not job.state.ended)
        while not job.state.ended:
            job = await self._jobs.follow(job)
        if job.state is not JobState.COMPLETE:
            raise BadRequest(job.error or "The deletion was cancelled", errcode="M_UNKNOWN")
        return job

    async def of_room(self, room_id: str) -> list[Job]:
        """The deletions of a room, the newest first."""
        return await self._jobs.find(kind=KIND, target=room_id)

    async def get(self, job_id: str) -> Job:
        """One deletion; raises NotFound."""
        job = await self._jobs.get(job_id)
        if job.kind != KIND:
            raise NotFound("There is no such deletion")
        return job

    async def run(self, step: Step) -> Json | None:
        """Carry a deletion out, from wherever it is."""
        wish = DeletionWish(**step.job.params)
        room_id = RoomId(step.job.target)
        if step.job.checkpoint is None:
            await self._begin(step, room_id, wish)
        if _at(step)["stage"] == "users":
            await self._move_users(step, room_id)
            await self._move_aliases(step, room_id)
        if wish.purge:
            await self._purge(step, room_id, wish)
            await self._leftovers.begin()
        return told(step.job)

    async def _begin(self, step: Step, room_id: RoomId, wish: DeletionWish) -> None:
        if wish.block:
            await self._blocked.block(room_id, step.job.requested_by)
        new_room = None
        if wish.new_room_user_id is not None and await self._known(room_id):
            new_room = await self._make_room(UserId(wish.new_room_user_id), wish)
        shown: Json = {
            "kicked_users": [],
            "failed_to_kick_users": [],
            "local_aliases": [],
            "new_room_id": new_room,
        }
        await step.save({"stage": "users", "after": "", "shown": shown}, stage="users")

    async def _known(self, room_id: RoomId) -> bool:
        return await self._db.read(lambda tx: rooms.load_head(tx, room_id)) is not None

    async def _make_room(self, maker: UserId, wish: DeletionWish) -> RoomId:
        new = NewRoom(preset="public_chat", name=wish.room_name, power_levels={"users_default": -10})
        room_id = await self._creation.create(Requester(user_id=maker), new)
        content = {"msgtype": "m.text", "body": wish.message}
        await self._writer.send(room_id, Draft(type="m.room.message", sender=maker, content=content))
        return room_id

    async def _move_users(self, step: Step, room_id: RoomId) -> None:
        """Make everybody of this server leave; who could not leave is named."""
        present = [JOIN.value, INVITE.value, KNOCK.value]
        while True:
            at = _at(step)
            some = await self._db.read(
                partial(
                    room_rows.present,
                    room_id=room_id,
                    memberships_=present,
                    after=at["after"],
                    limit=USERS_AT_ONCE,
                )
            )
            if not some:
                return
            shown = at["shown"]
            for user_id in some:
                moved = await self._move(UserId(user_id), room_id, shown["new_room_id"])
                shown["kicked_users" if moved else "failed_to_kick_users"].append(user_id)
            done = len(shown["kicked_users"])
            await step.save({**at, "after": some[-1]}, stage="users", done=done)

    async def _move(self, user_id: UserId, room_id: RoomId, new_room: str | None) -> bool:
        """Whether the user has left; joining the new room may fail."""
        requester = Requester(user_id=user_id)
        try:
            await self._memberships.leave(requester, room_id, None)
            await self._memberships.forget(user_id, room_id)
        except MatrixError as error:
            log.warning("user_not_removed", room=room_id, user=user_id, error=error.message)
            return False
        if new_room is not None:
            try:
                await self._memberships.join(requester, RoomId(new_room), {})
            except MatrixError as error:
                log.warning("user_not_moved", room=new_room, user=user_id, error=error.message)
        return True

    async def _move_aliases(self, step: Step, room_id: RoomId) -> None:
        """Have aliases stand for the new room, or for nothing."""
        at = _at(step)
        shown = at["shown"]
        names = await self._db.read(lambda tx: aliases_storage.of_room(tx, room_id))
        listed = sorted({*shown["local_aliases"], *names})

        async def unit(tx: WriteTransaction) -> None:
            await tx.positions()
            if shown["new_room_id"] is not None:
                await aliases_storage.move(tx, room_id, shown["new_room_id"])
                return
            for name in names:
                row = await aliases_storage.get(tx, name)
                if row is not None:
                    await aliases_storage.delete_one(tx, name)
                    await self._quotas.charge(tx, row.creator, {Kind.ALIASES: -1})

        following = {"stage": "rows", "shown": {**shown, "local_aliases": listed}}
        await step.write(unit, following, stage="aliases")

    async def _purge(self, step: Step, room_id: RoomId, wish: DeletionWish) -> None:
        """Delete all that is the room's."""
        if "root" not in _at(step):
            if not wish.force_purge:
                await self._check_empty(room_id)
            await self._told_others(room_id)
            await self._search.consumer.catch_up(batches=INDEXED)
            await self._keep_departures(step, room_id)
            await self._delete_room(step, room_id)
        await self._delete_states(step, room_id)
        count = 0
        for rows in room_rows.TABLES.values():
            if isinstance(rows, RowsOf):
                count += await self._delete_rows(rows, room_id)
        count += await self._departures.delete_others(room_id)
        await step.write(
            partial(self._end, room_id),
            {**_at(step), "stage": "done"},
            **{**step.job.progress, "rows": count},
        )

    async def _end(self, room_id: RoomId, tx: WriteTransaction) -> None:
        await room_rows.remove_single(tx, room_id)
        await blocked_rooms.remove(tx, room_id, by=DELETION)

    async def _check_empty(self, room_id: RoomId) -> None:
        """Raises BadRequest while users of this server are in the room."""
        left = await self._db.read(
            partial(room_rows.present, room_id=room_id, memberships_=[JOIN.value], after="", limit=10)
        )
        if left:
            raise BadRequest(f"Users are still in the room: {', '.join(left)}", errcode="M_UNKNOWN")

    async def _told_others(self, room_id: RoomId) -> None:
        """Wait until other servers have heard that users have left, but not for ever."""
        if not self._server.config.federation.enabled:
            return
        head = await self._db.read(lambda tx: rooms.load_head(tx, room_id))
        if not await self._db.read(lambda tx: room_servers.of_room(tx, room_id)):
            return
        for _ in range(round(TELLING_S / LOOK_S)):
            told_upto = await self._db.read(lambda tx: consumers.position_of(tx, SENDER))
            if head is None or told_upto is None or told_upto >= head.position:
                return
            await asyncio.sleep(LOOK_S)

    async def _keep_departures(self, step: Step, room_id: RoomId) -> None:
        """Have clients that are offline be told later that their users have left."""
        head = await self._db.read(lambda tx: rooms.load_head(tx, room_id))
        if head is not None:
            await self._departures.keep(room_id, head.version, _at(step)["shown"]["kicked_users"])

    async def _delete_room(self, step: Step, room_id: RoomId) -> None:
        """Delete the room's own row, and keep everybody out until the rest is."""
        blocked = BlockedRoom(room_id=room_id, user_id=DELETION, blocked_ts=self._server.clock.now_ms())
        head = await self._db.read(lambda tx: rooms.load_head(tx, room_id))
        create = None if head is None else await self._events.find(head.create_event_id)
        maker = None if create is None else create.event.sender

        async def unit(tx: WriteTransaction) -> None:
            await blocked_rooms.add(tx, blocked)
            await room_rows.remove_room(tx, room_id)
            if maker is not None and server_name_of(maker) == self._server.name:
                await self._quotas.charge(tx, maker, {Kind.ROOMS: -1})

        root = "" if head is None else head.state_root.hex()
        await step.write(unit, {**_at(step), "root": root}, stage="rows")

    async def _delete_states(self, step: Step, room_id: RoomId) -> None:
        """Delete events with the states around them."""
        await delete_trees(self._db, [bytes.fromhex(_at(step)["root"])])
        while roots := await self._db.read(partial(room_rows.some_roots, room_id=room_id, limit=BATCH)):
            await delete_trees(self._db, roots.values())
            await self._db.write(partial(room_rows.remove_roots, room_id=room_id, positions=list(roots)))
        count = int(step.job.progress.get("events", 0))
        while found := await self._db.read(partial(room_rows.some_events, room_id=room_id, limit=BATCH)):
            await delete_trees(self._db, {root for row in found for root in row.roots})
            count += len(found)
            media = await self._leftovers.of_events([row.event_id for row in found])
            unit = partial(_remove_events, found, media)
            await step.write(unit, _at(step), stage="rows", events=count)

    async def _delete_rows(self, rows: RowsOf, room_id: RoomId) -> int:
        count = 0
        while some := await self._db.read(partial(room_rows.find, rows=rows, room_id=room_id, limit=BATCH)):
            await self._db.write(partial(self._delete_some, rows, room_id, some))
            count += len(some)
        return count

    async def _delete_some(
        self, rows: RowsOf, room_id: RoomId, some: list[str], tx: WriteTransaction
    ) -> None:
        await room_rows.remove(tx, rows, room_id, some)
        if rows.kinds:
            for user_id in some:
                await self._quotas.recount(tx, user_id, *rows.kinds)


async def _is_here(tx: Transaction, room_id: str) -> bool:
    if await rooms.load_head(tx, room_id) is not None or await room_rows.has_events(tx, room_id):
        return True
    blocked = await blocked_rooms.get(tx, room_id)
    return blocked is not None and blocked.user_id == DELETION


async def _remove_events(rows: list[EventRow], media: list[MxcUri], tx: WriteTransaction) -> None:
    await leftover_media.note(tx, media)
    await room_rows.remove_events(tx, rows)


def _at(step: Step) -> dict[str, Any]:
    assert step.job.checkpoint is not None
    return step.job.checkpoint


def told(job: Job) -> Json:
    """What a deletion has done so far: ``kicked_users``, ``failed_to_kick_users``, ``local_aliases`` and
    ``new_room_id``."""
    nothing: Json = {"kicked_users": [], "failed_to_kick_users": [], "local_aliases": [], "new_room_id": None}
    found: Json = nothing if job.checkpoint is None else job.checkpoint["shown"]
    return found
