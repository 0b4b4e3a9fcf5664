"""Upgrading rooms (spec: client-server API, "Room upgrades").

    successor made ─▶ tombstone, unless there is one ─▶ aliases, listing, power levels ─▶ the user's own

A room has one successor. Who upgrades it at the same time as another, or again because an answer was lost,
gets the successor that there is, and what remained to be done for it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palpo.core.auth_rules import validate_create_content
from palpo.core.errors import BadRequest, Forbidden, MatrixError, NotFound
from palpo.core.events import Event, StateKey
from palpo.core.identifiers import RoomId, UserId, as_room_id
from palpo.core.membership import BAN, JOIN, LEAVE, membership_of
from palpo.core.power_levels import CREATOR, LEVEL_PROPERTIES, PowerLevels, read_level
from palpo.core.room_versions import RoomVersion, room_version
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS
from palpo.services.accounts.sessions import Requester
from palpo.services.history.drafts import Draft
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.rooms.aliases import CANONICAL_ALIAS, Aliases
from palpo.services.rooms.room_creation import RoomCreation
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.streams.keyed_locks import KeyedLocks

TOMBSTONE = "m.room.tombstone"
COPIED = (
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
)
NOT_COPIED = ("room_version", "creator", "predecessor", "additional_creators")
"""Keys of the create event that are the new room's own."""
MAX_COPIED = 10_000
"""Pieces of state that are copied at most."""
AT_ONCE = 200
"""Events that are written together: no other room is written to meanwhile."""
Content = dict[str, Any]


