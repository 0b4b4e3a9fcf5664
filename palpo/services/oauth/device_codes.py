"""Devices that cannot show a page: their users allow them with another (RFC 8628; spec: "Device authorisation
grant").
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from palpo.core.errors import MatrixError, NotFound
from palpo.core.identifiers import UserId
from palpo.core.oauth.clients import DEVICE_CODE
from palpo.core.oauth.errors import (
    ACCESS_DENIED,
    AUTHORIZATION_PENDING,
    EXPIRED_TOKEN,
    INVALID_GRANT,
    SLOW_DOWN,
    UNAUTHORIZED_CLIENT,
    OAuthError,
)
from palpo.core.oauth.scopes import read_scope
from palpo.core.records.oauth import ALLOWED, DENIED, PENDING, Client, DeviceCode, Grant
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.oauth.grants import Issued, OAuthGrants
from palpo.services.oauth.tokens import MAX_TOKEN, Tokens
from palpo.storage import oauth as storage
from palpo.storage.sessions import token_hash
from palpo.streams.clock import Clock

LIFETIME_S = 1200
INTERVAL_S = 5
"""How long a device waits before it asks again."""
MAX_PENDING = 10_000
"""Devices that wait at once: the oldest make room."""
COUNTED_EACH = 100
"""How many begin before they are counted again."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words, and nothing that is easily taken for something else (RFC 8628, 6.1)."""
USER_CODE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeviceCode:
    """What a device is told: its code, and the one that it shows its user."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a user is asked about."""

    code: DeviceCode
    client: Client


class OAuthDeviceCodes:
    """Takes devices from a code to their tokens."""

    def __init__(self, db: Database, clock: Clock, tokens: Tokens, grants: OAuthGrants) -> None:
        self._db = db
        self._clock = clock
        self._tokens = tokens
        self._grants = grants
        self._begun = 0

    async def begin(self, client: Client, scope: str) -> NewDeviceCode:
        """Codes for a device; raises OAuthError."""
        if DEVICE_CODE not in client.metadata.grant_types:
            raise OAuthError(UNAUTHORIZED_CLIENT, "The client did not register for this grant type")
        scope, device_id = read_scope(scope)
        device_code = secrets.token_urlsafe(32)
        user_code = "".join(secrets.choice(LETTERS) for _ in range(USER_CODE))
        now = self._clock.now_ms()
        self._begun += 1
        counts = self._begun % COUNTED_EACH == 0
        new = DeviceCode(
            code_hash=token_hash(device_code),
            user_code=user_code,
            client_id=client.client_id,
            device_id=device_id,
            scope=scope,
            user_id=None,
            state=PENDING,
            polled_ts=0,
            expires_ts=now + LIFETIME_S * 1000,
        )

        async def unit(tx: WriteTransaction) -> None:
            await storage.insert_device_code(tx, new, now_ms=now)
            if counts:
                await storage.forget_device_codes(tx, keep=MAX_PENDING)
            await storage.use_client(tx, client.client_id, now_ms=now)

        await self._db.write(unit)
        return NewDeviceCode(device_code=device_code, user_code=f"{user_code[:4]}-{user_code[4:]}")

    async def waiting(self, user_code: str) -> Waiting:
        """The device that shows a code, as its user has typed it; raises NotFound."""
        typed = plain(user_code)
        now = self._clock.now_ms()

        async def unit(tx: Transaction) -> Waiting | None:
            code = await storage.by_user_code(tx, typed)
            if code is None or code.expires_ts <= now or code.state != PENDING:
                return None
            client = await storage.client(tx, code.client_id)
            return None if client is None else Waiting(code=code, client=client)

        found = await self._db.read(unit) if len(typed) == USER_CODE else None
        if found is None:
            raise _unknown()
        return found

    async def decide(self, user_id: UserId, user_code: str, *, allow: bool) -> None:
        """A user allows a device, or does not; raises NotFound where that was decided already."""
        now, state = self._clock.now_ms(), ALLOWED if allow else DENIED
        typed = plain(user_code)
        if not await self._db.write(lambda tx: storage.decide(tx, typed, user_id, state, now_ms=now)):
            raise _unknown()

    async def redeem(self, client: Client, device_code: str) -> Issued:
        """The tokens for a device that its user has allowed.

        Raises OAuthError: ``authorization_pending``, ``slow_down``, ``access_denied``, ``expired_token``, and
        ``invalid_grant`` for a code that was used, or never given to this client.
        """
        hash_, now = token_hash(device_code[:MAX_TOKEN]), self._clock.now_ms()
        grant_id = self._tokens.new_grant_id()

        async def unit(tx: WriteTransaction) -> Issued | MatrixError:
            found = await storage.device_code(tx, hash_)
            if found is None or found.client_id != client.client_id:
                return OAuthError(INVALID_GRANT, "The device code is not known")
            if found.expires_ts <= now:
                return OAuthError(EXPIRED_TOKEN, "The device code has expired")
            if found.state == PENDING:
                await storage.polled(tx, hash_, now_ms=now)
                if now - found.polled_ts < (INTERVAL_S - 1) * 1000:
                    return OAuthError(SLOW_DOWN, f"Ask every {INTERVAL_S} seconds")
                return OAuthError(AUTHORIZATION_PENDING, "The user has not decided yet")
            if not await storage.spend_device_code(tx, hash_):
                return OAuthError(INVALID_GRANT, "The device code is not known")
            if found.state == DENIED or found.user_id is None:
                return OAuthError(ACCESS_DENIED, "The user has not allowed it")
            grant = Grant(
                grant_id=grant_id,
                client_id=found.client_id,
                user_id=found.user_id,
                device_id=found.device_id,
                scope=found.scope,
                created_ts=now,
            )
            return await self._grants.begin(tx, grant, client)

        outcome = await self._db.write(unit)
        if isinstance(outcome, MatrixError):
            raise outcome
        return outcome


def plain(user_code: str) -> str:
    """A code as it is stored, however it was typed."""
    return "".join(letter for letter in user_code[:64].upper() if letter in LETTERS)


def _unknown() -> NotFound:
    return NotFound("The code is not known, or has expired")
