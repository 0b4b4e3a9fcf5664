"""What belongs to users: given to some by their clients, and what is then answered of it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tests.interop.synapse_import.filling import PASSWORD, PICTURE, Client, upload
from tests.interop.synapse_import.servers import SECRET

SHOWN = 300
GIVEN = 3
"""Users who have everything."""
ANOTHER = {
    r"\.age$": "the time that has gone by",
    r"\.last_seen_(ts|ip|user_agent)$": "the request itself was seen",
    r"^media of a user.*\.last_access_ts$": "Synapse notes it some time later, by the minute",
    r" /rooms/.*\]\.(prev_content|replaces_state|user_id)$": "the spec has it in `unsigned`",
    r"\.unsigned\.(prev_content|prev_sender)$": "Synapse has it in states only of what was just sent",
    r"\.unread\.notification_count$": "here, who has answered has read what was before",
    r"\.invite_state\.events\[\d+\]\.(event_id|origin_server_ts)$": "whole events, where the spec wants some",
    r"\.invite_state\.events\[\d+\]\.content\.avatar_url$": "what the room is now, not when it was",
    r"\.unsigned\.membership$": "given to all events here, and clients know what a user was then",
    r" /devices\..*\.user_id$": "not in the spec",
    r" /account/whoami\.is_guest$": "false is what it is where it is not said",
    r" /keys/query\..*\.unsigned$": "left out where it is empty",
    r"\.global\.postcontent$": "a kind of a draft",
    r"\.default\.\.m\.rule\.(contains_user_name|contains_display_name|roomnotif)$": "no more in the spec",
    r"\.default\.\.?(im\.vector|org\.matrix)\.": "rules of drafts, and of a client's maker",
}
"""Where answers are different, whatever was imported, and why."""
ADMIN = "/_synapse/admin"
ADMINISTRATOR = "administrator"
ALGORITHMS = ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"]


async def give(client: Client) -> None:
    """Everything, to the first users."""
    town = client.town
    admin = await _administrator(client)
    users, filters = town.users[:GIVEN], {}
    for number, user in enumerate(users):
        await _account_data(client, user, town.users[-1], number)
        await _push_rules(client, user)
        await _pushers(client, user)
        await _profile(client, user)
        await _keys(client, user)
        filters[user] = await _filter(client, user)
        threepids = [{"medium": "email", "address": f"user{number}@example.org"}]
        body = {"threepids": [*threepids, {"medium": "msisdn", "address": f"4179000000{number}"}]}
        await client.ask(admin, "PUT", f"{ADMIN}/v2/users/{user}", body)
        identifier = {"type": "m.id.user", "user": user}
        login = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        tablet = {"device_id": f"TABLET{number}", "initial_device_display_name": "tablet 📱"}
        await client.ask(None, "POST", "/login", login | tablet)
    town.filters = filters
    await _withhold_and_protect(client, admin)


async def _withhold_and_protect(client: Client, admin: str) -> None:
    """Two files more, the one quarantined and the other protected from that."""
    for number, path in enumerate(("quarantine", "protect")):
        uri = await upload(client, client.town.users[0], f"{path}.png", PICTURE + path.encode())
        name = uri.removeprefix("mxc://")
        if number:
            name = name.partition("/")[2]
        await client.ask(admin, "POST", f"{ADMIN}/v1/media/{path}/{name}", {})
        client.town.judged_media.append(uri)


async def _administrator(client: Client) -> str:
    nonce = (await client.ask(None, "GET", f"{ADMIN}/v1/register"))["nonce"]
    name = ADMINISTRATOR
    text = b"\0".join(part.encode() for part in (nonce, name, PASSWORD, "admin"))
    mac = hmac.new(SECRET.encode(), text, hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": True, "mac": mac}
    made = await client.ask(None, "POST", f"{ADMIN}/v1/register", body)
    client.town.tokens[made["user_id"]] = made["access_token"]
    return str(made["user_id"])


async def _account_data(client: Client, user: str, other: str, number: int) -> None:
    data = {
        "m.direct": {other: [client.town.rooms[0]]},
        "org.example.notes": {"text": "ünï 🐘", "deep": {"er": [1, None, True, "x"]}},
        "org.example.empty": {},
    }
    if number == 1:
        data["m.ignored_user_list"] = {"ignored_users": {other: {}, "@nobody:elsewhere.example": {}}}
    for kind, content in data.items():
        await client.ask(user, "PUT", f"/user/{user}/account_data/{kind}", content)
    for room_id in (await client.ask(user, "GET", "/joined_rooms"))["joined_rooms"][:2]:
        path = f"/user/{user}/rooms/{room_id}"
        await client.ask(user, "PUT", f"{path}/account_data/org.example.of_room", {"seen": number})
        await client.ask(user, "PUT", f"{path}/tags/u.work", {})
        await client.ask(user, "PUT", f"{path}/tags/m.lowpriority", {"order": 0.25})
        await client.ask(user, "DELETE", f"{path}/tags/u.work")


async def _push_rules(client: Client, user: str) -> None:
    room_id = client.town.rooms[0]
    conditions = [{"kind": "event_match", "key": "content.body", "pattern": "tea*"}]
    sound = ["notify", {"set_tweak": "sound", "value": "default"}, {"set_tweak": "highlight"}]
    rules: dict[str, Any] = {
        "override/org.example.first": {"conditions": conditions, "actions": sound},
        "override/org.example.second": {"conditions": [], "actions": []},
        "content/tea": {"pattern": "tea", "actions": sound},
        "content/coffee": {"pattern": "coffee", "actions": ["notify"]},
        f"room/{quote(room_id, safe='')}": {"actions": []},
        f"sender/{quote(user, safe='')}": {"actions": ["notify"]},
        "underride/org.example.last": {"conditions": conditions, "actions": ["notify"]},
    }
    for name, rule in rules.items():
        await client.ask(user, "PUT", f"/pushrules/global/{name}", rule)
    before = {"before": "org.example.second"}
    await client.ask(
        user,
        "PUT",
        "/pushrules/global/override/org.example.between",
        {"conditions": conditions, "actions": []},
        params=before,
    )
    for name in ("override/org.example.second", "underride/.m.rule.message", "override/.m.rule.master"):
        await client.ask(
            user, "PUT", f"/pushrules/global/{name}/enabled", {"enabled": name.endswith("master")}
        )
    await client.ask(user, "PUT", "/pushrules/global/override/.m.rule.master/enabled", {"enabled": False})
    await client.ask(
        user, "PUT", "/pushrules/global/underride/.m.rule.room_one_to_one/actions", {"actions": []}
    )


async def _pushers(client: Client, user: str) -> None:
    for number in range(2):
        await client.ask(
            user,
            "POST",
            "/pushers/set",
            {
                "kind": "http",
                "app_id": f"org.example.app{number}",
                "pushkey": f"key {number} of {user}",
                "app_display_name": "An app",
                "device_display_name": "phone",
                "profile_tag": "tag" if number else "",
                "lang": "de",
                "data": {"url": "https://push.invalid/_matrix/push/v1/notify", "format": "event_id_only"},
            },
        )


async def _profile(client: Client, user: str) -> None:
    uri = client.town.media[0][0]
    await client.ask(user, "PUT", f"/profile/{user}/avatar_url", {"avatar_url": uri})
    await client.ask(user, "PUT", f"/profile/{user}/m.tz", {"m.tz": "Europe/Zurich"})
    await client.ask(user, "PUT", f"/profile/{user}/org.example.pets", {"org.example.pets": ["🐕", {"n": 2}]})


async def _keys(client: Client, user: str) -> None:
    device = client.town.devices[user]
    names = {f"{kind}:{device}": f"{kind} key of {device}" for kind in ("curve25519", "ed25519")}
    signatures = {user: {f"ed25519:{device}": "a signature"}}
    own = {"user_id": user, "device_id": device, "algorithms": ALGORITHMS, "keys": names}

    def key(name: str, **more: Any) -> dict[str, Any]:
        return {"key": f"{name} {device}", "signatures": signatures, **more}

    await client.ask(
        user,
        "POST",
        "/keys/upload",
        {
            "device_keys": own | {"signatures": signatures},
            "one_time_keys": {f"signed_curve25519:A{n}": key(f"once {n}") for n in range(3)},
            "fallback_keys": {"signed_curve25519:F": key("fallback", fallback=True)},
        },
    )
    await claimed(client, user)


async def claimed(client: Client, user: str) -> list[str]:
    """The name of the key that is claimed next of a user's first device."""
    device = client.town.devices[user]
    wanted = {"one_time_keys": {user: {device: "signed_curve25519"}}}
    found = (await client.ask(client.town.users[-1], "POST", "/keys/claim", wanted))["one_time_keys"]
    return list(found[user][device])