class RoomUpgrades:
    """Replaces rooms by ones of another version."""

    def __init__(
        self,
        events: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        writer: RoomWriter,
        creation: RoomCreation,
        aliases: Aliases,
        directory: RoomDirectory,
    ) -> None:
        self._events = events
        self._heads = heads
        self._access = access
        self._writer = writer
        self._creation = creation
        self._aliases = aliases
        self._directory = directory
        self._locks = KeyedLocks()

    async def upgrade(
        self, requester: Requester, room_id: RoomId, version: str, additional_creators: Sequence[str] = ()
    ) -> RoomId:
        """Make a successor of a room, and close the room; returns the successor's ID.

        Of a room that has a successor of this version, it is that one's ID. Raises
        M_UNSUPPORTED_ROOM_VERSION (400), M_BAD_STATE (400) where the successor is of another version,
        Forbidden, UserLimitExceeded, ResourceLimitExceeded, NotFound, BadJson.
        """
        rules = room_version(version)
        sender = requester.user_id
        if requester.shadow_banned:
            raise Forbidden("You may not upgrade the room")
        async with self._locks.hold(room_id):
            old = await self._heads.get(room_id)
            await self._access.require_power(old, sender, TOMBSTONE)
            new_id = await self._successor(old) or await self._replace(
                old, rules, sender, additional_creators
            )
            await self._check_version(new_id, rules)
            await self._move_aliases(old, new_id, sender)
            await self._move_listing(room_id, new_id)
            await self._close(await self._heads.get(room_id), sender)
        member = await self._access.membership(new_id, sender)
        if member is not None and member.membership == JOIN:
            await self._creation.succession.joined(sender, new_id)
        return new_id

    async def _successor(self, old: RoomHead) -> RoomId | None:
        """The room that replaces ``old`` already, if it says so too."""
        tombstone = await self._heads.state_event(old, (TOMBSTONE, ""))
        named = as_room_id(tombstone.content.get("replacement_room")) if tombstone is not None else None
        if named is None:
            return None
        try:
            head = await self._heads.get(named)
        except NotFound:
            return None
        create = await self._heads.state_event(head, CREATE)
        predecessor = create.content.get("predecessor") if create is not None else None
        says_so = isinstance(predecessor, dict) and predecessor.get("room_id") == old.room_id
        return named if says_so else None

    async def _check_version(self, new_id: RoomId, rules: RoomVersion) -> None:
        found = (await self._heads.get(new_id)).rules
        if found != rules:
            message = f"The room has been replaced by {new_id}, of version {found.id}: upgrade that one"
            raise BadRequest(message, errcode="M_BAD_STATE")

    async def _replace(
        self, old: RoomHead, rules: RoomVersion, sender: UserId, additional_creators: Sequence[str]
    ) -> RoomId:
        """Make a successor and name it in the tombstone; the ID of the one that is named in the end."""
        levels = await self._heads.power_levels(old)
        new_id = await self._make_successor(old, rules, sender, additional_creators, levels)
        tombstone = {"body": "This room has been replaced", "replacement_room": new_id}

        async def unless_replaced(head: RoomHead) -> None:
            other = await self._successor(head)
            if other is not None:
                raise _Replaced(other)

        try:
            await self._writer.send(
                old.room_id, _state(sender, (TOMBSTONE, ""), tombstone), guard=unless_replaced
            )
        except _Replaced as replaced:  # By another process: the room that was just made is nobody's.
            await self._try(new_id, _state(sender, (MEMBER, sender), {"membership": LEAVE.value}))
            return replaced.room_id
        return new_id

    async def _make_successor(
        self,
        old: RoomHead,
        rules: RoomVersion,
        sender: UserId,
        additional_creators: Sequence[str],
        levels: PowerLevels,
    ) -> RoomId:
        state = {key: item.event for key, item in (await self._events.full_state(old.state_root)).items()}
        content = successor_content(old, rules, state, sender, additional_creators)
        validate_create_content(rules, content)
        create = Draft(type="m.room.create", sender=sender, state_key="", content=content)
        infinite = {sender, *additional_creators} if rules.privileged_creators else set()
        wanted = successor_levels(rules, levels, infinite)
        first = raised_levels(rules, wanted, sender) if sender not in infinite else wanted
        drafts = [
            await self._creation.member(sender, sender, {"membership": JOIN.value}),
            _state(sender, POWER_LEVELS, first),
            *copied_state(state, sender, first, infinite),
        ]
        if first != wanted:
            drafts.append(_state(sender, POWER_LEVELS, wanted))
        new_id = await self._creation.write(rules, create, drafts[:AT_ONCE])
        for start in range(AT_ONCE, len(drafts), AT_ONCE):
            await self._writer.send_all(new_id, drafts[start : start + AT_ONCE])
        return new_id

    async def _move_aliases(self, old: RoomHead, new_id: RoomId, sender: UserId) -> None:
        """Move local aliases and the canonical alias, as far as the power for it is there."""
        await self._aliases.move(old.room_id, new_id)
        current = await self._heads.state_event(old, (CANONICAL_ALIAS, ""))
        if current is None or not current.content:
            return
        for room_id, content in ((old.room_id, {}), (new_id, current.content)):
            await self._try(room_id, _state(sender, (CANONICAL_ALIAS, ""), content))

    async def _move_listing(self, old_id: RoomId, new_id: RoomId) -> None:
        if await self._directory.is_listed(old_id):
            await self._directory.publish(new_id)
            await self._directory.publish(old_id, listed=False)

    async def _close(self, old: RoomHead, sender: UserId) -> None:
        """Let nobody but moderators speak or invite in the old room."""
        levels = await self._heads.power_levels(old)
        default = read_level(old.rules, levels.content.get("users_default")) or 0
        closed = max(50, default + 1)
        content = dict(levels.content)
        content["events_default"] = max(closed, _level(levels, "events_default", 0))
        content["invite"] = max(closed, levels.invite)
        if content != levels.content:
            await self._try(old.room_id, _state(sender, POWER_LEVELS, content))

    async def _try(self, room_id: RoomId, draft: Draft) -> None:
        try:
            await self._writer.send(room_id, draft)
        except MatrixError:
            return  # Asked for only where it is possible: the upgrade stands without.


class _Replaced(Exception):
    """Somebody else has just replaced the room."""

    def __init__(self, room_id: RoomId) -> None:
        super().__init__(room_id)
        self.room_id = room_id


