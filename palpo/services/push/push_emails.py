"""Mail about unread messages, for pushers of the kind ``email``."""

from __future__ import annotations

from collections.abc import Sequence

from palpo.core.events import StateKey
from palpo.core.identifiers import ServerName, UserId
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import CANONICAL_ALIAS, MEMBER, NAME
from palpo.net.email import EmailError, Mailer
from palpo.services.push.push_judge import invites
from palpo.services.push.pushed_rooms import PushedRooms
from palpo.storage.push_queue import Waiting
from palpo.storage.pushers import Pusher

MAX_SHOWN = 5
"""Messages of each room that are shown."""
MAX_LINE = 200
"""Characters of a message that are shown."""


class EmailDigests:
    """Writes to users about what they have not read."""

    def __init__(self, mailer: Mailer | None, rooms: PushedRooms, *, server_name: ServerName) -> None:
        self._mailer = mailer
        self._rooms = rooms
        self._server_name = server_name

    async def deliver(self, pusher: Pusher, rows: list[Waiting], events: list[StoredEvent]) -> None:
        """Write about ``events``, which are those of ``rows`` that still matter; raises EmailError."""
        rooms: dict[str, list[StoredEvent]] = {}
        for item in events:
            rooms.setdefault(item.event.room_id, []).append(item)
        parts = [await self._room(room_id, items, pusher.user_id) for room_id, items in rooms.items()]
        many = "message" if len(events) == 1 else "messages"
        subject = f"{len(events)} unread {many} on {self._server_name}"
        if self._mailer is None:
            raise EmailError("this server sends no email")
        await self._mailer.send(pusher.pushkey, subject, "\n".join(parts))

    async def _room(self, room_id: str, items: Sequence[StoredEvent], user_id: UserId) -> str:
        """What is unread in one room."""
        shown = items[-MAX_SHOWN:]
        senders: list[StateKey] = [(MEMBER, item.event.sender) for item in shown]
        state = await self._rooms.contents(room_id, user_id, [NAME, CANONICAL_ALIAS, *senders])
        names = {
            key: value
            for key, content in state.items()
            if isinstance(value := content.get(_FIELDS.get(key[0], "")), str) and value
        }
        title = names.get(NAME) or names.get(CANONICAL_ALIAS) or room_id
        lines = [_line(title)]
        if len(items) > len(shown):
            lines.append(f"  {len(items) - len(shown)} more before")
        for item in shown:
            sender = names.get((MEMBER, item.event.sender), item.event.sender)
            lines.append(f"  {_line(sender)}: {_line(_summary(item, user_id))}")
        return "\n".join([*lines, ""])


_FIELDS = {"m.room.name": "name", "m.room.canonical_alias": "alias", MEMBER: "displayname"}


def _summary(item: StoredEvent, user_id: UserId) -> str:
    """An event in a few words."""
    event = item.event
    if invites(event, user_id):
        return "invites you"
    if event.type == "m.room.encrypted":
        return "(an encrypted message)"
    body = event.content.get("body")
    return body if isinstance(body, str) else f"({event.type})"


def _line(text: str) -> str:
    """Text in one line, cut where it is long."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_LINE]).split())
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
