"""Reporting content, rooms and users."""

from __future__ import annotations

from palpo.storage import reports
from tests.support.homeserver import Client, Homeserver


async def test_reports(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    event_id = await alice.send(room_id, "rude")
    body = {"reason": "sad", "score": -100}
    path = f"/rooms/{room_id}/report/{event_id}"
    assert (await bob.post(path, body, status=404))["errcode"] == "M_NOT_FOUND"
    await bob.post(f"/join/{room_id}")
    await bob.post(path, body)
    await bob.post(f"/rooms/{room_id}/report", {"reason": "a\0b"})
    await bob.post(f"/users/{alice.user_id}/report", {"reason": ""})
    await bob.post("/users/@anybody:elsewhere.example/report", {"reason": "x" * 20_000})
    stored = await server.services.server.db.read(lambda tx: reports.newest(tx, before=2**62, limit=10))
    assert [(item.user_id, item.room_id, item.event_id, item.reason[:3], item.score) for item in stored] == [
        ("@anybody:elsewhere.example", None, None, "xxx", None),
        (alice.user_id, None, None, "", None),
        (None, room_id, None, "ab", None),
        (None, room_id, event_id, "sad", -100),
    ]
    assert {item.reporter for item in stored} == {bob.user_id}
    assert len(stored[0].reason) == 10_000
    assert await server.services.server.db.read(reports.count) == 4
    assert await server.services.server.db.write(lambda tx: reports.delete_one(tx, stored[0].position))
    assert await server.services.server.db.read(lambda tx: reports.get(tx, stored[0].position)) is None


async def test_refused(alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "x")
    await alice.post(f"/rooms/{room_id}/report", {}, status=400)
    await alice.post(f"/rooms/{room_id}/report/{event_id}", {"score": 1}, status=400)
    await alice.post(f"/rooms/{room_id}/report/%00", {"reason": "x"}, status=400)
    await alice.post(f"/rooms/{room_id}/report/$nothing", {"reason": "x"}, status=404)
    await alice.post("/rooms/!nowhere:x/report", {"reason": "x"}, status=404)
    await alice.post("/users/@nobody:test.example/report", {"reason": "x"}, status=404)
    await alice.post("/users/nobody/report", {"reason": "x"}, status=400)
