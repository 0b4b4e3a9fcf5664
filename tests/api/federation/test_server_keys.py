"""Keys that this server publishes, and those of others that it tells as a notary."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import palpo.app.composition.federation
from palpo.app import identity_of, opened
from palpo.core import signing
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import DAY_MS, MAX_ANSWER, WantedKey
from palpo.core.signed_objects import signed_json
from palpo.core.signing import SigningKey, verify_json
from palpo.services.federation.keys.key_fetches import FAILED_MS
from palpo.services.federation.keys.key_notary import MAX_FETCHED, MAX_SERVERS
from palpo.services.federation.keys.remote_keys import KEYS_PATH, QUERY_PATH, KeySources, Notary
from palpo.services.server.server_identity import GRACE_MS
from tests.support.homeserver import Homeserver, homeserver
from tests.support.key_servers import HOUR_MS, NOW, Network, make_key, name, signed

OWN, SERVER = "test.example", "s.example"
ONE, TWO = make_key("1", "a"), make_key("2", "b")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """What the servers that are started next can reach."""
    network = Network()
    connect(monkeypatch, KeySources(remote=network))
    return network


def connect(monkeypatch: pytest.MonkeyPatch, sources: KeySources) -> None:
    monkeypatch.setattr(palpo.app.composition.federation, "key_sources", lambda server: sources)


@pytest.fixture
async def server(tmp_path: Path, network: Network) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path) as server:
        yield server


async def query(server: Homeserver, asked: Any) -> list[dict[str, Any]]:
    """What the notary answers, its own signatures checked."""
    answers: list[dict[str, Any]] = (
        await server.client().request("POST", "/key/v2/query", {"server_keys": asked})
    )["server_keys"]
    await check_signed(server, answers)
    return answers


async def query_one(server: Homeserver, server_name: str, **criteria: int) -> list[dict[str, Any]]:
    path = f"/key/v2/query/{server_name}"
    answers: list[dict[str, Any]] = (await server.client().request("GET", path, params=criteria))[
        "server_keys"
    ]
    await check_signed(server, answers)
    return answers


async def check_signed(server: Homeserver, answers: list[dict[str, Any]]) -> None:
    own = await server.client().request("GET", "/key/v2/server")
    ((key_id, key),) = own["verify_keys"].items()
    for answer in answers:
        verify_json(answer, OWN, key_id, key["key"])
        assert list(answer) == sorted(answer), "some verify the signature over the response as it came"


async def test_own_keys(server: Homeserver) -> None:
    keys = await server.client().request("GET", "/key/v2/server")
    assert keys["server_name"] == OWN
    assert keys["old_verify_keys"] == {}
    ((key_id, key),) = keys["verify_keys"].items()
    verify_json(keys, OWN, key_id, key["key"])
    assert keys["valid_until_ts"] > server.clock.now_ms() + HOUR_MS
    server.clock.advance(20 * HOUR_MS)
    later = await server.client().request("GET", f"/key/v2/server/{key_id}")
    assert later["valid_until_ts"] > server.clock.now_ms() + HOUR_MS
    verify_json(later, OWN, key_id, key["key"])


async def rotate(server: Homeserver, now_ms: int) -> SigningKey:
    """What ``palpo signing-key new`` does."""
    config = server.services.server.config
    async with opened(config) as db:
        return await identity_of(config, db).adopt_key(new=True, now_ms=now_ms)


async def test_old_keys_are_published_and_known(tmp_path: Path) -> None:
    before = []
    for number in range(3):
        async with homeserver(tmp_path) as server:
            if not number:
                await server.register("alice")
            keys = await server.client().request("GET", "/key/v2/server")
            key = server.services.server.key
            assert keys["verify_keys"] == {key.key_id: {"key": key.verify_key_base64}}
            assert keys["old_verify_keys"] == {
                old.key_id: {"key": old.verify_key_base64, "expired_ts": NOW + GRACE_MS + place}
                for place, old in enumerate(before)
            }
            verify_json(keys, OWN, key.key_id, key.verify_key_base64)
            assert len(before) == number
            keyring = server.services.federation.keyring
            for old in before:
                wanted = WantedKey(
                    server_name=name(OWN), key_id=old.key_id, valid_until_ts=NOW, for_events=True
                )
                assert wanted in await keyring.find([wanted])
            obj = signing.sign_json({"a": 1}, OWN, key)
            assert await keyring.verify([signed_json(obj, name(OWN), now_ms=NOW)]) == [None]
            before.append(key)
            await rotate(server, NOW + number)


async def test_the_notary_answers_for_itself(server: Homeserver) -> None:
    own = await server.client().request("GET", "/key/v2/server")
    assert await query(server, {OWN: {}, "else.example": {}}) == [own]
    assert await query_one(server, OWN) == [own]
    assert await query_one(server, "else.example") == []
    assert await query(server, {}) == []
    await server.client().request("POST", "/key/v2/query", {"server_keys": []}, status=400)


async def test_the_notary_fetches_and_signs(server: Homeserver, network: Network) -> None:
    said = network.servers[SERVER] = signed(SERVER, [ONE], old={"ed25519:old": (TWO, 5)})
    for answers in (await query_one(server, SERVER), await query(server, {SERVER: {}})):
        (answer,) = answers
        verify_json(answer, SERVER, ONE.key_id, ONE.verify_key_base64)
        assert {**answer, "signatures": {SERVER: answer["signatures"][SERVER]}} == said
    assert network.fetched == {SERVER: 1}


async def test_the_last_that_was_heard_of_a_server(server: Homeserver, network: Network) -> None:
    network.servers[SERVER] = signed(SERVER, [ONE])
    (answer,) = await query_one(server, SERVER)
    network.servers[SERVER] = OSError("down")
    server.clock.advance(30 * DAY_MS)
    assert await query_one(server, SERVER) == [answer]
    assert network.fetched == {SERVER: 2}


async def test_when_the_notary_asks_again(server: Homeserver, network: Network) -> None:
    async def asks(criteria: Any) -> bool:
        server.clock.advance(FAILED_MS[1])
        before = network.fetched[SERVER]
        assert len(await query(server, {SERVER: criteria})) == 1
        return network.fetched[SERVER] > before

    network.servers[SERVER] = signed(
        SERVER, [ONE], valid_until_ts=NOW + 4 * HOUR_MS, old={"ed25519:old": (TWO, 5)}
    )
    assert await asks({})
    assert not await asks({})
    assert not await asks({"ed25519:1": {}, "ed25519:old": {"minimum_valid_until_ts": NOW}})
    assert not await asks({"ed25519:1": {"minimum_valid_until_ts": NOW + 4 * HOUR_MS}})
    assert await asks({"ed25519:1": {"minimum_valid_until_ts": NOW + 4 * HOUR_MS + 1}})
    assert await asks({"ed25519:1": {}, "ed25519:new": {}})
    server.clock.advance(2 * HOUR_MS)
    assert await asks({}), "half of its life is over"
    before = network.fetched[SERVER]
    for number in range(5):
        await query(server, {SERVER: {f"ed25519:x{number}": {"minimum_valid_until_ts": 2**62}}})
    assert network.fetched[SERVER] == before, "nobody can have it asked at will"


async def test_signatures_of_others_are_left_out(server: Homeserver, network: Network) -> None:
    said = signed(SERVER, [ONE])
    odd = {OWN: "x", "else.example": {"ed25519:1": "y"}, SERVER: {**said["signatures"][SERVER], "rsa:1": 5}}
    network.servers[SERVER] = {**said, "signatures": odd}
    (answer,) = await query_one(server, SERVER)
    assert answer["signatures"].keys() == {OWN, SERVER}
    assert answer["signatures"][SERVER] == said["signatures"][SERVER]


@pytest.mark.parametrize("answer", [b"[]", b"x" * MAX_ANSWER, signed("else.example", [ONE])])
async def test_what_does_not_count_is_not_told(server: Homeserver, network: Network, answer: Any) -> None:
    network.servers[SERVER] = answer
    assert await query_one(server, SERVER) == []


async def test_queries_are_bounded(server: Homeserver, network: Network) -> None:
    servers = [f"s{number}.example" for number in range(MAX_SERVERS + 50)]
    network.servers.update({item: signed(item, [ONE]) for item in servers})
    answers = await query(server, {item: {} for item in servers})
    assert network.fetched.total() == MAX_FETCHED
    assert [answer["server_name"] for answer in answers] == servers[:MAX_FETCHED]
    many: dict[str, Any] = {f"ed25519:{number}": {} for number in range(1000)}
    assert len(await query(server, {servers[0]: many})) == 1
    assert network.fetched.total() == MAX_FETCHED + 1
    odd = ["", "a b", "\0", "x" * 300, "é", "[::1"]
    assert await query(server, {text: {} for text in odd}) == []
    assert network.fetched.total() == MAX_FETCHED + 1


async def test_queries_are_rate_limited(tmp_path: Path, network: Network) -> None:
    limits = {"enabled": True, "notary": {"per_second": 0.001, "burst": 10}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        for _ in range(2):
            await query_one(server, "s.example")
        await query(server, {f"s{number}.example": {} for number in range(8)})
        for method, path, body in (
            ("GET", "/key/v2/query/s.example", None),
            ("POST", "/key/v2/query", {"server_keys": {"s.example": {}}}),
        ):
            answer = await server.client().request(method, path, body, status=429)
            assert answer["errcode"] == "M_LIMIT_EXCEEDED"
        await server.client().request("GET", "/key/v2/server")


class Servers:
    """Homeservers in this process, as they reach each other: each can reach those that are named for it."""

    def __init__(self) -> None:
        self.running: dict[str, Homeserver] = {}

    async def fetch(self, server_name: ServerName, path: str) -> bytes:
        answer = await self.running[server_name].http.get(path)
        return answer.raise_for_status().content

    async def query(self, notary: ServerName, body: bytes) -> bytes:
        answer = await self.running[notary].http.post(QUERY_PATH, content=body)
        return answer.raise_for_status().content


@pytest.mark.parametrize("reachable", [True, False])
async def test_three_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reachable: bool) -> None:
    """One of them learns the keys of another from the third, if it cannot reach it itself."""
    far, notary, near = "far.example", "notary.example", "near.example"
    of_notary, of_near = Servers(), Servers()
    async with AsyncExitStack() as stack:

        async def start(server_name: str, sources: KeySources) -> Homeserver:
            connect(monkeypatch, sources)
            (tmp_path / server_name).mkdir()
            return await stack.enter_async_context(
                homeserver(tmp_path / server_name, server_name=server_name)
            )

        of_notary.running[far] = await start(far, KeySources(remote=Servers()))
        of_near.running[notary] = await start(notary, KeySources(remote=of_notary))
        if reachable:
            of_near.running[far] = of_notary.running[far]
        sources = KeySources(remote=of_near, notaries=(Notary(name=name(notary)),))
        server = await start(near, sources)
        key = of_notary.running[far].services.server.key
        obj = signed_json(signing.sign_json({"a": 1}, far, key), name(far), now_ms=NOW)
        assert await server.services.federation.keyring.verify([obj]) == [None]
        keys = (await of_near.running[notary].http.get(KEYS_PATH)).json()
        ((key_id, _),) = keys["verify_keys"].items()
        wanted = WantedKey(server_name=name(notary), key_id=key_id, valid_until_ts=NOW)
        assert wanted in await server.services.federation.keyring.find([wanted])
