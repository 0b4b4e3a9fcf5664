"""Two clients that encrypt, on the one server and then on the other."""

from __future__ import annotations

from pathlib import Path

import nio

from tests.interop.synapse_import.filling import PASSWORD
from tests.interop.test_nio_encrypted import encrypted_room, heard, say, turn
from tests.support.two_servers import Neighbour


class Talk:
    """Alice and Bob in an encrypted room, with their keys in files."""

    def __init__(self, server: Neighbour, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.clients: list[nio.AsyncClient] = []
        self.room_id = ""

    async def begin(self) -> None:
        """Register, meet, and say something."""
        for name in ("alice", "bob"):
            client = self._client(name)
            answer = await client.register(name, PASSWORD)
            assert isinstance(answer, nio.RegisterResponse), answer
        alice, bob = self.clients
        self.room_id = await encrypted_room(alice, bob)
        await say(alice, self.room_id, "before")
        assert await heard(bob, self.room_id) == [(alice.user_id, "before", True)]

    async def go_on(self) -> tuple[nio.AsyncClient, nio.AsyncClient]:
        """The same clients as if they were started again: with their tokens, keys, and places."""
        before, self.clients = self.clients, []
        for old in before:
            client = self._client(old.user.removeprefix("@").partition(":")[0])
            client.restore_login(old.user_id, old.device_id, old.access_token)
            client.next_batch = old.next_batch
            await turn(client)
        alice, bob = self.clients
        return alice, bob

    async def close(self) -> None:
        """Close their connections."""
        for client in self.clients:
            await client.close()

    def _client(self, name: str) -> nio.AsyncClient:
        store = self._folder / name
        store.mkdir(parents=True, exist_ok=True)
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        user_id = f"@{name}:{self._server.name}"
        client = nio.AsyncClient(self._server.url, user_id, store_path=str(store), config=config)
        self.clients.append(client)
        return client
