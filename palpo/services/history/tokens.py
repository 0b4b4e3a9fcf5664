"""The tokens that clients page with.

s123        a place in the server's stream: everything at or below position 123 has been seen
s123.100    the same, but of the messages to this device only those up to position 100
s123_1f_7   the same as s123, for a connection of sliding sync (palpo.sync.sliding.connections)
t45-123     a place in a room's timeline: just after the event at place 45, position 123, which is below 0 for
            what is no news (t45--123)
t45-123-99  the same, from where only events at positions up to 99 of the stream are read backwards: what came
            later may stand before that in the timeline, but has been shown
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from palpo.core.errors import InvalidParam

_STREAM = re.compile(r"s([0-9]{1,18})(?:\.([0-9]{1,18})|_[0-9a-z]{1,32}_[0-9]{1,18})?")
_SYNAPSE = re.compile(r"[sm][0-9.~]{1,200}(?:_[0-9m.~]{1,200}){6,19}")
_SYNAPSE_TO_DEVICE = re.compile(r"[0-9]{1,18}")
_TIMELINE = re.compile(r"t([0-9]{1,18})-(-?[0-9]{1,18})(?:-([0-9]{1,18}))?")

Order = tuple[int, int]
"""``(place, position)``: where an event stands in its room's timeline."""
UNBOUNDED: Final = 10**18 - 1


class Place(NamedTuple):
    """A place in a room's timeline: just after the event at ``order``."""

    order: Order
    upto: int = UNBOUNDED
    """Backwards from here, only events at stream positions up to this are read."""


def stream_token(position: int, to_device: int | None = None) -> str:
    """The token of a stream position; ``to_device`` where the device's messages are behind it."""
    if to_device is None or to_device >= position:
        return f"s{position}"
    return f"s{position}.{to_device}"


def timeline_token(place: Place) -> str:
    """The token of a place in a room's timeline."""
    (number, position), upto = place
    return f"t{number}-{position}" if upto == UNBOUNDED else f"t{number}-{position}-{upto}"


def position_token(position: int) -> str:
    """The token of an event's position: what is no news has none in the stream, and is in the timeline."""
    return stream_token(position) if position >= 0 else timeline_token(Place((0, position)))


def parse_stream_token(token: str) -> int:
    """The position of a stream token; raises InvalidParam."""
    return parse_sync_token(token)[0]


def parse_events_token(token: str) -> int:
    """The position of a stream token, or of the event that a place in a timeline is after.

    ``/events`` goes on from either: ``initialSync`` of a room gives the latter. Raises InvalidParam.
    """
    place = parse_pagination_token(token)
    return place if isinstance(place, int) else place.order[1]


def parse_sync_token(token: str) -> tuple[int, int]:
    """The positions of the stream and of the device's messages; raises InvalidParam."""
    match = _STREAM.fullmatch(token)
    if match is None:
        raise InvalidParam("Not a token of this server's stream")
    position = int(match[1])
    return position, position if match[2] is None else min(position, int(match[2]))


def is_synapse_token(token: str) -> bool:
    """Whether a Synapse has given it to a client that syncs: accounts may have been imported from one."""
    return _SYNAPSE.fullmatch(token) is not None


def parse_to_device_token(token: str) -> int:
    """The position of a stream token; 0 for what a Synapse has given out, as that is. Raises InvalidParam."""
    return 0 if _SYNAPSE_TO_DEVICE.fullmatch(token) else parse_stream_token(token)


def parse_pagination_token(token: str) -> int | Place:
    """The stream position, or the place in a timeline, that a token means; raises InvalidParam."""
    match = _TIMELINE.fullmatch(token)
    if match is not None:
        return Place((int(match[1]), int(match[2])), UNBOUNDED if match[3] is None else int(match[3]))
    return parse_stream_token(token)