async def _filter(client: Client, user: str) -> list[str]:
    filters: list[dict[str, Any]] = [
        {"room": {"timeline": {"limit": 7}, "state": {"lazy_load_members": True}}},
        {"event_fields": ["type", "content"], "presence": {"not_types": ["*"]}},
    ]
    found = [await client.ask(user, "POST", f"/user/{user}/filter", body) for body in filters]
    return [made["filter_id"] for made in found]


async def answers(client: Client) -> dict[str, Any]:
    """By user and path, what everybody is told of what is theirs, and of each other's."""
    found: dict[str, Any] = {}
    owner = client.town.users[0]
    for uri in client.town.judged_media:
        path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        found[path] = (await client.answer(owner, "GET", path)).status_code
    admin = next(user for user in client.town.tokens if user.startswith(f"@{ADMINISTRATOR}:"))
    files = await client.ask(admin, "GET", f"{ADMIN}/v1/users/{owner}/media")
    found["media of a user"] = _ordered(files["media"], "media")
    for user in client.town.tokens:
        for path, answer in (await _answers(client, user)).items():
            found[f"{user} {path}"] = answer
    return found


async def _answers(client: Client, user: str) -> dict[str, Any]:
    town, found = client.town, {}
    joined = sorted((await client.ask(user, "GET", "/joined_rooms"))["joined_rooms"])
    found["joined rooms"] = joined
    paths = ["/account/whoami", "/devices", "/pushrules/", "/pushers", "/account/3pid", "/publicRooms"]
    paths += [f"/profile/{other}" for other in town.tokens]
    paths += [f"/user/{user}/filter/{name}" for name in town.filters.get(user, ())]
    paths += [f"/directory/room/{quote(f'#room{n}:')}{user.partition(':')[2]}" for n in (0, 3)]
    for room_id in joined:
        paths += [f"/rooms/{room_id}/{name}" for name in ("members", "joined_members", "state", "aliases")]
        paths += [f"/directory/list/room/{room_id}", f"/user/{user}/rooms/{room_id}/tags"]
    for path in paths:
        found[path] = await _answer(client, user, path)
    wanted = {"device_keys": {other: [] for other in town.tokens}}
    found["/keys/query"] = await client.ask(user, "POST", "/keys/query", wanted)
    version = found["/room_keys/version"] = await _answer(client, user, "/room_keys/version")
    if "version" in version:
        params = {"version": version["version"]}
        found["/room_keys/keys"] = await client.ask(user, "GET", "/room_keys/keys", params=params)
    found["/sync"] = await _synced(client, user)
    return {path: _ordered(answer) for path, answer in found.items()}


