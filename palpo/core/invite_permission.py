"""Who may invite a user (spec: client-server API, "Invite permission"; lists: MSC4155)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from palpo.core.identifiers import server_name_of
from palpo.core.push_rules.glob import compile_glob

MAX_PATTERNS = 1000
MAX_PATTERN = 255


class InvitePermission(Enum):
    """What becomes of an invite."""

    ALLOW = "allow"
    IGNORE = "ignore"
    """It is made, and not shown to whom it is for."""
    BLOCK = "block"
    """It is refused."""


def permission(config: Mapping[str, Any], lists: Mapping[str, Any], inviter: str) -> InvitePermission:
    """What becomes of an invite by ``inviter``.

    ``config`` is the content of the user's ``m.invite_permission_config``, ``lists`` that of
    ``org.matrix.msc4155.invite_permission_config``; what is malformed in them says nothing.
    """
    if config.get("default_action") == "block":
        return InvitePermission.BLOCK
    for subject, kind in ((inviter, "users"), (server_name_of(inviter), "servers")):
        for action, result in (
            ("allowed", InvitePermission.ALLOW),
            ("ignored", InvitePermission.IGNORE),
            ("blocked", InvitePermission.BLOCK),
        ):
            if _listed(lists.get(f"{action}_{kind}"), subject):
                return result
    return InvitePermission.ALLOW


def _listed(patterns: object, subject: str) -> bool:
    if not isinstance(patterns, list):
        return False
    usable = (item for item in patterns[:MAX_PATTERNS] if isinstance(item, str) and len(item) <= MAX_PATTERN)
    return any(compile_glob(pattern)(subject) for pattern in usable)
