"""Users' profiles (spec: client-server API, "Profiles").

Membership events carry what :meth:`Profiles.get` has; hooks follow changes of display names and avatars.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import decode_object, to_json
from palpo.core.errors import BadRequest, InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import UserId, server_name_of
from palpo.core.user_words import words_of_user
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.appservices import Offer, offered
from palpo.services.server import Server
from palpo.storage import accounts
from palpo.storage import profiles as storage
from palpo.streams import topics
from palpo.streams.caches import Cache

MAX_PROFILE = 64 * 1024
"""Bytes of a profile as JSON."""
MAX_NAME = 1024
"""Bytes of a display name, an avatar's address or a time zone: each goes into events, or may do."""
SHOWN_IN_ROOMS = ("displayname", "avatar_url")
_TEXT_FIELDS = ("displayname", "avatar_url", "m.tz")
_KEY = re.compile(r"avatar_url|displayname|m\.tz|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_-]*)+")

Hook = Callable[[UserId, str], Awaitable[object]]
"""``async def hook(user_id, key)``, called after what rooms show of the user, ``key``, may have changed."""
RemoteProfiles = Callable[[UserId, str | None], Awaitable[dict[str, Any]]]
"""``async def ask(user_id, key or None)``: the fields that a user's own server knows; raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a user says of themselves."""

    user_id: str
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, user_id: str, stored: bytes | None) -> Profile:
        """The profile that is stored of a user; empty where there is none."""
        return cls(user_id=user_id, fields={} if stored is None else decode_object(stored))

    @property
    def displayname(self) -> str | None:
        """The display name."""
        return self._text("displayname")

    @property
    def avatar_url(self) -> str | None:
        """The ``mxc://`` address of the avatar."""
        return self._text("avatar_url")

    def _text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return value if isinstance(value, str) else None


class Profiles:
    """Reads and changes profiles."""

    def __init__(
        self,
        server: Server,
        hooks: Iterable[Hook],
        offers: Iterable[Offer[UserId]],
        remote: RemoteProfiles | None,
    ) -> None:
        """``offers`` may make a user of this server before they are said not to exist."""
        self._db = server.db
        self._server_name = server.name
        self._hooks = hooks
        self._offers = offers
        self._remote = remote
        self._cache: Cache[str, Profile] = server.caches.cache("profiles")
        server.wakeups.listen(topics.PROFILE, self._cache.forget)

    async def get(self, user_id: UserId, *, asking: UserId | None = None) -> Profile:
        """The profile of a user as stored here, empty where there is none; ``asking`` is who wants it."""
        found = self._cache.touch(user_id)
        if found is not None:
            return found
        with self._cache.reading() as reading:
            found = Profile.of(user_id, await self._db.read(lambda tx: storage.get(tx, user_id)))
            # Of others who say nothing of themselves, or are not there, anybody could ask without end.
            if found.fields or user_id == asking:
                reading.keep({user_id: found})
            return found

    async def look_up(self, user_id: UserId, key: str | None = None) -> dict[str, Any]:
        """The fields of anybody's profile, or the one called ``key``.

        Raises InvalidParam, and NotFound where there is no such user or field.
        """
        if key is not None:
            check_key(key)
        if server_name_of(user_id) == self._server_name:
            fields = await self._local(user_id)
        elif self._remote is not None:
            fields = await self._remote(user_id, key)
        else:
            raise NotFound("Profile not found")
        if key is None:
            return fields
        if key not in fields:
            raise NotFound("The profile has no such field")
        return {key: fields[key]}

    async def _local(self, user_id: UserId) -> dict[str, Any]:
        profile = await self.get(user_id)
        if not profile.fields:
            account = await self._db.read(lambda tx: accounts.find(tx, user_id))
            if account is None and await offered(user_id, self._offers):
                account = await self._db.read(lambda tx: accounts.find(tx, user_id))
                profile = await self.get(user_id)
            if account is None or account.deactivated:
                raise NotFound("Profile not found")
        return profile.fields

    async def offer_unknown(self, user_id: UserId) -> None:
        """Let application services make a user of this server who is unknown; whether they do is not said."""
        if server_name_of(user_id) != self._server_name:
            return
        for offer in self._offers:
            if await self._db.read(lambda tx: accounts.find(tx, user_id)) is None:
                with contextlib.suppress(MatrixError):
                    await offer(user_id)

    async def set_field(self, user_id: UserId, key: str, value: Any) -> None:
        """Set a field of a local user's profile.

        An empty or null display name or avatar takes the field away. Raises InvalidParam,
        M_KEY_TOO_LARGE and M_PROFILE_TOO_LARGE.
        """
        check_key(key)
        if key in SHOWN_IN_ROOMS and value in (None, ""):
            await self._change(user_id, key, None)
            return
        check_value(key, value)
        await self._change(user_id, key, {key: value})

    async def delete_field(self, user_id: UserId, key: str) -> None:
        """Take a field away, if it is there; raises InvalidParam, M_KEY_TOO_LARGE."""
        check_key(key)
        await self._change(user_id, key, None)

    async def _change(self, user_id: UserId, key: str, new: dict[str, Any] | None) -> None:
        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two changes of one profile apart.
            position = await tx.positions()
            before = Profile.of(user_id, await storage.get(tx, user_id)).fields
            after = {name: value for name, value in before.items() if name != key or new is not None}
            after.update(new or {})
            if after == before:
                return
            fields = to_json(after)
            if len(fields) > MAX_PROFILE:
                raise BadRequest(f"A profile is at most {MAX_PROFILE} bytes", errcode="M_PROFILE_TOO_LARGE")
            await storage.put(tx, user_id, fields, position)
            if key in SHOWN_IN_ROOMS:
                await accounts.list_as(tx, user_id, key, after.get(key))
            if key == "displayname":
                await storage.set_words(tx, user_id, words_of_user(user_id, after.get("displayname")))

        await self._db.write(unit)
        # Without a change too: what a request that was cut off has not told is told by its repetition.
        if key in SHOWN_IN_ROOMS:
            for hook in self._hooks:
                await hook(user_id, key)


def check_key(key: str) -> None:
    """Raises M_KEY_TOO_LARGE, and InvalidParam for what is no name of a profile field."""
    check_text(key, "A profile key", errcode="M_KEY_TOO_LARGE")
    if _KEY.fullmatch(key) is None:
        raise InvalidParam("Invalid profile key")


def check_value(key: str, value: Any) -> None:
    """Raises InvalidParam for a value that the field ``key`` may not have."""
    if key not in _TEXT_FIELDS:
        return
    if not isinstance(value, str):
        raise InvalidParam(f"{key} is a string")
    # An avatar that is no mxc:// URI is let through: clients have always been able to set one.
    check_text(value, key, max_bytes=MAX_NAME)
