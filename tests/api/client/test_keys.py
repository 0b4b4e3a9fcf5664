"""/keys/upload, /keys/query, /keys/claim, /keys/changes."""

import asyncio
from typing import Any

import pytest

from palpo.core.errors import UnknownToken
from palpo.services.encryption.keys import check_key_upload
from palpo.storage import keys as storage
from tests.api.client.test_devices import password_auth
from tests.support.encryption import device_keys, one_time_key, one_time_keys
from tests.support.homeserver import Client, Homeserver


async def upload(client: Client, *numbers: int, identity: bool = True, **body: Any) -> Any:
    """Upload device keys and one-time keys."""
    if identity:
        body["device_keys"] = device_keys(client.user_id, client.device_id)
    body["one_time_keys"] = one_time_keys(client.user_id, client.device_id, *numbers)
    return await client.post("/keys/upload", body)


async def claim(client: Client, target: Client, algorithm: str = "signed_curve25519") -> Any:
    """Claim a key of ``target``'s device: its name and value, or None."""
    body = {"one_time_keys": {target.user_id: {target.device_id: algorithm}}}
    answer = await client.post("/keys/claim", body)
    devices = answer["one_time_keys"].get(target.user_id)
    return None if devices is None else devices[target.device_id]


async def test_upload_and_query(alice: Client, bob: Client) -> None:
    assert await upload(alice, 1, 2) == {"one_time_key_counts": {"signed_curve25519": 2}}
    await alice.put(f"/devices/{alice.device_id}", {"display_name": "Phone"})
    for wanted in ([], [alice.device_id, "other"]):
        answer = await bob.post("/keys/query", {"device_keys": {alice.user_id: wanted}})
        keys = answer["device_keys"][alice.user_id][alice.device_id]
        assert keys.pop("unsigned") == {"device_display_name": "Phone"}
        assert keys == device_keys(alice.user_id, alice.device_id)
        assert answer["failures"] == {}
    answer = await bob.post("/keys/query", {"device_keys": {alice.user_id: ["other"]}})
    assert answer["device_keys"] == {alice.user_id: {}}


async def test_query_of_nobody(alice: Client, bob: Client) -> None:
    wanted = {bob.user_id: [], "@nobody:test.example": [], "@x:else.where": []}
    answer = await alice.post("/keys/query", {"device_keys": wanted})
    assert answer["device_keys"] == {bob.user_id: {}}
    assert list(answer["failures"]) == ["else.where"]


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        ("query", {"device_keys": {"@bob:test.example": {"X": True}}}, "M_BAD_JSON"),
        ("query", {"device_keys": {"@bob\0:test.example": []}}, "M_INVALID_PARAM"),
        ("query", {"device_keys": {"bob": []}}, "M_INVALID_PARAM"),
        ("claim", {"one_time_keys": {"@bob:test.example": ["X"]}}, "M_BAD_JSON"),
        ("upload", {"device_keys": {"user_id": "@bob:test.example", "device_id": "X"}}, "M_INVALID_PARAM"),
        ("upload", {"one_time_keys": {"signed_curve25519": {}}}, "M_INVALID_PARAM"),
        ("upload", {"one_time_keys": {"signed_curve25519:1": {}}}, "M_BAD_JSON"),
        ("upload", {"one_time_keys": {"signed_curve25519:1": {"key": "a", "x": 1.5}}}, "M_BAD_JSON"),
        ("upload", {"one_time_keys": {"a:\0": "x"}}, "M_INVALID_PARAM"),
        ("upload", {"one_time_keys": {"a:" + "x" * 255: "x"}}, "M_INVALID_PARAM"),
        ("upload", {"one_time_keys": {"a:1": 5}}, "M_BAD_JSON"),
        ("upload", {"fallback_keys": {"a:1": "x", "a:2": "y"}}, "M_INVALID_PARAM"),
        ("upload", {"one_time_keys": {f"a:{n}": "x" for n in range(1001)}}, "M_INVALID_PARAM"),
    ],
)
async def test_bad_requests(alice: Client, path: str, body: Any, errcode: str) -> None:
    assert (await alice.post(f"/keys/{path}", body, status=400))["errcode"] == errcode


