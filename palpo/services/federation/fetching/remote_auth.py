"""Auth events that are missing, fetched with all that they rest on."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.net.federation_errors import FederationError
from palpo.services.federation.fetching.remote_events import RemoteEvents
from palpo.services.federation.fetching.remote_state import RemoteState, Withheld, room_of, stash_of
from palpo.services.federation.servers.failed_fetches import FailedFetches
from palpo.services.history.event_stash import EventStash
from palpo.services.history.room_heads import RoomHead
from palpo.streams.turns import Turns

MAX_EACH = 50
"""Events that are fetched one by one for one that rests on them."""


class RemoteAuth:
    """Fetches them."""

    def __init__(self, remote: RemoteEvents, states: RemoteState, failed: FailedFetches) -> None:
        self._remote = remote
        self._states = states
        self._failed = failed

    async def fetch(
        self, server: ServerName, head: RoomHead, event: SignedEvent, missing: Iterable[str]
    ) -> None:
        """Store what is missing of an event's auth events, and what that rests on.

        Raises Withheld where some of it is not given, and BadJson.
        """
        missing = list(missing)
        if len(await self._failed.askable(server, missing)) < len(missing):
            raise Withheld("The server did not give its auth events lately")
        events = await self._chain(server, head, event)
        await self._add_each(server, head, missing, events)
        await self._states.keep(head, events)
        withheld = await self._states.unknown(missing)
        if withheld:
            await self._failed.failed(server, withheld)
            raise Withheld(f"{len(withheld)} auth events are not given, {withheld[0]} for one")
        await self._failed.given(server, missing)

    async def _chain(self, server: ServerName, head: RoomHead, event: SignedEvent) -> EventStash:
        """What of it the server has in one answer."""
        room = room_of(head)
        try:
            pdus = await self._remote.auth_chain(server, room, event.event_id)
        except FederationError:
            return stash_of(room)
        return await self._states.new_ones(room, pdus)

    async def _add_each(
        self, server: ServerName, head: RoomHead, missing: Iterable[str], events: EventStash
    ) -> None:
        """Fetch the others, and those that they rest on in turn."""
        asked: set[str] = set()
        while lacking := await self._states.unknown(await _lacking(missing, events)):
            due = [name for name in lacking if name not in asked][: MAX_EACH - len(asked)]
            if not due:
                return
            asked.update(due)
            given = await self._states.each(server, room_of(head), due)
            for event in given.values():
                if event is not None:
                    events.add(event)


async def _lacking(missing: Iterable[str], events: EventStash) -> list[str]:
    """What of ``missing``, and of what ``events`` rest on that were fetched for it, is not among them."""
    wanted = dict.fromkeys(missing)
    async for name in Turns().over(events):
        wanted |= dict.fromkeys(events.auth_events(name))
    return [name for name in wanted if name not in events]
