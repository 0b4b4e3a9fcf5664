"""Keys of other servers, on each database: stored, fetched once for many, and not at all in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from palpo.core import signing
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import DAY_MS, WantedKey, parse_answer
from palpo.core.signed_objects import KeyUnavailable, SignedObject, signed_json
from palpo.core.signing import SignatureError, SigningKey
from palpo.db.engine import Database
from palpo.services.federation.keys.key_fetches import (
    BOUNDS,
    FAILED_MS,
    MISSED_MS,
    FetchBounds,
    KeyFetches,
    pause_ms,
)
from palpo.services.federation.keys.keyring import AHEAD_MS, Keyring
from palpo.services.federation.keys.remote_keys import MAX_NOTARY_ANSWER, NOBODY, KeySources, Notary
from palpo.services.server.server_keys import ServerKeys
from palpo.storage import server_signing_keys as storage
from palpo.storage.server_signing_keys import Fetches
from palpo.streams.background import Background
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import FakeClock
from palpo.streams.wakeups import Wakeups
from palpo.workers.sweeps import Sweeper
from tests.contract.conftest import Connect
from tests.support.key_servers import (
    HOUR_MS,
    NOW,
    Network,
    encoded,
    make_key,
    name,
    never,
    notary_of,
    signed,
)

OWN, SERVER, NOTARY = name("own.example"), name("s.example"), name("notary.example")
ONE, TWO, NOTARY_KEY, OWN_KEY = make_key("1", "a"), make_key("2", "b"), make_key("n", "n"), make_key("o", "o")
PINNED = Notary(name=NOTARY, verify_keys={NOTARY_KEY.key_id: NOTARY_KEY.verify_key_base64})
QUICK = FetchBounds(server_s=1.0)


def wanted(
    version: str | None = "1", until: int = NOW, *, server: str = SERVER, for_events: bool = False
) -> WantedKey:
    key_id = None if version is None else f"ed25519:{version}"
    return WantedKey(server_name=name(server), key_id=key_id, valid_until_ts=until, for_events=for_events)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


@dataclass
class Process:
    """One of the server's processes."""

    db: Database
    clock: FakeClock
    network: Network
    fetches: KeyFetches
    keyring: Keyring

    async def has(self, *items: WantedKey) -> list[bool]:
        """Which of the keys can be had."""
        found = await self.keyring.find(items)
        return [item in found for item in items]

    async def state(self, server: ServerName = SERVER) -> Fetches | None:
        return (await self.db.read(lambda tx: storage.fetches_of(tx, [server]))).get(server)


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(connect: Connect, database: Database) -> AsyncIterator[Start]:
    """Starts processes on one database, with one clock and one network."""
    clock, network, backgrounds = FakeClock(NOW), Network(), list[Background]()

    async def one(
        *, notaries: tuple[Notary, ...] = (), bounds: FetchBounds = BOUNDS, caches: int = 1 << 20
    ) -> Process:
        db = await connect()
        wakeups, background, budget = Wakeups(), Background(), CacheBudget(caches)
        db.listen(wakeups.on_commit)
        backgrounds.append(background)
        sources = KeySources(remote=network, notaries=notaries)
        fetches = KeyFetches(OWN, db, clock, wakeups, background, budget, sources, bounds=bounds)
        own = ServerKeys(OWN, OWN_KEY, clock)
        keyring = Keyring(OWN, own, db, clock, wakeups, budget, fetches)
        return Process(db, clock, network, fetches, keyring)

    yield one
    for background in backgrounds:
        await background.stop()


async def test_what_is_stored_of_an_answer(database: Database) -> None:
    first = parse_answer(encoded(signed(SERVER, [ONE])), SERVER, now_ms=NOW)
    second = parse_answer(
        encoded(signed(SERVER, [TWO], valid_until_ts=NOW + HOUR_MS, old={ONE.key_id: (ONE, NOW)})),
        SERVER,
        now_ms=NOW,
    )

    async def store(answer: Any, *, direct: bool) -> None:
        await database.write(lambda tx: storage.store_answer(tx, answer, now_ms=NOW, direct=direct))

    async def answered() -> bytes:
        return (await database.read(lambda tx: storage.answers_of(tx, [SERVER])))[SERVER].answer

    assert await database.read(lambda tx: storage.keys_of(tx, [SERVER])) == {SERVER: ()}
    await store(first, direct=True)
    assert await database.read(lambda tx: storage.keys_of(tx, [SERVER, OWN])) == {SERVER: first.keys, OWN: ()}
    await store(second, direct=False)
    assert await answered() == first.json, "a notary's may be an older one"
    stored = (await database.read(lambda tx: storage.keys_of(tx, [SERVER])))[SERVER]
    assert sorted(stored, key=str) == sorted(second.keys, key=str)
    await store(second, direct=True)
    assert await answered() == second.json
    await store(first, direct=False)
    assert await answered() == first.json
    stored = (await database.read(lambda tx: storage.keys_of(tx, [SERVER])))[SERVER]
    assert sorted(stored, key=str) == sorted(second.keys, key=str), "what was retired stays it"


