"""Room aliases (spec: client-server API, "Room aliases")."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol

from palpo.core.errors import AuthError, BadRequest, Conflict, InvalidParam, MatrixError, NotFound
from palpo.core.events import Event
from palpo.core.identifiers import RoomAlias, RoomId, ServerName, UserId, parse_room_alias, server_name_of
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.appservices import AppServices, Offer, offered
from palpo.services.accounts.sessions import Requester
from palpo.services.history import HistoryServices
from palpo.services.history.drafts import Draft
from palpo.services.server.quotas import Quotas
from palpo.storage import aliases as storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage.aliases import AliasRow
from palpo.streams.clock import Clock

CANONICAL_ALIAS = "m.room.canonical_alias"
RESERVED_MS = 60_000
"""How long an alias stays taken by the making of a room that was never finished."""
MAX_ALT_ALIASES = 1000
MAX_SERVERS = 50
"""That are named with an alias."""


class RemoteAliases(Protocol):
    """The aliases of other servers."""

    async def resolve(self, alias: RoomAlias, /) -> tuple[RoomId, list[str]]:
        """The room that an alias stands for, and servers that are in it; raises NotFound."""
        ...


class Aliases:
    """This server's aliases, and what they stand for."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        history: HistoryServices,
        appservices: AppServices,
        quotas: Quotas,
        offers: Iterable[Offer[RoomAlias]],
        *,
        server_name: ServerName,
        remote: RemoteAliases | None = None,
    ) -> None:
        """``offers`` may make an alias of this server before it is said not to exist."""
        self._db = db
        self._clock = clock
        self._heads = history.room_heads
        self._access = history.room_access
        self._writer = history.room_writer
        self._blocked = history.blocked_rooms
        self._appservices = appservices
        self._quotas = quotas
        self._offers = offers
        self._server_name = server_name
        self._remote = remote
        """Asks other servers about theirs; None where there is no federation."""

    async def room_and_servers(self, room_id_or_alias: RoomId | RoomAlias) -> tuple[RoomId, list[str]]:
        """The room ID that is given, or that the alias stands for, and servers that are in the room.

        Raises NotFound.
        """
        if not room_id_or_alias.startswith("#"):
            return RoomId(room_id_or_alias), []
        return await self.resolve(RoomAlias(room_id_or_alias))

    async def resolve(self, alias: RoomAlias) -> tuple[RoomId, list[str]]:
        """The room that an alias stands for, and servers that are in it; raises NotFound."""
        if server_name_of(alias) != self._server_name and self._remote is not None:
            return await self._remote.resolve(alias)
        room_id = await self._find(alias)
        if room_id is None and server_name_of(alias) == self._server_name:
            room_id = await self._find(alias) if await offered(alias, self._offers) else None
        if room_id is None:
            raise NotFound("There is no such room alias")
        others = await self._db.read(
            partial(room_servers_storage.longest, room_id=room_id, limit=MAX_SERVERS)
        )
        return room_id, [self._server_name, *others]

    async def of_room(self, requester: Requester, room_id: RoomId) -> list[str]:
        """This server's aliases of a room, for those who are in it or where anybody may look.

        Administrators may always: tools name rooms by their aliases.
        """
        if not requester.is_admin:
            await self._access.current_or_world_readable(room_id, requester.user_id)
        return await self._db.read(lambda tx: storage.of_room(tx, room_id))

    async def create(self, requester: Requester, alias: RoomAlias, room_id: RoomId) -> None:
        """Let ``alias`` stand for a room; raises Conflict where it stands for one already."""
        self._check_local(alias)
        self._appservices.check_alias(alias, requester.user_id, requester.appservice_id)
        await self._heads.get(room_id)
        await self._blocked.check(room_id)
        if not requester.is_admin and requester.appservice_id is None:
            await self._access.require_member(room_id, requester.user_id)
        if not await self._insert(alias, room_id, requester.user_id):
            raise Conflict("The room alias is taken", errcode="M_UNKNOWN")

    async def delete(self, requester: Requester, alias: RoomAlias) -> None:
        """Delete an alias, and take it out of the room's canonical alias event.

        Its creator may, and whoever may set the room's canonical alias.
        """
        row = await self._db.read(lambda tx: storage.get(tx, alias))
        if row is None or not row.room_id:
            raise NotFound("There is no such room alias")
        user_id = requester.user_id
        if not requester.is_admin:
            self._appservices.check_alias(alias, user_id, requester.appservice_id)
        if row.creator != user_id and not requester.is_admin and requester.appservice_id is None:
            head = await self._heads.get(row.room_id)
            await self._access.require_power(head, user_id, CANONICAL_ALIAS)
        await self._db.write(lambda tx: self._delete(tx, alias))
        await self._remove_from_state(row.room_id, user_id, alias)

    async def reserve(
        self, localpart: str, user_id: UserId, *, appservice_id: str | None = None
    ) -> RoomAlias:
        """Take an alias for a room that is about to be made; returns the whole alias.

        Raises InvalidParam, and M_ROOM_IN_USE and M_EXCLUSIVE (400).
        """
        alias = parse_room_alias(f"#{localpart}:{self._server_name}")
        if ":" in localpart:
            raise InvalidParam("The alias is not a localpart")
        self._check_local(alias)
        self._appservices.check_alias(alias, user_id, appservice_id)
        if not await self._insert(alias, RoomId(""), user_id):
            raise BadRequest("The room alias is taken", errcode="M_ROOM_IN_USE")
        return alias

    async def settle(self, alias: RoomAlias, room_id: RoomId | None) -> None:
        """Let a reserved alias stand for its room, or give it up."""

        async def unit(tx: WriteTransaction) -> None:
            if room_id is None:
                await self._delete(tx, alias)
            else:
                await storage.point(tx, alias, room_id)

        await self._db.write(unit)

    async def move(self, old_room: RoomId, new_room: RoomId) -> None:
        """Give every local alias of one room to another."""
        await self._db.write(lambda tx: storage.move(tx, old_room, new_room))

    async def check_canonical(self, room_id: RoomId, content: dict[str, Any], current: Event | None) -> None:
        """Check that the aliases which an ``m.room.canonical_alias`` event adds stand for its room.

        Application services are not asked about those that are unknown: what they would make of one is
        not this room. Raises InvalidParam, and M_BAD_ALIAS (400).
        """
        known = set(_listed(current.content)) if current is not None else set()
        new = [parse_room_alias(alias) for alias in _listed(content, strict=True) if alias not in known]
        rooms = await self._db.read(lambda tx: storage.rooms_of(tx, new)) if new else {}
        for alias in new:
            found = rooms.get(alias)
            if server_name_of(alias) != self._server_name:
                found = await self._room_elsewhere(alias)
            if found != room_id:
                raise BadRequest(f"The alias {alias} does not stand for the room", errcode="M_BAD_ALIAS")

    async def _room_elsewhere(self, alias: RoomAlias) -> RoomId | None:
        try:
            return (await self.resolve(alias))[0]
        except MatrixError:
            return None

    async def _find(self, alias: RoomAlias) -> RoomId | None:
        row = await self._db.read(lambda tx: storage.get(tx, alias))
        return row.room_id if row is not None and row.room_id else None

    async def _insert(self, alias: RoomAlias, room_id: RoomId, creator: UserId) -> bool:
        """Whether the alias was free, and is now stored."""
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> bool:
            row = await storage.get(tx, alias)
            if row is not None:
                if row.room_id or row.created_ts > now - RESERVED_MS:
                    return False
                await self._delete(tx, alias)
            await self._quotas.charge(tx, creator, {Kind.ALIASES: 1})
            await storage.insert(tx, AliasRow(alias=alias, room_id=room_id, creator=creator, created_ts=now))
            return True

        try:
            return await self._db.write(unit)
        except UniqueViolation:
            return False

    async def _delete(self, tx: WriteTransaction, alias: RoomAlias) -> None:
        """Delete an alias, if it is there; its creator may have another one."""
        await tx.positions()
        row = await storage.get(tx, alias)
        if row is not None:
            await storage.delete_one(tx, alias)
            await self._quotas.charge(tx, row.creator, {Kind.ALIASES: -1})

    def _check_local(self, alias: RoomAlias) -> None:
        if server_name_of(alias) != self._server_name:
            raise InvalidParam("The room alias is another server's")
        if alias.startswith("#:"):
            raise InvalidParam("The room alias has no localpart")

    async def _remove_from_state(self, room_id: RoomId, user_id: UserId, alias: RoomAlias) -> None:
        head = await self._heads.get(room_id)
        current = await self._heads.state_event(head, (CANONICAL_ALIAS, ""))
        if current is None or alias not in _listed(current.content):
            return
        draft = Draft(
            type=CANONICAL_ALIAS, sender=user_id, state_key="", content=_without(current.content, alias)
        )
        try:
            await self._writer.send(room_id, draft)
        except AuthError:
            return  # The alias is gone all the same; someone with more power can set another one.


