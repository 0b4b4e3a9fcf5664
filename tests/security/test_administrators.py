"""What only administrators may do: nobody else gets at any of it, and whatever changes is written down."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from palpo.admin import BLUEPRINTS
from palpo.api.audit import POWERS
from palpo.cli.actions import ACTIONS
from palpo.cli.command_server import serving_commands
from palpo.cli.main import command_line, main
from palpo.streams.polling import read_position
from palpo.wire.endpoint import Auth, Endpoint
from palpo.wire.registry import endpoints
from tests.support.browser import Browser
from tests.support.homeserver import Client, Homeserver, homeserver

Any_ = Endpoint[Any, Any, Any]
NAMES = {
    "user_id": "@x:test.example", "room_id": "!x:test.example", "room_id_or_alias": "!x:test.example",
    "event_id": "$x", "report_id": "1", "server_name": "test.example", "destination": "other.example",
}  # fmt: skip
OF_ADMINISTRATORS = [item for item in endpoints() if item.auth is Auth.ADMIN]
PAGES = [item for blueprint in BLUEPRINTS for item in blueprint.endpoints]
BODY = {
    "locked": True, "suspended": True, "suspend": True, "admin": True, "block": True,
    "new_password": "long enough", "user_id": "@x:test.example", "content": {"body": "x"},
    "devices": ["x"], "features": {}, "rooms": [],
    "purge_up_to_ts": 1, "device_id": "x", "enabled": True, "job_name": "regenerate_directory",
}  # fmt: skip
"""What one operation or another needs."""
FOR_ALL = {
    "getWhoIs",
    "synapse.getRegistrationNonce",
    "synapse.registerBySharedSecret",
    "synapse.getServerVersion",
}
"""What has ``admin`` in its path and is for users too, about themselves, or for who knows the secret."""
LOOKING = {"palpo.adminCheckServer", "palpo.adminRunCheckUp"}
"""Forms that change nothing: another server is looked at, or this one."""
READING = {
    "check", "destinations", "devices", "doctor", "event", "follow", "list", "members", "ping", "show",
    "sizes", "state", "status", "usage",
}  # fmt: skip
"""The last words of commands that change nothing."""
BESIDE = {
    # What reads only, or begins a server.
    "backup verify", "completion", "config check", "config explain", "config show", "federation check",
    "routes", "serve", "signing-key show", "start",
    # What changes no more than the form in which things are stored, and for one of these the other database.
    "database copy", "db migrate", "migrate",
}  # fmt: skip
"""Commands that are no actions, and change nothing that an administrator has to answer for."""


def path_of(endpoint: Any_, path: str | None = None) -> str:
    kind = re.search(r"(User|Room)$", endpoint.operation_id)
    names = {**NAMES, "name": NAMES[f"{kind[1].lower()}_id"]} if kind else NAMES
    made = path or endpoint.paths[0]
    return re.sub(r"\{(\w+)\}", lambda found: quote(names.get(found[1], "x"), safe=""), made)


@pytest.fixture
async def server(tmp_path: Path) -> Any:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as running:
        yield running


@pytest.fixture
async def admin(server: Homeserver) -> Client:
    return await server.register("admin")


async def written(server: Homeserver) -> int:
    return await server.services.server.audit_log.count()


def test_what_is_for_administrators_says_so() -> None:
    """No operation below the paths of administration is open to others, but those few."""
    below = [item for item in endpoints() if any("/admin/" in path for path in item.paths)]
    pages = {item.operation_id for item in PAGES}
    open_ = {item.operation_id for item in below if item.auth is not Auth.ADMIN}
    assert open_ - pages == FOR_ALL
    assert len(OF_ADMINISTRATORS) > 80


async def test_every_operation_refuses_who_is_no_administrator(server: Homeserver, admin: Client) -> None:
    alice, stranger = await server.register("alice"), server.client()
    guest = await stranger.post("/register?kind=guest", {})
    visitor = Client(server.http, guest["user_id"], guest["access_token"])
    for endpoint in OF_ADMINISTRATORS:
        for path in endpoint.paths:
            url = f"/{path_of(endpoint, path)}"
            told = await stranger.request(endpoint.method, url, {}, status=401)
            assert told["errcode"] == "M_MISSING_TOKEN"
            for client in alice, visitor:
                told = await client.request(endpoint.method, url, {}, status=403)
                assert told["errcode"] in ("M_FORBIDDEN", "M_GUEST_ACCESS_FORBIDDEN"), url
            wrong = Client(server.http, token="made-up")
            await wrong.request(endpoint.method, url, {}, status=401)
    assert await written(server) == 0


async def test_who_was_an_administrator_is_none_any_more(server: Homeserver, admin: Client) -> None:
    alice = await server.register("alice")
    user = f"//_synapse/admin/v1/users/{alice.user_id}/admin"
    await admin.request("PUT", user, {"admin": True})
    await alice.request("GET", "//_synapse/admin/v2/users")
    await admin.request("PUT", user, {"admin": False})
    await alice.request("GET", "//_synapse/admin/v2/users", status=403)


async def test_every_operation_that_changes_something_is_written_down(
    server: Homeserver, admin: Client
) -> None:
    """Also where it fails: an entry for each, unless what was sent cannot even be read."""
    unreached: list[str] = []
    changing = [item for item in OF_ADMINISTRATORS if item.method != "GET"]
    for endpoint in changing:
        before = await written(server)
        answer = await admin.http.request(
            endpoint.method,
            f"{path_of(endpoint)}?before_ts=1",
            json=BODY,
            headers={"Authorization": f"Bearer {admin.token}"},
        )
        unread = answer.status_code == 400 and "errcode" in answer.json() and await written(server) == before
        assert unread or await written(server) == before + 1, (endpoint.operation_id, answer.text)
        if unread:
            unreached.append(endpoint.operation_id)
        else:
            (entry,) = await server.services.server.audit_log.newest(limit=1)
            assert (entry.actor, entry.via, entry.action) == (admin.user_id, "api", endpoint.operation_id)
            assert entry.status == answer.status_code
    assert unreached == []


async def test_operations_that_read_change_nothing(server: Homeserver, admin: Client) -> None:
    async def position() -> int:
        return await server.services.server.db.read(read_position)

    before = await position()
    for endpoint in OF_ADMINISTRATORS:
        if endpoint.method == "GET":
            headers = {"Authorization": f"Bearer {admin.token}"}
            answer = await admin.http.get(path_of(endpoint), headers=headers)
            assert answer.status_code < 500
            assert await position() == before, endpoint.operation_id


async def test_what_administrators_may_do_in_any_room_is_written_down(
    server: Homeserver, admin: Client
) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room(room_alias_name="hers")
    alias = quote("#hers:test.example")
    other = quote("#other:test.example")
    await alice.put(f"/directory/room/{other}", {"room_id": room_id})
    assert await written(server) == 0
    await admin.delete(f"/directory/room/{alias}")
    await admin.put(f"/directory/room/{alias}", {"room_id": room_id})
    await admin.put(f"/directory/list/room/{room_id}", {"visibility": "public"})
    entries = await server.services.server.audit_log.newest()
    assert {entry.action for entry in entries} == POWERS
    assert {entry.target for entry in entries} == {"#hers:test.example", room_id}


async def test_redactions_that_only_an_administrator_may_make_are_written_down(
    server: Homeserver, admin: Client
) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room(invite=[admin.user_id])
    await admin.post(f"/join/{room_id}", {})
    hers = [await alice.send(room_id, "hers") for _ in range(3)]
    own = await admin.send(room_id, "own")
    await admin.put(f"/rooms/{room_id}/redact/{own}/own", {})
    await alice.put(f"/rooms/{room_id}/redact/{hers[0]}/hers", {})
    assert await written(server) == 0, "what anybody may do is no right of administrators"

    for _ in range(2):
        await admin.put(f"/rooms/{room_id}/redact/{hers[1]}/t", {"reason": "spam"})
    (entry,) = await server.services.server.audit_log.newest()
    assert (entry.actor, entry.action, entry.target) == (admin.user_id, "redactEvent", room_id)
    told = json.loads(entry.details)
    assert (told["event_id"], told["reason"]) == (hers[1], "spam")
    assert entry.address

    await admin.put(f"/rooms/{room_id}/send/m.room.redaction/u", {"redacts": hers[2]})
    entry = (await server.services.server.audit_log.newest())[0]
    assert (entry.action, json.loads(entry.details)["redacts"]) == ("sendMessage", hers[2])

    levels = await alice.get(f"/rooms/{room_id}/state/m.room.power_levels")
    levels["users"][admin.user_id] = 50
    await alice.put(f"/rooms/{room_id}/state/m.room.power_levels", levels)
    last = await alice.send(room_id, "of which a moderator may judge")
    await admin.put(f"/rooms/{room_id}/redact/{last}/v", {})
    assert await written(server) == 2, "so is what its room lets its moderators do"


async def test_every_form_of_administrators_is_written_down(server: Homeserver, admin: Client) -> None:
    browser = Browser(server)
    async with browser.http:
        page = await browser.sign_in("admin", "/_palpo/admin/registration-tokens")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        for endpoint in PAGES:
            if endpoint.method == "GET" or endpoint.operation_id in LOOKING:
                continue
            before = await written(server)
            answer = await browser.http.post(path_of(endpoint), data={"csrf": found[1]})
            assert answer.status_code == 303, (endpoint.operation_id, answer.text)
            assert await written(server) == before + 1, endpoint.operation_id
            (entry,) = await server.services.server.audit_log.newest(limit=1)
            assert (entry.actor, entry.via, entry.action) == (admin.user_id, "web", endpoint.operation_id)


async def test_secrets_that_are_changed_in_the_browser_are_not_in_the_log(
    server: Homeserver, admin: Client
) -> None:
    browser = Browser(server)
    async with browser.http:
        page = await browser.sign_in("admin", "/_palpo/admin/registration-tokens")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        for name, value in (
            ("registration.shared_secret", "hush-hush"),
            ("oidc", '[{id = "x", client_secret = "hush-hush"}]'),
            ("oidc", '[{id = "x", client_secret = "hush-hush"'),
            ("no.such_setting", "hush-hush"),
            ("log.level", "debug"),
        ):
            fields = {"csrf": found[1], "name": name, "value": value}
            await browser.http.post("/_palpo/admin/configuration", data=fields)
    entries = await server.services.server.audit_log.newest()
    assert len(entries) == 5
    assert all(b"hush" not in entry.details for entry in entries)
    assert json.loads(entries[0].details)["value"] == "debug"


def leaves(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All that can be typed after ``palpo``."""
    inner = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
    if not inner:
        yield parser.prog.partition(" ")[2]
    for item in inner:
        for child in item.choices.values():
            yield from leaves(child)


