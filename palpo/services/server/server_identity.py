"""Whether the configuration, the data folder and the database are those of one server.

Asked at every start and by every command, before anything else. What does not fit together is refused
with a ConfigError; a database that is older than what was given out is made fit to go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from palpo.config import signing_key
from palpo.config.data_folder import DataFolder, FolderRecord, PositionMark
from palpo.config.errors import ConfigError
from palpo.core.identifiers import ServerName, server_name_of
from palpo.core.server_keys import ServerKey
from palpo.core.signing import SigningKey
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.server.stream_history import Gap
from palpo.storage import device_lists, restoration, server_meta
from palpo.streams.polling import read_position

log = structlog.get_logger("palpo.server")

SERVER_NAME, SIGNING_KEY, OLD_KEYS, DATABASE, GENERATION, GAPS = (
    "server_name",
    "signing_key",
    "old_signing_keys",
    "database",
    "generation",
    "lost_positions",
)
"""The names of the facts in the database."""
LEAP = 10**9
"""By how much the stream leaves behind what may have been given out."""
GRACE_MS = 3600 * 1000
"""How long others believe a key after it was replaced: a server that runs signs with it until it is started
again, and it proves nothing more by being believed for less, since whoever has it can date events back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database says."""

    facts: Mapping[str, str]
    position: int
    user_id: str | None
    """One of its users, if it has any."""

    @property
    def server_name(self) -> str | None:
        """Whose it is; None where it has no users yet, so that it can be anybody's."""
        if self.user_id is None:
            return None
        return self.facts.get(SERVER_NAME) or server_name_of(self.user_id)

    @property
    def old_keys(self) -> dict[str, int]:
        """Until when the server has signed with which other keys, in milliseconds since the Unix epoch.

        By ``_public`` of each.
        """
        return msgspec.json.decode(self.facts.get(OLD_KEYS, "{}"), type=dict[str, int])

    @property
    def generation(self) -> int:
        """How often it has been restored."""
        return int(self.facts.get(GENERATION, "0"))

    @property
    def gaps(self) -> list[Gap]:
        """The positions that were lost."""
        return msgspec.json.decode(self.facts.get(GAPS, "[]"), type=list[Gap])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the data folder says."""

    record: FolderRecord | None
    mark: PositionMark

    @property
    def generation(self) -> int:
        """How often the database has been restored."""
        return 0 if self.record is None else self.record.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server that fits together starts with."""

    key: SigningKey
    old_keys: tuple[ServerKey, ...]
    """Those that the server has signed with before."""
    gaps: list[Gap]
    mark: PositionMark


