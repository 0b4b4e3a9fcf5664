"""Rooms: what is made, how long it is kept, and notices in them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE
from palpo.config.section import Section


class RoomConfig(Section, frozen=True):
    """Rooms."""

    default_version: Annotated[
        str, Meta(description="The version of new rooms, unless whoever creates one asks for another."), LIVE
    ] = "12"


class RetentionConfig(Section, frozen=True):
    """How long messages are kept (`m.room.retention`, MSC1763). State is kept for ever."""

    enabled: Annotated[
        bool,
        Meta(description="Delete messages that are too old, and show them to nobody before."),
    ] = False
    default_days: Annotated[
        int, Meta(ge=0, description="How long, in rooms that do not say it; 0: for ever.")
    ] = 0
    min_days: Annotated[int, Meta(ge=0, description="The least that a room can say.")] = 0
    max_days: Annotated[int, Meta(ge=0, description="The most that a room can say; 0: any time.")] = 0
    interval_hours: Annotated[
        int, Meta(ge=1, description="How often rooms are looked through for what is too old.")
    ] = 24


class ServerNoticesConfig(Section, frozen=True):
    """Notices from the server to its users, each in a room of their own."""

    enabled: Annotated[bool, Meta(description="Whether administrators can send any.")] = False
    localpart: Annotated[
        str, Meta(pattern=r"^[a-z0-9._=/+-]{1,100}$", description="Of the user whom they come from.")
    ] = "_server"
    display_name: Annotated[str, Meta(max_length=255, description="That user's name.")] = "Server notices"
    room_name: Annotated[str, Meta(max_length=255, description="The name of the rooms.")] = "Server notices"
