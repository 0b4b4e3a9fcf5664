"""Pages for administrators: who may open them, what they show, and what their forms do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from palpo.admin import BLUEPRINTS
from palpo.api.observers import Exchange, SlowLog
from palpo.wire.client.sync import sync
from palpo.wire.client.whoami import get_token_owner
from palpo.wire.endpoint import Endpoint
from tests.support.browser import Browser
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

ADMIN = "/_palpo/admin"
LOGIN = "m.login.password"
PAGES = [endpoint for blueprint in BLUEPRINTS for endpoint in blueprint.endpoints]
HOSTILE = """<script>alert(1)</script>"'{{ 7919 * 7907 }}"""


def path_of(endpoint: Endpoint[Any, Any, Any]) -> str:
    name = {"User": "@x:test.example", "Room": "!x:test.example"}
    kind = re.search(r"(User|Room)s?$", endpoint.operation_id)
    return re.sub(r"\{\w+\}", name[kind[1]] if kind else "x", endpoint.paths[0])


def ids(endpoint: Endpoint[Any, Any, Any]) -> str:
    return endpoint.operation_id


@pytest.mark.parametrize("endpoint", PAGES, ids=ids)
async def test_nobody_else_is_let_in(
    server: Homeserver, alice: Client, endpoint: Endpoint[Any, Any, Any]
) -> None:
    """Who is not signed in is sent to do that; who is, but no administrator, is refused; forms too."""
    stranger = Browser(server)
    async with stranger.http:
        answer = await stranger.http.request(endpoint.method, path_of(endpoint), data={"csrf": "x"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/_palpo/account/login?next=%2F_palpo%2Fadmin")
        page = await stranger.sign_in("alice", "/_palpo/account/")
        token = await csrf_of(stranger)
        answer = await stranger.http.request(endpoint.method, path_of(endpoint), data={"csrf": token})
        assert answer.status_code == 403, page.text
        assert "for administrators" in answer.text
    assert await server.services.server.audit_log.count() == 0


async def csrf_of(browser: Browser) -> str:
    """A token that is good for forms of this browser's session."""
    page = await browser.get("/_palpo/account/login?again=true")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def test_who_was_an_administrator(server: Homeserver, alice: Client) -> None:
    await server.services.accounts.accounts.set_flags(alice.user_id, is_admin=True)
    browser = Browser(server)
    async with browser.http:
        assert (await browser.sign_in("alice", f"{ADMIN}/")).status_code == 200
        await server.services.accounts.accounts.set_flags(alice.user_id, is_admin=False)
        assert (await browser.get(f"{ADMIN}/")).status_code == 403


async def test_forms_of_other_sites(browser: Browser, server: Homeserver) -> None:
    answer = await browser.post(f"{ADMIN}/registration-tokens", {"name": "abc"})
    assert answer.status_code == 403
    token = await csrf_of(browser)
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser.post(
        f"{ADMIN}/registration-tokens", {"name": "abc", "csrf": token}, headers=headers
    )
    assert answer.status_code == 403
    assert await server.services.accounts.registration_tokens.all() == []


async def test_pages_cannot_be_framed(browser: Browser) -> None:
    page = await browser.get(f"{ADMIN}/")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'nonce-" in policy
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "path", ["", "/media", "/reports", "/registration-tokens", "/servers", "/appservices"]
)
async def test_lists(browser: Browser, path: str) -> None:
    page = await browser.get(f"{ADMIN}{path or '/'}")
    assert page.status_code == 200
    assert 'aria-current="page"' in page.text


@pytest.mark.parametrize("path", ["/users", "/rooms", "/backups", "/configuration"])
async def test_more_lists(browser: Browser, path: str) -> None:
    page = await browser.get(f"{ADMIN}{path}")
    assert page.status_code == 200, page.text
    assert 'aria-current="page"' in page.text


@pytest.mark.parametrize(
    "path", ["/jobs", "/sessions", "/audit-log", "/conformance", "/logs", "/slow-requests"]
)
async def test_other_lists(browser: Browser, path: str) -> None:
    page = await browser.get(f"{ADMIN}{path}")
    assert page.status_code == 200
    assert 'aria-current="page"' in page.text


async def test_overview(browser: Browser, alice: Client) -> None:
    await alice.create_room()
    text = (await browser.get(f"{ADMIN}/")).text
    assert "All is well" in text
    assert re.search(r"Users</dt><dd>2</dd>", text)
    assert re.search(r"Rooms</dt><dd>1</dd>", text)
    assert re.search(r"Disk</dt><dd>[0-9.]+ [KMGT]iB <small>free of [0-9.]+ [GT]iB", text)
    assert re.search(r"Caches</dt><dd>[0-9.]+ [KM]iB <small>of 128.0 MiB;\s+[0-9]+ % found in them", text)
    assert "0 wait to be written" in text


async def test_a_disk_that_is_nearly_full(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ">little<" not in (await browser.get(f"{ADMIN}/")).text
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=2**30, total=2**40))
    assert ">little<" in (await browser.get(f"{ADMIN}/")).text


