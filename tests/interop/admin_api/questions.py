"""What is asked of both servers, in this order: first what changes nothing, last what takes away.

``{name}`` stands for what a world has by that name (``world.py``): a user, a room, an event, media. What a
question ``keeps`` of its answer has a name for those after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request of an operation of ``operations.py``."""

    operation: str
    about: str
    """What makes it another than other questions of the operation."""
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    keeps: Mapping[str, str] = field(default_factory=dict)
    """Names that fields of the answer are known by from now on."""
    until: Mapping[str, Any] = field(default_factory=dict)
    """Asked again until this is in the answer: what runs in the background ends."""

    @property
    def name(self) -> str:
        """One of a kind."""
        return f"{self.operation} {self.about}".strip()


def asks(
    operation: str,
    about: str = "",
    *,
    params: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    keeps: Mapping[str, str] | None = None,
    until: Mapping[str, Any] | None = None,
) -> Question:
    return Question(
        operation=operation,
        about=about,
        params=params or {},
        query=query or {},
        body=body,
        keeps=keeps or {},
        until=until or {},
    )


ALICE = {"user_id": "{alice}"}
BOB = {"user_id": "{bob}"}
DAVE = {"user_id": "{dave}"}
NOBODY = {"user_id": "@nobody:{server}"}
STRANGER = {"user_id": "@stranger:{other}"}
NEWCOMER = {"user_id": "@newcomer:{server}"}
ROOM = {"room_id": "{room}"}
NO_ROOM = {"room_id": "!nothing:{server}"}
NO_MEDIA = {"server_name": "{server}", "media_id": "nothing"}
PICTURE = {"server_name": "{server}", "media_id": "{picture}"}
BY_ALIAS = {"room_id_or_alias": "{alias}"}
NO_EVENT = "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

