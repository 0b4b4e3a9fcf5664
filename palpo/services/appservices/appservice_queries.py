"""What the server asks application services when somebody wants to know.

Users and aliases that may be about to exist (spec: application service API, "Querying"), third-party
networks, and pings. A service that was just found to be away is not asked again for a while, so that it
slows nobody down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from palpo.config.appservices import Registration
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadRequest, Forbidden, MatrixError, NotFound
from palpo.core.identifiers import RoomAlias, UserId
from palpo.net.http_client import HttpError, TimedOut
from palpo.services.accounts.appservices import AppServices
from palpo.services.appservices.appservice_client import AppserviceClient, NoUrl
from palpo.streams.task_group import together
from palpo.wire.appservice import calls
from palpo.wire.appservice.calls import AppserviceCall

log = structlog.get_logger("palpo.appservices")
T = TypeVar("T")

QUERY_SECONDS = 5.0
ATTEMPTS = 2
"""How often a query that is not answered is sent."""
AWAY_SECONDS = 15.0
"""How long a service that did not answer is left alone."""
PROTOCOL_SECONDS = 60.0
"""How long what a service said of a protocol is remembered."""
MAX_PROTOCOLS = 1000
MAX_PING_BODY = 2048
"""Characters of an answer that a failed ping repeats."""


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a third-party network, and the alias of the room that leads to it."""

    alias: RoomAlias
    protocol: str
    fields: dict[str, Any]


class ThirdPartyUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user of a third-party network, and who stands for them."""

    userid: str
    protocol: str
    fields: dict[str, Any]


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """What a protocol's users and locations are found by; instances carry their ``instance_id``."""

    user_fields: list[str]
    location_fields: list[str]
    icon: str
    field_types: dict[str, dict[str, Any]]
    instances: list[dict[str, Any]]


