"""Messages to devices of other servers' users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import ServerName, UserId, server_name_of
from palpo.db.transaction import WriteTransaction
from palpo.storage import destination_edus
from palpo.storage.destination_edus import NewEdu
from palpo.wire.federation.device_edus import DIRECT_TO_DEVICE

MAX_EDU = 64 * 1024
"""Bytes of the messages in one EDU, unless it has only one: as many as an event has."""

Messages = Mapping[str, Mapping[str, Mapping[str, Any]]]
Chunk = dict[str, dict[str, Mapping[str, Any]]]


class OutgoingToDevice:
    """Has them sent, each once, whatever becomes of this server or the other."""

    def __init__(self, random_id: Callable[[], str]) -> None:
        self._random_id = random_id

    async def send(self, tx: WriteTransaction, sender: UserId, event_type: str, messages: Messages) -> int:
        """Have messages (user → device, or ``*`` → content) sent after the commit; their bytes."""
        prefix, edus, total = self._random_id(), [], 0
        for number, (server, chunk, size) in enumerate(_chunks(messages)):
            total += size
            # At most 32 characters (spec: m.direct_to_device).
            message_id = f"{prefix}.{number}"
            content = {"sender": sender, "type": event_type, "message_id": message_id, "messages": chunk}
            edus.append(
                NewEdu(destination=server, edu_type=DIRECT_TO_DEVICE, key=message_id, content=content)
            )
        await destination_edus.put(tx, edus)
        return total


def _chunks(messages: Messages) -> Iterator[tuple[ServerName, Chunk, int]]:
    """The messages by server, in pieces, with the bytes that each has."""
    users: dict[ServerName, list[str]] = {}
    for user_id in messages:
        users.setdefault(server_name_of(user_id), []).append(user_id)
    for server, user_ids in users.items():
        chunk: Chunk = {}
        size = 0
        for user_id in user_ids:
            for device_id, content in messages[user_id].items():
                more = len(to_json(content))
                if chunk and size + more > MAX_EDU:
                    yield server, chunk, size
                    chunk, size = {}, 0
                chunk.setdefault(user_id, {})[device_id] = content
                size += more
        if chunk:
            yield server, chunk, size
