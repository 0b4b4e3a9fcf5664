"""Accounts, for administrators (Synapse's "User Admin API")."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from palpo.wire.admin.common import Direction, Milliseconds, PageParams, admin
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, UserParams


class UserOrder(Enum):
    """What a list of users is sorted by; those who are alike in it are by name."""

    NAME = "name"
    DISPLAYNAME = "displayname"
    IS_GUEST = "is_guest"
    ADMIN = "admin"
    DEACTIVATED = "deactivated"
    USER_TYPE = "user_type"
    AVATAR_URL = "avatar_url"
    SHADOW_BANNED = "shadow_banned"
    CREATION_TS = "creation_ts"
    LAST_SEEN_TS = "last_seen_ts"
    LOCKED = "locked"


class UsersParams(PageParams, frozen=True, kw_only=True):
    """Which users: ``deactivated`` and ``locked`` true are with them, false without."""

    in_user_id: str | None = msgspec.field(name="user_id", default=None)
    name: str | None = None
    guests: bool = True
    admins: bool | None = None
    deactivated: bool = False
    locked: bool = False
    order_by: UserOrder = UserOrder.NAME
    dir: Direction = Direction.FORWARDS
    not_user_type: tuple[str, ...] = ()


class UsersV3Params(PageParams, frozen=True, kw_only=True):
    """The same, but ``deactivated`` true is only them."""

    in_user_id: str | None = msgspec.field(name="user_id", default=None)
    name: str | None = None
    guests: bool = True
    admins: bool | None = None
    deactivated: bool | None = None
    locked: bool = False
    order_by: UserOrder = UserOrder.NAME
    dir: Direction = Direction.FORWARDS
    not_user_type: tuple[str, ...] = ()


class ListedUser(Response, frozen=True):
    """A user in a list. Times are milliseconds since the Unix epoch."""

    name: str
    user_type: str | None
    is_guest: bool
    admin: bool
    deactivated: bool
    shadow_banned: bool
    displayname: str | None
    avatar_url: str | None
    creation_ts: int
    erased: bool
    last_seen_ts: int | None
    locked: bool


class Users(Response, frozen=True, omit_defaults=True):
    """A page of users; ``next_token`` is where the next one begins."""

    users: list[ListedUser]
    total: int
    next_token: str | None = None


class Threepid(Response, frozen=True):
    """An email address or a telephone number. Times are milliseconds since the Unix epoch."""

    medium: str
    address: str
    validated_at: int
    added_at: int


class ExternalId(Body, frozen=True):
    """What a provider calls a user."""

    auth_provider: str
    external_id: str


class User(Response, frozen=True):
    """An account. ``creation_ts`` is in seconds, other times are in milliseconds."""

    name: str
    admin: bool
    deactivated: bool
    locked: bool
    shadow_banned: bool
    creation_ts: int
    appservice_id: str | None
    consent_server_notice_sent: None
    consent_version: None
    consent_ts: None
    user_type: str | None
    is_guest: bool
    suspended: bool
    displayname: str | None
    avatar_url: str | None
    threepids: list[Threepid]
    external_ids: list[ExternalId]
    erased: bool
    last_seen_ts: int | None


class NewThreepid(Body, frozen=True):
    """An identifier that an account is to have."""

    medium: str
    address: str


class UserChange(Body, frozen=True):
    """What is to become of an account: what is not there stays."""

    password: str | None = None
    logout_devices: bool = True
    displayname: str | None = None
    avatar_url: str | None = None
    threepids: list[NewThreepid] | None = None
    external_ids: list[ExternalId] | None = None
    admin: bool | None = None
    deactivated: bool | None = None
    locked: bool | None = None
    suspended: bool | None = None
    user_type: str | UnsetType | None = UNSET


class AdminFlag(Body, frozen=True):
    """Whether a user is an administrator, or is to be."""

    admin: bool


class Deactivation(Body, frozen=True):
    """How an account ends."""

    erase: bool = False


class Deactivated(Response, frozen=True):
    """Whether identity servers have forgotten the user."""

    id_server_unbind_result: str


class NewPassword(Body, frozen=True):
    """A password that takes the place of the one before."""

    new_password: str
    logout_devices: bool = True


class Suspension(Body, frozen=True):
    """Whether the account is to be suspended."""

    suspend: bool


class LoginAs(Body, frozen=True):
    """Until when; None: until it is logged out."""

    valid_until_ms: Milliseconds | None = None


class LoggedInAs(Response, frozen=True):
    """A token of no device."""

    access_token: str


class RateLimit(Response, frozen=True, omit_defaults=True):
    """Calls a second, and calls at once; both 0: as many as the user likes. Empty where none is set."""

    messages_per_second: int | UnsetType = UNSET
    burst_count: int | UnsetType = UNSET


Rate = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class NewRateLimit(Body, frozen=True):
    """What a user is to be let do."""

    messages_per_second: Rate | None = None
    burst_count: Rate | None = None


class UsernameParams(Params, frozen=True):
    """A localpart."""

    username: str


class Available(Response, frozen=True):
    """The localpart may be taken."""

    available: bool


class ExternalIdParams(Params, frozen=True):
    """A provider, and what it calls somebody."""

    provider: str
    external_id: str


class ThreepidParams(Params, frozen=True):
    """An email address or a telephone number."""

    medium: str
    address: str


class Found(Response, frozen=True):
    """Whose it is."""

    user_id: str


class Replaceable(Response, frozen=True):
    """Until when the keys may be replaced."""

    updatable_without_uia_before_ms: int


class Features(Body, frozen=True):
    """Experimental features, by name."""

    features: dict[str, bool]


list_users: Endpoint[UsersParams, NoBody, Users] = Endpoint(
    operation_id="synapse.listUsers",
    method="GET",
    paths=admin("/users", "v2"),
    auth=Auth.ADMIN,
    params=UsersParams,
    response=Users,
)
list_users_v3: Endpoint[UsersV3Params, NoBody, Users] = Endpoint(
    operation_id="synapse.listUsersV3",
    method="GET",
    paths=admin("/users", "v3"),
    auth=Auth.ADMIN,
    params=UsersV3Params,
    response=Users,
)
get_user: Endpoint[UserParams, NoBody, User] = Endpoint(
    operation_id="synapse.getUser",
    method="GET",
    paths=admin("/users/{user_id}", "v2"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=User,
)
put_user: Endpoint[UserParams, UserChange, User] = Endpoint(
    operation_id="synapse.putUser",
    method="PUT",
    paths=admin("/users/{user_id}", "v2"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=UserChange,
    response=User,
)
get_admin: Endpoint[UserParams, NoBody, AdminFlag] = Endpoint(
    operation_id="synapse.getUserAdmin",
    method="GET",
    paths=admin("/users/{user_id}/admin"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=AdminFlag,
)
set_admin: Endpoint[UserParams, AdminFlag, None] = Endpoint(
    operation_id="synapse.setUserAdmin",
    method="PUT",
    paths=admin("/users/{user_id}/admin"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=AdminFlag,
)
deactivate: Endpoint[UserParams, Deactivation, Deactivated] = Endpoint(
    operation_id="synapse.deactivateUser",
    method="POST",
    paths=admin("/deactivate/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=Deactivation,
    response=Deactivated,
)
reset_password: Endpoint[UserParams, NewPassword, None] = Endpoint(
    operation_id="synapse.resetPassword",
    method="POST",
    paths=admin("/reset_password/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=NewPassword,
)
suspend: Endpoint[UserParams, Suspension, dict[str, bool]] = Endpoint(
    operation_id="synapse.suspendUser",
    method="PUT",
    paths=admin("/suspend/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=Suspension,
    response=dict[str, bool],
)
shadow_ban: Endpoint[UserParams, NoBody, None] = Endpoint(
    operation_id="synapse.shadowBanUser",
    method="POST",
    paths=admin("/users/{user_id}/shadow_ban"),
    auth=Auth.ADMIN,
    params=UserParams,
)
lift_shadow_ban: Endpoint[UserParams, NoBody, None] = Endpoint(
    operation_id="synapse.unshadowBanUser",
    method="DELETE",
    paths=admin("/users/{user_id}/shadow_ban"),
    auth=Auth.ADMIN,
    params=UserParams,
)
log_in_as: Endpoint[UserParams, LoginAs, LoggedInAs] = Endpoint(
    operation_id="synapse.loginAsUser",
    method="POST",
    paths=admin("/users/{user_id}/login"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=LoginAs,
    response=LoggedInAs,
)
get_rate_limit: Endpoint[UserParams, NoBody, RateLimit] = Endpoint(
    operation_id="synapse.getRateLimitOverride",
    method="GET",
    paths=admin("/users/{user_id}/override_ratelimit"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=RateLimit,
)
set_rate_limit: Endpoint[UserParams, NewRateLimit, RateLimit] = Endpoint(
    operation_id="synapse.setRateLimitOverride",
    method="POST",
    paths=admin("/users/{user_id}/override_ratelimit"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=NewRateLimit,
    response=RateLimit,
)
delete_rate_limit: Endpoint[UserParams, NoBody, None] = Endpoint(
    operation_id="synapse.deleteRateLimitOverride",
    method="DELETE",
    paths=admin("/users/{user_id}/override_ratelimit"),
    auth=Auth.ADMIN,
    params=UserParams,
)
username_available: Endpoint[UsernameParams, NoBody, Available] = Endpoint(
    operation_id="synapse.isUsernameAvailable",
    method="GET",
    paths=admin("/username_available"),
    auth=Auth.ADMIN,
    params=UsernameParams,
    response=Available,
)
find_by_external_id: Endpoint[ExternalIdParams, NoBody, Found] = Endpoint(
    operation_id="synapse.findUserByExternalId",
    method="GET",
    paths=admin("/auth_providers/{provider}/users/{external_id}"),
    auth=Auth.ADMIN,
    params=ExternalIdParams,
    response=Found,
)
find_by_threepid: Endpoint[ThreepidParams, NoBody, Found] = Endpoint(
    operation_id="synapse.findUserByThreepid",
    method="GET",
    paths=admin("/threepid/{medium}/users/{address}"),
    auth=Auth.ADMIN,
    params=ThreepidParams,
    response=Found,
)
allow_cross_signing_replacement: Endpoint[UserParams, NoBody, Replaceable] = Endpoint(
    operation_id="synapse.allowCrossSigningReplacement",
    method="POST",
    paths=admin("/users/{user_id}/_allow_cross_signing_replacement_without_uia"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Replaceable,
)
get_features: Endpoint[UserParams, NoBody, Features] = Endpoint(
    operation_id="synapse.getExperimentalFeatures",
    method="GET",
    paths=admin("/experimental_features/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Features,
)
set_features: Endpoint[UserParams, Features, None] = Endpoint(
    operation_id="synapse.setExperimentalFeatures",
    method="PUT",
    paths=admin("/experimental_features/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=Features,
)
