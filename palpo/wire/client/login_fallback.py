"""A page that logs in, for clients that cannot (spec: client-server API, "Login Fallback")."""

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Page

get_login_fallback: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getLoginFallback",
    method="GET",
    paths=("/_matrix/static/client/login/",),
    auth=Auth.NONE,
    response=Page,
)
