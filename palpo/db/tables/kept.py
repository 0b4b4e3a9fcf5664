"""What a table keeps of users, and for how long: said where the table is declared, and nowhere else.

    filters = Table("filters", metadata, Column("user_id", …), …, info=kept(Until.ERASURE))

``palpo.storage.account_rows`` does what is said here when a device is removed and when an account ends, and a
test holds every table that has users in it to having said something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Table

from palpo.core.records.quotas import Kind


class Until(Enum):
    """How long something of a user is kept, if it does not go before."""

    DEACTIVATION = "until the account is deactivated"
    ERASURE = "until the account is deactivated and its user wants to be erased"
    ALWAYS = "whatever becomes of the account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long the rows of a table are kept."""

    until: Until
    user: str = "user_id"
    """The column that says whose a row is."""
    device: str | None = None
    """The column that says of which device a row is: it goes with the device in any case."""
    parent: Table | None = None
    """The table that says whose a row is, where this one does not: both have the column ``key``."""
    key: str = ""
    counted: Mapping[Kind, ColumnElement[Any]] = field(default_factory=dict)
    """What is counted of a user by quotas, as aggregates of their rows."""


def kept(
    until: Until,
    *,
    why: str = "",
    user: str = "user_id",
    device: str | None = None,
    counted: Mapping[Kind, ColumnElement[Any]] | None = None,
) -> dict[str, Kept]:
    """The ``info`` of a table in which a column says whose a row is.

    Raises ValueError unless there is a reason, ``why``, for what is kept always, and for that only.
    """
    if (until is Until.ALWAYS) != bool(why):
        raise ValueError("What is kept always has a reason, and nothing else has")
    return {"kept": Kept(until=until, user=user, device=device, counted=counted or {})}


def kept_with(
    parent: Table, key: str, *, counted: Mapping[Kind, ColumnElement[Any]] | None = None
) -> dict[str, Kept]:
    """The ``info`` of a table whose rows go with the row of ``parent`` that has the same ``key``."""
    above: Kept = parent.info["kept"]
    return {
        "kept": Kept(
            until=above.until,
            user=above.user,
            device=above.device,
            parent=parent,
            key=key,
            counted=counted or {},
        )
    }
