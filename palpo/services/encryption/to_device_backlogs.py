"""What waits for devices is bounded, whoever sent it and whether or not the device is ever seen again.

A message to a device is most often the key of a conversation, so nothing should be lost that anybody might
still need. Who sends is not refused: a client that shares a key with a hundred devices would share it with
none because of one that is dead. And what is dropped is not simply the oldest of all: somebody who floods a
device would push out what others have sent. So where too much waits for a user, or for one of their devices,
whoever sent most of it to one device loses what they sent it first, until a quarter of what may wait is free.

To count all that waits at each message would make every one cost what all have. So it is counted after each
eighth of what may wait, and at the first message that this process knows of: that is how far it can be over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from palpo.core.records.quotas import Kind
from palpo.db.transaction import WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import to_device as storage
from palpo.storage.to_device import Share

TRACKED = 50_000
"""Users of whom it is known how much came since it was counted."""
OFTEN = 8
Amount = tuple[int, int]
"""Messages, and bytes."""


class ToDeviceBacklogs:
    """Keeps queues of messages to devices within their users' bounds."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._since_count: OrderedDict[str, Amount] = OrderedDict()
        """What this process has added: it could not be read again, so it is in no cache."""

    @property
    def limit(self) -> Amount:
        """What may wait for one user; 0 for any amount."""
        return self._quotas.limit(Kind.TO_DEVICE) or 0, self._quotas.limit(Kind.TO_DEVICE_BYTES) or 0

    async def added(self, tx: WriteTransaction, rows: Sequence[tuple[str, str, bytes]]) -> None:
        """See to the queues of those to whom ``(user, device, event)`` messages were just added."""
        new: dict[str, Amount] = {}
        for user_id, _, event in rows:
            count, size = new.get(user_id, (0, 0))
            new[user_id] = count + 1, size + len(event)
        due = [user_id for user_id, amount in new.items() if self._is_due(user_id, amount)]
        if due:
            await self._count(tx, due)
        tx.on_commit(lambda _position: self._note(new, due))

    def _is_due(self, user_id: str, new: Amount) -> bool:
        known = self._since_count.get(user_id)
        if known is None:
            return True
        return any(
            limit and (had + more) * OFTEN > limit
            for had, more, limit in zip(known, new, self.limit, strict=True)
        )

    def _note(self, new: dict[str, Amount], counted: Iterable[str]) -> None:
        for user_id, (count, size) in new.items():
            had, had_size = self._since_count.get(user_id, (0, 0))
            self._since_count[user_id] = had + count, had_size + size
            self._since_count.move_to_end(user_id)
        for user_id in counted:
            self._since_count[user_id] = 0, 0
        while len(self._since_count) > TRACKED:
            self._since_count.popitem(last=False)

    async def _count(self, tx: WriteTransaction, user_ids: Sequence[str]) -> None:
        by_user: dict[str, list[Share]] = {user_id: [] for user_id in user_ids}
        for share in await storage.shares(tx, user_ids):
            by_user[share.user_id].append(share)
        for user_id, shares in by_user.items():
            left = await self._trim(tx, shares)
            kept = {
                Kind.TO_DEVICE: sum(share.count for share in left),
                Kind.TO_DEVICE_BYTES: sum(share.size for share in left),
            }
            await self._quotas.settle(tx, user_id, kept)

    async def _trim(self, tx: WriteTransaction, shares: list[Share]) -> list[Share]:
        """Drop what is too much, first for each device and then for the user; what is left."""
        count, size = self.limit
        devices = {share.device_id for share in shares}
        for device_id in devices:
            own = [share for share in shares if share.device_id == device_id]
            others = [share for share in shares if share.device_id != device_id]
            shares = others + await _within(tx, own, (count // 2, size // 2))
        return await _within(tx, shares, (count, size))


async def _within(tx: WriteTransaction, shares: list[Share], limit: Amount) -> list[Share]:
    """Shrink the greatest share, again and again, where all of them are over ``limit`` (0: none)."""
    if not any(_excess(shares, limit)):
        return shares
    goal = (limit[0] * 3 // 4, limit[1] * 3 // 4)
    while any(excess := _excess(shares, goal)):
        by_size = excess[1] > 0
        greatest = max(shares, key=lambda share: share.size if by_size else share.count)
        others = [share for share in shares if share is not greatest]
        second = max((share.size if by_size else share.count for share in others), default=0)
        # No more than makes it as small as the next, or a part of what is left is dropped for nothing.
        most = max(1, (greatest.size if by_size else greatest.count) - second, excess[by_size] // 8)
        dropped, freed = await storage.drop_oldest(
            tx,
            greatest,
            count=0 if by_size else min(excess[0], most),
            size=min(excess[1], most) if by_size else 0,
        )
        left = replace(greatest, count=greatest.count - dropped, size=greatest.size - freed)
        shares = [*others, left] if dropped and left.count else others
    return shares


def _excess(shares: Sequence[Share], limit: Amount) -> Amount:
    """By how much shares are over a limit; 0 where it is none."""
    count, size = limit
    return (
        max(0, sum(share.count for share in shares) - count) if count else 0,
        max(0, sum(share.size for share in shares) - size) if size else 0,
    )
