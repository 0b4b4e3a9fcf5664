"""What clients ask for, as data: requests with their times, phase by phase.

Written down from what Element Web and Desktop (matrix-js-sdk with the Rust crypto), Element X (sliding sync),
Cinny (matrix-js-sdk) and FluffyChat (matrix-dart-sdk) send when they are used by somebody in a hurry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

V3 = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"


@dataclass(frozen=True)
class Ask:
    """``count`` requests from ``at`` seconds on, one ``every`` so many.

    In paths and bodies ``{n}`` is the request's number, ``{me}`` the user, ``{room}`` a room of theirs,
    ``{event}`` an event in it, ``{media}`` an image, ``{session}`` the session of a registration.
    """

    at: float
    method: str
    path: str
    body: Any = None
    count: int = 1
    every: float = 0.0
    content: bytes | None = None


@dataclass(frozen=True)
class Phase:
    """Something that a client does; ``clients`` devices of one user, or of one address, do it at once."""

    client: str
    what: str
    asks: tuple[Ask, ...]
    logged_in: bool = True
    clients: int = 1

    def __str__(self) -> str:
        return f"{self.client}: {self.what}".replace(" ", "-")


def get(at: float, path: str, count: int = 1, every: float = 0.0) -> Ask:
    return Ask(at, "GET", path, None, count, every)


def put(at: float, path: str, body: Any = None, count: int = 1, every: float = 0.0) -> Ask:
    return Ask(at, "PUT", path, {} if body is None else body, count, every)


def post(at: float, path: str, body: Any = None, count: int = 1, every: float = 0.0) -> Ask:
    return Ask(at, "POST", path, {} if body is None else body, count, every)


def thumbnails(at: float, count: int, within: float, *, legacy: bool = False) -> Ask:
    base = "/_matrix/media/v3" if legacy else f"{V1}/media"
    return get(at, f"{base}/thumbnail/{{media}}?width=32&height=32&method=crop", count, within / count)


def users(count: int) -> list[str]:
    return [f"@u{number}:test.example" for number in range(count)]


REGISTRATION = {"username": "polling", "password": "correct horse battery"}
POLL = {**REGISTRATION, "auth": {"session": "{session}"}}
EMAIL = {
    "type": "m.login.email.identity",
    "session": "{session}",
    "threepid_creds": {"sid": "1", "client_secret": "s"},
}
PAGE_LOAD = (
    get(0, "/.well-known/matrix/client"),
    get(0, "/_matrix/client/versions", 2),
    get(0, f"{V3}/login", 2),
    post(0.2, f"{V3}/register"),
)
KEY = {
    "first_message_index": 0,
    "forwarded_count": 0,
    "is_verified": True,
    "session_data": {"ciphertext": "x" * 700},
}
BACKUP_CHUNK = {
    "rooms": {"!r:test.example": {"sessions": {f"s{{n}}-{number}": KEY for number in range(200)}}}
}
START = (
    get(0, "/_matrix/client/versions", 2),
    get(0, f"{V3}/account/whoami"),
    get(0, f"{V3}/capabilities", 2),
    get(0, f"{V3}/pushrules/", 2),
    post(0, f"{V3}/user/{{me}}/filter", {"room": {"timeline": {"limit": 20}}}, 2),
    post(0, f"{V3}/keys/upload"),
    get(0, f"{V3}/user/{{me}}/account_data/m.cross_signing.k{{n}}", 10),
    get(0, f"{V3}/room_keys/version", 3),
    get(0, f"{V3}/voip/turnServer"),
    get(0, f"{V3}/thirdparty/protocols"),
    get(0, f"{V3}/profile/{{me}}", 2),
    get(0, f"{V3}/devices", 2),
    get(0, f"{V3}/pushers"),
    get(0, f"{V1}/media/config"),
    get(0.1, f"{V3}/sync?timeout=0"),
    put(0.5, f"{V3}/presence/{{me}}/status", {"presence": "online"}),
    put(0.5, f"{V3}/user/{{me}}/account_data/im.vector.setting.{{n}}", {"x": 1}, 15, 0.02),
    post(0.6, f"{V3}/keys/query", {"device_keys": {user: [] for user in users(250)}}, 12, 0.1),
    get(0.6, f"{V3}/rooms/{{room}}/members?not_membership=leave", 5),
    get(0.6, f"{V3}/rooms/{{room}}/messages?dir=b&limit=20", 10),
    get(0.7, f"{V1}/rooms/{{room}}/threads", 10),
    get(0.7, f"{V1}/rooms/{{room}}/relations/{{event}}", 30),
    thumbnails(0.7, 200, 1.0),
    get(1, f"{V3}/sync?since=s1&timeout=0", 40, 0.25),
)
ROOM_SWITCH = (
    get(0, f"{V3}/rooms/{{room}}/members?not_membership=leave", 30, 2.0),
    get(0.1, f"{V3}/rooms/{{room}}/messages?dir=b&limit=20", 60, 1.0),
    get(0.2, f"{V1}/rooms/{{room}}/relations/{{event}}", 200, 0.3),
    get(0.2, f"{V3}/rooms/{{room}}/event/{{event}}", 90, 0.66),
    get(0.3, f"{V3}/profile/{{me}}/m.tz", 60, 1.0),
    get(0.3, f"{V1}/media/preview_url?url=ftp://x", 300, 0.2),
    put(0.3, f"{V3}/user/{{me}}/account_data/im.vector.setting.breadcrumbs", {"x": 1}, 30, 2.0),
    post(0.4, f"{V3}/rooms/{{room}}/read_markers", {"m.read": "{event}", "m.fully_read": "{event}"}, 30, 2.0),
    get(0.4, f"{V3}/sync?since=s1&timeout=0", 120, 0.5),
    thumbnails(0.2, 600, 60.0),
)
TRAFFIC = (
    Phase(
        "Element",
        "registration that waits for a mail",
        (
            *PAGE_LOAD,
            get(1, f"{V3}/register/available?username=polling{{n}}", 15, 0.5),
            post(9, f"{V3}/register", REGISTRATION),
            post(9.5, f"{V3}/register/email/requestToken", count=4, every=30.0),
            post(10, f"{V3}/register", {**REGISTRATION, "auth": EMAIL}, 150, 2.0),
        ),
        logged_in=False,
    ),
    Phase(
        "Element",
        "registration at a page of the server's, four in a household",
        (*PAGE_LOAD, post(10, f"{V3}/register", POLL, 90, 2.0)),
        logged_in=False,
        clients=4,
    ),
    Phase(
        "Element",
        "new password that waits for a mail",
        (
            *PAGE_LOAD,
            post(1, f"{V3}/account/password/email/requestToken", count=3, every=30.0),
            post(5, f"{V3}/account/password", {"new_password": "correct horse", "auth": EMAIL}, 60, 2.0),
        ),
        logged_in=False,
    ),
    Phase("Element", "start", START),
    Phase("Element", "start of five devices after an outage", START, clients=5),
    Phase("Element", "room after room", ROOM_SWITCH),
    Phase("Element", "list of 500 members", (thumbnails(0, 500, 1.0), thumbnails(5, 500, 1.0, legacy=True))),
    Phase(
        "Element",
        "scrolling",
        (
            get(0, f"{V3}/rooms/{{room}}/messages?dir=b&limit=50", 120, 0.5),
            thumbnails(0, 3000, 60.0),
            get(0, f"{V1}/media/download/{{media}}", 300, 0.2),
            post(0, f"{V3}/rooms/{{room}}/receipt/m.read/{{event}}", count=120, every=0.5),
            get(0, f"{V3}/room_keys/keys/!r:test.example/s{{n}}?version=1", 300, 0.1),
        ),
    ),
    Phase(
        "Element",
        "writing and pasting",
        (
            put(0, f"{V3}/rooms/{{room}}/typing/{{me}}", {"typing": True, "timeout": 20000}, 60, 1.0),
            put(
                0,
                f"{V3}/rooms/{{room}}/send/m.room.message/t{{n}}",
                {"body": "x", "msgtype": "m.text"},
                80,
                0.05,
            ),
            put(5, f"{V3}/rooms/{{room}}/send/m.reaction/r{{n}}", {"x": 1}, 60, 0.5),
            Ask(2, "POST", "/_matrix/media/v3/upload", None, 40, 0.1, content=b"x" * 100_000),
        ),
    ),
    Phase(
        "Element",
        "a message to 6,000 devices",
        (
            post(0, f"{V3}/keys/query", {"device_keys": {user: [] for user in users(250)}}, 8, 0.1),
            post(
                1,
                f"{V3}/keys/claim",
                {"one_time_keys": {user: {"D": "signed_curve25519"} for user in users(250)}},
                24,
                0.1,
            ),
            put(
                2,
                f"{V3}/sendToDevice/m.room.encrypted/e{{n}}",
                {"messages": {user: {"D": {"x": "y"}} for user in users(250)}},
                24,
                0.1,
            ),
        ),
    ),
    Phase(
        "Element",
        "the same, twenty at a time",
        (
            put(
                0,
                f"{V3}/sendToDevice/m.room.encrypted/o{{n}}",
                {"messages": {user: {"D": {"x": "y"}} for user in users(20)}},
                300,
                0.01,
            ),
        ),
    ),
    Phase(
        "Element",
        "verification",
        (
            put(0, f"{V3}/sendToDevice/m.key.verification.key/v{{n}}", {"messages": {}}, 30, 0.2),
            post(1, f"{V3}/keys/query", {"device_keys": {"{me}": []}}, 20, 0.2),
            post(5, f"{V3}/keys/signatures/upload", {}, 5, 0.2),
            get(5, f"{V3}/user/{{me}}/account_data/m.secret_storage.key.k{{n}}", 20, 0.1),
            put(6, f"{V3}/user/{{me}}/account_data/m.cross_signing.k{{n}}", {"x": 1}, 20, 0.05),
        ),
    ),
    Phase(
        "Element",
        "key backup",
        (
            post(0, f"{V3}/room_keys/version", {"algorithm": "a", "auth_data": {}}),
            put(1, f"{V3}/room_keys/keys?version=1", BACKUP_CHUNK, 250, 0.1),
            get(30, f"{V3}/room_keys/keys?version=1", 3, 1.0),
        ),
    ),
    Phase(
        "Element",
        "looking for people and rooms",
        (
            post(0, f"{V3}/user_directory/search", {"search_term": "ali"}, 25, 0.15),
            post(5, f"{V3}/publicRooms", {"filter": {"generic_search_term": "x"}}, 25, 0.2),
            post(12, f"{V3}/search", {"search_categories": {"room_events": {"search_term": "x"}}}, 20, 0.5),
            get(12, f"{V1}/rooms/{{room}}/hierarchy", 60, 0.1),
        ),
    ),
    Phase(
        "Element",
        "clicks on notifications",
        (
            get(0, f"{V3}/rooms/{{room}}/context/{{event}}", 60, 0.5),
            get(0, f"{V3}/rooms/{{room}}/event/{{event}}", 120, 0.25),
            get(0, f"{V3}/notifications", 20, 1.0),
        ),
    ),
    Phase(
        "Element X",
        "start and typing in the list of rooms",
        (
            post(0, f"{SLIDING}?timeout=0", {"conn_id": "room-list", "lists": {}}),
            post(0, f"{SLIDING}?timeout=0", {"conn_id": "encryption", "lists": {}}),
            post(0, f"{SLIDING}?timeout=0&pos=s1_a_1", {"conn_id": "room-list", "lists": {}}, 200, 0.1),
            post(0, f"{SLIDING}?timeout=0&pos=s1_a_1", {"conn_id": "encryption", "lists": {}}, 60, 0.4),
            post(20, f"{SLIDING}?timeout=0", {"conn_id": "notification", "lists": {}}, 10, 1.0),
            thumbnails(0, 400, 10.0),
        ),
    ),
    Phase(
        "Cinny",
        "start with thirty spaces",
        (
            get(0, f"{V3}/sync?timeout=0"),
            get(0.1, f"{V1}/rooms/{{room}}/hierarchy?limit=50", 90, 0.02),
            get(0.1, f"{V1}/room_summary/{{room}}", 100, 0.02),
            put(1, f"{V3}/user/{{me}}/account_data/in.cinny.spaces", {"x": 1}, 20, 0.1),
            put(2, f"{V3}/pushrules/global/override/.m.rule.master/enabled", {"enabled": False}, 20, 0.2),
            put(2, f"{V3}/user/{{me}}/rooms/{{room}}/tags/u.n{{n}}", {}, 30, 0.1),
            thumbnails(0.5, 400, 2.0),
            put(6, f"{V3}/profile/{{me}}/displayname", {"displayname": "Alice"}, 3, 1.0),
            put(6, f"{V3}/profile/{{me}}/avatar_url", {"avatar_url": "mxc://test.example/x"}, 3, 1.0),
        ),
    ),
    Phase(
        "FluffyChat",
        "start and a room of strangers",
        (
            get(0, f"{V3}/sync?timeout=0"),
            get(0.5, f"{V3}/rooms/{{room}}/state/m.room.member/@u{{n}}:test.example", 300, 0.02),
            get(0.5, f"{V3}/profile/@u{{n}}:test.example", 150, 0.05),
            get(1, f"{V3}/rooms/{{room}}/messages?dir=b&limit=30", 60, 0.3),
            thumbnails(1, 500, 5.0, legacy=True),
            put(1, f"{V3}/rooms/{{room}}/typing/{{me}}", {"typing": True, "timeout": 30000}, 120, 0.4),
            post(1, f"{V3}/rooms/{{room}}/receipt/m.read/{{event}}", count=60, every=0.4),
            get(1, f"{V3}/sync?since=s1&timeout=0", 400, 0.1),
        ),
    ),
)
