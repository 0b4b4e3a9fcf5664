"""How an endpoint is declared: once, as data.

From a declaration come the route, the decoding and checking of the request, the federation
client's call, the schema that responses are held to, and ``palpo routes``.

    get_room_state = Endpoint(
        operation_id="getRoomState",
        method="GET",
        paths=client("/rooms/{room_id}/state"),
        auth=Auth.GUEST,
        params=RoomParams,
        response=list[Raw],
    )

``params`` holds path and query parameters together: the names in the path's braces are path
segments, percent-decoded; the rest come from the query string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Any, Generic, TypeVar

import msgspec

from palpo.core.errors import Forbidden
from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.accounts import Flags
from palpo.wire.identifiers import Checked


class Params(Checked, frozen=True, kw_only=True):
    """Path and query parameters; a ``list`` field collects a query parameter that is repeated."""


class Body(Checked, frozen=True, kw_only=True):
    """A request's JSON object; keys that it does not declare are ignored, as the spec asks."""


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A response's JSON object; a field that has its default is left out."""


class NoParams(Params, frozen=True):
    """Neither path nor query parameters."""


class RoomParams(Params, frozen=True):
    """A room, in the path."""

    room_id: RoomId


class EventParams(RoomParams, frozen=True):
    """An event of a room, in the path."""

    event_id: EventId


class UserParams(Params, frozen=True):
    """A user, in the path or in the query."""

    user_id: UserId


class NoBody(msgspec.Struct, frozen=True):
    """The request's body, if any, is not looked at."""


class Stream(msgspec.Struct, frozen=True):
    """A body that is bytes, not JSON, in the request or in the response."""


class Page(msgspec.Struct, frozen=True):
    """A response that is a page for browsers: ``palpo.api.pages`` makes it."""


Json = dict[str, Any]
"""A body or response that is any JSON object."""

P = TypeVar("P")
B = TypeVar("B")
R = TypeVar("R")


class Auth(Enum):
    """Who may call an endpoint."""

    NONE = "none"
    OPTIONAL = "optional"
    """An access token is checked where one is given."""
    ACCESS_TOKEN = "access_token"
    """A user, but no guest: so it is where a declaration says nothing."""
    GUEST = "guest"
    """As ACCESS_TOKEN, and guests may call it too."""
    APPSERVICE = "appservice"
    ADMIN = "admin"
    """As ACCESS_TOKEN, of a server administrator."""
    DELEGATE = "delegate"
    """Matrix Authentication Service, by the secret that it shares with this server."""
    SERVER = "server"
    """A federating server, by the signature in ``Authorization: X-Matrix``."""


class Limit(Enum):
    """The rate-limit class: which budget a call is charged to, ``[rate_limits]`` has them by their values.

    The spec marks operations that are to be limited; a server may limit any (spec: "Rate limiting"). So every
    endpoint has a budget unless it says NONE, which only those may that cost as good as nothing.
    """

    NONE = "none"
    DEFAULT = "default"
    """What has no class of its own: reading, mostly."""
    MESSAGE = "message"
    EPHEMERAL = "ephemeral"
    """Receipts, typing and presence."""
    SETTINGS = "settings"
    """What users keep for themselves: account data, filters, push rules, pushers."""
    PROFILE = "profile"
    """Changes of what is shown in every room that the user is in."""
    SYNC = "sync"
    SEARCH = "search"
    KEYS = "keys"
    BACKUP = "backup"
    TO_DEVICE = "to_device"
    LOGIN = "login"
    INTERACTIVE = "interactive"
    """Going through stages, and asking whether one that is done elsewhere is done."""
    ATTEMPT = "attempt"
    """Something that could be guessed is tried."""
    REGISTRATION = "registration"
    """An account is made."""
    ROOM_CREATION = "room_creation"
    JOIN = "join"
    INVITE = "invite"
    MEDIA = "media"
    UPLOAD = "upload"
    PREVIEW = "preview"
    REPORT = "report"
    THIRD_PARTY = "third_party"
    NOTARY = "notary"
    """Keys of other servers are told, and fetched."""
    FEDERATION = "federation"
    """What another server asks, by its name."""
    WRITTEN = "written"
    """Bytes that are sent to be kept: every call is charged its body, beside its own budget."""
    FEDERATION_WRITTEN = "federation_written"
    """The same of another server, which sends for all its users."""
    READ = "read"
    """Bytes of JSON that are answered, beside the call's own budget."""