READING = (
    asks("GET /v1/server_version"),
    # Accounts
    asks("GET /v2/users"),
    asks("GET /v2/users", "a page", query={"from": "1", "limit": "2", "order_by": "creation_ts", "dir": "b"}),
    asks("GET /v2/users", "a name", query={"name": "ali"}),
    asks("GET /v2/users", "no guests", query={"guests": "false", "deactivated": "true", "locked": "true"}),
    asks("GET /v2/users", "admins", query={"admins": "true"}),
    asks("GET /v2/users", "an order there is not", query={"order_by": "shoe_size"}),
    asks("GET /v2/users", "a limit that is none", query={"limit": "-1"}),
    asks("GET /v3/users"),
    asks("GET /v3/users", "who is deactivated", query={"deactivated": "true"}),
    asks("GET /v2/users/{user_id}", "a user", params=ALICE),
    asks("GET /v2/users/{user_id}", "the administrator", params={"user_id": "{admin}"}),
    asks("GET /v2/users/{user_id}", "nobody", params=NOBODY),
    asks("GET /v2/users/{user_id}", "of another server", params=STRANGER),
    asks("GET /v2/users/{user_id}", "no user ID", params={"user_id": "alice"}),
    asks("GET /v1/username_available", "free", query={"username": "free"}),
    asks("GET /v1/username_available", "taken", query={"username": "alice"}),
    asks("GET /v1/username_available", "not valid", query={"username": "Ü"}),
    asks(
        "GET /v1/auth_providers/{provider}/users/{external_id}",
        "nobody",
        params={"provider": "oidc-a", "external_id": "x"},
    ),
    asks(
        "GET /v1/threepid/{medium}/users/{address}",
        "nobody",
        params={"medium": "email", "address": "a@example.org"},
    ),
    asks(
        "GET /v1/threepid/{medium}/users/{address}",
        "no address",
        params={"medium": "email", "address": "nowhere"},
    ),
    asks("GET /v1/users/{user_id}/admin", "a user", params=ALICE),
    asks("GET /v1/users/{user_id}/admin", "nobody", params=NOBODY),
    asks("GET /v1/users/{user_id}/override_ratelimit", "none", params=ALICE),
    asks("GET /v1/users/{user_id}/override_ratelimit", "nobody", params=NOBODY),
    asks("GET /v1/experimental_features/{user_id}", "a user", params=ALICE),
    asks("GET /v1/register"),
    # What users have
    asks("GET /v1/whois/{user_id}", "a user", params=ALICE),
    asks("GET /v1/whois/{user_id}", "nobody", params=NOBODY),
    asks("GET /v1/whois/{user_id}", "of another server", params=STRANGER),
    asks("GET //_matrix/client/v3/admin/whois/{user_id}", "a user", params=ALICE),
    asks("GET /v1/users/{user_id}/joined_rooms", "a user", params=ALICE),
    asks("GET /v1/users/{user_id}/joined_rooms", "of another server", params={"user_id": "@bob:{other}"}),
    asks("GET /v1/users/{user_id}/joined_rooms", "nobody", params=NOBODY),
    asks("GET /v1/users/{user_id}/memberships", "a user", params={"user_id": "{erin}"}),
    asks("GET /v1/users/{user_id}/memberships", "nobody", params=NOBODY),
    asks("GET /v1/users/{user_id}/sent_invite_count", "a user", params=ALICE, query={"from_ts": "0"}),
    asks("GET /v1/users/{user_id}/sent_invite_count", "since never", params=ALICE),
    asks(
        "GET /v1/users/{user_id}/cumulative_joined_room_count", "a user", params=ALICE, query={"from_ts": "0"}
    ),
    asks("GET /v1/users/{user_id}/accountdata", "a user", params=ALICE),
    asks("GET /v1/users/{user_id}/accountdata", "nobody", params=NOBODY),
    asks("GET /v1/users/{user_id}/pushers", "a user", params=ALICE),
    asks("GET /v1/users/{user_id}/pushers", "none", params=BOB),
    asks("GET /v1/users/{user_id}/pushers", "nobody", params=NOBODY),
    asks("GET /v1/users/{user_id}/media", "a user", params=ALICE),
    asks(
        "GET /v1/users/{user_id}/media",
        "a page",
        params=ALICE,
        query={"limit": "1", "order_by": "media_length"},
    ),
    asks("GET /v1/users/{user_id}/media", "nobody", params=NOBODY),
    asks("GET /v2/users/{user_id}/devices", "a user", params=ALICE),
    asks("GET /v2/users/{user_id}/devices", "nobody", params=NOBODY),
    asks(
        "GET /v2/users/{user_id}/devices/{device_id}",
        "a device",
        params=ALICE | {"device_id": "{alice_device}"},
    ),
    asks("GET /v2/users/{user_id}/devices/{device_id}", "none", params=ALICE | {"device_id": "nothing"}),
    # Rooms
    asks("GET /v1/rooms"),
    asks("GET /v1/rooms", "a page", query={"limit": "2", "from": "1", "order_by": "joined_members"}),
    asks("GET /v1/rooms", "a search", query={"search_term": "doom"}),
    asks("GET /v1/rooms", "a search for nothing", query={"search_term": ""}),
    asks("GET /v1/rooms", "public ones", query={"public_rooms": "true"}),
    asks("GET /v1/rooms", "empty ones", query={"empty_rooms": "true"}),
    asks("GET /v1/rooms", "an order there is not", query={"order_by": "colour"}),
    asks("GET /v1/rooms/{room_id}", "a room", params=ROOM),
    asks("GET /v1/rooms/{room_id}", "a space", params={"room_id": "{space}"}),
    asks("GET /v1/rooms/{room_id}", "none", params=NO_ROOM),
    asks("GET /v1/rooms/{room_id}/members", "a room", params=ROOM),
    asks("GET /v1/rooms/{room_id}/members", "none", params=NO_ROOM),
    asks("GET /v1/rooms/{room_id}/state", "a room", params=ROOM),
    asks("GET /v1/rooms/{room_id}/state", "a type", params=ROOM, query={"type": "m.room.name"}),
    asks("GET /v1/rooms/{room_id}/state", "no type", params=ROOM, query={"type": ""}),
    asks("GET /v1/rooms/{room_id}/state", "none", params=NO_ROOM),
    asks("GET /v1/rooms/{room_id}/messages", "a room", params=ROOM, query={"dir": "b", "limit": "3"}),
    asks(
        "GET /v1/rooms/{room_id}/messages",
        "from a token",
        params=ROOM,
        query={"from": "{prev_batch}", "dir": "b"},
    ),
    asks(
        "GET /v1/rooms/{room_id}/context/{event_id}",
        "an event",
        params=ROOM | {"event_id": "{event_2}"},
        query={"limit": "2"},
    ),
    asks("GET /v1/rooms/{room_id}/context/{event_id}", "none", params=ROOM | {"event_id": NO_EVENT}),
    asks(
        "GET /v1/rooms/{room_id}/timestamp_to_event", "the first", params=ROOM, query={"ts": "0", "dir": "f"}
    ),
    asks("GET /v1/rooms/{room_id}/timestamp_to_event", "none", params=ROOM, query={"ts": "0", "dir": "b"}),
    asks("GET /v1/rooms/{room_id}/timestamp_to_event", "before all time", params=ROOM, query={"ts": "-1"}),
    asks(
        "GET /v1/rooms/{room_id}/messages",
        "from nowhere",
        params={"room_id": "{room}"},
        query={"from": "", "dir": "b", "limit": "3"},
    ),
    asks("GET /v1/rooms/{room_id}/hierarchy", "a space", params={"room_id": "{space}"}),
    asks("GET /v1/rooms/{room_id}/block", "not blocked", params=ROOM),
    asks(
        "GET /v1/rooms/{room_id_or_alias}/forward_extremities", "by ID", params={"room_id_or_alias": "{room}"}
    ),
    asks("GET /v1/rooms/{room_id_or_alias}/forward_extremities", "by alias", params=BY_ALIAS),
    asks("GET /v2/rooms/{room_id}/delete_status", "never deleted", params=ROOM),
    asks("GET /v2/rooms/delete_status/{delete_id}", "none", params={"delete_id": "nothing"}),
    asks("GET /v1/purge_history_status/{purge_id}", "none", params={"purge_id": "nothing"}),
    asks("GET /v1/fetch_event/{event_id}", "an event", params={"event_id": "{event_1}"}),
    asks("GET /v1/fetch_event/{event_id}", "none", params={"event_id": NO_EVENT}),
    # Media
    asks("GET /v1/room/{room_id}/media", "a room", params=ROOM),
    asks("GET /v1/room/{room_id}/media", "none", params=NO_ROOM),
    asks("GET /v1/media/{server_name}/{media_id}", "a picture", params=PICTURE),
    asks("GET /v1/media/{server_name}/{media_id}", "none", params=NO_MEDIA),
    asks("GET /v1/statistics/users/media"),
    asks(
        "GET /v1/statistics/users/media",
        "a page",
        query={"limit": "1", "order_by": "media_length", "dir": "b"},
    ),
    asks("GET /v1/statistics/users/media", "a search", query={"search_term": "bob"}),
    asks("GET /v1/statistics/users/media", "a search for nothing", query={"search_term": ""}),
    asks("GET /v1/statistics/users/media", "of no time", query={"from_ts": "5", "until_ts": "5"}),
    asks("GET /v1/statistics/users/media", "an order there is not", query={"order_by": "colour"}),
    asks("GET /v1/statistics/database/rooms"),
    # Reports
    asks("GET /v1/event_reports", keeps={"report": "event_reports.0.id"}),
    asks("GET /v1/event_reports", "a page", query={"limit": "1", "dir": "f"}),
    asks("GET /v1/event_reports", "of a user", query={"user_id": "{bob}", "room_id": "{room}"}),
    asks("GET /v1/event_reports", "about a user", query={"event_sender_user_id": "{dave}"}),
    asks("GET /v1/event_reports", "a direction there is not", query={"dir": "up"}),
    asks("GET /v1/event_reports", "by parts of IDs", query={"user_id": "bo", "room_id": "!"}),
    asks("GET /v1/event_reports", "of a part of a sender", query={"event_sender_user_id": "dav"}),
    asks("GET /v1/event_reports", "with nothing to look for", query={"user_id": "", "room_id": ""}),
    asks("GET /v1/user_reports", keeps={"user_report": "user_reports.0.id"}),
    asks("GET /v1/user_reports", "a page", query={"limit": "1", "dir": "f"}),
    asks("GET /v1/user_reports", "by parts of IDs", query={"user_id": "bo", "target_user_id": "car"}),
    asks("GET /v1/user_reports", "of nobody", query={"target_user_id": "nobody"}),
    asks("GET /v1/user_reports", "a direction there is not", query={"dir": "up"}),
    asks("GET /v1/user_reports/{report_id}", "a report", params={"report_id": "{user_report}"}),
    asks("GET /v1/user_reports/{report_id}", "none", params={"report_id": "9999"}),
    asks("GET /v1/user_reports/{report_id}", "no number", params={"report_id": "x"}),
    asks("GET /v1/event_reports/{report_id}", "a report", params={"report_id": "{report}"}),
    asks("GET /v1/event_reports/{report_id}", "none", params={"report_id": "9999"}),
    asks("GET /v1/event_reports/{report_id}", "no number", params={"report_id": "x"}),
    # The server
    asks("GET /v1/federation/destinations"),
    asks("GET /v1/federation/destinations", "an order", query={"order_by": "retry_last_ts", "dir": "b"}),
    asks("GET /v1/federation/destinations", "an order there is not", query={"order_by": "colour"}),
    asks("GET /v1/federation/destinations/{destination}", "one", params={"destination": "{other}"}),
    asks(
        "GET /v1/federation/destinations/{destination}", "none", params={"destination": "nowhere.example.org"}
    ),
    asks("GET /v1/federation/destinations/{destination}/rooms", "one", params={"destination": "{other}"}),
    asks(
        "GET /v1/federation/destinations/{destination}/rooms",
        "none",
        params={"destination": "nowhere.example.org"},
    ),
    asks("GET /v1/scheduled_tasks"),
    asks("GET /v1/scheduled_tasks", "those that failed", query={"status": "failed"}),
    asks("GET /v1/scheduled_tasks", "a state there is not", query={"job_status": "tired"}),
    asks("GET /v1/scheduled_tasks", "those that are active", query={"job_status": "active"}),
    # A new Synapse has some to begin with.
    asks("GET /v1/background_updates/status", until={"current_updates": {}}),
    asks("GET /v1/background_updates/enabled"),
    asks("GET /v1/registration_tokens", "none yet"),
    asks("GET /v1/registration_tokens/{token}", "none", params={"token": "nothing"}),
)

