"""The tokens that clients page with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.errors import InvalidParam
from palpo.services.history import tokens
from palpo.services.history.tokens import Place

POSITIONS = st.integers(0, 10**18 - 1)


@given(POSITIONS, POSITIONS)
def test_sync_tokens_come_back(position: int, to_device: int) -> None:
    token = tokens.stream_token(position, to_device)
    assert tokens.parse_sync_token(token) == (position, min(position, to_device))
    assert tokens.parse_pagination_token(token) == position


@given(POSITIONS, POSITIONS, POSITIONS)
def test_timeline_tokens_come_back(number: int, position: int, upto: int) -> None:
    for place in (Place((number, position)), Place((number, position), upto)):
        assert tokens.parse_pagination_token(tokens.timeline_token(place)) == place


@pytest.mark.parametrize(
    "token", ["", "s", "t1", "s-1", "s1.", "x1", "s" + "9" * 19, "s1 ", "t1-2-3-4", "t1-2-", "s١"]
)
def test_others_are_refused(token: str) -> None:
    with pytest.raises(InvalidParam):
        tokens.parse_pagination_token(token)


@pytest.mark.parametrize("token", ["s12_0_0_16_9_1_1_3_0_1_1", "m12~1.14_0_0_16_9_1_m3~1.4_3_0_1"])
def test_tokens_of_synapse_are_known(token: str) -> None:
    assert tokens.is_synapse_token(token)
    with pytest.raises(InvalidParam):
        tokens.parse_sync_token(token)


@given(POSITIONS, POSITIONS)
def test_ours_are_none_of_synapse(position: int, to_device: int) -> None:
    assert not tokens.is_synapse_token(tokens.stream_token(position, to_device))
    assert not tokens.is_synapse_token(f"s{position}_1f_{to_device}")


def test_messages_to_a_device_begin_anew_after_an_import() -> None:
    assert tokens.parse_to_device_token("17") == 0
    assert tokens.parse_to_device_token("s17") == 17
