"""A server that is killed amid long work, and commands that are: ``python -m tests.interop.sigkill_jobs``.

One server has a job of each kind that there is (``app/composition/job_handlers.py``), all at once and in any
order. It is killed while one is done that it was not killed amid before, then whenever one has come further,
and started again; then all must be as if nothing had happened. Commands that take long are killed at some
point, and given again:

    backup create, restore, database copy    by what they make
    media purge-local, media sweep           no row without its file; in the end no file without a row
"""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from palpo.app import built
from palpo.app.composition.job_handlers import job_handlers
from palpo.config.model import Config
from palpo.core.canonical_json import to_json
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.jobs import JobState
from palpo.db.copies.archive import read_manifest
from palpo.db.tables import metadata
from palpo.services.administration import background_updates
from palpo.services.administration.backups.checking import verify
from palpo.services.administration.backups.contents import DATABASE, PARTIAL, name_of, whole
from palpo.services.administration.backups.making import make
from palpo.services.administration.backups.orders import Origin
from palpo.services.administration.history_purge import Point
from palpo.services.administration.redactions import Wanted
from palpo.services.administration.room_deletion import DeletionWish
from tests.api.admin.test_history_purge import nodes_of_roots
from tests.api.admin.test_media import picture, upload
from tests.api.admin.test_room_deletion import left_of
from tests.support.forked import Forked
from tests.support.homeserver import Client, Homeserver, config, homeserver
from tests.support.process import ServerProcess, free_port

ADMIN = UserId("@alice:test.example")
YEAR_MS = 365 * 24 * 3600 * 1000
BACKED_UP_TS = 1_600_000_000_000
"""When the backup was made that a job reads."""
PATIENCE_S = 240.0
LOOK_S = 0.002


@dataclass(slots=True, kw_only=True)
class Town:
    """What is on the server before."""

    room: dict[str, str] = field(default_factory=dict)
    """By what becomes of it."""
    sent: dict[str, list[str]] = field(default_factory=dict)
    """The messages of each, by bob and alice in turn."""
    gone: list[str] = field(default_factory=list)
    """The media that go with their events."""
    kept: list[str] = field(default_factory=list)
    found_by: list[tuple[str, str]] = field(default_factory=list)
    """The words of each user in the directory."""


