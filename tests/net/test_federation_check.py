"""What ``palpo federation check`` finds, over TLS and a DNS server on the loopback interface."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from palpo.core.server_names import ServerNameRules
from palpo.net.connections import Times
from palpo.net.federation_check import PROFILE, FederationCheck, Finding
from palpo.net.federation_client import Sign
from tests.support.federation import Peer, World, name, peer, world
from tests.support.key_servers import make_key, signed

VERSION = {"server": {"name": "Other", "version": "1.2"}}


def check_of(
    here: World, *, rules: ServerNameRules | None = None, sign: Sign | None = lambda *_: {"X-Signed": "yes"}
) -> FederationCheck:
    return FederationCheck(
        rules or ServerNameRules(),
        here.discovery,
        here.lookups,
        here.policy,
        here.connections,
        here.clock,
        Times(whole_s=30, connect_s=10, idle_s=20),
        sign,
    )


async def found(here: World, server: str, **options: Any) -> list[Finding]:
    return [finding async for finding in check_of(here, **options).look(server)]


def homeserver(
    server_name: str, *, status: int = 404, keys_of: str | None = None, version: Any = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A server's answers; ``status`` is that of whatever is signed."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/_matrix/federation/v1/version":
            return web.json_response(VERSION if version is None else version)
        if request.path == "/_matrix/key/v2/server":
            own = signed(keys_of or server_name, [make_key("1")], valid_until_ts=2_000_000_000_000)
            return web.json_response(own)
        assert request.path == PROFILE
        assert request.headers["X-Signed"] == "yes"
        return web.json_response({"error": "No\x1b[2Jbody"}, status=status)

    return answer


def texts(findings: list[Finding], good: bool | None) -> list[str]:
    return [finding.text for finding in findings if finding.good is good]


async def test_each_step_from_the_name_to_the_keys(here: World) -> None:
    here.dns.add("matrix.a.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("matrix.a.example")) as other:
        other.answer = homeserver("a.example")
        here.delegate(f"matrix.a.example:{other.port}")
        findings = await found(here, "a.example")
    assert texts(findings, None) == [
        f"well-known of a.example: matrix.a.example:{other.port}",
        f"matrix.a.example:{other.port} is a host and its port: matrix.a.example at port {other.port}",
        f"matrix.a.example at port {other.port}, where the certificate has to be for matrix.a.example",
    ]
    version, keys, signature, whole = texts(findings, True)
    assert version == "127.0.0.1: answers, as Other 1.2"
    assert keys.startswith("signs with ed25519:1, good until ")
    assert (signature, whole) == ("takes our signature", "a.example can be reached")
    assert texts(findings, False) == []


async def test_every_place_is_looked_at_and_one_will_do(here: World) -> None:
    here.dns.add("t.example", "A", "127.0.0.1")
    async with peer(here.authority.serving("a.example")) as other:
        other.answer = homeserver("a.example")
        records = ["1 1 8448 nowhere.example.", f"2 1 {other.port} t.example."]
        here.dns.add("_matrix-fed._tcp.a.example", "SRV", *records)
        findings = await found(here, "a.example")
    assert texts(findings, False) == ["no address: nowhere.example has no address"]
    assert findings[-1] == Finding("a.example can be reached", True)


async def test_addresses_that_are_not_permitted(tmp_path: Path) -> None:
    async with (
        world(tmp_path, allow=["127.0.0.1/32"]) as here,
        peer(here.authority.serving("a.example"), host="127.0.0.2") as other,
    ):
        here.dns.add("inside.example", "A", "127.0.0.2")
        findings = await found(here, f"inside.example:{other.port}")
        assert "127.0.0.2: not connected to, by network.allow and network.deny" in texts(findings, False)
        assert findings[-1].good is False
        assert other.asked == []


async def test_a_certificate_for_another_name(here: World) -> None:
    async with peer(here.authority.serving("b.example")) as other:
        findings = await found(here, f"a.example:{other.port}")
    refused, whole = texts(findings, False)
    assert "certificate is not valid for 'a.example'" in refused
    assert whole == f"a.example:{other.port} cannot be reached"


async def test_why_there_is_no_well_known_file(tmp_path: Path) -> None:
    async with world(tmp_path, allow=["127.0.0.9/32"]) as here:
        refused = (await found(here, "a.example"))[0].text
        unknown = (await found(here, "none.example"))[0].text
    assert refused.endswith("a.example: 127.0.0.1 is not an address to connect to")
    assert unknown.endswith("none.example: none.example has no address")


async def test_nobody_listens(here: World, unused_tcp_port: int) -> None:
    findings = await found(here, f"a.example:{unused_tcp_port}")
    assert findings[-2].text.startswith("127.0.0.1: ")
    assert [finding.good for finding in findings[-2:]] == [False, False]


async def test_keys_of_another_server(here: World, other: Peer) -> None:
    other.answer = homeserver(name(other), keys_of="b.example")
    findings = await found(here, name(other))
    assert f"its keys cannot be had: Not the keys of {name(other)}" in texts(findings, False)
    assert findings[-1].good is False


@pytest.mark.parametrize(
    ("status", "good", "text"),
    [
        (200, True, "takes our signature"),
        (404, True, "takes our signature"),
        (401, False, "does not take our signature, for which it has to reach this server: No\x1b[2Jbody"),
        (403, None, "answers a signed request with status 403: No\x1b[2Jbody"),
    ],
)
async def test_whether_our_signature_is_taken(
    here: World, other: Peer, status: int, good: bool | None, text: str
) -> None:
    other.answer = homeserver(name(other), status=status)
    findings = await found(here, name(other))
    assert findings[-2] == Finding(text, good, 3)
    assert findings[-1].good is (good is not False)


async def test_nothing_signed_without_a_key(here: World, other: Peer) -> None:
    other.answer = homeserver(name(other))
    findings = await found(here, name(other), sign=None)
    assert PROFILE not in [asked.uri.partition("?")[0] for asked in other.asked]
    assert findings[-1].good is True


@pytest.mark.parametrize("version", [{}, {"server": []}, {"server": {"name": 1, "version": None}}])
async def test_a_server_that_does_not_say_what_it_is(here: World, other: Peer, version: Any) -> None:
    other.answer = homeserver(name(other), version=version)
    findings = await found(here, name(other))
    assert "127.0.0.1: answers, as something without a name" in texts(findings, True)


async def test_a_service_that_is_decidedly_not_there(here: World) -> None:
    here.dns.add("_matrix-fed._tcp.a.example", "SRV", "1 1 0 .")
    assert texts(await found(here, "a.example"), False) == [
        "its SRV record says that it is nowhere",
        "a.example cannot be reached",
    ]


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("not a name", "not a name is no server name, such as example.org"),
        ("a.example", "left alone by the configuration: federation.enabled, allow or deny"),
    ],
)
async def test_what_is_not_looked_for(here: World, server: str, text: str) -> None:
    findings = await found(here, server, rules=ServerNameRules(deny=["a.example"]))
    assert [finding.text for finding in findings] == [text, f"{server} cannot be reached"]
    assert here.site.requests == []
