"""Requests to addresses that others chose."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import (
    BadUrl,
    HttpClient,
    ResponseTooLarge,
    TimedOut,
    TooManyRedirects,
    Unreachable,
)
from tests.support.web import Web, web


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    async with web() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient(AddressPolicy(allow=["127.0.0.1/32"]), user_agent="test/1")
    yield made
    await made.close()


async def fetch(client: HttpClient, url: str, *, redirects: int = 3, limit: int = 1000) -> bytes:
    async with client.request("GET", url, timeout_s=5, redirects=redirects) as response:
        return await response.read(limit)


async def test_an_allowed_address(site: Web, client: HttpClient) -> None:
    site.page("/", b"hello", "Text/HTML; charset=x")
    async with client.request("GET", site.url("/"), headers={"X-A": "b"}, timeout_s=5) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert await response.read(5) == b"hello"
    assert "User-Agent: test/1" in site.heads[0]
    assert "X-A: b" in site.heads[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"])
async def test_refused_addresses_get_no_connection(site: Web, host: str) -> None:
    client = HttpClient(AddressPolicy(), user_agent="test/1")
    site.page("/", b"secret")
    try:
        with pytest.raises((Unreachable, BadUrl)):
            await fetch(client, site.url("/", host))
    finally:
        await client.close()
    assert site.requests == []


async def test_slow_look_ups_hold_up_no_other_threads(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def look_up(*arguments: Any, **options: Any) -> Any:
        answer.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "No such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    slow = [asyncio.create_task(fetch(client, f"http://n{number}.example/")) for number in range(20)]
    try:
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            assert await asyncio.to_thread(lambda: "done") == "done"
    finally:
        answer.set()
    outcomes = await asyncio.gather(*slow, return_exceptions=True)
    assert all(isinstance(outcome, Unreachable) for outcome in outcomes)


async def test_a_redirect_is_held_to_the_policy(site: Web, client: HttpClient) -> None:
    site.redirect("/", site.url("/secret", "127.0.0.2"))
    with pytest.raises(Unreachable):
        await fetch(client, site.url("/"))
    site.redirect("/", "file:///etc/passwd")
    with pytest.raises(BadUrl):
        await fetch(client, site.url("/"))
    assert site.requests == ["/", "/"]


async def test_redirects_are_followed_and_counted(site: Web, client: HttpClient) -> None:
    site.redirect("/a", "/b")
    site.redirect("/b", "c?d#e")
    site.page("/c?d", b"there")
    assert await fetch(client, site.url("/a"), redirects=2) == b"there"
    with pytest.raises(TooManyRedirects):
        await fetch(client, site.url("/a"), redirects=1)
    async with client.request("GET", site.url("/a"), timeout_s=5) as response:
        assert response.status == 302


async def test_credentials_stay_behind_at_a_redirect(site: Web, client: HttpClient) -> None:
    site.redirect("/a", "/b")
    site.page("/b", b"")
    headers = {"Authorization": "secret", "X-Kept": "yes"}
    async with client.request("GET", site.url("/a"), headers=headers, timeout_s=5, redirects=1):
        pass
    assert "secret" in site.heads[0]
    assert "secret" not in site.heads[1]
    assert "X-Kept" in site.heads[1]


async def test_a_body_over_the_limit(site: Web, client: HttpClient) -> None:
    site.page("/", b"x" * 1001)
    site.answers["/chunked"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1f4\r\n" + b"x" * 500 + b"\r\n") * 3
    )
    for path in ("/", "/chunked"):
        with pytest.raises(ResponseTooLarge):
            await fetch(client, site.url(path))
    async with client.request("GET", site.url("/"), timeout_s=5) as response:
        assert await response.read_start(10) == b"x" * 10


async def test_a_server_that_says_nothing(site: Web, client: HttpClient) -> None:
    site.hang.add("/")
    with pytest.raises(TimedOut):
        async with client.request("GET", site.url("/"), timeout_s=0.2) as response:
            await response.read(100)


async def test_errors_do_not_repeat_secrets(site: Web, client: HttpClient) -> None:
    path = "/quiet?access_token=secret"
    site.hang.add(path)
    with pytest.raises(TimedOut, match=r"/quiet$"):
        async with client.request("GET", site.url(path), timeout_s=0.2) as response:
            await response.read(100)
    path = "/again?access_token=secret"
    site.redirect(path, site.url(path))
    with pytest.raises(TooManyRedirects, match=r"/again$"):
        await fetch(client, site.url(path))
    with pytest.raises(BadUrl) as refused:
        await fetch(client, "http://user:secret@127.0.0.1/")
    assert str(refused.value) == "http://127.0.0.1/"


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://a:b@127.0.0.1/", "nothing", "http://[::1/"])
async def test_urls_that_are_not_requested(client: HttpClient, url: str) -> None:
    with pytest.raises(BadUrl):
        await fetch(client, url)


async def test_nobody_listens(client: HttpClient) -> None:
    with pytest.raises(Unreachable):
        await fetch(client, "http://127.0.0.1:1/")
