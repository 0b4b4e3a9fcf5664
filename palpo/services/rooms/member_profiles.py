"""What membership events say about their user."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from palpo.services.accounts.profiles import Profile

PROFILE_KEYS = ("displayname", "avatar_url")


def with_profile(
    content: dict[str, Any], profile: Profile, *, keys: Collection[str] = PROFILE_KEYS
) -> dict[str, Any]:
    """A membership event's content, with what the profile has of ``keys``."""
    shown = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
    rest = {key: value for key, value in content.items() if key not in keys}
    return {**rest, **{key: value for key in keys if (value := shown[key]) is not None}}
