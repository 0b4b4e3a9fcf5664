"""Finding users (spec: client-server API, "User Directory").

Users are found by the beginnings of the words of their display name and localpart, by those who share a
room with them, and by everyone if they are in a room that is public or that anybody may read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import NotFound
from palpo.core.folded_text import fold
from palpo.core.state_keys import HISTORY_VISIBILITY, JOIN_RULES
from palpo.core.user_words import MAX_NAME, VERSION, Asked, asked, words_of_user
from palpo.core.visibility import is_public
from palpo.db import consumers
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.profiles import Profile
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import accounts, memberships, shared_rooms
from palpo.storage import profiles as storage

MAX_LIMIT = 100
CANDIDATES = 500
"""Users with the word that are looked at."""
REBUILD = f"user-words-{VERSION}"
"""Who makes anew what an older version lets users be found by."""
DONE = 2**62
REBUILT_AT_ONCE = 100
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
        self._rebuilt = False

    async def search(self, user_id: str, term: str, limit: int) -> Found:
        """The users whose names have words that begin with those of ``term``.

        Oneself is among them where everybody may find one.
        """
        limit = min(max(limit, 0), MAX_LIMIT)
        wanted = _Term(term)
        if not wanted.words:
            return Found(profiles=[], limited=False)
        known = await self._db.read(lambda tx: _candidates(tx, wanted))
        candidates = list(known)
        found = await self._db.read(lambda tx: storage.get_many(tx, candidates)) if candidates else {}
        profiles = [Profile.of(candidate, found.get(candidate)) for candidate in candidates]
        shared = await self._db.read(lambda tx: shared_rooms.sharing(tx, user_id, candidates))
        shared.discard(user_id)
        ranked = sorted(profiles, key=lambda profile: wanted.rank(profile, known, shared))
        visible: list[Profile] = []
        public: dict[str, bool] = {}
        for start in range(0, len(ranked), AT_ONCE):
            some = ranked[start : start + AT_ONCE]
            strangers = {profile.user_id for profile in some} - shared
            shown = shared | await self._public_users(strangers, public)
            visible += [profile for profile in some if profile.user_id in shown]
            if len(visible) > limit:
                break
        return Found(profiles=visible[:limit], limited=len(visible) > limit)

    async def rebuild(self) -> None:
        """Let users who came before this version be found by what this version finds them by.

        It is done once, and begins anew if it is cut off.
        """
        if self._rebuilt or await self._db.read(lambda tx: consumers.position_of(tx, REBUILD)) is not None:
            self._rebuilt = True
            return
        after: str | None = ""
        while after is not None:
            after, _ = await self._db.write(partial(rebuild_some, after=after))
        await self._db.write(lambda tx: consumers.register(tx, REBUILD, position=DONE))

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
        return is_public(state)


class _Term:
    """What is searched for."""

    def __init__(self, term: str) -> None:
        self.folded = fold(term.strip()[:MAX_NAME])
        self.is_user_id = self.folded.startswith("@")
        localpart, _, _ = self.folded.removeprefix("@").partition(":")
        self.words: list[Asked] = asked(localpart if self.is_user_id else term)

    def matches(self, user_id: str, known: set[bytes]) -> bool:
        """Whether a user with these words is meant."""
        if self.is_user_id:
            return fold(user_id).startswith(self.folded)
        return all(word.is_in(known) for word in self.words)

    def rank(
        self, profile: Profile, known: Mapping[str, set[bytes]], shared: set[str]
    ) -> tuple[bool, bool, int, bool, str]:
        """A key that sorts the best first."""
        name = profile.displayname
        exact = self.folded in (fold(name or ""), fold(profile.user_id))
        begun = sum(not word.is_whole_in(known[profile.user_id]) for word in self.words)
        return not exact, profile.user_id not in shared, begun, name is None, profile.user_id


async def _candidates(tx: Transaction, wanted: _Term) -> dict[str, set[bytes]]:
    """Users who are meant, whoever may know of them, and what they are found by."""
    rarest = max((word.parts[0] for word in wanted.words), key=len)
    ids: Sequence[str] = await storage.find_by_word(tx, rarest, CANDIDATES)
    known = await storage.words_of(tx, ids) if ids else {}
    return {user_id: known[user_id] for user_id in ids if wanted.matches(user_id, known[user_id])}


async def rebuild_some(tx: WriteTransaction, after: str) -> tuple[str | None, int]:
    """Make the words of the next accounts anew; the last of them, None where there is none, and how many."""
    ids = await accounts.active_after(tx, after, REBUILT_AT_ONCE)
    stored = await storage.get_many(tx, ids) if ids else {}
    for user_id in ids:
        name = Profile.of(user_id, stored.get(user_id)).displayname
        await storage.set_words(tx, user_id, words_of_user(user_id, name))
    return (ids[-1] if ids else None), len(ids)
