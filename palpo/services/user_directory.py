"""Finding users (spec: client-server API, "User Directory").

Users are found by the beginnings of the words of their display name and localpart, by those who share a
room with them, and by everyone if they are in a room that is public or that anybody may read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from palpo.core.canonical_json import decode_object
from palpo.core.errors import NotFound
from palpo.core.state_keys import HISTORY_VISIBILITY, JOIN_RULES
from palpo.core.user_words import fold, words
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.profiles import Profile
from palpo.services.room_heads import RoomHeads
from palpo.storage import memberships, shared_rooms
from palpo.storage import profiles as storage

MAX_LIMIT = 100
CANDIDATES = 500
"""Users with the word that are looked at."""
AT_ONCE = 50
"""Users whose rooms are looked up at once."""
ROOMS_LOOKED_AT = 50
"""Rooms of a user that are looked at for one that is public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, the best first; ``limited`` says that there is more."""

    profiles: list[Profile]
    limited: bool


class UserDirectory:
    """Searches for users."""

    def __init__(self, db: Database, heads: RoomHeads) -> None:
        self._db = db
        self._heads = heads

    async def search(self, user_id: str, term: str, limit: int) -> Found:
        """The users, other than oneself, whose names have words that begin with those of ``term``."""
        limit = min(max(limit, 0), MAX_LIMIT)
        asked = _Term(term)
        if not asked.words:
            return Found(profiles=[], limited=False)
        candidates = await self._db.read(lambda tx: _candidates(tx, asked))
        if user_id in candidates:
            candidates.remove(user_id)
        found = await self._db.read(lambda tx: storage.get_many(tx, candidates)) if candidates else {}
        profiles = {
            candidate: Profile(
                user_id=candidate, fields=decode_object(found[candidate]) if candidate in found else {}
            )
            for candidate in candidates
        }
        shared = await self._db.read(lambda tx: shared_rooms.sharing(tx, user_id, candidates))
        ranked = sorted(profiles.values(), key=lambda profile: asked.rank(profile, shared))
        visible: list[Profile] = []
        public: dict[str, bool] = {}
        for start in range(0, len(ranked), AT_ONCE):
            some = ranked[start : start + AT_ONCE]
            strangers = {profile.user_id for profile in some} - shared
            known = shared | await self._public_users(strangers, public)
            visible += [profile for profile in some if profile.user_id in known]
            if len(visible) > limit:
                break
        return Found(profiles=visible[:limit], limited=len(visible) > limit)

    async def _public_users(self, user_ids: Collection[str], public: dict[str, bool]) -> set[str]:
        """Those whom everyone may know of; ``public`` says of rooms what has been found out."""
        found: set[str] = set()
        if not user_ids:
            return found
        rooms = await self._db.read(lambda tx: memberships.some_rooms(tx, user_ids, ROOMS_LOOKED_AT))
        for user_id, room_id in rooms:
            if user_id in found:
                continue
            if room_id not in public:
                public[room_id] = await self._room_is_public(room_id)
            if public[room_id]:
                found.add(user_id)
        return found

    async def _room_is_public(self, room_id: str) -> bool:
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return False
        state = await self._heads.state(head, [JOIN_RULES, HISTORY_VISIBILITY])
        rules, visibility = state.get(JOIN_RULES), state.get(HISTORY_VISIBILITY)
        return (rules is not None and rules.content.get("join_rule") == "public") or (
            visibility is not None and visibility.content.get("history_visibility") == "world_readable"
        )


class _Term:
    """What is searched for."""

    def __init__(self, term: str) -> None:
        self.folded = fold(term.strip())
        self.is_user_id = self.folded.startswith("@")
        localpart, _, _ = self.folded.removeprefix("@").partition(":")
        self.words = words(localpart if self.is_user_id else self.folded)

    def matches(self, user_id: str, known: set[bytes]) -> bool:
        """Whether a user with these words is meant."""
        if self.is_user_id:
            return fold(user_id).startswith(self.folded)
        return all(any(word.startswith(wanted) for word in known) for wanted in self.words)

    def rank(self, profile: Profile, shared: set[str]) -> tuple[bool, bool, bool, str]:
        """A key that sorts the best first."""
        name = profile.displayname
        exact = self.folded in (fold(name or ""), fold(profile.user_id))
        return not exact, profile.user_id not in shared, name is None, profile.user_id


async def _candidates(tx: Transaction, asked: _Term) -> list[str]:
    """Users who are meant, whoever may know of them."""
    rarest = max(asked.words, key=len)
    ids: Sequence[str] = await storage.find_by_word(tx, rarest, CANDIDATES)
    known = await storage.words_of(tx, ids) if ids else {}
    return [user_id for user_id in ids if asked.matches(user_id, known[user_id])]
