"""Matrix Authentication Service, where it signs users in: as this server finds it, and as clients do."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.config.sections.delegation import DelegationConfig
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.accounts.delegation import (
    INTROSPECT,
    MAX_ANSWER,
    METADATA,
    WRONG_SETTING,
    introspection_form,
    introspection_headers,
)
from palpo.services.administration.doctor.checks import Check, ok, problem, warning

NAME = "authentication service"
URLS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")
SUPPORTED = {
    "response_types_supported": ("code",),
    "response_modes_supported": ("query", "fragment"),
    "grant_types_supported": ("authorization_code", "refresh_token"),
    "code_challenge_methods_supported": ("S256",),
}
"""What clients need of it (Matrix 1.15, client-server API, "Server metadata discovery")."""


@dataclass(slots=True)
class DelegationView:
    """Looks at it."""

    _config: DelegationConfig
    _http: HttpClient

    async def look(self) -> AsyncIterator[Check]:
        """What is found; without its metadata there is nothing more to look at than the secret."""
        endpoint = self._config.endpoint.rstrip("/") + "/"
        found = await self._metadata(endpoint)
        if isinstance(found, str):
            yield problem(NAME, found, "see that it runs, and oauth.delegation.endpoint")
        else:
            yield ok(NAME, f"{endpoint} answers")
            yield await self._issuer(found["issuer"])
            yield _for_clients(found)
        yield await self._secret(endpoint)

    async def _metadata(self, base: str) -> dict[str, Any] | str:
        """What it says of itself, with an issuer; or what is wrong."""
        url = base + METADATA
        try:
            status, body = await self._ask("GET", url, {"Accept": "application/json"})
            found = msgspec.json.decode(body) if status == 200 else None
        except HttpError as error:
            return f"{url}: {error}"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return f"{url}: what it answers is not JSON"
        if status != 200:
            return f"{url}: it answers with {status}"
        if not isinstance(found, dict) or not isinstance(found.get("issuer"), str):
            return f"{url}: it names no issuer"
        return found

    async def _issuer(self, issuer: str) -> Check:
        """Whether what clients reach at the issuer is the same service."""
        name = f"{NAME}'s issuer"
        advice = "http.issuer and http.public_base in its configuration, and the proxy before it"
        if not issuer.startswith(("https://", "http://")):
            return problem(name, f"{issuer} is no URL", advice)
        found = await self._metadata(issuer.rstrip("/") + "/")
        if isinstance(found, str):
            return problem(name, found, advice)
        if found["issuer"] != issuer:
            return problem(name, f"{issuer} says that it is {found['issuer']}", advice)
        if issuer.startswith("http://"):
            return warning(name, f"{issuer} is not HTTPS, which clients demand", advice)
        return ok(name, issuer)

    async def _secret(self, base: str) -> Check:
        """It is asked about a token that nobody has."""
        name, url = f"{NAME}'s secret", base + INTROSPECT
        headers, form = (
            introspection_headers(self._config.secret),
            introspection_form(secrets.token_urlsafe()),
        )
        try:
            status, body = await self._ask("POST", url, headers, form)
            found = msgspec.json.decode(body) if status == 200 else None
        except HttpError as error:
            return problem(name, f"{url}: {error}", "see that it runs, and oauth.delegation.endpoint")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if status in WRONG_SETTING:
            advice = "oauth.delegation.secret has to be matrix.secret in its configuration"
            return problem(name, "it refuses the secret", advice)
        if not isinstance(found, dict) or found.get("active") is not False:
            return problem(name, f"{url}: it does not answer as it should ({status})", "see its log")
        return ok(name, "it takes the secret")

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        timeout_s = self._config.timeout_seconds
        async with self._http.request(
            method, url, headers=headers, body=body, timeout_s=timeout_s
        ) as response:
            return response.status, await response.read(MAX_ANSWER)


def _for_clients(metadata: dict[str, Any]) -> Check:
    name = f"{NAME}'s metadata"
    missing = [key for key in URLS if not isinstance(metadata.get(key), str)]
    for key, values in SUPPORTED.items():
        known = metadata.get(key)
        missing += [
            f"{value} in {key}" for value in values if not isinstance(known, list) or value not in known
        ]
    if missing:
        return problem(name, f"clients miss {', '.join(missing)}", "see its version and configuration")
    if not isinstance(metadata.get("account_management_uri"), str):
        advice = "see its version; users do not find where they manage their devices"
        return warning(name, "there is no account_management_uri", advice)
    return ok(name, "it has what clients need")
