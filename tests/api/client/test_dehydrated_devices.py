"""PUT, GET and DELETE /dehydrated_device, and its events (MSC3814)."""

from typing import Any

from tests.support.encryption import cross_signing_keys, device_keys, one_time_keys, signing_key
from tests.support.homeserver import Client

PATH = "/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
DATA = {"algorithm": "org.matrix.msc3814.v2", "device_pickle": "encrypted"}


async def dehydrate(client: Client, device_id: str, **change: Any) -> Any:
    """Store a dehydrated device."""
    body = {
        "device_id": device_id,
        "device_data": DATA,
        "device_keys": device_keys(client.user_id, device_id),
        "one_time_keys": one_time_keys(client.user_id, device_id, 1),
        "initial_device_display_name": "Dehydrated",
        **change,
    }
    return await client.request("PUT", PATH, body, status=None)


async def test_put_get_delete(alice: Client, bob: Client) -> None:
    assert (await alice.request("GET", PATH, status=404))["errcode"] == "M_NOT_FOUND"
    assert await dehydrate(alice, "D1") == {"device_id": "D1"}
    assert await alice.request("GET", PATH) == {"device_id": "D1", "device_data": DATA}
    await bob.request("GET", PATH, status=404)
    answer = await bob.post("/keys/query", {"device_keys": {alice.user_id: []}})
    assert list(answer["device_keys"][alice.user_id]) == ["D1"]
    assert await alice.request("DELETE", PATH) == {"device_id": "D1"}
    assert (await alice.request("DELETE", PATH, status=404))["errcode"] == "M_NOT_FOUND"
    assert [device["device_id"] for device in (await alice.get("/devices"))["devices"]] == [alice.device_id]


async def test_a_new_one_replaces_the_old(alice: Client) -> None:
    await dehydrate(alice, "D1")
    await dehydrate(alice, "D1")
    await dehydrate(alice, "D2")
    listed = (await alice.get("/devices"))["devices"]
    assert {device["device_id"] for device in listed} == {alice.device_id, "D2"}
    assert (await alice.request("GET", PATH))["device_id"] == "D2"


async def test_events(alice: Client, bob: Client) -> None:
    await dehydrate(alice, "D1")
    for number in range(101):
        body = {"messages": {alice.user_id: {"*": {"n": number}}}}
        await bob.put(f"/sendToDevice/m.test/{number}", body)
    for _ in range(2):
        first = await alice.request("POST", f"{PATH}/D1/events", {})
        assert [event["content"]["n"] for event in first["events"]] == list(range(100))
    second = await alice.request("POST", f"{PATH}/D1/events", {"next_batch": first["next_batch"]})
    assert [event["content"]["n"] for event in second["events"]] == [100]
    third = await alice.request("POST", f"{PATH}/D1/events", {"next_batch": second["next_batch"]})
    assert third["events"] == []
    assert await alice.request("GET", f"{PATH}/D1/events") == first
    assert await alice.request("GET", f"{PATH}/D1/events?next_batch={first['next_batch']}") == second


async def test_refusals(alice: Client, bob: Client) -> None:
    assert (await dehydrate(alice, alice.device_id))["errcode"] == "M_INVALID_PARAM"
    assert (await dehydrate(alice, "D1", device_keys=None))["errcode"] == "M_BAD_JSON"
    assert (await dehydrate(alice, "\0"))["errcode"] == "M_INVALID_PARAM"
    other = device_keys(bob.user_id, "D1")
    assert (await dehydrate(alice, "D1", device_keys=other))["errcode"] == "M_INVALID_PARAM"
    await alice.request("GET", PATH, status=404)
    await dehydrate(alice, "D1")
    for path, body, status in (
        (f"{PATH}/{alice.device_id}/events", {}, 403),
        (f"{PATH}/D1/events", {"next_batch": "x"}, 400),
    ):
        await alice.request("POST", path, body, status=status)
        await alice.request("GET", path, params=body, status=status)
    await bob.request("POST", f"{PATH}/D1/events", {}, status=404)


async def test_it_is_not_called_as_a_cross_signing_key(alice: Client) -> None:
    await alice.post("/keys/device_signing/upload", cross_signing_keys(alice.user_id, "a"))
    answer = await dehydrate(alice, signing_key("amaster").verify_key_base64)
    assert answer["errcode"] == "M_FORBIDDEN"
    await alice.request("GET", PATH, status=404)


async def test_too_much_device_data(alice: Client) -> None:
    answer = await dehydrate(alice, "D1", device_data={**DATA, "device_pickle": "x" * 300_000})
    assert answer["errcode"] == "M_TOO_LARGE"
    await alice.request("GET", PATH, status=404)
