"""/keys/device_signing/upload and /keys/signatures/upload."""

from typing import Any

import pytest

from palpo.core.errors import Forbidden
from tests.api.client.test_devices import password_auth
from tests.support.encryption import (
    cross_signing_key,
    cross_signing_keys,
    device_keys,
    sign_as,
    signing_key,
)
from tests.support.homeserver import PASSWORD, Client, Homeserver

UPLOAD = "/keys/device_signing/upload"
SIGN = "/keys/signatures/upload"


def public_key(name: str) -> str:
    """The public key of ``signing_key(name)``."""
    return signing_key(name).verify_key_base64


async def query(client: Client, user_id: str) -> Any:
    """What ``client`` is told of a user's keys."""
    return await client.post("/keys/query", {"device_keys": {user_id: []}})


async def position(server: Homeserver) -> str:
    """The sync token of now."""
    return f"s{server.services.server.wakeups.position}"


async def test_upload_and_query(alice: Client, bob: Client) -> None:
    keys = cross_signing_keys(alice.user_id, "a")
    await alice.post(UPLOAD, keys)
    own = await query(alice, alice.user_id)
    for usage in ("master_key", "self_signing_key", "user_signing_key"):
        assert own[usage + "s"] == {alice.user_id: keys[usage]}
    others = await query(bob, alice.user_id)
    assert others["master_keys"] == {alice.user_id: keys["master_key"]}
    assert others["self_signing_keys"] == {alice.user_id: keys["self_signing_key"]}
    assert others["user_signing_keys"] == {}