async def test_device_keys_of_the_wrong_shape(alice: Client) -> None:
    for name in ("algorithms", "keys", "signatures"):
        for value in (None, "x", [1], {"a": 1}):
            keys = {**device_keys(alice.user_id, alice.device_id), name: value}
            answer = await alice.post("/keys/upload", {"device_keys": keys}, status=400)
            assert answer["errcode"] == "M_BAD_JSON"


async def test_keys_that_are_too_large(alice: Client) -> None:
    keys = {**device_keys(alice.user_id, alice.device_id), "padding": "x" * 65536}
    for body in ({"device_keys": keys}, {"one_time_keys": {"a:1": "x" * 65536}}):
        assert (await alice.post("/keys/upload", body, status=413))["errcode"] == "M_TOO_LARGE"


async def test_same_one_time_key_again(alice: Client, bob: Client) -> None:
    await upload(alice, 1, 2, 3)
    assert await upload(alice, 2, 3, 4) == {"one_time_key_counts": {"signed_curve25519": 4}}
    other = {"signed_curve25519:1": one_time_key(alice.user_id, alice.device_id, 9)}
    answer = await alice.post("/keys/upload", {"one_time_keys": other}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"


async def test_claim_in_the_order_of_upload(alice: Client, bob: Client) -> None:
    await upload(alice, 2)
    await upload(alice, 1)
    for number in (2, 1):
        expected = one_time_keys(alice.user_id, alice.device_id, number)
        assert await claim(bob, alice) == expected
    assert await claim(bob, alice) is None
    assert await claim(bob, alice, "a\0") is None
    assert await alice.post("/keys/upload") == {"one_time_key_counts": {"signed_curve25519": 0}}


async def test_claims_at_once(alice: Client, bob: Client) -> None:
    await upload(alice, *range(10))
    answers = await asyncio.gather(*(claim(bob, alice) for _ in range(15)))
    given = [name for answer in answers if answer for name in answer]
    assert len(given) == len(set(given)) == 10


async def test_fallback_key(server: Homeserver, alice: Client, bob: Client) -> None:
    fallback = {"signed_curve25519:f": {**one_time_key(alice.user_id, alice.device_id, 7), "fallback": True}}
    await upload(alice, 1, fallback_keys=fallback)
    counts = await server.services.encryption.keys.counts(alice.user_id, alice.device_id)
    assert counts.unused_fallback == ["signed_curve25519"]
    assert await claim(bob, alice) == one_time_keys(alice.user_id, alice.device_id, 1)
    assert await claim(bob, alice) == await claim(bob, alice) == fallback
    counts = await server.services.encryption.keys.counts(alice.user_id, alice.device_id)
    assert (counts.unused_fallback, counts.one_time_keys) == ([], {"signed_curve25519": 0})
    await upload(alice, fallback_keys=fallback)
    assert (
        await server.services.encryption.keys.counts(alice.user_id, alice.device_id)
    ).unused_fallback == []
    await upload(alice, fallback_keys={"signed_curve25519:g": fallback["signed_curve25519:f"]})
    counts = await server.services.encryption.keys.counts(alice.user_id, alice.device_id)
    assert counts.unused_fallback == ["signed_curve25519"]


async def test_removed_device_takes_its_keys(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("alice")
    await upload(other, 1, fallback_keys={"a:1": "x"})
    await alice.delete(f"/devices/{other.device_id}", {"auth": password_auth(alice.user_id)})
    assert await claim(bob, other) is None
    assert await claim(bob, other, "a") is None
    answer = await bob.post("/keys/query", {"device_keys": {alice.user_id: []}})
    assert answer["device_keys"] == {alice.user_id: {}}


async def test_own_changes(server: Homeserver, alice: Client, bob: Client) -> None:
    start = f"s{server.services.server.wakeups.position}"
    await upload(alice, 1)
    middle = f"s{server.services.server.wakeups.position}"
    await upload(alice, 2)
    end = f"s{server.services.server.wakeups.position}"
    assert await alice.get(f"/keys/changes?from={start}&to={end}") == {"changed": [alice.user_id], "left": []}
    assert await alice.get(f"/keys/changes?from={middle}&to={end}") == {"changed": [], "left": []}
    assert await bob.get(f"/keys/changes?from={start}&to={end}") == {"changed": [], "left": []}
    answer = await alice.get(f"/keys/changes?from=x&to={end}", status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"
    answer = await alice.get(f"/keys/changes?to={end}", status=400)
    assert answer["errcode"] == "M_MISSING_PARAM"


async def test_a_claimed_key_that_is_uploaded_again(alice: Client, bob: Client) -> None:
    await upload(alice, 1, 2)
    assert await claim(bob, alice) == one_time_keys(alice.user_id, alice.device_id, 1)
    assert await upload(alice, 1, 2) == {"one_time_key_counts": {"signed_curve25519": 1}}
    assert await upload(alice, 1, 2, 3) == {"one_time_key_counts": {"signed_curve25519": 2}}
    assert await upload(alice, 1, 2, 3) == {"one_time_key_counts": {"signed_curve25519": 2}}
    claimed = [await claim(bob, alice) for _ in range(3)]
    assert claimed == [one_time_keys(alice.user_id, alice.device_id, n) for n in (2, 3)] + [None]
    renewed = {"signed_curve25519:1": one_time_key(alice.user_id, alice.device_id, 9)}
    await alice.post("/keys/upload", {"one_time_keys": renewed})
    assert await claim(bob, alice) == renewed


async def test_an_upload_that_arrives_after_later_ones(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(alice, 1, 2)
    assert await claim(bob, alice) == one_time_keys(alice.user_id, alice.device_id, 1)
    for number in range(3, 8):
        await upload(alice, number)
        await claim(bob, alice)
    left = await upload(alice, 1, 2)
    assert left == {"one_time_key_counts": {"signed_curve25519": 1}}
    monkeypatch.setattr(server.services.encryption.keys, "_keep_claimed", 2)
    await upload(alice, 100)
    known = await server.services.server.db.read(
        lambda tx: storage.named_one_time_keys(
            tx, alice.user_id, alice.device_id, [f"signed_curve25519:{number}" for number in range(1, 8)]
        )
    )
    assert {name for name, key in known.items() if key.claimed} == {
        "signed_curve25519:5",
        "signed_curve25519:6",
    }


async def test_keys_of_a_device_that_has_just_been_removed(server: Homeserver, alice: Client) -> None:
    keys = device_keys(alice.user_id, "GONE")
    gone = check_key_upload(alice.user_id, "GONE", device_keys=keys, one_time_keys={}, fallback_keys={})
    with pytest.raises(UnknownToken):
        await server.services.encryption.keys.upload(gone)


async def test_claim_of_devices_that_are_not_there(alice: Client, bob: Client) -> None:
    await upload(alice, 1)
    wanted = {alice.user_id: {"\0": "signed_curve25519", "X" * 300: "x", alice.device_id: ""}}
    answer = await bob.post("/keys/claim", {"one_time_keys": wanted})
    assert answer == {"one_time_keys": {}, "failures": {}}


async def test_fallback_keys_of_too_many_algorithms(alice: Client) -> None:
    for number in range(20):
        await alice.post("/keys/upload", {"fallback_keys": {f"alg{number}:1": "x"}})
    await alice.post("/keys/upload", {"fallback_keys": {"alg0:2": "y"}})
    answer = await alice.post("/keys/upload", {"fallback_keys": {"alg20:1": "x"}}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"


@pytest.mark.parametrize("timeout", [-1, 0, 10_000, 10**400])
async def test_any_time_may_be_given_to_other_servers(server: Homeserver, timeout: int) -> None:
    alice = await server.register("alice")
    for path, field in (("query", "device_keys"), ("claim", "one_time_keys")):
        await alice.post(f"/keys/{path}", {field: {}, "timeout": timeout})
