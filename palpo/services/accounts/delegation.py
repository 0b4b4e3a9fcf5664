"""What Matrix Authentication Service is asked, where it signs users in instead of this server."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Meta

from palpo.config.sections.delegation import DelegationConfig
from palpo.core.errors import MatrixError, Unavailable
from palpo.net.http_client import HttpClient, HttpError
from palpo.streams.clock import Clock

INTROSPECT = "oauth2/introspect"
METADATA = ".well-known/openid-configuration"
METADATA_S = 600.0
"""Seconds for which the metadata is taken as it is."""
RETRY_S = 5.0
"""Seconds after which it is asked for again where it could not be had."""
MAX_SECONDS = 10**9
"""For which a token may be good."""
MAX_ANSWER = 256 * 1024
"""Bytes."""
AT_ONCE = 32
"""Tokens that are asked about at the same time."""
MAX_WAITING = 2000
"""Requests that wait for that."""
WRONG_SETTING = (401, 403)

log = structlog.get_logger("palpo.delegation")


class Introspected(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token stands for (RFC 7662, 2.2); ``expires_in`` in seconds."""

    active: bool
    scope: str = ""
    username: str | None = None
    device_id: str | None = None
    expires_in: Annotated[int, Meta(ge=-MAX_SECONDS, le=MAX_SECONDS)] | None = None


class Delegation:
    """Asks it who has an access token, and where users go to sign in."""

    def __init__(self, config: DelegationConfig, http: HttpClient, clock: Clock) -> None:
        """``http`` has to reach wherever the operator says that it is."""
        self._config = config
        self._base = config.endpoint.rstrip("/") + "/"
        self._http = http
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._lock = asyncio.Lock()
        self._known: dict[str, Any] = {}
        self._good_until = -1.0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def introspect(self, token: str) -> Introspected | None:
        """What a token stands for, None where that is nothing (any more).

        Raises Unavailable where it does not say so.
        """
        if self._waiting >= MAX_WAITING:
            raise _away("is asked too much at once")
        self._waiting += 1
        try:
            async with self._places:
                status, body = await self._ask(
                    "POST", INTROSPECT, introspection_form(token), introspection_headers(self._config.secret)
                )
        finally:
            self._waiting -= 1
        if status in WRONG_SETTING:
            log.error("delegation_secret_refused", endpoint=self._base)
        if status != 200:
            raise _away("does not answer as it should")
        found = _read(body, Introspected)
        return found if found.active else None

    async def metadata(self) -> dict[str, Any]:
        """How clients sign their users in (RFC 8414). Raises Unavailable where that was never known."""
        if self._good_until <= self._clock.elapsed_s():
            async with self._lock:
                if self._good_until <= self._clock.elapsed_s():
                    await self._refresh()
        if not self._known:
            raise _away("cannot be reached")
        return self._known

    @property
    def reset_page(self) -> str:
        """Where a user allows that their cross-signing keys are replaced; empty where that is not known."""
        page = self._known.get("account_management_uri")
        if not isinstance(page, str):
            return ""
        return f"{page}{'&' if '?' in page else '?'}action=org.matrix.cross_signing_reset"

    async def _refresh(self) -> None:
        """Where it is away, what was known before holds."""
        try:
            status, body = await self._ask("GET", METADATA, None, {"Accept": "application/json"})
            found = _read(body, dict[str, Any]) if status == 200 else {}
        except MatrixError:
            found = {}
        if isinstance(found.get("issuer"), str):
            self._known = found
        good_for = METADATA_S if found else RETRY_S
        self._good_until = self._clock.elapsed_s() + good_for

    async def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        timeout_s = self._config.timeout_seconds
        try:
            async with self._http.request(
                method, self._base + path, headers=headers, body=body, timeout_s=timeout_s
            ) as response:
                return response.status, await response.read(MAX_ANSWER)
        except HttpError as error:
            log.warning("delegation_unreachable", endpoint=self._base, error=str(error))
            raise _away("cannot be reached") from error


def introspection_headers(secret: str) -> dict[str, str]:
    """With which it is asked about a token."""
    return {
        "Accept": "application/json",
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/x-www-form-urlencoded",
        # Of older sessions the device may have a name that no scope can have.
        "X-MAS-Supports-Device-Id": "1",
    }


def introspection_form(token: str) -> bytes:
    """What it is asked (RFC 7662, 2.1)."""
    fields = {"token": token, "token_type_hint": "access_token"}
    return urlencode(fields, errors="replace").encode()


def _read(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _away("answers what cannot be read") from error


def _away(what: str) -> Unavailable:
    return Unavailable(f"The authentication service {what}")
