"""A sign-on that is under way, in the browser that began it.

What has to be known again when the browser comes back is in its cookie, sealed: nobody can read or make one
without the server's key, and any process can go on. Stored is only which flows are done. The cookie's name
stands for the flow's ID, which goes to the provider and back (``state``, ``RelayState``). So who comes back
without having begun is refused, and nobody can have somebody else's browser finish what they began.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TypeVar

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from palpo.core.errors import BadRequest
from palpo.core.unpadded_base64 import decode, encode_urlsafe
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.server import Server
from palpo.storage import sign_on_answers
from palpo.streams.clock import Clock

FLOW_MS = 15 * 60_000
"""How long a sign-on may take."""
REGISTER = "register"
"""What users want who have no account yet."""
MAX_SEALED = 16_384
"""Characters."""


class ForClient(msgspec.Struct, frozen=True, tag="client", omit_defaults=True):
    """A login token for a client, which waits at ``redirect_url``."""

    redirect_url: str
    action: str = ""
    """``login`` or ``register``, where the client says which."""


class ForStage(msgspec.Struct, frozen=True, tag="stage"):
    """A stage of user-interactive auth."""

    session: str


class ForBrowser(msgspec.Struct, frozen=True, tag="browser", omit_defaults=True):
    """A session of the browser itself, which then goes to ``next``, a path of this server."""

    next: str
    action: str = ""
    """As a client's."""


Purpose = ForClient | ForStage | ForBrowser


class Flow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sign-on at a provider."""

    id: str
    provider: str
    """The only provider that may finish it."""
    purpose: Purpose
    issued_ms: int
    nonce: str = ""
    verifier: str = ""
    """Of PKCE."""
    request_id: str = ""
    """Of the request to a SAML provider."""


S = TypeVar("S", bound=msgspec.Struct)


class Seals:
    """Makes what is given to browsers unreadable, and reads it again."""

    def __init__(self, server: Server) -> None:
        key = hashlib.blake2b(
            server.key.seed, person=b"palpo-sign-on", digest_size=SecretBox.KEY_SIZE
        ).digest()
        self._box = SecretBox(key)

    def seal(self, what: msgspec.Struct) -> str:
        """Text of ``A-Za-z0-9_-``."""
        return encode_urlsafe(bytes(self._box.encrypt(msgspec.msgpack.encode(what))))

    def open(self, sealed: str, kind: type[S]) -> S | None:
        """What was sealed, if it was of this kind, and by this server."""
        if len(sealed) > MAX_SEALED:
            return None
        try:
            return msgspec.msgpack.decode(self._box.decrypt(decode(sealed)), type=kind)
        except (CryptoError, ValueError, msgspec.DecodeError):
            return None


class Flows:
    """Begins flows, and finds them again."""

    def __init__(self, server: Server, clock: Clock, seals: Seals) -> None:
        self._clock = clock
        self._seals = seals
        self._db = server.db
        self._secure = server.config.public_url.startswith("https://")

    def begin(self, provider: str, purpose: Purpose) -> Flow:
        """A new flow, which nobody can guess."""
        return Flow(
            id=secrets.token_urlsafe(24),
            provider=provider,
            purpose=purpose,
            issued_ms=self._clock.now_ms(),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
        )

    def cookie(self, flow: Flow, *, cross_site: bool = False) -> str:
        """The Set-Cookie header that makes it the browser's; ``cross_site`` is for who comes back by POST."""
        return self._set(flow.id, self._seals.seal(flow), FLOW_MS // 1000, cross_site=cross_site)

    def end(self, flow: Flow) -> str:
        """The Set-Cookie header by which the browser forgets it."""
        return self._set(flow.id, "", 0)

    def find(self, flow_id: str, cookies: dict[str, str], *, provider: str | None = None) -> Flow:
        """The browser's flow; raises BadRequest where it has not begun it, or it has expired.

        ``provider`` is who says that it is done.
        """
        flow = self._seals.open(cookies.get(self._name(flow_id), ""), Flow)
        if flow is None or not secrets.compare_digest(flow.id.encode(), flow_id.encode()):
            raise BadRequest("This browser has not begun to sign on, or its cookies are off; start again")
        if flow.issued_ms + FLOW_MS <= self._clock.now_ms():
            raise BadRequest("That took too long; start again")
        if provider is not None and flow.provider != provider:
            raise BadRequest("Another provider was asked; start again")
        return flow

    async def once(self, flow: Flow, step: str) -> None:
        """Take a ``step`` of a flow; raises BadRequest for who has taken it already.

        A browser that keeps what it was told to forget, or whoever has copied it, gets nothing by it.
        """
        hash_ = hashlib.sha256(f"{step} {flow.id}".encode()).digest()
        now, expires = self._clock.now_ms(), flow.issued_ms + FLOW_MS

        async def unit(tx: WriteTransaction) -> bool:
            return await sign_on_answers.take(tx, hash_, now_ms=now, expires_ts=expires)

        try:
            taken = await self._db.write(unit)
        except UniqueViolation:
            taken = False
        if not taken:
            raise BadRequest("That was done already; start again")

    def _name(self, flow_id: str) -> str:
        # With the prefix a browser takes it from this very host only, over TLS.
        hashed = hashlib.blake2b(flow_id.encode("utf-8", "replace"), digest_size=6).hexdigest()
        return f"{'__Host-' if self._secure else ''}palpo-sso-{hashed}"

    def _set(self, flow_id: str, value: str, seconds: int, *, cross_site: bool = False) -> str:
        same_site = "None" if cross_site and self._secure else "Lax"
        secure = "; Secure" if self._secure else ""
        name = self._name(flow_id)
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}"


def cookies_of(header: str) -> dict[str, str]:
    """The cookies in a Cookie header, as they are."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, equals, value in pairs if equals}
