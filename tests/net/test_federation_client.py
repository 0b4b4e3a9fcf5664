"""Requests to other servers, over TLS on the loopback interface."""

import asyncio
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from palpo.net.connections import Times
from palpo.net.federation_client import make_uri
from palpo.net.federation_errors import ServerError, ServerTimedOut, ServerUnreachable
from tests.support.federation import PATH, Peer, World, answering, name, peer, world
from tests.support.web import web as raw_web


async def test_a_request(here: World, other: Peer) -> None:
    other.answer = answering(b'{"server": {"name": "x"}}')
    content = {"b": 1, "a": "ä"}
    query = [("v", "1 0"), ("v", "ä/&")]
    found = await here.client.json(
        name(other), "PUT", "/a/%21x%2Fy:z/$e", query=query, content=content, limit=100
    )
    assert found == {"server": {"name": "x"}}
    (asked,) = other.asked
    assert (asked.method, asked.uri) == ("PUT", "/a/%21x%2Fy:z/$e?v=1%200&v=%C3%A4%2F%26")
    assert orjson.loads(asked.body) == content
    assert asked.headers["Host"] == name(other)
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Authorization"] == "X-Matrix test 1"
    assert asked.headers["User-Agent"] == "test/1"
    assert here.signed == [("PUT", asked.uri, name(other), asked.body)]


async def test_a_request_without_content_or_signature(here: World, other: Peer) -> None:
    assert await here.client.json(name(other), "GET", PATH, signed=False) == {}
    assert here.signed == []
    assert "Content-Type" not in other.asked[0].headers
    assert "Authorization" not in other.asked[0].headers


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2E/b", "//a", "/a//b/", "/a;b=c@d", "/"])
async def test_what_is_signed_is_what_is_sent(here: World, other: Peer, path: str) -> None:
    await here.client.json(name(other), "GET", path)
    assert other.asked[0].uri == path
    assert here.signed[0][1] == path


@pytest.mark.parametrize(
    "path", ["", "a", "/a b", "/ä", "/a?b", "/a#b", "/a\r\nX: y", '/"', "/a\\b", "/a\x00"]
)
def test_paths_are_encoded(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        make_uri(path)


async def test_connections_are_used_again(here: World, other: Peer) -> None:
    for _ in range(3):
        await here.client.json(name(other), "GET", PATH)
    assert other.connections == 1
    await asyncio.gather(*(here.client.json(name(other), "GET", PATH) for _ in range(5)))
    assert other.connections <= 6


async def test_a_connection_that_was_closed_meanwhile(here: World) -> None:
    async with peer(here.authority.serving("a.example"), keep_alive_s=0.05) as brief:
        for _ in range(3):
            await here.client.json(name(brief), "PUT", PATH, content={})
            await asyncio.sleep(0.1)
        assert len(brief.asked) == 3


async def test_idle_connections_are_closed(tmp_path: Path) -> None:
    async with world(tmp_path, keep_alive_s=0.1) as here, peer(here.authority.serving("a.example")) as other:
        await here.client.json(name(other), "GET", PATH)
        await asyncio.sleep(0.3)
        await here.client.json(name(other), "GET", PATH)
        assert other.connections == 2


async def test_one_server_has_a_bound_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path, per_destination=2) as here, peer(here.authority.serving("a.example")) as other:

        async def slow(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.05)
            return web.json_response({})

        other.answer = slow
        await asyncio.gather(*(here.client.json(name(other), "GET", PATH) for _ in range(6)))
        assert other.most_at_once == 2
        assert other.connections == 2


async def test_closing_ends_requests(here: World, other: Peer) -> None:
    other.answer = sleep
    asking = asyncio.create_task(here.client.json(name(other), "GET", PATH))
    await asyncio.sleep(0.2)
    await here.client.close()
    async with asyncio.timeout(5):
        with pytest.raises(ServerUnreachable):
            await asking
        with pytest.raises(ServerUnreachable, match="stopping"):
            await here.client.json(name(other), "GET", PATH)


