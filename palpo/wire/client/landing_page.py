"""The page at the server's address: what it is, and how to connect to it."""

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Page

get_landing_page: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getLandingPage",
    method="GET",
    paths=("/",),
    auth=Auth.NONE,
    response=Page,
)
