"""What there is of rooms beside their events: aliases, the directory, who has read how far, reports."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from palpo.core import unpadded_base64
from palpo.core.canonical_json import decode_object
from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus
from palpo.core.server_keys import ServerKey
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.services.administration.synapse_import.page_steps import PageStep
from palpo.storage import aliases as aliases_storage
from palpo.storage import blocked_rooms as blocked_storage
from palpo.storage import events as events_storage
from palpo.storage import receipts as receipts_storage
from palpo.storage import reports as reports_storage
from palpo.storage import room_directory as directory_storage
from palpo.storage import server_signing_keys as keys_storage
from palpo.storage.aliases import AliasRow
from palpo.storage.blocked_rooms import BlockedRoom
from palpo.storage.receipts import Receipt
from palpo.storage.reports import Report
from palpo.storage.synapse import rooms as theirs

READ = {"m.read": False, "m.read.private": True}
"""Types of receipts, and whether each is private."""


class AliasStep(PageStep):
    """Aliases of rooms."""

    name = "room aliases"
    pages = theirs.ALIASES

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        for alias, room_id, creator in rows:
            row = AliasRow(alias=alias, room_id=room_id, creator=creator or "", created_ts=0)
            await aliases_storage.insert(tx, row)

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        found = await aliases_storage.rooms_of(tx, [row[0] for row in rows])
        return [
            f"{alias} is of {found.get(alias)}, and there of {room_id}"
            for alias, room_id, _ in rows
            if found.get(alias) != room_id
        ]


class DirectoryStep(PageStep):
    """The rooms that the directory lists."""

    name = "room directory"
    pages = theirs.ROOMS

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        for room_id, is_public, *_ in rows:
            if is_public:
                await directory_storage.put(tx, room_id, listed=True)

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        return [
            f"{room_id} is listed on one side only"
            for room_id, is_public, *_ in rows
            if await directory_storage.is_listed(tx, room_id) != bool(is_public)
        ]


class BlockedRoomStep(PageStep):
    """Rooms that nobody may join."""

    name = "blocked rooms"
    pages = theirs.BLOCKED

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        for room_id, user_id in rows:
            await blocked_storage.put(tx, BlockedRoom(room_id=room_id, user_id=user_id, blocked_ts=0))

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        lines = []
        for room_id, user_id in rows:
            found = await blocked_storage.get(tx, room_id)
            if found is None or found.user_id != user_id:
                lines.append(f"{room_id} is not blocked by {user_id}")
        return lines


class ReceiptStep(PageStep):
    """How far everybody has read."""

    name = "receipts"
    pages = theirs.RECEIPTS

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        position = await tx.positions(len(rows))
        for offset, receipt in enumerate(await self._receipts(rows, tx)):
            await receipts_storage.put(tx, _at(receipt, position + offset))

    async def _receipts(self, rows: Sequence[Row], tx: Transaction) -> list[Receipt]:
        """Those of events that are here."""
        stored = {item.event_id: item for item in await events_storage.load(tx, {row[4] for row in rows})}
        return [
            _receipt(row, stored[row[4]].position)
            for row in rows
            if row[2] in READ
            and row[4] in stored
            and stored[row[4]].event.room_id == row[1]
            and stored[row[4]].status is not EventStatus.OUTLIER
        ]

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        lines = []
        for wanted in await self._receipts(rows, tx):
            found = await receipts_storage.get(
                tx, wanted.room_id, wanted.user_id, wanted.thread_id, wanted.private
            )
            if found is None or _at(found, 0) != wanted:
                lines.append(f"{wanted.user_id} has read {wanted.room_id} up to another event, or time")
        return lines


def _receipt(row: Row, event_position: int) -> Receipt:
    _, room_id, kind, user_id, event_id, thread_id, data = row
    ts = decode_object(data or "{}").get("ts")
    return Receipt(
        room_id=room_id,
        user_id=user_id,
        thread_id=thread_id or "",
        private=READ[kind],
        event_id=event_id,
        event_position=event_position,
        ts=ts if type(ts) is int else 0,
        position=0,
    )


def _at(receipt: Receipt, position: int) -> Receipt:
    return replace(receipt, position=position)


class EventReportStep(PageStep):
    """Reports of events."""

    name = "reports of events"
    pages = theirs.EVENT_REPORTS

    def report(self, row: Row) -> Report:
        """The report that a row is."""
        _, received_ts, room_id, event_id, user_id, reason, content = row
        score = decode_object(content or "{}").get("score")
        scored = score if type(score) is int else None
        return _report(received_ts, user_id, reason, room_id=room_id, event_id=event_id, score=scored)

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        for row in rows:
            await reports_storage.insert(tx, self.report(row))

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        lines = []
        for row in rows:
            wanted = self.report(row)
            if not await reports_storage.is_there(tx, wanted):
                lines.append(f"that of {wanted.reporter} at {wanted.received_ts} is not here")
        return lines


class RoomReportStep(EventReportStep):
    """Reports of rooms."""

    name = "reports of rooms"
    pages = theirs.ROOM_REPORTS

    def report(self, row: Row) -> Report:
        _, received_ts, room_id, user_id, reason = row
        return _report(received_ts, user_id, reason, room_id=room_id)


class UserReportStep(EventReportStep):
    """Reports of users."""

    name = "reports of users"
    pages = theirs.USER_REPORTS

    def report(self, row: Row) -> Report:
        _, received_ts, target, user_id, reason = row
        return _report(received_ts, user_id, reason, user_id=target)


def _report(
    received_ts: int,
    reporter: str,
    reason: str | None,
    *,
    room_id: str | None = None,
    event_id: str | None = None,
    user_id: str | None = None,
    score: int | None = None,
) -> Report:
    return Report(
        position=0,
        reporter=reporter,
        room_id=room_id,
        event_id=event_id,
        user_id=user_id,
        reason=reason or "",
        score=score,
        received_ts=received_ts,
    )


class ServerKeyStep(PageStep):
    """Signing keys of other servers: events of long ago are checked by them."""

    name = "signing keys of servers"
    pages = theirs.SERVER_KEYS

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        await keys_storage.put_keys(tx, [key for row in rows if (key := self._key(row)) is not None])

    def _key(self, row: Row) -> ServerKey | None:
        server_name, key_id, until_ts, verify_key = row
        if server_name == self.source.server_name or not verify_key:
            return None
        return ServerKey(
            server_name=ServerName(server_name),
            key_id=key_id,
            verify_key=unpadded_base64.encode(bytes(verify_key)),
            valid_until_ts=until_ts or 0,
            retired=False,
        )

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        wanted = [key for row in rows if (key := self._key(row)) is not None]
        found = await keys_storage.keys_of(tx, {key.server_name for key in wanted})
        return [
            f"{key.key_id} of {key.server_name} is another, or not here"
            for key in wanted
            if key not in found[key.server_name]
        ]
