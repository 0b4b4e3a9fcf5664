"""/room_keys/version and /room_keys/keys."""

from typing import Any

import pytest
from sqlalchemy import update

from palpo.db.statements import Statement
from palpo.db.tables.key_backups import key_backups
from palpo.services.encryption.key_backups import MAX_SESSIONS
from tests.support.homeserver import Client, Homeserver
from tests.support.loop_turns import with_turns

ROOM = "!room:test.example"
OTHER_ROOM = "!other:test.example"
ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"


def session(index: int = 5, forwarded: int = 5, verified: bool = False, data: str = "x") -> dict[str, Any]:
    """A session's key."""
    return {
        "first_message_index": index,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": data},
    }


async def new_backup(client: Client) -> str:
    """A new backup's version."""
    body = {"algorithm": ALGORITHM, "auth_data": {"public_key": "abc"}}
    version: str = (await client.post("/room_keys/version", body))["version"]
    return version


@pytest.fixture
async def version(alice: Client) -> str:
    return await new_backup(alice)


async def test_versions(alice: Client, bob: Client) -> None:
    assert (await alice.get("/room_keys/version", status=404))["errcode"] == "M_NOT_FOUND"
    first = await new_backup(alice)
    second = await new_backup(alice)
    assert first != second
    current = await alice.get("/room_keys/version")
    assert current == {
        "algorithm": ALGORITHM,
        "auth_data": {"public_key": "abc"},
        "count": 0,
        "etag": current["etag"],
        "version": second,
    }
    assert (await alice.get(f"/room_keys/version/{first}"))["version"] == first
    await bob.get(f"/room_keys/version/{first}", status=404)
    for unknown in ("999999", "x", "-1", "1" * 30):
        answer = await alice.get(f"/room_keys/version/{unknown}", status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
    assert (await alice.get("/room_keys/version/%00", status=400))["errcode"] == "M_INVALID_PARAM"


async def test_update_version(alice: Client, version: str) -> None:
    path = f"/room_keys/version/{version}"
    await alice.put(path, {"algorithm": ALGORITHM, "auth_data": {"new": 1}, "version": version})
    assert (await alice.get(path))["auth_data"] == {"new": 1}
    for change in ({"algorithm": "other"}, {"version": "other"}):
        body = {"algorithm": ALGORITHM, "auth_data": {}, **change}
        assert (await alice.put(path, body, status=400))["errcode"] == "M_INVALID_PARAM"
    body = {"algorithm": ALGORITHM, "auth_data": {}}
    assert (await alice.put("/room_keys/version/9999", body, status=404))["errcode"] == "M_NOT_FOUND"


async def test_delete_version(alice: Client, version: str) -> None:
    second = await new_backup(alice)
    await alice.put(f"/room_keys/keys/{ROOM}/a?version={second}", session())
    await alice.delete(f"/room_keys/version/{second}")
    await alice.delete(f"/room_keys/version/{second}")
    await alice.delete("/room_keys/version/9999", status=404)
    assert (await alice.get("/room_keys/version"))["version"] == version
    await alice.get(f"/room_keys/keys?version={second}", status=404)
    await alice.put(f"/room_keys/keys/{ROOM}/a?version={second}", session(), status=404)


async def test_put_and_get(alice: Client, version: str) -> None:
    query = f"?version={version}"
    one = await alice.put(f"/room_keys/keys/{ROOM}/a{query}", session())
    assert one["count"] == 1
    two = await alice.put(f"/room_keys/keys/{ROOM}{query}", {"sessions": {"b": session(), "c/d": session()}})
    assert two["count"] == 3
    assert two["etag"] != one["etag"]
    three = await alice.put(
        f"/room_keys/keys{query}", {"rooms": {OTHER_ROOM: {"sessions": {"a": session()}}}}
    )
    info = await alice.get("/room_keys/version")
    assert (info["count"], info["etag"]) == (4, three["etag"]) == (three["count"], three["etag"])
    assert await alice.get(f"/room_keys/keys/{ROOM}/c%2Fd{query}") == session()
    sessions = {"a": session(), "b": session(), "c/d": session()}
    assert await alice.get(f"/room_keys/keys/{ROOM}{query}") == {"sessions": sessions}
    assert await alice.get(f"/room_keys/keys{query}") == {
        "rooms": {ROOM: {"sessions": sessions}, OTHER_ROOM: {"sessions": {"a": session()}}}
    }


async def test_nothing_there(alice: Client, version: str) -> None:
    query = f"?version={version}"
    assert await alice.get(f"/room_keys/keys{query}") == {"rooms": {}}
    assert await alice.get(f"/room_keys/keys/{ROOM}{query}") == {"sessions": {}}
    assert (await alice.get(f"/room_keys/keys/{ROOM}/a{query}", status=404))["errcode"] == "M_NOT_FOUND"
    assert (await alice.get("/room_keys/keys?version=999", status=404))["errcode"] == "M_NOT_FOUND"
    assert (await alice.get("/room_keys/keys", status=400))["errcode"] == "M_MISSING_PARAM"


async def test_many_sessions(alice: Client, version: str) -> None:
    query = f"?version={version}"
    rooms = {
        f"!{room}:test.example": {"sessions": {f"s{n}": session(n) for n in range(400)}} for room in range(3)
    }
    assert (await alice.put(f"/room_keys/keys{query}", {"rooms": rooms}))["count"] == 1200
    assert await alice.get(f"/room_keys/keys{query}") == {"rooms": rooms}
    assert await alice.get(f"/room_keys/keys/!1:test.example{query}") == rooms["!1:test.example"]


@pytest.mark.parametrize(
    ("new", "replaces"),
    [
        (session(6, 0, True), True),
        (session(4, 9), True),
        (session(5, 4), True),
        (session(5, 5), False),
        (session(5, 6), False),
        (session(6, 0), False),
    ],
)
async def test_which_key_is_kept(alice: Client, version: str, new: dict[str, Any], replaces: bool) -> None:
    path = f"/room_keys/keys/{ROOM}/a?version={version}"
    first = await alice.put(path, session(data="old"))
    new = {**new, "session_data": {"ciphertext": "new"}}
    second = await alice.put(path, new)
    assert second["count"] == 1
    assert (second["etag"] != first["etag"]) is replaces
    assert await alice.get(path) == (new if replaces else session(data="old"))


async def test_verified_is_never_replaced_by_unverified(alice: Client, version: str) -> None:
    path = f"/room_keys/keys/{ROOM}/a?version={version}"
    await alice.put(path, session(5, 5, True))
    await alice.put(path, session(0, 0, False))
    assert await alice.get(path) == session(5, 5, True)


async def test_only_the_current_version_is_written(alice: Client, version: str) -> None:
    second = await new_backup(alice)
    path = f"/room_keys/keys/{ROOM}/a"
    answer = await alice.put(f"{path}?version={version}", session(), status=403)
    assert (answer["errcode"], answer["current_version"]) == ("M_WRONG_ROOM_KEYS_VERSION", second)
    answer = await alice.put(f"{path}?version=99999", session(), status=404)
    assert answer["errcode"] == "M_NOT_FOUND"


async def test_delete_sessions(alice: Client, version: str) -> None:
    query = f"?version={version}"
    rooms = {
        ROOM: {"sessions": {"a": session(), "b": session()}},
        OTHER_ROOM: {"sessions": {"a": session(), "b": session()}},
    }
    await alice.put(f"/room_keys/keys{query}", {"rooms": rooms})
    assert (await alice.delete(f"/room_keys/keys/{ROOM}/a{query}"))["count"] == 3
    once = await alice.delete(f"/room_keys/keys/{OTHER_ROOM}{query}")
    assert once["count"] == 1
    assert await alice.delete(f"/room_keys/keys/{OTHER_ROOM}{query}") == once
    assert (await alice.delete(f"/room_keys/keys{query}"))["count"] == 0
    assert await alice.get(f"/room_keys/keys{query}") == {"rooms": {}}
    await alice.delete("/room_keys/keys?version=999", status=404)


@pytest.mark.parametrize(
    ("path", "change", "errcode"),
    [
        (f"{ROOM}/a", {"first_message_index": "1"}, "M_BAD_JSON"),
        (f"{ROOM}/a", {"first_message_index": 2**63}, "M_INVALID_PARAM"),
        (f"{ROOM}/a", {"forwarded_count": -1}, "M_INVALID_PARAM"),
        (f"{ROOM}/a", {"session_data": "x"}, "M_BAD_JSON"),
        (f"{ROOM}/%00", {}, "M_INVALID_PARAM"),
        (f"{ROOM}/{'a' * 256}", {}, "M_INVALID_PARAM"),
        ("room/a", {}, "M_INVALID_PARAM"),
    ],
)
async def test_bad_sessions(
    alice: Client, version: str, path: str, change: dict[str, Any], errcode: str
) -> None:
    body = {**session(), **change}
    answer = await alice.put(f"/room_keys/keys/{path}?version={version}", body, status=400)
    assert answer["errcode"] == errcode


async def test_too_much_at_once(alice: Client, version: str) -> None:
    path = f"/room_keys/keys/{ROOM}"
    body = {"sessions": {"a": session(), "b": session(data="x" * 66_000)}}
    assert (await alice.put(f"{path}?version={version}", body, status=413))["errcode"] == "M_TOO_LARGE"
    body = {"sessions": {str(number): session() for number in range(MAX_SESSIONS + 1)}}
    assert (await alice.put(f"{path}?version={version}", body, status=413))["errcode"] == "M_TOO_LARGE"
    assert (await alice.get(f"{path}?version={version}"))["sessions"] == {}


async def test_a_large_backup_lets_others_have_their_turn(alice: Client, version: str) -> None:
    rooms = {
        f"!{room}:test.example": {"sessions": {f"s{n}": session(n) for n in range(50)}} for room in range(90)
    }
    written, turns = await with_turns(alice.put(f"/room_keys/keys?version={version}", {"rooms": rooms}))
    assert written["count"] == 4500
    assert turns > 45  # It is written a hundred at a time.


async def test_too_many_sessions_at_once(alice: Client, version: str) -> None:
    sessions = {f"s{n}": session(n) for n in range(5001)}
    for body in (
        {"rooms": {ROOM: {"sessions": sessions}}},
        {"rooms": {f"!{n}:x": {"sessions": {str(m): session() for m in range(501)}} for n in range(10)}},
    ):
        answer = await alice.put(f"/room_keys/keys?version={version}", body, status=413)
        assert answer["errcode"] == "M_TOO_LARGE"
    assert (await alice.get("/room_keys/version"))["count"] == 0


async def test_nothing_is_stored_of_a_body_with_a_fault(alice: Client, version: str) -> None:
    sessions = {"a": session(), "b": {**session(), "is_verified": "x"}}
    body = {"rooms": {ROOM: {"sessions": sessions}}}
    assert (await alice.put(f"/room_keys/keys?version={version}", body, status=400))[
        "errcode"
    ] == "M_BAD_JSON"
    del sessions["b"]["is_verified"]
    missing = await alice.put(f"/room_keys/keys?version={version}", body, status=400)
    assert missing["errcode"] == "M_MISSING_PARAM"
    assert (await alice.get("/room_keys/version"))["count"] == 0


async def test_a_version_from_another_server_keeps_its_name(server: Homeserver, alice: Client) -> None:
    version = await new_backup(alice)
    kept = Statement(update(key_backups).values(name="1"))
    await server.services.server.db.write(lambda tx: tx.run(kept))
    assert (await alice.get("/room_keys/version"))["version"] == "1"
    await alice.put(f"/room_keys/keys/{ROOM}/one?version=1", session())
    assert (await alice.get("/room_keys/version/1"))["count"] == 1
    if version != "1":
        await alice.get(f"/room_keys/version/{version}", status=404)
    newer = await new_backup(alice)
    answer = await alice.put(f"/room_keys/keys/{ROOM}/one?version=1", session(), status=403)
    assert answer["current_version"] == newer
    await alice.delete("/room_keys/version/1")
    await alice.get("/room_keys/version/1", status=404)