def test_every_command_that_changes_something_is_written_down() -> None:
    typed = set(leaves(command_line()))
    reading = {words.rpartition(" ")[2] for words, action in ACTIONS.items() if not action.changes}
    assert reading <= READING, "new commands that change nothing are to be added to the list"
    assert typed - set(ACTIONS) <= BESIDE, "new commands are actions, or take notes (cli/noting.py)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "palpo.toml"
    file.write_text(f'server_name = "test.example"\ndata = "{tmp_path}"\n[password]\ntime_cost = 1\n')
    return file


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Commands set logging and the umask of a process of their own; the tests' process goes on."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
    structlog.reset_defaults()


def log_of(data: Path) -> list[tuple[str, ...]]:
    import sqlite3

    with closing(sqlite3.connect(data / "palpo.db")) as connection:
        found = connection.execute(
            "SELECT actor, via, action, target, details FROM audit_log ORDER BY position"
        )
        return [tuple(x.decode() if isinstance(x, bytes) else str(x) for x in row) for row in found]


@pytest.mark.sqlite
def test_settings_that_are_changed_without_a_server_are_written_down(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", str(file)]
    assert main(["config", "set", "log.level", "warning", *options]) == 0
    assert not (tmp_path / "palpo.db").exists(), "before there is a database nothing is made for this"
    assert main(["migrate", *options]) == 0
    assert main(["config", "set", "log.level", "info", *options]) == 0
    assert main(["config", "set", "log.level", "loud", *options]) == 2
    assert main(["config", "set", "registration.shared_secret", "hush-hush", *options]) == 0
    assert main(["config", "unset", "log.level", *options]) == 0
    assert main(["signing-key", "new", *options]) == 0
    assert capsys.readouterr().err.count("audit") == 0
    found = log_of(tmp_path)
    assert {entry[:2] for entry in found} == {(getpass.getuser(), "shell")}
    assert [entry[2:4] for entry in found[:3]] == [
        ("config set", "log.level"),
        ("config set", "registration.shared_secret"),
        ("config unset", "log.level"),
    ]
    assert found[3][2] == "signing-key new"
    assert "hush" not in str(found)
    assert json.loads(found[0][4])["value"] == "info"


@pytest.mark.sqlite
def test_a_database_that_cannot_be_asked_costs_the_entry_only(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "palpo.db").write_text("this is no database, but a text that is longer than its header" * 20)
    assert main(["config", "set", "log.level", "warning", "--config", str(file)]) == 0
    assert "It is not in the audit log" in capsys.readouterr().err
    assert 'level = "warning"' in file.read_text()


@pytest.mark.sqlite
async def test_settings_that_are_changed_beside_a_server_are_written_down(tmp_path: Path, file: Path) -> None:
    """The server that runs writes it down, so nobody opens the database beside it."""
    options = ["--config", str(file)]
    async with homeserver(tmp_path) as server, serving_commands(server.services, tmp_path):
        assert await asyncio.to_thread(main, ["config", "set", "log.level", "warning", *options]) == 0
        assert await asyncio.to_thread(main, ["config", "unset", "log.level", *options]) == 0
        found = await server.services.server.audit_log.newest()
        assert [(entry.actor, entry.via, entry.action, entry.target) for entry in found] == [
            (getpass.getuser(), "shell", "config unset", "log.level"),
            (getpass.getuser(), "shell", "config set", "log.level"),
        ]