def successor_content(
    old: RoomHead,
    rules: RoomVersion,
    state: Mapping[StateKey, Event],
    sender: UserId,
    additional_creators: Sequence[str],
) -> Content:
    """The content of the successor's create event."""
    create = state["m.room.create", ""]
    content = {key: value for key, value in create.content.items() if key not in NOT_COPIED}
    predecessor: dict[str, str] = {"room_id": old.room_id}
    if not rules.create_event_is_room_id:
        predecessor["event_id"] = old.row.extremities[0]
    content |= {"room_version": rules.id, "predecessor": predecessor}
    if not rules.implicit_room_creator:
        content["creator"] = sender
    if rules.privileged_creators and additional_creators:
        content["additional_creators"] = list(additional_creators)
    return content


def successor_levels(rules: RoomVersion, levels: PowerLevels, infinite: set[str]) -> Content:
    """The power levels in the successor: the same people may do the same.

    ``infinite`` are the successor's creators, who may not be listed; the old room's are, with at least
    100, if the successor's version does not know of such.
    """
    content = _as_integers(rules, levels)
    old: dict[str, int] = content.get("users", {})
    users = {user_id: level for user_id, level in old.items() if user_id not in infinite}
    if not rules.privileged_creators:
        top = max([100, *users.values(), *_needed(content)])
        users |= dict.fromkeys(levels.infinite, top)
        if levels.sole_creator is not None:
            users[levels.sole_creator] = 100
    content["users"] = users
    if rules.privileged_creators:
        events = dict(content.get("events", {}))
        state_default = content.get("state_default", 50)
        events[TOMBSTONE] = max(events.get(TOMBSTONE, 0), state_default + 1, 150)
        content["events"] = events
    return content


def raised_levels(rules: RoomVersion, content: Content, sender: UserId) -> Content:
    """The same, but with all power for ``sender``, who has state to copy."""
    own = content["users"].get(sender, content.get("users_default", 0))
    needed = max([own, 100, *_needed(content)])
    return content if own >= needed else {**content, "users": {**content["users"], sender: needed}}


def copied_state(
    state: Mapping[StateKey, Event], sender: UserId, levels: Content, infinite: set[str]
) -> list[Draft]:
    """What of the old room's state the successor, whose power levels are given, takes over."""
    keys: list[StateKey] = [(type_, "") for type_ in COPIED if (type_, "") in state]
    keys += [key for key, event in state.items() if key[0] == "m.space.child" and event.content]
    default = levels.get("users_default", 0)
    own = CREATOR if sender in infinite else levels["users"].get(sender, default)
    bans = [
        key
        for key, event in state.items()
        if key[0] == MEMBER and membership_of(event) == BAN and key[1] not in infinite
    ]
    keys += [key for key in bans if levels["users"].get(key[1], default) < own]
    return [_state(sender, key, state[key].content) for key in keys[:MAX_COPIED]]


def _as_integers(rules: RoomVersion, levels: PowerLevels) -> Content:
    """The old room's power levels, with strings of digits and the like turned into integers."""
    content: Content = {}
    for key, value in levels.content.items():
        if key in ("users", "events", "notifications"):
            table = value if isinstance(value, dict) else {}
            found = {name: read_level(levels.rules, level) for name, level in table.items()}
            content[key] = {name: level for name, level in found.items() if level is not None}
        elif key in LEVEL_PROPERTIES:
            level = read_level(levels.rules, value)
            if level is not None:
                content[key] = level
        else:
            content[key] = value
    return content


def _needed(content: Content) -> list[int]:
    """Every level that something takes."""
    named = [content[key] for key in LEVEL_PROPERTIES if key in content and key != "users_default"]
    return [*named, *content.get("events", {}).values(), *content.get("notifications", {}).values(), 50]


def _level(levels: PowerLevels, name: str, default: int) -> int:
    level = read_level(levels.rules, levels.content.get(name))
    return default if level is None else level


def _state(sender: UserId, key: StateKey, content: Content) -> Draft:
    return Draft(type=key[0], sender=sender, state_key=key[1], content=content)
