"""Following threads (MSC4306), and telling a user's devices of it (MSC4308)."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.core.errors import BadRequest, Conflict, NotFound
from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.threads import relation
from palpo.services.history.visibility import Visibility
from palpo.services.personal.push_rules import Hook
from palpo.services.server.quotas import Quotas
from palpo.storage import thread_subscriptions as storage
from palpo.storage.thread_subscriptions import ThreadSubscription
from palpo.streams.wakeups import Wakeups

NOT_IN_THREAD = "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD"
CONFLICTING_UNSUBSCRIPTION = "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION"


class ThreadSubscriptions:
    """Reads and changes which threads users follow."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        visibility: Visibility,
        wakeups: Wakeups,
        quotas: Quotas,
        hooks: Iterable[Hook],
    ) -> None:
        """``hooks`` are called before a user follows a thread or does no longer: rules may ask for it."""
        self._db = db
        self._quotas = quotas
        self._store = store
        self._visibility = visibility
        self._wakeups = wakeups
        self._hooks = hooks

    async def get(self, user_id: UserId, room_id: RoomId, root_id: EventId) -> ThreadSubscription:
        """The subscription; raises NotFound where there is none."""
        await self._visibility.get(room_id, root_id, user_id)
        found = await self._db.read(lambda tx: storage.get(tx, user_id, room_id, root_id))
        if found is None or not found.subscribed:
            raise NotFound("You are not subscribed to the thread")
        return found

    async def subscribe(
        self, user_id: UserId, room_id: RoomId, root_id: EventId, *, cause: str | None
    ) -> None:
        """Follow a thread.

        ``cause`` is the event because of which a client does so by itself: it has to be in the thread,
        and to be newer than when the user stopped following it. Raises NotFound, BadRequest, Conflict.
        """
        await self._visibility.get(room_id, root_id, user_id)
        caused_at = None if cause is None else await self._position_in_thread(room_id, root_id, cause)

        async def unit(tx: WriteTransaction) -> None:
            known = await storage.get(tx, user_id, room_id, root_id)
            if caused_at is not None and known is not None:
                if known.subscribed:
                    return
                if caused_at < known.position:
                    raise Conflict("You have unsubscribed since", errcode=CONFLICTING_UNSUBSCRIPTION)
            await self._put(tx, user_id, room_id, root_id, subscribed=True, automatic=cause is not None)

        await self._settle(user_id)
        await self._db.write(unit)

    async def unsubscribe(self, user_id: UserId, room_id: RoomId, root_id: EventId) -> None:
        """Stop following a thread; raises NotFound where there is no such thread.

        Doing so again counts as well: what came in between is no cause to follow the thread either.
        """
        await self._visibility.get(room_id, root_id, user_id)

        async def unit(tx: WriteTransaction) -> None:
            known = await storage.get(tx, user_id, room_id, root_id)
            if known is not None:
                await self._put(tx, user_id, room_id, root_id, subscribed=False, automatic=False)

        await self._settle(user_id)
        await self._db.write(unit)

    async def _settle(self, user_id: UserId) -> None:
        for hook in self._hooks:
            await hook(user_id)

    async def changed(
        self, user_id: UserId, *, after: int, upto: int | None, limit: int
    ) -> list[ThreadSubscription]:
        """What last changed at a position in ``(after, upto]``, newest first."""
        until = self._wakeups.position if upto is None else upto
        return await self._db.read(
            lambda tx: storage.changed(tx, user_id, after=after, upto=until, limit=limit)
        )

    async def _put(
        self,
        tx: WriteTransaction,
        user_id: UserId,
        room_id: RoomId,
        root_id: EventId,
        *,
        subscribed: bool,
        automatic: bool,
    ) -> None:
        subscription = ThreadSubscription(
            user_id=user_id,
            room_id=room_id,
            root_id=root_id,
            subscribed=subscribed,
            automatic=automatic,
            position=await tx.positions(),
        )
        await storage.put(tx, subscription)
        await self._quotas.recount(tx, user_id, Kind.THREAD_SUBSCRIPTIONS)

    async def _position_in_thread(self, room_id: RoomId, root_id: EventId, cause: str) -> int:
        found = await self._store.find(cause)
        if found is None or found.event.room_id != room_id or relation(found.event) != ("m.thread", root_id):
            raise BadRequest("The event is not in the thread", errcode=NOT_IN_THREAD)
        return found.position
