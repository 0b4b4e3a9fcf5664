"""Making rooms (spec: client-server API, "Creation")."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from palpo.core.auth_rules import validate_create_content
from palpo.core.errors import (
    AuthError,
    BadJson,
    BadRequest,
    Conflict,
    Forbidden,
    InvalidParam,
    MatrixError,
    Unavailable,
)
from palpo.core.events import StateKey
from palpo.core.identifiers import RoomAlias, RoomId, UserId, parse_user_id, server_name_of
from palpo.core.membership import INVITE, JOIN
from palpo.core.room_versions import RoomVersion, room_version
from palpo.core.state_keys import GUEST_ACCESS, HISTORY_VISIBILITY, JOIN_RULES, MEMBER
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.sessions import Requester
from palpo.services.history.drafts import Draft
from palpo.services.history.room_writer import RoomWriter
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.invites_elsewhere import InvitesElsewhere
from palpo.services.rooms.member_profiles import with_profile
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.services.rooms.room_succession import RoomSuccession
from palpo.services.server import Server

ATTEMPTS = 10
MAX_INVITES = 1000
MAX_INITIAL_STATE = 1000
TRUSTED = "trusted_private_chat"
TOMBSTONE = "m.room.tombstone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset sets."""

    join_rule: str
    guests: bool
    """Whether guests may join; where no event says so, they may not."""
    invite_level: int


