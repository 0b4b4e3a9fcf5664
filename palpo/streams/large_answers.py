"""Answers that may be large: each is in memory as a whole while it is made or read: few are at a time."""

from __future__ import annotations

from palpo.streams.fair_queue import FairQueue


def large_answers() -> FairQueue:
    """For endpoints that say so (``Endpoint.large_answer``): the dispatcher waits for a turn."""
    return FairQueue("answers", workers=8, each=4, waiting=5000, waiting_each=200)


def whole_syncs() -> FairQueue:
    """For /sync where it tells everything, which its token says."""
    return FairQueue("syncs", workers=6, each=2, waiting=2000, waiting_each=20)


def joins_of_large_rooms() -> FairQueue:
    """For what other servers tell of rooms, where it is much."""
    return FairQueue("joins", workers=3, each=1, waiting=100, waiting_each=5)
