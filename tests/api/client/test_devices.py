"""GET, PUT and DELETE /devices, POST /delete_devices."""

from tests.support.homeserver import PASSWORD, Client, Homeserver


def password_auth(user_id: str, password: str = PASSWORD) -> dict[str, object]:
    """A password for user-interactive auth."""
    identifier = {"type": "m.id.user", "user": user_id}
    return {"type": "m.login.password", "identifier": identifier, "password": password}


async def test_list_and_get(server: Homeserver, alice: Client) -> None:
    other = await server.login("alice")
    await other.get("/devices", headers={"User-Agent": "test"})
    listed = (await alice.get("/devices"))["devices"]
    assert {device["device_id"] for device in listed} == {alice.device_id, other.device_id}
    one = await alice.get(f"/devices/{other.device_id}")
    assert one["last_seen_ts"] == server.clock.now_ms()
    assert one["last_seen_ip"] == "127.0.0.1"


async def test_last_seen_is_written(server: Homeserver, alice: Client) -> None:
    await alice.get("/devices")
    seen_ts = server.clock.now_ms()
    await server.services.accounts.last_seen.flush()
    assert server.services.accounts.last_seen.of(alice.user_id, alice.device_id) is None
    server.clock.advance(5000)
    other = await server.login("alice")
    assert (await other.get(f"/devices/{alice.device_id}"))["last_seen_ts"] == seen_ts


async def test_rename(alice: Client, bob: Client) -> None:
    path = f"/devices/{alice.device_id}"
    await alice.put(path, {"display_name": "Phone"})
    assert (await alice.get(path))["display_name"] == "Phone"
    await alice.put(path, {})
    assert (await alice.get(path))["display_name"] == "Phone"
    answer = await alice.put(path, {"display_name": "a" * 256}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"
    assert (await bob.put(path, {"display_name": "mine"}, status=404))["errcode"] == "M_NOT_FOUND"
    assert (await bob.get(path, status=404))["errcode"] == "M_NOT_FOUND"


async def test_own_devices_are_told_of_those_without_keys(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    other = await server.login("alice")
    since = {client: (await client.get("/sync"))["next_batch"] for client in (alice, bob)}

    async def told(client: Client) -> list[str]:
        answer = await client.get(f"/sync?since={since[client]}")
        since[client] = answer["next_batch"]
        changed: list[str] = answer.get("device_lists", {}).get("changed", [])
        return changed

    await other.put(f"/devices/{other.device_id}", {"display_name": "Phone"})
    assert (await told(alice), await told(bob)) == ([alice.user_id], [])
    await other.post("/logout")
    assert (await told(alice), await told(bob)) == ([alice.user_id], [])
    third = await server.login("alice")
    assert (await told(alice), await told(bob)) == ([alice.user_id], [])
    await alice.delete(f"/devices/{third.device_id}", {"auth": password_auth(alice.user_id)})
    assert (await told(alice), await told(bob)) == ([alice.user_id], [])


async def test_delete_needs_the_password(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("alice")
    path = f"/devices/{other.device_id}"
    challenge = await alice.delete(path, status=401)
    assert challenge["flows"] == [{"stages": ["m.login.password"]}]
    wrong = await alice.delete(path, {"auth": password_auth(alice.user_id, "wrong")}, status=401)
    assert wrong["errcode"] == "M_FORBIDDEN"
    await alice.get(path)
    await alice.delete(path, {"auth": password_auth(alice.user_id)})
    await alice.get(path, status=404)
    assert (await other.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    await alice.get("/account/whoami")


async def test_delete_several(server: Homeserver, alice: Client) -> None:
    others = [await server.login("alice") for _ in range(3)]
    doomed = [other.device_id for other in others[:2]]
    await alice.post("/delete_devices", {"devices": doomed}, status=401)
    await alice.post("/delete_devices", {"devices": [*doomed, "X"], "auth": password_auth(alice.user_id)})
    left = {device["device_id"] for device in (await alice.get("/devices"))["devices"]}
    assert left == {alice.device_id, others[2].device_id}


async def test_ids_that_no_database_holds(alice: Client) -> None:
    for device_id in ("%00", "a" * 256):
        assert (await alice.get(f"/devices/{device_id}", status=400))["errcode"] == "M_INVALID_PARAM"
    body = {"devices": ["a\0"], "auth": password_auth(alice.user_id)}
    assert (await alice.post("/delete_devices", body, status=400))["errcode"] == "M_INVALID_PARAM"
