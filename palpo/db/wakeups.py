"""Wake-ups from process to process: what one commits, the others hear of, as a hint.

    commit -> ProcessWakeups.publish -> (a link: NOTIFY, Redis) -> the others' on_commit

A hint may be late, doubled or lost; whoever is woken reads the database. Commits that wait to be
sent are merged into one, so a slow link delays hints and never piles them up.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from palpo.db.engine import Commit
from palpo.db.topics import EVERYTHING, from_texts, merged, to_texts

PATIENCE_S = 5.0
"""How long a link may take to send a message, or to bring it back; one that takes longer is lost."""

MAX_PARTS = 64
MAX_SENDERS = 100
"""Of messages that are not complete."""
_PART = re.compile(r"(\w+)/(\d+)/(\d+)/")

OnCommit = Callable[[Commit], None]
ReadPosition = Callable[[], Awaitable[int]]


class ProcessWakeups(Protocol):
    """How processes tell each other of their commits."""

    async def start(self, on_commit: OnCommit) -> None:
        """Connect, and from then on call ``on_commit`` for what other processes commit."""
        ...

    def publish(self, commit: Commit) -> None:
        """Tell the others, soon; never waits, never raises."""
        ...

    async def stop(self) -> None:
        """Disconnect. What had been published is sent where the link is up."""
        ...


class Link(Protocol):
    """A channel that carries text to every process, the sending one included."""

    async def open(self, receive: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Connect; call ``receive`` for each message, and ``lost`` when the connection is gone."""
        ...

    async def send(self, message: str) -> None:
        """Send to everyone."""
        ...

    async def close(self) -> None:
        """Disconnect; no error if that had happened already."""
        ...


def encode(commits: Sequence[Commit], *, sender: str, limit: int) -> str:
    """``[sender, [[since, position, [topic, ...]], ...]]`` as JSON of at most ``limit`` bytes.

    What would be longer becomes one commit that is for everyone.
    """
    encoded = msgspec.json.encode([sender, [_row(commit) for commit in commits]])
    if len(encoded) > limit:
        everything = Commit(position=max(commit.position for commit in commits), all_topics=True)
        encoded = msgspec.json.encode([sender, [_row(everything)]])
    return encoded.decode()


def _row(commit: Commit) -> tuple[int, int, list[str]]:
    return commit.since, commit.position, [EVERYTHING] if commit.all_topics else to_texts(commit.topics)


_DECODER = msgspec.json.Decoder(tuple[str, list[tuple[int, int, list[str]]]])


def decode(message: str) -> tuple[str, list[Commit]] | None:
    """The sender and its commits; None where the message is none of ours."""
    try:
        sender, rows = _DECODER.decode(message)
    except msgspec.MsgspecError:
        return None
    return sender, [_commit(*row) for row in rows]


def _commit(since: int, position: int, texts: list[str]) -> Commit:
    if EVERYTHING in texts:
        return Commit(position=position, all_topics=True, since=since)
    return Commit(position=position, topics=from_texts(texts), since=since)


def parts(message: str, sender: str, limit: int) -> list[str]:
    """``message``, or its parts: ``sender/number/count/text``, of at most ``limit`` bytes each."""
    if len(message.encode()) <= limit:
        return [message]
    size = (limit - len(sender) - 10) // (1 if message.isascii() else 4)
    texts = [message[start : start + size] for start in range(0, len(message), size)]
    return [f"{sender}/{number}/{len(texts)}/{text}" for number, text in enumerate(texts)]


class Parts:
    """Puts messages together of which the parts come in order, those of each sender by themselves."""

    def __init__(self) -> None:
        self._begun: dict[str, list[str]] = {}

    def joined(self, message: str) -> str | None:
        """The whole message, if this is it or its last part; one that lacks a part is lost."""
        found = _PART.match(message)
        if found is None:
            return message
        sender, number, count = found[1], int(found[2]), int(found[3])
        if number == 0:
            if len(self._begun) >= MAX_SENDERS:
                self._begun.clear()
            self._begun[sender] = []
        texts = self._begun.get(sender)
        if texts is None or len(texts) != number or count > MAX_PARTS:
            self._begun.pop(sender, None)
            return None
        texts.append(message[found.end() :])
        return "".join(self._begun.pop(sender)) if len(texts) == count else None


