"""Accounts and devices as Matrix Authentication Service makes, changes and ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Homeserver, homeserver
from tests.support.mas import SECRET, Mas, MasClient, client_of


@pytest.fixture
async def server(tmp_path: Path, service: Mas) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, **service.settings()) as running:
        yield running


@pytest.fixture
def client(server: Homeserver) -> MasClient:
    return MasClient(server.http)


async def devices(server: Homeserver, localpart: str) -> list[str]:
    found = await server.services.accounts.devices.list(f"@{localpart}:test.example")
    return [item.device_id for item in found]


async def test_a_user_is_made_once_and_changed(client: MasClient, server: Homeserver) -> None:
    assert (await client.get("is_localpart_available", "alice")).status_code == 200
    await client.done("provision_user", 201, localpart="alice", locked=False)
    answer = await client.get("is_localpart_available", "alice")
    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_USER_IN_USE")
    await client.done(
        "provision_user",
        localpart="alice",
        set_displayname="Alice",
        set_avatar_url="mxc://test.example/alice",
        set_emails=["alice@example.org"],
    )
    assert (await client.get("query_user", "alice")).json() == {
        "user_id": "@alice:test.example",
        "display_name": "Alice",
        "avatar_url": "mxc://test.example/alice",
        "is_suspended": False,
        "is_deactivated": False,
    }
    found = await server.services.accounts.threepids.of_user("@alice:test.example")
    assert [(item.medium, item.address) for item in found] == [("email", "alice@example.org")]
    await client.done(
        "provision_user", localpart="alice", unset_displayname=True, unset_avatar_url=True, unset_emails=True
    )
    answer = (await client.get("query_user", "alice")).json()
    assert (answer["display_name"], answer["avatar_url"]) == (None, None)
    assert await server.services.accounts.threepids.of_user("@alice:test.example") == []


async def test_an_address_that_another_has_is_left_there(client: MasClient, server: Homeserver) -> None:
    await client.done("provision_user", 201, localpart="alice", set_emails=["a@example.org"])
    await client.done("provision_user", 201, localpart="bob", set_emails=["a@example.org", "b@example.org"])
    found = await server.services.accounts.threepids.of_user("@bob:test.example")
    assert [item.address for item in found] == ["b@example.org"]


@pytest.mark.parametrize(
    ("localpart", "errcode"), [("Ünïcode", "M_INVALID_USERNAME"), ("123", "M_INVALID_USERNAME")]
)
async def test_who_can_have_no_account(client: MasClient, localpart: str, errcode: str) -> None:
    answer = await client.get("is_localpart_available", localpart)
    assert (answer.status_code, answer.json()["errcode"]) == (400, errcode)


async def test_display_names(client: MasClient) -> None:
    await client.done("provision_user", 201, localpart="alice")
    await client.done("set_displayname", localpart="alice", displayname="Ally")
    assert (await client.get("query_user", "alice")).json()["display_name"] == "Ally"
    await client.done("unset_displayname", localpart="alice")
    assert (await client.get("query_user", "alice")).json()["display_name"] is None


async def test_devices(client: MasClient, server: Homeserver) -> None:
    await client.done("provision_user", 201, localpart="alice")
    await client.done("upsert_device", 201, localpart="alice", device_id="PHONE", display_name="Phone")
    await client.done("upsert_device", localpart="alice", device_id="PHONE", display_name="My phone")
    await client.done(
        "update_device_display_name", localpart="alice", device_id="PHONE", display_name="Old phone"
    )
    (phone,) = await server.services.accounts.devices.list("@alice:test.example")
    assert (phone.device_id, phone.display_name) == ("PHONE", "Old phone")
    await client.done("sync_devices", localpart="alice", devices=["LAPTOP", "TABLET"])
    assert await devices(server, "alice") == ["LAPTOP", "TABLET"]
    await client.done("sync_devices", localpart="alice", devices=["TABLET"])
    await client.done("delete_device", 204, localpart="alice", device_id="LAPTOP")
    assert await devices(server, "alice") == ["TABLET"]
    await client.done("delete_device", 204, localpart="alice", device_id="TABLET")
    await client.done("sync_devices", localpart="alice", devices=[])
    assert await devices(server, "alice") == []


async def test_who_is_deleted_can_come_back(client: MasClient, service: Mas, server: Homeserver) -> None:
    await client.done("provision_user", 201, localpart="alice")
    service.grant("token", "alice", None)
    alice = client_of(server, "token")
    await alice.get("/account/whoami")
    await client.done("delete_user", localpart="alice", erase=False)
    assert (await client.get("query_user", "alice")).json()["is_deactivated"]
    assert (await alice.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    await client.done("delete_user", localpart="alice", erase=True)
    await client.done("reactivate_user", localpart="alice")
    await client.done("reactivate_user", localpart="alice")
    assert not (await client.get("query_user", "alice")).json()["is_deactivated"]
    assert (await alice.get("/account/whoami"))["user_id"] == "@alice:test.example"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("upsert_device", {"device_id": "PHONE"}),
        ("update_device_display_name", {"device_id": "PHONE", "display_name": "Phone"}),
        ("delete_device", {"device_id": "PHONE"}),
        ("sync_devices", {"devices": []}),
        ("delete_user", {"erase": True}),
        ("reactivate_user", {}),
        ("set_displayname", {"displayname": "Nobody"}),
        ("unset_displayname", {}),
        ("allow_cross_signing_reset", {}),
    ],
)
async def test_who_is_nobody_is_not_found(client: MasClient, name: str, more: dict[str, Any]) -> None:
    answer = await client.post(name, localpart="nobody", **more)
    assert (answer.status_code, answer.json()["errcode"]) == (404, "M_NOT_FOUND")
    assert (await client.get("query_user", "nobody")).status_code == 404


async def test_a_device_that_is_not_there_has_no_name(client: MasClient) -> None:
    await client.done("provision_user", 201, localpart="alice")
    answer = await client.post(
        "update_device_display_name", localpart="alice", device_id="PHONE", display_name="Phone"
    )
    assert answer.status_code == 404


@pytest.mark.parametrize("secret", ["", "wrong", f"{SECRET}x", "sécret"])
async def test_who_does_not_know_the_secret(server: Homeserver, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}".encode()}
    for method, name in (("GET", "query_user?localpart=alice"), ("POST", "delete_user")):
        answer = await server.http.request(method, f"/_synapse/mas/{name}", headers=headers, json={})
        assert answer.status_code in (401, 403), answer.text


async def test_no_administrator_may(service: Mas, server: Homeserver, client: MasClient) -> None:
    await client.done("provision_user", 201, localpart="root")
    await client.done("upsert_device", 201, localpart="root", device_id="DESK")
    service.grant_compatible("admin", "root", "DESK", admin=True)
    answer = await client_of(server, "admin").request(
        "GET", "//_synapse/mas/query_user?localpart=root", status=403
    )
    assert answer["errcode"] == "M_FORBIDDEN"


async def test_nothing_of_it_is_there_without(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as alone:
        answer = await MasClient(alone.http, "").get("query_user", "alice")
        assert (answer.status_code, answer.json()["errcode"]) == (404, "M_UNRECOGNIZED")
