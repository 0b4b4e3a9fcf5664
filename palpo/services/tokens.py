"""The tokens that clients page with.

s123        a place in the server's stream: everything at or below position 123 has been seen
t45-123     a place in a room's timeline: just after the event at depth 45, position 123
"""

from __future__ import annotations

import re

from palpo.core.errors import InvalidParam

_STREAM = re.compile(r"s([0-9]{1,18})")
_TIMELINE = re.compile(r"t([0-9]{1,18})-([0-9]{1,18})")

Order = tuple[int, int]
"""``(depth, position)``: where an event stands in its room's timeline."""


def stream_token(position: int) -> str:
    """The token of a stream position."""
    return f"s{position}"


def timeline_token(order: Order) -> str:
    """The token of the place just after the event at ``order``."""
    return f"t{order[0]}-{order[1]}"


def parse_stream_token(token: str) -> int:
    """The position of a stream token; raises InvalidParam."""
    match = _STREAM.fullmatch(token)
    if match is None:
        raise InvalidParam("Not a token of this server's stream")
    return int(match[1])


def parse_pagination_token(token: str) -> int | Order:
    """The stream position, or the place in a timeline, that a token means; raises InvalidParam."""
    match = _TIMELINE.fullmatch(token)
    if match is not None:
        return int(match[1]), int(match[2])
    return parse_stream_token(token)
