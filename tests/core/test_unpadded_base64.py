from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unpaddedbase64 import encode_base64

from palpo.core import unpadded_base64


@pytest.mark.parametrize(
    ("data", "text"),
    [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")],
)
def test_specification_examples(data: str, text: str) -> None:
    assert unpadded_base64.encode(data.encode()) == text
    assert unpadded_base64.decode(text) == data.encode()


@given(st.binary(max_size=70))
def test_agrees_with_unpaddedbase64(data: bytes) -> None:
    for urlsafe, encode in ((False, unpadded_base64.encode), (True, unpadded_base64.encode_urlsafe)):
        text = encode(data)
        assert text == encode_base64(data, urlsafe=urlsafe)
        assert unpadded_base64.decode(text) == data
        assert unpadded_base64.decode(text + "=" * (-len(text) % 4)) == data


@pytest.mark.parametrize("text", ["A", "AB C", "AB\n", "é", "A=B=", "*"])
def test_other_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpadded_base64.decode(text)
