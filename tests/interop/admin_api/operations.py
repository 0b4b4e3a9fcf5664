"""Every operation of Synapse's admin API that its documentation has, and those that are not served.

Reports of users are not in the documentation, but they are in Synapse, and dashboards show them.

Paths are as they are declared here, below ``/_synapse/admin`` unless they begin with ``//``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpo.wire.endpoint import Endpoint
from palpo.wire.registry import endpoints

PREFIX = "/_synapse/admin"
PENDING_FILE = Path(__file__).parent / "pending.txt"

DOCUMENTED: Mapping[str, str] = {
    "Accounts": """
        GET /v2/users
        GET /v3/users
        GET /v2/users/{user_id}
        PUT /v2/users/{user_id}
        GET /v1/username_available
        GET /v1/auth_providers/{provider}/users/{external_id}
        GET /v1/threepid/{medium}/users/{address}
        GET /v1/users/{user_id}/admin
        PUT /v1/users/{user_id}/admin
        POST /v1/reset_password/{user_id}
        POST /v1/deactivate/{user_id}
        PUT /v1/suspend/{user_id}
        POST /v1/users/{user_id}/shadow_ban
        DELETE /v1/users/{user_id}/shadow_ban
        POST /v1/users/{user_id}/login
        POST /v1/users/{user_id}/_allow_cross_signing_replacement_without_uia
        GET /v1/users/{user_id}/override_ratelimit
        POST /v1/users/{user_id}/override_ratelimit
        DELETE /v1/users/{user_id}/override_ratelimit
        GET /v1/experimental_features/{user_id}
        PUT /v1/experimental_features/{user_id}
        POST /v1/account_validity/validity
        GET /v1/register
        POST /v1/register
    """,
    "What users have and do": """
        GET /v1/whois/{user_id}
        GET //_matrix/client/v3/admin/whois/{user_id}
        GET /v1/users/{user_id}/joined_rooms
        GET /v1/users/{user_id}/memberships
        GET /v1/users/{user_id}/sent_invite_count
        GET /v1/users/{user_id}/cumulative_joined_room_count
        GET /v1/users/{user_id}/accountdata
        GET /v1/users/{user_id}/pushers
        GET /v1/users/{user_id}/media
        DELETE /v1/users/{user_id}/media
        GET /v2/users/{user_id}/devices
        POST /v2/users/{user_id}/devices
        POST /v2/users/{user_id}/delete_devices
        GET /v2/users/{user_id}/devices/{device_id}
        PUT /v2/users/{user_id}/devices/{device_id}
        DELETE /v2/users/{user_id}/devices/{device_id}
        POST /v1/user/{user_id}/redact
        GET /v1/user/redact_status/{redact_id}
    """,
    "Rooms": """
        GET /v1/rooms
        GET /v1/rooms/{room_id}
        GET /v1/rooms/{room_id}/members
        GET /v1/rooms/{room_id}/state
        GET /v1/rooms/{room_id}/messages
        GET /v1/rooms/{room_id}/context/{event_id}
        GET /v1/rooms/{room_id}/timestamp_to_event
        GET /v1/rooms/{room_id}/hierarchy
        GET /v1/rooms/{room_id}/block
        PUT /v1/rooms/{room_id}/block
        POST /v1/rooms/{room_id_or_alias}/make_room_admin
        GET /v1/rooms/{room_id_or_alias}/forward_extremities
        DELETE /v1/rooms/{room_id_or_alias}/forward_extremities
        DELETE /v1/rooms/{room_id}
        DELETE /v2/rooms/{room_id}
        GET /v2/rooms/{room_id}/delete_status
        GET /v2/rooms/delete_status/{delete_id}
        POST /v1/join/{room_id_or_alias}
        POST /v1/purge_history/{room_id}
        POST /v1/purge_history/{room_id}/{event_id}
        GET /v1/purge_history_status/{purge_id}
        GET /v1/fetch_event/{event_id}
    """,
    "Media": """
        GET /v1/room/{room_id}/media
        GET /v1/media/{server_name}/{media_id}
        DELETE /v1/media/{server_name}/{media_id}
        POST /v1/media/delete
        POST /v1/media/{server_name}/delete
        POST /v1/purge_media_cache
        POST /v1/media/quarantine/{server_name}/{media_id}
        POST /v1/media/unquarantine/{server_name}/{media_id}
        POST /v1/room/{room_id}/media/quarantine
        POST /v1/quarantine_media/{room_id}
        POST /v1/user/{user_id}/media/quarantine
        GET /v1/media/quarantine_changes
        POST /v1/media/protect/{media_id}
        POST /v1/media/unprotect/{media_id}
    """,
    "Reports, registration tokens and notices": """
        GET /v1/event_reports
        GET /v1/event_reports/{report_id}
        DELETE /v1/event_reports/{report_id}
        GET /v1/user_reports
        GET /v1/user_reports/{report_id}
        DELETE /v1/user_reports/{report_id}
        GET /v1/registration_tokens
        POST /v1/registration_tokens/new
        GET /v1/registration_tokens/{token}
        PUT /v1/registration_tokens/{token}
        DELETE /v1/registration_tokens/{token}
        POST /v1/send_server_notice
        PUT /v1/send_server_notice/{transaction_id}
    """,
    "The server": """
        GET /v1/server_version
        GET /v1/federation/destinations
        GET /v1/federation/destinations/{destination}
        GET /v1/federation/destinations/{destination}/rooms
        POST /v1/federation/destinations/{destination}/reset_connection
        GET /v1/statistics/users/media
        GET /v1/statistics/database/rooms
        GET /v1/scheduled_tasks
        GET /v1/background_updates/status
        GET /v1/background_updates/enabled
        POST /v1/background_updates/enabled
        POST /v1/background_updates/start_job
    """,
}

NOT_SERVED: Mapping[str, str] = {
    "POST /v1/account_validity/validity": "accounts here do not expire: there is nothing to renew",
}
"""Names of operations that are not going to be, and why."""

_PARAMETER = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method, and a path as it is in DOCUMENTED."""

    method: str
    path: str

    @property
    def name(self) -> str:
        """What DOCUMENTED calls it."""
        return f"{self.method} {self.path}"

    @property
    def full_path(self) -> str:
        """The path on a server, with its parameters in braces."""
        return self.path[1:] if self.path.startswith("//") else PREFIX + self.path

    def endpoint(self) -> Endpoint[Any, Any, Any] | None:
        """What serves it, if it is served."""
        return _declared().get((self.method, _shape(self.full_path)))


def operations() -> dict[str, tuple[Operation, ...]]:
    """All of them, by what they are about."""
    return {
        topic: tuple(Operation(*line.split()) for line in lines.strip().splitlines())
        for topic, lines in DOCUMENTED.items()
    }


def by_name() -> dict[str, Operation]:
    """All of them, by their names."""
    return {each.name: each for group in operations().values() for each in group}


def pending() -> tuple[str, ...]:
    """The names of those that are not served yet."""
    return tuple(PENDING_FILE.read_text().splitlines())


def _declared() -> dict[tuple[str, str], Endpoint[Any, Any, Any]]:
    return {(found.method, _shape(path)): found for found in endpoints() for path in found.paths}


def _shape(path: str) -> str:
    return _PARAMETER.sub("{}", path)