async def _answer(client: Client, user: str, path: str) -> Any:
    answer = await client.answer(user, "GET", path)
    found = answer.json()
    return found if answer.status_code == 200 else [answer.status_code, found.get("errcode")]


async def _synced(client: Client, user: str) -> dict[str, Any]:
    # Synapse repeats its answer to a first sync for two minutes, if it is asked the same.
    params = {"timeout": "1", "filter": '{"room":{"state":{"lazy_load_members":true}}}'}
    synced = await client.ask(user, "GET", "/sync", params=params)
    rooms = {}
    for room_id, room in synced.get("rooms", {}).get("join", {}).items():
        rooms[room_id] = {
            "account_data": room["account_data"]["events"],
            "receipts": [event for event in room["ephemeral"]["events"] if event["type"] == "m.receipt"],
            "summary": room["summary"],
            "unread": room["unread_notifications"],
        }
    names = ("device_one_time_keys_count", "device_unused_fallback_key_types")
    return {
        "account_data": synced.get("account_data", {}).get("events", []),
        "rooms": rooms,
        "invites": synced.get("rooms", {}).get("invite", {}),
        "to_device": synced.get("to_device", {}).get("events", []),
    } | {name: synced.get(name) for name in names}


LISTS = ("devices", "chunk", "events", "pushers", "threepids", "account_data", "state", "aliases", "media")
"""Lists of which the order says nothing."""
NAMES = ("type", "state_key", "event_id", "device_id", "room_id", "pushkey", "address", "media_id")
"""What such lists are ordered by."""


KINDS = ("override", "content", "room", "sender", "underride")


def _ordered(value: Any, name: str = "") -> Any:
    """Lists whose order says nothing in one order; push rules of the server's own by their names."""
    if isinstance(value, dict):
        return {key: _ordered(item, key) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [_ordered(item) for item in value]
    if name in KINDS:
        return _rules(items)
    events = bool(items) and all(isinstance(item, dict) and "type" in item for item in items)
    return sorted(items, key=_name) if name in LISTS or events else items


def _rules(rules: list[dict[str, Any]]) -> dict[str, Any]:
    own = [rule for rule in rules if not rule["default"]]
    default = {rule["rule_id"]: [rule["enabled"], _actions(rule)] for rule in rules if rule["default"]}
    return {"own": own, "default": default}


def _actions(rule: dict[str, Any]) -> list[str]:
    """What comes of a rule of the server's own: no highlight is what is where nothing is said of it."""
    unsaid = {"set_tweak": "highlight", "value": False}
    return sorted(map(repr, (action for action in rule["actions"] if action != unsaid)))


def _name(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return " ".join(str(value.get(name, "")) for name in NAMES)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not the same, and has no reason in the table."""
    return [
        f"{place}: {what}"
        for place, what in _differences("", before, after)
        if not any(re.search(another, place) for another in ANOTHER)
    ]


def _differences(place: str, one: Any, two: Any) -> Iterator[tuple[str, str]]:
    if isinstance(one, dict) and isinstance(two, dict):
        for name in sorted({*one, *two}):
            yield from _differences(f"{place}.{name}" if place else name, one.get(name), two.get(name))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for number, (left, right) in enumerate(zip(one, two, strict=True)):
            yield from _differences(f"{place}[{number}]", left, right)
    elif one != two:
        yield place, f"{str(one)[:SHOWN]} was, {str(two)[:SHOWN]} is"
