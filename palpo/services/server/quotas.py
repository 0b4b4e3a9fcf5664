"""Quotas: how much of the server a user may take, and all users together.

A noun that is bounded is a ``Kind``, with its bounds in ``[quotas]``. Whoever writes it says so in the same
unit of work, before or after the write itself:

    await quotas.charge(tx, user_id, {Kind.MEDIA: 1, Kind.MEDIA_BYTES: size})    # so much more, or less
    await quotas.settle(tx, user_id, {Kind.DEVICES: len(devices)})               # so much it is now
    await quotas.recount(tx, user_id, Kind.DEVICES)                              # so much as there is now

All raise, and so undo the unit, where it would be more than the user or the server may have:

- ``UserLimitExceeded`` (403, M_USER_LIMIT_EXCEEDED, MSC4335) is for the user's own bound. The spec has
  M_LIMIT_EXCEEDED (429) for what passes with time, which a client repeats, and M_TOO_LARGE (413) for one
  request that is too large by itself: this is neither.
- ``ResourceLimitExceeded`` (403, M_RESOURCE_LIMIT_EXCEEDED) is for the server's, with whom to ask.

To have less is never refused, nor is having more of nothing, so a user who is over a bound (that was
lowered, say) can still delete. What is counted is counted whether or not there are bounds.

Amounts are exact, however many write at once and in however many processes: the calls take a stream
position first, and nobody else has one until the transaction ends. So what this process counted last is
so still where no other process has taken a position since, and need not be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from palpo.config.model import Config
from palpo.config.sections.limits import Quota, QuotasConfig
from palpo.core.errors import Forbidden, ResourceLimitExceeded, UserLimitExceeded
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.server.known_amounts import KnownAmounts
from palpo.storage import account_rows
from palpo.storage import quotas as storage
from palpo.storage.quotas import SERVER


class Quotas:
    """Counts what users have, and refuses what is too much."""

    def __init__(
        self, config: Config, db: Database, amounts: KnownAmounts, *, exempt: Callable[[str], bool]
    ) -> None:
        """``exempt`` says which users have no bounds of their own."""
        self._db = db
        self._amounts = amounts
        self._exempt = exempt
        self.refusals: Counter[tuple[Kind, str]] = Counter()
        """How often a kind was refused, by whose bound it was: ``user`` or ``server``."""
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Go by other bounds from now on; what is there already stays."""
        self._contact = admin_contact(config)
        self._bounds = {kind: bounds(config.quotas, kind) for kind in Kind}

    def limit(self, kind: Kind, user_id: str = SERVER) -> int | None:
        """How much a user may have, or users have who are not exempt; None for any amount."""
        limit = self._bounds[kind].user
        return limit if limit and not (user_id and self._exempt(user_id)) else None

    def server_limit(self, kind: Kind) -> int | None:
        """How much all users may have together; None for any amount."""
        return self._bounds[kind].server or None

    async def charge(self, tx: WriteTransaction, user_id: str, added: Mapping[Kind, int]) -> None:
        """A user has so much more of some kinds, or less where it is negative; see the module."""
        if any(added.values()):
            await tx.positions()
            known = await self._amounts.get(tx, added, user_id)
            wanted = {kind: max(0, known[kind, user_id] + amount) for kind, amount in added.items()}
            await self._store(tx, user_id, known, wanted)

    async def settle(self, tx: WriteTransaction, user_id: str, amounts: Mapping[Kind, int]) -> None:
        """A user has so much of some kinds now; see the module."""
        await tx.positions()
        known = await self._amounts.get(tx, amounts, user_id)
        await self._store(tx, user_id, known, amounts)

    async def recount(self, tx: WriteTransaction, user_id: str, *kinds: Kind) -> None:
        """A user has so much of some kinds now as their rows say (``db.tables.kept``); see the module.

        It is for what a user has few of, or has all of deleted.
        """
        await tx.positions()
        await self.settle(tx, user_id, await account_rows.counted(tx, user_id, kinds))

    async def left(self, user_id: str, kind: Kind) -> int | None:
        """How much more a user may have by their own bound at the moment; None for any amount."""
        limit = self.limit(kind, user_id)
        if limit is None:
            return None
        known = await self._db.read(lambda tx: storage.amounts(tx, [kind], user_id))
        return max(0, limit - known[kind, user_id])

    async def room_for(self, tx: WriteTransaction, kind: Kind, amount: int) -> int:
        """How much has to go of what all users have, so that there is place for ``amount`` more.

        Nobody else changes it until the transaction ends.
        """
        limit = self.server_limit(kind)
        if limit is None:
            return 0
        await tx.positions()
        known = await self._amounts.get(tx, [kind], SERVER)
        return max(0, known[kind, SERVER] + amount - limit)

    async def used(self) -> dict[Kind, int]:
        """What all users have together, by kind."""
        found = await self._db.read(storage.of_server)
        return {kind: found.get(kind, 0) for kind in Kind}

    def refusal(self, kind: Kind, *, servers: bool = False) -> Forbidden:
        """What is raised at a user's bound, or the server's; it counts as a refusal."""
        self.refusals[kind, "server" if servers else "user"] += 1
        noun = kind.value.replace("_", " ")
        if servers:
            message = f"The server has as much as it may have: {noun}"
            return ResourceLimitExceeded(message, admin_contact=self._contact)
        message = f"You may have no more: {noun}, of which a user may have {self._bounds[kind].user}"
        return UserLimitExceeded(message, info_uri=self._contact)

    async def _store(
        self, tx: WriteTransaction, user_id: str, known: storage.Amounts, wanted: Mapping[Kind, int]
    ) -> None:
        changed: storage.Amounts = {}
        for kind, amount in wanted.items():
            more = amount - known[kind, user_id]
            if not more:
                continue
            total = max(0, known[kind, SERVER] + more)
            if more > 0:
                if 0 < self._bounds[kind].server < total:
                    raise self.refusal(kind, servers=True)
                limit = self.limit(kind, user_id)
                if user_id != SERVER and limit is not None and limit < amount:
                    raise self.refusal(kind)
            changed[kind, user_id] = amount
            changed[kind, SERVER] = total
        if changed:
            await self._amounts.put(tx, changed)


def bounds(config: QuotasConfig, kind: Kind) -> Quota:
    """The bounds of a kind; 0 for none."""
    found: Quota = getattr(config, kind.value)
    return found if config.enabled else Quota(user=0, server=0)


def admin_contact(config: Config) -> str:
    """A URI of the administrators, or of a page about the server."""
    known = config.well_known
    if known.support_page:
        return known.support_page
    if known.admin_email:
        return f"mailto:{known.admin_email}"
    if known.admin_matrix_id:
        return f"matrix:u/{known.admin_matrix_id.removeprefix('@')}"
    return f"{config.base_url}/.well-known/matrix/support"
