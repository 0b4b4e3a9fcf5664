"""Pairs of clients that encrypt, on the one server and then on the other."""

from __future__ import annotations

from pathlib import Path

import nio

from tests.interop.synapse_import.filling import PASSWORD
from tests.interop.test_nio_encrypted import encrypted_room, heard, knows, say, turn, turns_until
from tests.support.two_servers import Neighbour

AWAY = 3
"""Messages that are sent while the receiver is away, each with a key of its own."""


class Pair:
    """Two users in an encrypted room, with their keys in files."""

    def __init__(self, server: Neighbour, folder: Path, number: int) -> None:
        self._server = server
        self._folder = folder
        self._number = number
        self.clients: list[nio.AsyncClient] = []
        self.room_id = ""

    async def begin(self) -> None:
        """Register, meet, and say something; then one goes, and the other goes on."""
        for name in ("alice", "bob"):
            client = self._client(name)
            answer = await client.register(f"{name}{self._number}", PASSWORD)
            assert isinstance(answer, nio.RegisterResponse), answer
        alice, bob = self.clients
        self.room_id = await encrypted_room(alice, bob)
        await say(alice, self.room_id, "before")
        assert await heard(bob, self.room_id) == [(alice.user_id, "before", True)]
        await say(bob, self.room_id, "before, too")
        assert await heard(alice, self.room_id) == [(bob.user_id, "before, too", True)]
        for number in range(AWAY):
            # The next message has a new key, which waits for Bob as a message to his device.
            alice.invalidate_outbound_session(self.room_id)
            await say(alice, self.room_id, f"away {number}")

    async def go_on(self) -> None:
        """The same clients as if they were started again: what was said is read, and more is said."""
        before, self.clients = self.clients, []
        for old, name in zip(before, ("alice", "bob"), strict=True):
            client = self._client(name)
            client.restore_login(old.user_id, old.device_id, old.access_token)
            client.next_batch = old.next_batch
        alice, bob = self.clients
        await turn(alice)
        # He is told everything once more, and fetches the keys that have waited.
        await turns_until(lambda: self.room_id in bob.rooms, bob)
        past = [event.body for event in await self._past(bob)]
        said = ["before", *(f"away {number}" for number in range(AWAY))]
        assert [body for body in past if body in said] == said, past
        for sender, reader in ((alice, bob), (bob, alice)):
            await say(sender, self.room_id, "after")
            assert (sender.user_id, "after", True) in await heard(reader, self.room_id)
        await self._meet_a_new_device(alice, bob)

    async def _meet_a_new_device(self, alice: nio.AsyncClient, bob: nio.AsyncClient) -> None:
        """A login that has no session with Bob, and so claims a key that he uploaded before the move."""
        tablet = self._client("alice", "tablet")
        answer = await tablet.login(PASSWORD)
        assert isinstance(answer, nio.LoginResponse), answer
        await turns_until(lambda: self.room_id in tablet.rooms and knows(tablet, bob), tablet)
        await say(tablet, self.room_id, "from a new device")
        assert (alice.user_id, "from a new device", True) in await heard(bob, self.room_id)

    async def _past(self, client: nio.AsyncClient) -> list[nio.RoomMessageText]:
        """What can be read of the room, the oldest first."""
        page = await client.room_messages(self.room_id, client.next_batch, limit=100)
        assert isinstance(page, nio.RoomMessagesResponse), page
        assert not [event for event in page.chunk if isinstance(event, nio.MegolmEvent)], page.chunk
        return [event for event in reversed(page.chunk) if isinstance(event, nio.RoomMessageText)]

    def _client(self, name: str, device: str = "phone") -> nio.AsyncClient:
        store = self._folder / f"{name}{self._number}" / device
        store.mkdir(parents=True, exist_ok=True)
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        user_id = f"@{name}{self._number}:{self._server.name}"
        client = nio.AsyncClient(self._server.url, user_id, store_path=str(store), config=config)
        self.clients.append(client)
        return client


class Talk:
    """Several pairs."""

    def __init__(self, server: Neighbour, folder: Path, pairs: int) -> None:
        self.pairs = [Pair(server, folder, number) for number in range(pairs)]

    @property
    def tokens(self) -> dict[str, str]:
        """Access tokens by user ID."""
        return {client.user_id: client.access_token for pair in self.pairs for client in pair.clients}

    async def begin(self) -> None:
        """One pair after the other."""
        for pair in self.pairs:
            await pair.begin()

    async def go_on(self) -> None:
        """The same."""
        for pair in self.pairs:
            await pair.go_on()

    async def close(self) -> None:
        """Close the connections."""
        for pair in self.pairs:
            for client in pair.clients:
                await client.close()
