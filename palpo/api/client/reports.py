"""Reporting what is inappropriate."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import reports as wire
from palpo.wire.endpoint import EventParams, RoomParams, UserParams

handlers = Handlers()


@handlers.serves(wire.report_room)
async def report_room(call: Call, params: RoomParams, body: wire.Report) -> None:
    """POST /rooms/{roomId}/report."""
    await call.services.rooms.reports.report_room(call.user_id, params.room_id, body.reason)


@handlers.serves(wire.report_event)
async def report_event(call: Call, params: EventParams, body: wire.EventReport) -> None:
    """POST /rooms/{roomId}/report/{eventId}."""
    await call.services.rooms.reports.report_event(
        call.user_id, params.room_id, params.event_id, body.reason, body.score
    )


@handlers.serves(wire.report_user)
async def report_user(call: Call, params: UserParams, body: wire.Report) -> None:
    """POST /users/{userId}/report."""
    await call.services.rooms.reports.report_user(call.user_id, params.user_id, body.reason)