async def test_a_check_up(browser: Browser, server: Homeserver) -> None:
    page = await browser.get(f"{ADMIN}/check-up")
    assert "<table>" not in page.text
    page = await browser.submit(page, 1)
    assert page.status_code == 200
    for name in ("disk", "signing key", "address policy", "database", "backups", "federation"):
        assert f'<th scope="row">{name}<' in page.text
    assert "set backup.folder, unless something else makes them" in page.text
    assert await server.services.server.audit_log.count() == 0


async def test_a_registration_token(browser: Browser, server: Homeserver) -> None:
    page = await browser.get(f"{ADMIN}/registration-tokens")
    page = await browser.submit(page, 1, name="party", uses="3", days="7")
    assert "The token is party" in page.text
    assert "The token is party" not in (await browser.get(f"{ADMIN}/registration-tokens")).text
    (found,) = await server.services.accounts.registration_tokens.in_use()
    assert (found.token.token, found.token.uses_allowed) == ("party", 3)
    page = await browser.submit(page, 1, name="a b")
    assert "A token has at most" in page.text
    page = await browser.submit(page, 1, uses="many")
    assert "uses is a whole number" in page.text
    page = await browser.submit(page, 2)
    assert "party is deleted" in page.text
    assert await server.services.accounts.registration_tokens.all() == []
    log = await server.services.server.audit_log.newest()
    assert [(entry.action, entry.target, entry.status, entry.via) for entry in log] == [
        ("palpo.adminDeleteRegistrationToken", "party", 200, "web"),
        ("palpo.adminCreateRegistrationToken", "", 400, "web"),
        ("palpo.adminCreateRegistrationToken", "", 400, "web"),
        ("palpo.adminCreateRegistrationToken", "party", 200, "web"),
    ]
    assert json.loads(log[-1].details) == {"name": "party", "uses": "3", "days": "7"}
    page = await browser.get(f"{ADMIN}/audit-log?actor=@admin:test.example")
    assert page.text.count("palpo.adminCreateRegistrationToken") == 3


async def test_reports(browser: Browser, alice: Client, server: Homeserver) -> None:
    room_id = await alice.create_room(name=HOSTILE)
    event_id = await alice.send(room_id, HOSTILE)
    await alice.post(f"/rooms/{room_id}/report/{event_id}", {"reason": HOSTILE})
    await alice.post(f"/rooms/{room_id}/report", {"reason": "the room"})
    await alice.request("POST", "/client/v3/users/@admin:test.example/report", {"reason": "the user"})
    page = await browser.get(f"{ADMIN}/reports")
    assert page.text.count("Reported by") == 3
    assert "<script>alert" not in page.text
    assert "62615533" not in page.text
    assert "&lt;script&gt;alert" in page.text
    for kind, name in (("users", alice.user_id), ("users", "@admin:test.example"), ("rooms", room_id)):
        assert f'href="{ADMIN}/{kind}/{quote(name, safe="")}"' in page.text
    page = await browser.get(f"{ADMIN}/reports?about=user")
    assert page.text.count("Reported by") == 1
    page = await browser.submit(page, 1)
    assert "The report is dismissed" in page.text
    assert (await browser.get(f"{ADMIN}/reports")).text.count("Reported by") == 2


