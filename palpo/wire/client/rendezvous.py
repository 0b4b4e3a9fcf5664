"""Rendezvous, for signing in by a QR code (MSC4108, as of 2024, and MSC4388)."""

from palpo.wire.endpoint import (
    KIB,
    Auth,
    Body,
    Endpoint,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    Stream,
    draft,
)

PREFIX_2024 = "org.matrix.msc4108"
PREFIX = "io.element.msc4388"
MAX_BODY = 32 * KIB


class RendezvousParams(Params, frozen=True):
    """A rendezvous, in the path."""

    rendezvous_id: str


class Url(Response, frozen=True):
    """Where a rendezvous is (MSC4108)."""

    url: str


class Availability(Response, frozen=True, omit_defaults=False):
    """Whether who asks can have one."""

    create_available: bool


class NewData(Body, frozen=True):
    """What is left first."""

    data: str


class NextData(NewData, frozen=True, kw_only=True):
    """What is left by who has seen ``sequence_token``."""

    sequence_token: str


class Begun(Response, frozen=True):
    """A new rendezvous."""

    id: str
    sequence_token: str
    expires_in_ms: int


class Replaced(Response, frozen=True):
    """What names the data that are there now."""

    sequence_token: str


class Found(Response, frozen=True, omit_defaults=False):
    """What is there."""

    data: str
    sequence_token: str
    expires_in_ms: int


_2024 = draft("/rendezvous/{rendezvous_id}", PREFIX_2024)
_ONE = draft("/rendezvous/{rendezvous_id}", PREFIX)

begin_2024: Endpoint[NoParams, NoBody, Url] = Endpoint(
    operation_id="msc4108.beginRendezvous",
    method="POST",
    paths=draft("/rendezvous", PREFIX_2024),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    response=Url,
    max_body=MAX_BODY,
)
get_2024: Endpoint[RendezvousParams, NoBody, Stream] = Endpoint(
    operation_id="msc4108.getRendezvous",
    method="GET",
    paths=_2024,
    auth=Auth.NONE,
    params=RendezvousParams,
    response=Stream,
)
put_2024: Endpoint[RendezvousParams, NoBody, None] = Endpoint(
    operation_id="msc4108.putRendezvous",
    method="PUT",
    paths=_2024,
    auth=Auth.NONE,
    params=RendezvousParams,
    max_body=MAX_BODY,
)
delete_2024: Endpoint[RendezvousParams, NoBody, None] = Endpoint(
    operation_id="msc4108.deleteRendezvous",
    method="DELETE",
    paths=_2024,
    auth=Auth.NONE,
    params=RendezvousParams,
)

get_availability: Endpoint[NoParams, NoBody, Availability] = Endpoint(
    operation_id="msc4388.getRendezvousAvailability",
    method="GET",
    paths=draft("/rendezvous", PREFIX),
    auth=Auth.OPTIONAL,
    response=Availability,
)
begin: Endpoint[NoParams, NewData, Begun] = Endpoint(
    operation_id="msc4388.beginRendezvous",
    method="POST",
    paths=draft("/rendezvous", PREFIX),
    auth=Auth.OPTIONAL,
    limit=Limit.LOGIN,
    body=NewData,
    response=Begun,
    max_body=MAX_BODY,
)
get: Endpoint[RendezvousParams, NoBody, Found] = Endpoint(
    operation_id="msc4388.getRendezvous",
    method="GET",
    paths=_ONE,
    auth=Auth.NONE,
    params=RendezvousParams,
    response=Found,
)
put: Endpoint[RendezvousParams, NextData, Replaced] = Endpoint(
    operation_id="msc4388.putRendezvous",
    method="PUT",
    paths=_ONE,
    auth=Auth.NONE,
    params=RendezvousParams,
    body=NextData,
    response=Replaced,
    max_body=MAX_BODY,
)
delete: Endpoint[RendezvousParams, NoBody, None] = Endpoint(
    operation_id="msc4388.deleteRendezvous",
    method="DELETE",
    paths=_ONE,
    auth=Auth.NONE,
    params=RendezvousParams,
)
