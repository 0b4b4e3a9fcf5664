"""The server as others find it: its names, certificates and ports, by the way of the Internet.

Only the server's own names are asked, and those of its application services, wherever they are: an operator's
own server may well have an address that others must not have connected to.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from palpo.config.model import Config
from palpo.core.server_names import split_server_name
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.administration.doctor.checks import Check, ok, problem, warning
from palpo.services.administration.doctor.database import skew
from palpo.services.administration.server_checks import ServerChecks
from palpo.streams.clock import Clock

WITHIN_S = 10.0
MAX_ANSWER = 1 << 20
FEDERATION_PORT, HTTPS_PORT = 8448, 443
SOON_DAYS, VERY_SOON_DAYS = 20, 5
"""Until a certificate runs out; those of ACME are replaced some 30 days before."""


@dataclass(slots=True)
class Outside:
    """Looks, with what asks from this machine."""

    _config: Config
    _clock: Clock
    _http: HttpClient

    async def clients(self) -> AsyncIterator[Check]:
        """What a client meets with that knows the server's name."""
        yield await self._well_known_client()
        yield await self._versions()
        parts = urlsplit(self._config.base_url)
        if parts.scheme == "https" and parts.hostname:
            yield await self._certificate("clients' certificate", parts.hostname, parts.port or HTTPS_PORT)

    async def federation(self, checks: ServerChecks) -> AsyncIterator[Check]:
        """What another homeserver meets with."""
        if not self._config.federation.enabled:
            yield ok("federation", "off")
            return
        yield await self._well_known_server()
        findings = await checks.look(self._config.server_name)
        bad = [finding.text for finding in findings if finding.good is False]
        if findings[-1].good:
            yield ok("federation", findings[-1].text)
        else:
            advice = f"palpo federation check {self._config.server_name} says step by step where it ends"
            yield problem("federation", "; ".join(bad[-3:]), advice)
        host, port = self._federation_place()
        if findings[-1].good:
            yield await self._certificate("federation's certificate", host, port)

    async def appservices(self, urls: dict[str, str]) -> AsyncIterator[Check]:
        """Whether application services, by ID, answer at all."""
        for name, url in urls.items():
            try:
                await self._get(url)
            except HttpError as error:
                advice = "see that it runs; what it is to be told waits for it"
                yield problem(f"application service {name}", f"{url}: {_said(error)}", advice)
            else:
                yield ok(f"application service {name}", f"{url} answers")

    async def clock_of(self, host: str) -> Check:
        """This machine's clock beside another's, by the header Date."""
        url = host if "://" in host else f"https://{host}/"
        try:
            _, headers, _ = await self._get(url)
            there = parsedate_to_datetime(headers["Date"])
        except (HttpError, KeyError, ValueError) as error:
            text = _said(error) if isinstance(error, HttpError) else "it does not say what time it is"
            return warning("clock", f"{url}: {text}", "name another host")
        # The header has whole seconds: half of one is what it is off by on average.
        return skew("clock", round(there.timestamp() * 1000) + 500 - self._clock.now_ms())

    async def _well_known_client(self) -> Check:
        name, config = "client well-known", self._config
        url = f"https://{split_host(config.server_name)}/.well-known/matrix/client"
        if not config.public_url:
            advice = "set it, so that the server can say where it is: in mails, on pages, to clients"
            return warning(name, "public_url is not set", advice)
        try:
            status, headers, body = await self._get(url)
        except HttpError as error:
            return problem(
                name, f"{url}: {_said(error)}", "clients that know only the server's name look there"
            )
        said = _json(body).get("m.homeserver")
        base = said.get("base_url") if isinstance(said, dict) else None
        if status != 200 or not isinstance(base, str):
            advice = "have the web server of that name pass it on to Palpo"
            return problem(name, f"{url}: status {status}, and no m.homeserver", advice)
        if base.rstrip("/") != config.public_url.rstrip("/"):
            text = f"{url} sends clients to {base}, and public_url is {config.public_url}"
            return problem(name, text, "one of them is wrong")
        if headers.get("Access-Control-Allow-Origin") != "*":
            advice = "clients in browsers may not read it: Access-Control-Allow-Origin: *"
            return problem(name, f"{url} has no CORS header", advice)
        return ok(name, f"{url} sends clients to {base}")

    async def _versions(self) -> Check:
        name, base = "clients' address", self._config.base_url.rstrip("/")
        url = f"{base}/_matrix/client/versions"
        try:
            status, _, body = await self._get(url)
        except HttpError as error:
            return problem(name, f"{url}: {_said(error)}", "see the DNS, the port and the proxy")
        if status != 200 or "versions" not in _json(body):
            text = f"{url}: status {status}, and it is not Matrix that answers"
            return problem(name, text, "have the proxy pass on /_matrix to Palpo")
        if not base.startswith("https://"):
            return warning(
                name, f"{base} answers, without TLS", "passwords can be read on their way: use https"
            )
        return ok(name, f"{base} answers")

    async def _well_known_server(self) -> Check:
        name, wanted = "server well-known", self._config.well_known.server
        url = f"https://{split_host(self._config.server_name)}/.well-known/matrix/server"
        try:
            status, _, body = await self._get(url)
            told = _json(body).get("m.server") if status == 200 else None
        except HttpError:
            told = None
        if told == (wanted or None):
            return ok(name, f"{url} sends servers to {told}" if told else "there is none, and none is needed")
        text = f"{url} says {told!r}, and well_known.server is {wanted!r}"
        return problem(
            name, text, "have the web server of that name pass it on to Palpo, or change the setting"
        )

    def _federation_place(self) -> tuple[str, int]:
        """The host and port of federation, as they are meant to be."""
        place = split_server_name(self._config.well_known.server or self._config.server_name)
        return place.host, place.port or FEDERATION_PORT

    async def _certificate(self, name: str, host: str, port: int) -> Check:
        """Whether it is believed, and for how long."""
        try:
            until = await _certificate_until(host, port)
        except ssl.SSLCertVerificationError as error:
            advice = "others refuse it: have it made for that name, with its whole chain"
            return problem(name, f"{host}:{port}: {error.verify_message}", advice)
        except (OSError, TimeoutError) as error:
            text = f"{host}:{port}: {getattr(error, 'strerror', None) or error or 'no answer'}"
            return problem(name, text, "see the DNS and the port")
        days = (until - self._clock.now_ms() / 1000) / 86_400
        text = f"{host}:{port} has one that is good for {days:.0f} days"
        if days < VERY_SOON_DAYS:
            return problem(name, text, "replace it; the server takes it over by palpo server reload")
        if days < SOON_DAYS:
            return warning(name, text, "it should have been replaced by now: see what does that")
        return ok(name, text)

    async def _get(self, url: str) -> tuple[int, Any, bytes]:
        async with self._http.request("GET", url, timeout_s=WITHIN_S, redirects=3) as response:
            body = await response.read(MAX_ANSWER)
            return response.status, response.headers, body


def split_host(server_name: str) -> str:
    """A server name's host, as in a URL."""
    host = split_server_name(server_name).host
    return f"[{host}]" if ":" in host else host


async def _certificate_until(host: str, port: int) -> float:
    """Until when a certificate is good, in seconds since the Unix epoch; raises OSError."""
    context = ssl.create_default_context()
    async with asyncio.timeout(WITHIN_S):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        try:
            found: dict[str, Any] = writer.get_extra_info("peercert")
            return float(ssl.cert_time_to_seconds(found["notAfter"]))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(error: HttpError) -> str:
    return str(error) or type(error).__name__