class AppserviceQueries:
    """Asks application services."""

    def __init__(
        self,
        appservices: AppServices,
        client: AppserviceClient,
        monotonic: Callable[[], float],
        *,
        query_s: float = QUERY_SECONDS,
    ) -> None:
        self._query_s = query_s
        self._appservices = appservices
        self._client = client
        self._now = monotonic
        self._away_until: dict[str, float] = {}
        self._protocols: dict[tuple[str, str], tuple[float, Protocol | None]] = {}
        """As many as are registered, each until its time is over: no topic tells of them."""
        self.there = {item.id: asyncio.Event() for item in appservices.registrations}
        """By application service: set whenever it has been found to be there."""

    async def offer_user(self, user_id: UserId) -> bool:
        """Ask those in whose namespace an unknown local user is; whether one has made the user now.

        Raises MatrixError with status 408 where one does not answer in time.
        """
        asked = [item for item in self._appservices.registrations if item.has_user(user_id)]
        return await self._offer(asked, calls.query_user, {"user_id": user_id})

    async def offer_alias(self, alias: RoomAlias) -> bool:
        """As ``offer_user``, for a local alias that stands for no room."""
        asked = [item for item in self._appservices.registrations if item.has_alias(alias)]
        return await self._offer(asked, calls.query_alias, {"room_alias": alias})

    async def _offer(
        self, registrations: Sequence[Registration], call: AppserviceCall, path: dict[str, str]
    ) -> bool:
        for registration in registrations:
            if registration.url is None or self._is_away(registration):
                continue
            if await self._try(registration, call, path):
                return True
        return False

    async def _try(self, registration: Registration, call: AppserviceCall, path: dict[str, str]) -> bool:
        for _ in range(ATTEMPTS):
            try:
                answer = await self._client.call(registration, call, path=path, timeout_s=self._query_s)
            except TimedOut:
                continue
            except HttpError as error:
                self._note_away(registration, error)
                return False
            self._note_there(registration)
            return answer.ok
        self._note_away(registration, None)
        raise MatrixError("The application service did not answer in time", status=408)

    async def ping(self, appservice_id: str, caller: str | None, transaction_id: str | None) -> int:
        """Ping the application service ``caller``, which must be the one named; milliseconds that it took.

        Raises Forbidden, M_URL_NOT_SET (400), M_BAD_STATUS and M_CONNECTION_FAILED (502) and
        M_CONNECTION_TIMEOUT (504).
        """
        registration = self._appservices.by_id(caller)
        if registration is None or registration.id != appservice_id:
            raise Forbidden("The access token is another's")
        body = to_json({} if transaction_id is None else {"transaction_id": transaction_id})
        started = self._now()
        try:
            answer = await self._client.call(
                registration, calls.ping, body=body, timeout_s=ATTEMPTS * self._query_s
            )
        except NoUrl:
            raise BadRequest("The registration has no url", errcode="M_URL_NOT_SET") from None
        except TimedOut:
            raise MatrixError(
                "The application service did not answer in time", status=504, errcode="M_CONNECTION_TIMEOUT"
            ) from None
        except HttpError as error:
            raise MatrixError(
                f"No connection to the application service: {error}",
                status=502,
                errcode="M_CONNECTION_FAILED",
            ) from None
        if not answer.ok:
            shown = answer.body.decode("utf-8", "replace")[:MAX_PING_BODY]
            raise MatrixError(
                f"The application service answered {answer.status}",
                status=502,
                errcode="M_BAD_STATUS",
                fields={"status": answer.status, "body": shown},
            )
        self._note_there(registration)
        return max(0, int((self._now() - started) * 1000))

    async def protocols(self) -> dict[str, Protocol]:
        """Every protocol that some service knows, by name."""
        names = sorted({name for item in self._appservices.registrations for name in item.protocols})
        found = await together(self._merged(name) for name in names[:MAX_PROTOCOLS])
        return {name: protocol for name, protocol in zip(names, found, strict=False) if protocol is not None}

    async def protocol(self, name: str) -> Protocol:
        """One protocol; raises NotFound."""
        found = await self._merged(name)
        if found is None:
            raise NotFound("No such protocol")
        return found

    async def locations(self, protocol: str, fields: Sequence[tuple[str, str]]) -> list[Location]:
        """The locations with these fields; raises NotFound where there are none."""
        asked, path = self._speakers(protocol), {"protocol": protocol}
        return await self._ask_all(asked, calls.locations_by_protocol, path, fields, list[Location])

    async def users(self, protocol: str, fields: Sequence[tuple[str, str]]) -> list[ThirdPartyUser]:
        """The users with these fields; raises NotFound where there are none."""
        asked, path = self._speakers(protocol), {"protocol": protocol}
        return await self._ask_all(asked, calls.users_by_protocol, path, fields, list[ThirdPartyUser])

    async def locations_of_alias(self, alias: RoomAlias) -> list[Location]:
        """The locations that a room alias leads to; raises NotFound where there are none."""
        asked = [item for item in self._appservices.registrations if item.has_alias(alias)]
        return await self._ask_all(asked, calls.locations_by_alias, {}, [("alias", alias)], list[Location])

    async def users_of_id(self, user_id: UserId) -> list[ThirdPartyUser]:
        """The third-party users that a user stands for; raises NotFound where there are none."""
        asked = [item for item in self._appservices.registrations if item.has_user(user_id)]
        return await self._ask_all(asked, calls.users_by_id, {}, [("userid", user_id)], list[ThirdPartyUser])

    def _speakers(self, protocol: str) -> list[Registration]:
        return [item for item in self._appservices.registrations if protocol in item.protocols]

    async def _ask_all(
        self,
        asked: Sequence[Registration],
        call: AppserviceCall,
        path: dict[str, str],
        query: Sequence[tuple[str, str]],
        kind: type[list[T]],
    ) -> list[T]:
        answers = await together(self._ask(item, call, path, query, kind) for item in asked)
        found = [entry for answer in answers if answer is not None for entry in answer]
        if not found:
            raise NotFound("Nothing was found")
        return found

    async def _merged(self, name: str) -> Protocol | None:
        """What all services that speak a protocol say of it: the first's description, every instance."""
        speakers = self._speakers(name)
        answers = await together(self._protocol_of(item, name) for item in speakers)
        known = [answer for answer in answers if answer is not None]
        if not known:
            return None
        instances = [instance for answer in known for instance in answer.instances]
        return msgspec.structs.replace(known[0], instances=instances)

    async def _protocol_of(self, registration: Registration, name: str) -> Protocol | None:
        key = (registration.id, name)
        kept = self._protocols.get(key)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        found = await self._ask(registration, calls.protocol, {"protocol": name}, (), Protocol)
        if found is not None:
            instances = [
                {**item, "instance_id": instance_id(registration.id, item["network_id"])}
                for item in found.instances
                if isinstance(item.get("network_id"), str)
            ]
            found = msgspec.structs.replace(found, instances=instances)
            self._protocols[key] = (self._now() + PROTOCOL_SECONDS, found)
        return found

    async def _ask(
        self,
        registration: Registration,
        call: AppserviceCall,
        path: dict[str, str],
        query: Sequence[tuple[str, str]],
        kind: type[T],
    ) -> T | None:
        """The answer, or None where there is none that can be used."""
        if registration.url is None or self._is_away(registration):
            return None
        try:
            answer = await self._client.call(
                registration, call, path=path, query=query, timeout_s=self._query_s
            )
        except HttpError as error:
            self._note_away(registration, error)
            return None
        self._note_there(registration)
        if not answer.ok:
            return None
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("appservice_bad_answer", appservice=registration.id, error=str(error))
            return None

    def _is_away(self, registration: Registration) -> bool:
        return self._away_until.get(registration.id, 0.0) > self._now()

    def _note_away(self, registration: Registration, error: Exception | None) -> None:
        log.warning("appservice_away", appservice=registration.id, error=str(error or "timed out"))
        self._away_until[registration.id] = self._now() + AWAY_SECONDS

    def _note_there(self, registration: Registration) -> None:
        self._away_until.pop(registration.id, None)
        self.there[registration.id].set()


def instance_id(appservice_id: str, network_id: str) -> str:
    """What tells one service's network from all others on this server, and names its room directory."""
    return f"{appservice_id}|{network_id}"
