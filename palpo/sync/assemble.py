"""What was collected, as the response: pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from msgspec import Raw

from palpo.services.push.unread import UnreadCounts
from palpo.storage.memberships import Member
from palpo.sync.joined import V3RoomNews
from palpo.sync.room_news import Rendered
from palpo.sync.sections import stripped
from palpo.wire.client import sync as wire


class StateSection(Enum):
    """Which state a response has, and what the section is called."""

    BEFORE = auto()
    """``state``: before the timeline."""
    AFTER = auto()
    """``state_after``: after the timeline (MSC4222)."""
    AFTER_UNSTABLE = auto()
    """The same by the name that it had before it was in the spec."""


def joined_room(
    news: V3RoomNews, rendered: Rendered, *, section: StateSection, threads: bool
) -> wire.JoinedRoom:
    """The section of a room that the user is in."""
    unread = news.unread or UnreadCounts()
    state = wire.Events(events=[Raw(rendered[item.event_id]) for item in news.state])
    summary = None
    if news.summary is not None:
        summary = wire.Summary(
            heroes=news.summary.heroes,
            joined_member_count=news.summary.joined,
            invited_member_count=news.summary.invited,
        )
    return wire.JoinedRoom(
        timeline=_timeline(news, rendered),
        state=state if section is StateSection.BEFORE else None,
        state_after=state if section is StateSection.AFTER else None,
        unstable_state_after=state if section is StateSection.AFTER_UNSTABLE else None,
        ephemeral=raw_events(news.ephemeral),
        account_data=raw_events(news.account_data),
        summary=summary,
        unread_notifications=_main_counts(unread, threads=threads),
        unread_thread_notifications=_thread_counts(unread) if threads else None,
    )


def left_room(news: V3RoomNews, rendered: Rendered, *, section: StateSection) -> wire.LeftRoom:
    """The section of a room that the user has left."""
    state = wire.Events(events=[Raw(rendered[item.event_id]) for item in news.state])
    return wire.LeftRoom(
        timeline=_timeline(news, rendered),
        state=state if section is StateSection.BEFORE else None,
        state_after=state if section is StateSection.AFTER else None,
        unstable_state_after=state if section is StateSection.AFTER_UNSTABLE else None,
        account_data=raw_events(news.account_data),
    )


def invited_room(invite: Member) -> wire.InvitedRoom:
    """The section of an invite."""
    return wire.InvitedRoom(invite_state=wire.Events(events=stripped(invite)))


def knocked_room(knock: Member) -> wire.KnockedRoom:
    """The section of a knock."""
    return wire.KnockedRoom(knock_state=wire.Events(events=stripped(knock)))


def raw_events(events: Sequence[bytes]) -> wire.Events:
    """A list of events that are JSON already."""
    return wire.Events(events=[Raw(event) for event in events])


def _timeline(news: V3RoomNews, rendered: Rendered) -> wire.Timeline:
    return wire.Timeline(
        events=[Raw(rendered[item.event_id]) for item in news.timeline.events],
        limited=news.timeline.limited,
        prev_batch=news.timeline.prev_batch,
    )


def _main_counts(unread: UnreadCounts, *, threads: bool) -> wire.UnreadNotifications:
    """The room's counts: of the main timeline alone where threads are counted by themselves."""
    notifications, highlights = (
        unread.without_threads() if threads else (unread.notifications, unread.highlights)
    )
    return wire.UnreadNotifications(notification_count=notifications, highlight_count=highlights)


def _thread_counts(unread: UnreadCounts) -> dict[str, wire.UnreadNotifications] | None:
    counts = {
        thread: wire.UnreadNotifications(notification_count=notifications, highlight_count=highlights)
        for thread, (notifications, highlights) in unread.threads.items()
        if notifications or highlights
    }
    return counts or None
