"""What servers and notaries say of keys: what of it counts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import signedjson.key
import signedjson.sign
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from palpo.core import canonical_json, server_keys, signing
from palpo.core.errors import BadJson, MatrixError, NotJson
from palpo.core.server_keys import (
    DAY_MS,
    MAX_ANSWER,
    MAX_ANSWERS,
    KeyAnswer,
    ServerKey,
    WantedKey,
    changed_keys,
    check_notary_answer,
    notary_key_ids,
    parse_answer,
    parse_notary_answer,
)
from palpo.core.signing import SignatureError
from tests.core.json_values import LAX
from tests.support.key_servers import HOUR_MS, NOW, encoded, make_key, name, signed, unsigned

SERVER = name("s.example")
NOTARY = name("notary.example")
ONE, TWO, OTHER, NOTARY_KEY = make_key("1", "a"), make_key("2", "b"), make_key("1", "c"), make_key("n", "n")
NOTARY_KEYS = {NOTARY_KEY.key_id: NOTARY_KEY.verify_key_base64}


def parsed(obj: Any, now_ms: int = NOW) -> KeyAnswer:
    return parse_answer(encoded(obj), SERVER, now_ms=now_ms)


def key_ids(obj: Any) -> dict[str, bool]:
    """The keys that count, and which are retired."""
    return {key.key_id: key.retired for key in parsed(obj).keys}


def key(
    version: str = "1", letter: str = "a", *, until: int = NOW + DAY_MS, retired: bool = False
) -> ServerKey:
    made = make_key(version, letter)
    return ServerKey(
        server_name=SERVER,
        key_id=made.key_id,
        verify_key=made.verify_key_base64,
        valid_until_ts=until,
        retired=retired,
    )


def test_a_whole_answer() -> None:
    old = {"ed25519:old": (OTHER, NOW - DAY_MS)}
    obj = signed(SERVER, [ONE, TWO], old=old)
    answer = parsed(obj)
    assert answer.keys == (
        key("1", "a"),
        key("2", "b"),
        replace(key("old", "c", until=NOW - DAY_MS), retired=True),
    )
    assert answer.valid_until_ts == NOW + DAY_MS
    assert canonical_json.decode(answer.json) == obj


def test_what_signedjson_signs_is_taken() -> None:
    theirs = signedjson.key.generate_signing_key("x_1")
    verify_key = signedjson.key.encode_verify_key_base64(signedjson.key.get_verify_key(theirs))
    obj = {**unsigned(SERVER, []), "verify_keys": {"ed25519:x_1": {"key": verify_key}}}
    (found,) = parsed(signedjson.sign.sign_json(obj, SERVER, theirs)).keys
    assert (found.key_id, found.verify_key) == ("ed25519:x_1", verify_key)


def test_server_name_is_the_one_asked_for() -> None:
    with pytest.raises(BadJson, match="Not the keys of s"):
        parsed(signed("else.example", [ONE]))
    with pytest.raises(SignatureError):
        parsed({**signed("else.example", [ONE]), "server_name": SERVER})


def test_self_signed_by_each_of_its_verify_keys() -> None:
    by_one = signing.sign_json(unsigned(SERVER, [ONE, TWO]), SERVER, ONE)
    assert key_ids(by_one) == {"ed25519:1": False}
    by_both = signing.sign_json(by_one, SERVER, TWO)
    assert key_ids(by_both) == {"ed25519:1": False, "ed25519:2": False}
    wrongly = signing.with_signature(by_one, SERVER, TWO.key_id, OTHER.sign(b"something"))
    assert key_ids(wrongly) == {"ed25519:1": False}
    for obj in (
        unsigned(SERVER, [ONE]),
        signing.sign_json(unsigned(SERVER, [ONE]), SERVER, OTHER),
        signing.sign_json(unsigned(SERVER, [ONE]), "else.example", ONE),
        {**signed(SERVER, [ONE]), "valid_until_ts": NOW},
        # An old key signs nothing any more.
        signing.sign_json(unsigned(SERVER, [], old={ONE.key_id: (ONE, NOW)}), SERVER, ONE),
    ):
        with pytest.raises(SignatureError):
            parsed(obj)


def test_min_of_valid_until_and_seven_days_from_now() -> None:
    for said, counts in ((NOW + 6 * DAY_MS, NOW + 6 * DAY_MS), (2**52, NOW + 7 * DAY_MS), (0, 0)):
        answer = parsed(signed(SERVER, [ONE], valid_until_ts=said))
        assert {answer.valid_until_ts, answer.keys[0].valid_until_ts} == {counts}
    later = signed(SERVER, [ONE], old={"ed25519:old": (OTHER, 2**52)})
    assert parsed(later).keys[1].valid_until_ts == NOW + 7 * DAY_MS


def test_old_keys_are_for_events_only() -> None:
    old = key(retired=True, until=NOW + HOUR_MS)
    event = WantedKey(server_name=SERVER, key_id="ed25519:1", valid_until_ts=NOW, for_events=True)
    assert old.serves(event)
    assert not old.serves(replace(event, for_events=False))
    assert key().serves(replace(event, for_events=False))
    assert not old.serves(replace(event, valid_until_ts=NOW + HOUR_MS + 1))
    assert not old.serves(replace(event, key_id="ed25519:2"))
    assert not old.serves(replace(event, server_name=NOTARY))
    assert old.serves(replace(event, key_id=None))
    # Said to be both, it is one.
    assert key_ids(signed(SERVER, [ONE], old={ONE.key_id: (ONE, NOW)})) == {ONE.key_id: True}


GOOD = {"key": TWO.verify_key_base64}


@pytest.mark.parametrize(
    ("key_id", "said"),
    [
        ("ed25519:2", None),
        ("ed25519:2", "x"),
        ("ed25519:2", {}),
        ("ed25519:2", {"key": 1}),
        ("ed25519:2", {"key": "AAAA"}),
        ("ed25519:2", {"key": "é"}),
        ("ed25519:2", {"key": "\0" * 43}),
        ("ed25519", GOOD),
        ("ed25519:", GOOD),
        ("ed448:2", GOOD),
        ("ed25519:\0", GOOD),
        ("ed25519:é", GOOD),
        ("ed25519:" + "x" * 250, GOOD),
    ],
)
def test_malformed_keys_cost_only_themselves(key_id: str, said: Any) -> None:
    obj = unsigned(SERVER, [ONE])
    obj["verify_keys"][key_id] = said
    obj["old_verify_keys"][key_id.replace("2", "3")] = (
        {**said, "expired_ts": NOW} if isinstance(said, dict) else said
    )
    obj["old_verify_keys"]["ed25519:4"] = {**GOOD, "expired_ts": NOW}
    obj["signatures"] = {SERVER: {key_id: "x"}}
    assert key_ids(signing.sign_json(obj, SERVER, ONE)) == {"ed25519:1": False, "ed25519:4": True}


@pytest.mark.parametrize("expired_ts", [None, "1", 1.5, True, -1, 2**60])
def test_old_keys_with_times_that_are_none(expired_ts: Any) -> None:
    assert key_ids(signed(SERVER, [ONE], old={"ed25519:o": (OTHER, expired_ts)})) == {"ed25519:1": False}


@pytest.mark.parametrize(
    "change",
    [
        {"valid_until_ts": None},
        {"valid_until_ts": "1"},
        {"valid_until_ts": 1.5},
        {"valid_until_ts": True},
        {"valid_until_ts": -1},
        {"valid_until_ts": 2**60},
        {"verify_keys": []},
        {"verify_keys": {}},
        {"verify_keys": {f"ed25519:{n}": GOOD for n in range(33)}},
        {"old_verify_keys": {f"ed25519:{n}": {**GOOD, "expired_ts": 1} for n in range(33)}},
        {"server_name": None},
        {"padding": "x" * MAX_ANSWER},
    ],
)
def test_answers_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((BadJson, SignatureError)):
        parsed(signing.sign_json({**unsigned(SERVER, [ONE]), **change}, SERVER, ONE))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"\\ud800"', b"[" * 2000, b"\xff"])
def test_what_is_no_object(data: bytes) -> None:
    with pytest.raises((BadJson, NotJson)):
        parse_answer(data, SERVER, now_ms=NOW)
    with pytest.raises((BadJson, NotJson)):
        parse_notary_answer(data)


def test_old_keys_that_are_no_object() -> None:
    for old in (None, [], 5):
        obj = {**unsigned(SERVER, [ONE]), "old_verify_keys": old}
        assert key_ids(signing.sign_json(obj, SERVER, ONE)) == {"ed25519:1": False}


@given(
    st.sampled_from(["verify_keys", "old_verify_keys", "signatures", "valid_until_ts", "server_name"]), LAX
)
def test_any_json_is_read_or_refused(field: str, value: Any) -> None:
    with suppress(MatrixError):
        parsed({**signed(SERVER, [ONE]), field: value})
    answers = parse_notary_answer(encoded({"server_keys": [value, {**signed(SERVER, [ONE]), field: value}]}))
    assert notary_key_ids(answers, NOTARY) == []
    assert list(check_notary_answer(answers, [SERVER], NOTARY, NOTARY_KEYS, now_ms=NOW)) == []


def test_a_valid_key_is_never_replaced() -> None:
    known = {"ed25519:1": key("1", "a", until=NOW)}
    other = parsed(signed(SERVER, [OTHER, TWO]))
    assert changed_keys(known, other, now_ms=NOW) == [key("2", "b")]
    assert changed_keys(known, parsed(signed(SERVER, [], old={}) | signed(SERVER, [OTHER])), now_ms=NOW) == []
    retired = parsed(signed(SERVER, [TWO], old={"ed25519:1": (OTHER, NOW - 1)}))
    assert changed_keys(known, retired, now_ms=NOW) == [key("2", "b")]
    # Once it has expired, its ID is free; once it was retired, never.
    assert key("1", "c") in changed_keys(known, other, now_ms=NOW + 1)
    gone = {"ed25519:1": key("1", "a", until=NOW - DAY_MS, retired=True)}
    assert changed_keys(gone, other, now_ms=NOW + 1) == [key("2", "b")]


def test_the_same_key_is_valid_for_longer_and_may_be_retired() -> None:
    again = parsed(signed(SERVER, [ONE], valid_until_ts=NOW + 2 * DAY_MS))
    assert changed_keys({"ed25519:1": key()}, again, now_ms=NOW) == [key(until=NOW + 2 * DAY_MS)]
    before = parsed(signed(SERVER, [ONE], valid_until_ts=NOW))
    assert changed_keys({"ed25519:1": key()}, before, now_ms=NOW) == []
    retired = parsed(signed(SERVER, [TWO], old={"ed25519:1": (ONE, NOW - 5)}))
    gone = key(until=NOW - 5, retired=True)
    assert changed_keys({"ed25519:1": key()}, retired, now_ms=NOW) == [key("2", "b"), gone]
    assert changed_keys({"ed25519:1": gone}, again, now_ms=NOW) == [], "it does not come back"


def by_notary(obj: dict[str, Any], notary_key: signing.SigningKey = NOTARY_KEY) -> dict[str, Any]:
    return signing.sign_json(obj, NOTARY, notary_key)


def told(*objects: Any, asked: tuple[str, ...] = (SERVER,)) -> list[tuple[str, list[str]]]:
    answers = parse_notary_answer(encoded({"server_keys": list(objects)}))
    names = [name(item) for item in asked]
    found = check_notary_answer(answers, names, NOTARY, NOTARY_KEYS, now_ms=NOW)
    return [(answer.server_name, [key.key_id for key in answer.keys]) for answer in found]


def test_notary_answers_are_verified_by_notary_and_subject() -> None:
    assert told(by_notary(signed(SERVER, [ONE]))) == [(SERVER, ["ed25519:1"])]
    assert told(signed(SERVER, [ONE])) == [], "the notary has not signed it"
    assert told(by_notary(signed(SERVER, [ONE]), make_key("n", "x"))) == [], "somebody else has"
    assert told(by_notary(signed(SERVER, [ONE]), make_key("other", "n"))) == [], "with another key"
    assert told(by_notary(unsigned(SERVER, [ONE]))) == [], "the server has not signed it"
    assert told(by_notary(signed("else.example", [ONE]))) == [], "it was not asked for"


def test_malformed_answers_cost_only_themselves() -> None:
    good = by_notary(signed(SERVER, [ONE]))
    more = by_notary(signed("t.example", [TWO]))
    large = by_notary(signing.sign_json({**unsigned(SERVER, [ONE]), "x": "x" * MAX_ANSWER}, SERVER, ONE))
    odd: list[Any] = [None, 5, "x", [], {}, {"server_name": 5}, large]
    assert told(*odd[:-1], good, *odd, more, asked=(SERVER, "t.example")) == [
        (SERVER, ["ed25519:1"]),
        ("t.example", ["ed25519:2"]),
    ]
    with pytest.raises(BadJson):
        parse_notary_answer(b'{"server_keys": {}}')


def test_a_notary_says_so_much_of_a_server_and_no_more() -> None:
    good = by_notary(signed(SERVER, [ONE]))
    assert len(told(*[good] * (MAX_ANSWERS + 3))) == MAX_ANSWERS


def test_which_keys_a_notary_has_signed_with() -> None:
    signed_twice = by_notary(by_notary(signed(SERVER, [ONE])), make_key("b", "b"))
    odd = {"signatures": {NOTARY: {"ed25519:\0": "x", "rsa:1": "x", "ed25519:c": 1}}}
    assert notary_key_ids([signed_twice, odd, {}], NOTARY) == ["ed25519:b", "ed25519:n"]
    assert (
        len(notary_key_ids([{"signatures": {NOTARY: {f"ed25519:{n}": "" for n in range(99)}}}], NOTARY)) == 32
    )


def test_the_second_of_two_signatures_will_do() -> None:
    obj = by_notary(signing.sign_json(signed(SERVER, [ONE]), NOTARY, make_key("unknown", "u")))
    server_keys.verify_any(obj, NOTARY, NOTARY_KEYS)
    with pytest.raises(SignatureError):
        server_keys.verify_any(obj, SERVER, NOTARY_KEYS)
