"""Locking and suspending accounts, and who is who (spec: client-server API, "Account moderation",
"Server Administration")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, B, Body, Endpoint, NoBody, Response, UserParams, client

UNSTABLE = ("uk.timedout.msc4323",)


class Locked(Body, frozen=True):
    """Whether the account is locked, or is to be."""

    locked: bool


class Suspended(Body, frozen=True):
    """Whether the account is suspended, or is to be."""

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


Moderation = tuple[Endpoint[UserParams, NoBody, B], Endpoint[UserParams, B, B]]
"""To see whether an account has a flag, and to set it."""


def moderation(verb: str, flag: type[B], *, see: str, change: str) -> Moderation[B]:
    """The endpoints of one of the ``core.records.accounts.Flags``: the one field of the struct ``flag``.

    ``see`` and ``change`` are their operation IDs.
    """
    paths = client(f"/admin/{verb}/{{user_id}}", "v1", unstable=UNSTABLE)
    return (
        Endpoint(
            operation_id=see,
            method="GET",
            paths=paths,
            auth=Auth.ADMIN,
            params=UserParams,
            response=flag,
        ),
        Endpoint(
            operation_id=change,
            method="PUT",
            paths=paths,
            auth=Auth.ADMIN,
            params=UserParams,
            body=flag,
            response=flag,
        ),
    )


get_lock, set_lock = moderation("lock", Locked, see="getAdminLockUser", change="setAdminLockUser")
get_suspension, set_suspension = moderation(
    "suspend", Suspended, see="getAdminSuspendUser", change="setAdminSuspendUser"
)
MODERATIONS: tuple[Moderation[Any], ...] = ((get_lock, set_lock), (get_suspension, set_suspension))

who_is: Endpoint[UserParams, NoBody, WhoIs] = Endpoint(
    operation_id="getWhoIs",
    method="GET",
    paths=client("/admin/whois/{user_id}"),
    params=UserParams,
    response=WhoIs,
)
