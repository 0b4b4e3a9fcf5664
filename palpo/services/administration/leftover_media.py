"""Media of events that were deleted go too, once it is known that nothing else has them.

Whoever deletes events notes what media they had (``of_events``, ``storage.leftover_media.note``). Which
events have some media is kept nowhere, so that it costs nothing to send them: a job looks through all that
users can write for those that were noted, once for many of them. What comes while it looks is looked at last,
in the transaction that forgets the media.

Of an event only what its own sender has uploaded counts (of other servers: what is of the sender's). Else
whoever knows the address of somebody's media, which an encrypted event may have, could have them deleted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

import orjson

from palpo.core.errors import Conflict
from palpo.core.identifiers import MxcUri, ServerName, UserId, server_name_of
from palpo.core.records.jobs import Json
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.services.server import Server
from palpo.services.server.jobs import Step
from palpo.storage import leftover_media as storage
from palpo.storage import profiles
from palpo.storage.leftover_media import TEXTS
from palpo.streams.turns import Turns

KIND = "delete_leftover_media"
BATCH = 200
"""Rows that are read at once."""
CHECKPOINT = 20
"""Batches without a find, after which it is noted how far it is."""
AT_ONCE = 10_000
"""Media that are looked for together."""
FORGOTTEN = 20
"""Media that are forgotten in one transaction."""
_MXC = re.compile(rb"mxc://([^/\"\\\s]{1,255})/([A-Za-z0-9_-]{1,255})")


class LeftoverMedia:
    """Notes them, and deletes those that nothing has."""

    def __init__(self, server: Server, cleanup: MediaCleanup) -> None:
        self._server = server
        self._db = server.db
        self._cleanup = cleanup

    async def of_events(self, event_ids: Iterable[str]) -> list[MxcUri]:
        """The media here that go with some events, unless something else has them."""
        ids = list(event_ids)
        if not self._server.config.media.delete_with_events or not ids:
            return []
        senders: dict[MxcUri, set[str]] = {}
        turns = Turns()
        for sender, pdu in await self._db.read(partial(storage.of_events, event_ids=ids)):
            await turns.breathe()
            for uri in uris_in(pdu):
                senders.setdefault(uri, set()).add(sender)
        return [uri for uri, owner in await self._here(senders) if self._is_theirs(uri, owner, senders[uri])]

    async def begin(self) -> None:
        """Have what was noted be looked for, if anything was, and unless that is being done."""
        if await self._db.read(storage.are_there):
            with suppress(Conflict):
                await self._server.jobs.start(KIND, requested_by="")

    async def run(self, step: Step) -> Json | None:
        """Look for what was noted, from wherever it is: a job's handler."""
        deleted = int(step.job.progress.get("deleted", 0))
        while True:
            if step.job.checkpoint is None or step.job.checkpoint["of"] is None:
                await self._take(step, deleted)
            wanted = await self._db.read(storage.looked_for)
            if not wanted:
                return {"deleted": deleted}
            await self._look(step, wanted, deleted)
            deleted = await self._delete(step, wanted, deleted)

    async def _here(self, uris: Collection[MxcUri]) -> list[tuple[MxcUri, str | None]]:
        """Those that are here, with who has uploaded them."""
        found: list[tuple[MxcUri, str | None]] = []
        for server in {uri.server for uri in uris}:
            ids = [uri.media_id for uri in uris if uri.server == server]
            read = partial(storage.owners, origin=server, media_ids=ids)
            found += [(MxcUri(server, name), owner) for name, owner in (await self._db.read(read)).items()]
        return found

    def _is_theirs(self, uri: MxcUri, owner: str | None, senders: Collection[str]) -> bool:
        if uri.server == self._server.name:
            return owner in senders
        return any(server_name_of(UserId(sender)) == uri.server for sender in senders)

    async def _take(self, step: Step, deleted: int) -> None:
        """Begin with the next of those that were noted."""
        first = {"of": next(iter(TEXTS)), "after": [], "since": self._server.wakeups.position}
        await step.write(partial(storage.look_for, limit=AT_ONCE), first, deleted=deleted)

    async def _look(self, step: Step, wanted: set[MxcUri], deleted: int) -> None:
        """Strike from ``wanted`` what is named anywhere."""
        assert step.job.checkpoint is not None
        at = step.job.checkpoint
        names = list(TEXTS)
        for name in names[names.index(at["of"]) :] if at["of"] in names else ():
            after = at["after"] if name == at["of"] else []
            await self._look_through(step, name, after, wanted, deleted)
        await step.save({**at, "of": "", "after": []}, deleted=deleted, stage="deleting")

    async def _look_through(
        self, step: Step, name: str, after: list[str], wanted: set[MxcUri], deleted: int
    ) -> None:
        assert step.job.checkpoint is not None
        since, batches = step.job.checkpoint["since"], 0
        while True:
            key, texts = await self._db.read(partial(storage.texts, name=name, after=after, limit=BATCH))
            if key is None:
                return
            after, batches = key, batches + 1
            found = wanted & await _named_in(texts)
            wanted -= found
            if found or batches % CHECKPOINT == 0:
                at = {"of": name, "after": after, "since": since}
                await step.write(
                    partial(storage.forget, uris=found), at, deleted=deleted, stage=f"looking through {name}"
                )

    async def _delete(self, step: Step, wanted: set[MxcUri], deleted: int) -> int:
        """Delete what was found nowhere; how many that makes altogether."""
        assert step.job.checkpoint is not None
        since = step.job.checkpoint["since"]
        while wanted:
            since = await self._catch_up(since, wanted)
            some = list(islice(wanted, FORGOTTEN))
            unit = partial(self._forget, some, since)
            at = {"of": "", "after": [], "since": since}
            gone, unwanted = await step.write_counting(unit, at, partial(_deleting, deleted))
            await self._cleanup.remove(unwanted)
            deleted += gone
            wanted.difference_update(some)
        await step.save({"of": None}, deleted=deleted)
        return deleted

    async def _catch_up(self, since: int, wanted: set[MxcUri]) -> int:
        """Strike what is named by newer events; those up to which position have been looked at."""
        while True:
            newer = await self._db.read(partial(storage.since, position=since, limit=BATCH))
            found = wanted & await _named_in(text for _, text in newer)
            if found:
                wanted -= found
                await self._db.write(partial(storage.forget, uris=found))
            since = newer[-1][0] if newer else since
            if len(newer) < BATCH:
                return since

    async def _forget(
        self, some: Sequence[MxcUri], since: int, tx: WriteTransaction
    ) -> tuple[int, list[bytes]]:
        await tx.positions()  # Nobody else writes events from here on.
        named: set[MxcUri] = set()
        while newer := await storage.since(tx, since, BATCH):
            for position, text in newer:
                since = position
                named.update(uris_in(text))
        gone = [uri for uri in some if uri not in named and not await self._is_picture(tx, uri)]
        await storage.forget(tx, some)
        return await self._cleanup.forget(tx, gone)

    async def _is_picture(self, tx: Transaction, uri: MxcUri) -> bool:
        """Whether it has become its owner's picture meanwhile."""
        owner = (await storage.owners(tx, uri.server, [uri.media_id])).get(uri.media_id)
        fields = None if owner is None else await profiles.get(tx, owner)
        return fields is not None and uri in uris_in(fields)


async def _named_in(texts: Iterable[bytes]) -> set[MxcUri]:
    found: set[MxcUri] = set()
    turns = Turns()
    for text in texts:
        await turns.breathe()
        found.update(uris_in(text))
    return found


def uris_in(text: bytes) -> set[MxcUri]:
    """The addresses of media anywhere in what is JSON."""
    if b"mxc:" not in text:
        if b"\\u" not in text:
            return set()
        text = _plain(text)
    elif b"\\/" in text or b"\\u" in text:
        text = _plain(text)
    return {
        MxcUri(ServerName(server.decode(errors="replace")), name.decode())
        for server, name in _MXC.findall(text)
    }


def _plain(text: bytes) -> bytes:
    """JSON without what need not be escaped; as it is where it cannot be read."""
    try:
        return orjson.dumps(orjson.loads(text))
    except ValueError:
        return text


def _deleting(before: int, done: tuple[int, object]) -> dict[str, object]:
    """How far it is, after ``before`` files and those that were really there."""
    return {"deleted": before + done[0], "stage": "deleting"}
