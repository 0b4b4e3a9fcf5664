"""``palpo room`` and ``palpo appservice``, as an operator runs them beside a running server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from palpo.cli.command_server import serving_commands
from palpo.cli.main import main
from tests.support.appservices import Appservice, registration
from tests.support.homeserver import homeserver


async def test_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def palpo(*arguments: str, status: int = 0) -> str:
        settings = ["--set", "server_name=test.example", "--set", f"data={tmp_path}"]
        assert await asyncio.to_thread(main, [*arguments, *settings]) == status
        return capsys.readouterr().out

    async def facts(*arguments: str) -> Any:
        return json.loads(await palpo(*arguments, "--json"))

    async with homeserver(tmp_path) as server, serving_commands(server.services, tmp_path):
        alice, bob = await server.register("alice"), await server.register("bob")
        created = {"name": "Tea\u001b[2J", "room_alias_name": "tea", "preset": "private_chat"}
        room_id = (await alice.post("/createRoom", created))["room_id"]
        assert f"{room_id}  Tea?[2J  1 members, 1 here" in await palpo("room", "list", "--search", "tea")
        assert await palpo("room", "list", "--empty") == "There are no such rooms\n"
        assert (await facts("room", "show", "#tea:test.example"))["room"]["facts"]["name"] == created["name"]
        assert await facts("room", "members", room_id) == [alice.user_id]
        (rules,) = await facts("room", "state", room_id, "--type", "m.room.join_rules")
        assert rules["content"] == {"join_rule": "invite"}

        await palpo("room", "make-admin", room_id, "bob")
        await bob.post(f"/rooms/{room_id}/join", {})
        (levels,) = await facts("room", "state", room_id, "--type", "m.room.power_levels")
        assert levels["content"]["users"][bob.user_id] >= 100
        assert await palpo("room", "block", room_id) == f"{room_id} is blocked\n"
        assert "blocked" in await palpo("room", "show", room_id)
        carol = {"user_id": (await server.register("carol")).user_id}
        await alice.post(f"/rooms/{room_id}/invite", carol, status=403)
        await palpo("room", "unblock", "#tea:test.example")
        await alice.post(f"/rooms/{room_id}/invite", carol)
        await palpo("room", "show", "#nothing:test.example", status=1)
        await palpo("room", "block", "tea", status=1)
        said = await palpo("room", "delete", "#tea:test.example", "--block")
        assert "shutdown_and_purge_room" in said
        assert "complete" in said
        await palpo("room", "show", room_id, status=1)
        assert (
            json.loads(await palpo("jobs", "list", "--state", "complete", "--json"))[0]["target"] == room_id
        )
        # Whoever mistypes a room is told; what is left of one that is gone can be deleted all the same.
        await palpo("room", "delete", "!typo:test.example", status=1)
        assert "complete" in await palpo("room", "delete", "!typo:test.example", "--force")
        actions = [entry["action"] for entry in await facts("audit-log", "list")]
    assert actions == [*["room delete"] * 3, "room block", "room unblock", "room block", "room make-admin"]


async def test_application_services(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def palpo(*arguments: str, status: int = 0) -> str:
        settings = ["--set", "server_name=test.example", "--set", f"data={tmp_path}"]
        assert await asyncio.to_thread(main, [*arguments, *settings]) == status
        said = capsys.readouterr()
        return said.out + said.err

    bridge = Appservice()
    files = [registration(tmp_path, url=bridge.url)]
    async with homeserver(tmp_path, appservices=files) as server, serving_commands(server.services, tmp_path):
        (known,) = json.loads(await palpo("appservice", "list", "--json"))
        assert known["url"] == bridge.url
        assert "token" not in json.dumps(known)
        assert "problem" in await palpo("appservice", "check", status=1)
        async with bridge.running():
            assert "answers" in await palpo("appservice", "check", known["id"])
            assert "answers, after" in await palpo("appservice", "ping", known["id"])
        await palpo("appservice", "check", "nobody", status=1)


async def test_purge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with homeserver(tmp_path) as server, serving_commands(server.services, tmp_path):
        alice = await server.register("alice")
        room_id = (await alice.post("/createRoom", {}))["room_id"]
        old = await alice.send(room_id, "old")
        new = await alice.send(room_id, "new")
        settings = ["--set", "server_name=test.example", "--set", f"data={tmp_path}"]
        purge = ["purge", room_id, "--before", new, "--local-too", *settings]
        assert await asyncio.to_thread(main, purge) == 0
        assert "complete" in capsys.readouterr().out
        await alice.get(f"/rooms/{room_id}/event/{old}", status=404)
        await alice.get(f"/rooms/{room_id}/event/{new}")
        nonsense = ["purge", room_id, "--older-than", "long", *settings]
        assert await asyncio.to_thread(main, nonsense) == 1