async def test_media(browser: Browser, alice: Client) -> None:
    uri = (await alice.request("POST", "/media/v3/upload", content=b"\x89PNG"))["content_uri"]
    room_id = await alice.create_room()
    body = {"msgtype": "m.file", "body": "x", "url": uri}
    await alice.put(f"/rooms/{room_id}/send/m.room.message/1", body)
    page = await browser.get(f"{ADMIN}/media", params={"room": room_id})
    assert uri in page.text
    page = await browser.get(f"{ADMIN}/media", params={"uri": uri})
    assert "given out" in page.text
    page = await browser.submit(page, 3)
    assert "It is withheld from everybody" in page.text
    path = f"/client/v1/media/download/{uri.removeprefix('mxc://')}"
    await alice.request("GET", path, status=404)
    page = await browser.submit(page, 3)
    assert "It is given out again" in page.text
    await alice.request("GET", path)
    page = await browser.submit(page, 4)
    assert "Nobody can quarantine it now" in page.text
    page = await browser.submit(page, 5)
    assert "It is deleted" in page.text
    assert "There is no" in (await browser.get(f"{ADMIN}/media", params={"uri": uri})).text
    assert "There is no" in (await browser.get(f"{ADMIN}/media", params={"uri": "mxc://a/b"})).text
    assert (await browser.get(f"{ADMIN}/media", params={"room": "nothing"})).status_code == 200


async def test_jobs(browser: Browser, server: Homeserver) -> None:
    jobs = server.services.server.jobs
    job = await jobs.start("nobody_does_this", requested_by="@admin:test.example", params={"a": HOSTILE})
    while not job.state.ended:
        job = await jobs.follow(job)
    page = await browser.get(f"{ADMIN}/jobs/{job.job_id}")
    assert "Nothing here does nobody_does_this" in page.text
    assert "<script>alert" not in page.text
    token = await csrf_of(browser)
    page = await browser.post(f"{ADMIN}/jobs/{job.job_id}/cancel", {"csrf": token, "back": "/jobs"})
    assert "The job has ended already" in page.text
    assert (await browser.get(f"{ADMIN}/jobs/nothing")).status_code == 404


async def test_where_a_form_leads_back_to(browser: Browser) -> None:
    """``back`` is a path of these pages, whatever it says."""
    token = await csrf_of(browser)
    for back in ("//other.example", "https://other.example", "@other.example", ".other.example"):
        fields = {"csrf": token, "back": back, "name": "a b"}
        answer = await browser.http.post(f"{ADMIN}/registration-tokens", data=fields)
        assert answer.headers["location"] == f"{ADMIN}/", back


async def test_other_servers(browser: Browser, server: Homeserver) -> None:
    page = await browser.get(f"{ADMIN}/servers/test.example")
    assert "This server, as others find it" in page.text
    assert (await browser.get(f"{ADMIN}/servers/other.example")).status_code == 404


async def test_ending_a_session(browser: Browser, server: Homeserver) -> None:
    other = Browser(server)
    async with other.http:
        await other.sign_in("admin", f"{ADMIN}/")
        page = await browser.get(f"{ADMIN}/sessions")
        assert page.text.count("Sign out") == 3
        token = await csrf_of(browser)
        sessions = server.services.accounts.browser_sessions
        own = await sessions.find(browser.http.cookies["palpo_session"])
        assert own is not None
        for session in await sessions.list(own.user_id):
            if session.session_id != own.session_id:
                path = f"{ADMIN}/sessions/{session.session_id}/end"
                page = await browser.post(path, {"csrf": token, "back": "/sessions"})
        assert "That browser is signed out" in page.text
        assert (await other.http.get(f"{ADMIN}/")).status_code == 303


async def act(browser: Browser, path: str, **fields: str) -> str:
    """Send a form of a page for its own path; what the next page says."""
    token = await csrf_of(browser)
    page = await browser.post(f"{ADMIN}{path}", {"csrf": token, "back": path, **fields})
    found = re.search(r'role="status">([^<]*)<', page.text)
    assert found is not None, page.text
    return found[1]