class Run:
    """One of them."""

    def __init__(self, folder: Path, *, messages: int, kills: int, seed: int) -> None:
        self._folder, self._messages, self._kills = folder, messages, kills
        self._rng = Random(seed)
        self._town = Town()
        self.moves: list[str] = []
        """What had come further, each time that the server was killed."""
        self.amid: set[str] = set()
        """The kinds of jobs that were being done at some time that it was killed."""
        self.missed: list[str] = []
        """Those that never were."""

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _backups(self) -> Path:
        return self._folder / "backups"

    def settings(self) -> dict[str, Any]:
        return {
            "retention": {"enabled": True},
            "backup": {"folder": str(self._backups), "every_hours": 10_000},
            "admins": [ADMIN],
        }

    @property
    def uploads(self) -> int:
        """How many files are uploaded to be purged."""
        return self._messages // 5

    def config(self) -> Config:
        """What the server in this process has, and commands."""
        return config(self._data, **self.settings())

    async def go(self) -> None:
        """Fill a server, have it do its work, kill it meanwhile, and compare."""
        self._data.mkdir()
        await self._fill()
        await self._begin()
        process = self._process()
        for _ in range(self._kills):
            await asyncio.to_thread(process.start)
            try:
                before = self._jobs()
                moved = await until(lambda before=before: self._due(before))  # type: ignore[misc]
                await asyncio.sleep(self._rng.random() / 50)
            finally:
                await asyncio.to_thread(process.kill)
            self.moves.append(moved)
            self.amid.update(kind for kind, state, _ in self._jobs().values() if state == "active")
            if moved == "all done":
                break
        await asyncio.to_thread(process.start)
        try:
            await until(
                lambda: all(state not in ("scheduled", "active") for _, state, _ in self._jobs().values())
            )
        finally:
            await asyncio.to_thread(process.stop)
        await self._compare()

    def _process(self) -> ServerProcess:
        port = free_port()
        lines = f"""
server_name = "test.example"
data = {_json(str(self._data))}
rate_limits.enabled = false
federation.enabled = false
retention.enabled = true
backup.folder = {_json(str(self._backups))}
backup.every_hours = 10000
[[listeners]]
bind = "127.0.0.1:{port}"
"""
        (self._data / "palpo.toml").write_text(lines)
        return ServerProcess(self._data, port=port)

    async def _fill(self) -> None:
        async with homeserver(self._data, **self.settings()) as server:
            alice, bob = await server.register("alice"), await server.register("bob")
            for name in ("deleted", "purged", "expired", "redacted", "left alone"):
                retention = {
                    "type": "m.room.retention",
                    "state_key": "",
                    "content": {"max_lifetime": YEAR_MS},
                }
                state = [retention] if name == "expired" else []
                room_id = await alice.create_room(preset="public_chat", initial_state=state)
                await bob.post(f"/join/{room_id}", {})
                self._town.room[name] = room_id
                senders = [alice, bob]
                self._town.sent[name] = [
                    await self._say(senders[number % 2], room_id, number) for number in range(self._messages)
                ]
                await self._pictures(alice, name, room_id)
            self._town.sent["purged"].append(await alice.send(self._town.room["purged"], "from here on"))
            for number in range(self._messages // 10):
                await server.register(f"somebody{number}")
        # What the background updates are to make anew is not there any more.
        with closing(sqlite3.connect(self._data / "palpo.db")) as db, db:
            self._town.found_by = _words(db)
            db.execute("DELETE FROM user_words")
            db.execute("DELETE FROM room_summaries")

    async def _say(self, client: Client, room_id: str, number: int) -> str:
        if number % 10 == 0:
            await client.put(
                f"/rooms/{room_id}/state/x.y/{number % 30}{client.user_id}", {"n": number}, status=None
            )
        return await client.send(room_id, f"words {number}")

    async def _pictures(self, alice: Client, name: str, room_id: str) -> None:
        for number in range(3):
            media_id = await upload(alice, f"{name} {number}".encode())
            await picture(alice, room_id, media_id)
            shared = number == 0 and name != "left alone"
            if shared:
                uri = f"mxc://test.example/{media_id}"
                await alice.put(f"/user/{alice.user_id}/account_data/x.{name.replace(' ', '')}", {"url": uri})
            goes = name in ("deleted", "purged", "expired") and not shared
            (self._town.gone if goes else self._town.kept).append(media_id)

    async def _begin(self) -> None:
        """Begin all jobs, beside no server: it begins with them at its start."""
        room = {name: RoomId(room_id) for name, room_id in self._town.room.items()}
        config = self.config()
        backup = await asyncio.to_thread(make, Origin.of(config), self._backups, BACKED_UP_TS, _untold)
        async with built(config) as services:
            administration = services.administration
            purge = administration.history_purge
            before = await purge.before_event(room["purged"], self._town.sent["purged"][-1])
            wanted = Wanted(rooms=[room["redacted"]], limit=100_000)
            updates = administration.background_updates
            begin: list[Callable[[], Awaitable[object]]] = [
                lambda: administration.room_deletion.start(room["deleted"], DeletionWish(), by=ADMIN),
                lambda: purge.start(room["purged"], Point(before=before, local_too=True), by=ADMIN),
                lambda: administration.user_redactions.begin(UserId("@bob:test.example"), wanted, by=ADMIN),
                lambda: administration.retention_sweep.begin(by=ADMIN),
                lambda: administration.state_sweep.begin(by=ADMIN),
                lambda: administration.backups.begin(requested_by=ADMIN),
                lambda: administration.backups.verify(backup.name, requested_by=ADMIN),
                *(partial(updates.start, kind, by=ADMIN) for kind in background_updates.KINDS),
            ]
            self._rng.shuffle(begin)
            for each in begin:
                await each()

    def _jobs(self) -> dict[str, tuple[str, str, bytes]]:
        """Kind, state and checkpoint of each."""
        with closing(sqlite3.connect(f"file:{self._data / 'palpo.db'}?mode=ro", uri=True, timeout=30)) as db:
            rows = db.execute("SELECT job_id, kind, state, checkpoint FROM jobs").fetchall()
        return {job_id: (kind, state, bytes(checkpoint)) for job_id, kind, state, checkpoint in rows}

    def _due(self, before: dict[str, tuple[str, str, bytes]]) -> str:
        """What to kill the server amid: a kind that it was not killed amid yet, or else what has moved."""
        unseen = [job for job in self._jobs().values() if job[0] not in self.amid]
        if all(JobState(state).ended for _, state, _ in unseen):
            return self._moved(before)
        return ", ".join(kind for kind, state, _ in unseen if JobState(state) is JobState.ACTIVE)

    def _moved(self, before: dict[str, tuple[str, str, bytes]]) -> str:
        """What has come further; empty where nothing has."""
        now = self._jobs()
        if all(JobState(state).ended for _, state, _ in now.values()):
            return "all done"
        return ", ".join(kind for job, (kind, *at) in now.items() if before.get(job, ())[1:] != tuple(at))

    async def _compare(self) -> None:
        jobs = self._jobs()
        assert {state for _, state, _ in jobs.values()} == {"complete"}, jobs
        with closing(sqlite3.connect(self._data / "palpo.db")) as db:
            assert _words(db) == self._town.found_by
            rooms = [room_id for name, room_id in self._town.room.items() if name != "deleted"]
            assert _summarized(db) == sorted(rooms)
        async with homeserver(self._data, **self.settings()) as server:
            kinds = job_handlers(server.services).keys()
            assert {kind for kind, _, _ in jobs.values()} == kinds, "one of each"
            self.missed = sorted(kinds - self.amid)
            alice, bob = await server.login("alice"), await server.login("bob")
            await self._compare_rooms(server, alice)
            await self._compare_media(server, alice)
            for name in ("purged", "expired", "redacted", "left alone"):
                assert await bob.send(self._town.room[name], "it goes on")
        made, backup = whole(self._backups)
        assert made.name == name_of(BACKED_UP_TS)
        assert [path for path in self._backups.iterdir() if path.suffix == PARTIAL] == []
        verify(backup, _untold)

    async def _compare_rooms(self, server: Homeserver, alice: Client) -> None:
        room, sent = self._town.room, self._town.sent
        assert await left_of(server, room["deleted"], sent["deleted"]) == {}
        needed, stored = await nodes_of_roots(server)
        assert stored == needed
        stored_pdus = server.services.history.events.pdus
        assert set(await stored_pdus(sent["purged"])) == {sent["purged"][-1]}
        assert await stored_pdus(sent["expired"]) == {}
        for name in ("redacted", "left alone"):
            events = await history(alice, room[name])
            assert [event["event_id"] for event in events if event["event_id"] in set(sent[name])] == sent[
                name
            ]
        events = await history(alice, room["redacted"])
        redactions = [event["redacts"] for event in events if event["type"] == "m.room.redaction"]
        of_bob = [
            event["event_id"]
            for event in events
            if event["sender"].startswith("@bob") and event["type"] != "m.room.redaction"
        ]
        assert sorted(redactions) == sorted(of_bob), "each once"
        assert not [event for event in events if event["event_id"] in of_bob and "body" in event["content"]]

    async def _compare_media(self, server: Homeserver, alice: Client) -> None:
        for names, status in ((self._town.gone, 404), (self._town.kept, 200)):
            for media_id in names:
                path = f"/client/v1/media/download/test.example/{media_id}"
                await alice.request("GET", path, status=status)
        await server.services.media.media_cleanup.sweep(age_seconds=-1)
        blobs = [path for path in (self._data / "media" / "blobs").rglob("*") if path.is_file()]
        assert len(blobs) == len(self._town.kept)


async def history(client: Client, room_id: str) -> list[dict[str, Any]]:
    """A room's events, the oldest first."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"dir": "f", "limit": 500}
    while True:
        page = await client.get(f"/rooms/{room_id}/messages", params=params)
        found += page["chunk"]
        if "end" not in page:
            return found
        params["from"] = page["end"]


async def until(true: Callable[[], Any]) -> Any:
    """Wait until something is so; what it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline, "it does not go on"
        await asyncio.sleep(LOOK_S)
    return found


class Commands:
    """Commands that take long, each killed at some point and given again."""

    def __init__(self, run: Run, folder: Path, *, kills: int, rng: Random) -> None:
        self._run, self._folder, self._kills, self._rng = run, folder, kills, rng
        self._data = folder / "data"

    async def go(self) -> None:
        """A backup, its way back, and a copy."""
        config_file = self._data / "palpo.toml"
        rows = _count_all(self._data / "palpo.db")
        backups = self._folder / "by hand"
        await self._killed(
            ("backup", "create", "--to", str(backups), "--config", str(config_file)),
            lambda: len(list(backups.glob(f"*{PARTIAL}/database/tables/*"))),
            most=80,
        )
        (made,) = whole(backups)
        verify(made, _untold)
        archived = read_manifest(made / DATABASE).tables
        assert {name: archived[name].rows for name in rows} == rows
        assert not list(backups.glob(f"*{PARTIAL}"))
        archive, rows = rows, _count_all(self._data / "palpo.db")  # The audit log has an entry more.
        copy = self._folder / "copy.db"
        await self._killed(
            ("database", "copy", "--to", f"sqlite:///{copy}", "--config", str(config_file)),
            lambda: _copied(copy),
            most=sum(rows.values()),
        )
        assert _count_all(copy) == rows
        other = self._folder / "restored"
        other.mkdir()
        restored = other / "palpo.toml"
        restored.write_text(config_file.read_text().replace(_json(str(self._data)), _json(str(other))))
        await self._killed(
            ("restore", str(made), "--config", str(restored)),
            lambda: _copied(other / "palpo.db"),
            most=sum(rows.values()),
            refused=("migrate", "--config", str(restored)),
        )
        assert {**_count_all(other / "palpo.db"), "server_meta": 0, "audit_log": 0} == {
            **archive,
            "server_meta": 0,
            "audit_log": 0,
        }
        blobs = [
            {path.name for path in (at / "media").rglob("*") if path.is_file()} for at in (self._data, other)
        ]
        assert blobs[0] == blobs[1]
        await self._purge_media(config_file)

    async def _purge_media(self, config_file: Path) -> None:
        """Files that nobody has asked for, and then what is left of those that were being removed."""
        async with homeserver(self._data, **self._run.settings()) as server:
            alice = await server.login("alice")
            for number in range(self._run.uploads):
                await upload(alice, f"unused {number}".encode())
        stored = len(self._files())
        purge = ("media", "purge-local", "--unused", "1d", "--pictures-too", "--config", str(config_file))
        await self._killed(
            purge, lambda: stored - len(self._files()), most=stored, each_time=self._rows_have_files
        )
        assert self._wanted() == set()
        assert len(self._files()) <= self._kills, "only what it was just removing"
        for _ in range(self._kills):  # What is of uploads that were cut short.
            name = bytes(self._rng.randrange(256) for _ in range(32)).hex()
            file = self._data / "media" / "blobs" / name[:2] / name[2:4] / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        stored = len(self._files())
        sweep = ("media", "sweep", "--age", "-1", "--config", str(config_file))
        await self._killed(sweep, lambda: stored - len(self._files()), most=stored)
        assert self._files() == set()

    def _files(self) -> set[str]:
        return {path.name for path in (self._data / "media" / "blobs").rglob("*") if path.is_file()}

    def _wanted(self) -> set[str]:
        """The files that rows have."""
        with closing(sqlite3.connect(self._data / "palpo.db", timeout=30)) as db:
            rows = db.execute("SELECT sha256 FROM media WHERE sha256 IS NOT NULL").fetchall()
        return {bytes(sha256).hex() for (sha256,) in rows}

    def _rows_have_files(self) -> None:
        assert self._wanted() <= self._files()

    async def _killed(
        self,
        command: tuple[str, ...],
        come: Callable[[], int],
        *,
        most: int,
        refused: tuple[str, ...] = (),
        each_time: Callable[[], None] = lambda: None,
    ) -> None:
        """Kill a command once it has come so far; give it again until it is done."""
        for number in range(self._kills):
            upto = most * (number + self._rng.random()) / (self._kills + 1)
            with (self._folder / "command.log").open("ab") as log:
                process = Forked(command, stdout=log, stderr=log)
                await until(lambda p=process, upto=upto: come() > upto or p.poll() is not None)  # type: ignore[misc]
                process.send_signal(9)
                await asyncio.to_thread(process.wait, 60)
            each_time()
            if refused and come():
                assert await self._status(refused) != 0, "a server would start on it"
        assert await self._status(command) == 0, (self._folder / "command.log").read_text()

    async def _status(self, command: tuple[str, ...]) -> int:
        with (self._folder / "command.log").open("ab") as log:
            process = Forked(command, stdout=log, stderr=log)
            return await asyncio.to_thread(process.wait, PATIENCE_S)


def _words(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return sorted(db.execute("SELECT user_id, word FROM user_words").fetchall())


def _summarized(db: sqlite3.Connection) -> list[str]:
    return [room_id for (room_id,) in db.execute("SELECT room_id FROM room_summaries ORDER BY room_id")]


def _untold(*_: object) -> None:
    return None


def _copied(file: Path) -> int:
    """How many rows an unfinished copy has; 0 where it has not begun, or is whole."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as db:
        try:
            (found,) = db.execute(
                "SELECT sum(rows_copied) FROM unfinished_copy WHERE table_name <> ''"
            ).fetchone()
        except sqlite3.OperationalError:
            return 0
    return found or 0


def _count_all(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as db:
        return {
            name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in metadata.tables.keys() - {"leases"}
        }


def _json(text: str) -> str:
    return to_json(text).decode()


async def run(folder: Path, *, messages: int, kills: int, seed: int) -> Run:
    """Kill a server so often amid its jobs, and each command."""
    jobs = Run(folder, messages=messages, kills=kills, seed=seed)
    await jobs.go()
    await Commands(jobs, folder, kills=max(1, kills // 4), rng=Random(seed)).go()
    return jobs


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.sigkill_jobs", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000, help="in each of five rooms")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="palpo-sigkill-") as folder:
        begun = time.monotonic()
        counts = {"messages": options.messages, "kills": options.kills, "seed": options.seed}
        done = asyncio.run(run(Path(folder), **counts))
    for number, moved in enumerate(done.moves, 1):
        print(f"killed {number}: {moved}")
    if done.missed:
        print(f"never killed amid {', '.join(done.missed)}")
    print(f"nothing is lost, {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
