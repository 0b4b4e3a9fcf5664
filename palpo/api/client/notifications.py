"""What a user was notified of."""

import msgspec

from palpo.api.call import Call, Handlers
from palpo.wire.client import notifications as wire
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.get_notifications)
async def get_notifications(call: Call, params: wire.NotificationsParams, body: NoBody) -> wire.Notifications:
    """GET /notifications."""
    services = call.services
    page = await services.push.notifications.page(
        call.user_id, token=params.from_, limit=params.limit, highlights=params.only == "highlight"
    )
    shown = await services.reading.client_events.render(
        [item.stored for item in page.notifications],
        user_id=call.user_id,
        device_id=call.requester.device_id,
        with_room_id=False,
        bundle=False,
    )
    return wire.Notifications(
        notifications=[
            wire.Notification(
                actions=item.actions,
                event=msgspec.Raw(event),
                read=item.read,
                room_id=item.stored.event.room_id,
                ts=item.stored.event.origin_server_ts,
            )
            for item, event in zip(page.notifications, shown, strict=True)
        ],
        next_token=page.next_token,
    )
