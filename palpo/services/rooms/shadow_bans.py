"""What shadow-banned users do: it is answered as ever, and nobody sees it.

They may leave rooms, and make rooms for themselves. All else that others would be told of ends where it would
be written.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b

from palpo.core.errors import Forbidden
from palpo.core.identifiers import RoomId
from palpo.core.membership import JOIN
from palpo.services.accounts.sessions import Requester
from palpo.services.history.room_heads import RoomHeads


async def unseen(heads: RoomHeads, requester: Requester, room_id: RoomId, what: bytes) -> str:
    """The ID of an event that there is not; the same for the same ``what``.

    Raises NotFound for a room that is not here, and Forbidden for who is not in it.
    """
    head = await heads.get(room_id)
    if await heads.membership(head, requester.user_id) != JOIN:
        raise Forbidden("You are not in the room")
    whose = f"{requester.user_id}\0{room_id}\0".encode()
    return "$" + urlsafe_b64encode(blake2b(whose + what, digest_size=32).digest()).decode().rstrip("=")
