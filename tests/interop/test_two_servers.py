"""matrix-nio and matrix-js-sdk on two servers, one of each on both: they encrypt to each other.

Beside ours stands another of ours, and Synapse where the laboratory has installed it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nio
import pytest
from nio.crypto import decrypt_attachment

from tests.interop.test_js_sdk import stage, tools
from tests.support.authority import Authority
from tests.support.puppets import Puppets, puppets
from tests.support.two_servers import Neighbour, Palpo, Synapse

pytest.importorskip("vodozemac", reason="matrix-nio's extra 'e2e' is not installed")

# nio's dependencies are not free of deprecated calls; its own warnings are not ours to mend.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.one_database]

PASSWORD = "correct horse battery"
WAIT_S = 90.0
"""For what comes from the other server: after an outage that waits until it is asked again."""
PAUSE_S = 0.1


class Nio:
    """A device of nio's that syncs whenever it waits for something."""

    def __init__(self, client: nio.AsyncClient) -> None:
        self.client = client
        self._events: dict[str, nio.Event] = {}

    @property
    def user_id(self) -> str:
        return str(self.client.user_id)

    @property
    def device_id(self) -> str:
        return str(self.client.device_id)

    async def turn(self) -> None:
        """One round of what ``sync_forever`` does."""
        client = self.client
        answer = await client.sync(timeout=0)
        assert isinstance(answer, nio.SyncResponse), answer
        for room in answer.rooms.join.values():
            self._events.update({event.event_id: event for event in room.timeline.events})
        done: list[Any] = await client.send_to_device_messages()
        if client.should_upload_keys:
            done.append(await client.keys_upload())
        if client.should_query_keys:
            done.append(await client.keys_query())
        if client.should_claim_keys:
            done.append(await client.keys_claim(client.get_users_for_key_claiming()))
        assert not [item for item in done if isinstance(item, nio.ErrorResponse)], done

    async def until(self, true: Callable[[], object], what: str) -> None:
        """Sync until something is so."""
        async with asyncio.timeout(WAIT_S) as timer:
            try:
                while not true():
                    await self.turn()
                    await asyncio.sleep(PAUSE_S)
            except asyncio.CancelledError:
                if timer.expired():
                    raise AssertionError(f"{self.user_id}: not within {WAIT_S:g} s: {what}") from None
                raise

    def knows(self, user_id: str, device_id: str) -> bool:
        return device_id in self.client.device_store[user_id]

    async def say(self, room_id: str, body: str) -> str:
        return await self.send(room_id, {"msgtype": "m.text", "body": body})

    async def send(self, room_id: str, content: dict[str, Any]) -> str:
        await self.turn()
        answer = await self.client.room_send(
            room_id, "m.room.message", content, ignore_unverified_devices=True
        )
        assert isinstance(answer, nio.RoomSendResponse), answer
        return str(answer.event_id)

    async def event(self, room_id: str, event_id: str) -> Any:
        """An event, decrypted."""
        await self.until(lambda: event_id in self._events, f"{event_id} is there")
        await self.until(lambda: self._decrypted(event_id) is not None, f"{event_id} can be read")
        return self._decrypted(event_id)

    def _decrypted(self, event_id: str) -> nio.Event | None:
        event = self._events[event_id]
        if not isinstance(event, nio.MegolmEvent):
            return event
        try:
            return self.client.decrypt_event(event)
        except nio.EncryptionError:
            return None


@asynccontextmanager
async def nio_device(server: Neighbour, name: str, store: Path) -> AsyncIterator[Nio]:
    """A device with its keys in ``store``: of a new account, or a further one of an account that exists."""
    await asyncio.to_thread(store.mkdir)
    config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
    client = nio.AsyncClient(server.url, f"@{name}:{server.name}", store_path=str(store), config=config)
    try:
        answer = await client.register(name, PASSWORD)
        if not isinstance(answer, nio.RegisterResponse):
            client.user = client.user_id = f"@{name}:{server.name}"
            answer = await client.login(PASSWORD)
            assert isinstance(answer, nio.LoginResponse), answer
        device = Nio(client)
        await device.turn()
        yield device
    finally:
        await client.close()


