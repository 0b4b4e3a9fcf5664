"""Which threads a user follows, as clients are told of it (MSC4308)."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.storage.thread_subscriptions import ThreadSubscription
from palpo.wire.client import thread_subscriptions as wire


def changes(found: Iterable[ThreadSubscription], *, end: str | None = None) -> wire.Changes:
    """Subscriptions that changed, by room and root."""
    subscribed: dict[str, dict[str, wire.Subscribed]] = {}
    unsubscribed: dict[str, dict[str, wire.Unsubscribed]] = {}
    for item in found:
        if item.subscribed:
            entry = wire.Subscribed(automatic=item.automatic, bump_stamp=item.position)
            subscribed.setdefault(item.room_id, {})[item.root_id] = entry
        else:
            gone = wire.Unsubscribed(bump_stamp=item.position)
            unsubscribed.setdefault(item.room_id, {})[item.root_id] = gone
    return wire.Changes(subscribed=subscribed, unsubscribed=unsubscribed, end=end)
