"""Locking and suspending accounts, and who is who (spec: client-server API, "Account moderation",
"Server Administration")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, client

UNSTABLE = ("uk.timedout.msc4323",)


class UserParams(Params, frozen=True):
    """Whose account."""

    user_id: str


class Locked(Response, frozen=True):
    """Whether the account is locked."""

    locked: bool


class Lock(Body, frozen=True):
    """Whether it is to be."""

    locked: bool


class Suspended(Response, frozen=True):
    """Whether the account is suspended."""

    suspended: bool


class Suspend(Body, frozen=True):
    """Whether it is to be."""

    suspended: bool


class Connection(Response, frozen=True):
    """Where a session was last used from; ``last_seen`` in milliseconds since the Unix epoch."""

    ip: str | None = None
    last_seen: int | None = None
    user_agent: str | None = None


class DeviceSession(Response, frozen=True):
    """What was done with one login."""

    connections: list[Connection]


class DeviceSessions(Response, frozen=True):
    """What was done with a device."""

    sessions: list[DeviceSession]


class WhoIs(Response, frozen=True):
    """A user's devices and where they were used from."""

    user_id: str
    devices: dict[str, DeviceSessions]


get_lock: Endpoint[UserParams, NoBody, Locked] = Endpoint(
    operation_id="getAdminLockUser",
    method="GET",
    paths=client("/admin/lock/{user_id}", "v1", unstable=UNSTABLE),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Locked,
)

set_lock: Endpoint[UserParams, Lock, Locked] = Endpoint(
    operation_id="setAdminLockUser",
    method="PUT",
    paths=client("/admin/lock/{user_id}", "v1", unstable=UNSTABLE),
    auth=Auth.ADMIN,
    params=UserParams,
    body=Lock,
    response=Locked,
)

get_suspension: Endpoint[UserParams, NoBody, Suspended] = Endpoint(
    operation_id="getAdminSuspendUser",
    method="GET",
    paths=client("/admin/suspend/{user_id}", "v1", unstable=UNSTABLE),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Suspended,
)

set_suspension: Endpoint[UserParams, Suspend, Suspended] = Endpoint(
    operation_id="setAdminSuspendUser",
    method="PUT",
    paths=client("/admin/suspend/{user_id}", "v1", unstable=UNSTABLE),
    auth=Auth.ADMIN,
    params=UserParams,
    body=Suspend,
    response=Suspended,
)

who_is: Endpoint[UserParams, NoBody, WhoIs] = Endpoint(
    operation_id="getWhoIs",
    method="GET",
    paths=client("/admin/whois/{user_id}"),
    auth=Auth.ACCESS_TOKEN,
    params=UserParams,
    response=WhoIs,
)
