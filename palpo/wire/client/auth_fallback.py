"""Pages that complete a stage of user-interactive auth in a browser (spec: client-server API,
"Fallback")."""

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Page, Params, client


class FallbackParams(Params, frozen=True):
    """The stage, and the session that it belongs to."""

    auth_type: str
    session: str


PATHS = client("/auth/{auth_type}/fallback/web")

get_auth_fallback: Endpoint[FallbackParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getAuthFallback",
    method="GET",
    paths=PATHS,
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=FallbackParams,
    response=Page,
)

post_auth_fallback: Endpoint[FallbackParams, NoBody, Page] = Endpoint(
    operation_id="palpo.postAuthFallback",
    method="POST",
    paths=PATHS,
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    params=FallbackParams,
    response=Page,
    max_body=4096,
)
