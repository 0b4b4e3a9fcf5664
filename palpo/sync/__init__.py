"""Telling clients what is new.

feed.py        where clients stand in the stream, and waiting until there is more
window.py      the stretch of the stream that one answer covers, and what changed in it
filters.py     the client's filter, compiled
joined.py      collects what is new in the rooms that the user is in
left.py        the same for rooms that the user left
room_news.py   what is new in one room
members.py     lazy loading: which members a client has been told of
summary.py     what a room without a name is called by
assemble.py    pure: what was collected, as the response
v3.py          GET /sync: waits, collects, assembles
sliding/       simplified sliding sync, with much of the above
"""

from __future__ import annotations

from dataclasses import dataclass

from palpo.sync.filters import SyncFilters
from palpo.sync.sliding.connections import Connections
from palpo.sync.sliding.service import SlidingSync
from palpo.sync.v3 import SyncV3


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncServices:
    """What is new to a device, both ways to ask."""

    connections: Connections
    filters: SyncFilters
    sliding: SlidingSync
    v3: SyncV3
