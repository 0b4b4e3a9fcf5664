"""matrix-nio's end-to-end encryption: vodozemac on both sides, the server only carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import nio
import pytest

from tests.support.process import ServerProcess

pytest.importorskip("vodozemac", reason="matrix-nio's extra 'e2e' is not installed")

# nio's dependencies are not free of deprecated calls; its own warnings are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

PASSWORD = "correct horse battery"
ENCRYPTION = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
ROUNDS = 20


@asynccontextmanager
async def device(server: ServerProcess, name: str, store: Path) -> AsyncIterator[nio.AsyncClient]:
    """A device with its keys in ``store``: of a new account, or a further one of an account that exists."""
    await asyncio.to_thread(store.mkdir)
    config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
    client = nio.AsyncClient(server.url, f"@{name}:localhost", store_path=str(store), config=config)
    try:
        answer = await client.register_with_token(name, PASSWORD, server.registration_token)
        if not isinstance(answer, nio.RegisterResponse):
            answer = await client.login(PASSWORD)
            assert isinstance(answer, nio.LoginResponse), answer
        assert client.should_upload_keys
        yield client
    finally:
        await client.close()


async def turn(client: nio.AsyncClient) -> nio.SyncResponse:
    """One round of what ``sync_forever`` does."""
    answer = await client.sync(timeout=0)
    assert isinstance(answer, nio.SyncResponse), answer
    done: list[Any] = await client.send_to_device_messages()
    if client.should_upload_keys:
        done.append(await client.keys_upload())
    if client.should_query_keys:
        done.append(await client.keys_query())
    if client.should_claim_keys:
        done.append(await client.keys_claim(client.get_users_for_key_claiming()))
        client.olm.collect_key_requests()
        done += await client.send_to_device_messages()
    assert not [answer for answer in done if isinstance(answer, nio.ErrorResponse)], done
    return answer


async def turns_until(condition: Callable[[], bool], *clients: nio.AsyncClient) -> None:
    """Let the clients take turns until the condition holds."""
    for _ in range(ROUNDS):
        for client in clients:
            await turn(client)
        if condition():
            return
    raise AssertionError(f"not so after {ROUNDS} rounds")


async def say(client: nio.AsyncClient, room_id: str, body: str) -> str:
    """Send a message, which nio encrypts after it has given the session to every device."""
    content = {"msgtype": "m.text", "body": body}
    answer = await client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
    assert isinstance(answer, nio.RoomSendResponse), answer
    return str(answer.event_id)


async def heard(client: nio.AsyncClient, room_id: str, count: int = 1) -> list[tuple[str, str, bool]]:
    """What the next ``count`` messages are: sender, body, and whether a known device encrypted them."""
    found: list[tuple[str, str, bool]] = []
    for _ in range(ROUNDS):
        room = (await turn(client)).rooms.join.get(room_id)
        for event in room.timeline.events if room else []:
            assert not isinstance(event, nio.MegolmEvent), f"not decrypted: {event}"
            if isinstance(event, nio.RoomMessageText) and event.sender != client.user_id:
                found.append((event.sender, event.body, event.decrypted))
        if len(found) >= count:
            return found
    raise AssertionError(f"only {found}")


async def encrypted_room(alice: nio.AsyncClient, bob: nio.AsyncClient) -> str:
    made = await alice.room_create(name="Tea", invite=[bob.user_id], initial_state=[ENCRYPTION])
    assert isinstance(made, nio.RoomCreateResponse), made
    room_id = str(made.room_id)
    assert isinstance(await bob.join(room_id), nio.JoinResponse)
    await turns_until(lambda: knows(alice, bob) and knows(bob, alice), alice, bob)
    assert alice.rooms[room_id].encrypted
    assert bob.rooms[room_id].encrypted
    return room_id


def knows(client: nio.AsyncClient, other: nio.AsyncClient) -> bool:
    return other.device_id in client.device_store[other.user_id]


async def verify(starter: nio.AsyncClient, other: nio.AsyncClient) -> None:
    """Compare emoji over to-device messages; both then trust each other's device."""
    began = starter.device_store[other.user_id][other.device_id]
    assert isinstance(await starter.start_key_verification(began), nio.ToDeviceResponse)
    await turns_until(lambda: bool(other.key_verifications), other)
    (transaction,) = other.key_verifications
    assert isinstance(await other.accept_key_verification(transaction), nio.ToDeviceResponse)
    both = [starter.key_verifications[transaction], other.key_verifications[transaction]]
    await turns_until(lambda: all(sas.established_sas for sas in both), starter, other)
    assert both[0].get_emoji() == both[1].get_emoji()
    for client in starter, other:
        assert isinstance(await client.confirm_short_auth_string(transaction), nio.ToDeviceResponse)
    await turns_until(lambda: all(sas.verified for sas in both), starter, other)
    assert starter.device_store[other.user_id][other.device_id].verified
    assert other.device_store[starter.user_id][starter.device_id].verified