PRESETS = {
    "private_chat": Preset(join_rule="invite", guests=True, invite_level=0),
    TRUSTED: Preset(join_rule="invite", guests=True, invite_level=0),
    "public_chat": Preset(join_rule="public", guests=False, invite_level=50),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDraft:
    """A state event that the maker of a room asks for."""

    type: str
    content: dict[str, Any]
    state_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoom:
    """What a new room should be."""

    version: str | None = None
    """None for the server's default."""
    preset: str = "private_chat"
    published: bool = False
    alias_localpart: str | None = None
    name: str | None = None
    topic: str | None = None
    invite: Sequence[str] = ()
    is_direct: bool = False
    creation_content: dict[str, Any] = field(default_factory=dict)
    initial_state: Sequence[StateDraft] = ()
    power_levels: dict[str, Any] = field(default_factory=dict)
    """Put over the power levels that the room would have."""


class RoomCreation:
    """Makes rooms, each with all its first events in one go."""

    def __init__(
        self,
        server: Server,
        writer: RoomWriter,
        aliases: Aliases,
        directory: RoomDirectory,
        profiles: Profiles,
        succession: RoomSuccession,
        memberships: Memberships,
        invite_permissions: InvitePermissions,
    ) -> None:
        self._clock = server.clock
        self._last_ts = 0
        self._writer = writer
        self._aliases = aliases
        self._directory = directory
        self._profiles = profiles
        self.succession = succession
        self._memberships = memberships
        self._invites_elsewhere = InvitesElsewhere(memberships, server.background)
        self._invite_permissions = invite_permissions
        self._server_name = server.name
        self._config = server.config
        self._random_id = server.random_id

    async def create(self, requester: Requester, new: NewRoom) -> RoomId:
        """Make a room; returns its ID.

        Raises M_UNSUPPORTED_ROOM_VERSION, M_ROOM_IN_USE, M_INVALID_ROOM_STATE, M_BAD_JSON and
        M_INVALID_PARAM, all with status 400; UserLimitExceeded, ResourceLimitExceeded.
        """
        rules = room_version(self._config.rooms.default_version if new.version is None else new.version)
        _check(new)
        if requester.shadow_banned:
            new = _for_oneself(new)
        creator = requester.user_id
        await self._check_invites(creator, [*new.invite, *_invited_by_state(new)])
        room_id = await self._with_alias(rules, requester, new)
        if new.published:
            await self._directory.publish(room_id)
        await self.succession.joined(creator, room_id)
        elsewhere = [name for name in map(UserId, dict.fromkeys(new.invite)) if not self._is_local(name)]
        if elsewhere:
            await self._invites_elsewhere.send(requester, room_id, elsewhere, is_direct=new.is_direct)
        return room_id

    async def _with_alias(self, rules: RoomVersion, requester: Requester, new: NewRoom) -> RoomId:
        creator = requester.user_id
        if new.alias_localpart is None:
            return await self._write(rules, creator, new, None)
        alias = await self._aliases.reserve(
            new.alias_localpart, requester.user_id, appservice_id=requester.appservice_id
        )
        room_id = None
        try:
            room_id = await self._write(rules, creator, new, alias)
        finally:
            await self._aliases.settle(alias, room_id)
        return room_id

    async def write(self, rules: RoomVersion, create: Draft, others: Sequence[Draft]) -> RoomId:
        """Write a new room's events; raises M_INVALID_ROOM_STATE for ones that it cannot have.

        Also UserLimitExceeded and ResourceLimitExceeded.
        """
        validate_create_content(rules, create.content)
        try:
            for _ in range(ATTEMPTS):
                room_id = await self._try(rules, create, others)
                if room_id is not None:
                    return room_id
        except AuthError as error:
            if error.status == BadJson.status:
                raise
            raise BadRequest(error.message, errcode="M_INVALID_ROOM_STATE") from error
        raise Unavailable("Too many rooms are being made; try again", errcode="M_UNKNOWN")

    async def _try(self, rules: RoomVersion, create: Draft, others: Sequence[Draft]) -> RoomId | None:
        """Write a new room's events; None where its create event is one that there is already."""
        room_id = None if rules.create_event_is_room_id else f"!{self._random_id()}:{self._server_name}"
        # Where the create event's hash is the room's ID, two rooms alike need two times.
        self._last_ts = max(self._clock.now_ms(), self._last_ts + 1)
        first = replace(create, origin_server_ts=self._last_ts)
        try:
            return RoomId(await self._writer.create(rules, room_id, [first, *others]))
        except MatrixError as error:
            if error.status != Conflict.status:
                raise
            return None

    async def _write(
        self, rules: RoomVersion, creator: UserId, new: NewRoom, alias: RoomAlias | None
    ) -> RoomId:
        content = create_content(rules, creator, new)
        validate_create_content(rules, content)
        create = Draft(type="m.room.create", sender=creator, state_key="", content=content)
        others = [
            await self.member(creator, creator, {"membership": JOIN.value}),
            _state(creator, "m.room.power_levels", default_power_levels(rules, creator, new)),
            *_settings(creator, new, alias),
        ]
        extra = {"is_direct": True} if new.is_direct else {}
        for target in map(UserId, filter(self._is_local, dict.fromkeys(new.invite))):
            others.append(await self.member(creator, target, {**extra, "membership": INVITE.value}))
        return await self.write(rules, create, others)

    async def member(self, sender: UserId, target: UserId, content: dict[str, Any]) -> Draft:
        """A membership event of a new room."""
        if server_name_of(target) == self._server_name:
            content = with_profile(content, await self._profiles.get(target, asking=sender))
        return Draft(type=MEMBER, sender=sender, state_key=target, content=content)

    def _is_local(self, user_id: str) -> bool:
        return server_name_of(user_id) == self._server_name

    async def _check_invites(self, creator: UserId, invited: Sequence[str]) -> None:
        """Raises InvalidParam, and Forbidden where an invite is sure to be refused."""
        if len(invited) > MAX_INVITES:
            raise InvalidParam(f"More than {MAX_INVITES} invites")
        for user_id in map(parse_user_id, invited):
            if self._is_local(user_id):
                await self._profiles.offer_unknown(user_id)
                await self._invite_permissions.check(user_id, creator)
            elif self._memberships.remote is None:
                raise Forbidden("Users of other servers cannot be invited: this server does not federate")


def create_content(rules: RoomVersion, creator: UserId, new: NewRoom) -> dict[str, Any]:
    """The create event's content. Raises InvalidParam for ``additional_creators`` that is no array."""
    content = {key: value for key, value in new.creation_content.items() if key != "creator"}
    content["room_version"] = rules.id
    if not rules.implicit_room_creator:
        content["creator"] = creator
    if rules.privileged_creators and new.preset == TRUSTED and new.invite:
        given = content.get("additional_creators", [])
        if not isinstance(given, list):
            raise InvalidParam("additional_creators is not an array of user IDs")
        added = [user_id for user_id in new.invite if user_id not in given and user_id != creator]
        content["additional_creators"] = [*given, *dict.fromkeys(added)]
    return content


def default_power_levels(rules: RoomVersion, creator: UserId, new: NewRoom) -> dict[str, Any]:
    """The power levels of a new room: only who made it can change what matters."""
    top = 100
    users: dict[str, int] = {}
    if not rules.privileged_creators:
        users[creator] = top
        if new.preset == TRUSTED:
            users |= dict.fromkeys(new.invite, top)
    levels = {
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
            "m.room.power_levels": top,
            "m.room.history_visibility": top,
            "m.room.encryption": top,
            "m.room.server_acl": top,
            **({} if rules.privileged_creators else {TOMBSTONE: top}),
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": PRESETS[new.preset].invite_level,
        **new.power_levels,
    }
    return _with_tombstone_level(levels) if rules.privileged_creators else levels


def _with_tombstone_level(levels: dict[str, Any]) -> dict[str, Any]:
    """Where creators stand above everybody, closing the room takes more than other state does.

    Spec: ``POST /createRoom``; the override may still say otherwise. What is malformed is for the
    authorization rules to refuse.
    """
    events, state_default = levels["events"], levels["state_default"]
    if not isinstance(events, dict) or type(state_default) is not int or TOMBSTONE in events:
        return levels
    return {**levels, "events": {**events, TOMBSTONE: max(150, state_default + 1)}}


def topic_content(topic: str) -> dict[str, Any]:
    """The content of an ``m.room.topic`` event with a plain text topic (MSC3765)."""
    return {"topic": topic, "m.topic": {"m.text": [{"body": topic}]}}


def _settings(creator: UserId, new: NewRoom, alias: RoomAlias | None) -> list[Draft]:
    """The state between the power levels and the invites, in the order that the spec gives."""
    named: dict[StateKey, dict[str, Any]] = {}
    if new.name is not None:
        named["m.room.name", ""] = {"name": new.name}
    if new.topic is not None:
        named["m.room.topic", ""] = topic_content(new.topic)
    preset = PRESETS[new.preset]
    wanted = {(item.type, item.state_key) for item in new.initial_state}
    defaults: dict[StateKey, dict[str, Any]] = {
        JOIN_RULES: {"join_rule": preset.join_rule},
        HISTORY_VISIBILITY: {"history_visibility": "shared"},
    }
    if preset.guests:
        defaults[GUEST_ACCESS] = {"guest_access": "can_join"}
    drafts = [_state(creator, "m.room.canonical_alias", {"alias": alias})] if alias is not None else []
    drafts += [_state(creator, key[0], value) for key, value in defaults.items() if key not in wanted]
    drafts += [
        _state(creator, item.type, item.content, item.state_key)
        for item in new.initial_state
        if (item.type, item.state_key) not in named
    ]
    return drafts + [_state(creator, key[0], value) for key, value in named.items()]


def _state(sender: UserId, type_: str, content: dict[str, Any], state_key: str = "") -> Draft:
    return Draft(type=type_, sender=sender, state_key=state_key, content=content)


def _invited_by_state(new: NewRoom) -> list[str]:
    """Whom ``initial_state`` invites."""
    return [
        item.state_key
        for item in new.initial_state
        if item.type == MEMBER and item.content.get("membership") == INVITE
    ]


def _for_oneself(new: NewRoom) -> NewRoom:
    """The same room, of which nobody else is told."""
    state = [item for item in new.initial_state if item.type != MEMBER]
    return dataclasses.replace(new, invite=[], published=False, initial_state=state)


def _check(new: NewRoom) -> None:
    if new.preset not in PRESETS:
        raise InvalidParam("There is no such preset")
    if any(not item.type for item in new.initial_state):
        raise BadJson("An event has a type")
    if len(new.initial_state) > MAX_INITIAL_STATE:
        raise InvalidParam(f"More than {MAX_INITIAL_STATE} events in initial_state")
