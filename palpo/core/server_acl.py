"""Which servers a room lets take part (spec: client-server API, "m.room.server_acl")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from palpo.core.server_names import is_ip_literal, split_server_name

_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class ServerAcl:
    """One room's list."""

    allow: re.Pattern[str]
    deny: re.Pattern[str]
    allow_ip_literals: bool

    @classmethod
    def parse(cls, content: dict[str, Any]) -> ServerAcl:
        """The list in an event's content; what is malformed in it is as if it were not there."""
        ip_literals = content.get("allow_ip_literals")
        return cls(
            allow=_any_of(content.get("allow")),
            deny=_any_of(content.get("deny")),
            allow_ip_literals=ip_literals if isinstance(ip_literals, bool) else True,
        )

    def permits(self, server_name: str) -> bool:
        """Whether a server may take part: by its host, whatever its port."""
        host = split_server_name(server_name).host
        if is_ip_literal(host):
            if not self.allow_ip_literals:
                return False
            host = server_name.rpartition("]")[0] + "]" if server_name.startswith("[") else host
        name = host.lower()
        return self.deny.fullmatch(name) is None and self.allow.fullmatch(name) is not None


def _any_of(globs: Any) -> re.Pattern[str]:
    """What any of the globs matches; nothing where there are none."""
    if not isinstance(globs, list):
        return _NOTHING
    patterns = dict.fromkeys(_pattern(glob.lower()) for glob in globs if isinstance(glob, str))
    return re.compile("|".join(patterns), re.DOTALL) if patterns else _NOTHING


def _pattern(glob: str) -> str:
    """A regular expression for a glob of ``*`` and ``?``, which takes no more than one attempt at each part.

    The first place at which a part between two ``*`` is found will do, so nothing is tried twice.
    """
    first, *rest = (_literal(part) for part in re.split(r"\*+", glob))
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"


def _literal(characters: Iterable[str]) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in characters)