async def test_a_server_that_makes_new_keys_all_the_time(database: Database) -> None:
    step = 30
    for number in range(0, storage.MAX_KEPT + 2 * step, step):
        keys = [make_key(str(number + place), "a") for place in range(step)]
        obj = signed(SERVER, keys, valid_until_ts=NOW + number)
        answer = parse_answer(encoded(obj), SERVER, now_ms=NOW)
        await database.write(lambda tx, it=answer: storage.store_answer(tx, it, now_ms=NOW, direct=True))
    kept = (await database.read(lambda tx: storage.keys_of(tx, [SERVER])))[SERVER]
    assert len(kept) == storage.MAX_KEPT
    assert {key.key_id for key in kept} >= {f"ed25519:{n}" for n in range(3 * step, number + step)}


async def test_failures_that_nobody_needs_any_more_are_swept(database: Database) -> None:
    clock = FakeClock(NOW)
    answer = parse_answer(encoded(signed(SERVER, [ONE])), SERVER, now_ms=NOW)
    await database.write(lambda tx: storage.store_answer(tx, answer, now_ms=NOW, direct=True))
    failed = {SERVER: (1, NOW), name("a"): (3, NOW), name("b"): (2, NOW + HOUR_MS)}
    await database.write(lambda tx: storage.store_failures(tx, failed))
    clock.advance(HOUR_MS + 1)
    assert await Sweeper(database, clock).sweep() == 1
    found = await database.read(lambda tx: storage.fetches_of(tx, list(failed)))
    assert found == {
        SERVER: Fetches(server_name=SERVER, answered_ts=NOW, failures=1, next_ts=NOW),
        "b": Fetches(server_name=name("b"), answered_ts=0, failures=2, next_ts=NOW + HOUR_MS),
    }


async def test_keys_are_fetched_once_and_known_then(start: Start) -> None:
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE], old={"ed25519:old": (TWO, NOW - 5)})
    asked = [wanted(), wanted(None), wanted("old"), wanted("old", NOW - 5, for_events=True)]
    assert await one.has(*asked) == [True, True, False, True]
    assert await one.has(wanted(), wanted("old", 0, for_events=True)) == [True, True]
    assert one.network.fetched == {SERVER: 1}
    other = await start()
    assert await other.has(wanted()) == [True]
    assert one.network.fetched == {SERVER: 1}


async def test_without_memory_for_caches(start: Start) -> None:
    one = await start(caches=0)
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    assert await one.has(wanted(), wanted("2")) == [True, False]
    assert await one.has(wanted(), wanted("2")) == [True, False]
    assert one.network.fetched == {SERVER: 1}


async def test_many_at_once_share_one_fetch_and_one_batch(start: Start) -> None:
    one = await start(notaries=(PINNED,), bounds=FetchBounds(moment_s=1.0))
    servers = [f"s{number}.example" for number in range(40)]
    known = {server: signed(server, [ONE]) for server in servers}
    one.network.servers.update(dict.fromkeys(servers, never))
    one.network.notaries[NOTARY] = notary_of(NOTARY, NOTARY_KEY, known)
    found = await asyncio.gather(*(one.has(wanted(server=server)) for server in servers * 3))
    assert found == [[True]] * 120
    assert set(one.network.fetched.values()) == {1}
    ((notary, asked),) = one.network.queries
    assert notary == NOTARY
    assert asked == {server: {"ed25519:1": {"minimum_valid_until_ts": NOW}} for server in servers}


async def test_who_comes_later_waits_for_the_same_answer(start: Start) -> None:
    one = await start()
    go = asyncio.Event()

    async def slowly() -> bytes:
        await go.wait()
        return encoded(signed(SERVER, [ONE, TWO]))

    one.network.servers[SERVER] = slowly
    first = asyncio.create_task(one.has(wanted("1")))
    await until(lambda: one.network.at_once == 1)
    second = asyncio.create_task(one.has(wanted("2")))
    gone = asyncio.create_task(one.has(wanted("2")))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(first, second) == [[True], [True]]
    assert one.network.fetched == {SERVER: 1}


