"""A room's state is fetched again, for operators: it becomes what ours and another server's come to together.

    their newest events ─▶ those that are not here are taken in, with what is before them, as ever
    our newest events   ─▶ the state after each, as they have it ─▶ resolved with ours ─▶ the room's state

What they tell is checked and judged as ever, and ours is never just replaced. Events of a state are stored
first, as others that nothing rests on yet; then one transaction makes the room what it has become.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from palpo.core import state_tree
from palpo.core.errors import MatrixError, NotFound
from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.core.membership import LEAVE
from palpo.core.records.events import EventStatus
from palpo.db.engine import Database
from palpo.net.connections import Times
from palpo.net.federation_errors import FederationError
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.templates import Wish
from palpo.services.federation.fetching.missing_events import MissingEvents
from palpo.services.federation.fetching.remote_events import RemoteEvents
from palpo.services.federation.fetching.remote_state import RemoteState, Withheld, room_of
from palpo.services.federation.servers.peers import Peers
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.history import HistoryServices
from palpo.services.history.admission import Admitted
from palpo.services.history.room_heads import RoomHead
from palpo.storage import memberships

Say = Callable[[str], None]
"""Tells the operator how far it is."""
TIMES = Times(whole_s=900.0, connect_s=10.0, idle_s=600.0)
"""Of a large room a server may work on the answer for minutes."""
ATTEMPTS = 5
"""How often it is begun again where the room goes on meanwhile."""
UNUSABLE = (Withheld, FederationError, MatrixError)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """What is set at a key of the state, by event IDs."""

    type: str
    state_key: str
    was: str | None
    now: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resynced:
    """What has come of it."""

    server: ServerName
    changes: Sequence[StateChange]


class RoomMoved(Exception):
    """The room has other newest events than those that were asked about."""


@dataclass(slots=True)
class _Written:
    """The roots of a room's state before, and after, as it was written last."""

    before: bytes = b""
    after: bytes = b""
    nodes: dict[bytes, bytes] = field(default_factory=dict)


class RoomResync:
    """Does it."""

    def __init__(
        self,
        db: Database,
        rooms: ResidentRooms,
        peers: Peers,
        handshakes: Handshakes,
        remote: RemoteEvents,
        states: RemoteState,
        missing: MissingEvents,
        history: HistoryServices,
    ) -> None:
        self._db = db
        self._rooms = rooms
        self._peers = peers
        self._handshakes = handshakes
        self._remote = remote
        self._states = states
        self._missing = missing
        self._history = history

    async def run(self, room_id: RoomId, server: ServerName | None, say: Say) -> Resynced:
        """Ask ``server``, or else those that are in the room, one after the other.

        Raises NotFound for a room that nobody of ours is in, or of which members are missing still: these
        are fetched anyway; and MatrixError where nobody tells the state.
        """
        await self._rooms.whole(room_id)
        why: Exception = NotFound("No other server is in the room")
        for name in await self._peers.to_ask(room_id) if server is None else [server]:
            say(f"{name} is asked")
            try:
                return await self._through(name, room_id, say)
            except UNUSABLE as error:
                say(f"  it does not tell the state: {error}")
                why = error
        raise MatrixError(f"The room is as it was: {why}", status=502)

    async def _through(self, server: ServerName, room_id: RoomId, say: Say) -> Resynced:
        theirs = await self._catch_up(server, room_id, say)
        for _ in range(ATTEMPTS):
            head = await self._rooms.whole(room_id)
            told = await self._told(server, head, theirs, say)
            done = _Written()
            try:
                builds = partial(self._build, head.row.extremities, told, done)
                await self._history.room_writer.admit(room_id, builds)
            except RoomMoved:
                say("  the room went on meanwhile: once more")
                continue
            return Resynced(server=server, changes=await self._changes(done))
        raise MatrixError("The room goes on too fast", status=503)

    async def _catch_up(self, server: ServerName, room_id: RoomId, say: Say) -> Sequence[str]:
        """Take in what is the newest there, as far as that can be; which events that are, of those here."""
        try:
            names = await self._newest(server, room_id)
        except UNUSABLE as error:
            say(f"  it does not say which events are its newest: {error}")
            return ()
        for name in await self._unknown(room_id, names):
            head = await self._rooms.whole(room_id)
            try:
                event = await self._remote.event(server, room_of(head), name)
                if event is None:
                    raise Withheld("It is not what it should be")
                taken = await self._missing.fill(server, room_id, event)
                say(f"  {name} was not here: {len(taken.written)} events are taken in")
            except UNUSABLE as error:
                say(f"  {name} is not here, and cannot be taken in: {error}")
        unknown = await self._unknown(room_id, names)
        return [name for name in names if name not in unknown]

    async def _newest(self, server: ServerName, room_id: RoomId) -> Sequence[str]:
        """A server's newest events: those that a leave of a user of ours would come after.

        The leave is not sent.
        """
        users = await self._db.read(partial(memberships.local_users_in_room, room_id=room_id, limit=1))
        wish = Wish(user_id=UserId(users[0]), room_id=room_id, membership=LEAVE, content={})
        return (await self._handshakes.make(server, wish)).event.prev_events

    async def _unknown(self, room_id: RoomId, names: Sequence[str]) -> list[str]:
        """Those of the events that are not in the room's history here."""
        found = await self._history.events.get_many(names)
        return [
            name
            for name in names
            if name not in found
            or found[name].status is EventStatus.OUTLIER
            or found[name].event.room_id != room_id
        ]

    async def _told(
        self, server: ServerName, head: RoomHead, theirs: Sequence[str], say: Say
    ) -> Mapping[str, Sequence[bytes]]:
        """By our newest events, the roots of the states that are to be resolved with those after them.

        Where the server knows none of ours, what is after its own newest counts for all of them.
        """
        told: dict[str, Sequence[bytes]] = {}
        for name in head.row.extremities:
            try:
                told[name] = [await self._after(server, head, name, say)]
            except UNUSABLE as error:
                say(f"  the state after {name}, which is our newest, is not told: {error}")
        if told:
            return told
        if not theirs:
            raise Withheld("It knows none of the newest events")
        roots = [await self._after(server, head, name, say) for name in theirs]
        return dict.fromkeys(head.row.extremities, roots)

    async def _after(self, server: ServerName, head: RoomHead, name: str, say: Say) -> bytes:
        root = await self._states.after(server, head, name, TIMES)
        found = await self._history.events.read_state(state_tree.diff(head.state_root, root))
        say(f"  the state after {name} is told: {len(found)} entries are not as in ours")
        return root

    async def _build(
        self,
        extremities: tuple[str, ...],
        told: Mapping[str, Sequence[bytes]],
        done: _Written,
        head: RoomHead,
    ) -> Admitted:
        """The room with what is told resolved with what is here; raises RoomMoved."""
        if head.row.extremities != extremities:
            raise RoomMoved
        built = await self._history.admission.corrected(head, told)
        done.before, done.after, done.nodes = head.state_root, built.head.state_root, built.nodes
        return built

    async def _changes(self, done: _Written) -> list[StateChange]:
        found = await self._history.events.read_state(state_tree.diff(done.before, done.after), done.nodes)
        return [
            StateChange(type=key[0], state_key=key[1], was=was, now=now)
            for key, (was, now) in sorted(found.items())
        ]
