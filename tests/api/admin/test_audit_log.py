"""What administrators do is written down."""

from __future__ import annotations

import json

from tests.support.homeserver import Client, Homeserver

LOCK = "//_matrix/client/v1/admin/lock"


async def test_what_was_done(server: Homeserver, admin: Client, alice: Client) -> None:
    await admin.request("PUT", f"{LOCK}/{alice.user_id}", {"locked": True})
    (entry,) = await server.services.server.audit_log.newest()
    assert (entry.actor, entry.via, entry.action) == (admin.user_id, "api", "setAdminLockUser")
    assert (entry.target, entry.status) == (alice.user_id, 200)
    assert json.loads(entry.details) == {"user_id": alice.user_id, "locked": True}


async def test_what_was_refused_is_there_too(server: Homeserver, admin: Client) -> None:
    await admin.request("PUT", f"{LOCK}/@nobody:test.example", {"locked": True}, status=404)
    (entry,) = await server.services.server.audit_log.newest()
    assert entry.status == 404


async def test_looking_is_not(server: Homeserver, admin: Client, alice: Client) -> None:
    await admin.request("GET", f"{LOCK}/{alice.user_id}")
    assert await server.services.server.audit_log.count() == 0


async def test_no_secrets(server: Homeserver) -> None:
    log = server.services.server.audit_log
    await log.record(
        actor="root", via="shell", action="x", details={"password": "p", "a": [{"new_token": "t"}]}
    )
    (entry,) = await log.newest()
    assert json.loads(entry.details) == {"password": "(hidden)", "a": [{"new_token": "(hidden)"}]}


async def test_what_is_long_is_cut(server: Homeserver) -> None:
    log = server.services.server.audit_log
    await log.record(actor="root", via="shell", action="x", details={"a": "x" * 5000})
    (entry,) = await log.newest()
    assert json.loads(entry.details) == {"fields": ["a"]}
