"""What must not be spoken to, and what it must prove."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core.server_names import ServerNameRules
from palpo.net.connections import Times
from palpo.net.federation_errors import ServerError, ServerNotFound, ServerNotPermitted, ServerUnreachable
from tests.support.federation import PATH, Peer, World, answering, name, peer, world
from tests.support.web import web as raw_web


def address_of_the_inside(here: World, name: str = "inside.example") -> str:
    here.dns.add(name, "A", "127.0.0.2")
    return name


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[World]:
    """A client that may connect to 127.0.0.1 and no other address."""
    async with world(tmp_path, allow=["127.0.0.1/32"]) as made:
        yield made


@pytest.mark.parametrize(
    "name", ["inside.example", "127.0.0.2", "[::ffff:127.0.0.2]", "127.2", "2130706434", "localhost"]
)
async def test_ip_literals_and_names_are_held_to_the_address_policy(held: World, name: str) -> None:
    address_of_the_inside(held)
    address_of_the_inside(held, "127.2")
    address_of_the_inside(held, "2130706434")
    async with raw_web(host="127.0.0.2") as inside:
        with pytest.raises((ServerUnreachable, ServerNotFound)):
            await held.client.json(f"{name}:{inside.port}", "GET", PATH)
        assert inside.connections == 0


@pytest.mark.parametrize("host", ["inside.example", "127.0.0.2"])
async def test_well_known_answers_are_held_to_the_address_policy(held: World, host: str) -> None:
    address_of_the_inside(held)
    async with raw_web(host="127.0.0.2") as inside:
        held.delegate(f"{host}:{inside.port}")
        with pytest.raises(ServerUnreachable, match="not an address to connect to"):
            await held.client.json("a.example", "GET", PATH)
        assert inside.connections == 0


@pytest.mark.parametrize("target", ["inside.example.", "127.0.0.2."])
async def test_srv_targets_are_held_to_the_address_policy(held: World, target: str) -> None:
    address_of_the_inside(held)
    async with raw_web(host="127.0.0.2") as inside:
        held.dns.add("_matrix-fed._tcp.a.example", "SRV", f"1 1 {inside.port} {target}")
        with pytest.raises(ServerUnreachable, match="not an address to connect to"):
            await held.client.json("a.example", "GET", PATH)
        assert inside.connections == 0


async def test_hosts_of_the_configuration_are_held_to_the_address_policy(tmp_path: Path) -> None:
    async with raw_web(host="127.0.0.2") as inside:
        places = {"hs2": f"127.0.0.2:{inside.port}"}
        async with world(tmp_path, hosts=places, allow=["127.0.0.1/32"]) as held:
            with pytest.raises(ServerUnreachable, match="not an address to connect to"):
                await held.client.json("hs2", "GET", PATH)
        assert inside.connections == 0


async def test_rebinding_what_was_checked_is_what_is_connected_to(held: World) -> None:
    """A name that leads here at first and then to the inside: each connection's own address is checked."""
    async with (
        peer(held.authority.serving("b.example")) as other,
        raw_web(host="127.0.0.2", port=other.port) as inside,
    ):
        held.dns.sequences["b.example", "A"] = ["127.0.0.1", "127.0.0.2", "127.0.0.2"]
        name = f"b.example:{other.port}"
        other.answer = answering(b"{}", headers={"Connection": "close"})
        await held.client.json(name, "GET", PATH)
        held.clock.advance(60_000)
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.2 is not an address to connect to"):
            await held.client.json(name, "GET", PATH)
        assert held.dns.asked("b.example", "A") == 2
        assert len(other.asked) == 1
        assert inside.connections == 0


async def test_redirects_are_not_followed(here: World, other: Peer) -> None:
    async with raw_web() as elsewhere:
        other.answer = answering(b"", 307, {"Location": elsewhere.url("/")})
        with pytest.raises(ServerError) as refused:
            await here.client.json(name(other), "GET", PATH)
        assert refused.value.status == 307
        assert elsewhere.connections == 0


async def test_the_certificate_is_for_the_server_that_was_named(here: World) -> None:
    here.dns.add("b.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("t.example")) as other:
        for server in (f"b.example:{other.port}", f"127.0.0.1:{other.port}"):
            with pytest.raises(ServerUnreachable, match="certificate"):
                await here.client.json(server, "GET", PATH)
        here.dns.add("t.example", "A", "127.0.0.1")
        here.dns.add("_matrix-fed._tcp.a.example", "SRV", f"1 1 {other.port} t.example.")
        with pytest.raises(ServerUnreachable, match="certificate"):
            await here.client.json("a.example", "GET", PATH)
        assert other.asked == []


async def test_a_connection_to_one_server_is_none_to_another_at_the_same_place(here: World) -> None:
    here.dns.add("b.example", "A", "127.0.0.1")
    here.dns.add("t.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("a.example")) as other:
        for owner in ("a.example", "b.example"):
            here.dns.add(f"_matrix-fed._tcp.{owner}", "SRV", f"1 1 {other.port} t.example.")
        await here.client.json("a.example", "GET", PATH)
        with pytest.raises(ServerUnreachable, match="certificate"):
            await here.client.json("b.example", "GET", PATH)
        assert len(other.asked) == 1


async def test_an_authority_that_is_not_trusted(here: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with world(tmp_path / "other") as strange, peer(strange.authority.serving("a.example")) as other:
        with pytest.raises(ServerUnreachable, match="certificate"):
            await here.client.json(name(other), "GET", PATH)


async def test_no_tls_is_no_answer(here: World) -> None:
    async with raw_web() as plain:
        times = Times(connect_s=0.3)
        with pytest.raises(ServerUnreachable):
            await here.client.json(f"a.example:{plain.port}", "GET", PATH, times=times)
        assert plain.requests == []


async def test_rules_of_the_configuration(tmp_path: Path) -> None:
    async with world(tmp_path, rules=ServerNameRules(deny=["a.*"])) as here:
        with pytest.raises(ServerNotPermitted):
            await here.client.json("a.example", "GET", PATH)
        assert here.dns.questions == []
        assert here.signed == []
