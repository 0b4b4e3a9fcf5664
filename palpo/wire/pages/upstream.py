"""Pages of this server that send a browser to sign on elsewhere."""

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Page, Params

UPSTREAM_PATH = "/_palpo/account/upstream/{idp_id}"
CONFIRM_PATH = "/_palpo/account/confirm"


class UpstreamParams(Params, frozen=True, kw_only=True):
    """The provider, and the path of this server to go on to."""

    idp_id: str
    next: str = ""


class ConfirmParams(Params, frozen=True):
    """A session of user-interactive auth."""

    session: str


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
