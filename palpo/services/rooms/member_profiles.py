"""What membership events say about their user: whoever keeps profiles offers this."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol


class MemberProfile(Protocol):
    """A profile, as far as membership events carry it."""

    @property
    def displayname(self) -> str | None:
        """The display name."""
        ...

    @property
    def avatar_url(self) -> str | None:
        """The ``mxc://`` address of the avatar."""
        ...


class ProfileSource(Protocol):
    """Looks profiles up."""

    async def get(self, user_id: str, /) -> MemberProfile:
        """The profile of a local user, empty where there is none."""
        ...


PROFILE_KEYS = ("displayname", "avatar_url")


def with_profile(
    content: dict[str, Any], profile: MemberProfile, *, keys: Collection[str] = PROFILE_KEYS
) -> dict[str, Any]:
    """A membership event's content, with what the profile has of ``keys``."""
    shown = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
    rest = {key: value for key, value in content.items() if key not in keys}
    return {**rest, **{key: value for key in keys if (value := shown[key]) is not None}}
