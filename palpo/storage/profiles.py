"""Profiles, and finding users by the words of their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import LargeBinary, bindparam, delete, select

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import ServerName
from palpo.core.membership import JOIN
from palpo.core.user_words import words_of_user
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.profiles import profiles, user_words
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.memberships import Member
from palpo.streams import topics

_PUT = upsert(profiles, key=["user_id"])
_GET = Statement(select(profiles.c.fields).where(profiles.c.user_id == bindparam("user_id")))
_GET_MANY = Statement(
    select(profiles.c.user_id, profiles.c.fields).where(in_list(profiles.c.user_id, "user_ids"))
)
_AFTER = Statement(
    select(profiles.c.user_id, profiles.c.fields)
    .where(profiles.c.user_id > bindparam("after"))
    .order_by(profiles.c.user_id)
    .limit(bindparam("limit"))
)
_INSERT_WORD = insert_row(user_words)
_WORDS = Statement(select(user_words.c.word).where(user_words.c.user_id == bindparam("user_id")))
_DELETE_WORDS = Statement(delete(user_words).where(user_words.c.user_id == bindparam("user_id")))
_FIND = Statement(
    select(user_words.c.user_id)
    .where(
        user_words.c.word >= bindparam("low", type_=LargeBinary()),
        user_words.c.word < bindparam("high", type_=LargeBinary()),
    )
    .order_by(user_words.c.word, user_words.c.user_id)
    .limit(bindparam("limit"))
)
_WORDS_OF = Statement(
    select(user_words.c.user_id, user_words.c.word).where(in_list(user_words.c.user_id, "user_ids"))
)


async def get(tx: Transaction, user_id: str) -> bytes | None:
    """The JSON object of a user's profile fields, None where nothing was ever set."""
    found: bytes | None = await tx.value(_GET, user_id=user_id)
    return found


async def get_many(tx: Transaction, user_ids: Collection[str]) -> dict[str, bytes]:
    """The profiles that there are among ``user_ids``."""
    return {row[0]: row[1] for row in await tx.all(_GET_MANY, user_ids=list(user_ids))}


async def after(tx: Transaction, user_id: str, limit: int) -> list[tuple[str, bytes]]:
    """The next profiles, by user ID."""
    return [(row[0], row[1]) for row in await tx.all(_AFTER, after=user_id, limit=limit)]


async def put(tx: WriteTransaction, user_id: str, fields: bytes, position: int) -> None:
    """Store a profile over the one before it."""
    await tx.run(_PUT, user_id=user_id, fields=fields, position=position)
    tx.notify(topics.USER, user_id)
    tx.notify(topics.PROFILE, user_id)


async def note_members(tx: WriteTransaction, changed: Iterable[Member], ours: ServerName) -> None:
    """Let users of other servers who are in rooms be found by their IDs: what each room calls them is that
    room's."""
    users = {item.user_id for item in changed if item.membership == JOIN}
    others = sorted(user_id for user_id in users if user_id.partition(":")[2] != ours)
    if not others:
        return
    known = await words_of(tx, others)
    rows = [
        {"word": word, "user_id": user_id}
        for user_id in others
        if not known[user_id]
        for word in _words(user_id)
    ]
    await tx.many(_INSERT_WORD, rows)


async def note_names(
    tx: WriteTransaction, names: Mapping[str, Mapping[str, str]], ours: ServerName, position: int
) -> None:
    """Let users of other servers be found by what public rooms call them: ``names`` has that of each, its
    ``displayname`` and ``avatar_url`` as far as they are set.
    """
    others = [user_id for user_id in names if user_id.partition(":")[2] != ours]
    if not others:
        return
    known = await get_many(tx, others)
    fields = {user_id: to_json(names[user_id]) for user_id in others}
    changed = sorted(user_id for user_id in others if known.get(user_id, b"{}") != fields[user_id])
    if not changed:
        return
    await tx.many(_DELETE_WORDS, [{"user_id": user_id} for user_id in changed])
    words = [
        {"word": word, "user_id": user_id}
        for user_id in changed
        for word in sorted(set(words_of_user(user_id, names[user_id].get("displayname"))))
    ]
    await tx.many(_INSERT_WORD, words)
    rows = [{"user_id": user_id, "fields": fields[user_id], "position": position} for user_id in changed]
    await tx.many(_PUT, rows)
    tx.notify(topics.PROFILE, *changed)


def _words(user_id: str) -> list[bytes]:
    return sorted(set(words_of_user(user_id, None)))


async def set_words(tx: WriteTransaction, user_id: str, words: Collection[bytes]) -> None:
    """Let the user be found by ``words``, of at most 64 bytes each, and by no others."""
    if {row[0] for row in await tx.all(_WORDS, user_id=user_id)} == set(words):
        return
    await tx.run(_DELETE_WORDS, user_id=user_id)
    await tx.many(_INSERT_WORD, [{"word": word, "user_id": user_id} for word in sorted(set(words))])


async def find_by_word(tx: Transaction, prefix: bytes, limit: int) -> list[str]:
    """Users with a word that starts with ``prefix`` (one byte at least), ``limit`` rows at most."""
    # A byte over every byte of UTF-8 bounds the range.
    rows = await tx.all(_FIND, low=prefix, high=prefix + b"\xff", limit=limit)
    return list(dict.fromkeys(row[0] for row in rows))


async def words_of(tx: Transaction, user_ids: Sequence[str]) -> dict[str, set[bytes]]:
    """What each of ``user_ids`` is found by."""
    found: dict[str, set[bytes]] = {user_id: set() for user_id in user_ids}
    for user_id, word in await tx.all(_WORDS_OF, user_ids=list(user_ids)):
        found[user_id].add(word)
    return found
