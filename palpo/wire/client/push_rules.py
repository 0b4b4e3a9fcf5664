"""Push rules (spec: client-server API, "Push Rules: API")."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.endpoint import Body, Endpoint, Json, Limit, NoBody, NoParams, Params, Response, client


class Rule(Params, frozen=True):
    """A rule, in the path."""

    kind: str
    rule_id: str


class PlacedRule(Rule, frozen=True):
    """A rule, and the one that it is to be next to."""

    before: str | None = None
    after: str | None = None


class Rulesets(Response, frozen=True):
    """Every ruleset: there is one."""

    global_: Json = msgspec.field(name="global")


class Enabled(Body, frozen=True):
    """Whether a rule is enabled, or is to be."""

    enabled: bool


class Actions(Body, frozen=True):
    """What a rule's actions are, or are to be."""

    actions: list[Any]


RULE = "/pushrules/global/{kind}/{rule_id}"

get_push_rules: Endpoint[NoParams, NoBody, Rulesets] = Endpoint(
    operation_id="getPushRules",
    method="GET",
    paths=client("/pushrules/") + client("/pushrules"),
    response=Rulesets,
)

get_push_rules_global: Endpoint[NoParams, NoBody, Json] = Endpoint(
    operation_id="getPushRulesGlobal",
    method="GET",
    paths=client("/pushrules/global/") + client("/pushrules/global"),
    response=Json,
)

get_push_rule: Endpoint[Rule, NoBody, Json] = Endpoint(
    operation_id="getPushRule",
    method="GET",
    paths=client(RULE),
    params=Rule,
    response=Json,
)

set_push_rule: Endpoint[PlacedRule, Json, None] = Endpoint(
    operation_id="setPushRule",
    method="PUT",
    paths=client(RULE),
    limit=Limit.SETTINGS,
    params=PlacedRule,
    body=Json,
)

delete_push_rule: Endpoint[Rule, NoBody, None] = Endpoint(
    operation_id="deletePushRule",
    method="DELETE",
    paths=client(RULE),
    limit=Limit.SETTINGS,
    params=Rule,
)

is_push_rule_enabled: Endpoint[Rule, NoBody, Enabled] = Endpoint(
    operation_id="isPushRuleEnabled",
    method="GET",
    paths=client(RULE + "/enabled"),
    params=Rule,
    response=Enabled,
)

set_push_rule_enabled: Endpoint[Rule, Enabled, None] = Endpoint(
    operation_id="setPushRuleEnabled",
    method="PUT",
    paths=client(RULE + "/enabled"),
    limit=Limit.SETTINGS,
    params=Rule,
    body=Enabled,
)

get_push_rule_actions: Endpoint[Rule, NoBody, Actions] = Endpoint(
    operation_id="getPushRuleActions",
    method="GET",
    paths=client(RULE + "/actions"),
    params=Rule,
    response=Actions,
)

set_push_rule_actions: Endpoint[Rule, Actions, None] = Endpoint(
    operation_id="setPushRuleActions",
    method="PUT",
    paths=client(RULE + "/actions"),
    limit=Limit.SETTINGS,
    params=Rule,
    body=Actions,
)