class ServerIdentity:
    """Holds configuration, folder and database together."""

    def __init__(
        self, db: Database, folder: DataFolder, server_name: str, *, random_id: Callable[[], str]
    ) -> None:
        self._db = db
        self._folder = folder
        self._server_name = server_name
        self._random_id = random_id

    async def establish(self) -> Identity:
        """Check what is known, note what is new; raises ConfigError for what does not fit together."""
        known, stored = await self._read()
        self._check_database(stored, known.record)
        key = self._key(stored)
        reason = _restored(stored, known)
        if reason is not None:
            stored = await self._restore(stored, known)
            log.warning("restored", reason=reason, lost_from=stored.gaps[-1][0], position=stored.position)
        await self._note(stored, known, key)
        old_keys = tuple(self._old_key(*item) for item in stored.old_keys.items())
        return Identity(key=key, old_keys=old_keys, gaps=stored.gaps, mark=known.mark)

    async def check(self) -> None:
        """The same check, but note nothing, and make nothing fit; raises ConfigError."""
        known, stored = await self._read()
        known.mark.close()
        self._check_database(stored, known.record)
        if stored.user_id is not None:
            self._key(stored)

    async def restore(self) -> Stored:
        """The database was put back from a backup: go on beyond all that may have been given out since.

        It becomes the folder's, if it was another's. Raises ConfigError.
        """
        known, stored = await self._read()
        key = self._key(stored)
        stored = await self._restore(stored, known)
        await self._note(stored, known, key)
        known.mark.close()
        return stored

    async def adopt_key(self, *, new: bool, now_ms: int) -> SigningKey:
        """Make the folder's signing key the database's; with ``new``, make another first.

        The one before is an old key then, which others go on to check events with. Raises ConfigError.
        """
        known, stored = await self._read()
        self._check_database(stored, known.record)
        folder = self._folder.path
        key = signing_key.replace(folder) if new else signing_key.load(folder)
        if key is None:
            raise ConfigError(f"{folder / signing_key.FILE_NAME} is missing")
        facts = {SIGNING_KEY: _public(key), OLD_KEYS: _old_keys(stored, key, now_ms)}
        await self._db.write(lambda tx: server_meta.put(tx, facts))
        known.mark.close()
        return key

    def _old_key(self, public: str, until_ts: int) -> ServerKey:
        key_id, _, verify_key = public.partition(" ")
        return ServerKey(
            server_name=ServerName(self._server_name),
            key_id=key_id,
            verify_key=verify_key,
            valid_until_ts=until_ts,
            retired=True,
        )

    async def _read(self) -> tuple[Known, Stored]:
        """What both say; raises ConfigError for another server's."""
        # The folder first: while we ask, a server may go on, and its database is ahead of its folder.
        known = Known(record=self._folder.record(), mark=self._folder.mark())
        stored = await self._db.read(_stored)
        if stored.server_name is not None:
            check_server_name(stored.server_name, self._server_name)
        record = known.record
        if record is not None and stored.user_id is not None and record.server_name != self._server_name:
            raise ConfigError(
                f"data: {self._folder.path} is {record.server_name}'s: name a folder of its own"
            )
        return known, stored

    def _check_database(self, stored: Stored, record: FolderRecord | None) -> None:
        database = stored.facts.get(DATABASE)
        if record is None or database is None or stored.user_id is None or database == record.database:
            return
        raise ConfigError(
            f"data: {self._folder.path} belongs to another database: name the two that belong together; "
            "where they do since one was put back, `palpo restore` joins them"
        )

    def _key(self, stored: Stored) -> SigningKey:
        """The key in the folder; made where the server is new."""
        path = self._folder.path / signing_key.FILE_NAME
        if stored.user_id is None:
            return signing_key.load_or_create(self._folder.path)
        key = signing_key.load(self._folder.path)
        expected = stored.facts.get(SIGNING_KEY)
        if key is None:
            raise ConfigError(
                f"{path} is missing, and the server has signed with it: put it back from a backup, or, "
                "if it is lost, make another with `palpo signing-key new`"
            )
        if expected not in (None, _public(key)):
            raise ConfigError(
                f"{path}: its key is {key.key_id}, but the server has signed with {expected}: "
                "put that one back, or let this one take its place with `palpo signing-key adopt`"
            )
        return key

    async def _restore(self, stored: Stored, known: Known) -> Stored:
        """Make the database fit to go on with, unless another process has just done so."""
        goal = max(stored.position, known.mark.position) + LEAP
        facts = {
            GENERATION: str(max(stored.generation, known.generation) + 1),
            GAPS: msgspec.json.encode([*stored.gaps, (stored.position, goal)]).decode(),
        }

        async def unit(tx: WriteTransaction) -> None:
            first = await tx.positions()
            if (await server_meta.facts(tx)).get(GENERATION) != stored.facts.get(GENERATION):
                return
            # Above the gap even where nothing else follows.
            await tx.positions(goal + 1 - first)
            await server_meta.put(tx, facts)
            await restoration.retire_keys(tx)
            await restoration.change_etags(tx)
            await restoration.end_connections(tx)
            await restoration.rename_transactions(tx, f"{self._random_id()}-")
            await restoration.forget_device_lists(tx)
            await device_lists.record_all(tx, await restoration.users_with_keys(tx))

        await self._db.write(unit)
        return await self._db.read(_stored)

    async def _note(self, stored: Stored, known: Known, key: SigningKey) -> None:
        """Write what is not known yet to the database and the folder."""
        record, database = known.record, stored.facts.get(DATABASE)
        if database is None:
            belongs = record is not None and stored.user_id is not None
            database = record.database if record is not None and belongs else self._random_id()
        facts = {SERVER_NAME: self._server_name, SIGNING_KEY: _public(key), DATABASE: database}
        if any(stored.facts.get(name) != value for name, value in facts.items()):
            await self._db.write(lambda tx: server_meta.put(tx, facts))
        written = FolderRecord(server_name=self._server_name, database=database, generation=stored.generation)
        if written != record:
            self._folder.write(written)
        if stored.user_id is None or stored.position > known.mark.position:
            known.mark.set(stored.position)


def check_server_name(stored: str, configured: str) -> None:
    """Raises ConfigError where the database is another server's."""
    if stored != configured:
        raise ConfigError(
            f"server_name: the database is {stored}'s, and a server never changes its name: "
            "set it back, or name another database"
        )


async def _stored(tx: Transaction) -> Stored:
    return Stored(
        facts=await server_meta.facts(tx),
        position=await read_position(tx),
        user_id=await server_meta.any_user(tx),
    )


def _public(key: SigningKey) -> str:
    """What the database knows a key by."""
    return f"{key.key_id} {key.verify_key_base64}"


def _old_keys(stored: Stored, key: SigningKey, now_ms: int) -> str:
    """What the database says of old keys once ``key`` is the server's; raises ConfigError."""
    before = stored.facts.get(SIGNING_KEY)
    old = {**stored.old_keys, **({} if before is None else {before: now_ms + GRACE_MS})}
    old.pop(_public(key), None)
    if key.key_id in {public.partition(" ")[0] for public in old}:
        raise ConfigError(f"{key.key_id} was the ID of another key: others would take one for the other")
    return msgspec.json.encode(old).decode()


def _restored(stored: Stored, known: Known) -> str | None:
    """Why the database must be older than what was given out; None where nothing says so."""
    record, mark = known.record, known.mark
    if stored.user_id is None:
        return None
    if mark.position > stored.position:
        return f"clients have heard of position {mark.position}, the database is at {stored.position}"
    database = stored.facts.get(DATABASE)
    if record is None:
        return None if database is None else "the data folder does not know the database"
    if database is None:
        return "the data folder knows a later database"
    if record.generation > stored.generation:
        return "the database is from before it was last restored"
    return None
