"""Finding users."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.wire.client import user_directory as wire
from palpo.wire.endpoint import NoParams

handlers = Handlers()
DEFAULT_LIMIT = 10


@handlers.serves(wire.search_user_directory)
async def search_user_directory(call: Call, params: NoParams, body: wire.Search) -> wire.Results:
    """POST /user_directory/search."""
    limit = DEFAULT_LIMIT if body.limit is None else body.limit
    found = await call.services.reading.user_directory.search(call.user_id, body.search_term, limit)
    users = [
        wire.User(user_id=item.user_id, display_name=item.displayname, avatar_url=item.avatar_url)
        for item in found.profiles
    ]
    return wire.Results(results=users, limited=found.limited)