async def test_a_user(server: Homeserver, browser: Browser, alice: Client) -> None:
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": HOSTILE})
    await alice.create_room()
    page = await browser.get(f"{ADMIN}/users?search=ALICE")
    assert alice.user_id in page.text
    assert "<script>alert" not in page.text
    path = f"/users/{alice.user_id}"
    page = await browser.get(f"{ADMIN}{path}")
    assert "Rooms: 1" in page.text
    assert "<script>alert" not in page.text
    assert await act(browser, path, do="lock") == f"{alice.user_id} is locked"
    await alice.get("/account/whoami", status=401)
    assert await act(browser, path, do="unlock") == f"{alice.user_id} is not locked any more"
    await alice.get("/account/whoami")
    for verb in ("suspend", "unsuspend", "shadow_ban", "lift_shadow_ban"):
        assert alice.user_id in await act(browser, path, do=verb)
    assert "administrator" in await act(browser, path, do="make_admin")
    assert (await server.services.administration.user_lists.account(alice.user_id)).is_admin
    assert "no administrator" in await act(browser, path, do="revoke_admin")
    assert await act(browser, path, do="nothing") == "That cannot be done with a user"
    assert (await browser.get(f"{ADMIN}/users/@nobody:test.example")).status_code == 404


async def test_an_account_is_made(server: Homeserver, browser: Browser) -> None:
    said = await act(browser, "/users", name="carol", password="long enough", admin="on")
    assert said == "@carol:test.example is made"
    assert (await server.services.administration.user_lists.account("@carol:test.example")).is_admin
    await server.client().post("/login", {"type": LOGIN, "user": "carol", "password": "long enough"})
    for name, password, why in (
        ("carol", "long enough", "There is @carol:test.example already"),
        ("Dave", "long enough", "lower case"),
        ("@dave:other.example", "long enough", "not of this server"),
        ("dave", "x" * 600, "password"),
        ("", "long enough", "user"),
    ):
        assert why in await act(browser, "/users", name=name, password=password)
    assert (
        await act(browser, "/users", name="@dave:test.example", password="") == "@dave:test.example is made"
    )
    page = await browser.get(f"{ADMIN}/users?kind=administrators")
    assert "@carol:test.example" in page.text
    assert "@dave:test.example" not in page.text
    entry, *_ = [
        entry for entry in await server.services.server.audit_log.newest() if "carol" in entry.target
    ][::-1]
    assert (entry.action, entry.status) == ("palpo.adminCreateUser", 200)
    assert json.loads(entry.details) == {"name": "carol", "password": "(hidden)", "admin": "on"}


async def test_a_device_is_logged_out(server: Homeserver, browser: Browser, alice: Client) -> None:
    body = {"type": LOGIN, "user": "alice", "password": PASSWORD, "device_id": "PHONE"}
    phone = Client(server.http, token=(await server.client().post("/login", body))["access_token"])
    path = f"/users/{alice.user_id}"
    assert ">PHONE<" in (await browser.get(f"{ADMIN}{path}")).text
    assert await act(browser, path, do="remove_device", device_id="PHONE") == "PHONE is logged out"
    await phone.get("/account/whoami", status=401)
    await alice.get("/account/whoami")
    assert "has no such device" in await act(browser, path, do="remove_device", device_id="PHONE")


async def test_what_a_user_is_known_by_and_may_do(
    server: Homeserver, browser: Browser, alice: Client
) -> None:
    path = f"/users/{alice.user_id}"
    threepids = server.services.accounts.threepids
    await threepids.replace(alice.user_id, [("msisdn", "447700900000")])
    assert "email addresses" in await act(
        browser, path, do="set_emails", emails="a@b.example\r\n C@d.example "
    )
    known = [(item.medium, item.address) for item in await threepids.of_user(alice.user_id)]
    assert sorted(known) == [("email", "a@b.example"), ("email", "c@d.example"), ("msisdn", "447700900000")]
    assert "elsewhere are changed" in await act(
        browser, path, do="set_external_ids", external_ids="oidc-x alice b"
    )
    found = await server.services.administration.user_lists.whole(alice.user_id)
    assert [(item.auth_provider, item.external_id) for item in found.external_ids] == [("oidc-x", "alice b")]
    assert "two numbers" in await act(browser, path, do="set_rate_limit", per_second="5", burst="")
    assert "of their own" in await act(browser, path, do="set_rate_limit", per_second="5", burst="7")
    page = await browser.get(f"{ADMIN}{path}")
    for shown in ("c@d.example", "alice b at oidc-x", "5 a second, 7 at once"):
        assert shown in page.text
    assert "all others" in await act(browser, path, do="remove_rate_limit")
    assert "as for all" in (await browser.get(f"{ADMIN}{path}")).text
    assert "no master" in await act(browser, path, do="allow_cross_signing_reset")
    assert "being redacted" in await act(browser, path, do="redact")
    assert "redact" in (await browser.get(f"{ADMIN}{path}")).text.partition("<h2>Jobs")[2]


