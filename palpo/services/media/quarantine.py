"""Media that are withheld from everybody: by URI, and with it all that has the same content.

What has the content of something quarantined is quarantined as it comes, uploaded here or downloaded from
another server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from palpo.core.errors import NotFound
from palpo.core.identifiers import MxcUri, ServerName, parse_mxc_uri
from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import media as media_storage
from palpo.storage import media_quarantine as storage
from palpo.storage.media_quarantine import Change
from palpo.streams.clock import Clock

BATCH = 100
"""URIs of one unit of work."""
CHANGES = 100
"""Changes that are told at once."""


class Quarantine:
    """Withholds media, and gives them out again."""

    def __init__(self, db: Database, clock: Clock, *, server_name: ServerName) -> None:
        self._db = db
        self._clock = clock
        self._server_name = server_name

    async def quarantine(self, server_name: str, media_id: str, by: str) -> None:
        """Withhold a URI and what has its content, unless it is protected; raises NotFound."""
        uri = parse_mxc_uri(f"mxc://{server_name}/{media_id}")

        async def unit(tx: WriteTransaction) -> bool:
            record = await media_storage.find(tx, uri.server, uri.media_id)
            if record is not None:
                await self._withhold(tx, [record], by)
            return record is not None

        if not await self._db.write(unit):
            raise _unknown(uri)

    async def release(self, server_name: str, media_id: str) -> None:
        """Give a URI out again, and what has its content; raises NotFound."""
        uri = parse_mxc_uri(f"mxc://{server_name}/{media_id}")

        async def unit(tx: WriteTransaction) -> bool:
            record = await media_storage.find(tx, uri.server, uri.media_id)
            if record is None:
                return False
            records = [record]
            if record.sha256 is not None:
                records += await storage.with_content(tx, [record.sha256])
                await storage.delete_hash(tx, record.sha256)
            await storage.set_quarantined(tx, _each(records), None)
            return True

        if not await self._db.write(unit):
            raise _unknown(uri)

    async def quarantine_all(self, uris: Iterable[MxcUri], by: str) -> int:
        """Withhold those that are here, but what is protected; how many were not yet."""
        wanted = list(uris)
        count = 0
        for start in range(0, len(wanted), BATCH):
            some = wanted[start : start + BATCH]

            async def unit(tx: WriteTransaction, some: Sequence[MxcUri] = some) -> int:
                found = [await media_storage.find(tx, uri.server, uri.media_id) for uri in some]
                return await self._withhold(tx, [record for record in found if record is not None], by)

            count += await self._db.write(unit)
        return count

    async def quarantine_user(self, user_id: str, by: str) -> int:
        """Withhold all that a user here has uploaded, but what is protected; how many were not yet."""
        count, after = 0, ""
        while True:

            async def unit(tx: WriteTransaction, after: str = after) -> tuple[int, str]:
                records = await storage.of_user(tx, user_id, after=after, limit=BATCH)
                changed = await self._withhold(tx, records, by)
                return changed, records[-1].media_id if records else ""

            changed, after = await self._db.write(unit)
            count += changed
            if not after:
                return count

    async def protect(self, media_id: str, protected: bool) -> None:
        """Say whether anybody may quarantine media of a user here; raises NotFound."""
        uri = parse_mxc_uri(f"mxc://{self._server_name}/{media_id}")

        async def unit(tx: WriteTransaction) -> bool:
            await storage.set_protected(tx, uri.server, uri.media_id, protected)
            return await media_storage.find(tx, uri.server, uri.media_id) is not None

        if not await self._db.write(unit):
            raise _unknown(uri)

    async def changes(self, after: int) -> list[Change]:
        """What was quarantined and given out again since a change, the oldest first."""
        return await self._db.read(lambda tx: storage.changes(tx, after=after, limit=CHANGES))

    async def _withhold(self, tx: WriteTransaction, records: Sequence[MediaRecord], by: str) -> int:
        """Withhold them and what has their content; how many of them were not yet."""
        wanted = [record for record in records if not record.protected]
        hashes = list({record.sha256 for record in wanted if record.sha256 is not None})
        for sha256 in hashes:
            await storage.put_hash(tx, sha256, by, self._clock.now_ms())
        same = [record for record in await storage.with_content(tx, hashes) if not record.protected]
        await storage.set_quarantined(tx, _each([*wanted, *same]), by)
        return sum(not record.quarantined for record in wanted)


async def withheld(tx: Transaction, record: MediaRecord) -> MediaRecord:
    """A record that is about to be stored, withheld if its content is."""
    if record.sha256 is None:
        return record
    by = await storage.withheld_by(tx, record.sha256)
    return record if by is None else replace(record, quarantined=True, quarantined_by=by)


async def withhold_known(tx: WriteTransaction, origin: str, media_id: str) -> None:
    """Withhold a URI that has just got its content, if that is withheld."""
    record = await media_storage.find(tx, origin, media_id)
    if record is not None and record.sha256 is not None:
        by = await storage.withheld_by(tx, record.sha256)
        if by is not None:
            await storage.set_quarantined(tx, [record], by)


def _each(records: Iterable[MediaRecord]) -> list[MediaRecord]:
    """Each URI once."""
    return list({(record.origin, record.media_id): record for record in records}.values())


def _unknown(uri: MxcUri) -> NotFound:
    return NotFound(f"There is no {uri}")