@dataclass(slots=True)
class Four:
    """Alice (nio) and Carol (the SDK) on one server, Dave (nio) and Bob (the SDK) on the other."""

    one: Neighbour
    two: Neighbour
    node: Puppets
    alice: Nio
    dave: Nio
    bob: str
    carol: str
    """The user IDs."""
    room_id: str = ""

    async def meet(self) -> None:
        """Come together in an encrypted room of Bob's, to which he invites.

        One joins after the other: of two joins beside each other Synapse shows the SDK but one.
        """
        self.room_id = await self.node.do("create", "bob", self.carol, self.alice.user_id, self.dave.user_id)
        for device in self.alice, self.dave:
            await device.until(lambda d=device: self.room_id in d.client.invited_rooms, "the invite is there")  # type: ignore[misc]
            answer = await device.client.join(self.room_id)
            assert isinstance(answer, nio.JoinResponse), answer
            await self.node.do("knows", "bob", self.room_id, device.user_id)
        await self.node.do("join", "carol", self.room_id, self.two.name)
        users = self.alice.user_id, self.dave.user_id, self.bob, self.carol
        for name in "bob", "carol":
            await self.node.do("knows", name, self.room_id, *users)
        bob, carol = await self.node.do("keys", "bob"), await self.node.do("keys", "carol")
        for device, other in (self.alice, self.dave), (self.dave, self.alice):
            await device.until(
                lambda d=device, o=other: (
                    d.knows(self.bob, bob["device"])  # type: ignore[misc]
                    and d.knows(self.carol, carol["device"])
                    and d.knows(o.user_id, o.device_id)
                ),
                "everybody's devices are known",
            )

    async def all_read(self, event_id: str, body: str, *, nios: tuple[Nio, ...] = ()) -> None:
        """Everybody reads a message."""
        for device in nios or (self.alice, self.dave):
            assert (await device.event(self.room_id, event_id)).body == body
        for name in "bob", "carol":
            assert await self.node.do("body", name, self.room_id, event_id) == body

    async def all_say(self, what: str) -> None:
        """Everybody says something, and all read it."""
        for device in self.alice, self.dave:
            body = f"{what}, says {device.user_id}"
            await self.all_read(await device.say(self.room_id, body), body)
        for name in "bob", "carol":
            body = f"{what}, says {name}"
            await self.all_read(await self.node.do("say", name, self.room_id, body), body)


@asynccontextmanager
async def four(folder: Path, kind: type[Neighbour]) -> AsyncIterator[Four]:
    """Two servers and the people on them."""
    environment = tools()
    await asyncio.to_thread(stage, folder / "js", environment)
    authority = Authority(folder)
    one, two = Palpo(folder / "one", authority), kind(folder / "two", authority)
    try:
        await asyncio.gather(one.start(), two.start())
        async with (
            puppets(folder / "js", one.url, environment) as node,
            nio_device(one, "alice", folder / "alice") as alice,
            nio_device(two, "dave", folder / "dave") as dave,
        ):
            carol = await node.do("register", "carol", one.url)
            bob = await node.do("register", "bob", two.url)
            for name in "bob", "carol":
                await node.do("bootstrap", name)
            yield Four(one, two, node, alice, dave, bob, carol)
    finally:
        await asyncio.gather(one.stop(), two.stop())


def neighbour(name: str) -> type[Neighbour]:
    """The other server; skips the test where it is not installed."""
    if name == "synapse":
        Synapse.python()
        return Synapse
    return Palpo


@pytest.mark.parametrize("other", ["palpo", "synapse"])
async def test_two_servers(tmp_path: Path, other: str) -> None:
    async with four(tmp_path, neighbour(other)) as people:
        await people.meet()
        await people.all_say("hello")
        await verify_with_emoji(people.alice, people.dave)
        await people.node.do("verify", "bob", "carol", people.room_id)
        await compare_keys(people, people.alice, "bob", people.bob)
        await compare_keys(people, people.dave, "carol", people.carol)
        await share_files(people)
        for server, here, there in (
            (people.two, people.alice, "bob"),
            (people.one, people.dave, "carol"),
        ):
            await an_outage(people, tmp_path, server, here, there)
        assert "Traceback" not in people.one.log


