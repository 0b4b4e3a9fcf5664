"""How users of a server that is not ours become members of rooms that are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from palpo.core.event_hashes import event_id_of, sign_event
from palpo.core.room_versions import room_version
from tests.support.homeserver import Homeserver
from tests.support.remote_server import RemoteServer

V1 = "/_matrix/federation/v1"
V2 = "/_matrix/federation/v2"
VERSIONS = "&".join(f"ver={number}" for number in range(1, 13))


def path(*parts: str) -> str:
    """A path's end, percent-encoded."""
    return "".join("/" + quote(part, safe="") for part in parts)


async def make(
    remote: RemoteServer,
    ours: Homeserver,
    membership: str,
    room_id: str,
    user_id: str,
    *,
    query: str = VERSIONS,
    status: int = 200,
) -> Any:
    """Ask for a template."""
    url = f"{V1}/make_{membership}{path(room_id, user_id)}"
    return await remote.ask(ours, "GET", f"{url}?{query}" if query else url, status=status)


def signed(remote: RemoteServer, template: dict[str, Any], **changed: Any) -> tuple[str, dict[str, Any]]:
    """A template as its server signs it, and its ID."""
    rules = room_version(template["room_version"])
    pdu = {key: value for key, value in template["event"].items() if key != "origin"} | changed
    if template["room_version"] in ("1", "2"):
        pdu["event_id"] = f"${pdu['origin_server_ts']}-{pdu['depth']}:{remote.name}"
    event = sign_event(rules, pdu, remote.name, remote.key)
    return event_id_of(rules, event), event


async def send(
    remote: RemoteServer,
    ours: Homeserver,
    membership: str,
    room_id: str,
    event: tuple[str, dict[str, Any]],
    *,
    prefix: str = V2,
    query: str = "",
    status: int = 200,
) -> Any:
    """Send what was made of it."""
    prefix = V1 if membership == "knock" else prefix
    url = f"{prefix}/send_{membership}{path(room_id, event[0])}{query}"
    return await remote.ask(ours, "PUT", url, event[1], status=status)


async def become(
    remote: RemoteServer, ours: Homeserver, membership: str, room_id: str, user_id: str, **options: Any
) -> Any:
    """The whole handshake; what is answered in the end."""
    template = await make(remote, ours, membership, room_id, user_id)
    return await send(remote, ours, membership, room_id, signed(remote, template), **options)
