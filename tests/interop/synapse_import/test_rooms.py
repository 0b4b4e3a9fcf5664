"""Rooms that were a Synapse's: nothing is different, and their users go on in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.interop.synapse_import.belongings import answers, claimed, differences
from tests.interop.synapse_import.filling import PASSWORD, Client, Size
from tests.interop.synapse_import.recovery import SAID
from tests.interop.synapse_import.servers import OldSynapse
from tests.interop.synapse_import.world import World, again, shown, world
from tests.support.databases import service_url

pytest.importorskip("vodozemac", reason="matrix-nio's extra 'e2e' is not installed")
pytestmark = [pytest.mark.one_database, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for each of Synapse's databases."""
    OldSynapse.python()
    if request.param == "postgresql":
        service_url("POSTGRESQL")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        folder = tmp_path_factory.mktemp(request.param)
        made = runner.run(stack.enter_async_context(world(folder, request.param, Size())))
        try:
            yield made
        finally:
            runner.run(stack.aclose())


def test_nothing_is_different(both: World) -> None:
    rows = {step["step"]: step["rows"] for step in both.report["steps"]}
    assert both.report["compared"]
    assert both.report["differences"] == []
    assert rows["events"] > Size().events
    assert rows["media"] == Size().media + len(both.town.judged_media)
    assert rows["memberships"] > 0
    assert rows["receipts"] >= 2 * Size().rooms
    assert rows["reports of events"] == 1


async def test_users_are_answered_the_same(both: World) -> None:
    async with Client(both.new.url, both.town) as client:
        assert differences(both.answered, await answers(client)) == []


async def test_users_are_shown_the_same_with_the_same_tokens(both: World) -> None:
    async with Client(both.new.url, both.town) as client:
        assert await shown(client) == both.before


async def test_a_client_goes_on_from_where_it_was(both: World) -> None:
    user = both.town.users[0]
    async with Client(both.new.url, both.town) as client:
        params = {"since": "s2633508_17_338_6732159_1082514_541479_274711_265584_1_379_0"}
        synced = await client.ask(user, "GET", "/sync", params=params)
        assert sorted(synced["rooms"]["join"]) == both.before[user]["join"]


async def test_rooms_go_on(both: World) -> None:
    async with Client(both.new.url, both.town) as client:
        for room_id in both.town.rooms:
            number = both.town.rooms.index(room_id)
            user = both.town.users[number % len(both.town.users)]
            name = await client.say(user, room_id, "it goes on")
            last = (await client.scrolled(user, room_id))[-1]
            assert (last["event_id"], last["content"]["body"]) == (name, "it goes on")


async def test_relations_and_searches_find_what_is_old(both: World) -> None:
    user, room_id = both.town.users[0], both.town.rooms[0]
    async with Client(both.new.url, both.town) as client:
        threads = await client.ask(user, "GET", f"/_matrix/client/v1/rooms/{room_id}/threads")
        (root,) = threads["chunk"]
        assert root["unsigned"]["m.relations"]["m.thread"]["count"] == 1
        criteria = {"room_events": {"search_term": "thread", "filter": {"rooms": [room_id]}}}
        found = await client.ask(user, "POST", "/search", {"search_categories": criteria})
        assert found["search_categories"]["room_events"]["count"] >= 1


async def test_media_are_served(both: World) -> None:
    async with Client(both.new.url, both.town) as client:
        for uri, content in both.town.media:
            path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
            answer = await client.answer(both.town.users[0], "GET", path)
            assert (answer.status_code, answer.content) == (200, content)


async def test_passwords_are_what_they_were(both: World) -> None:
    user = both.town.users[1]
    identifier = {"type": "m.id.user", "user": user}
    body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    async with Client(both.new.url, both.town) as client:
        assert (await client.ask(None, "POST", "/login", body))["user_id"] == user


async def test_keys_are_claimed_in_their_order_and_then_the_one_to_fall_back_on(both: World) -> None:
    user = both.town.users[0]
    async with Client(both.new.url, both.town) as client:
        names = [await claimed(client, user) for _ in range(4)]
    assert names == [[f"signed_curve25519:{name}"] for name in ("A1", "A2", "F", "F")]


async def test_what_was_encrypted_is_read(both: World) -> None:
    await both.talk.go_on()
    await both.talk.close()


async def test_a_new_login_restores_the_backup_and_reads_the_past(both: World) -> None:
    found = await both.recovery.login_again()
    assert found.pop("imported") >= len(SAID)
    assert found == {
        "known": True,
        "verified": True,
        "trusts": True,
        "read": list(SAID),
        "after": "after the move",
    }


async def test_an_import_that_is_killed_goes_on(both: World) -> None:
    if both.old.database:
        pytest.skip("where it goes on is kept here, whatever Synapse's database is")
    statuses, report = await again(both.new.folder.parent / "again", both.old)
    assert set(statuses) == {-9}
    assert [step["step"] for step in report["steps"] if step["before"]]
    assert [step["step"] for step in report["steps"] if not step["before"]]


async def test_an_import_that_is_done_stays_so(both: World) -> None:
    await both.new.stop()
    report = await both.new.imported(both.old)
    assert all(step["before"] for step in report["steps"])
    assert not report["compared"]
    await both.new.start()
