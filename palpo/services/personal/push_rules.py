"""Users' push rules (spec: client-server API, "Push Rules").

Sync-facing, all from memory mostly: ``position(user_id)`` is where they last changed (0 for never), and
``content(user_id)`` the JSON of the ``m.push_rules`` event; ``account_data`` puts the two into
what has changed. ``evaluator(user_id)`` judges events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from palpo.config.sections.clients import PushConfig
from palpo.core import push_rules as core
from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json, trimmed
from palpo.core.errors import NotFound, TooLarge
from palpo.core.identifiers import UserId
from palpo.core.push_rules import Customisation, Evaluator, PushRule, Ruleset
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import push_rules as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.sizes import deep_size
from palpo.streams.wakeups import Wakeups

MAX_CUSTOM = 1024 * 1024
"""Bytes of what is a user's own, as JSON."""

Hook = Callable[[UserId], Awaitable[object]]
"""``async def hook(user_id)``, before a user's rules are changed: what has come so far is judged by the old
ones."""

_DECODER = msgspec.json.Decoder(Customisation)


@dataclass(frozen=True)
class _Rules:
    """A user's rules, with what is made of them when it is first asked for."""

    ruleset: Ruleset
    position: int

    @cached_property
    def evaluator(self) -> Evaluator:
        return Evaluator(self.ruleset)

    @cached_property
    def content(self) -> bytes:
        return trimmed(to_json({"global": self.ruleset.to_json()}))


class PushRules:
    """Reads and changes push rules."""

    def __init__(
        self, db: Database, wakeups: Wakeups, config: PushConfig, caches: CacheBudget, hooks: Iterable[Hook]
    ) -> None:
        self._db = db
        self._config = config
        self._cache: Cache[str, _Rules] = caches.cache("push_rules", _rules_bytes)
        self._hooks = hooks
        wakeups.listen(topics.PUSH_RULES, self._cache.forget)

    async def ruleset(self, user_id: UserId) -> Ruleset:
        """The user's rules of every kind."""
        return (await self._rules(user_id)).ruleset

    async def evaluator(self, user_id: UserId) -> Evaluator:
        """What judges events for the user."""
        return (await self._rules(user_id)).evaluator

    async def position(self, user_id: UserId) -> int:
        """The position at which the user last changed a rule; 0 for never."""
        return (await self._rules(user_id)).position

    async def content(self, user_id: UserId) -> bytes:
        """The content of ``m.push_rules``."""
        return (await self._rules(user_id)).content

    async def rule(self, user_id: UserId, kind: str, rule_id: str) -> PushRule:
        """One rule; raises NotFound."""
        if kind not in core.KINDS:
            raise NotFound("There is no such kind of push rule")
        return core.get_rule(await self.ruleset(user_id), kind, rule_id)

    async def put_rule(
        self,
        user_id: UserId,
        kind: str,
        rule_id: str,
        body: dict[str, Any],
        *,
        before: str | None,
        after: str | None,
    ) -> None:
        """Add a rule, or replace the one with its ID; raises as ``core.push_rules`` says."""
        check_text(rule_id, "A rule ID", max_bytes=1024)
        rule = core.parse_rule(kind, rule_id, body)
        await self._change(
            user_id, lambda rules: core.add_rule(rules, kind, rule, before=before, after=after)
        )

    async def delete_rule(self, user_id: UserId, kind: str, rule_id: str) -> None:
        """Remove a user's rule; raises NotFound, InvalidParam."""
        await self._change(user_id, lambda rules: core.delete_rule(rules, kind, rule_id))

    async def set_enabled(self, user_id: UserId, kind: str, rule_id: str, enabled: bool) -> None:
        """Turn a rule on or off; raises NotFound, InvalidParam."""
        await self._change(user_id, lambda rules: core.set_enabled(rules, kind, rule_id, enabled))

    async def set_actions(self, user_id: UserId, kind: str, rule_id: str, actions: object) -> None:
        """Replace a rule's actions; raises NotFound, InvalidParam, BadJson."""
        await self._change(user_id, lambda rules: core.set_actions(rules, kind, rule_id, actions))

    def _defaults(self, user_id: UserId) -> Ruleset:
        return core.default_rules(
            user_id,
            polls=self._config.polls,
            legacy_mentions=self._config.legacy_mentions,
            thread_subscriptions=self._config.thread_subscriptions,
        )

    async def _rules(self, user_id: UserId) -> _Rules:
        return await self._cache.get_or_read(user_id, lambda: self._read(user_id))

    async def _read(self, user_id: UserId) -> _Rules:
        stored = await self._db.read(lambda tx: storage.get(tx, user_id))
        defaults = self._defaults(user_id)
        if stored is None:
            return _Rules(defaults, 0)
        return _Rules(core.merge(defaults, _DECODER.decode(stored[0])), stored[1])

    async def _change(self, user_id: UserId, change: Callable[[Ruleset], Ruleset]) -> None:
        defaults = self._defaults(user_id)

        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two changes of one user's rules apart.
            position = await tx.positions()
            stored = await storage.get(tx, user_id)
            custom = Customisation() if stored is None else _DECODER.decode(stored[0])
            changed = change(core.merge(defaults, custom))
            encoded = to_json(msgspec.to_builtins(core.customisation_of(defaults, changed)))
            if len(encoded) > MAX_CUSTOM:
                raise TooLarge("There are too many push rules")
            await storage.put(tx, user_id, encoded, position)

        for hook in self._hooks:
            await hook(user_id)
        await self._db.write(unit)


def _rules_bytes(user_id: UserId, rules: _Rules) -> int:
    """Of the rules, what judges by them, and their JSON: about four times the rules themselves."""
    return 600 + 4 * deep_size(rules.ruleset)
