"""A Synapse that was filled and has stopped, what it answered before, and the server that was made of it."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.synapse_import.belongings import answers, give
from tests.interop.synapse_import.encrypted import Talk
from tests.interop.synapse_import.filling import Client, Size, Town, fill
from tests.interop.synapse_import.recovery import Recovery
from tests.interop.synapse_import.servers import NewPalpo, OldSynapse, drop_database, make_database
from tests.support.authority import Authority

KILLED = """
import os, signal, sys
from palpo.cli.main import main
from palpo.services.administration.synapse_import import events
from palpo.services.administration.synapse_import.synapse_import import SynapseImport
left, store, events.BATCH = int(sys.argv[1]), SynapseImport._store, 40
async def dying(self, step, batch, at, tx):
    global left
    await store(self, step, batch, at, tx)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
SynapseImport._store = dying
sys.exit(main(sys.argv[2:]))
"""
"""The command, which is killed within its n-th transaction."""


@dataclass(slots=True, kw_only=True)
class World:
    """All of it."""

    old: OldSynapse
    new: NewPalpo
    town: Town
    talk: Talk
    recovery: Recovery
    before: dict[str, Any] = field(default_factory=dict)
    """What Synapse showed users of their rooms."""
    answered: dict[str, Any] = field(default_factory=dict)
    """What it answered them otherwise."""
    report: dict[str, Any] = field(default_factory=dict)
    """What the command said."""
    seconds: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def world(folder: Path, kind: str, size: Size) -> AsyncIterator[World]:
    """It is imported, and ours runs."""
    name = f"synapse_{secrets.token_hex(4)}" if kind == "postgresql" else ""
    if name:
        await make_database(name)
    old = OldSynapse(folder / "synapse", Authority(folder), database=name)
    try:
        made = await _filled(folder, old, size)
        begun = time.monotonic()
        made.report = await made.new.imported(old)
        made.seconds["imported"] = time.monotonic() - begun
        await made.new.start()
        try:
            yield made
        finally:
            await made.new.stop()
            await made.talk.close()
    finally:
        await old.stop()
        if name:
            await drop_database(name)


async def _filled(folder: Path, old: OldSynapse, size: Size) -> World:
    begun = time.monotonic()
    await old.start()
    town = Town()
    async with Client(old.url, town) as client:
        await fill(client, size)
        await give(client)
        talk = Talk(old, folder / "encrypted", size.pairs)
        await talk.begin()
        recovery = Recovery(old, folder / "recovery")
        await recovery.begin()
        seconds = {"filled": time.monotonic() - begun}
        town.tokens |= recovery.tokens | talk.tokens
        answered = await answers(client)
        before = await shown(client)
    await talk.close()
    await old.stop()
    new = NewPalpo(folder / "palpo", old)
    return World(
        old=old,
        new=new,
        town=town,
        talk=talk,
        recovery=recovery,
        before=before,
        answered=answered,
        seconds=seconds,
    )


async def shown(client: Client, users: int = 5) -> dict[str, Any]:
    """What users are shown of their rooms, from beginning to end."""
    found: dict[str, Any] = {}
    for user in client.town.users[:users]:
        synced = (await client.ask(user, "GET", "/sync"))["rooms"]
        found[user] = {
            "join": sorted(synced.get("join", {})),
            "invite": sorted(synced.get("invite", {})),
            "state": {room: await _state(client, user, room) for room in synced.get("join", {})},
            "history": {room: await _history(client, user, room) for room in synced.get("join", {})},
        }
    return found


async def _state(client: Client, user: str, room_id: str) -> dict[str, str]:
    state = await client.ask(user, "GET", f"/rooms/{room_id}/state")
    return {f"{event['type']} {event['state_key']}": event["event_id"] for event in state}


async def _history(client: Client, user: str, room_id: str) -> list[tuple[Any, ...]]:
    events = await client.scrolled(user, room_id)
    return [(event["event_id"], event["type"], event["sender"], event["content"]) for event in events]


def killed(new: NewPalpo, old: OldSynapse, writes: int) -> int:
    """Import, and be killed within so many transactions; the exit status."""
    command = [sys.executable, "-c", KILLED, str(writes), "import", "synapse", str(old.configuration)]
    done = subprocess.run(
        [*command, "--config", str(new.configuration)],
        capture_output=True,
        env=new._environment(),
        timeout=300,
    )
    return done.returncode


async def again(folder: Path, old: OldSynapse) -> tuple[list[int], dict[str, Any]]:
    """Import into another database, killed now and then; the exit statuses, and what is said in the end."""
    new = NewPalpo(folder, old)
    statuses = [await asyncio.to_thread(killed, new, old, writes) for writes in (3, 14, 7)]
    return statuses, await new.imported(old)
