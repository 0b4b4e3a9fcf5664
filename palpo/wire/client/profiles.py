"""Users' profiles (spec: client-server API, "Profiles")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, NoBody, UserParams, client


class Field(UserParams, frozen=True):
    """A field of a user's profile, in the path."""

    key_name: str


PATH = "/profile/{user_id}/{key_name}"
UNSTABLE = ("uk.tcpip.msc4133",)

get_user_profile: Endpoint[UserParams, NoBody, Json] = Endpoint(
    operation_id="getUserProfile",
    method="GET",
    paths=client("/profile/{user_id}", unstable=UNSTABLE),
    auth=Auth.NONE,
    params=UserParams,
    response=Json,
)

get_profile_field: Endpoint[Field, NoBody, Json] = Endpoint(
    operation_id="getProfileField",
    method="GET",
    paths=client(PATH, unstable=UNSTABLE),
    auth=Auth.NONE,
    params=Field,
    response=Json,
)

set_profile_field: Endpoint[Field, Json, None] = Endpoint(
    operation_id="setProfileField",
    method="PUT",
    paths=client(PATH, unstable=UNSTABLE),
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.PROFILE,
    params=Field,
    body=Json,
)

delete_profile_field: Endpoint[Field, NoBody, None] = Endpoint(
    operation_id="deleteProfileField",
    method="DELETE",
    paths=client(PATH, unstable=UNSTABLE),
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.PROFILE,
    params=Field,
)
