"""What users grant to clients: codes, the tokens that they are exchanged for, and their end.

A grant is a device with its tokens, which are sessions like any other (``services.accounts.sessions``): it
ends with its device, however that is removed, and the device with it. A code or a refresh token that was used
before, and is shown again, ends the grant.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace

from palpo.core.errors import MatrixError
from palpo.core.identifiers import UserId
from palpo.core.oauth.errors import INVALID_GRANT, OAuthError
from palpo.core.records.oauth import Client, Code, Consent, Grant
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import refuse_device_id
from palpo.services.accounts.logins import DeviceChoice, Logins, NewSession
from palpo.services.oauth.authorization import AuthorizationRequest
from palpo.services.oauth.tokens import MAX_TOKEN, Kind, Tokens
from palpo.storage import accounts, sessions
from palpo.storage import oauth as storage
from palpo.storage.sessions import Session, token_hash
from palpo.streams.clock import Clock

CODE_MS = 60_000
"""How long an authorization code lives: a browser hands it on at once."""
MAX_CODES = 20
"""Codes of one user that are not spent."""
MAX_CONSENTS = 100
"""Clients that a user has allowed, and need not allow again."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The tokens that a client is given, and what they are good for."""

    session: NewSession
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """What a token that works stands for; ``grant`` is None where it is of another kind of login."""

    session: Session
    grant: Grant | None


