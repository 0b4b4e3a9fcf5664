"""Rows of a window: at positions in ``(after, upto]``, both of which are parameters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam

from palpo.db.statements import Statement


def within(position: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition by itself."""
    return and_(position > bindparam("after"), position <= bindparam("upto"))


def oldest(query: Select[Any], position: ColumnElement[int]) -> Statement:
    """The first ``limit`` rows of a window, in order."""
    return Statement(query.where(within(position)).order_by(position).limit(bindparam("limit")))


def newest(query: Select[Any], position: ColumnElement[int]) -> Statement:
    """The last ``limit`` rows of a window, the newest first."""
    return Statement(query.where(within(position)).order_by(position.desc()).limit(bindparam("limit")))