CHANGING = (
    # Accounts
    asks(
        "PUT /v2/users/{user_id}",
        "a new one",
        params=NEWCOMER,
        body={
            "password": "{password}",
            "displayname": "New",
            "threepids": [{"medium": "email", "address": "new@example.org"}],
            "external_ids": [{"auth_provider": "oidc-example", "external_id": "1/2"}],
            "admin": False,
            "user_type": None,
        },
    ),
    asks("PUT /v2/users/{user_id}", "no body", params=NEWCOMER, body={}),
    asks("PUT /v2/users/{user_id}", "a name", params=NEWCOMER, body={"displayname": "Newer", "locked": True}),
    asks("PUT /v2/users/{user_id}", "unlocked", params=NEWCOMER, body={"locked": False, "user_type": "bot"}),
    asks("PUT /v2/users/{user_id}", "of another server", params=STRANGER, body={"displayname": "x"}),
    asks("PUT /v2/users/{user_id}", "a type there is not", params=NEWCOMER, body={"user_type": "ghost"}),
    asks("PUT /v2/users/{user_id}", "no boolean", params=NEWCOMER, body={"admin": "yes"}),
    asks("GET /v2/users/{user_id}", "the new one", params=NEWCOMER),
    asks("GET /v2/users", "without bots", query={"not_user_type": "bot"}),
    asks(
        "GET /v1/threepid/{medium}/users/{address}",
        "found",
        params={"medium": "email", "address": "new@example.org"},
    ),
    asks(
        "GET /v1/auth_providers/{provider}/users/{external_id}",
        "found",
        params={"provider": "oidc-example", "external_id": "1%2F2"},
    ),
    asks("PUT /v1/users/{user_id}/admin", "made one", params=NEWCOMER, body={"admin": True}),
    asks(
        "PUT /v1/users/{user_id}/admin",
        "oneself no more",
        params={"user_id": "{admin}"},
        body={"admin": False},
    ),
    asks("PUT /v1/users/{user_id}/admin", "nothing said", params=NEWCOMER, body={}),
    asks(
        "POST /v1/reset_password/{user_id}",
        "a user",
        params=NEWCOMER,
        body={"new_password": "another good one"},
    ),
    asks("POST /v1/reset_password/{user_id}", "nothing said", params=NEWCOMER, body={}),
    asks("PUT /v1/suspend/{user_id}", "suspended", params=BOB, body={"suspend": True}),
    asks("PUT /v1/suspend/{user_id}", "not any more", params=BOB, body={"suspend": False}),
    asks("PUT /v1/suspend/{user_id}", "nobody", params=NOBODY, body={"suspend": True}),
    asks("POST /v1/users/{user_id}/shadow_ban", "a user", params=BOB, body={}),
    asks("POST /v1/users/{user_id}/shadow_ban", "of another server", params=STRANGER, body={}),
    asks("DELETE /v1/users/{user_id}/shadow_ban", "a user", params=BOB),
    asks("POST /v1/users/{user_id}/login", "a user", params=BOB, body={}),
    asks("POST /v1/users/{user_id}/login", "oneself", params={"user_id": "{admin}"}, body={}),
    asks("POST /v1/users/{user_id}/login", "nobody", params=NOBODY, body={}),
    asks(
        "POST /v1/users/{user_id}/_allow_cross_signing_replacement_without_uia",
        "with a key",
        params=ALICE,
        body={},
    ),
    asks(
        "POST /v1/users/{user_id}/_allow_cross_signing_replacement_without_uia",
        "without",
        params=BOB,
        body={},
    ),
    asks(
        "POST /v1/users/{user_id}/override_ratelimit",
        "set",
        params=BOB,
        body={"messages_per_second": 10, "burst_count": 20},
    ),
    asks("GET /v1/users/{user_id}/override_ratelimit", "set", params=BOB),
    asks(
        "POST /v1/users/{user_id}/override_ratelimit",
        "below nothing",
        params=BOB,
        body={"messages_per_second": -1},
    ),
    asks("DELETE /v1/users/{user_id}/override_ratelimit", "a user", params=BOB),
    asks(
        "PUT /v1/experimental_features/{user_id}", "one", params=ALICE, body={"features": {"msc3881": True}}
    ),
    asks(
        "PUT /v1/experimental_features/{user_id}",
        "not known",
        params=ALICE,
        body={"features": {"msc0": True}},
    ),
    asks("POST /v1/account_validity/validity", "a user", body={"user_id": "{alice}"}),
    asks("POST /v1/register", "no nonce", body={"username": "x", "password": "{password}", "mac": "00"}),
    # What users have
    asks("POST /v2/users/{user_id}/devices", "a new one", params=BOB, body={"device_id": "NEWDEVICE"}),
    asks(
        "GET /v2/users/{user_id}/devices/{device_id}", "the new one", params=BOB | {"device_id": "NEWDEVICE"}
    ),
    asks(
        "PUT /v2/users/{user_id}/devices/{device_id}",
        "a name",
        params=BOB | {"device_id": "NEWDEVICE"},
        body={"display_name": "tablet"},
    ),
    asks(
        "PUT /v2/users/{user_id}/devices/{device_id}", "nobody", params=NOBODY | {"device_id": "X"}, body={}
    ),
    asks("DELETE /v2/users/{user_id}/devices/{device_id}", "one", params=BOB | {"device_id": "NEWDEVICE"}),
    asks("DELETE /v2/users/{user_id}/devices/{device_id}", "none", params=BOB | {"device_id": "NEWDEVICE"}),
    asks("POST /v2/users/{user_id}/delete_devices", "some", params=BOB, body={"devices": ["{bob_device}"]}),
    asks("POST /v2/users/{user_id}/delete_devices", "nothing said", params=BOB, body={}),
    asks(
        "POST /v1/user/{user_id}/redact",
        "a user",
        params=DAVE,
        body={"rooms": ["{room}"], "reason": "spam"},
        keeps={"redact": "redact_id"},
    ),
    asks(
        "GET /v1/user/redact_status/{redact_id}",
        "done",
        params={"redact_id": "{redact}"},
        until={"status": "complete"},
    ),
    asks("GET /v1/user/redact_status/{redact_id}", "none", params={"redact_id": "nothing"}),
    asks("POST /v1/user/{user_id}/redact", "nothing said", params=DAVE, body={}),
    # Rooms
    asks("PUT /v1/rooms/{room_id}/block", "blocked", params=NO_ROOM, body={"block": True}),
    asks("GET /v1/rooms/{room_id}/block", "blocked", params=NO_ROOM),
    asks("PUT /v1/rooms/{room_id}/block", "not any more", params=NO_ROOM, body={"block": False}),
    asks("PUT /v1/rooms/{room_id}/block", "no boolean", params=NO_ROOM, body={"block": "yes"}),
    asks(
        "POST /v1/rooms/{room_id_or_alias}/make_room_admin",
        "a member",
        params=BY_ALIAS,
        body={"user_id": "{carol}"},
    ),
    asks("POST /v1/rooms/{room_id_or_alias}/make_room_admin", "oneself", params=BY_ALIAS, body={}),
    asks("DELETE /v1/rooms/{room_id_or_alias}/forward_extremities", "a room", params=BY_ALIAS),
    asks("POST /v1/join/{room_id_or_alias}", "a user", params=BY_ALIAS, body={"user_id": "{erin}"}),
    asks("POST /v1/join/{room_id_or_alias}", "of another server", params=BY_ALIAS, body=STRANGER),
    asks("POST /v1/join/{room_id_or_alias}", "nothing said", params=BY_ALIAS, body={}),
    asks(
        "POST /v1/purge_history/{room_id}/{event_id}",
        "up to an event",
        params={"room_id": "{closed}", "event_id": "{closed_3}"},
        body={"delete_local_events": True},
        keeps={"purge": "purge_id"},
    ),
    asks(
        "GET /v1/purge_history_status/{purge_id}",
        "done",
        params={"purge_id": "{purge}"},
        until={"status": "complete"},
    ),
    asks("POST /v1/purge_history/{room_id}", "up to what", params={"room_id": "{closed}"}, body={}),
    asks(
        "POST /v1/purge_history/{room_id}",
        "up to a time before it",
        params={"room_id": "{closed}"},
        body={"purge_up_to_ts": 1},
    ),
    # Media
    asks("POST /v1/media/protect/{media_id}", "a picture", params={"media_id": "{second}"}, body={}),
    asks("POST /v1/media/unprotect/{media_id}", "a picture", params={"media_id": "{second}"}, body={}),
    asks("POST /v1/media/quarantine/{server_name}/{media_id}", "a picture", params=PICTURE, body={}),
    asks("GET /v1/media/{server_name}/{media_id}", "in quarantine", params=PICTURE),
    asks("GET /v1/media/quarantine_changes"),
    asks("POST /v1/media/unquarantine/{server_name}/{media_id}", "a picture", params=PICTURE, body={}),
    asks("GET /v1/media/quarantine_changes", "two"),
    asks("POST /v1/room/{room_id}/media/quarantine", "a room", params=ROOM, body={}),
    asks("POST /v1/quarantine_media/{room_id}", "a room", params=ROOM, body={}),
    asks("POST /v1/user/{user_id}/media/quarantine", "a user", params=BOB, body={}),
    asks("GET /v1/users/{user_id}/media", "in quarantine", params=BOB),
    # Reports, registration tokens and notices
    asks("DELETE /v1/user_reports/{report_id}", "a report", params={"report_id": "{user_report}"}),
    asks("DELETE /v1/user_reports/{report_id}", "none", params={"report_id": "9999"}),
    asks("DELETE /v1/event_reports/{report_id}", "a report", params={"report_id": "{report}"}),
    asks("DELETE /v1/event_reports/{report_id}", "none", params={"report_id": "9999"}),
    asks("POST /v1/registration_tokens/new", "any", body={}),
    asks(
        "POST /v1/registration_tokens/new",
        "one",
        body={"token": "defg", "uses_allowed": 1, "expiry_time": None},
    ),
    asks("POST /v1/registration_tokens/new", "the same", body={"token": "defg"}),
    asks("POST /v1/registration_tokens/new", "not valid", body={"token": "ä ö"}),
    asks("POST /v1/registration_tokens/new", "a length", body={"length": 65}),
    asks("GET /v1/registration_tokens"),
    asks("GET /v1/registration_tokens", "valid ones", query={"valid": "true"}),
    asks("GET /v1/registration_tokens/{token}", "one", params={"token": "defg"}),
    asks(
        "PUT /v1/registration_tokens/{token}", "uses", params={"token": "defg"}, body={"uses_allowed": None}
    ),
    asks(
        "PUT /v1/registration_tokens/{token}",
        "a time",
        params={"token": "defg"},
        body={"expiry_time": 4781243146000},
    ),
    asks(
        "PUT /v1/registration_tokens/{token}",
        "a time that is past",
        params={"token": "defg"},
        body={"expiry_time": 1},
    ),
    asks(
        "PUT /v1/registration_tokens/{token}", "none", params={"token": "nothing"}, body={"uses_allowed": 1}
    ),
    asks("DELETE /v1/registration_tokens/{token}", "one", params={"token": "defg"}),
    asks("DELETE /v1/registration_tokens/{token}", "none", params={"token": "defg"}),
    asks(
        "POST /v1/send_server_notice",
        "a user",
        body={"user_id": "{carol}", "content": {"msgtype": "m.text", "body": "At noon"}},
    ),
    asks(
        "PUT /v1/send_server_notice/{transaction_id}",
        "a user",
        params={"transaction_id": "1"},
        body={"user_id": "{carol}", "content": {"msgtype": "m.text", "body": "At one"}},
    ),
    asks("POST /v1/send_server_notice", "nothing said", body={"user_id": "{carol}", "content": {}}),
    asks(
        "POST /v1/send_server_notice",
        "of another server",
        body={"user_id": "@stranger:{other}", "content": {"msgtype": "m.text", "body": "At noon"}},
    ),
    asks("POST /v1/send_server_notice", "nobody", body={"user_id": "@nobody:{server}", "content": {}}),
    # The server
    asks(
        "POST /v1/federation/destinations/{destination}/reset_connection",
        "never lost",
        params={"destination": "{other}"},
        body={},
    ),
    asks(
        "POST /v1/federation/destinations/{destination}/reset_connection",
        "none",
        params={"destination": "nowhere.example.org"},
        body={},
    ),
    asks(
        "POST /v1/background_updates/start_job",
        "statistics",
        body={"job_name": "populate_stats_process_rooms"},
    ),
    asks("POST /v1/background_updates/start_job", "a job there is not", body={"job_name": "tidy_up"}),
    asks("POST /v1/background_updates/enabled", "not", body={"enabled": False}),
    asks("POST /v1/background_updates/enabled", "again", body={"enabled": True}),
    asks("POST /v1/background_updates/enabled", "no boolean", body={"enabled": "yes"}),
)

