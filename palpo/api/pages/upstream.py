"""The ways to sign in that are elsewhere: other accounts than this server's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from palpo.api.call import Call
from palpo.wire.pages.upstream import UPSTREAM_PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Somebody else who says who a user is."""

    id: str
    name: str
    url: str
    """Where the browser begins, on this server; when it is done, it is signed in, and goes on to where it was
    going."""
    brand: str = ""


def upstreams(call: Call, then: str, action: str = "") -> Sequence[Upstream]:
    """All of them, for a browser that goes on to the path ``then``; ``action`` is what its user wants."""
    path = UPSTREAM_PATH.removesuffix("{idp_id}")
    wanted = {"action": action} if action else {}
    return [
        Upstream(
            id=item.id,
            name=item.config.name,
            url=f"{path}{item.id}?{urlencode({'next': then, **wanted})}",
            brand=item.config.brand,
        )
        for item in call.services.sign_on.providers
    ]