class OAuthGrants:
    """Makes, renews and ends grants."""

    def __init__(
        self, db: Database, clock: Clock, tokens: Tokens, logins: Logins, removal: DeviceRemoval
    ) -> None:
        self._db = db
        self._clock = clock
        self._tokens = tokens
        self._logins = logins
        self._removal = removal

    async def allow(self, user_id: UserId, request: AuthorizationRequest) -> str:
        """A user allows a request: the code for its client."""
        grant_id = self._tokens.new_grant_id()
        code = self._tokens.make(Kind.CODE, grant_id)
        now = self._clock.now_ms()
        new = Code(
            code_hash=token_hash(code),
            grant_id=grant_id,
            client_id=request.client.client_id,
            user_id=user_id,
            device_id=request.device_id,
            scope=request.scope,
            redirect_uri=request.target.redirect_uri,
            code_challenge=request.code_challenge,
            expires_ts=now + CODE_MS,
        )
        consent = Consent(user_id=user_id, client_id=new.client_id, granted_ts=now)

        async def unit(tx: WriteTransaction) -> None:
            await storage.insert_code(tx, new, most=MAX_CODES, now_ms=now)
            await storage.use_client(tx, new.client_id, now_ms=now)
            await storage.put_consent(tx, consent, most=MAX_CONSENTS)

        await self._db.write(unit)
        return code

    async def redeem(self, client: Client, code: str, *, verifier: str, redirect_uri: str) -> Issued:
        """The tokens for a code; raises OAuthError, ``invalid_grant``.

        A code is good once, whatever becomes of it: who guesses at its verifier guesses once. Shown a second
        time, it ends what came of it.
        """
        grant_id = self._tokens.grant_id(Kind.CODE, code)
        if grant_id is None:
            raise _refused("The code is not known")
        hash_, now = token_hash(code), self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> Issued | MatrixError:
            found = await storage.code(tx, hash_)
            if found is None or not await storage.spend_code(tx, hash_):
                await self._end(tx, await storage.grant(tx, grant_id))
                return _refused("The code was used before, or has expired")
            if found.expires_ts <= now:
                return _refused("The code has expired")
            if found.client_id != client.client_id or found.redirect_uri != redirect_uri:
                return _refused("The code was given to another client, or for another redirect URI")
            if not _verified(found.code_challenge, verifier):
                return _refused("The code verifier is wrong")
            grant = Grant(
                grant_id=found.grant_id,
                client_id=found.client_id,
                user_id=found.user_id,
                device_id=found.device_id,
                scope=found.scope,
                created_ts=now,
            )
            return await self.begin(tx, grant, client)

        return _outcome(await self._db.write(unit))

    async def begin(self, tx: WriteTransaction, grant: Grant, client: Client) -> Issued | MatrixError:
        """Store a grant and make its device, within a unit of work: its tokens, or why there are none."""
        account = await accounts.find(tx, grant.user_id)
        if account is None or account.deactivated or account.locked:
            return _refused("The account is locked, or gone")
        choice = DeviceChoice(
            device_id=grant.device_id, display_name=client.metadata.client_name, refreshable=True
        )
        new = replace(
            self._logins.new_session(grant.user_id, choice),
            refresh_token=self._tokens.make(Kind.REFRESH, grant.grant_id),
        )
        try:
            await refuse_device_id(tx, grant.user_id, grant.device_id)
        except MatrixError as error:
            return _refused(error.message)
        await self._logins.store(tx, new, choice)
        await storage.insert_grant(tx, grant)
        return Issued(session=new, scope=grant.scope)

    async def refresh(self, client: Client, refresh_token: str) -> Issued:
        """New tokens for a refresh token, which works until one of them is used.

        So a client whose answer was lost asks again. Shown after that, it ends the grant. Raises OAuthError,
        ``invalid_grant``; M_USER_LOCKED (401), at which no client gives its session up.
        """
        grant_id = self._tokens.grant_id(Kind.REFRESH, refresh_token)
        if grant_id is None:
            raise _refused("The refresh token is not known")
        next_token = self._tokens.make(Kind.REFRESH, grant_id)

        async def unit(tx: WriteTransaction) -> Issued | MatrixError:
            grant = await storage.grant(tx, grant_id)
            if grant is None:
                return _refused("The grant has ended")
            if grant.client_id != client.client_id:
                return _refused("The refresh token was given to another client")
            if await sessions.find_refresh(tx, refresh_token) is None:
                await self._end(tx, grant)
                return _refused("The refresh token was used before, so the grant has ended")
            new = await self._logins.exchange(tx, refresh_token, next_token=next_token)
            return new if isinstance(new, MatrixError) else Issued(session=new, scope=grant.scope)

        return _outcome(await self._db.write(unit))

    async def revoke(self, token: str) -> None:
        """End what an access token or a refresh token belongs to; one that is not known, ends nothing.

        The session ends whichever client asks: who has found a token somewhere does well to have it revoked.
        """
        if not 0 < len(token) <= MAX_TOKEN:
            return

        async def unit(tx: WriteTransaction) -> None:
            grant_id = self._tokens.grant_id(Kind.REFRESH, token)
            if grant_id is not None:
                await self._end(tx, await storage.grant(tx, grant_id))
                return
            session = await sessions.find(tx, token_hash(token))
            if session is None:
                return
            if session.device_id is not None:
                await self._removal.remove(tx, session.user_id, [session.device_id])
            await sessions.delete_token(tx, session)

        await self._db.write(unit)

    async def introspect(self, token: str) -> Active | None:
        """What an access token stands for now; None for one that does not work."""
        if not 0 < len(token) <= MAX_TOKEN:
            return None

        async def unit(tx: Transaction) -> Active | None:
            session = await sessions.find(tx, token_hash(token))
            if session is None or session.locked:
                return None
            if session.expires_ts is not None and session.expires_ts <= self._clock.now_ms():
                return None
            grant = None
            if session.device_id is not None:
                grant = await storage.grant_of_device(tx, session.user_id, session.device_id)
            return Active(session=session, grant=grant)

        return await self._db.read(unit)

    async def of_device(self, user_id: UserId, device_id: str) -> Grant | None:
        """The grant of a device; None for one that has logged in otherwise."""
        return await self._db.read(lambda tx: storage.grant_of_device(tx, user_id, device_id))

    async def _end(self, tx: WriteTransaction, grant: Grant | None) -> None:
        if grant is not None:
            await self._removal.remove(tx, grant.user_id, [grant.device_id])


def _verified(challenge: str, verifier: str) -> bool:
    """Whether a code verifier is the one behind a challenge (RFC 7636, 4.6)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(expected, challenge)


def _refused(description: str) -> OAuthError:
    return OAuthError(INVALID_GRANT, description)


def _outcome(outcome: Issued | MatrixError) -> Issued:
    """What a unit of work came to, whose writes are kept also where it refuses."""
    if isinstance(outcome, MatrixError):
        raise outcome
    return outcome
