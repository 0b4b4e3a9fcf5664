"""Signing keys of other servers, what those answered, and when they may be asked again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import ServerName
from palpo.core.server_keys import KeyAnswer, ServerKey, changed_keys
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.server_signing_keys import server_key_fetches, server_signing_keys
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.streams import topics

MAX_KEPT = 256
"""Keys of one server: a few are usual, and one that makes a new key for each request makes no more rows."""

k = server_signing_keys.c
f = server_key_fetches.c
_KEYS = Records(ServerKey, server_signing_keys)
_KEYS_OF = Statement(select(*_KEYS.columns).where(in_list(server_signing_keys.c.server_name, "server_names")))
_PUT_KEY = upsert(server_signing_keys, key=["server_name", "key_id"])
_FORGET_KEYS = Statement(
    delete(server_signing_keys).where(k.server_name == bindparam("server_name"), in_list(k.key_id, "key_ids"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered last. Times are milliseconds since the Unix epoch."""

    server_name: ServerName
    answer: bytes
    """Signed JSON."""
    answered_ts: int
    valid_until_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetches:
    """How often a server, or whoever was asked about it, has failed since it last answered."""

    server_name: ServerName
    answered_ts: int
    """0: it never has."""
    failures: int
    next_ts: int
    """When it may be asked again, in milliseconds since the Unix epoch; 0: at once."""


_ANSWERS = Records(Answer, server_key_fetches)
_ANSWERS_OF = Statement(
    select(*_ANSWERS.columns).where(in_list(f.server_name, "server_names"), f.answer.is_not(None))
)
_FETCHES = Records(Fetches, server_key_fetches)
_FETCHES_OF = Statement(select(*_FETCHES.columns).where(in_list(f.server_name, "server_names")))
_VALID_UNTIL = Statement(select(f.valid_until_ts).where(f.server_name == bindparam("server_name")))
_PUT_ANSWER = upsert(server_key_fetches, key=["server_name"])
_PUT_FAILURES = upsert(server_key_fetches, key=["server_name"], update=["failures", "next_ts"])
_OLD_FAILURES = Statement(
    select(f.server_name).where(f.next_ts < bindparam("before"), f.answer.is_(None)).limit(bindparam("limit"))
)
_FORGET = Statement(delete(server_key_fetches).where(in_list(f.server_name, "server_names")))


async def keys_of(
    tx: Transaction, server_names: Iterable[ServerName]
) -> dict[ServerName, tuple[ServerKey, ...]]:
    """The keys of each of the servers."""
    found: dict[ServerName, tuple[ServerKey, ...]] = dict.fromkeys(server_names, ())
    for row in await tx.all(_KEYS_OF, server_names=list(found)):
        key = _KEYS.of(row)
        found[key.server_name] += (key,)
    return found


async def answers_of(tx: Transaction, server_names: Collection[ServerName]) -> dict[ServerName, Answer]:
    """What those of the servers answered that ever have."""
    rows = await tx.all(_ANSWERS_OF, server_names=list(server_names))
    return {answer.server_name: answer for answer in _ANSWERS.all(rows)}


async def fetches_of(tx: Transaction, server_names: Collection[ServerName]) -> dict[ServerName, Fetches]:
    """What is known of asking the servers, of those that were asked."""
    rows = await tx.all(_FETCHES_OF, server_names=list(server_names))
    return {fetches.server_name: fetches for fetches in _FETCHES.all(rows)}


async def store_answer(
    tx: WriteTransaction, answer: KeyAnswer, *, now_ms: int, direct: bool
) -> tuple[ServerKey, ...]:
    """Store what ``changed_keys`` has of an answer, and that the server can be asked; all its keys then.

    Of more than ``MAX_KEPT`` keys those go that expired first. The answer of a notary does not take the place
    of one that is valid for longer; one that the server gave itself, ``direct``, does.
    """
    # Its lock is for the answers too, which several processes may have got at once.
    await tx.positions()
    name = answer.server_name
    known = {key.key_id: key for key in (await keys_of(tx, [name]))[name]}
    changed = changed_keys(known, answer, now_ms=now_ms)
    if changed:
        await tx.many(_PUT_KEY, [_KEYS.values(key) for key in changed])
    tx.notify(topics.SERVER_KEYS, name)
    before = await tx.value(_VALID_UNTIL, server_name=name)
    if direct or before is None or answer.valid_until_ts >= before:
        stored = Answer(
            server_name=name,
            answer=answer.json,
            answered_ts=now_ms,
            valid_until_ts=answer.valid_until_ts,
        )
        await tx.many(_PUT_ANSWER, [{**_ANSWERS.values(stored), "failures": 0, "next_ts": 0}])
    keys = {**known, **{key.key_id: key for key in changed}}
    surplus = sorted(keys, key=lambda key_id: keys[key_id].valid_until_ts)[: max(len(keys) - MAX_KEPT, 0)]
    if surplus:
        await tx.run(_FORGET_KEYS, server_name=name, key_ids=surplus)
    return tuple(key for key_id, key in keys.items() if key_id not in surplus)


async def put_keys(tx: WriteTransaction, keys: Iterable[ServerKey]) -> None:
    """Store keys over what is known of them."""
    rows = [_KEYS.values(key) for key in keys]
    await tx.many(_PUT_KEY, rows)
    tx.notify(topics.SERVER_KEYS, *{row["server_name"] for row in rows})


async def store_failures(tx: WriteTransaction, next_ts: Mapping[ServerName, tuple[int, int]]) -> None:
    """Store how often each server has failed by now, and when it may be asked again."""
    new = {"answer": None, "answered_ts": 0, "valid_until_ts": 0}
    rows = [
        {"server_name": name, "failures": failures, "next_ts": at, **new}
        for name, (failures, at) in sorted(next_ts.items())
    ]
    await tx.many(_PUT_FAILURES, rows)


async def forget_failures(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` servers that never answered and might have been asked since a time; how many."""
    rows = await tx.all(_OLD_FAILURES, before=before_ts, limit=limit)
    if rows:
        await tx.run(_FORGET, server_names=[row[0] for row in rows])
    return len(rows)
