"""Files: looked up by their URI or by the room that they were sent to; withheld, protected, deleted."""

from __future__ import annotations

import re

from quart import Response
from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, day_ms, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.api.pages.security import allow
from palpo.core.errors import InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import MxcUri, parse_mxc_uri, parse_room_id
from palpo.core.records.media import MediaRecord
from palpo.media.headers import SECURITY
from palpo.services.media.media import thumbnail_spec
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("media", __name__)

MAX_SHOWN = 200
PREVIEW = 320
"""Pixels, on each side at most."""
OWN = {"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"}
MAX_PREVIEW = 4 * 1024 * 1024
"""Bytes."""
IMAGE = re.compile(r"image/(png|jpeg|gif|webp|avif)")
DONE = {
    "quarantine": "It is withheld from everybody",
    "release": "It is given out again",
    "protect": "Nobody can quarantine it now",
    "unprotect": "It can be quarantined again",
    "delete": "It is deleted",
}


@blueprint.serves(wire.media)
async def media(call: Call, params: wire.MediaParams) -> ResponseReturnValue:
    """GET /_palpo/admin/media."""
    message, record = "", None
    uris: list[MxcUri] = []
    try:
        if params.uri:
            uri = parse_mxc_uri(params.uri.strip())
            record = await call.services.administration.media.find(uri.server, uri.media_id)
        if params.room:
            room_id = parse_room_id(params.room.strip())
            found = await call.services.administration.media.of_room(room_id, most=MAX_SHOWN + 1)
            uris = [*found.local, *found.remote]
    except MatrixError as error:
        message = error.message
    if record is not None and is_image(record):
        allow(img_src="'self'")
    return await show(
        "media.html",
        call,
        record=record,
        image=record is not None and is_image(record),
        uri=params.uri,
        room=params.room,
        uris=uris[:MAX_SHOWN],
        more=len(uris) > MAX_SHOWN,
        message=message,
    )


@blueprint.serves(wire.preview_media)
async def preview_media(call: Call, params: wire.FileParams) -> ResponseReturnValue:
    """GET /_palpo/admin/media/{server_name}/{media_id}/preview: also of what is withheld, in a small size."""
    media = call.services.media.media
    record = await media.find(params.server_name, params.media_id, allow_remote=False, even_quarantined=True)
    if not is_image(record):
        raise NotFound("That is no picture")
    spec = thumbnail_spec(PREVIEW, PREVIEW, crop=False, animated=False)
    thumbnail = await media.thumbnail(record, spec)
    if thumbnail.size > MAX_PREVIEW or not IMAGE.fullmatch(thumbnail.content_type):
        raise NotFound("There is no preview of it")
    content = b"".join([chunk async for chunk in media.read(thumbnail.sha256)])
    return Response(content, content_type=thumbnail.content_type, headers={**SECURITY, **OWN})


@blueprint.action(wire.change_media)
async def change_media(call: Call, params: wire.MediaChangeParams, form: Form) -> Done:
    """POST /_palpo/admin/media/{server_name}/{media_id}/{verb}."""
    quarantine, by = call.services.media.quarantine, (await administrator(call)).user_id
    server_name, media_id = params.server_name, params.media_id
    uri = f"mxc://{server_name}/{media_id}"
    if params.verb == "quarantine":
        await quarantine.quarantine(server_name, media_id, by)
    elif params.verb == "release":
        await quarantine.release(server_name, media_id)
    elif params.verb in ("protect", "unprotect") and server_name == call.services.server.name:
        await quarantine.protect(media_id, params.verb == "protect")
    elif params.verb == "delete":
        await call.services.media.media_cleanup.delete(server_name, media_id)
        return Done(text=DONE["delete"], then="/media", target=uri)
    else:
        raise NotFound("That cannot be done with it")
    return Done(text=DONE[params.verb], then=f"/media?uri={uri}", target=uri)


@blueprint.action(wire.clean_media)
async def clean_media(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/media: delete what nobody has asked for since a day, of users here or others."""
    media, before_ts = call.services.administration.media, day_ms(form.get("before", ""))
    if form.get("of") == "others":
        return Done(text=f"Files removed: {await media.purge_remote(before_ts=before_ts)}", then="/media")
    size = form.get("larger_than", "").strip() or "0"
    if not (size.isascii() and size.isdigit() and len(size) < 7):
        raise InvalidParam("Say in KiB how large files are at least")
    gone = await media.delete_old(
        before_ts=before_ts, larger_than=int(size) * 1024, keep_pictures="pictures" not in form
    )
    return Done(text=f"Files deleted: {len(gone)}", then="/media")


def is_image(record: MediaRecord) -> bool:
    """Whether a browser may show it."""
    return record.sha256 is not None and IMAGE.fullmatch(record.content_type or "") is not None
