"""User-interactive authentication (spec: client-server API, "User-Interactive Authentication API").

A handler guards its operation in one line, through ``palpo.api.interactive_auth``::

    await authorise(call, body.auth)                      # the user's password
    await authorise(call, body.auth, scope=device_id)     # ... for this device only
    await authorise(call, body.auth, flows=[("m.login.dummy",)])

where ``body.auth`` is declared ``auth: dict[str, Any] | None = None``. The call returns once all
stages of one of the flows are complete; until then it raises ``InteractiveAuth``, which becomes the
401 with ``flows``, ``params``, ``session`` and ``completed``, and with ``errcode`` and ``error`` where
the stage that was attempted failed. Do checks that need no proof before it, the work after it: a
session is spent once it was authorised.

Below that, ``UserInteractiveAuth.authorise(operation, auth, flows, user_id=...)`` is the mechanism. A
stage is an object with ``params(user_id)`` and ``check(auth, user_id)``.

A session that is spent is good for nothing else, but the same request made again with it gets the same
result, until the session expires: its answer may have been lost. ``result`` and ``keep`` are for that.

A session ID carries when it was issued and a digest of its operation under a MAC, so that asking for
one writes nothing; the database has only the stages completed in it, for flows of several stages or
stages completed by other means.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from palpo.core.errors import (
    BadRequest,
    Forbidden,
    InteractiveAuth,
    InvalidParam,
    LimitExceeded,
    MatrixError,
    Unrecognized,
)
from palpo.core.identifiers import UserId
from palpo.core.unpadded_base64 import decode, encode_urlsafe
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.login_identifiers import user_of
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.storage import uia as storage
from palpo.storage.uia import Result
from palpo.streams.clock import Clock
from palpo.wire.client.login import Identified

SESSION_MS = 15 * 60_000
"""How long a session lives."""
MAX_SESSION_ID = 200
MAX_SESSIONS = 100_000
"""Sessions with a complete stage, of all users and of those who are none yet: the oldest make room."""
COUNTED_EACH = 100
"""How many stages are completed before the sessions are counted again."""

PASSWORD = "m.login.password"
SSO = "m.login.sso"
DUMMY = "m.login.dummy"
REGISTRATION_TOKEN = "m.login.registration_token"

Flow = tuple[str, ...]
Auth = dict[str, Any]


class SomebodyElse(Forbidden):
    """Who went through a stage is not who asks: no other attempt is invited, the request is refused."""


class Stage(ABC):
    """One authentication type."""

    def params(self, user_id: UserId | None) -> dict[str, Any] | None:
        """What a client must know for the stage, if anything."""
        return None

    @abstractmethod
    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Return if ``auth`` is proof enough; raise MatrixError if not. ``user_id`` is who is asked.

        ``auth["session"]`` is the session's ID, whether or not the client gave one.
        """


class DummyStage(Stage):
    """``m.login.dummy``: always succeeds."""

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Nothing to check."""


class SsoStage(Stage):
    """``m.login.sso``: signing on elsewhere, in a browser, by which ``complete_as`` is called."""

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Raises Forbidden: nothing in a request proves it."""
        raise Forbidden("That is done in a browser")


class _Proof(Identified, frozen=True, kw_only=True):
    password: str


