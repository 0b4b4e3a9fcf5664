"""Push rules."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.api.call import Call, Handlers
from palpo.wire.client import push_rules as wire
from palpo.wire.endpoint import Json, NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_push_rules)
async def get_push_rules(call: Call, params: NoParams, body: NoBody) -> wire.Rulesets:
    """GET /pushrules/."""
    return wire.Rulesets(global_=await _global(call))


@handlers.serves(wire.get_push_rules_global)
async def get_push_rules_global(call: Call, params: NoParams, body: NoBody) -> Json:
    """GET /pushrules/global/."""
    return await _global(call)


@handlers.serves(wire.get_push_rule)
async def get_push_rule(call: Call, params: wire.Rule, body: NoBody) -> Json:
    """GET /pushrules/global/{kind}/{ruleId}."""
    rule = await call.services.personal.push_rules.rule(call.user_id, params.kind, params.rule_id)
    return _object(msgspec.to_builtins(rule))


@handlers.serves(wire.set_push_rule)
async def set_push_rule(call: Call, params: wire.PlacedRule, body: Json) -> None:
    """PUT /pushrules/global/{kind}/{ruleId}."""
    await call.services.personal.push_rules.put_rule(
        call.user_id, params.kind, params.rule_id, body, before=params.before, after=params.after
    )


@handlers.serves(wire.delete_push_rule)
async def delete_push_rule(call: Call, params: wire.Rule, body: NoBody) -> None:
    """DELETE /pushrules/global/{kind}/{ruleId}."""
    await call.services.personal.push_rules.delete_rule(call.user_id, params.kind, params.rule_id)


@handlers.serves(wire.is_push_rule_enabled)
async def is_push_rule_enabled(call: Call, params: wire.Rule, body: NoBody) -> wire.Enabled:
    """GET /pushrules/global/{kind}/{ruleId}/enabled."""
    rule = await call.services.personal.push_rules.rule(call.user_id, params.kind, params.rule_id)
    return wire.Enabled(enabled=rule.enabled)


@handlers.serves(wire.set_push_rule_enabled)
async def set_push_rule_enabled(call: Call, params: wire.Rule, body: wire.Enabled) -> None:
    """PUT /pushrules/global/{kind}/{ruleId}/enabled."""
    await call.services.personal.push_rules.set_enabled(
        call.user_id, params.kind, params.rule_id, body.enabled
    )


@handlers.serves(wire.get_push_rule_actions)
async def get_push_rule_actions(call: Call, params: wire.Rule, body: NoBody) -> wire.Actions:
    """GET /pushrules/global/{kind}/{ruleId}/actions."""
    rule = await call.services.personal.push_rules.rule(call.user_id, params.kind, params.rule_id)
    return wire.Actions(actions=rule.actions)


@handlers.serves(wire.set_push_rule_actions)
async def set_push_rule_actions(call: Call, params: wire.Rule, body: wire.Actions) -> None:
    """PUT /pushrules/global/{kind}/{ruleId}/actions."""
    await call.services.personal.push_rules.set_actions(
        call.user_id, params.kind, params.rule_id, body.actions
    )


async def _global(call: Call) -> Json:
    return (await call.services.personal.push_rules.ruleset(call.user_id)).to_json()


def _object(value: Any) -> Json:
    assert isinstance(value, dict)
    return value
