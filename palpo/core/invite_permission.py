"""Who may invite a user (spec: client-server API, "Invite permission"; lists: MSC4155)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from palpo.core.identifiers import server_name_of
from palpo.core.push_rules.glob import Work, compile_glob, is_literal

MAX_GLOBS = 50
"""Patterns with wildcards that are looked at, of each list."""
MAX_GLOB = 255
"""Characters of one; a longer one matches nothing."""


class InvitePermission(Enum):
    """What becomes of an invite."""

    ALLOW = "allow"
    IGNORE = "ignore"
    """It is made, and not shown to whom it is for."""
    BLOCK = "block"
    """It is refused."""


_ACTIONS: Final = {
    "allowed": InvitePermission.ALLOW,
    "ignored": InvitePermission.IGNORE,
    "blocked": InvitePermission.BLOCK,
}
"""By the names of the lists, in the order in which these are looked into."""
_LISTS: Final = tuple(f"{action}_{kind}" for kind in ("users", "servers") for action in _ACTIONS)
_glob = lru_cache(maxsize=1024)(compile_glob)
_PORT: Final = re.compile(r":[0-9]+$")


def permission(config: Mapping[str, Any], lists: Mapping[str, Any], inviter: str) -> InvitePermission:
    """What becomes of an invite by ``inviter``.

    ``config`` is the content of the user's ``m.invite_permission_config``, ``lists`` that of
    ``org.matrix.msc4155.invite_permission_config``. Lists that are switched off say nothing, nor do they
    if one of them is malformed.
    """
    if config.get("default_action") == "block":
        return InvitePermission.BLOCK
    if lists.get("enabled") is False or not all(_is_list(lists.get(name, [])) for name in _LISTS):
        return InvitePermission.ALLOW
    server = _PORT.sub("", server_name_of(inviter))
    for subject, kind in ((inviter, "users"), (server, "servers")):
        for action, result in _ACTIONS.items():
            if _listed(lists.get(f"{action}_{kind}", []), subject):
                return result
    return InvitePermission.ALLOW


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _listed(patterns: Sequence[str], subject: str) -> bool:
    lowered = subject.lower()
    if any(pattern.lower() == lowered for pattern in patterns):
        return True
    globs = (pattern for pattern in patterns if len(pattern) <= MAX_GLOB and not is_literal(pattern))
    work = Work()
    return any(_glob(pattern)(subject, work) for pattern in islice(globs, MAX_GLOBS))
