"""Who somebody is elsewhere, and whom that makes them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from palpo.config.sections.sign_on import Mapped as MappedConfig
from palpo.core.bounded_text import check_text
from palpo.core.claim_templates import compile_template, to_localpart
from palpo.core.errors import Forbidden

MAX_NAME = 255
"""Characters of a display name that are taken over."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who signed on at a provider, by its own word, and in which session there."""

    provider: str
    subject: str
    session: str = ""
    refresh_token: str = ""


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What templates have made of what a provider says; empty where it says nothing of use."""

    localpart: str = ""
    display_name: str = ""
    email: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who has signed on at a provider."""

    provider: str
    external_id: str
    """What tells them apart there, for good: accounts are linked to it."""
    claims: Mapping[str, Any]
    upstream_session: str = ""
    subject: str = ""
    """What the provider calls them when it logs them out; empty: as ``external_id``."""
    refresh_token: str = ""
    """With what the provider is asked whether the session goes on; empty: it is not asked."""

    def __post_init__(self) -> None:
        """Raises InvalidParam for what cannot be stored, and Forbidden where there is nothing."""
        if not self.external_id:
            raise Forbidden("The provider does not say who you are")
        check_text(self.external_id, "The provider's name for you")
        check_text(self.upstream_session, "The provider's session")

    @property
    def upstream(self) -> Upstream:
        """What is remembered of the sign-on."""
        subject = self.subject or self.external_id
        return Upstream(
            provider=self.provider,
            subject=subject,
            session=self.upstream_session,
            refresh_token=self.refresh_token,
        )


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """The templates and the requirements of a provider, read once."""

    config: MappedConfig
    _templates: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("localpart", "display_name", "email", "picture"):
            self._templates[name] = compile_template(getattr(self.config, f"{name}_template"))

    def person(self, claims: Mapping[str, Any]) -> Person:
        """What is made of the claims; raises Forbidden for who does not have what is required."""
        self.check(claims)
        made = {name: template(claims) for name, template in self._templates.items()}
        if _text(claims.get("email_verified", True)).lower() in ("false", "0"):
            made["email"] = ""
        made["localpart"] = to_localpart(made["localpart"])
        made["display_name"] = made["display_name"][:MAX_NAME]
        return Person(**made)

    def check(self, claims: Mapping[str, Any]) -> None:
        """Raises Forbidden for who does not have what is required."""
        for name, wanted in self.config.require.items():
            values = _values(claims.get(name))
            if not (values.intersection(wanted) if wanted else values):
                raise Forbidden("Your account there may not be used here")


def _values(claim: Any) -> set[str]:
    """A claim's values as text: of a list, each of them."""
    items = claim if isinstance(claim, list | tuple) else [claim]
    return {_text(item) for item in items if item is not None and item != ""}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
