"""Requests to application services (spec: "Homeserver -> Application Service API")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from palpo.config.appservices import Registration
from palpo.net.http_client import HttpClient
from palpo.wire.appservice.calls import AppserviceCall

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of a response that are read."""


class NoUrl(Exception):
    """The application service wants no requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an application service answered."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    @property
    def unserved(self) -> bool:
        """Whether the endpoint may be one that the service does not have.

        A Matrix error of another kind is an answer by somebody who understood the question.
        """
        if self.ok:
            return False
        try:
            error = msgspec.json.decode(self.body, type=_Error)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return True
        return error.errcode in (None, "M_UNRECOGNIZED")


class _Error(msgspec.Struct, frozen=True):
    errcode: str | None = None


class AppserviceClient:
    """Calls application services, at the paths of before where they know only those."""

    def __init__(self, http: HttpClient) -> None:
        """``http`` may connect wherever the operator's registrations say."""
        self._http = http

    async def call(
        self,
        registration: Registration,
        call: AppserviceCall,
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """The answer, of any status; raises NoUrl and HttpError."""
        answer = await self._send(registration, call, call.path, path or {}, query, body, timeout_s)
        if call.legacy_path is None or not answer.unserved:
            return answer
        old_query = [*query, ("access_token", registration.hs_token)]
        legacy = call.legacy_path
        older = await self._send(registration, call, legacy, path or {}, old_query, body, timeout_s)
        return older if older.ok else answer

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def _send(
        self,
        registration: Registration,
        call: AppserviceCall,
        template: str,
        path: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout_s: float,
    ) -> Answer:
        if registration.url is None:
            raise NoUrl(registration.id)
        segments = {name: quote(value, safe="") for name, value in path.items()}
        url = registration.url + template.format(**segments)
        if query:
            url += "?" + urlencode(query)
        headers = {"Authorization": f"Bearer {registration.hs_token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._http.request(
            call.method, url, headers=headers, body=body, timeout_s=timeout_s
        ) as response:
            return Answer(status=response.status, body=await response.read(MAX_ANSWER))
