"""Looking up hosts and services, at a DNS server on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.net.dns import (
    ABSENCE_KEPT_S,
    FAILURE_KEPT_S,
    GIVEN_UP_S,
    KEPT_S,
    NO_ADDRESS_KEPT_S,
    Dns,
    HostUnknown,
    LookupFailed,
    Service,
)
from palpo.net.hosts import Hosts, parse_hosts
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import FakeClock
from tests.support.dns_server import DnsServer, dns_server
from tests.support.process import free_port


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hosts_file(tmp_path: Path) -> Path:
    return tmp_path / "hosts"


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def dns(server: DnsServer, clock: FakeClock, hosts_file: Path) -> Dns:
    hosts = Hosts({"HS2": "127.0.1.2:8448", "six.example": "[2001:db8::6]"}, hosts_file)
    return Dns(hosts, clock, CacheBudget(), timeout_s=2, servers=[("127.0.0.1", server.port)])


async def test_both_kinds_of_addresses_in_turn(dns: Dns, server: DnsServer) -> None:
    server.add("a.example", "A", "192.0.2.1", "192.0.2.2")
    server.add("a.example", "AAAA", "2001:db8::1")
    first, *others = await dns.addresses("A.example.")
    assert (first, sorted(others)) == ("2001:db8::1", ["192.0.2.1", "192.0.2.2"])


async def test_one_kind_is_enough(dns: Dns, server: DnsServer) -> None:
    server.add("four.example", "A", "192.0.2.1")
    server.add("six.example.org", "AAAA", "2001:db8::1")
    assert await dns.addresses("four.example") == ("192.0.2.1",)
    assert await dns.addresses("six.example.org") == ("2001:db8::1",)


async def test_a_name_that_stands_for_another(dns: Dns, server: DnsServer) -> None:
    server.add("a.example", "CNAME", "b.example.")
    server.add("b.example", "CNAME", "c.example.")
    server.add("c.example", "A", "192.0.2.3")
    assert await dns.addresses("a.example") == ("192.0.2.3",)


async def test_cname_loops_end(dns: Dns, server: DnsServer) -> None:
    server.add("a.example", "CNAME", "b.example.")
    server.add("b.example", "CNAME", "a.example.")
    with pytest.raises(LookupFailed):
        await dns.addresses("a.example")
    with pytest.raises(LookupFailed):
        await dns.services("a.example")
    assert len(server.questions) <= 6


async def test_addresses_are_their_own(dns: Dns, server: DnsServer) -> None:
    assert await dns.addresses("192.0.2.9") == ("192.0.2.9",)
    assert await dns.addresses("2001:db8::9") == ("2001:db8::9",)
    assert server.questions == []


@pytest.mark.parametrize("name", ["127.1", "2130706433", "0x7f000001"])
async def test_what_only_looks_like_an_address_is_a_name(dns: Dns, server: DnsServer, name: str) -> None:
    with pytest.raises(HostUnknown):
        await dns.addresses(name)
    assert server.asked(name, "A") == 1


@pytest.mark.parametrize("name", ["nowhere.example", "a..b", "x" * 64, "." * 3, "-" + "a." * 150])
async def test_hosts_that_are_not_there(dns: Dns, name: str) -> None:
    with pytest.raises(HostUnknown):
        await dns.addresses(name)
    assert await dns.services(f"_matrix._tcp.{name}") == ()


async def test_many_addresses_are_cut(dns: Dns, server: DnsServer) -> None:
    server.add("many.example", "A", *(f"192.0.2.{number}" for number in range(1, 200)))
    server.add("many.example", "AAAA", *(f"2001:db8::{number}" for number in range(1, 100)))
    assert len(await dns.addresses("many.example")) == 4
    assert server.by_tcp == 2


async def test_services_by_priority(dns: Dns, server: DnsServer) -> None:
    server.add("_matrix._tcp.a.example", "SRV", "20 0 443 B.example.", "10 5 8448 c.example.")
    found = await dns.services("_matrix._tcp.a.example")
    assert found == (Service(10, 5, 8448, "c.example"), Service(20, 0, 443, "b.example"))


async def test_many_services_are_cut_to_the_best(dns: Dns, server: DnsServer) -> None:
    texts = [f"{number} 0 1 t{number}.example." for number in range(200, 0, -1)]
    server.add("_matrix._tcp.a.example", "SRV", *texts)
    found = await dns.services("_matrix._tcp.a.example")
    assert [service.priority for service in found] == list(range(1, 33))


async def test_a_long_answer_comes_by_tcp(dns: Dns, server: DnsServer) -> None:
    server.long.add("a.example")
    server.add("a.example", "A", "192.0.2.1")
    assert await dns.addresses("a.example") == ("192.0.2.1",)
    assert server.by_tcp == 2


async def test_an_answer_is_kept_for_its_ttl(dns: Dns, server: DnsServer, clock: FakeClock) -> None:
    server.add("a.example", "A", "192.0.2.1", ttl=100)
    for _ in range(3):
        await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 1
    clock.advance(99_000)
    await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 1
    server.add("a.example", "A", "192.0.2.2")
    clock.advance(1_000)
    assert await dns.addresses("a.example") == ("192.0.2.2",)


@pytest.mark.parametrize(("ttl", "kept_s"), [(0, KEPT_S[0]), (1_000_000, KEPT_S[1])])
async def test_the_ttl_is_bounded(
    dns: Dns, server: DnsServer, clock: FakeClock, ttl: int, kept_s: int
) -> None:
    server.add("a.example", "A", "192.0.2.1", ttl=ttl)
    await dns.addresses("a.example")
    clock.advance(kept_s * 1000 - 1)
    await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 1
    clock.advance(1)
    await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 2


@pytest.mark.parametrize(("ttl", "kept_s"), [(0, ABSENCE_KEPT_S[0]), (60, 60), (90_000, ABSENCE_KEPT_S[1])])
@pytest.mark.parametrize("known", [True, False])
async def test_absence_is_kept(
    dns: Dns, server: DnsServer, clock: FakeClock, ttl: int, kept_s: int, known: bool
) -> None:
    server.negative_ttl = ttl
    if known:
        server.add("a.example", "TXT", "x")
    for _ in range(2):
        assert await dns.services("a.example") == ()
    clock.advance(kept_s * 1000 - 1)
    await dns.services("a.example")
    assert server.asked("a.example", "SRV") == 1
    clock.advance(1)
    await dns.services("a.example")
    assert server.asked("a.example", "SRV") == 2


async def test_a_host_that_has_an_address_again_is_found_soon(
    dns: Dns, server: DnsServer, clock: FakeClock
) -> None:
    server.negative_ttl = 90_000
    for _ in range(2):
        with pytest.raises(HostUnknown):
            await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 1
    server.add("a.example", "A", "192.0.2.1")
    clock.advance(NO_ADDRESS_KEPT_S[1] * 1000)
    assert await dns.addresses("a.example") == ("192.0.2.1",)


async def test_a_failure_is_none_and_is_kept_for_a_moment(
    dns: Dns, server: DnsServer, clock: FakeClock
) -> None:
    server.fails.add("a.example")
    for _ in range(2):
        with pytest.raises(LookupFailed):
            await dns.addresses("a.example")
    assert server.asked("a.example", "A") == 1
    server.fails.clear()
    server.add("a.example", "A", "192.0.2.1")
    clock.advance(FAILURE_KEPT_S * 1000)
    assert await dns.addresses("a.example") == ("192.0.2.1",)


async def test_a_server_that_says_nothing(server: DnsServer, clock: FakeClock, hosts_file: Path) -> None:
    server.silent.add("a.example")
    servers = [("127.0.0.1", server.port)]
    dns = Dns(Hosts({}, hosts_file), clock, CacheBudget(), timeout_s=0.3, servers=servers)
    async with asyncio.timeout(5):
        with pytest.raises(LookupFailed):
            await dns.addresses("a.example")


async def test_that_no_server_is_there_is_known_at_once(clock: FakeClock, hosts_file: Path) -> None:
    servers = [("127.0.0.1", free_port()), ("::1", free_port())]
    dns = Dns(Hosts({}, hosts_file), clock, CacheBudget(), timeout_s=600, servers=servers)
    async with asyncio.timeout(60):
        with pytest.raises(LookupFailed):
            await dns.addresses("a.example")


async def test_who_gives_up_late_has_seen_a_failure(
    server: DnsServer, clock: FakeClock, hosts_file: Path
) -> None:
    server.silent.add("a.example")
    servers = [("127.0.0.1", server.port)]
    dns = Dns(Hosts({}, hosts_file), clock, CacheBudget(), timeout_s=60, servers=servers)
    for late in (False, True):
        asking = asyncio.create_task(dns.services("a.example"))
        await asyncio.sleep(0.05)
        clock.advance(late * GIVEN_UP_S * 1000)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(5):
        with pytest.raises(LookupFailed):
            await dns.services("a.example")


async def test_many_who_want_the_same_ask_once(dns: Dns, server: DnsServer) -> None:
    server.add("a.example", "A", "192.0.2.1")
    await asyncio.gather(*(dns.addresses("a.example") for _ in range(50)))
    assert len(server.questions) == 2


async def test_who_gives_up_spoils_it_for_nobody(dns: Dns, server: DnsServer) -> None:
    server.add("a.example", "A", "192.0.2.1")
    first = asyncio.create_task(dns.addresses("a.example"))
    second = asyncio.create_task(dns.addresses("a.example"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ("192.0.2.1",)


async def test_what_is_kept_has_a_bound(server: DnsServer, clock: FakeClock, hosts_file: Path) -> None:
    budget = CacheBudget(100_000)
    servers = [("127.0.0.1", server.port)]
    dns = Dns(Hosts({}, hosts_file), clock, budget, servers=servers)
    for number in range(100):
        await dns.services(f"_matrix._tcp.n{number}.example")
    assert 0 < budget.bytes <= 5_000


async def test_the_configuration_comes_first(dns: Dns, server: DnsServer, hosts_file: Path) -> None:
    write(hosts_file, "192.0.2.77 hs2\n")
    assert await dns.addresses("hs2") == ("127.0.1.2",)
    assert await dns.addresses("Six.example.") == ("2001:db8::6",)
    assert server.questions == []


async def test_the_hosts_file_comes_second(dns: Dns, server: DnsServer, hosts_file: Path) -> None:
    server.add("hs3", "A", "192.0.2.1")
    write(hosts_file, "127.0.1.3 HS3 other # hs4\n")
    assert await dns.addresses("hs3") == ("127.0.1.3",)
    assert await dns.addresses("localhost") == ("::1", "127.0.0.1")
    write(hosts_file, "127.0.1.33 hs3 hs4\n")
    assert await dns.addresses("hs3") == ("127.0.1.33",)
    write(hosts_file, "")
    assert await dns.addresses("hs3") == ("192.0.2.1",)


def test_hosts_files() -> None:
    text = "127.0.0.1\tlocalhost\n::1 localhost ip6\n#1.2.3.4 no\n\nnonsense x\n1.2.3.4\n\n\n"
    assert parse_hosts(text) == {"localhost": ("127.0.0.1", "::1"), "ip6": ("::1",)}


async def test_the_systems_servers(
    clock: FakeClock, hosts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "resolv.conf"
    monkeypatch.setattr("palpo.net.dns.RESOLV_CONF", conf)
    dns = Dns(Hosts({}, hosts_file), clock, CacheBudget(), timeout_s=0.3)
    assert dns._resolvers.current().nameservers == ["127.0.0.1"]
    write(conf, "nameserver 192.0.2.53\nsearch corp.example\n")
    assert [str(one) for one in dns._resolvers.current().nameservers] == ["192.0.2.53"]
