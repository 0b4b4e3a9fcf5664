"""Records of the specification's facts. Schemas are JSON values: read them, never change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of an operation. `place` is `path`, `query` or `header`."""

    name: str
    place: str
    required: bool
    schema: Schema
    added: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request or response body: `schema` is that of `application/json`, or None where there is no JSON.

    The schema may refer to shared definitions: use `request_schema` and `response_schema` to validate.
    """

    content_types: tuple[str, ...]
    schema: Schema | None = None
    required: bool = False
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One method on one path template.

    `auth` is the name of the scheme (`accessTokenBearer`, `appserviceAccessTokenBearer`,
    `homeserverAccessToken` or `signedRequest`) or None; with `auth_optional` a request may do without it.
    `added` and `changed` are versions of the specification, such as "1.11"; None is "1.0 or before".
    `responses` maps statuses as documented ("200", "4XX") to bodies.
    """

    api: str
    operation_id: str
    method: str
    path: str
    auth: str | None
    auth_optional: bool
    rate_limited: bool
    deprecated: bool
    added: str | None
    changed: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    request: Body | None
    responses: dict[str, Body]

    @property
    def key(self) -> str:
        """Its API and its ID, such as `client-server/login`: an ID alone may be in several APIs."""
        return f"{self.api}/{self.operation_id}"

    @property
    def statuses(self) -> tuple[str, ...]:
        """The documented statuses, sorted."""
        return tuple(sorted(self.responses))

    def response(self, status: int | str) -> Body | None:
        """The body documented for `status`: under that very status, else under its class ("4XX")."""
        exact = str(status)
        return self.responses.get(exact) or self.responses.get(f"{exact[:1]}XX")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A type of event. `kind` is state, message, ephemeral, presence, account_data or to_device.

    `content` is None for a type known only by its variants, `variants` the contents by `msgtype` or method.
    """

    type: str
    kind: str
    content: Schema | None
    variants: dict[str, Schema]
    state_key: Schema | None
    added: str | None
