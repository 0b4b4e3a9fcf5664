"""Whether a user of this server may join a room that is here, of which members are missing (MSC3902).

What is known here does not say who is banned, so a server that knows the whole room is asked for the template
of a join, which it makes for nobody whom the room does not let in. The join itself is made here.
"""

from __future__ import annotations

from palpo.core.errors import MatrixError
from palpo.core.identifiers import ServerName
from palpo.core.membership import INVITE
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.handshakes import Handshakes
from palpo.services.federation.remote_answers import told
from palpo.services.federation.templates import Wish
from palpo.services.federation.whom_to_ask import WhomToAsk
from palpo.services.history import HistoryServices

REFUSED = 403
PATIENCE_S = 60.0
"""Seconds that are waited for the members where nobody can be asked about them."""


class RemoteJoinChecks:
    """Asks them."""

    def __init__(
        self,
        handshakes: Handshakes,
        whom: WhomToAsk,
        history: HistoryServices,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._handshakes = handshakes
        self._whom = whom
        self._heads = history.room_heads
        self._completions = history.completions
        self._patience_s = patience_s

    async def check(self, wish: Wish) -> None:
        """Return where the user may join, or the room is whole; raises MatrixError.

        The first that says yes or no has said it: a server that somebody who is banned runs may say yes. Who
        has been invited lately may be so without its being known there: then the members are waited for.
        """
        for server in await self._whom.servers(wish):
            try:
                if await self._lets_in(server, wish):
                    return
            except MatrixError:
                head = await self._heads.get(wish.room_id)
                if await self._heads.membership(head, wish.user_id) is not INVITE:
                    raise
                break
        await self._completions.until_whole(wish.room_id, self._patience_s)

    async def _lets_in(self, server: ServerName, wish: Wish) -> bool:
        """False where the server does not say; raises what it says against it."""
        try:
            await self._handshakes.make(server, wish)
        except ServerError as error:
            if error.status == REFUSED:
                raise told(error) from error
            return False
        except (FederationError, MatrixError):
            return False
        return True
