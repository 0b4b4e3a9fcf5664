"""What was collected, as the response: pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from palpo.core.canonical_json import to_json
from palpo.core.events import Event
from palpo.sync.room_news import Rendered
from palpo.sync.sections import stripped
from palpo.sync.sliding.changes import PENDING
from palpo.sync.sliding.rooms import SlidingRoomNews
from palpo.wire.client import sliding_sync as wire


def room_result(news: SlidingRoomNews, rendered: Rendered, *, since: int | None) -> wire.RoomResult:
    """A room's section; ``rendered`` are events in client form, by ID."""
    due = news.due
    result = wire.RoomResult(
        membership=due.room.membership,
        lists=list(due.match.lists) or None,
        bump_stamp=news.bump_stamp,
        initial=due.initial,
    )
    if due.room.membership in PENDING:
        shown = stripped(due.room.row)
        return msgspec.structs.replace(result, stripped_state=shown, invite_state=shown)
    summary, unread, timeline = news.summary, news.unread, news.timeline
    result = msgspec.structs.replace(
        result,
        name=news.name,
        avatar=news.avatar,
        heroes=None if news.heroes is None else [_hero(event) for event in news.heroes],
        is_dm=_direct(news),
        required_state=_state(news, rendered),
        expanded_timeline=news.expanded,
        unstable_expanded_timeline=news.expanded,
        joined_count=None if summary is None else summary.joined,
        invited_count=None if summary is None else summary.invited,
        notification_count=None if unread is None else unread.notifications,
        highlight_count=None if unread is None else unread.highlights,
    )
    if timeline is None:
        return result
    return msgspec.structs.replace(
        result,
        timeline=[Raw(rendered[item.event_id]) for item in timeline.events],
        prev_batch=timeline.prev_batch,
        limited=timeline.limited,
        num_live=0 if since is None else sum(item.position > since for item in timeline.events),
    )


def _state(news: SlidingRoomNews, rendered: Rendered) -> list[Raw] | None:
    """The events, and stubs for what is gone."""
    events = [Raw(rendered[item.event_id]) for item in news.state]
    events += [Raw(to_json({"type": type_, "state_key": key})) for type_, key in news.unset]
    return events if events or news.due.initial else None


def _direct(news: SlidingRoomNews) -> bool | None:
    due = news.due
    if due.initial or due.sent is None:
        return True if due.direct else None
    return due.direct if due.joined and due.sent.direct != due.direct else None


def _hero(event: Event) -> wire.Hero:
    name, avatar = event.content.get("displayname"), event.content.get("avatar_url")
    return wire.Hero(
        user_id=event.state_key or "",
        displayname=name if isinstance(name, str) else None,
        avatar_url=avatar if isinstance(avatar, str) else None,
    )
