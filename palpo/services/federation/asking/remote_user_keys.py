"""Keys of other servers' users, for clients here that ask for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from palpo.core.device_keys import check_uploaded_keys
from palpo.core.errors import MatrixError
from palpo.core.identifiers import ServerName, UserId
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.encryption.published_devices import merged
from palpo.services.encryption.remote_keys import ClaimedKeys, QueriedKeys
from palpo.services.federation.asking.remote_device_lists import RemoteDeviceLists, by_server
from palpo.services.federation.servers.away_servers import AwayServers
from palpo.services.federation.servers.remote_answers import convert
from palpo.storage.remote_device_lists import RemoteDevice
from palpo.streams.task_group import together
from palpo.streams.turns import Turns

log = structlog.get_logger("palpo.federation")
KEY_LEVELS = 4
"""How deep the keys are in an answer: below users and devices."""
FAILURE = {"status": 503, "message": "The server cannot be reached"}
CLAIM_BYTES = 4 * 1024 * 1024
"""Of an answer with one-time keys."""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to /user/keys/claim."""

    one_time_keys: dict[str, Any]


class RemoteUserKeys:
    """Takes them from the lists that are in step, and asks the users' servers for the others."""

    def __init__(self, lists: RemoteDeviceLists, client: FederationClient, away: AwayServers) -> None:
        self._lists = lists
        self._client = client
        self._away = away

    async def query(
        self, observer: UserId, wanted: Mapping[str, Sequence[str]], *, within_s: float
    ) -> QueriedKeys:
        """The keys of users (user → devices, none meaning all); ``failures`` of servers that are away."""
        found = QueriedKeys()
        kept = await self._lists.in_step(observer, wanted)
        async for user_id, (item, devices) in Turns().over(kept.items()):
            _add(found, user_id, devices, wanted[user_id], item.master_key, item.self_signing_key)
        missing = by_server(user_id for user_id in wanted if user_id not in kept)

        async def ask(server: ServerName) -> None:
            told = await self._lists.fetch(server, missing[server], observer=observer, within_s=within_s)
            async for item in Turns().over(told):
                devices = wanted[item.user_id]
                _add(found, item.user_id, item.devices, devices, item.master_key, item.self_signing_key)

        found.failures.update(await self._ask_each(missing, ask))
        return found

    async def claim(self, wanted: Mapping[str, Mapping[str, str]], *, within_s: float) -> ClaimedKeys:
        """One one-time key for each device (user → device → algorithm)."""
        claimed = ClaimedKeys()
        users = by_server(wanted)

        async def ask(server: ServerName) -> None:
            asked: dict[str, Mapping[str, str]] = {user_id: wanted[user_id] for user_id in users[server]}
            answer = await self._client.json(
                server,
                "POST",
                "/_matrix/federation/v1/user/keys/claim",
                content={"one_time_keys": asked},
                limit=CLAIM_BYTES,
                levels=KEY_LEVELS,
                times=Times(whole_s=within_s, connect_s=within_s, idle_s=within_s),
            )
            claimed.one_time_keys.update(await _checked(convert(answer, Claimed), asked))

        claimed.failures.update(await self._ask_each(users, ask))
        return claimed

    async def _ask_each(
        self, servers: Iterable[ServerName], ask: Callable[[ServerName], Awaitable[None]]
    ) -> dict[str, dict[str, Any]]:
        """Ask servers side by side, but for those that are away; the failures of those that are."""

        async def failed(server: ServerName) -> bool:
            if self._away.is_away(server):
                return True
            try:
                await ask(server)
            except (FederationError, MatrixError) as error:
                log.info("keys_not_told", server=server, error=str(error)[:200])
                if _is_away(error):
                    self._away.failed(server)
                return True
            self._away.heard_from(server)
            return False

        names = list(servers)
        results = await together([failed(server) for server in names])
        return {name: dict(FAILURE) for name, away in zip(names, results, strict=True) if away}


def _is_away(error: FederationError | MatrixError) -> bool:
    """Whether a server is to be left alone for a while: it did not just refuse."""
    return not isinstance(error, ServerError) or error.status >= 500 or error.status == 429


def _add(
    found: QueriedKeys,
    user_id: str,
    devices: Iterable[RemoteDevice],
    wanted: Sequence[str],
    master_key: bytes | None,
    self_signing_key: bytes | None,
) -> None:
    """Add one user's keys to what is found: those of ``wanted`` devices, or all where there are none."""
    found.device_keys[user_id] = {
        item.device_id: merged(item.json, (), item.display_name)
        for item in devices
        if not wanted or item.device_id in wanted
    }
    for usage, key in (("master", master_key), ("self_signing", self_signing_key)):
        if key is not None:
            found.cross_signing.setdefault(usage, {})[user_id] = msgspec.Raw(bytes(key))


async def _checked(
    answer: Claimed, asked: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, dict[str, msgspec.Raw]]]:
    """Those one-time keys that were asked for, and have the right shape."""
    found: dict[str, dict[str, dict[str, msgspec.Raw]]] = {}
    turns = Turns()
    for user_id, devices in asked.items():
        told = answer.one_time_keys.get(user_id)
        if type(told) is not dict:
            continue
        for device_id in devices:
            await turns.breathe()
            key = _one_time_key(told.get(device_id), devices[device_id])
            if key is not None:
                found.setdefault(user_id, {})[device_id] = key
    return found


def _one_time_key(told: Any, algorithm: str) -> dict[str, msgspec.Raw] | None:
    """The one key that a device was asked for."""
    if type(told) is not dict or len(told) != 1:
        return None
    try:
        (key,) = check_uploaded_keys(told)
    except MatrixError:
        return None
    return {key.name: msgspec.Raw(key.json)} if key.algorithm == algorithm else None