async def test_a_rooms_history_and_ends(server: Homeserver, browser: Browser, alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "old")
    path = f"/rooms/{room_id}"
    page = await browser.get(f"{ADMIN}{path}")
    assert "1 (events that nothing refers to yet)" in page.text
    assert "the server deletes nothing by its age" in page.text
    assert await act(browser, path, do="merge") == "Ends that are gone: 0"
    token = await csrf_of(browser)
    fields = {"csrf": token, "back": path, "local_too": "on"}
    for day in ("", "yesterday", "2026-13-01"):
        page = await browser.post(f"{ADMIN}{path}/purge", {**fields, "before": day})
        assert "Give a day" in page.text
    page = await browser.post(f"{ADMIN}{path}/purge", {**fields, "before": "1970-01-01"})
    assert "no event to be purged" in page.text
    await alice.send(room_id, "newer")
    page = await browser.post(f"{ADMIN}{path}/purge", {**fields, "before": "2100-01-01"})
    assert "Its history is being deleted" in page.text
    (job,) = await server.services.server.jobs.find(target=room_id)
    while not job.state.ended:
        job = await server.services.server.jobs.follow(job)
    assert job.error == ""
    await alice.get(f"/rooms/{room_id}/event/{event_id}", status=404)


async def test_old_files_are_deleted(server: Homeserver, browser: Browser, alice: Client) -> None:
    answer = await alice.http.post(
        "/_matrix/media/v3/upload", content=b"x" * 3000, headers={"Authorization": f"Bearer {alice.token}"}
    )
    uri = answer.json()["content_uri"]
    assert "Give a day" in await act(browser, "/media", before="soon")
    assert "in KiB" in await act(browser, "/media", before="2100-01-01", larger_than="many")
    assert await act(browser, "/media", before="2100-01-01", larger_than="3") == "Files deleted: 0"
    assert await act(browser, "/media", before="2100-01-01", of="others") == "Files removed: 0"
    assert await act(browser, "/media", before="2100-01-01", larger_than="2") == "Files deleted: 1"
    assert "There is no" in (await browser.get(f"{ADMIN}/media", params={"uri": uri})).text


async def test_a_link_to_register_by(tmp_path: Path) -> None:
    async with homeserver(
        tmp_path, admins=["@admin:test.example"], public_url="http://matrix.test.example"
    ) as server:
        await server.register("admin")
        await server.services.accounts.registration_tokens.create("come_in")
        browser = Browser(server)
        async with browser.http:
            await browser.sign_in("admin", f"{ADMIN}/")
            page = await browser.get(f"{ADMIN}/registration-tokens")
            assert "http://matrix.test.example/_palpo/account/register?token=come_in" in page.text
        visitor = Browser(server)
        async with visitor.http:
            page = await visitor.get("/_palpo/account/register?token=come_in")
            assert 'value="come_in"' in page.text
            page = await visitor.get("/_palpo/account/register", params={"token": HOSTILE})
            assert "<script>alert" not in page.text