async def verify_with_emoji(one: Nio, other: Nio) -> None:
    """Compare emoji over to-device messages; both then trust each other's device."""
    began = one.client.device_store[other.user_id][other.device_id]
    assert isinstance(await one.client.start_key_verification(began), nio.ToDeviceResponse)
    await other.until(lambda: other.client.key_verifications, "the other has been asked")
    (transaction,) = other.client.key_verifications
    assert isinstance(await other.client.accept_key_verification(transaction), nio.ToDeviceResponse)
    both = [device.client.key_verifications[transaction] for device in (one, other)]
    await turns_until(lambda: all(sas.established_sas for sas in both), one, other)
    assert both[0].get_emoji() == both[1].get_emoji()
    for device in one, other:
        assert isinstance(await device.client.confirm_short_auth_string(transaction), nio.ToDeviceResponse)
    await turns_until(lambda: all(sas.verified for sas in both), one, other)
    assert one.client.device_store[other.user_id][other.device_id].verified
    assert other.client.device_store[one.user_id][one.device_id].verified


async def turns_until(true: Callable[[], bool], *devices: Nio) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():
            for device in devices:
                await device.turn()


async def compare_keys(people: Four, device: Nio, name: str, user_id: str) -> None:
    """Each reads out the key of its device, finds the other's to be what was read out, and trusts it."""
    keys = await people.node.do("keys", name)
    known = device.client.device_store[user_id][keys["device"]]
    assert known.ed25519 == keys["ed25519"]
    assert known.curve25519 == keys["curve25519"]
    assert device.client.verify_device(known)
    account = device.client.olm.account
    found = await people.node.do("keysOf", name, device.user_id)
    assert found[device.device_id] == account.identity_keys["ed25519"]
    assert await people.node.do("trust", name, device.user_id, device.device_id)


async def share_files(people: Four) -> None:
    """Each kind of client reads what the other has encrypted, from the other's server."""
    for name, device in (("bob", people.alice), ("carol", people.dave)):
        text = f"a file of {name}'s"
        event_id = await people.node.do("share", name, people.room_id, "file.txt", text)
        event = await device.event(people.room_id, event_id)
        answer = await device.client.download(event.url)
        assert isinstance(answer, nio.DownloadResponse), answer
        file = event.source["content"]["file"]
        assert (
            decrypt_attachment(answer.body, event.key["k"], event.hashes["sha256"], event.iv) == text.encode()
        )
        assert file["url"] == event.url
    for device, name in ((people.alice, "bob"), (people.dave, "carol")):
        text = f"a file of {device.user_id}"
        uploaded, keys = await device.client.upload(
            lambda *_, t=text: io.BytesIO(t.encode()),
            "text/plain",
            "file.txt",
            encrypt=True,
            filesize=len(text),
        )
        assert isinstance(uploaded, nio.UploadResponse), uploaded
        file = {**keys, "url": uploaded.content_uri}
        content = {"msgtype": "m.file", "body": "file.txt", "file": file}
        event_id = await device.send(people.room_id, content)
        assert await people.node.do("file", name, people.room_id, event_id) == text


async def an_outage(people: Four, folder: Path, server: Neighbour, here: Nio, there: str) -> None:
    """A server is away. What is said meanwhile arrives, and a device that is new since then is given keys."""
    name = here.user_id[1:].partition(":")[0]
    alive = people.one if server is people.two else people.two
    await server.stop()
    event_id = await here.say(people.room_id, "while you were away")
    async with nio_device(alive, name, folder / f"laptop of {name}") as laptop:
        await server.start()
        assert await people.node.do("body", there, people.room_id, event_id) == "while you were away"
        async with asyncio.timeout(WAIT_S):
            while laptop.device_id not in await people.node.do("keysOf", there, here.user_id):
                await here.turn()
        body = "to all your devices"
        event_id = await people.node.do("say", there, people.room_id, body)
        await people.all_read(event_id, body, nios=(laptop, people.alice, people.dave))
    await people.all_say("and on we go")
