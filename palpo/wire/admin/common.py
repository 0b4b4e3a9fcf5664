"""What declarations of the admin API share: paths, pages of lists, and the order of them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec

from palpo.wire.endpoint import Params

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Something that is counted, or an offset."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Since the Unix epoch."""
SearchTerm = Annotated[str, msgspec.Meta(min_length=1)]
"""What is searched for: who searches for nothing leaves it out."""
MAX_LIMIT = 1000
"""Items of a page, whatever is asked for."""


class Direction(Enum):
    """The order of a list."""

    FORWARDS = "f"
    BACKWARDS = "b"


class PageParams(Params, frozen=True, kw_only=True):
    """Which part of a list: ``limit`` items after the first ``from``."""

    from_: Count = msgspec.field(name="from", default=0)
    limit: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 100

    @property
    def size(self) -> int:
        """How many items are given at most."""
        return min(self.limit, MAX_LIMIT)

    def next_token(self, total: int) -> int | None:
        """Where the next page begins; None after the last."""
        after = self.from_ + self.size
        return after if after < total else None


def admin(path: str, *versions: str) -> tuple[str, ...]:
    """The paths of ``path`` below ``/_synapse/admin``: v1 unless ``versions`` are named."""
    return tuple(f"/_synapse/admin/{version}{path}" for version in versions or ("v1",))