async def test_a_users_password_and_end(server: Homeserver, browser: Browser, alice: Client) -> None:
    path = f"/users/{alice.user_id}"
    assert await act(browser, path, do="set_password") == "Give a new password"
    said = await act(browser, path, do="set_password", password="a new one, long enough", log_out="on")
    assert said == f"{alice.user_id} has a new password"
    await alice.get("/account/whoami", status=401)
    (entry, *_) = await server.services.server.audit_log.newest()
    assert json.loads(entry.details)["password"] == "(hidden)"
    assert "To be sure" in await act(browser, path, do="deactivate")
    said = await act(browser, path, do="deactivate", confirm=alice.user_id, erase="on")
    assert said == f"{alice.user_id} is deactivated and erased"
    assert "erased" in (await browser.get(f"{ADMIN}{path}")).text


async def test_logging_a_user_out(browser: Browser, alice: Client) -> None:
    assert "logged out everywhere" in await act(browser, f"/users/{alice.user_id}", do="log_out")
    await alice.get("/account/whoami", status=401)


async def test_a_room(server: Homeserver, browser: Browser, alice: Client) -> None:
    room_id = await alice.create_room(name=HOSTILE, preset="public_chat")
    path = f"/rooms/{room_id}"
    page = await browser.get(f"{ADMIN}/rooms", params={"search": "script"})
    assert room_id in page.text
    page = await browser.get(f"{ADMIN}{path}")
    assert "<script>alert" not in page.text
    assert alice.user_id in page.text
    assert await act(browser, path, do="block") == "Nobody here can join it"
    await (await server.register("bob")).post(f"/join/{room_id}", status=403)
    assert await act(browser, path, do="unblock") == "It can be joined again"
    assert await act(browser, path, do="nothing") == "That cannot be done with a room"
    said = await act(browser, path, do="make_admin", user_id="@admin:test.example")
    assert "has been made an administrator" in said
    token = await csrf_of(browser)
    page = await browser.post(f"{ADMIN}{path}/delete", {"csrf": token, "back": path, "block": "on"})
    assert "The room is being deleted" in page.text
    (job,) = await server.services.server.jobs.find(target=room_id)
    while not job.state.ended:
        job = await server.services.server.jobs.follow(job)
    assert job.error == ""
    page = await browser.get(f"{ADMIN}/jobs/{job.job_id}")
    assert "complete" in page.text
    assert (await browser.get(f"{ADMIN}{path}")).status_code == 404


async def test_settings_are_shown(browser: Browser) -> None:
    page = await browser.get(f"{ADMIN}/configuration?search=log.level")
    assert "<code>debug</code>, <code>info</code>" in page.text
    assert "log.level" in page.text
    assert "rate_limits" not in page.text
    said = await act(browser, "/configuration", name="log.level", value="debug")
    assert said == "This process does not know where its configuration is from"
    assert "as in TOML" in await act(browser, "/configuration", name="admins", value="[")


async def test_nobody_locks_themselves_out(server: Homeserver, browser: Browser) -> None:
    for value in ("", "[]", '["@alice:test.example"]'):
        said = await act(browser, "/configuration", name="admins", value=value)
        assert said == "You are an administrator by this setting only: leave @admin:test.example in it"
    unknown = "This process does not know where its configuration is from"
    both = '["@alice:test.example", "@admin:test.example"]'
    assert await act(browser, "/configuration", name="admins", value=both) == unknown
    await server.services.accounts.accounts.set_flags("@admin:test.example", is_admin=True)
    assert await act(browser, "/configuration", name="admins", value="[]") == unknown


async def test_a_backup_wants_a_folder(browser: Browser) -> None:
    assert await act(browser, "/backups") == "The setting backup.folder names no folder for backups"


