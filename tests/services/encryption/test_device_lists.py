"""Whose device lists a user is told of, as rooms come to be shared and cease to be."""

from pathlib import Path

from palpo.core.state_keys import MEMBER
from palpo.streams import topics
from tests.support.encryption import device_keys
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.remote_users import CAROL, Remote

Told = tuple[list[str], list[str]]


class Watch:
    """What one user is told, from each look to the next."""

    def __init__(self, server: Homeserver, client: Client) -> None:
        self._server = server
        self._client = client
        self._since = server.services.server.wakeups.position

    async def look(self) -> Told:
        """The users that changed and that left since the last look, as /keys/changes and as sync has it."""
        server, since = self._server, self._since
        self._since = upto = server.services.server.wakeups.position
        answer = await self._client.get(f"/keys/changes?from=s{since}&to=s{upto}")
        news = server.services.server.wakeups.changed_since(since)
        assert news is not None
        rooms = news.get(topics.ROOM, ())
        joined = (await self._client.get("/joined_rooms"))["joined_rooms"]
        changes = await server.services.encryption.device_lists.changes_for(
            self._client.user_id, since, upto, rooms=[room for room in rooms if room in joined]
        )
        assert (changes.changed, changes.left) == (answer["changed"], answer["left"])
        return changes.changed, changes.left


async def upload(client: Client, name: str = "device") -> None:
    keys = device_keys(client.user_id, client.device_id, name)
    await client.post("/keys/upload", {"device_keys": keys})


async def test_joining_updating_leaving(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    watch = Watch(server, alice)
    await upload(bob)
    assert await watch.look() == ([], [])
    await bob.post(f"/join/{room_id}")
    assert await watch.look() == ([bob.user_id], [])
    await bob.send(room_id, "hello")
    assert await watch.look() == ([], [])
    await upload(bob, "new")
    assert await watch.look() == ([bob.user_id], [])
    await bob.post(f"/rooms/{room_id}/leave")
    assert await watch.look() == ([], [bob.user_id])
    await upload(bob, "newer")
    assert await watch.look() == ([], [])
    await bob.post(f"/join/{room_id}")
    assert await watch.look() == ([bob.user_id], [])


async def test_the_user_joins_and_leaves(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await bob.create_room(preset="public_chat")
    watch = Watch(server, alice)
    await alice.post(f"/join/{room_id}")
    assert await watch.look() == ([bob.user_id], [])
    await alice.post(f"/rooms/{room_id}/leave")
    assert await watch.look() == ([], [bob.user_id])


async def test_another_shared_room(server: Homeserver, alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
    await bob.post(f"/join/{rooms[0]}")
    await bob.post(f"/join/{rooms[1]}")
    watch = Watch(server, alice)
    await bob.post(f"/rooms/{rooms[0]}/leave")
    assert await watch.look() == ([], [])
    await bob.post(f"/rooms/{rooms[1]}/leave")
    assert await watch.look() == ([], [bob.user_id])


async def test_an_invite_is_no_join(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    watch = Watch(server, alice)
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
    assert await watch.look() == ([], [])
    await bob.post(f"/rooms/{room_id}/leave")
    assert await watch.look() == ([], [])


async def test_a_removed_device(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    with_keys, without = await server.login("bob"), await server.login("bob")
    await upload(with_keys)
    watch = Watch(server, alice)
    await without.post("/logout")
    assert await watch.look() == ([], [])
    await with_keys.post("/logout")
    assert await watch.look() == ([bob.user_id], [])


async def test_a_change_wakes_those_who_share_a_room(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    position = server.services.server.wakeups.position
    await upload(bob)
    news = server.services.server.wakeups.changed_since(position)
    assert news is not None
    assert room_id in news[topics.ROOM]
    assert bob.user_id in news[topics.USER]


async def test_changes_until_a_token_that_is_not_the_newest(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    since = server.services.server.wakeups.position
    await upload(bob)
    upto = server.services.server.wakeups.position
    await upload(bob, "new")
    answer = await alice.get(f"/keys/changes?from=s{since}&to=s{upto}")
    assert answer["changed"] == [bob.user_id]


async def test_changes_before_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await alice.create_room(preset="public_chat")
        await bob.post(f"/join/{room_id}")
        since = (await alice.get("/sync"))["next_batch"]
        await upload(bob)
    async with homeserver(tmp_path) as server:
        again = Client(server.http, alice.user_id, alice.token)
        answer = await again.get(f"/sync?since={since}")
        assert answer["device_lists"]["changed"] == [bob.user_id]
        assert "device_lists" not in await again.get(f"/sync?since={answer['next_batch']}")


async def test_users_of_other_servers(server: Homeserver, alice: Client, bob: Client) -> None:
    room = Remote(server, await alice.create_room(preset="public_chat"))
    alices, bobs = Watch(server, alice), Watch(server, bob)
    await room.send(await room.event(CAROL, (MEMBER, CAROL), {"membership": "join"}))
    assert await alices.look() == ([CAROL], [])
    await bob.post(f"/join/{room.room_id}")
    assert await bobs.look() == (sorted([alice.user_id, bob.user_id, CAROL]), [])
    await alices.look()
    await room.send(await room.event(CAROL, (MEMBER, CAROL), {"membership": "leave"}))
    assert await alices.look() == await bobs.look() == ([], [CAROL])
