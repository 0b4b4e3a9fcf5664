"""Push rules: which events notify a user, and how (spec: client-server API, "Push Rules").

- ``model``      rules and rulesets, and their JSON form,
- ``defaults``   the rules that every user starts with,
- ``editing``    adding, removing and changing rules, and what of a ruleset is the user's own,
- ``evaluator``  a ruleset made ready to judge events, with ``conditions`` and ``glob`` below it.
"""

from palpo.core.push_rules.conditions import RoomContext
from palpo.core.push_rules.defaults import default_rules
from palpo.core.push_rules.editing import (
    Customisation,
    add_rule,
    customisation_of,
    delete_rule,
    get_rule,
    merge,
    set_actions,
    set_enabled,
)
from palpo.core.push_rules.evaluator import NO_ACTIONS, Actions, Evaluator
from palpo.core.push_rules.model import KINDS, PushRule, Ruleset, parse_rule

__all__ = [
    "KINDS",
    "NO_ACTIONS",
    "Actions",
    "Customisation",
    "Evaluator",
    "PushRule",
    "RoomContext",
    "Ruleset",
    "add_rule",
    "customisation_of",
    "default_rules",
    "delete_rule",
    "get_rule",
    "merge",
    "parse_rule",
    "set_actions",
    "set_enabled",
]