class PasswordStage(Stage):
    """``m.login.password``: the password of the user who is asked, and of nobody else."""

    def __init__(self, logins: Logins, threepids: ThirdPartyIds) -> None:
        self._logins = logins
        self._threepids = threepids

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Check identifier and password; raises Forbidden, SomebodyElse and LimitExceeded.

        Where nobody is named, it is the one who is asked.
        """
        try:
            proof = msgspec.convert(auth, _Proof)
        except msgspec.ValidationError:
            raise Forbidden("A user and a password are needed") from None
        named = (proof.identifier, proof.user, proof.medium, proof.address) != (None,) * 4
        user = await user_of(proof, self._threepids) if named or user_id is None else user_id
        account = await self._logins.check_password(user, proof.password, asker=user_id)
        if account.user_id != user_id:
            raise SomebodyElse("That is somebody else's password")


class UserInteractiveAuth:
    """Takes users through the stages of a flow."""

    def __init__(self, db: Database, clock: Clock, secret: bytes, stages: Mapping[str, Stage]) -> None:
        """``secret`` is known to the server's processes only; session IDs are made with it."""
        self._db = db
        self._clock = clock
        self._key = hashlib.blake2b(secret, person=b"palpo-uia").digest()
        self._completed_stages = 0
        self._stages = {DUMMY: DummyStage(), SSO: SsoStage(), **stages}

    def params(self, stage_type: str) -> dict[str, Any]:
        """What a client must know for a stage that asks nobody in particular."""
        stage = self._stages.get(stage_type)
        return (stage.params(None) if stage is not None else None) or {}

    async def authorise(
        self, operation: str, auth: Auth | None, flows: Sequence[Flow], *, user_id: UserId | None = None
    ) -> str:
        """Return once all stages of one of ``flows`` are complete in the session that ``auth`` names: its ID.

        ``operation`` is what is asked for, and of whom: a session is good for nothing else. ``user_id``
        is who must prove to be who they are. Raises InteractiveAuth, LimitExceeded, InvalidParam and
        SomebodyElse (403).
        """
        if auth is None:
            raise self._challenge(self._new_session(operation), [], flows, user_id)
        session = auth.get("session")
        if session is None:
            session = self._new_session(operation)
            stored: list[str] = []
        elif isinstance(session, str):
            self._check_session(session, operation, flows, user_id)
            stored = await self._completed(session, operation, flows, user_id)
        else:
            raise InvalidParam("auth.session is not a string")
        completed = stored
        stage_type = auth.get("type")
        if stage_type is not None and stage_type not in completed:
            attempt = {**auth, "session": session}
            await self._attempt(session, stage_type, attempt, completed, flows, user_id)
            completed = [*completed, stage_type]
            if tuple(completed) not in flows:
                completed = _counting(await self._complete(session, stage_type), user_id)
        if tuple(completed) not in flows:
            raise self._challenge(session, completed, flows, user_id)
        if stored and not await self._db.write(lambda tx: storage.forget(tx, session)):
            raise self._challenge(self._new_session(operation), [], flows, user_id)
        return session

    async def complete_elsewhere(self, session: str, stage_type: str, auth: Auth) -> None:
        """Complete a stage by other means than the guarded request, such as a fallback page.

        Only for stages that ask nobody in particular. Raises BadRequest for a session that is not good,
        and what the stage raises.
        """
        self.check_good(session)
        stage = self._stages.get(stage_type)
        if stage is None:
            raise BadRequest("The stage is not offered here")
        await stage.check({**auth, "session": session}, None)
        await self._complete(session, stage_type)

    async def complete_as(self, session: str, stage_type: str, user_id: UserId) -> None:
        """Complete a stage on behalf of ``user_id``: it counts where the session's request is theirs.

        Raises BadRequest for a session that is not good.
        """
        self.check_good(session)
        await self._complete(session, _done_by(stage_type, user_id))

    def check_good(self, session: str) -> None:
        """Raises BadRequest for a session that is not good."""
        if self._operation_digest(session) is None:
            raise BadRequest("The session is not known; start again")

    async def _attempt(
        self,
        session: str,
        stage_type: Any,
        auth: Auth,
        completed: list[str],
        flows: Sequence[Flow],
        user_id: UserId | None,
    ) -> None:
        done = len(completed)
        offered = {flow[done] for flow in flows if len(flow) > done and list(flow[:done]) == completed}
        try:
            if not isinstance(stage_type, str) or not any(stage_type in flow for flow in flows):
                raise Unrecognized("The authentication type is not offered here")
            if stage_type not in offered:
                raise Forbidden("The stages of a flow are completed in order")
            await self._stages[stage_type].check(auth, user_id)
        except (LimitExceeded, SomebodyElse):
            raise
        except MatrixError as failure:
            raise self._challenge(session, completed, flows, user_id, failure) from None

    def _challenge(
        self,
        session: str,
        completed: list[str],
        flows: Sequence[Flow],
        user_id: UserId | None,
        failure: MatrixError | None = None,
    ) -> InteractiveAuth:
        params = {}
        for stage_type in {stage for flow in flows for stage in flow}:
            known = self._stages[stage_type].params(user_id)
            if known is not None:
                params[stage_type] = known
        fields: dict[str, Any] = {
            "flows": [{"stages": list(flow)} for flow in flows],
            "params": params,
            "session": session,
        }
        if completed:
            fields["completed"] = completed
        return InteractiveAuth(fields, failure=failure)

    async def _completed(
        self, session: str, operation: str, flows: Sequence[Flow], user_id: UserId | None
    ) -> list[str]:
        """The stages of a session; raises the challenge of a new one where it is spent."""
        session_hash = self.hash(session)

        async def unit(tx: Transaction) -> list[str] | None:
            if await storage.result(tx, session_hash) is not None:
                return None
            return _counting(await storage.completed(tx, session) or [], user_id)

        found = await self._db.read(unit)
        if found is None:
            failure = Forbidden("The session is spent; start again")
            raise self._challenge(self._new_session(operation), [], flows, user_id, failure)
        return found

    def hash(self, *parts: str) -> bytes:
        """32 bytes that stand for ``parts``, a session's ID or a request, and that tell nobody of them."""
        text = "\0".join(parts).encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=32, key=self._key[:64]).digest()

    async def result(self, session: str, request_hash: bytes) -> Result | None:
        """What came of the same request in the same session; None where it has not been made."""
        if self._operation_digest(session) is None:
            return None
        session_hash = self.hash(session)
        found = await self._db.read(lambda tx: storage.result(tx, session_hash))
        return found if found is not None and found.request_hash == request_hash else None

    async def keep(self, session: str, request_hash: bytes, body: bytes) -> None:
        """Note the response to a request that was authorised in a session, which is spent now."""
        result = self.spent(session, request_hash, body=body)
        with contextlib.suppress(UniqueViolation):
            await self._db.write(lambda tx: self.keep_within(tx, result))

    def spent(self, session: str, request_hash: bytes, *, body: bytes = b"") -> Result:
        """The result of a session, to be kept."""
        now = self._clock.now_ms()
        return Result(session_hash=self.hash(session), request_hash=request_hash, body=body, created_ts=now)

    async def keep_within(self, tx: WriteTransaction, result: Result) -> None:
        """Store a result within a unit of work; raises UniqueViolation."""
        await storage.prune_results(tx, before_ts=result.created_ts - SESSION_MS)
        await storage.keep(tx, result)

    async def _complete(self, session: str, stage_type: str) -> list[str]:
        now = self._clock.now_ms()
        self._completed_stages += 1
        new = self._completed_stages

        async def unit(tx: WriteTransaction) -> list[str]:
            await storage.prune(tx, before_ts=now - SESSION_MS)
            found = await storage.completed(tx, session) or []
            if stage_type not in found:
                found.append(stage_type)
                await storage.store(tx, session, found, created_ts=now)
                if new % COUNTED_EACH == 0:
                    await storage.forget_oldest(tx, keep=MAX_SESSIONS)
            return found

        return await self._db.write(unit)

    def _check_session(
        self, session: str, operation: str, flows: Sequence[Flow], user_id: UserId | None
    ) -> None:
        """Raises the challenge of a new session where ``session`` is no good for ``operation``."""
        digest = self._operation_digest(session)
        if digest is None or not hmac.compare_digest(digest, _digest(operation)):
            failure = Forbidden("The session is not known or has expired; start again")
            raise self._challenge(self._new_session(operation), [], flows, user_id, failure)

    def _new_session(self, operation: str) -> str:
        payload = self._clock.now_ms().to_bytes(8, "big") + secrets.token_bytes(12) + _digest(operation)
        return encode_urlsafe(payload + self._mac(payload))

    def _operation_digest(self, session: str) -> bytes | None:
        """The digest of the operation that a session was made for; None where it is not good."""
        if len(session) > MAX_SESSION_ID:
            return None
        try:
            data = decode(session)
        except ValueError:
            return None
        payload, mac = data[:36], data[36:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            return None
        issued = int.from_bytes(payload[:8], "big")
        return payload[20:] if self._clock.now_ms() < issued + SESSION_MS else None

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()[:16]


def _digest(operation: str) -> bytes:
    return hashlib.blake2b(operation.encode(), digest_size=16).digest()


def _done_by(stage_type: str, user_id: UserId) -> str:
    """How a stage is noted that somebody went through in a browser."""
    return f"{stage_type} {user_id}"


def _counting(completed: list[str], user_id: UserId | None) -> list[str]:
    """The stages that count for a request of ``user_id``: of those noted with a user, that user's only."""
    pairs = [stage.partition(" ") for stage in completed]
    return [stage for stage, space, user in pairs if not space or user == user_id]