def append(pending: list[Commit], commit: Commit, *, bound: int = 64) -> None:
    """Add ``commit`` to those that wait: to the last where it follows upon it, or takes no position.

    More than ``bound`` become one that is for everyone.
    """
    last = pending[-1] if pending else None
    if last is not None and (not commit.position or commit.since == last.position):
        pending[-1] = Commit(
            position=max(last.position, commit.position),
            topics=merged((last.topics, commit.topics)),
            all_topics=last.all_topics or commit.all_topics,
            since=last.since,
        )
        return
    pending.append(commit)
    if len(pending) > bound:
        pending[:] = [Commit(position=commit.position, all_topics=True)]


class Relay:
    """ProcessWakeups over a link, which is opened again whenever it is lost.

    After a loss everyone is woken once, because hints may have been missed: ``read_position`` says
    up to where. ``limit`` is in bytes of a message, ``backoff_s`` the longest pause between attempts.
    """

    def __init__(
        self, link: Link, *, limit: int, read_position: ReadPosition | None = None, backoff_s: float = 5.0
    ) -> None:
        self._link = link
        self._limit = limit
        self._backoff_s = backoff_s
        self._sender = secrets.token_hex(8)
        self._read_position = read_position
        self._pending: list[Commit] = []
        self._changed = asyncio.Event()
        self._is_open = False
        self._parts = Parts()
        self._unheard = 0.0
        """When the first message was sent that has not come back to us, by the loop's clock; 0: none."""
        self._stopping = False
        self._on_commit: OnCommit = lambda commit: None
        self._task: asyncio.Task[None] | None = None

    async def start(self, on_commit: OnCommit) -> None:
        self._on_commit = on_commit
        await self._open()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="wakeups")

    def publish(self, commit: Commit) -> None:
        append(self._pending, commit)
        self._changed.set()

    async def stop(self) -> None:
        self._stopping = True
        self._changed.set()
        if self._task is not None:
            # Where the link is down, what is pending cannot be sent: do not wait for it.
            if not self._is_open:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    async def _open(self) -> None:
        await self._link.open(self._receive, self._lost)
        self._is_open = True

    async def _run(self) -> None:
        while not (self._stopping and not (self._pending and self._is_open)):
            if not self._is_open:
                await self._reopen()
            if self._pending:
                await self._send()
            elif self._is_open and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S if self._unheard else None):
                        await self._changed.wait()
                self._changed.clear()
                self._check_heard()

    async def _send(self) -> None:
        sent, self._pending = self._pending, []
        try:
            async with asyncio.timeout(PATIENCE_S):
                whole = encode(sent, sender=self._sender, limit=MAX_PARTS * self._limit // 4)
                for part in parts(whole, self._sender, self._limit):
                    await self._link.send(part)
            self._unheard = self._unheard or asyncio.get_running_loop().time()
        except Exception:  # noqa: BLE001 - each link has its own errors; all mean that it is lost
            later, self._pending = self._pending, sent
            for commit in later:
                append(self._pending, commit)
            self._lost()

    async def _reopen(self) -> None:
        pause = 0.05
        while not self._stopping:
            await self._link.close()
            with contextlib.suppress(Exception):
                await self._open()
                position = await self._read_position() if self._read_position else 0
                self._on_commit(Commit(position=position, all_topics=True))
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._backoff_s)

    def _check_heard(self) -> None:
        """What is sent comes back to the sender too: where it does not, the link only seems to be there."""
        if self._unheard and asyncio.get_running_loop().time() - self._unheard >= PATIENCE_S:
            self._lost()

    def _lost(self) -> None:
        self._is_open = False
        self._unheard = 0.0
        self._changed.set()

    def _receive(self, message: str) -> None:
        whole = self._parts.joined(message)
        decoded = None if whole is None else decode(whole)
        if decoded is None:
            return
        if decoded[0] == self._sender:
            self._unheard = 0.0
        else:
            for commit in decoded[1]:
                self._on_commit(commit)