async def ciphertext(client: nio.AsyncClient, room_id: str, event_id: str) -> dict[str, Any]:
    """What the server keeps of an event."""
    async with httpx.AsyncClient(base_url=client.homeserver) as http:
        headers = {"Authorization": f"Bearer {client.access_token}"}
        answer = await http.get(f"/_matrix/client/v3/rooms/{room_id}/event/{event_id}", headers=headers)
    content: dict[str, Any] = answer.json()["content"]
    return content


async def test_an_encrypted_conversation(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        async with AsyncExitStack() as stack:
            alice = await stack.enter_async_context(device(server, "alice", tmp_path / "alice"))
            bob = await stack.enter_async_context(device(server, "bob", tmp_path / "bob"))
            room_id = await encrypted_room(alice, bob)

            event_id = await say(alice, room_id, "hello bob")
            assert await heard(bob, room_id) == [(alice.user_id, "hello bob", True)]
            assert "hello" not in str(await ciphertext(bob, room_id, event_id))
            await say(bob, room_id, "hello alice")
            assert await heard(alice, room_id) == [(bob.user_id, "hello alice", True)]

            await verify(alice, bob)

            server.stop()
            server.start()
            await say(bob, room_id, "are you still there?")
            assert await heard(alice, room_id) == [(bob.user_id, "are you still there?", True)]
        assert "Traceback" not in server.log


async def test_a_new_device_asks_for_the_keys(tmp_path: Path) -> None:
    """It reads what came before it, once its older sibling trusts it and has passed the session on."""
    with ServerProcess(tmp_path / "data") as server:
        async with AsyncExitStack() as stack:
            alice = await stack.enter_async_context(device(server, "alice", tmp_path / "alice"))
            bob = await stack.enter_async_context(device(server, "bob", tmp_path / "bob"))
            room_id = await encrypted_room(alice, bob)
            await say(alice, room_id, "before the laptop")
            await heard(bob, room_id)

            laptop = await stack.enter_async_context(device(server, "bob", tmp_path / "laptop"))
            (old,) = (
                event
                for event in (await turn(laptop)).rooms.join[room_id].timeline.events
                if isinstance(event, nio.MegolmEvent)
            )
            await turns_until(lambda: knows(bob, laptop) and knows(laptop, bob), laptop, bob)
            await verify(laptop, bob)
            assert isinstance(await laptop.request_room_key(old), nio.RoomKeyRequestResponse)
            await turns_until(lambda: not laptop.outgoing_key_requests, bob, laptop)
            assert laptop.decrypt_event(old).body == "before the laptop"

            await turns_until(lambda: knows(alice, laptop), alice)
            await say(alice, room_id, "and after")
            for client in bob, laptop:
                assert await heard(client, room_id) == [(alice.user_id, "and after", True)]


async def test_claimed_one_time_keys_are_replaced(tmp_path: Path) -> None:
    """The count in /sync falls by each key that a new sibling claims, and nio uploads more of them."""
    with ServerProcess(tmp_path / "data") as server:
        async with AsyncExitStack() as stack:
            alice = await stack.enter_async_context(device(server, "alice", tmp_path / "alice"))
            bob = await stack.enter_async_context(device(server, "bob", tmp_path / "bob"))
            room_id = await encrypted_room(alice, bob)
            full = (await turn(bob)).device_key_count.signed_curve25519
            await say(alice, room_id, "one")
            answer = await bob.sync(timeout=0)
            assert answer.device_key_count.signed_curve25519 == full - 1
            assert bob.should_upload_keys
            await turns_until(lambda: not bob.should_upload_keys, bob)
            assert (await turn(bob)).device_key_count.signed_curve25519 == full
