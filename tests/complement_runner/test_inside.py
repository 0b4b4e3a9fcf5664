"""What passes in TLS is read along in the process that has it, on either loop, as server and as client."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web
from palpo_complement.recording.gate import Gate, Records
from palpo_complement.recording.inside import Seen, seen_in, watch, watched

from tests.support.authority import Authority
from tests.support.federation import peer
from tests.support.process import free_port

BIG = {"text": "x" * 300_000}


async def exchange(authority: Authority) -> None:
    """One request over TLS with a body, and one without; the answers are large."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(BIG)

    trust = ssl.create_default_context(cafile=authority.file)
    async with peer(authority.serving("localhost")) as other, aiohttp.ClientSession() as client:
        other.answer = answer
        url = f"https://localhost:{other.port}/a%2Fb"
        for options in ({"json": BIG}, {}):
            async with client.put(url, ssl=trust, params={"x": "1"}, **options) as response:
                await response.read()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_both_sides_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[object], object]
) -> None:
    seen: list[Seen] = []
    monkeypatch.setattr(ssl.SSLContext, "sslobject_class", watched(seen.append))
    run(exchange(Authority(tmp_path)))
    assert {one.peer for one in seen} == {None, "localhost"}
    for peer_name in (None, "localhost"):
        with_body, without = (one.exchange for one in seen if one.peer == peer_name)
        assert (with_body.method, with_body.target, with_body.status) == ("PUT", "/a%2Fb?x=1", 200)
        assert json.loads(with_body.asked or b"") == json.loads(with_body.body or b"") == BIG
        assert without.asked is None


def test_what_is_written_down_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "sslobject_class", ssl.SSLObject)
    file = tmp_path / "inside.jsonl"
    watch(file)
    asyncio.run(exchange(Authority(tmp_path)))
    with file.open("ab") as torn:
        torn.write(b'{"method": "GE')
    assert sorted((one.peer or "", one.exchange.asked is None) for one in seen_in(file)) == [
        ("", False),
        ("", True),
        ("localhost", False),
        ("localhost", True),
    ]
    assert list(seen_in(tmp_path / "none")) == []


async def test_the_gate_records_it_when_the_server_is_removed(tmp_path: Path) -> None:
    records = Records.below(tmp_path, "1.")
    gate = Gate("127.0.0.1", ("127.0.0.1", free_port()), ("127.0.0.1", free_port()), records, None)
    line = {"target": "/_matrix/key/v2/server", "method": "GET", "status": 200, "ended": 1.5}
    lines = [{**line, "body": "e30=", "asked": None, "peer": name} for name in (None, "hs2")]
    records.inside.write_text("".join(json.dumps(item) + "\n" for item in lines))
    await gate.close()
    (answered,) = (json.loads(item) for item in (tmp_path / "1.access.jsonl").read_text().splitlines())
    (asked,) = (json.loads(item) for item in (tmp_path / "1.asked.jsonl").read_text().splitlines())
    assert answered["operation"] == asked["operation"] == "server-server/getServerKey"
    assert asked["peer"] == "hs2"
    assert not records.inside.exists()
