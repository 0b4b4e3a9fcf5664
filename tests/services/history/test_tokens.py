"""The tokens that clients page with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.errors import InvalidParam
from palpo.services.history import tokens

POSITIONS = st.integers(0, 10**18 - 1)


@given(POSITIONS, POSITIONS)
def test_sync_tokens_come_back(position: int, to_device: int) -> None:
    token = tokens.stream_token(position, to_device)
    assert tokens.parse_sync_token(token) == (position, min(position, to_device))
    assert tokens.parse_pagination_token(token) == position


@given(POSITIONS, POSITIONS)
def test_timeline_tokens_come_back(depth: int, position: int) -> None:
    token = tokens.timeline_token((depth, position))
    assert tokens.parse_pagination_token(token) == (depth, position)


@pytest.mark.parametrize("token", ["", "s", "t1", "s-1", "s1.", "x1", "s" + "9" * 19, "s1 ", "t1-2-3", "s١"])
def test_others_are_refused(token: str) -> None:
    with pytest.raises(InvalidParam):
        tokens.parse_pagination_token(token)
