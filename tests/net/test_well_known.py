"""``/.well-known/matrix/server`` of others, over TLS on the loopback interface."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.net.addresses import AddressPolicy
from palpo.net.dns import Dns
from palpo.net.hosts import Hosts
from palpo.net.http_client import HttpClient
from palpo.net.resolvers import DnsResolver
from palpo.net.tls import federation_tls
from palpo.net.well_known import WellKnown, lifetime_s
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import FakeClock
from tests.support.authority import Authority
from tests.support.dns_server import DnsServer, dns_server
from tests.support.web import Web, web

PATH = "/.well-known/matrix/server"
KIB_50 = 50 * 1024
HOUR_MS = 3_600_000
ANSWER = b'{"m.server": "matrix.a.example:443"}'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Web]:
    async with web(tls=authority.serving("a.example")) as running:
        yield running


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server() as running:
        running.add("a.example", "A", "127.0.0.1")
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def well_known(
    site: Web, server: DnsServer, clock: FakeClock, authority: Authority, tmp_path: Path
) -> AsyncIterator[WellKnown]:
    caches = CacheBudget()
    hosts = Hosts({"placed.example": "127.0.0.1"}, tmp_path / "hosts")
    http = HttpClient(
        AddressPolicy(allow=["127.0.0.1/32"]),
        user_agent="test/1",
        tls=federation_tls(authority.file),
        resolver=DnsResolver(Dns(hosts, clock, caches, servers=[("127.0.0.1", server.port)])),
        schemes=("https",),
    )
    yield WellKnown(http, clock, caches, port=site.port)
    await http.close()


async def asks(well_known: WellKnown) -> str | None:
    return (await well_known.delegation("a.example")).server


async def test_an_answer(site: Web, well_known: WellKnown) -> None:
    site.page(PATH, ANSWER, "text/plain")
    assert await asks(well_known) == "matrix.a.example:443"
    assert await asks(well_known) == "matrix.a.example:443"
    assert (await well_known.delegation("A.Example")).note == ""
    assert site.requests == [PATH]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"m.server": 1}',
        b'{"m.server": ""}',
        b'{"m.server": "a b"}',
        b'{"m.server": "https://a.example"}',
        b'{"m.server": "a.example:99999"}',
        b'{"m.server": "\\ud800"}',
        b"\xff",
        b'{"m.server": "' + b"a" * 300 + b'"}',
        b"[" * 40_000,
        gzip.compress(ANSWER, mtime=0),
    ],
)
async def test_answers_of_no_use(site: Web, well_known: WellKnown, body: bytes) -> None:
    site.page(PATH, body)
    found = await well_known.delegation("a.example")
    assert found.server is None
    assert found.note


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "206 Part", "201 Created"])
async def test_other_statuses(site: Web, well_known: WellKnown, status: str) -> None:
    site.page(PATH, ANSWER, status=status)
    assert await well_known.delegation("a.example") == (None, f"status {status[:3]}")


async def test_well_known_over_50_kib(site: Web, well_known: WellKnown, clock: FakeClock) -> None:
    site.page(PATH, ANSWER.ljust(KIB_50 + 1))
    found = await well_known.delegation("a.example")
    assert found.server is None
    assert "ResponseTooLarge" in found.note
    site.page(PATH, ANSWER.ljust(KIB_50))
    clock.advance(HOUR_MS)
    assert await asks(well_known) == "matrix.a.example:443"


async def test_well_known_over_50_kib_in_chunks(site: Web, well_known: WellKnown) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    site.answers[PATH] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4
    assert "ResponseTooLarge" in (await well_known.delegation("a.example")).note


async def test_redirects_are_followed(site: Web, well_known: WellKnown) -> None:
    site.redirect(PATH, "/b")
    site.redirect("/b", site.url("/c", "a.example"))
    site.page("/c", ANSWER)
    assert await asks(well_known) == "matrix.a.example:443"


async def test_redirect_loops_end(site: Web, well_known: WellKnown) -> None:
    site.redirect(PATH, PATH)
    assert "TooManyRedirects" in (await well_known.delegation("a.example")).note
    assert len(site.requests) == 6


@pytest.mark.parametrize("host", ["127.0.0.2", "inside.example", "[::1]", "2130706433", "127.1"])
async def test_well_known_redirects_are_held_to_the_address_policy(
    site: Web, server: DnsServer, well_known: WellKnown, host: str
) -> None:
    server.add("inside.example", "A", "127.0.0.2")
    server.add("2130706433", "A", "127.0.0.2")
    server.add("127.1", "A", "127.0.0.2")
    async with web(host="127.0.0.2", port=site.port) as inside:
        site.redirect(PATH, f"https://{host}:{site.port}/secret")
        assert await asks(well_known) is None
        assert inside.connections == 0


async def test_redirects_to_no_tls_are_not_followed(site: Web, well_known: WellKnown) -> None:
    async with web() as plain:
        plain.page("/", ANSWER)
        site.redirect(PATH, plain.url("/"))
        assert "BadUrl" in (await well_known.delegation("a.example")).note
        assert plain.requests == []


async def test_well_known_hosts_are_held_to_the_address_policy(
    site: Web, server: DnsServer, well_known: WellKnown
) -> None:
    server.add("b.example", "A", "127.0.0.2")
    async with web(host="127.0.0.2", port=site.port) as inside:
        assert (await well_known.delegation("b.example")).server is None
        assert inside.connections == 0


async def test_the_certificate_is_for_the_host(site: Web, server: DnsServer, well_known: WellKnown) -> None:
    site.page(PATH, ANSWER)
    server.add("b.example", "A", "127.0.0.1")
    found = await well_known.delegation("b.example")
    assert found.server is None
    assert "certificate" in found.note
    assert site.requests == []


async def test_hosts_of_the_configuration(site: Web, well_known: WellKnown) -> None:
    assert "certificate" in (await well_known.delegation("placed.example")).note


@pytest.mark.parametrize("host", [".", "..", "-", "a..b", "x" * 255, "127.1", "4294967295"])
async def test_odd_hosts(well_known: WellKnown, host: str) -> None:
    assert (await well_known.delegation(host)).server is None


async def test_many_who_want_the_same_ask_once(site: Web, well_known: WellKnown) -> None:
    site.page(PATH, ANSWER)
    await asyncio.gather(*(asks(well_known) for _ in range(20)))
    assert site.requests == [PATH]


async def test_failures_are_asked_for_again_after_longer_and_longer(
    site: Web, well_known: WellKnown, clock: FakeClock
) -> None:
    for pause_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        assert await asks(well_known) is None
        count = len(site.requests)
        clock.advance(pause_s * 1000 - 1)
        assert await asks(well_known) is None
        assert len(site.requests) == count
        clock.advance(1)
    site.page(PATH, ANSWER)
    assert await asks(well_known) == "matrix.a.example:443"


async def test_who_gives_up_late_has_seen_a_failure(
    site: Web, well_known: WellKnown, clock: FakeClock
) -> None:
    site.hang.add(PATH)
    for late in (False, True):
        asking = asyncio.create_task(asks(well_known))
        await asyncio.sleep(0.05)
        clock.advance(late * 3000)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert (await well_known.delegation("a.example")).note == "no answer in time"


async def test_an_answer_is_kept_for_a_day(site: Web, well_known: WellKnown, clock: FakeClock) -> None:
    site.page(PATH, ANSWER)
    await asks(well_known)
    clock.advance(24 * HOUR_MS - 1)
    await asks(well_known)
    assert len(site.requests) == 1
    clock.advance(1)
    await asks(well_known)
    assert len(site.requests) == 2


async def test_an_old_answer_holds_while_the_server_is_down(
    site: Web, well_known: WellKnown, clock: FakeClock
) -> None:
    site.page(PATH, ANSWER)
    await asks(well_known)
    site.page(PATH, b"", status="503 Down")
    for _ in range(24):
        clock.advance(2 * HOUR_MS - 1)
        assert await asks(well_known) == "matrix.a.example:443"
    assert "status 503" in (await well_known.delegation("a.example")).note
    clock.advance(HOUR_MS)
    assert await asks(well_known) is None


async def test_an_old_answer_goes_when_there_is_none_any_more(
    site: Web, well_known: WellKnown, clock: FakeClock
) -> None:
    site.page(PATH, ANSWER)
    await asks(well_known)
    del site.answers[PATH]
    clock.advance(24 * HOUR_MS)
    assert await asks(well_known) is None


@pytest.mark.parametrize(
    ("headers", "hours"),
    [
        ({}, 24),
        ({"Cache-Control": "max-age=7200"}, 2),
        ({"Cache-Control": "public, Max-Age = 7200, x"}, 2),
        ({"Cache-Control": "max-age=999999999"}, 48),
        ({"Cache-Control": "max-age=" + "9" * 5000}, 24),
        ({"Cache-Control": "max-age=0"}, 1 / 12),
        ({"Cache-Control": "no-store, max-age=7200"}, 1 / 12),
        ({"Cache-Control": "no-cache"}, 1 / 12),
        ({"Cache-Control": "s-max-age=1, x-no-store"}, 24),
        ({"Cache-Control": "max-age=x"}, 24),
        ({"Cache-Control": "max-age=7200", "Expires": "0"}, 2),
        ({"Expires": "Tue, 14 Nov 2023 23:13:20 GMT"}, 1),
        ({"Expires": "Tue, 14 Nov 2022 23:13:20 GMT"}, 1 / 12),
        ({"Expires": "Tue, 14 Nov 9999 23:13:20 GMT"}, 48),
        ({"Expires": "0"}, 1 / 12),
        ({"Expires": "Tue, 99 Nov 99999999 23:13:20 GMT"}, 1 / 12),
    ],
)
def test_how_long_an_answer_is_good(headers: dict[str, str], hours: float) -> None:
    assert lifetime_s(headers, 1_700_000_000) == hours * 3600
