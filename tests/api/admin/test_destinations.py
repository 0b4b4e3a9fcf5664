"""Other servers, for administrators."""

from __future__ import annotations

from palpo.core.identifiers import RoomId, ServerName
from palpo.db.transaction import WriteTransaction
from palpo.storage import destinations, room_servers
from palpo.storage.destinations import Destination
from tests.support.homeserver import Client, Homeserver

DESTINATIONS = "//_synapse/admin/v1/federation/destinations"
FAILING = Destination(
    server_name=ServerName("away.example"),
    sent_upto=7,
    failures=3,
    failing_since_ts=1000,
    retry_ts=9000,
    error="no answer",
)


async def known(server: Homeserver, room_id: str, *names: str) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await room_servers.assume(tx, RoomId(room_id), [ServerName(name) for name in names], 1, 5)
        await destinations.put(tx, [FAILING], [])

    await server.services.server.db.write(unit)


async def test_the_list(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    await known(server, room_id, "away.example", "b.example", "c.example")
    found = await admin.request("GET", DESTINATIONS)
    away, good, _ = found["destinations"]
    assert found["total"] == 3
    assert away == {
        "destination": "away.example",
        "retry_last_ts": 6000,
        "retry_interval": 3000,
        "failure_ts": 1000,
        "last_successful_stream_ordering": 7,
    }
    assert (good["destination"], good["retry_last_ts"], good["failure_ts"]) == ("b.example", 0, None)

    async def names(query: str) -> list[str]:
        page = await admin.request("GET", f"{DESTINATIONS}?{query}")
        return [item["destination"] for item in page["destinations"]]

    assert await names("dir=b") == ["c.example", "b.example", "away.example"]
    assert await names("order_by=retry_interval") == ["b.example", "c.example", "away.example"]
    assert await names("destination=AWAY") == ["away.example"]
    page = await admin.request("GET", f"{DESTINATIONS}?limit=2&from=0")
    assert page["next_token"] == "2"
    assert "next_token" not in await admin.request("GET", f"{DESTINATIONS}?limit=2&from=2")
    await admin.request("GET", f"{DESTINATIONS}?order_by=name", status=400)


async def test_one_of_them(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    await known(server, room_id, "away.example", "b.example")
    assert (await admin.request("GET", f"{DESTINATIONS}/away.example"))["retry_interval"] == 3000
    assert (await admin.request("GET", f"{DESTINATIONS}/b.example"))["failure_ts"] is None
    await admin.request("GET", f"{DESTINATIONS}/nobody.example", status=404)
    rooms = await admin.request("GET", f"{DESTINATIONS}/b.example/rooms")
    assert rooms["total"] == 1
    assert rooms["rooms"][0]["room_id"] == room_id
    await admin.request("GET", f"{DESTINATIONS}/nobody.example/rooms", status=404)


async def test_trying_one_again(server: Homeserver, admin: Client, alice: Client) -> None:
    await known(server, await alice.create_room(), "b.example")
    await admin.request("POST", f"{DESTINATIONS}/away.example/reset_connection", {})
    await admin.request("POST", f"{DESTINATIONS}/b.example/reset_connection", {}, status=400)
    await admin.request("POST", f"{DESTINATIONS}/nobody.example/reset_connection", {}, status=404)
