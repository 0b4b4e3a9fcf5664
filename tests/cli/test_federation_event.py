"""``palpo federation event`` and ``resync``, as an operator runs them."""

import json
from pathlib import Path

import pytest
import uvloop

from palpo.cli.main import main
from tests.support.homeserver import homeserver


def palpo(data: Path, *arguments: str) -> int:
    settings = ["--set", "server_name=test.example", "--set", f"data={data}"]
    return main(["federation", *arguments, *settings])


async def sent(data: Path) -> tuple[str, str]:
    """A room, and a message in it."""
    async with homeserver(data) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        return room_id, await alice.send(room_id, "here")


def test_what_became_of_an_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room_id, event_id = uvloop.run(sent(tmp_path))
    assert palpo(tmp_path, "event", event_id) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{event_id}  accepted"
    assert lines[1] == f"  room     {room_id}"
    assert palpo(tmp_path, "event", event_id, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["event_id"], report["room_id"], report["fate"]) == (event_id, room_id, "accepted")
    assert [check["passed"] for check in report["checks"]] == [True] * 6
    assert set(report["prev_events"].values()) == {"accepted"}


def test_what_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room_id, _ = uvloop.run(sent(tmp_path))
    assert palpo(tmp_path, "event", "$nothing") == 1
    assert "$nothing is not known here" in capsys.readouterr().err
    assert palpo(tmp_path, "resync", "!nowhere:test.example") == 1
    assert "Nobody of this server is in the room" in capsys.readouterr().err
    assert palpo(tmp_path, "resync", room_id) == 1
    assert "No other server is in the room" in capsys.readouterr().err
