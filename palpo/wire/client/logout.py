"""Logging out."""

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, client

logout: Endpoint[NoParams, NoBody, None] = Endpoint(
    operation_id="logout", method="POST", paths=client("/logout"), auth=Auth.GUEST, while_locked=True
)

logout_all: Endpoint[NoParams, NoBody, None] = Endpoint(
    operation_id="logout_all", method="POST", paths=client("/logout/all"), auth=Auth.GUEST, while_locked=True
)
