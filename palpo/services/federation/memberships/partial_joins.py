"""Joins of users of this server in rooms that are here, but for most of their members (MSC3902).

What is known here does not say who is banned. So whoever knows the whole room has to let them in, as when the
room was joined first; of what they answer only the join is new.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from palpo.core.errors import MatrixError
from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.core.membership import INVITE, JOIN, Membership
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.templates import Wish
from palpo.services.federation.memberships.joining_rooms import JoiningRooms
from palpo.services.federation.memberships.remote_join_answers import RemoteJoinAnswers
from palpo.services.federation.memberships.remote_joins import send_join
from palpo.services.federation.memberships.whom_to_ask import WhomToAsk
from palpo.services.federation.servers.remote_answers import told
from palpo.services.history import HistoryServices

REFUSED = 403
PATIENCE_S = 60.0
"""Seconds that are waited for the members where nobody can be asked about them."""


class PartialJoins:
    """Has others let them in."""

    def __init__(
        self,
        handshakes: Handshakes,
        answers: RemoteJoinAnswers,
        joining: JoiningRooms,
        whom: WhomToAsk,
        history: HistoryServices,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._handshakes = handshakes
        self._answers = answers
        self._joining = joining
        self._whom = whom
        self._heads = history.room_heads
        self._completions = history.completions
        self._patience_s = patience_s

    async def join(self, wish: Wish) -> bool:
        """Whether the user is in the room now; False where the room is whole, and the join is not made.

        The first server that says yes or no has said it: one that somebody who is banned runs may say yes.
        Who has been invited lately may be so without its being known there: then the members are waited for.
        Raises MatrixError.
        """
        for server in await self._whom.servers(wish):
            try:
                event = await self._through(server, wish)
            except MatrixError:
                if await self._membership(wish.room_id, wish.user_id) is not INVITE:
                    raise
                break
            if event is not None:
                await self._joining.take(server, [event.pdu])
                if await self._membership(wish.room_id, wish.user_id) is JOIN:
                    return True
                break
        await self._completions.until_whole(wish.room_id, self._patience_s)
        return False

    async def _through(self, server: ServerName, wish: Wish) -> SignedEvent | None:
        """The join; None where the server says neither yes nor no. Raises what it says against it."""
        try:
            prepared = await self._handshakes.make(server, wish)
            async with AsyncExitStack() as stack:
                joined = await send_join(
                    self._handshakes, self._answers, server, prepared, stack, omit_members=True
                )
                await joined.events.empty()
        except ServerError as error:
            if error.status == REFUSED:
                raise told(error) from error
            return None
        except (FederationError, MatrixError):
            return None
        return joined.event

    async def _membership(self, room_id: RoomId, user_id: UserId) -> Membership | None:
        return await self._heads.membership(await self._heads.get(room_id), user_id)
