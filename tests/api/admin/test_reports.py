"""Reports of events, for administrators."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver

REPORTS = "//_synapse/admin/v1/event_reports"
USER_REPORTS = "//_synapse/admin/v1/user_reports"


@pytest.fixture
async def bob(server: Homeserver) -> Client:
    return await server.register("bob")


async def report(client: Client, room_id: str, event_id: str, **body: Any) -> None:
    await client.post(f"/rooms/{room_id}/report/{event_id}", body)


async def test_a_report(server: Homeserver, admin: Client, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Chickens", room_alias_name="hens")
    await bob.post(f"/join/{room_id}")
    event_id = await alice.send(room_id, "cluck")
    await report(bob, room_id, event_id, reason="noise", score=-50)
    found = await admin.request("GET", REPORTS)
    (item,) = found["event_reports"]
    assert found == {"event_reports": [item], "total": 1}
    assert item == {
        "id": item["id"],
        "received_ts": server.clock.now_ms(),
        "room_id": room_id,
        "name": "Chickens",
        "event_id": event_id,
        "user_id": bob.user_id,
        "reason": "noise",
        "score": -50,
        "sender": alice.user_id,
        "canonical_alias": "#hens:test.example",
    }
    one = await admin.request("GET", f"{REPORTS}/{item['id']}")
    event = one.pop("event_json")
    assert one == item
    assert event["content"]["body"] == "cluck"
    assert "signatures" in event
    assert await admin.request("DELETE", f"{REPORTS}/{item['id']}") == {}
    await admin.request("GET", f"{REPORTS}/{item['id']}", status=404)
    await admin.request("DELETE", f"{REPORTS}/{item['id']}", status=404)


async def test_the_list(admin: Client, alice: Client, bob: Client) -> None:
    first, second = await alice.create_room(preset="public_chat"), await bob.create_room(preset="public_chat")
    await bob.post(f"/join/{first}")
    await alice.post(f"/join/{second}")
    for reporter, room_id, sender in ((bob, first, alice), (alice, second, bob), (bob, first, bob)):
        await report(reporter, room_id, await sender.send(room_id, "x"))
    await alice.request("POST", f"/client/v3/rooms/{first}/report", {"reason": "no event"})

    async def rooms(query: str) -> list[str]:
        found = await admin.request("GET", f"{REPORTS}?{query}")
        assert found["total"] == 3 or "user" in query or "room_id" in query
        return [item["room_id"] for item in found["event_reports"]]

    assert await rooms("") == [first, second, first]
    assert await rooms("dir=f&limit=2") == [first, second]
    assert await rooms("dir=f&from=1") == [second, first]
    assert await rooms(f"user_id={alice.user_id}") == [second]
    assert await rooms(f"room_id={first}") == [first, first]
    assert await rooms(f"room_id={first[1:9]}&user_id=%40BO") == [first, first]
    assert await rooms("user_id=_") == []
    assert await rooms("user_id=&room_id=&event_sender_user_id=") == [first, second, first]
    assert await rooms(f"event_sender_user_id={alice.user_id}&room_id={first}") == [first]
    page = await admin.request("GET", f"{REPORTS}?limit=2")
    assert page["next_token"] == 2
    assert "next_token" not in await admin.request("GET", f"{REPORTS}?limit=2&from=2")


@pytest.mark.parametrize("query", ["dir=x", "from=-1", "limit=-1", "limit=x"])
async def test_what_cannot_be_asked(admin: Client, query: str) -> None:
    await admin.request("GET", f"{REPORTS}?{query}", status=400)


async def test_one_that_is_of_no_event(admin: Client, alice: Client, server: Homeserver) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/report", {"reason": "x"})
    _, (found,) = await server.services.administration.reports.page(about="room")
    await admin.request("GET", f"{REPORTS}/{found.report.position}", status=404)


async def test_reports_of_users(server: Homeserver, admin: Client, alice: Client, bob: Client) -> None:
    await alice.post(f"/users/{bob.user_id}/report", {"reason": "rude"})
    await bob.post(f"/users/{alice.user_id}/report", {"reason": ""})
    found = await admin.request("GET", USER_REPORTS)
    second, first = found["user_reports"]
    assert found == {"user_reports": [second, first], "total": 2}
    assert first == {
        "id": first["id"],
        "received_ts": server.clock.now_ms(),
        "target_user_id": bob.user_id,
        "user_id": alice.user_id,
        "reason": "rude",
    }
    assert second["reason"] == ""
    page = await admin.request("GET", f"{USER_REPORTS}?dir=f&limit=1")
    assert page == {"user_reports": [first], "total": 2, "next_token": 1}
    for query in ("user_id=ALI", "target_user_id=bob", "user_id=alice&target_user_id=bob"):
        assert (await admin.request("GET", f"{USER_REPORTS}?{query}"))["user_reports"] == [first]
    assert await admin.request("GET", f"{USER_REPORTS}/{first['id']}") == first
    assert await admin.request("DELETE", f"{USER_REPORTS}/{first['id']}") == {}
    await admin.request("GET", f"{USER_REPORTS}/{first['id']}", status=404)
    await admin.request("DELETE", f"{USER_REPORTS}/{first['id']}", status=404)
    await alice.request("GET", USER_REPORTS, status=403)


async def test_a_report_is_found_by_what_it_is_about(admin: Client, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    await report(alice, room_id, await alice.send(room_id, "x"))
    await alice.post(f"/users/{bob.user_id}/report", {"reason": "rude"})
    (of_event,) = (await admin.request("GET", REPORTS))["event_reports"]
    (of_user,) = (await admin.request("GET", USER_REPORTS))["user_reports"]
    for method in ("GET", "DELETE"):
        await admin.request(method, f"{REPORTS}/{of_user['id']}", status=404)
        await admin.request(method, f"{USER_REPORTS}/{of_event['id']}", status=404)
