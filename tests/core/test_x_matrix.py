"""Requests signed by servers: our headers are read by others' rules, and others' by ours."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import signedjson.key
import signedjson.sign
from hypothesis import given
from hypothesis import strategies as st

from palpo.core import signing, x_matrix
from palpo.core.canonical_json import Canonical, encode_lax
from palpo.core.errors import BadJson, Unauthorized
from palpo.core.signing import SigningKey
from palpo.core.x_matrix import Credentials, SignedRequest
from tests.core.json_values import LAX_OBJECTS

KEY = SigningKey(key_id="ed25519:a_1", seed=b"a" * 32)
SECOND = SigningKey(key_id="ed25519:b_2", seed=b"b" * 32)
THEIRS = signedjson.key.decode_signing_key_base64(
    "ed25519", "a_1", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"
)
VERIFY_KEYS = {key.key_id: key.verify_key_base64 for key in (KEY, SECOND)}
REQUEST = SignedRequest(
    method="PUT",
    uri="/_matrix/federation/v1/send/1?a=%2F",
    origin="origin.example:8448",
    destination="own.example",
    content={"pdus": []},
)

SERVER_NAMES = st.from_regex(r"[a-z0-9.-]{1,30}(:[0-9]{1,4})?", fullmatch=True)
REQUESTS = st.builds(
    SignedRequest,
    method=st.sampled_from(["GET", "PUT", "POST"]),
    uri=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    origin=SERVER_NAMES,
    destination=SERVER_NAMES,
    content=st.none() | LAX_OBJECTS,
)


def header(**params: str) -> str:
    """One that nobody signed."""
    values = {"origin": "o.example", "destination": "own.example", "key": "ed25519:1", "sig": "abc"} | params
    return "X-Matrix " + ",".join(f'{name}="{value}"' for name, value in values.items())


@given(REQUESTS)
def test_what_is_made_is_read_and_verified(request: SignedRequest) -> None:
    made = x_matrix.authorization(request, KEY)
    credentials = x_matrix.parse([made])
    assert (credentials.origin, credentials.destination) == (request.origin, request.destination)
    received = x_matrix.signed_by(
        credentials,
        method=request.method,
        uri=request.uri,
        content=request.content,
        own_name=request.destination,
    )
    assert received == request
    x_matrix.verify(credentials, received, VERIFY_KEYS)


@given(REQUESTS)
def test_what_is_made_is_what_signedjson_makes(request: SignedRequest) -> None:
    their = signedjson.sign.sign_json(request.json(), request.origin, THEIRS)
    signature = their["signatures"][request.origin]["ed25519:a_1"]
    assert x_matrix.parse([x_matrix.authorization(request, KEY)]).signatures == {KEY.key_id: signature}
    signed = {
        **request.json(),
        "signatures": {
            request.origin: dict(x_matrix.parse([x_matrix.authorization(request, KEY)]).signatures)
        },
    }
    signedjson.sign.verify_signed_json(signed, request.origin, signedjson.key.get_verify_key(THEIRS))


@given(REQUESTS)
def test_content_that_is_encoded_already_is_signed_the_same(request: SignedRequest) -> None:
    encoded = replace(request, content=Canonical(encode_lax(request.content)))
    expected = x_matrix.authorization(request, KEY)
    if request.content is not None:
        assert x_matrix.authorization(encoded, KEY) == expected


def test_the_header_is_as_the_spec_has_it() -> None:
    signature = signing.sign_json(REQUEST.json(), REQUEST.origin, KEY)["signatures"][REQUEST.origin]
    assert x_matrix.authorization(REQUEST, KEY) == (
        'X-Matrix origin="origin.example:8448",destination="own.example",key="ed25519:a_1",'
        f'sig="{signature["ed25519:a_1"]}"'
    )
    assert "content" not in replace(REQUEST, content=None).json()


@given(
    st.permutations(["origin", "destination", "key", "sig", "other"]),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.lists(st.sampled_from(["", " ", "\t", "  "]), min_size=20, max_size=20),
    st.sampled_from(["X-Matrix", "x-matrix", "X-MATRIX"]),
    st.sampled_from([",", ",,", ", ,"]),
    st.booleans(),
)
def test_headers_are_read_leniently(
    order: list[str], quoted: list[bool], spaces: list[str], scheme: str, comma: str, capitals: bool
) -> None:
    values = {
        "origin": "[2001:db8::1]:8448",
        "destination": "own.example:443",
        "key": "ed25519:auto",
        "sig": "ab+/cd==",
        "other": "what, ever",
    }
    parts = []
    for number, (name, quote) in enumerate(zip(order, quoted, strict=True)):
        before, after, around, end = spaces[4 * number : 4 * number + 4]
        value = f'"{values[name]}"' if quote or "," in values[name] else values[name]
        parts.append(f"{before}{name.title() if capitals else name}{after}={around}{value}{end}")
    credentials = x_matrix.parse([f"{scheme}  {comma.join(parts)}{comma}"])
    assert credentials == Credentials(
        origin="[2001:db8::1]:8448",  # type: ignore[arg-type]
        destination="own.example:443",
        signatures={"ed25519:auto": "ab+/cd=="},
    )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
def test_values_are_escaped_as_rfc_9110_has_it(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert x_matrix.parse([header(destination=escaped)]).destination == value
    assert x_matrix._escaped(value) == escaped


def test_needless_escapes_are_undone() -> None:
    assert x_matrix.parse([header(sig=r"\a\b\"\\")]).signatures == {"ed25519:1": 'ab"\\'}


def test_no_destination() -> None:
    credentials = x_matrix.parse(["X-Matrix origin=o.example,key=ed25519:a_1,sig=abc"])
    assert credentials.destination is None
    signed = signing.sign_json(replace(REQUEST, origin="o.example").json(), "o.example", KEY)
    signature = signed["signatures"]["o.example"]["ed25519:a_1"]
    credentials = x_matrix.parse([f"X-Matrix origin=o.example,key=ed25519:a_1,sig={signature}"])
    received = x_matrix.signed_by(
        credentials, method="PUT", uri=REQUEST.uri, content=REQUEST.content, own_name="own.example"
    )
    x_matrix.verify(credentials, received, VERIFY_KEYS)
    with pytest.raises(Unauthorized):
        x_matrix.verify(credentials, replace(received, destination="else.example"), VERIFY_KEYS)


def test_a_header_for_each_key() -> None:
    headers = [x_matrix.authorization(REQUEST, key) for key in (KEY, SECOND)]
    credentials = x_matrix.parse(
        ["Bearer abc", *headers, header(key="ed448:1").replace("o.e", "origin.e")][:3]
    )
    assert list(credentials.signatures) == ["ed25519:a_1", "ed25519:b_2"]
    for key in (KEY, SECOND):
        x_matrix.verify(credentials, REQUEST, {key.key_id: key.verify_key_base64})
    one_is_wrong = {KEY.key_id: SECOND.verify_key_base64, SECOND.key_id: SECOND.verify_key_base64}
    x_matrix.verify(credentials, REQUEST, one_is_wrong)


def test_keys_of_other_algorithms_are_passed_over() -> None:
    assert x_matrix.parse([header(key="ed448:1"), header()]).signatures == {"ed25519:1": "abc"}


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"uri": "/_matrix/federation/v1/send/2?a=%2F"},
        {"uri": "/_matrix/federation/v1/send/1?a=/"},
        {"origin": "else.example"},
        {"destination": "else.example"},
        {"content": {"pdus": [1]}},
        {"content": None},
    ],
)
def test_x_matrix_with_our_destination_method_uri_and_body(change: dict[str, Any]) -> None:
    credentials = x_matrix.parse([x_matrix.authorization(REQUEST, KEY)])
    x_matrix.verify(credentials, REQUEST, VERIFY_KEYS)
    with pytest.raises(Unauthorized):
        x_matrix.verify(credentials, replace(REQUEST, **change), VERIFY_KEYS)


def test_a_request_for_another_server_is_refused() -> None:
    credentials = x_matrix.parse([x_matrix.authorization(REQUEST, KEY)])
    with pytest.raises(Unauthorized, match="another server"):
        x_matrix.signed_by(credentials, method="PUT", uri=REQUEST.uri, own_name="else.example")


@pytest.mark.parametrize(
    "verify_keys", [{}, {"ed25519:a_1": SECOND.verify_key_base64}, {"ed25519:a_1": "?"}, {"ed25519:z": "abc"}]
)
def test_other_keys_verify_nothing(verify_keys: dict[str, str]) -> None:
    credentials = x_matrix.parse([x_matrix.authorization(REQUEST, KEY)])
    with pytest.raises(Unauthorized):
        x_matrix.verify(credentials, REQUEST, verify_keys)


def test_content_without_a_canonical_form() -> None:
    request = replace(REQUEST, content={"a": float("nan")})
    with pytest.raises(BadJson):
        x_matrix.authorization(request, KEY)
    with pytest.raises(Unauthorized):
        x_matrix.verify(x_matrix.parse([x_matrix.authorization(REQUEST, KEY)]), request, VERIFY_KEYS)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Bearer abc"],
        ["X-Matrix"],
        ["X-Matrix "],
        ["X-Matrix origin"],
        ["X-Matrix =a"],
        [header(origin="")],
        [header(key="")],
        [header(sig="")],
        [header(origin="not a server")],
        [header(origin="o.example:99999")],
        [header(key="ed448:1")],
        [header() + ',origin="p.example"'],
        [header() + ' x="y"'],
        [header() + ',x="y'],
        [header() + ',x="y"z'],
        [header() + ",x=y z\x00\"'"],
        [header(), header(origin="p.example", key="ed25519:2")],
        [header(), header(destination="p.example", key="ed25519:2")],
        [header(), header(sig="other")],
        [header(), "X-Matrix origin=o.example"],
        [header(key=f"ed25519:{number}") for number in range(9)],
        [header(x="y" * 5000)],
    ],
)
def test_headers_that_are_refused(headers: list[str]) -> None:
    with pytest.raises(Unauthorized) as error:
        x_matrix.parse(headers)
    assert (error.value.status, error.value.errcode) == (401, "M_UNAUTHORIZED")


@given(st.lists(st.text(max_size=60).map(lambda text: f"X-Matrix {text}") | st.text(max_size=60), max_size=3))
def test_any_text_is_read_or_refused(headers: list[str]) -> None:
    with suppress(Unauthorized):
        x_matrix.parse(headers)


@given(st.text(' ,="\\aoriginkeysg:.25', max_size=80))
def test_any_parameters_are_read_or_refused(text: str) -> None:
    with suppress(Unauthorized):
        x_matrix.parse([f"X-Matrix {text}"])


@pytest.mark.parametrize("filling", [" ", "\t", ",", "a", '"', "\\", "a=", '\\"', "=", ' "'])
def test_long_headers_cost_little(filling: str) -> None:
    text = (filling * 4000)[:4000]
    before = time.process_time()
    for start in ("X-Matrix ", "X-Matrix a=", 'X-Matrix a="', "X-Matrix a=b"):
        with pytest.raises(Unauthorized):
            x_matrix.parse([start + text])
    assert time.process_time() - before < 0.5, "its time grows with the square of its length"
