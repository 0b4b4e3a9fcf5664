"""Notices from the server to its users (spec: client-server API, "Server Notices").

Each user has one room for them, made when the first is sent, in which only the server speaks. They
are invited to it, cannot reject that, may leave once they have joined, and are invited again.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from palpo.core.bounded_text import check_text
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, NotFound
from palpo.core.identifiers import RoomId, UserId, make_user_id, server_name_of
from palpo.core.membership import INVITE, JOIN
from palpo.core.records.accounts import Account
from palpo.core.state_keys import MEMBER
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.sessions import Requester
from palpo.services.history import HistoryServices
from palpo.services.history.drafts import Draft, SendTransaction
from palpo.services.personal.account_data import AccountData
from palpo.services.rooms.member_profiles import with_profile
from palpo.services.rooms.room_creation import NewRoom, RoomCreation
from palpo.services.server import Server
from palpo.storage import accounts
from palpo.storage import server_notices as storage
from palpo.streams.keyed_locks import KeyedLocks

MESSAGE: Final = "m.room.message"
log = structlog.get_logger("palpo.server_notices")

TAG: Final = "m.server_notice"
REFUSED_TYPES: Final = frozenset({MEMBER, "m.room.create", "m.room.redaction"})
"""What is no notice: these have more to them than their content."""
ONLY_THE_SERVER: Final[dict[str, Any]] = {"events_default": 50, "invite": 100}
"""The power levels by which a notices room differs from others."""


class ServerNotices:
    """Sends notices, and keeps the rooms that they are sent to."""

    def __init__(
        self,
        server: Server,
        history: HistoryServices,
        profiles: Profiles,
        creation: RoomCreation,
        account_data: AccountData,
    ) -> None:
        self._config = server.config.server_notices
        self._db = server.db
        self._clock = server.clock
        self._profiles = profiles
        self._access = history.room_access
        self._creation = creation
        self._writer = history.room_writer
        self._account_data = account_data
        self._server_name = server.name
        self._locks = KeyedLocks()
        self.sender = make_user_id(self._config.localpart, server.name)

    async def prepare(self) -> None:
        """Make the account that notices come from, if notices are enabled."""
        if not self._config.enabled:
            return
        account = Account(user_id=self.sender, created_ts=self._clock.now_ms())

        async def unit(tx: WriteTransaction) -> bool:
            found = await accounts.find(tx, account.user_id)
            if found is None:
                await accounts.insert(tx, account)
            return found is None or found.password_hash is None

        try:
            if not await self._db.write(unit):
                log.warning("server_notices_account_is_a_user", user_id=self.sender)
        except UniqueViolation:
            pass  # Another process starts at the same time.
        await self._profiles.set_field(self.sender, "displayname", self._config.display_name)

    async def send(
        self,
        admin: Requester,
        user_id: UserId,
        *,
        type_: str,
        content: dict[str, Any],
        state_key: str | None,
        transaction_id: str | None,
    ) -> str:
        """Send a notice to a user of this server; its event ID.

        With a transaction ID that the administrator has used before, that request's event ID. Raises
        BadRequest where notices are not enabled, NotFound for no such user, InvalidParam.
        """
        if not self._config.enabled:
            raise BadRequest("Server notices are not enabled on this server")
        transaction = _transaction(admin, transaction_id)
        if transaction is not None:
            made = await self._writer.find_transaction(transaction)
            if made is not None:
                return made
        await self._check_user(user_id)
        _check(type_, content, state_key)
        async with self._locks.hold(user_id):
            room_id = await self._room_of(user_id)
            await self._see_to_invite(room_id, user_id)
        draft = Draft(type=type_, sender=self.sender, content=content, state_key=state_key)
        return (await self._writer.send(room_id, draft, transaction=transaction)).event_id

    async def check_rejection(self, user_id: UserId, room_id: RoomId) -> None:
        """Before somebody leaves a room: raises M_CANNOT_LEAVE_SERVER_NOTICE_ROOM where they may not."""
        if not self._config.enabled:
            return
        if await self._db.read(lambda tx: storage.room_of(tx, user_id)) != room_id:
            return
        member = await self._access.membership(room_id, user_id)
        if member is not None and member.membership == INVITE:
            raise Forbidden(
                "An invite to the server's notices cannot be rejected",
                errcode="M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
            )

    async def _check_user(self, user_id: UserId) -> None:
        if user_id == self.sender:
            raise InvalidParam("The server does not send notices to itself")
        if server_name_of(user_id) != self._server_name:
            raise InvalidParam("Notices are for users of this server")
        account = await self._db.read(lambda tx: accounts.find(tx, user_id))
        if account is None or account.deactivated:
            raise NotFound("There is no such user on this server")

    async def _room_of(self, user_id: UserId) -> RoomId:
        """The user's notices room, made now if need be."""
        found = await self._db.read(lambda tx: storage.room_of(tx, user_id))
        if found is not None:
            return found
        new = NewRoom(
            name=self._config.room_name,
            power_levels=ONLY_THE_SERVER,
            creation_content={"m.federate": False},
        )
        made = await self._creation.create(Requester(user_id=self.sender), new)
        return await self._db.write(lambda tx: storage.settle(tx, user_id, made))

    async def _see_to_invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite the user, who does not decide about that, unless they are invited or joined."""
        member = await self._access.membership(room_id, user_id)
        if member is not None and member.membership in (JOIN, INVITE):
            return
        await self._account_data.put_tag(user_id, room_id, TAG, {})
        content = with_profile({"membership": INVITE.value}, await self._profiles.get(user_id))
        draft = Draft(type=MEMBER, sender=self.sender, state_key=user_id, content=content)
        await self._writer.send(room_id, draft)


def _transaction(admin: Requester, transaction_id: str | None) -> SendTransaction | None:
    if transaction_id is None:
        return None
    check_text(transaction_id, "The transaction ID")
    return SendTransaction(
        user_id=admin.user_id,
        device_id=None,
        scope="send_server_notice",
        transaction_id=transaction_id,
    )


def _check(type_: str, content: dict[str, Any], state_key: str | None) -> None:
    check_text(type_, "The type")
    if type_ in REFUSED_TYPES:
        raise InvalidParam(f"A notice cannot be of type {type_}")
    if type_ == MESSAGE and not {"body", "msgtype"} <= content.keys():
        raise InvalidParam("A message has a body and a msgtype")
    if state_key is not None:
        check_text(state_key, "The state key")