async def test_who_waits_for_one_server_takes_no_place_of_others(tmp_path: Path) -> None:
    async with (
        world(tmp_path, at_once=3, each=2) as here,
        peer(here.authority.serving("a.example")) as slow,
        peer(here.authority.serving("a.example")) as other,
    ):
        slow.answer = sleep
        waiting = [asyncio.create_task(here.client.json(name(slow), "GET", PATH)) for _ in range(10)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await asyncio.gather(*(here.client.json(name(other), "GET", PATH) for _ in range(5)))
        assert slow.most_at_once == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_all_servers_have_a_bound_together(tmp_path: Path) -> None:
    async with world(tmp_path, at_once=2) as here, peer(here.authority.serving("a.example")) as other:

        async def slow(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.05)
            return web.json_response({})

        other.answer = slow
        await asyncio.gather(*(here.client.json(name(other), "GET", PATH) for _ in range(6)))
        assert other.most_at_once == 2


async def test_pools_are_bounded(tmp_path: Path) -> None:
    names = [f"n{number}.example" for number in range(6)]
    async with world(tmp_path, pools=3) as here:
        for one in names:
            here.dns.add(one, "A", "127.0.0.1")
        async with peer(here.authority.serving(*names)) as other:
            for one in [*names, names[-1], names[0]]:
                await here.client.json(f"{one}:{other.port}", "GET", PATH)
                assert here.connections.pools <= 3
            assert other.connections == 7


async def test_pools_of_idle_connections_are_dropped(tmp_path: Path) -> None:
    names = [f"n{number}.example" for number in range(6)]
    async with world(tmp_path, keep_alive_s=0.1) as here:
        for one in names:
            here.dns.add(one, "A", "127.0.0.1")
        async with peer(here.authority.serving(*names)) as other:
            for one in names:
                await here.client.json(f"{one}:{other.port}", "GET", PATH)
            await asyncio.sleep(0.3)
            await here.client.json(f"{names[0]}:{other.port}", "GET", PATH)
            assert here.connections.pools == 1


async def test_who_is_not_there_has_no_pool(here: World) -> None:
    async with peer(here.authority.serving("other.example")) as other:
        with pytest.raises(ServerUnreachable):
            await here.client.json(name(other), "GET", PATH)
    assert here.connections.pools == 0


async def test_pools_in_use_are_not_closed(tmp_path: Path) -> None:
    names = [f"n{number}.example" for number in range(4)]
    async with world(tmp_path, pools=1) as here:
        for one in names:
            here.dns.add(one, "A", "127.0.0.1")
        async with peer(here.authority.serving(*names)) as other:
            go_on, all_there = asyncio.Semaphore(0), asyncio.Event()

            async def slow(request: web.Request) -> web.StreamResponse:
                if other.at_once == len(names):
                    all_there.set()
                await go_on.acquire()
                return web.json_response({})

            other.answer = slow
            asking = [
                asyncio.create_task(here.client.json(f"{one}:{other.port}", "GET", PATH)) for one in names
            ]
            await all_there.wait()
            go_on.release()
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            for _ in names[1:]:
                go_on.release()
            assert await asyncio.gather(*asking) == [{}] * 4
            assert here.connections.pools == 1


async def test_a_slash_at_the_end_where_it_is_wanted(here: World, other: Peer) -> None:
    async def old(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/"):
            return web.json_response({"found": True})
        return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "?"}, status=400)

    other.answer = old
    query = [("a", "b")]
    assert await here.client.json(name(other), "PUT", "/x", query=query, slash=True) == {"found": True}
    assert [asked.uri for asked in other.asked] == ["/x?a=b", "/x/?a=b"]
    assert [uri for _, uri, _, _ in here.signed] == ["/x?a=b", "/x/?a=b"]
    with pytest.raises(ServerError):
        await here.client.json(name(other), "PUT", "/x")
    assert len(other.asked) == 3


@pytest.mark.parametrize(("status", "errcode"), [(404, "M_UNRECOGNIZED"), (400, "M_BAD_JSON")])
async def test_no_slash_after_other_errors(here: World, other: Peer, status: int, errcode: str) -> None:
    other.answer = answering(orjson.dumps({"errcode": errcode}), status)
    with pytest.raises(ServerError):
        await here.client.json(name(other), "PUT", "/x", slash=True)
    assert len(other.asked) == 1


async def sleep(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.json_response({})


async def test_the_whole_time(here: World, other: Peer) -> None:
    other.answer = sleep
    with pytest.raises(ServerTimedOut, match="whole"):
        await here.client.json(name(other), "GET", PATH, times=Times(whole_s=0.2))


async def test_an_answer_that_only_drips_takes_the_whole_time(here: World, other: Peer) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    other.answer = drip
    with pytest.raises(ServerTimedOut, match="whole"):
        await here.client.json(name(other), "GET", PATH, times=Times(whole_s=0.4, idle_s=5))


async def test_a_silent_server(here: World, other: Peer) -> None:
    async def stop(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.sleep(30)
        return response

    for answer in (sleep, stop):
        other.answer = answer
        with pytest.raises(ServerTimedOut, match=r"silent|within 0\.2 s"):
            await here.client.json(name(other), "GET", PATH, times=Times(whole_s=20, idle_s=0.2))


async def test_a_server_that_takes_connections_and_says_nothing(here: World) -> None:
    async with raw_web() as mute:
        mute.mute = True
        times = Times(whole_s=20, connect_s=0.2)
        with pytest.raises(ServerUnreachable, match="in time"):
            await here.client.json(f"a.example:{mute.port}", "GET", PATH, times=times)


async def test_time_outs_of_the_caller_are_the_callers(here: World, other: Peer) -> None:
    with pytest.raises(TimeoutError):
        async with here.client.request(name(other), "GET", PATH, limit=10):
            raise TimeoutError
    assert await here.client.json(name(other), "GET", PATH) == {}


async def test_requests_that_are_cancelled_leave_nothing(tmp_path: Path) -> None:
    async with (
        world(tmp_path, at_once=1, per_destination=1) as here,
        peer(here.authority.serving("a.example")) as other,
    ):
        other.answer = sleep
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await here.client.json(name(other), "GET", PATH)
        other.answer = None
        assert await here.client.json(name(other), "GET", PATH) == {}
