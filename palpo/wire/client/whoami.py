"""Who an access token belongs to (spec: client-server API, "Current account information")."""

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Response, client


class WhoAmI(Response, frozen=True):
    """The owner of the access token."""

    user_id: str
    device_id: str | None = None
    is_guest: bool = False


get_token_owner: Endpoint[NoParams, NoBody, WhoAmI] = Endpoint(
    operation_id="getTokenOwner",
    method="GET",
    paths=client("/account/whoami"),
    auth=Auth.GUEST,
    response=WhoAmI,
)