async def test_putting_a_backup_back(tmp_path: Path) -> None:
    backup = {"folder": str(tmp_path / "backups")}
    async with homeserver(tmp_path, admins=["@admin:test.example"], backup=backup) as server:
        await server.register("admin")
        browser = Browser(server)
        async with browser.http:
            await browser.sign_in("admin", f"{ADMIN}/")
            jobs = server.services.server.jobs
            assert await act(browser, "/backups") == "A backup is being made"
            ((folder, _),) = await _made(server)
            token = await csrf_of(browser)
            await browser.post(f"{ADMIN}/backups/{folder.name}/verify", {"csrf": token, "back": "/backups"})
            (job,) = await jobs.find(kind="backup_verification")
            while not job.state.ended:
                job = await jobs.follow(job)
            assert (job.error, job.target, job.result) == ("", folder.name, {"folder": str(folder)})
            fields = {"csrf": token, "back": "/backups", "log_out": "on"}
            page = await browser.post(f"{ADMIN}/backups/{folder.name}/restore", fields)
            assert f"{folder.name} is put back when the server starts next" in page.text
            assert "This process cannot start itself anew" in page.text
            page = await browser.post(f"{ADMIN}/restart", {"csrf": token, "back": "/backups"})
            assert "restart it by what runs it" in page.text
            begun: list[bool] = []
            server.services.server.restarts.carried_out_by(lambda: begun.append(True))
            page = await browser.post(f"{ADMIN}/restart", {"csrf": token, "back": "/backups"})
            assert "The server starts anew" in page.text
            assert "connect-src 'self'" in page.headers["content-security-policy"]
            assert begun == [True]
            page = await browser.post(f"{ADMIN}/backups/keep", {"csrf": token, "back": "/backups"})
            assert "Nothing is put back" in page.text
            assert server.services.administration.backups.planned() is None


async def _made(server: Homeserver) -> list[tuple[Path, Any]]:
    """The backups, once the one that is being made is there."""
    jobs = server.services.server.jobs
    (job,) = await jobs.find(kind="backup")
    while not job.state.ended:
        job = await jobs.follow(job)
    return await server.services.administration.backups.all()


async def test_many_registration_tokens(browser: Browser, server: Homeserver) -> None:
    tokens = server.services.accounts.registration_tokens
    for number in range(51):
        await tokens.create(f"token{number:02}", uses_allowed=2)
    await tokens.hold("token00", "a registration")
    first = (await browser.get(f"{ADMIN}/registration-tokens")).text
    assert "token50" in first
    assert "token00" not in first
    assert "Page 1 of 2" in first
    second = (await browser.get(f"{ADMIN}/registration-tokens?page=2")).text
    assert second.count("<code>token") == 1
    assert "<code>token00<" in second
    assert '<td class="number">0</td><td class="number">1</td>' in second
    found = (await browser.get(f"{ADMIN}/registration-tokens?search=EN07")).text
    assert "token07" in found
    assert "token08" not in found
    assert "There are none." in (await browser.get(f"{ADMIN}/registration-tokens?search=%25")).text


async def test_logs(browser: Browser, server: Homeserver) -> None:
    keep = server.services.server.recent.lines.keep
    keep(None, "info", {"event": HOSTILE, "level": "info"})
    keep(None, "error", {"event": "the disk is full", "level": "error", "timestamp": "2026-12-01T03:00:00Z"})
    text = (await browser.get(f"{ADMIN}/logs")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    text = (await browser.get(f"{ADMIN}/logs?level=error&search=DISK")).text
    assert "&lt;script&gt;" not in text
    assert "2026-12-01 03:00:00" in text


async def test_slow_requests(browser: Browser, server: Homeserver, alice: Client) -> None:
    """What took long is shown, but for what may wait."""
    observer = next(item for item in server.app.dispatcher.observers if isinstance(item, SlowLog))
    whoami = Exchange(
        method="GET",
        raw_path="/_matrix/client/v3/account/whoami",
        endpoint=get_token_owner,
        status=200,
        seconds=1000.25,
        request_id="a-1",
        user_id=alice.user_id,
        address="",
    )
    observer(whoami)
    observer(replace(whoami, seconds=0.01))
    observer(replace(whoami, endpoint=sync, seconds=2000))
    observer(replace(whoami, endpoint=None, seconds=2000))
    slowest = server.services.server.recent.requests.slowest()
    assert [item.seconds for item in slowest if item.seconds > 900 or item.seconds < 0.1] == [1000.25]
    text = (await browser.get(f"{ADMIN}/slow-requests")).text
    assert ">1\N{NARROW NO-BREAK SPACE}000\N{NARROW NO-BREAK SPACE}250<" in text
    assert "/account/whoami" in text
    assert "/account/whoami" not in (await browser.get(f"{ADMIN}/slow-requests?search=nothing")).text