async def test_a_server_that_fails_is_left_alone_over_a_restart(start: Start) -> None:
    one = await start()
    one.network.servers[SERVER] = OSError("down")
    for number in range(4):
        process = await start()
        assert await process.has(wanted()) == [False]
        assert await process.has(wanted()) == [False]
        assert await one.has(wanted()) == [False]
        assert one.network.fetched == {SERVER: number + 1}
        state = await process.state()
        assert state is not None
        pause = pause_ms(number + 1, answered=False)
        assert (state.failures, state.next_ts) == (number + 1, one.clock.now_ms() + pause)
        one.clock.advance(pause)
    one.network.servers[SERVER] = signed(SERVER, [ONE], valid_until_ts=NOW + 3 * DAY_MS)
    assert await one.has(wanted()) == [True]
    state = await one.state()
    assert state == Fetches(server_name=SERVER, answered_ts=one.clock.now_ms(), failures=0, next_ts=0)


def test_pauses_grow_up_to_a_bound() -> None:
    for answered, (first, longest) in ((False, FAILED_MS), (True, MISSED_MS)):
        pauses = [pause_ms(number, answered=answered) for number in range(1, 100)]
        assert pauses[:2] == [first, 2 * first]
        assert pauses == sorted(pauses)
        assert pauses[-1] == longest


async def test_keys_that_a_server_does_not_have_are_not_asked_for_at_will(start: Start) -> None:
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    for number in range(20):
        assert await one.has(wanted(f"x{number}"), wanted()) == [False, True]
    assert one.network.fetched == {SERVER: 1}
    one.network.servers[SERVER] = signed(SERVER, [TWO])
    assert await one.has(wanted("2")) == [False]
    one.clock.advance(MISSED_MS[0])
    assert await one.has(wanted("2")) == [True], "a new key is not waited for long"


async def test_answers_that_do_not_count_are_failures(start: Start) -> None:
    one = await start()
    odd: list[Any] = [b"", b"[]", signed("else.example", [ONE]), b"x" * 100_000, ValueError("odd"), never]
    servers = {f"s{number}.example": answer for number, answer in enumerate(odd)}
    one.network.servers.update(servers)
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    quick = await start(bounds=QUICK)
    assert await quick.has(wanted(), *(wanted(server=server) for server in servers)) == [True, *[False] * 6]
    states = [await quick.state(name(server)) for server in servers]
    assert [state is not None and state.failures for state in states] == [1] * 6


async def test_500_black_holes_keep_nobody_waiting(start: Start) -> None:
    one = await start()
    holes = [f"h{number}.example" for number in range(500)]
    one.network.servers.update(dict.fromkeys(holes, never))
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    assert await one.has(wanted()) == [True]
    lost = asyncio.create_task(one.has(*(wanted(server=server) for server in holes)))
    await until(lambda: one.network.at_once == BOUNDS.at_once)
    one.network.servers[SERVER] = signed(SERVER, [ONE, TWO])
    assert await one.has(wanted("2")) == [True]
    assert not lost.done()
    assert one.network.most_at_once == BOUNDS.at_once + 1
    lost.cancel()


async def test_fetches_take_a_bounded_time_and_failures_are_remembered(start: Start) -> None:
    one = await start(bounds=FetchBounds(whole_s=0.6, server_s=0.4, at_once=20))
    holes = [f"h{number}.example" for number in range(60)]
    one.network.servers.update(dict.fromkeys(holes, never))
    before = time.monotonic()
    assert await one.has(*(wanted(server=server) for server in holes)) == [False] * 60
    assert time.monotonic() - before < 10
    await until(lambda: one.network.at_once == 0)
    fetched = one.network.fetched.copy()
    assert 20 <= fetched.total() < 60
    assert await one.has(*(wanted(server=server) for server in fetched)) == [False] * len(fetched)
    assert one.network.fetched == fetched
    # Those whose turn never came have not failed.
    states = await one.db.read(lambda tx: storage.fetches_of(tx, [name(hole) for hole in holes]))
    assert states.keys() == fetched.keys()


async def test_the_server_and_the_notary_side_by_side(start: Start) -> None:
    one = await start(notaries=(PINNED,))
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    one.network.notaries[NOTARY] = OSError("down")
    assert await one.has(wanted()) == [True]
    assert one.network.queries != [], "it was not waited for"
    one.clock.advance(FAILED_MS[0])
    one.network.servers["t.example"] = OSError("down")
    one.network.notaries[NOTARY] = notary_of(NOTARY, NOTARY_KEY, {"t.example": signed("t.example", [TWO])})
    assert await one.has(wanted("2", server="t.example")) == [True]


