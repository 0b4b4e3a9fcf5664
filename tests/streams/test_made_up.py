"""What is made up can be typed."""

from __future__ import annotations

import re

import pytest

from palpo.streams.made_up import made_up


@pytest.mark.parametrize("length", [1, 16, 24, 64])
def test_they_are_no_options_and_all_different(length: int) -> None:
    found = [made_up(length) for _ in range(500)]
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", item) and len(item) == length for item in found)
    assert length < 16 or len(set(found)) == len(found)
