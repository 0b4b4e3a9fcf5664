"""Requests to a provider: bounded, and to addresses that the policy permits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from palpo.core.errors import Unavailable
from palpo.net.http_client import HttpClient, HttpError

MAX_ANSWER = 512 * 1024
"""Bytes."""


class Fetching:
    """Asks one provider."""

    def __init__(self, http: HttpClient, *, timeout_s: float, tls: bool) -> None:
        """``tls`` says that nothing is asked for in plain text."""
        self._http = http
        self._timeout_s = timeout_s
        self._tls = tls

    async def json(self, url: str, *, token: str | None = None) -> dict[str, Any]:
        """The object at a URL; raises Unavailable."""
        return decoded(await self.get(url, token=token))

    async def get(self, url: str, *, token: str | None = None) -> bytes:
        """What is at a URL, for who has the access token; raises Unavailable."""
        headers = {"Accept": "application/json, application/jwt"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        status, body = await self._ask("GET", url, headers, None)
        if status != 200:
            raise Unavailable("The provider does not answer as it should")
        return body

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """The status and the object with which a form is answered; raises Unavailable."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers}
        status, body = await self._ask("POST", url, sent, urlencode(fields).encode())
        return status, decoded(body)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        if self._tls and not url.startswith("https://"):
            raise Unavailable("The provider names an address without TLS")
        try:
            async with self._http.request(
                method, url, headers=headers, body=body, timeout_s=self._timeout_s
            ) as response:
                return response.status, await response.read(MAX_ANSWER)
        except HttpError as error:
            raise Unavailable("The provider cannot be reached") from error


def decoded(body: bytes) -> dict[str, Any]:
    """An object in JSON; raises Unavailable."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unavailable("The provider's answer cannot be read") from error
