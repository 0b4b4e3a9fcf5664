"""Pages of this server that send a browser to sign on elsewhere."""

import msgspec

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Page, Params

UPSTREAM_PATH = "/_palpo/account/upstream/{idp_id}"
CONTINUE_PATH = "/_palpo/account/continue"
CONFIRM_PATH = "/_palpo/account/confirm"


class UpstreamParams(Params, frozen=True, kw_only=True):
    """The provider, and the path of this server to go on to."""

    idp_id: str
    next: str = ""
    action: str = ""
    """``register`` for who has no account yet."""


class ConfirmParams(Params, frozen=True):
    """A session of user-interactive auth."""

    session: str


class ContinueParams(Params, frozen=True):
    """Where a client waits for a login token."""

    redirect_url: str = msgspec.field(name="redirectUrl")


get_client: Endpoint[ContinueParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getClientToContinueTo",
    method="GET",
    paths=(CONTINUE_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ContinueParams,
    response=Page,
)

continue_to_client: Endpoint[ContinueParams, NoBody, Page] = Endpoint(
    operation_id="palpo.continueToClient",
    method="POST",
    paths=(CONTINUE_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ContinueParams,
    response=Page,
    max_body=16 * 1024,
)

sign_in_upstream: Endpoint[UpstreamParams, NoBody, Page] = Endpoint(
    operation_id="palpo.signInUpstream",
    method="GET",
    paths=(UPSTREAM_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=UpstreamParams,
    response=Page,
)

get_confirmation: Endpoint[ConfirmParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getSsoConfirmation",
    method="GET",
    paths=(CONFIRM_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ConfirmParams,
    response=Page,
)

confirm: Endpoint[ConfirmParams, NoBody, Page] = Endpoint(
    operation_id="palpo.confirmBySso",
    method="POST",
    paths=(CONFIRM_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ConfirmParams,
    response=Page,
    max_body=16 * 1024,
)