def _listed(content: dict[str, Any], *, strict: bool = False) -> list[str]:
    """The aliases in a canonical alias event; ``strict`` raises InvalidParam for what is none."""
    alias, alternatives = content.get("alias"), content.get("alt_aliases")
    if strict:
        _check_shape(alias, alternatives)
    others: Iterable[Any] = alternatives if isinstance(alternatives, list) else ()
    return list(dict.fromkeys(item for item in (alias, *others) if isinstance(item, str) and item))


def _check_shape(alias: object, alternatives: object) -> None:
    if alias is not None and not isinstance(alias, str):
        raise InvalidParam("alias is not a string")
    if alternatives is None:
        return
    if not isinstance(alternatives, list) or not all(isinstance(item, str) for item in alternatives):
        raise InvalidParam("alt_aliases is not an array of strings")
    if len(alternatives) > MAX_ALT_ALIASES:
        raise InvalidParam(f"More than {MAX_ALT_ALIASES} aliases")


def _without(content: dict[str, Any], alias: RoomAlias) -> dict[str, Any]:
    left = {key: value for key, value in content.items() if not (key == "alias" and value == alias)}
    if isinstance(left.get("alt_aliases"), list):
        left["alt_aliases"] = [item for item in left["alt_aliases"] if item != alias]
        if not left["alt_aliases"]:
            del left["alt_aliases"]
    return left
