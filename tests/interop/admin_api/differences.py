"""Where Palpo's answers are not as Synapse's, and why that is right."""

from __future__ import annotations

from collections.abc import Mapping

OF_SQLITE = "Synapse's documentation has a boolean; on SQLite Synapse answers 0 and 1."
BY_DEVICE = (
    "The specification has sessions by device; Synapse has all of them as those of a device without an ID."
)
MEMBERSHIP = (
    "The specification has the membership of who asks in unsigned; Synapse leaves it out for administrators."
)
DOCUMENTED_ONLY = "It is in Synapse's documentation, and not in what Synapse answers."
OLD_EVENTS = (
    "Fields that events had in the first version of the client-server API; they are in unsigned and sender."
)

DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    "GET //_matrix/client/v3/admin/whois/{user_id}": {
        "devices.: only theirs": BY_DEVICE,
        "devices.{alice_device}: only ours": BY_DEVICE,
    },
    "GET /v1/room/{room_id}/media none": {
        "status: 404 M_NOT_FOUND, theirs 200 ": "There is no such room; to Synapse it is one without media.",
    },
    "GET /v1/statistics/database/rooms": {
        "status: 200 , theirs 400 M_UNKNOWN": "Palpo estimates on every database, Synapse on PostgreSQL.",
    },
    "POST /v1/media/delete long ago": {
        "status: 200 , theirs 400 M_INVALID_PARAM": "Nothing is that old, so nothing is deleted.",
    },
    "GET /v1/rooms/{room_id}/state": {
        "state[].age: only theirs": OLD_EVENTS,
        "state[].user_id: only theirs": OLD_EVENTS,
        "state[].unsigned.membership: only ours": MEMBERSHIP,
    },
    "GET /v1/rooms/{room_id}/messages": {
        "chunk[].age: only theirs": OLD_EVENTS,
        "chunk[].user_id: only theirs": OLD_EVENTS,
        "chunk[].unsigned.membership: only ours": MEMBERSHIP,
    },
    "GET /v1/rooms/{room_id}/context/{event_id}": {
        f"{part}.{said}": reason
        for part in ("event", "events_after[]", "events_before[]", "state[]")
        for said, reason in (
            ("age: only theirs", OLD_EVENTS),
            ("user_id: only theirs", OLD_EVENTS),
            ("unsigned.membership: only ours", MEMBERSHIP),
        )
    },
    "GET /v1/fetch_event/{event_id}": {
        "event.unsigned.age_ts: only ours": "As it is in Synapse's documentation, and not in its answers.",
    },
    "GET /v2/users/{user_id}/devices": {"devices[].dehydrated: only ours": DOCUMENTED_ONLY},
    "GET /v2/users/{user_id}/devices/{device_id}": {"dehydrated: only ours": DOCUMENTED_ONLY},
    "PUT /v1/experimental_features/{user_id} one": {
        "status: 400 M_UNKNOWN, theirs 200 ": "What there is is on for everybody; this is not there.",
    },
    "GET /v1/users/{user_id}/media": {"media[].authenticated: boolean, theirs number": OF_SQLITE},
    "GET /v1/media/{server_name}/{media_id}": {
        "media_info.authenticated: boolean, theirs number": OF_SQLITE,
        "media_info.safe_from_quarantine: boolean, theirs number": OF_SQLITE,
    },
    "GET /v1/media/quarantine_changes": {"changes[].quarantined: boolean, theirs number": OF_SQLITE},
}
"""By the name of an operation, or of a question: what ``shapes.differences`` says, and the reason."""
