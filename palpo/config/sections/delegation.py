"""Matrix Authentication Service in place of this server's own logins."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.config.marks import SECRET
from palpo.config.section import Section


class DelegationConfig(Section, frozen=True):
    """Matrix Authentication Service (MAS) signs users in, instead of this server: it makes accounts and
    devices here, and this server asks it whose an access token is. Needs `secret`, which is `matrix.secret`
    in its configuration. Users have no passwords here then, and clients of before OAuth 2.0 log in there.
    """

    endpoint: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where this server reaches it, as `http://127.0.0.1:8080/`; empty: this server signs "
            "users in itself. It has to serve `discovery` and `oauth` there.",
        ),
    ] = ""
    secret: Annotated[str, Meta(description="What both prove to each other with who they are."), SECRET] = ""
    cache_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="For how long its word on an access token is taken without asking again.",
        ),
    ] = 60.0
    timeout_seconds: Annotated[float, Meta(gt=0, description="How long it may take to answer.")] = 10.0
