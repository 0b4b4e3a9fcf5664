"""Who users are elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.external_ids import external_ids
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalId:
    """What a provider calls a user."""

    auth_provider: str
    external_id: str
    user_id: UserId


_e = external_ids.c
_RECORDS = Records(ExternalId, external_ids)
_INSERT = insert_row(external_ids)
_ONE = (_e.auth_provider == bindparam("provider")) & (_e.external_id == bindparam("id"))
_FIND = Statement(select(_e.user_id).where(_ONE))
_OF_USER = Statement(
    select(*_RECORDS.columns)
    .where(_e.user_id == bindparam("user"))
    .order_by(_e.auth_provider, _e.external_id)
)
_DELETE = Statement(delete(external_ids).where(_ONE, _e.user_id == bindparam("user")))


async def find(tx: Transaction, provider: str, external_id: str) -> UserId | None:
    """Who is called so at a provider."""
    found: UserId | None = await tx.value(_FIND, provider=provider, id=external_id)
    return found


async def of_user(tx: Transaction, user_id: str) -> list[ExternalId]:
    """All that a user is called elsewhere."""
    return _RECORDS.all(await tx.all(_OF_USER, user=user_id))


async def add(tx: WriteTransaction, provider: str, external_id: str, user_id: str) -> None:
    """Link a user; raises UniqueViolation where somebody is called so already."""
    await tx.run(_INSERT, auth_provider=provider, external_id=external_id, user_id=user_id)


async def replace(tx: WriteTransaction, user_id: UserId, wanted: Collection[tuple[str, str]]) -> None:
    """Let a user be called so, ``(provider, external ID)`` each, and in no other way.

    Raises UniqueViolation where somebody else is.
    """
    known = {(item.auth_provider, item.external_id) for item in await of_user(tx, user_id)}
    for provider, external_id in sorted(known - set(wanted)):
        await remove(tx, provider, external_id, user_id)
    for provider, external_id in sorted(set(wanted) - known):
        await add(tx, provider, external_id, user_id)


async def remove(tx: WriteTransaction, provider: str, external_id: str, user_id: str) -> bool:
    """Take a link of a user's away; whether there was one."""
    return await tx.run(_DELETE, provider=provider, id=external_id, user=user_id) > 0