TAKING_AWAY = (
    asks(
        "DELETE /v2/rooms/{room_id}",
        "later",
        params={"room_id": "{doomed}"},
        body={"new_room_user_id": "{admin}", "block": True, "purge": True},
        keeps={"delete": "delete_id"},
    ),
    asks(
        "GET /v2/rooms/delete_status/{delete_id}",
        "done",
        params={"delete_id": "{delete}"},
        until={"status": "complete"},
    ),
    asks("GET /v2/rooms/{room_id}/delete_status", "done", params={"room_id": "{doomed}"}),
    asks("GET /v1/scheduled_tasks", "of a room", query={"resource_id": "{doomed}"}),
    asks("DELETE /v2/rooms/{room_id}", "none", params=NO_ROOM, body={}),
    asks("DELETE /v2/rooms/{room_id}", "no boolean", params=ROOM, body={"purge": "yes"}),
    asks("DELETE /v1/rooms/{room_id}", "at once", params={"room_id": "{doomed_2}"}, body={}),
    asks("DELETE /v1/media/{server_name}/{media_id}", "a picture", params=PICTURE),
    asks("DELETE /v1/media/{server_name}/{media_id}", "none", params=NO_MEDIA),
    asks(
        "POST /v1/media/delete", "by date", query={"before_ts": "4781243146000", "size_gt": "10000"}, body={}
    ),
    asks("POST /v1/media/delete", "before when", body={}),
    asks("POST /v1/media/delete", "long ago", query={"before_ts": "1"}, body={}),
    asks(
        "POST /v1/media/{server_name}/delete",
        "by date",
        params={"server_name": "{server}"},
        query={"before_ts": "4781243146000", "size_gt": "10000"},
        body={},
    ),
    asks("DELETE /v1/users/{user_id}/media", "a user", params={"user_id": "{carol}"}),
    asks("DELETE /v1/users/{user_id}/media", "of another server", params=STRANGER),
    asks("POST /v1/purge_media_cache", "all", query={"before_ts": "1700000000000"}, body={}),
    asks("POST /v1/purge_media_cache", "before when", body={}),
    asks("POST /v1/deactivate/{user_id}", "a user", params={"user_id": "{carol}"}, body={"erase": True}),
    asks("POST /v1/deactivate/{user_id}", "nobody", params=NOBODY, body={}),
    asks("GET /v2/users/{user_id}", "deactivated", params={"user_id": "{carol}"}),
    asks("GET /v2/users", "deactivated ones", query={"deactivated": "true"}),
)

QUESTIONS = READING + CHANGING + TAKING_AWAY
