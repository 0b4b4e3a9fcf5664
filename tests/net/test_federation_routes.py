"""Servers that are found and spoken to, over TLS and a DNS server on the loopback interface."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from palpo.net.federation_errors import ServerNotFound, ServerUnreachable
from palpo.streams.caches import CacheBudget
from tests.support.federation import PATH, World, peer, world


async def test_delegation_by_well_known(here: World) -> None:
    here.dns.add("matrix.a.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("matrix.a.example")) as other:
        here.delegate(f"matrix.a.example:{other.port}")
        await here.client.json("a.example", "GET", PATH)
        assert other.asked[0].headers["Host"] == f"matrix.a.example:{other.port}"
        assert here.signed[0][2] == "a.example"


@pytest.mark.parametrize("delegated", [True, False])
async def test_service_records(here: World, delegated: bool) -> None:
    owner = "matrix.a.example" if delegated else "a.example"
    if delegated:
        here.delegate(owner)
    here.dns.add("t.example", "A", "127.0.0.1")
    async with peer(here.authority.serving(owner)) as other:
        here.dns.add(f"_matrix-fed._tcp.{owner}", "SRV", f"1 1 {other.port} t.example.")
        await here.client.json("a.example", "GET", PATH)
        assert other.asked[0].headers["Host"] == owner


async def test_without_caches(tmp_path: Path) -> None:
    async with (
        world(tmp_path, caches=CacheBudget(0)) as here,
        peer(here.authority.serving("b.example")) as other,
    ):
        here.dns.add("b.example", "A", "127.0.0.1")
        here.delegate("b.example")
        here.dns.add("_matrix-fed._tcp.b.example", "SRV", f"1 1 {other.port} b.example.")
        found = await asyncio.gather(*(here.client.json("a.example", "GET", PATH) for _ in range(5)))
        assert found == [{}] * 5


async def test_service_records_that_lead_nowhere_are_passed(here: World) -> None:
    here.dns.add("t.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("a.example")) as other:
        ports = ["1 1 1 t.example.", f"2 1 {other.port} nowhere.example.", f"3 1 {other.port} t.example."]
        here.dns.add("_matrix-fed._tcp.a.example", "SRV", *ports)
        await here.client.json("a.example", "GET", PATH)
        assert len(other.asked) == 1


async def test_addresses_that_lead_nowhere_are_passed(here: World) -> None:
    here.dns.add("b.example", "A", "127.0.0.9", "127.0.0.1")
    here.dns.add("b.example", "AAAA", "::1")
    async with peer(here.authority.serving("b.example")) as other:
        await here.client.json(f"b.example:{other.port}", "GET", PATH)
        assert len(other.asked) == 1


async def test_ip_literals(here: World) -> None:
    async with peer(here.authority.serving("127.0.0.1")) as other:
        await here.client.json(f"127.0.0.1:{other.port}", "GET", PATH)
        assert other.asked[0].headers["Host"] == f"127.0.0.1:{other.port}"


async def test_ipv6_literals(tmp_path: Path) -> None:
    async with world(tmp_path, allow=["::1/128"]) as here:
        try:
            async with peer(here.authority.serving("::1"), host="::1") as other:
                await here.client.json(f"[::1]:{other.port}", "GET", PATH)
                assert other.asked[0].headers["Host"] == f"[::1]:{other.port}"
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")


async def test_hosts_of_the_configuration(tmp_path: Path, unused_tcp_port: int) -> None:
    async with (
        world(tmp_path, hosts={"hs2": f"127.0.0.1:{unused_tcp_port}"}) as here,
        peer(here.authority.serving("hs2"), port=unused_tcp_port) as other,
    ):
        await here.client.json("hs2", "GET", PATH)
        await here.client.json(f"hs2:{unused_tcp_port}", "GET", PATH)
        assert [asked.headers["Host"] for asked in other.asked] == ["hs2", f"hs2:{unused_tcp_port}"]
        assert here.dns.questions == []


async def test_a_server_with_http_2_is_spoken_to_by_http_1(here: World) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        versions.append(scope.get("http_version"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    versions: list[str] = []
    config = Config()
    config.certfile, config.keyfile = map(str, here.authority.files("a.example"))
    config.alpn_protocols = ["h2", "http/1.1"]
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config.bind = [f"fd://{listening.detach()}"]
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    assert await here.client.json(f"a.example:{port}", "GET", PATH) == {}
    stop.set()
    await serving
    assert versions[-1] == "1.1"


@pytest.mark.parametrize("server", ["", "a b", "a/b", "a.example:x", "user@a.example", "a.example:80:80"])
async def test_what_is_no_server_name(here: World, server: str) -> None:
    with pytest.raises(ServerNotFound):
        await here.client.json(server, "GET", PATH)


@pytest.mark.parametrize("server", [".", "..", "-", "a..b", "x" * 255, "a" * 64 + ".example:1", "0", "1.2.3"])
async def test_odd_server_names(here: World, server: str) -> None:
    with pytest.raises((ServerNotFound, ServerUnreachable)):
        await here.client.json(server, "GET", PATH)


async def test_a_server_that_is_not_there(here: World) -> None:
    with pytest.raises(ServerNotFound, match=r"nowhere\.example has no address"):
        await here.client.json("nowhere.example", "GET", PATH)


async def test_srv_with_target_dot_says_that_the_server_is_nowhere(here: World) -> None:
    here.dns.add("_matrix-fed._tcp.a.example", "SRV", "0 0 0 .")
    with pytest.raises(ServerNotFound):
        await here.client.json("a.example", "GET", PATH)


async def test_a_cname_loop_is_a_failure(here: World) -> None:
    here.dns.add("b.example", "CNAME", "c.example.")
    here.dns.add("c.example", "CNAME", "b.example.")
    with pytest.raises(ServerUnreachable):
        await here.client.json("b.example:8448", "GET", PATH)


async def test_nobody_listens(here: World, unused_tcp_port: int) -> None:
    with pytest.raises(ServerUnreachable):
        await here.client.json(f"a.example:{unused_tcp_port}", "GET", PATH)
