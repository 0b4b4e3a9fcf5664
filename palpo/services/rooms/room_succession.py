"""What moves with a user from a room to the one that succeeds it (spec: "Room upgrades")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import RoomId, UserId, as_room_id
from palpo.core.membership import JOIN, LEAVE
from palpo.core.push_rules import PushRule
from palpo.core.state_keys import CREATE
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.personal.account_data import DIRECT, AccountData
from palpo.services.personal.push_rules import PushRules

log = structlog.get_logger("palpo.room_succession")

UpgradeHook = Callable[[UserId, RoomId, RoomId], Awaitable[None]]
"""``(user, old room, new room)``: called once a local user has joined the successor of a room they
were in, to carry over what is theirs, such as tags and push rules."""


class RoomSuccession:
    """Calls the hooks when somebody joins a room that succeeds another."""

    def __init__(self, heads: RoomHeads, access: RoomAccess, hooks: Iterable[UpgradeHook]) -> None:
        self._heads = heads
        self._access = access
        self._hooks = hooks

    async def joined(self, user_id: UserId, room_id: RoomId) -> None:
        """A local user has joined a room."""
        head = await self._heads.get(room_id)
        create = await self._heads.state_event(head, CREATE)
        predecessor = create.content.get("predecessor") if create is not None else None
        named = predecessor.get("room_id") if isinstance(predecessor, dict) else None
        if (old := as_room_id(named)) is None:
            return
        member = await self._access.membership(old, user_id)
        if member is None or member.membership not in (JOIN, LEAVE):
            return
        for hook in self._hooks:
            try:
                await hook(user_id, old, room_id)
            except MatrixError as error:  # Too many tags, say: the user is in the room all the same.
                log.info("not_carried_over", user_id=user_id, room_id=room_id, error=error.message)


def carry_over(account_data: AccountData, push_rules: PushRules) -> list[UpgradeHook]:
    """The hooks that copy a user's tags and push rules, and list the new room in ``m.direct``."""

    async def tags(user_id: UserId, old: RoomId, new: RoomId) -> None:
        found = await account_data.tags(user_id, old)
        if found:
            await account_data.put_tags(user_id, new, found)

    async def direct(user_id: UserId, old: RoomId, new: RoomId) -> None:
        await account_data.change(user_id, None, DIRECT, lambda content: _with_successor(content, old, new))

    async def rules(user_id: UserId, old: RoomId, new: RoomId) -> None:
        ruleset = await push_rules.ruleset(user_id)
        for kind in ("override", "room", "underride"):
            for rule in ruleset.of_kind(kind):
                moved = _moved(kind, rule, old, new)
                if moved is None:
                    continue
                await push_rules.put_rule(user_id, kind, new, moved, before=None, after=None)
                if not rule.enabled:
                    await push_rules.set_enabled(user_id, kind, new, False)

    return [tags, direct, rules]


def _with_successor(direct: dict[str, Any], old: RoomId, new: RoomId) -> dict[str, Any]:
    """``m.direct`` with the new room right after the old one, wherever that is."""
    return {
        user_id: _after(rooms, old, new) if isinstance(rooms, list) and old in rooms else rooms
        for user_id, rooms in direct.items()
    }


def _after(rooms: list[Any], old: RoomId, new: RoomId) -> list[Any]:
    if new in rooms:
        return rooms
    place = rooms.index(old) + 1
    return [*rooms[:place], new, *rooms[place:]]


def _moved(kind: str, rule: PushRule, old: RoomId, new: RoomId) -> dict[str, Any] | None:
    """The body of the rule for the new room that corresponds to ``rule``, None where it is another's."""
    if rule.rule_id != old:
        return None
    if kind == "room" or isinstance(rule.conditions, msgspec.UnsetType):
        return {"actions": rule.actions}
    conditions = [
        {**item, "pattern": new} if item.get("key") == "room_id" and item.get("pattern") == old else item
        for item in rule.conditions
    ]
    return {"actions": rule.actions, "conditions": conditions}