async def test_who_is_told_of_which_key(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    keys = cross_signing_keys(alice.user_id, "a")
    since = {client: (await client.get("/sync"))["next_batch"] for client in (alice, bob)}
    for usage, others in (
        ("master_key", [alice.user_id]),
        ("self_signing_key", [alice.user_id]),
        ("user_signing_key", []),
    ):
        await alice.post(UPLOAD, {usage: keys[usage], "auth": password_auth(alice.user_id)})
        for client, expected in ((alice, [alice.user_id]), (bob, others)):
            answer = await client.get(f"/sync?since={since[client]}")
            since[client] = answer["next_batch"]
            assert answer.get("device_lists", {}).get("changed", []) == expected, usage


async def test_when_auth_is_needed(alice: Client) -> None:
    keys = cross_signing_keys(alice.user_id, "a")
    await alice.post(UPLOAD, {"master_key": keys["master_key"]})
    await alice.post(UPLOAD, {"master_key": keys["master_key"]})
    assert "flows" in await alice.post(UPLOAD, keys, status=401)
    await alice.post(UPLOAD, {**keys, "auth": password_auth(alice.user_id)})
    await alice.post(UPLOAD, keys)
    other = cross_signing_keys(alice.user_id, "b")
    assert "flows" in await alice.post(UPLOAD, other, status=401)
    assert (await query(alice, alice.user_id))["master_keys"][alice.user_id] == keys["master_key"]
    await alice.post(UPLOAD, {**other, "auth": password_auth(alice.user_id)})
    assert (await query(alice, alice.user_id))["master_keys"][alice.user_id] == other["master_key"]


async def test_refused_uploads(alice: Client, bob: Client) -> None:
    keys = cross_signing_keys(alice.user_id, "a")
    answer = await alice.post(UPLOAD, {"self_signing_key": keys["self_signing_key"]}, status=400)
    assert answer["errcode"] == "M_MISSING_PARAM"
    unsigned = cross_signing_key(alice.user_id, "self_signing", "s")
    foreign = cross_signing_key(alice.user_id, "self_signing", "s", signing_key("other"))
    forged = {**keys["self_signing_key"], "extra": 1}
    for key in (unsigned, foreign, forged):
        answer = await alice.post(UPLOAD, {**keys, "self_signing_key": key}, status=400)
        assert answer["errcode"] == "M_INVALID_SIGNATURE"
    answer = await bob.post(UPLOAD, keys, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"
    answer = await alice.post(UPLOAD, {"master_key": keys["self_signing_key"]}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"
    for bad in ({}, {"ed25519:a": "a", "ed25519:b": "b"}, "x", {"ed25519:a": 1}):
        answer = await alice.post(UPLOAD, {"master_key": {**keys["master_key"], "keys": bad}}, status=400)
        assert answer["errcode"] == "M_BAD_JSON"
    assert (await query(alice, alice.user_id))["master_keys"] == {}


async def test_public_key_that_is_a_device_id(server: Homeserver, alice: Client) -> None:
    device_id = public_key("amaster")
    identifier = {"type": "m.id.user", "user": "alice"}
    body = {"type": "m.login.password", "identifier": identifier, "password": "correct horse battery"}
    await server.client().post("/login", {**body, "device_id": device_id})
    answer = await alice.post(UPLOAD, cross_signing_keys(alice.user_id, "a"), status=403)
    assert answer["errcode"] == "M_FORBIDDEN"


async def test_signing_an_own_device(server: Homeserver, alice: Client, bob: Client) -> None:
    keys = device_keys(alice.user_id, alice.device_id)
    await alice.post("/keys/upload", {"device_keys": keys})
    await alice.post(UPLOAD, cross_signing_keys(alice.user_id, "a"))
    start = await position(server)
    key_id = f"ed25519:{public_key('aself_signing')}"
    signed = sign_as(keys, alice.user_id, signing_key("aself_signing"), key_id)
    assert await alice.post(SIGN, {alice.user_id: {alice.device_id: signed}}) == {"failures": {}}
    found = (await query(bob, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
    assert found["signatures"] == signed["signatures"]
    assert set(found["signatures"][alice.user_id]) == {f"ed25519:{alice.device_id}", key_id}
    end = await position(server)
    assert (await alice.get(f"/keys/changes?from={start}&to={end}"))["changed"] == [alice.user_id]
    await alice.post(SIGN, {alice.user_id: {alice.device_id: signed}})
    assert await position(server) == end


async def test_new_device_keys_are_not_signed(alice: Client) -> None:
    keys = device_keys(alice.user_id, alice.device_id)
    await alice.post("/keys/upload", {"device_keys": keys})
    await alice.post(UPLOAD, cross_signing_keys(alice.user_id, "a"))
    key_id = f"ed25519:{public_key('aself_signing')}"
    signed = sign_as(keys, alice.user_id, signing_key("aself_signing"), key_id)
    await alice.post(SIGN, {alice.user_id: {alice.device_id: signed}})
    new = device_keys(alice.user_id, alice.device_id, "new")
    await alice.post("/keys/upload", {"device_keys": new})
    found = (await query(alice, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
    assert found["signatures"] == new["signatures"]


async def test_signing_the_own_master_key(alice: Client) -> None:
    await alice.post("/keys/upload", {"device_keys": device_keys(alice.user_id, alice.device_id)})
    keys = cross_signing_keys(alice.user_id, "a")
    await alice.post(UPLOAD, keys)
    device_key = signing_key("device" + alice.device_id)
    signed = sign_as(keys["master_key"], alice.user_id, device_key, f"ed25519:{alice.device_id}")
    answer = await alice.post(SIGN, {alice.user_id: {public_key("amaster"): signed}})
    assert answer == {"failures": {}}
    assert (await query(alice, alice.user_id))["master_keys"] == {alice.user_id: signed}


async def test_signing_another_user(server: Homeserver, alice: Client, bob: Client) -> None:
    await alice.post(UPLOAD, cross_signing_keys(alice.user_id, "a"))
    bobs = cross_signing_keys(bob.user_id, "b")["master_key"]
    await bob.post(UPLOAD, cross_signing_keys(bob.user_id, "b"))
    key_id = f"ed25519:{public_key('auser_signing')}"
    signed = sign_as(bobs, alice.user_id, signing_key("auser_signing"), key_id)
    answer = await alice.post(SIGN, {bob.user_id: {public_key("bmaster"): signed}})
    assert answer == {"failures": {}}
    assert (await query(alice, bob.user_id))["master_keys"] == {bob.user_id: signed}
    assert (await query(bob, bob.user_id))["master_keys"] == {bob.user_id: bobs}


async def test_signatures_that_fail(alice: Client, bob: Client) -> None:
    keys = device_keys(alice.user_id, alice.device_id)
    await alice.post("/keys/upload", {"device_keys": keys})
    await alice.post(UPLOAD, cross_signing_keys(alice.user_id, "a"))
    await bob.post("/keys/upload", {"device_keys": device_keys(bob.user_id, bob.device_id)})
    key_id = f"ed25519:{public_key('aself_signing')}"
    wrong_key = sign_as(keys, alice.user_id, signing_key("other"), key_id)
    good = sign_as(keys, alice.user_id, signing_key("aself_signing"), key_id)
    answer = await alice.post(SIGN, {alice.user_id: {alice.device_id: wrong_key, "UNKNOWN": good}})
    failures = answer["failures"][alice.user_id]
    assert failures[alice.device_id]["errcode"] == "M_INVALID_SIGNATURE"
    assert failures["UNKNOWN"]["errcode"] == "M_NOT_FOUND"
    bobs = device_keys(bob.user_id, bob.device_id)
    objects = {
        alice.user_id: {alice.device_id: {**good, "extra": True}},
        bob.user_id: {bob.device_id: bobs, "x\0": bobs},
    }
    failures = (await alice.post(SIGN, objects))["failures"]
    assert failures[alice.user_id][alice.device_id]["errcode"] == "M_INVALID_SIGNATURE"
    assert failures[bob.user_id][bob.device_id]["errcode"] == "M_NOT_FOUND"
    assert failures[bob.user_id]["x\0"]["errcode"] == "M_NOT_FOUND"


async def test_of_two_first_uploads_at_once_one_is_refused(server: Homeserver, alice: Client) -> None:
    service = server.services.encryption.cross_signing

    def keys(name: str) -> dict[str, Any]:
        given = cross_signing_keys(alice.user_id, name)
        return {usage: given[f"{usage}_key"] for usage in ("master", "self_signing", "user_signing")}

    first, same, other = [await service.check_upload(alice.user_id, keys(name)) for name in "aab"]
    assert not other.needs_auth
    await service.store(first)
    await service.store(same)
    with pytest.raises(Forbidden):
        await service.store(other)
    master = (await query(alice, alice.user_id))["master_keys"][alice.user_id]
    assert master == keys("a")["master"]


async def test_a_device_that_takes_the_name_of_a_key_first(server: Homeserver, alice: Client) -> None:
    master = cross_signing_key(alice.user_id, "master", "m")
    upload = await server.services.encryption.cross_signing.check_upload(alice.user_id, {"master": master})
    body = {"type": "m.login.password", "user": "alice", "password": PASSWORD, "device_id": public_key("m")}
    await server.client().post("/login", body)
    with pytest.raises(Forbidden):
        await server.services.encryption.cross_signing.store(upload)