@pytest.mark.parametrize("failure", [OSError("down"), never])
async def test_a_notary_that_fails_is_left_alone(start: Start, failure: Any) -> None:
    one = await start(notaries=(PINNED,), bounds=FetchBounds(notary_s=0.1))
    one.network.notaries[NOTARY] = failure
    for number in range(3):
        assert await one.has(wanted(server=f"s{number}.example")) == [False]
    assert len(one.network.queries) == 1
    one.clock.advance(FAILED_MS[0])
    one.network.notaries[NOTARY] = notary_of(NOTARY, NOTARY_KEY, {SERVER: signed(SERVER, [ONE])})
    assert await one.has(wanted()) == [True]


async def test_nobody_waits_for_what_others_want_of_a_server(start: Start) -> None:
    one = await start(notaries=(PINNED,))
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    one.network.notaries[NOTARY] = never
    lost = asyncio.create_task(one.has(wanted("x")))
    assert await one.has(wanted()) == [True]
    assert not lost.done()
    lost.cancel()


async def test_the_first_answer_that_has_what_is_wanted_will_do(start: Start) -> None:
    one = await start(notaries=(PINNED,))
    one.network.notaries[NOTARY] = notary_of(NOTARY, NOTARY_KEY, {SERVER: signed(SERVER, [ONE])})

    async def later() -> bytes:
        await asyncio.sleep(0.1)
        return encoded(signed(SERVER, [ONE, TWO]))

    one.network.servers[SERVER] = later
    assert await one.has(wanted("1"), wanted("2")) == [True, True]


@pytest.mark.parametrize("forged", ["notary", "subject", "other", "large"])
async def test_notary_answers_that_are_not_believed(start: Start, forged: str) -> None:
    one = await start(notaries=(PINNED,))
    good = signed(SERVER, [ONE])
    answers: dict[str, Any] = {
        "notary": notary_of(NOTARY, make_key("n", "x"), {SERVER: good}),
        "subject": notary_of(NOTARY, NOTARY_KEY, {SERVER: {**good, "valid_until_ts": NOW + 5}}),
        "other": lambda _: {
            "server_keys": [signing.sign_json(signed("t.example", [ONE]), NOTARY, NOTARY_KEY)]
        },
        "large": lambda _: {"server_keys": [], "padding": "x" * MAX_NOTARY_ANSWER},
    }
    one.network.notaries[NOTARY] = answers[forged]
    assert await one.has(wanted()) == [False]
    assert await one.db.read(lambda tx: storage.answers_of(tx, [SERVER, name("t.example")])) == {}
    state = await one.state()
    assert state is not None
    assert state.failures == 1


async def test_the_keys_of_a_notary_are_its_own(start: Start) -> None:
    one = await start(notaries=(Notary(name=NOTARY),))
    known = {SERVER: signed(SERVER, [ONE]), NOTARY: signed(NOTARY, [make_key("n", "x")])}
    one.network.notaries[NOTARY] = notary_of(NOTARY, NOTARY_KEY, known)
    assert await one.has(wanted()) == [False], "it does not say with which keys it signs"
    one.clock.advance(FAILED_MS[1])
    one.network.servers[NOTARY] = signed(NOTARY, [NOTARY_KEY])
    assert await one.has(wanted(), wanted("n", server=NOTARY)) == [True, True]
    assert all(NOTARY not in asked for _, asked in one.network.queries), "of itself it is not asked"
    one.clock.advance(8 * DAY_MS)
    one.network.servers[NOTARY] = OSError("down")
    assert await one.has(wanted(until=NOW + 8 * DAY_MS)) == [False], "its keys have expired"


async def test_keys_in_use_are_fetched_ahead_of_expiry(start: Start) -> None:
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE], valid_until_ts=NOW + 2 * AHEAD_MS)
    assert await one.has(wanted()) == [True]
    one.clock.advance(AHEAD_MS)
    one.network.servers[SERVER] = signed(SERVER, [ONE], valid_until_ts=NOW + 2 * DAY_MS)
    assert await one.has(wanted(until=0, for_events=True)) == [True], "of old events it makes no difference"
    await asyncio.sleep(0.05)
    assert one.network.fetched == {SERVER: 1}
    one.clock.advance(1)
    assert await one.has(wanted(until=one.clock.now_ms())) == [True]
    await until(lambda: one.network.fetched[SERVER] == 2)
    await until(lambda: one.network.at_once == 0)
    assert await one.has(wanted(until=NOW + DAY_MS)) == [True]
    assert one.network.fetched == {SERVER: 2}


