"""Whom an event notifies, among the users who want to be told (spec: client-server API, "Push Rules")."""

from __future__ import annotations

from collections.abc import Collection

from palpo.core.events import Event
from palpo.core.identifiers import UserId
from palpo.core.membership import INVITE, JOIN, membership_of
from palpo.core.push_rules import Actions
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.services.history.state_at import StateAt
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.personal.push_rules import PushRules
from palpo.services.push.push_rooms import PushRooms
from palpo.services.push.thread_followers import ThreadFollowers
from palpo.streams.turns import Turns


class PushJudge:
    """Lets users' push rules judge events."""

    def __init__(
        self,
        state_at: StateAt,
        push_rooms: PushRooms,
        push_rules: PushRules,
        account_data: AccountData,
        invite_permissions: InvitePermissions,
        followers: ThreadFollowers,
    ) -> None:
        self._push_rooms = push_rooms
        self._push_rules = push_rules
        self._account_data = account_data
        self._invite_permissions = invite_permissions
        self._followers = followers
        self._state_at = state_at

    async def notified(self, stored: StoredEvent, user_ids: Collection[UserId]) -> dict[str, Actions]:
        """Those of ``user_ids`` whom the event notifies, with the actions of the rule that matched.

        Left out are its sender, those who ignore the sender, and who was not in the room; who is invited
        is notified of the invite, unless by somebody whose invites they do not want.
        """
        event = stored.event
        users = [user_id for user_id in user_ids if await self._concerns(stored, user_id)]
        if not users or stored.redacted_by is not None:
            return {}
        context = (await self._push_rooms.at(stored)).context(event.sender)
        names = await self._push_rooms.display_names(stored.state_after, users)
        found: dict[str, Actions] = {}
        turns = Turns()
        for user_id in users:
            await turns.breathe()
            evaluator = await self._push_rules.evaluator(user_id)
            follows = await self._followers.follows(user_id, event) if evaluator.asks_for_threads else None
            actions = evaluator.evaluate(event, context, names.get(user_id), follows=follows)
            if actions.notify:
                found[user_id] = actions
        return found

    async def _concerns(self, stored: StoredEvent, user_id: UserId) -> bool:
        event = stored.event
        if event.sender == user_id or event.sender in await self._account_data.ignored_users(user_id):
            return False
        if invites(event, user_id):
            return await self._invite_permissions.shows(user_id, event.sender)
        return await self._state_at.membership(stored.state_after, user_id) == JOIN


def invites(event: Event, user_id: UserId) -> bool:
    """Whether an event invites a user."""
    to_user = event.type == MEMBER and event.state_key == user_id
    return to_user and membership_of(event) == INVITE
