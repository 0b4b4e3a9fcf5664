"""What of their push rules is users' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from palpo.config.sections.clients import PushConfig
from palpo.core import push_rules as core
from palpo.core.canonical_json import to_json
from palpo.core.identifiers import UserId
from palpo.core.push_rules import Customisation, PushRule
from palpo.db.engine import Database
from palpo.services.administration.synapse_import.steps import Source
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, parsed
from palpo.storage.synapse import here, there
from palpo.storage.synapse.user_rows import Row

CHANGED = -1
"""The class of rows that say which actions a default rule has."""


class PushRules(UserStep):
    """Users' own rules, and what they changed of the default ones."""

    name = "push rules"

    def __init__(self, source: Source, db: Database, config: PushConfig) -> None:
        super().__init__(source, db)
        self._config = config

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """What a ruleset has that the default one has not."""
        rules = await self.there(there.PUSH_RULES, users)
        enabled = await self.there(there.PUSH_RULES_ENABLED, users)
        rows = []
        for user in users:
            if rules[user] or enabled[user]:
                custom = self._own(UserId(user), _customisation(rules[user], enabled[user]))
                rows.append({"user_id": user, "custom": custom, "position": 0})
        return {here.PUSH_RULES: rows}

    def _own(self, user_id: UserId, custom: Customisation) -> bytes:
        """As it is stored: without what is so by default."""
        defaults = core.default_rules(
            user_id,
            polls=self._config.polls,
            legacy_mentions=self._config.legacy_mentions,
            thread_subscriptions=self._config.thread_subscriptions,
        )
        own = core.customisation_of(defaults, core.merge(defaults, custom))
        return to_json(msgspec.to_builtins(own))


def _customisation(rules: Sequence[Row], enabled: Sequence[Row]) -> Customisation:
    is_on = {row["rule_id"]: bool(row["enabled"]) for row in enabled}
    custom = Customisation(rules={}, enabled={}, actions={})
    # Those of the highest priority come first here, and last there.
    for row in reversed(rules):
        kind, rule_id = _names(row["rule_id"])
        if kind not in core.KINDS:
            continue
        if row["priority_class"] == CHANGED:
            custom.actions.setdefault(kind, {})[rule_id] = parsed(row["actions"])
        else:
            on = is_on.get(row["rule_id"], True)
            custom.rules.setdefault(kind, []).append(_rule(kind, rule_id, row, enabled=on))
    for name, on in is_on.items():
        kind, rule_id = _names(name)
        if rule_id.startswith("."):
            custom.enabled.setdefault(kind, {})[rule_id] = on
    return custom


def _names(rule_id: str) -> tuple[str, str]:
    """The kind and ID of ``global/kind/ID``; no kind where it is something else."""
    scope, _, rest = rule_id.partition("/")
    kind, _, name = rest.partition("/")
    return (kind, name) if scope == "global" else ("", rule_id)


def _rule(kind: str, rule_id: str, row: Row, *, enabled: bool) -> PushRule:
    conditions: list[dict[str, Any]] = parsed(row["conditions"])
    patterns = [item["pattern"] for item in conditions if "pattern" in item]
    return PushRule(
        rule_id=rule_id,
        enabled=enabled,
        actions=parsed(row["actions"]),
        conditions=conditions if kind in ("override", "underride") else UNSET,
        pattern=patterns[0] if kind == "content" and patterns else UNSET,
    )