async def test_a_valid_key_is_never_replaced(start: Start) -> None:
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    assert await one.has(wanted()) == [True]
    one.network.servers[SERVER] = signed(SERVER, [make_key("1", "z"), TWO])
    assert await one.has(wanted("2")) == [True]
    key = (await one.keyring.find([wanted()]))[wanted()]
    assert key.verify_key == ONE.verify_key_base64


async def test_a_key_that_another_process_found_retired(start: Start) -> None:
    one, two = await start(), await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    assert await one.has(wanted()) == [True]
    one.network.servers[SERVER] = signed(SERVER, [TWO], old={ONE.key_id: (ONE, NOW)})
    assert await two.has(wanted("2")) == [True]
    assert await two.has(wanted()) == [False]


async def test_what_was_signed_with_a_key_that_was_not_in_use_any_more(start: Start) -> None:
    """It is wrong for good: nobody is asked about it again."""
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [TWO], old={ONE.key_id: (ONE, NOW - 5)})
    assert await one.has(wanted("2")) == [True]
    (outcome,) = await one.keyring.verify([object_by(ONE, 1)])
    assert isinstance(outcome, SignatureError)
    assert not isinstance(outcome, KeyUnavailable)
    assert one.network.fetched == {SERVER: 1}


async def test_nobody_waits_for_a_database_that_is_away(start: Start) -> None:
    one = await start()
    go = asyncio.Event()

    async def slowly() -> bytes:
        await go.wait()
        return encoded(signed(SERVER, [ONE]))

    one.network.servers[SERVER] = slowly
    (future,) = one.fetches.begin([wanted()])
    await until(lambda: one.network.at_once == 1)
    await one.db.close()
    go.set()
    async with asyncio.timeout(BOUNDS.whole_s / 2):
        await future
    assert one.fetches.begin([wanted()]) != {future}


async def test_servers_that_are_none(start: Start) -> None:
    one = await start()
    odd = [wanted(server=text) for text in ("", "a b", "x" * 300, "\0", "é", "s.example:99999")]
    assert await one.has(*odd) == [False] * len(odd)
    assert one.network.fetched == {}


async def test_own_keys_are_never_fetched(start: Start) -> None:
    one = await start(notaries=(Notary(name=OWN),))
    assert await one.has(wanted("o", server=OWN), wanted("x", server=OWN)) == [True, False]
    assert one.network.fetched == {}
    assert one.network.queries == []


async def test_without_a_network_nobody_is_asked(database: Database) -> None:
    wakeups, clock, caches = Wakeups(), FakeClock(NOW), CacheBudget()
    fetches = KeyFetches(OWN, database, clock, wakeups, Background(), caches, NOBODY)
    keyring = Keyring(OWN, ServerKeys(OWN, OWN_KEY, clock), database, clock, wakeups, caches, fetches)
    assert await keyring.find([wanted()]) == {}
    assert await database.read(lambda tx: storage.fetches_of(tx, [SERVER])) == {}


async def test_how_many_servers_may_be_waited_for(start: Start) -> None:
    one = await start(bounds=FetchBounds(whole_s=0.2, server_s=0.1, waiting=3, at_once=2))
    servers = [f"s{number}.example" for number in range(9)]
    one.network.servers.update(dict.fromkeys(servers, never))
    assert await one.has(*(wanted(server=server) for server in servers)) == [False] * 9
    assert one.network.fetched.total() <= 3
    assert one.network.most_at_once == 2


def object_by(key: SigningKey, number: int, *, server: str = SERVER) -> SignedObject:
    obj = signing.sign_json({"number": number}, server, key)
    return signed_json(obj, name(server), now_ms=NOW)


@pytest.mark.parametrize("count", [3, 64, 65, 300])
async def test_a_batch_is_verified(start: Start, count: int) -> None:
    one = await start()
    one.network.servers[SERVER] = signed(SERVER, [ONE])
    objects = [object_by(ONE, number) for number in range(count)]
    objects[0] = object_by(TWO, 0)
    objects[1] = object_by(make_key("1", "x"), 1)
    objects[2] = object_by(ONE, 2, server="lost.example")
    outcome = await one.keyring.verify(objects)
    assert isinstance(outcome[0], KeyUnavailable)
    assert isinstance(outcome[1], SignatureError)
    assert not isinstance(outcome[1], KeyUnavailable)
    assert isinstance(outcome[2], KeyUnavailable)
    assert outcome[3:] == [None] * (count - 3)
    assert one.network.fetched == {SERVER: 1, "lost.example": 1}
