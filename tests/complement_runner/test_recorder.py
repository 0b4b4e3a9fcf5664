"""What is written of a server's answers, and which of them are held to their schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from palpo_complement.recording.exchanges import Exchange
from palpo_complement.recording.recorder import Recorder, schema_process

WHOAMI = Exchange(
    method="GET",
    target="/_matrix/client/v3/account/whoami?x=1",
    status=200,
    body=b'{"user_id": "@a:b"}',
    ended=12.5,
)
BROKEN = replace(WHOAMI, body=b'{"user_id": 7}')


@pytest.fixture(scope="module")
def schemas() -> Iterator[ProcessPoolExecutor]:
    with schema_process() as process:
        yield process


async def recorded(
    folder: Path, schemas: ProcessPoolExecutor | None, *exchanges: Exchange
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    recorder = Recorder(folder / "access", folder / "violations", folder / "asked", schemas)
    for exchange in exchanges:
        recorder(exchange)
    await recorder.close()
    access, violations = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("access", "violations")
    )
    return access, violations


async def test_each_answer_is_a_line_with_its_operation(tmp_path: Path) -> None:
    unknown = replace(WHOAMI, method="POST", target="/_matrix/client/unstable/none", status=404, body=None)
    access, violations = await recorded(tmp_path, None, WHOAMI, unknown)
    assert access == [
        {
            "operation": "client-server/getTokenOwner",
            "method": "GET",
            "path": "/_matrix/client/v3/account/whoami",
            "status": 200,
            "time": 12.5,
        },
        {
            "operation": None,
            "method": "POST",
            "path": "/_matrix/client/unstable/none",
            "status": 404,
            "time": 12.5,
        },
    ]
    assert violations == []


async def test_violations_name_the_place(tmp_path: Path, schemas: ProcessPoolExecutor) -> None:
    _, violations = await recorded(tmp_path, schemas, WHOAMI, BROKEN)
    (violation,) = violations
    assert (violation["operation"], violation["pointer"]) == ("client-server/getTokenOwner", "/user_id")
    assert (violation["status"], violation["time"]) == (200, 12.5)


async def test_what_is_no_json_and_delayed_events_are_not_checked(
    tmp_path: Path, schemas: ProcessPoolExecutor
) -> None:
    delayed = replace(
        BROKEN,
        method="PUT",
        target="/_matrix/client/v3/rooms/!a:b/send/m.room.message/1?org.matrix.msc4140.delay=9",
    )
    sent = replace(delayed, target=delayed.target.partition("?")[0])
    _, violations = await recorded(tmp_path, schemas, replace(BROKEN, body=None), delayed, sent)
    assert [violation["operation"] for violation in violations] == ["client-server/sendMessage"]


async def test_a_last_answer_after_the_end_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "access", tmp_path / "violations", tmp_path / "asked", None)
    await recorder.close()
    recorder(WHOAMI)
    assert (tmp_path / "access").read_text() == ""


async def test_what_is_asked_of_others_is_held_to_its_schemas_and_so_is_what_they_answer(
    tmp_path: Path, schemas: ProcessPoolExecutor
) -> None:
    recorder = Recorder(tmp_path / "access", tmp_path / "violations", tmp_path / "asked", schemas)
    query = Exchange(
        method="POST",
        target="/_matrix/key/v2/query",
        status=200,
        body=b'{"server_keys": 7}',
        ended=12.5,
        asked=b'{"server_keys": []}',
    )
    recorder.outside(query, "notary.example")
    await recorder.close()
    (asked,) = (json.loads(line) for line in (tmp_path / "asked").read_text().splitlines())
    assert (asked["operation"], asked["peer"]) == ("server-server/bulkPerspectivesKeyQuery", "notary.example")
    violations = [json.loads(line) for line in (tmp_path / "violations").read_text().splitlines()]
    assert [violation["of"] for violation in violations] == ["request", "received"]
    assert (tmp_path / "access").read_text() == ""