KIB = 1024
DEFAULT_MAX_BODY = 512 * KIB
"""Bytes of JSON that a request may carry unless its endpoint says otherwise."""

OPERATION_ID = re.compile(r"((msc\d{4}|palpo|synapse)\.)?[A-Za-z][A-Za-z0-9_]*")
FORMS = "the spec's own, mscNNNN.name, synapse.name (Synapse's admin API) or palpo.name (this server's own)"

_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[P, B, R]):
    """One operation of the Matrix APIs that this server serves."""

    operation_id: str
    """As in the spec's OpenAPI; what the spec does not have is ``mscNNNN.name``, or from elsewhere
    (``OPERATION_ID``)."""
    method: str
    paths: tuple[str, ...]
    """Every path it is served at: the newest stable one first, then older and unstable ones."""
    auth: Auth = Auth.ACCESS_TOKEN
    while_suspended: bool = True
    """Whether suspended users may call it (spec: "Account suspension")."""
    while_locked: bool = False
    """Whether locked users may call it (spec: "Account locking")."""
    limit: Limit = Limit.DEFAULT
    params: type[P] = NoParams  # type: ignore[assignment]
    body: type[B] = NoBody  # type: ignore[assignment]
    response: type[R] = NoneType  # type: ignore[assignment]
    """NoneType for the empty object ``{}``."""
    api: str = "client-server"
    deprecated: bool = False
    also: tuple[str, ...] = ()
    """The IDs of other operations with this method and path, which only the query or the body tells from
    this one."""
    max_body: int = DEFAULT_MAX_BODY
    """Bytes."""
    large_answer: bool = False
    """The answer may have megabytes, so only a few are made at the same time."""

    def __post_init__(self) -> None:
        """Raises ValueError for a declaration that contradicts itself."""
        for operation_id in self.operation_ids:
            if OPERATION_ID.fullmatch(operation_id) is None:
                raise ValueError(f"{operation_id!r} is no operation ID: {FORMS}")
        params: Any = self.params
        fields = {field.encode_name: field.required for field in msgspec.structs.fields(params)}
        places = {name for path in self.paths for name in self.path_parameters(path)}
        for path in self.paths:
            names = set(self.path_parameters(path))
            for name in names - set(fields):
                raise ValueError(f"{self.operation_id}: {{{name}}} of {path} is no field of its params")
            for name in places - names:
                if fields.get(name):
                    raise ValueError(f"{self.operation_id}: {path} has no {{{name}}}, which it requires")

    def admit(self, caller: Flags) -> None:
        """Raises M_USER_LOCKED (401), M_USER_SUSPENDED and other Forbidden for who may not call it."""
        if not self.while_locked:
            caller.refuse_locked()
        if not self.while_suspended:
            caller.refuse_suspended()
        if caller.is_guest and self.auth not in (Auth.GUEST, Auth.OPTIONAL):
            raise Forbidden("Guests may not do this", errcode="M_GUEST_ACCESS_FORBIDDEN")
        if self.auth is Auth.ADMIN and not caller.is_admin:
            raise Forbidden("Only administrators may do this")

    @property
    def operation_ids(self) -> tuple[str, ...]:
        """Every operation that is served here."""
        return (self.operation_id, *self.also)

    def path_parameters(self, path: str) -> tuple[str, ...]:
        """The names in ``path``'s braces, in order."""
        return tuple(_PLACEHOLDER.findall(path))


def client(path: str, *versions: str, unstable: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The client-server paths of ``path``: under v3 and r0 unless ``versions`` are named.

    ``unstable`` are the prefixes that it has below ``/_matrix/client/unstable/``.
    """
    stable = tuple(f"/_matrix/client/{version}{path}" for version in versions or ("v3", "r0"))
    return stable + (draft(path, *unstable) if unstable else ())


def draft(path: str, *prefixes: str) -> tuple[str, ...]:
    """The client-server paths of what has unstable ones only; without ``prefixes``, the oldest kind."""
    base = "/_matrix/client/unstable"
    return tuple(f"{base}/{prefix}{path}" for prefix in prefixes) or (base + path,)


def federation(path: str, *versions: str) -> tuple[str, ...]:
    """The server-server paths of ``path``: under v1 unless ``versions`` are named."""
    return tuple(f"/_matrix/federation/{version}{path}" for version in versions or ("v1",))


def media(path: str) -> tuple[str, ...]:
    """The legacy media paths of ``path``."""
    return tuple(f"/_matrix/media/{version}{path}" for version in ("v3", "r0", "v1"))
