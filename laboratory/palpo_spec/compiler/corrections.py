"""Where the specification's data says something its text doesn't: what is changed on reading, and why.

A correction that no longer applies stops the compiler, so that the table shrinks as the data is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class StaleCorrection(Exception):
    """A correction names a place or a keyword that the data doesn't have any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """At `pointer` (a path of keys) in `file`: remove the keywords `drop`, then put those of `put`."""

    file: str
    pointer: tuple[str | int, ...]
    reason: str
    drop: tuple[str, ...] = ()
    put: Mapping[str, Any] = field(default_factory=dict)


_AVATAR = "a server hands back the avatar URL the user chose, which may be empty or not an mxc URI"
_ALGORITHM = "the room's algorithm is whatever its m.room.encryption event says"
_BACKUP = "the server hands back the algorithm the client stored, and doesn't interpret it"


def _response(path: str, method: str, *rest: str | int) -> tuple[str | int, ...]:
    return ("paths", path, method, "responses", "200", "content", "application/json", "schema", *rest)


def _avatar(file: str, *pointer: str | int) -> Correction:
    return Correction(file=f"api/{file}", pointer=(*pointer, "avatar_url"), drop=("pattern",), reason=_AVATAR)


CORRECTIONS: tuple[Correction, ...] = (
    Correction(
        file="api/client-server/rooms.yaml",
        pointer=_response("/rooms/{roomId}/state/{eventType}/{stateKey}", "get"),
        drop=("oneOf",),
        put={"type": "object"},
        reason="a whole state event is an object too, so it matches both branches and `oneOf` refuses it",
    ),
    Correction(
        file="api/server-server/events.yaml",
        pointer=("paths", "/timestamp_to_event/{roomId}", "get"),
        put={"security": [{"signedRequest": []}]},
        reason="`accessToken` is defined nowhere in the federation API: servers sign this request",
    ),
    Correction(
        file="api/client-server/room_summary.yaml",
        pointer=("paths", "/room_summary/{roomIdOrAlias}", "get"),
        put={"security": [{}, {"accessTokenBearer": []}]},
        reason="no client signs requests, and the description allows calls without an access token",
    ),
    Correction(
        file="api/client-server/definitions/room_summary.yaml",
        pointer=("allOf", 1, "properties", "encryption"),
        drop=("enum",),
        reason=_ALGORITHM,
    ),
    Correction(
        file="api/client-server/key_backup.yaml",
        pointer=_response("/room_keys/version", "get", "properties", "algorithm"),
        drop=("enum",),
        reason=_BACKUP,
    ),
    Correction(
        file="api/client-server/key_backup.yaml",
        pointer=_response("/room_keys/version/{version}", "get", "properties", "algorithm"),
        drop=("enum",),
        reason=_BACKUP,
    ),
    Correction(
        file="api/server-server/definitions/invite_event.yaml",
        pointer=("allOf", 0),
        put={"required": ["state_key", "sender", "origin_server_ts", "type", "content"]},
        reason="no room version's event format has `origin`: the server returns the event it was sent",
    ),
    *(
        Correction(
            file=f"api/client-server/{file}",
            pointer=_response(path, "get", "properties", "m.upload.size"),
            put={"type": ["integer", "null"]},
            reason="its description allows null for an unknown limit",
        )
        for file, path in (
            ("content-repo.yaml", "/media/v3/config"),
            ("authed-content-repo.yaml", "/media/config"),
        )
    ),
    _avatar("client-server/definitions/public_rooms_chunk.yaml", "properties"),
    _avatar(
        "client-server/rooms.yaml",
        *_response("/rooms/{roomId}/joined_members", "get", "properties", "joined"),
        *("patternProperties", "^@", "properties"),
    ),
    *(
        Correction(
            file="api/client-server/rooms.yaml",
            pointer=(
                *_response("/rooms/{roomId}/joined_members", "get", "properties", "joined"),
                *("patternProperties", "^@", "properties", name),
            ),
            put={"type": ["string", "null"]},
            reason="servers and the conformance suite agree on null for what a member hasn't set",
        )
        for name in ("display_name", "avatar_url")
    ),
    _avatar(
        "client-server/search.yaml",
        *_response("/search", "post", "properties", "search_categories", "properties", "room_events"),
        *("properties", "results", "items", "properties", "context", "properties", "profile_info"),
        *("patternProperties", "^@", "properties"),
    ),
    _avatar(
        "client-server/users.yaml",
        *_response("/user_directory/search", "post", "properties", "results", "items", "properties"),
    ),
    _avatar("server-server/query.yaml", *_response("/query/profile", "get", "properties")),
    *(
        Correction(
            file="api/server-server/query.yaml",
            pointer=_response("/query/profile", "get", "properties", name),
            put={"type": ["string", "null"]},
            reason="the response's description allows null for a field the user hasn't set",
        )
        for name in ("displayname", "avatar_url")
    ),
)


def apply_corrections(document: Any, corrections: Iterable[Correction]) -> None:
    """Change a freshly parsed file in place; `StaleCorrection` when a place or keyword is gone."""
    for correction in corrections:
        target = document
        try:
            for key in correction.pointer:
                target = target[key]
            before = dict(target)
            for keyword in correction.drop:
                del target[keyword]
        except (KeyError, IndexError, TypeError) as error:
            raise _stale(correction) from error
        target.update(correction.put)
        if target == before:
            raise _stale(correction)


def _stale(correction: Correction) -> StaleCorrection:
    place = "/".join(map(str, correction.pointer))
    return StaleCorrection(f"stale correction: {correction.file}: {place}: {correction.reason}")
