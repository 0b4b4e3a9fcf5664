"""Events and states of rooms, for servers that are in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.room_versions import room_version
from tests.support.homeserver import PASSWORD, Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER, Remote

JOIN = {"membership": "join"}
ASKED = "/_matrix/federation/v1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Homeserver, RemoteServer]]:
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        yield server, remote


def at(noun: str, *parts: str) -> str:
    return "/".join([ASKED, noun, *(quote(part, safe="") for part in parts)])


async def say(alice: Client, room_id: str, *bodies: str) -> list[str]:
    return [(await alice.send(room_id, body)) for body in bodies]


async def joined(server: Homeserver, room_id: str, user_id: str = BOB) -> tuple[Remote, SignedEvent]:
    """Somebody of the remote server joins."""
    remote = Remote(server, room_id)
    event = await remote.event(user_id, ("m.room.member", user_id), JOIN)
    await remote.send(event)
    return remote, event


def ids(pdus: list[dict[str, Any]]) -> list[str]:
    return [parse_pdu(room_version("11"), pdu).event_id for pdu in pdus]


async def test_events_and_what_is_before_them(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    said = await say(alice, room_id, "1", "2", "3")
    _, bob = await joined(ours, room_id)
    answer = await remote.ask(ours, "GET", at("event", said[1]))
    assert answer["origin"] == "hs1.test"
    assert [pdu["content"]["body"] for pdu in answer["pdus"]] == ["2"]
    assert ids(answer["pdus"]) == [said[1]]
    path = at("backfill", room_id)
    start = f"v={quote(bob.event_id, safe='')}"
    answer = await remote.ask(ours, "GET", f"{path}?{start}&limit=3")
    assert ids(answer["pdus"]) == [bob.event_id, said[2], said[1]]
    whole = await remote.ask(ours, "GET", f"{path}?{start}&limit=1000&v=%24unknown")
    assert whole["pdus"][-1]["type"] == "m.room.create"
    assert (await remote.ask(ours, "GET", f"{path}?{start}&limit=0"))["pdus"] == []
    assert (await remote.ask(ours, "GET", f"{path}?v=%24unknown&limit=9"))["pdus"] == []
    await remote.ask(ours, "GET", f"{path}?{start}&limit=-1", status=400)
    wanted = {"earliest_events": [said[0]], "latest_events": [bob.event_id], "limit": 10}
    path = at("get_missing_events", room_id)
    assert ids((await remote.ask(ours, "POST", path, wanted))["events"]) == [said[1], said[2]]
    newest = await remote.ask(ours, "POST", path, {**wanted, "limit": 1})
    assert ids(newest["events"]) == [said[2]]
    depth = whole["pdus"][1]["depth"]
    deep = await remote.ask(ours, "POST", path, {**wanted, "min_depth": depth})
    assert ids(deep["events"]) == [said[2]]
    unknown = {"earliest_events": ["$x"], "latest_events": ["$y"], "limit": -5}
    assert (await remote.ask(ours, "POST", path, unknown)) == {"events": []}


@pytest.mark.parametrize("visibility", ["world_readable", "shared", "invited", "joined"])
async def test_what_a_server_may_not_see_is_redacted(
    server: tuple[Homeserver, RemoteServer], visibility: str
) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await alice.put(f"/rooms/{room_id}/state/m.room.history_visibility/", {"history_visibility": visibility})
    (before,) = await say(alice, room_id, "before")
    _, bob = await joined(ours, room_id)
    (after,) = await say(alice, room_id, "after")
    wanted = {"earliest_events": [], "latest_events": [after], "limit": 100}
    answer = await remote.ask(ours, "POST", at("get_missing_events", room_id), wanted)
    bodies = [pdu["content"] for pdu in answer["events"] if pdu["type"] == "m.room.message"]
    full = {"msgtype": "m.text", "body": "before"}
    shown = full if visibility in ("world_readable", "shared") else {}
    assert bodies == [shown]
    assert bob.event_id in ids(answer["events"])
    start = f"v={quote(after, safe='')}"
    answer = await remote.ask(ours, "GET", f"{at('backfill', room_id)}?{start}&limit=100")
    bodies = [pdu["content"] for pdu in answer["pdus"] if pdu["type"] == "m.room.message"]
    assert bodies == [{"msgtype": "m.text", "body": "after"}, shown]
    one = await remote.ask(ours, "GET", at("event", before))
    assert one["pdus"][0]["content"] == shown
    nearest = f"{at('timestamp_to_event', room_id)}?ts={2**52}&dir=b"
    assert (await remote.ask(ours, "GET", nearest))["event_id"] == after


async def test_only_servers_in_the_room_are_answered(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    (said,) = await say(alice, room_id, "hello")
    event = quote(said, safe="")
    asked: list[tuple[str, str, Any]] = [
        ("GET", at("event", said), None),
        ("GET", at("event_auth", room_id, said), None),
        ("GET", f"{at('backfill', room_id)}?v={event}&limit=3", None),
        ("POST", at("get_missing_events", room_id), {"earliest_events": [], "latest_events": [said]}),
        ("GET", f"{at('state', room_id)}?event_id={event}", None),
        ("GET", f"{at('state_ids', room_id)}?event_id={event}", None),
        ("GET", f"{at('timestamp_to_event', room_id)}?ts=1&dir=f", None),
    ]
    for method, path, content in asked:
        answer = await remote.ask(ours, method, path, content, status=403)
        assert answer["errcode"] == "M_FORBIDDEN", path
    view, _ = await joined(ours, room_id)
    for method, path, content in asked:
        await remote.ask(ours, method, path, content)
        elsewhere = path.replace(quote(room_id, safe=""), "%21none%3Ahs1.test").replace(event, "%24none")
        answer = await remote.ask(ours, method, elsewhere, content, status=404)
        assert answer["errcode"] == "M_NOT_FOUND", elsewhere
    acl = {"allow": ["*"], "deny": [SERVER]}
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl/", acl)
    for method, path, content in asked:
        await remote.ask(ours, method, path, content, status=403)
    assert view.room_id == room_id


async def test_states_and_auth_chains(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11", name="one")
    history = ours.services.history
    view, bob = await joined(ours, room_id)
    again = await view.event(BOB, ("m.room.member", BOB), {**JOIN, "displayname": "B"})
    await view.send(again)
    await alice.put(f"/rooms/{room_id}/state/m.room.name/", {"name": "two"})
    event = quote(again.event_id, safe="")
    states = await remote.ask(ours, "GET", f"{at('state_ids', room_id)}?event_id={event}")
    before = await history.events.full_state((await history.events.get(again.event_id)).state_before)
    assert set(states["pdu_ids"]) == {item.event_id for item in before.values()}
    assert bob.event_id in states["pdu_ids"]
    assert again.event_id not in states["pdu_ids"]
    whole = await remote.ask(ours, "GET", f"{at('state', room_id)}?event_id={event}")
    assert set(ids(whole["pdus"])) == set(states["pdu_ids"])
    assert set(ids(whole["auth_chain"])) == set(states["auth_chain_ids"])
    rested_on = {name for pdu in whole["pdus"] + whole["auth_chain"] for name in pdu["auth_events"]}
    assert set(states["auth_chain_ids"]) == rested_on
    chain = await remote.ask(ours, "GET", at("event_auth", room_id, again.event_id))
    assert bob.event_id in ids(chain["auth_chain"])
    assert set(again.auth_events) <= set(ids(chain["auth_chain"]))
    assert again.event_id not in ids(chain["auth_chain"])
    (said,) = await say(alice, room_id, "hello")
    chain = await remote.ask(ours, "GET", at("event_auth", room_id, said))
    assert {"m.room.create", "m.room.member"} <= {pdu["type"] for pdu in chain["auth_chain"]}


async def test_a_large_state_is_sent_in_pieces(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    for number in range(30):
        await alice.put(f"/rooms/{room_id}/state/m.test/{number}", {"text": "x" * 20_000})
    _, bob = await joined(ours, room_id)
    event = quote(bob.event_id, safe="")
    whole = await remote.ask(ours, "GET", f"{at('state', room_id)}?event_id={event}")
    assert len([pdu for pdu in whole["pdus"] if pdu["type"] == "m.test"]) == 30


async def test_the_rejected_and_the_redacted(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    (said,) = await say(alice, room_id, "oops")
    view, bob = await joined(ours, room_id)
    bad = await view.event(BOB, ("m.room.name", ""), {"name": "mine"}, after=(bob.event_id,))
    good = await view.event(BOB, "m.room.message", {"body": "b"}, after=(bad.event_id, bob.event_id))
    await view.send(bad, good)
    await alice.put(f"/rooms/{room_id}/redact/{said}/t1", {})
    await remote.ask(ours, "GET", at("event", bad.event_id), status=404)
    event = quote(bad.event_id, safe="")
    await remote.ask(ours, "GET", f"{at('state_ids', room_id)}?event_id={event}", status=404)
    start = f"v={quote(good.event_id, safe='')}&v={event}"
    answer = await remote.ask(ours, "GET", f"{at('backfill', room_id)}?{start}&limit=100")
    found = ids(answer["pdus"])
    assert bad.event_id not in found
    assert bob.event_id in found
    assert good.event_id in found
    assert answer["pdus"][found.index(said)]["content"] == {}


async def test_events_near_a_time(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    alice = await ours.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await joined(ours, room_id)
    (said,) = await say(alice, room_id, "1")
    path = at("timestamp_to_event", room_id)
    now = ours.clock.now_ms()
    answer = await remote.ask(ours, "GET", f"{path}?ts={now + 10**12}&dir=b")
    assert answer["event_id"] == said
    await remote.ask(ours, "GET", f"{path}?ts={now + 10**12}&dir=f", status=404)
    await remote.ask(ours, "GET", f"{path}?ts={10**20}&dir=f", status=400)


async def test_messages_of_the_erased(server: tuple[Homeserver, RemoteServer]) -> None:
    """They are for those who were there (client-server API, "Account deactivation")."""
    ours, remote = server
    alice, dave = await ours.register("alice"), await ours.register("dave")
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await dave.post(f"/rooms/{room_id}/join")
    (before,) = await say(dave, room_id, "before")
    await joined(ours, room_id)
    (after,) = await say(dave, room_id, "after")
    auth: dict[str, Any] = {"type": "m.login.password", "password": PASSWORD}
    auth["identifier"] = {"type": "m.id.user", "user": "dave"}
    await dave.post("/account/deactivate", {"erase": True, "auth": auth})
    for event_id, body in ((before, None), (after, "after")):
        answer = await remote.ask(ours, "GET", at("event", event_id))
        assert answer["pdus"][0]["content"].get("body") == body
