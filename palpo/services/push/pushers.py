"""Pushers: where users want to be told of events (spec: client-server API, "Push Notifications")."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from palpo.config.sections.clients import PushConfig
from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadRequest, InvalidParam, MissingParam
from palpo.core.identifiers import UserId
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import push_queue, threepids
from palpo.storage import pushers as storage
from palpo.storage.pushers import EMAIL_APP_ID, Pusher
from palpo.streams.clock import Clock
from palpo.wire.client.pushers import SetPusher

MAX_PUSHKEY = 512
MAX_APP_ID = 64
MAX_TEXT = 1024
MAX_DATA = 16 * 1024
"""Bytes, each."""
GATEWAY_PATH = "/_matrix/push/v1/notify"


class Pushers:
    """Reads and changes pushers."""

    def __init__(
        self, db: Database, clock: Clock, config: PushConfig, quotas: Quotas, *, email: bool = False
    ) -> None:
        """``email`` says that there may be pushers of that kind."""
        self._db = db
        self._quotas = quotas
        self._clock = clock
        self._config = config
        self._email = email

    async def of_user(self, user_id: UserId) -> list[Pusher]:
        """The user's pushers, oldest first."""
        return await self._db.read(lambda tx: storage.of_users(tx, [user_id]))

    async def set(self, user_id: UserId, device_id: str | None, kind: str, new: SetPusher) -> None:
        """Make a pusher of a kind, or change the one with its app ID and pushkey.

        Unless ``append``, other users' pushers with these go. Raises MissingParam, InvalidParam.
        """
        self._check(kind, new)
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> None:
            position = await tx.positions()
            pusher = Pusher(
                user_id=user_id,
                device_id=device_id,
                app_id=new.app_id,
                pushkey=new.pushkey,
                kind=kind,
                app_display_name=new.app_display_name or "",
                device_display_name=new.device_display_name or "",
                profile_tag=new.profile_tag,
                lang=new.lang or "",
                data=to_json(new.data),
                created_ts=now,
                position=position,
            )
            known = await storage.of_users(tx, [user_id])
            others = [old for old in known if old.hash != pusher.hash]
            await self._quotas.settle(tx, user_id, {Kind.PUSHERS: len(others) + 1})
            if not new.append:
                await storage.remove_others(tx, user_id, new.app_id, new.pushkey)
            if kind == "email":
                await _check_owner(tx, user_id, new.pushkey)
            for old in known:
                if old.hash == pusher.hash:
                    # It is still told of what came before it was set again.
                    pusher = msgspec.structs.replace(pusher, position=old.position)
            await storage.put(tx, pusher)
            if kind == "http":
                await push_queue.retry_at_once(tx, pusher.hash)

        await self._db.write(unit)

    async def remove(self, user_id: UserId, app_id: str, pushkey: str) -> None:
        """Delete a pusher, if it is there."""
        _check_target(app_id, pushkey)

        async def unit(tx: WriteTransaction) -> None:
            await storage.remove(tx, user_id, app_id, pushkey)
            await self._quotas.recount(tx, user_id, Kind.PUSHERS)

        await self._db.write(unit)

    def _check(self, kind: str, new: SetPusher) -> None:
        _check_target(new.app_id, new.pushkey)
        missing = [
            name
            for name in ("app_display_name", "device_display_name", "lang", "data")
            if getattr(new, name) is None
        ]
        if missing:
            raise MissingParam(f"Missing parameters: {', '.join(missing)}")
        if kind != "http" and not (self._email and kind == "email"):
            raise InvalidParam("This server has no pushers of that kind")
        for name in ("app_display_name", "device_display_name", "profile_tag", "lang"):
            check_text(getattr(new, name) or "", name, max_bytes=MAX_TEXT)
        data = new.data or {}
        if len(to_json(data)) > MAX_DATA:
            raise InvalidParam(f"data is over {MAX_DATA} bytes")
        if kind == "http":
            self._check_url(data.get("url"))
        elif new.app_id != EMAIL_APP_ID:
            raise InvalidParam(f"The app_id of an email pusher is {EMAIL_APP_ID}")

    def _check_url(self, url: object) -> None:
        if url is None:
            raise MissingParam("data has a url")
        if not isinstance(url, str):
            raise InvalidParam("data.url is a string")
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError:
            raise InvalidParam("data.url is not a URL") from None
        schemes = ("https", "http") if self._config.allow_http else ("https",)
        if parts.scheme not in schemes or not host or "@" in parts.netloc or parts.path != GATEWAY_PATH:
            raise InvalidParam(f"data.url is an https URL with the path {GATEWAY_PATH}")


def _check_target(app_id: str, pushkey: str) -> None:
    check_text(app_id, "app_id", max_bytes=MAX_APP_ID)
    check_text(pushkey, "pushkey", max_bytes=MAX_PUSHKEY)


async def _check_owner(tx: Transaction, user_id: UserId, address: str) -> None:
    """Mail goes to addresses only that the user has shown to be theirs."""
    if await threepids.owner(tx, "email", address) != user_id:
        raise BadRequest("The address is not one of your account's", errcode="M_THREEPID_NOT_FOUND")
