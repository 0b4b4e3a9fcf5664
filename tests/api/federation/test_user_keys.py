"""Devices and keys of users here, as other servers ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.encryption import cross_signing_keys, device_keys, one_time_keys, sign_as, signing_key
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer

REMOTE = "remote.example"
V1 = "/_matrix/federation/v1/user"


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    """Has a device with keys that is named and signed, one without keys, and cross-signing keys."""
    alice = await server.register("alice")
    await server.login("alice")
    keys = device_keys(alice.user_id, alice.device_id)
    one_time = one_time_keys(alice.user_id, alice.device_id, 1)
    await alice.post("/keys/upload", {"device_keys": keys, "one_time_keys": one_time})
    await alice.put(f"/devices/{alice.device_id}", {"display_name": "Phone"})
    await alice.post("/keys/device_signing/upload", cross_signing_keys(alice.user_id, "alice"))
    await alice.post("/keys/signatures/upload", {alice.user_id: {alice.device_id: signed(alice)}})
    return alice


def signed(alice: Client) -> dict[str, Any]:
    """Alice's device, signed by her self-signing key."""
    key = signing_key("aliceself_signing")
    keys = device_keys(alice.user_id, alice.device_id)
    return sign_as(keys, alice.user_id, key, f"ed25519:{key.verify_key_base64}")


async def test_all_devices_of_a_user(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    answer = await remote.ask(server, "GET", f"{V1}/devices/%40alice%3Ahs1.test")
    device = {"device_id": alice.device_id, "device_display_name": "Phone", "keys": signed(alice)}
    signing = cross_signing_keys(alice.user_id, "alice")
    assert answer == {
        "user_id": alice.user_id,
        "stream_id": answer["stream_id"],
        "devices": [device],
        "master_key": signing["master_key"],
        "self_signing_key": signing["self_signing_key"],
    }
    assert type(answer["stream_id"]) is int
    for user in ("%40nobody%3Ahs1.test", "%40bob%3Aremote.example"):
        answer = await remote.ask(server, "GET", f"{V1}/devices/{user}", status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
    await remote.ask(server, "GET", f"{V1}/devices/nobody", status=400)


async def test_keys_of_some_users(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    asked = {alice.user_id: [], "@nobody:hs1.test": [], "@bob:remote.example": []}
    answer = await remote.ask(server, "POST", f"{V1}/keys/query", {"device_keys": asked})
    shown = {**signed(alice), "unsigned": {"device_display_name": "Phone"}}
    signing = cross_signing_keys(alice.user_id, "alice")
    assert answer == {
        "device_keys": {alice.user_id: {alice.device_id: shown}},
        "master_keys": {alice.user_id: signing["master_key"]},
        "self_signing_keys": {alice.user_id: signing["self_signing_key"]},
    }
    asked = {alice.user_id: ["OTHER"]}
    answer = await remote.ask(server, "POST", f"{V1}/keys/query", {"device_keys": asked})
    assert answer["device_keys"] == {alice.user_id: {}}
    for wrong in ({}, {"device_keys": []}, {"device_keys": {"@alice": []}}):
        await remote.ask(server, "POST", f"{V1}/keys/query", wrong, status=400)


async def test_a_one_time_key_is_given_once(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    device = {alice.device_id: "signed_curve25519", "OTHER": "signed_curve25519"}
    asked = {"one_time_keys": {alice.user_id: device, "@bob:remote.example": device}}
    answer = await remote.ask(server, "POST", f"{V1}/keys/claim", asked)
    one_time = one_time_keys(alice.user_id, alice.device_id, 1)
    assert answer == {"one_time_keys": {alice.user_id: {alice.device_id: one_time}}}
    assert await remote.ask(server, "POST", f"{V1}/keys/claim", asked) == {"one_time_keys": {}}
