"""Rendezvous: by ETags, as MSC4108 had it in 2024, and by sequence tokens (MSC4388)."""

from __future__ import annotations

from email.utils import formatdate

from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.core.errors import Conflict, Forbidden, InvalidParam, MatrixError, MissingParam, Unrecognized
from palpo.core.records.rendezvous import Rendezvous
from palpo.services.oauth.rendezvous import MAX_DATA, Meetings
from palpo.wire.client import rendezvous as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()
TEXT = "text/plain"


def _meetings(call: Call) -> Meetings:
    """Raises Unrecognized where there are none."""
    config = call.services.server.config
    if not (config.oauth_enabled and config.oauth.qr_login):
        raise Unrecognized("There is no rendezvous here")
    return call.services.oauth.meetings


@handlers.serves(wire.begin_2024)
async def begin_2024(call: Call, params: NoParams, body: NoBody) -> Reply:
    """POST /rendezvous (MSC4108)."""
    meetings = _meetings(call)
    _check_text(call)
    found = await meetings.begin(call.body)
    base = call.services.server.config.public_url.rstrip("/")
    answer = wire.Url(url=f"{base}{wire.begin_2024.paths[0]}/{found.rendezvous_id}")
    return Reply(status=201, body=encode(answer), headers=_headers(found))


@handlers.serves(wire.get_2024)
async def get_2024(call: Call, params: wire.RendezvousParams, body: NoBody) -> Reply:
    """GET /rendezvous/{rendezvousId} (MSC4108)."""
    _refuse_navigation(call)
    found = await _meetings(call).get(params.rendezvous_id)
    headers = {**_headers(found), "X-Content-Type-Options": "nosniff"}
    if call.headers.get("if-none-match") == headers["ETag"]:
        return Reply(status=304, content_type=TEXT, headers=headers)
    return Reply(body=found.data, content_type=TEXT, headers=headers)


@handlers.serves(wire.put_2024)
async def put_2024(call: Call, params: wire.RendezvousParams, body: NoBody) -> Reply:
    """PUT /rendezvous/{rendezvousId} (MSC4108)."""
    meetings = _meetings(call)
    _check_text(call)
    etag = call.headers.get("if-match")
    if etag is None:
        raise MissingParam("If-Match is missing")
    try:
        found = await meetings.put(params.rendezvous_id, etag.strip('"'), call.body)
    except Conflict as error:
        raise MatrixError(error.message, errcode=error.errcode, status=412) from None
    return Reply(status=202, body=b"", content_type=TEXT, headers=_headers(found))


@handlers.serves(wire.delete_2024)
async def delete_2024(call: Call, params: wire.RendezvousParams, body: NoBody) -> Reply:
    """DELETE /rendezvous/{rendezvousId} (MSC4108)."""
    await _meetings(call).end(params.rendezvous_id)
    return Reply(status=204, content_type=TEXT)


@handlers.serves(wire.get_availability)
async def get_availability(call: Call, params: NoParams, body: NoBody) -> wire.Availability:
    """GET /rendezvous."""
    _meetings(call)
    return wire.Availability(create_available=True)


@handlers.serves(wire.begin)
async def begin(call: Call, params: NoParams, body: wire.NewData) -> wire.Begun:
    """POST /rendezvous."""
    found = await _meetings(call).begin(_encoded(body.data))
    return wire.Begun(
        id=found.rendezvous_id, sequence_token=found.sequence, expires_in_ms=_left_ms(call, found)
    )


@handlers.serves(wire.get)
async def get(call: Call, params: wire.RendezvousParams, body: NoBody) -> wire.Found:
    """GET /rendezvous/{rendezvousId}."""
    _refuse_navigation(call)
    found = await _meetings(call).get(params.rendezvous_id)
    return wire.Found(
        data=found.data.decode("utf-8", "replace"),
        sequence_token=found.sequence,
        expires_in_ms=_left_ms(call, found),
    )


@handlers.serves(wire.put)
async def put(call: Call, params: wire.RendezvousParams, body: wire.NextData) -> wire.Replaced:
    """PUT /rendezvous/{rendezvousId}."""
    data = _encoded(body.data)
    found = await _meetings(call).put(params.rendezvous_id, body.sequence_token, data)
    return wire.Replaced(sequence_token=found.sequence)


@handlers.serves(wire.delete)
async def delete(call: Call, params: wire.RendezvousParams, body: NoBody) -> None:
    """DELETE /rendezvous/{rendezvousId}."""
    await _meetings(call).end(params.rendezvous_id)


def _headers(found: Rendezvous) -> dict[str, str]:
    return {
        "ETag": f'"{found.sequence}"',
        "Expires": formatdate(found.expires_ts / 1000, usegmt=True),
        "Last-Modified": formatdate(found.modified_ts / 1000, usegmt=True),
        "Cache-Control": "no-store, no-transform",
        "Pragma": "no-cache",
        "X-Max-Bytes": str(MAX_DATA),
    }


def _left_ms(call: Call, found: Rendezvous) -> int:
    return max(0, found.expires_ts - call.services.server.clock.now_ms())


def _encoded(data: str) -> bytes:
    try:
        return data.encode()
    except UnicodeEncodeError:
        raise InvalidParam("The data have characters that do not exist") from None


def _check_text(call: Call) -> None:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != TEXT:
        raise InvalidParam("The data have to be text/plain")


def _refuse_navigation(call: Call) -> None:
    """What strangers leave here is for programs, and no page that a link leads to."""
    if call.headers.get("sec-fetch-mode") == "navigate":
        raise Forbidden("This is nothing to look at in a browser")
