"""Pauses after failures."""

from __future__ import annotations

from itertools import islice

from palpo.streams.backoff import pauses


def test_each_pause_is_about_twice_the_one_before() -> None:
    for _ in range(100):
        for pause_s, most_s in zip(islice(pauses(1.0, 30.0), 8), (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
            assert 0.75 * most_s <= pause_s <= most_s


def test_no_two_are_alike() -> None:
    assert len({next(pauses(1.0, 30.0)) for _ in range(20)}) > 10
