"""Push rules and pushers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver, homeserver

RULES = "/pushrules/global"
PUSHER: dict[str, Any] = {
    "kind": "http",
    "app_id": "org.example.app",
    "pushkey": "key",
    "app_display_name": "App",
    "device_display_name": "Phone",
    "lang": "en",
    "profile_tag": "tag",
    "data": {"url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only"},
}


async def rule_ids(client: Client, kind: str) -> list[str]:
    rules = (await client.get("/pushrules/"))["global"][kind]
    return [rule["rule_id"] for rule in rules if not rule["default"]]


async def test_defaults(tmp_path: Path) -> None:
    async with homeserver(tmp_path, push={"legacy_mentions": True, "polls": True}) as server:
        alice = await server.register("alice")
        rules = (await alice.get("/pushrules/"))["global"]
        assert rules == await alice.get("/pushrules/global/")
        assert rules["content"][0]["pattern"] == "alice"
        poll = await alice.get(f"{RULES}/underride/.org.matrix.msc3930.rule.poll_start_one_to_one")
        assert poll["enabled"]


async def test_rules_come_and_go(server: Homeserver, alice: Client) -> None:
    body = {"actions": ["notify"], "pattern": "cake*lie"}
    for name in ("one", "two"):
        await alice.put(f"{RULES}/content/{name}", body)
    await alice.put(f"{RULES}/content/three?after=two", body)
    await alice.put(f"{RULES}/content/four?before=one", body)
    assert await rule_ids(alice, "content") == ["two", "three", "four", "one"]
    path = f"{RULES}/content/one"
    assert await alice.get(path) == {"rule_id": "one", "default": False, "enabled": True, **body}
    await alice.put(f"{path}/enabled", {"enabled": False})
    assert await alice.get(f"{path}/enabled") == {"enabled": False}
    await alice.put(f"{path}/actions", {"actions": [{"set_tweak": "highlight"}]})
    assert await alice.get(f"{path}/actions") == {"actions": [{"set_tweak": "highlight"}]}
    await alice.delete(path)
    await alice.get(path, status=404)
    await alice.delete(path, status=404)


async def test_default_rules_are_changed_but_not_deleted(tmp_path: Path) -> None:
    path = f"{RULES}/underride/.m.rule.message"
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await alice.put(f"{path}/enabled", {"enabled": False})
        await alice.put(f"{path}/actions", {"actions": []})
        await alice.delete(path, status=400)
        await alice.put(path, {"actions": []}, status=400)
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        rule = await alice.get(path)
        assert (rule["enabled"], rule["actions"]) == (False, [])


async def test_changes_are_account_data(server: Homeserver, alice: Client) -> None:
    await alice.create_room()
    position = server.services.server.wakeups.position
    changed = server.services.personal.account_data.changed
    assert await changed(alice.user_id, position, position) == []
    await alice.put(f"{RULES}/room/!foo:example.com", {"actions": ["notify"]})
    upto = server.services.server.wakeups.position
    [(room_id, type_, content)] = await changed(alice.user_id, position, upto)
    assert (room_id, type_) == (None, "m.push_rules")
    assert b"!foo:example.com" in content
    assert await changed(alice.user_id, upto, upto) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("content/x", {"actions": []}),
        ("content/x", {"pattern": "a"}),
        ("nonsense/x", {"actions": []}),
        ("override/.m.rule.mine", {"actions": []}),
        ("override/x?before=unknown", {"actions": []}),
        ("override/a%2Fb", {"actions": []}),
        ("override/x", {"actions": ["explode"]}),
    ],
)
async def test_rules_refused(alice: Client, path: str, body: dict[str, Any]) -> None:
    await alice.put(f"{RULES}/{path}", body, status=400)


async def test_unknown_rules(alice: Client) -> None:
    for path in ("postcontent/x", "override/x", "override/x/enabled", "override/x/actions"):
        assert (await alice.get(f"{RULES}/{path}", status=404))["errcode"] == "M_NOT_FOUND"
    await alice.put(f"{RULES}/override/x/enabled", {"enabled": True}, status=404)


async def test_pushers(alice: Client, bob: Client) -> None:
    assert await alice.get("/pushers") == {"pushers": []}
    await alice.post("/pushers/set", PUSHER)
    await alice.post("/pushers/set", {**PUSHER, "lang": "de"})
    assert await alice.get("/pushers") == {"pushers": [{**PUSHER, "lang": "de"}]}
    await bob.post("/pushers/set", {**PUSHER, "append": True})
    assert len((await alice.get("/pushers"))["pushers"]) == 1
    await bob.post("/pushers/set", PUSHER)
    assert await alice.get("/pushers") == {"pushers": []}
    await bob.post("/pushers/set", {"kind": None, "app_id": "org.example.app", "pushkey": "key"})
    assert await bob.get("/pushers") == {"pushers": []}


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"lang": None}, "M_MISSING_PARAM"),
        ({"data": {}}, "M_MISSING_PARAM"),
        ({"data": {"url": "http://push.example/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://push.example/"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://[oops/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://push.example:99999/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://me:secret@push.example/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"app_id": "x" * 65}, "M_INVALID_PARAM"),
        ({"pushkey": "x" * 513}, "M_INVALID_PARAM"),
        ({"kind": "carrier-pigeon"}, "M_INVALID_PARAM"),
    ],
)
async def test_pushers_refused(alice: Client, change: dict[str, Any], errcode: str) -> None:
    answer = await alice.post("/pushers/set", {**PUSHER, **change}, status=400)
    assert answer["errcode"] == errcode


async def test_pushers_go_with_their_device(server: Homeserver, alice: Client) -> None:
    second = await server.login("alice")
    await second.post("/pushers/set", PUSHER)
    await alice.post("/pushers/set", {**PUSHER, "pushkey": "mine"})
    await second.post("/logout")
    assert [item["pushkey"] for item in (await alice.get("/pushers"))["pushers"]] == ["mine"]
