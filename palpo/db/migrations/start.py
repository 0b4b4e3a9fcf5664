"""What a start asks of a database first: whether its tables are those of this program."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError

from palpo.db.errors import DatabaseError
from palpo.db.leases import NOBODY, held_elsewhere
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.stated import any_user, is_up_to_date
from palpo.db.tables.leases import leases


def bring_up_to_date(url: str, check_user: Callable[[str], None] | None = None) -> None:
    """See to it that the database at ``url`` has the tables of this program; raises DatabaseError.

    A look is enough where it has; Alembic is imported only for the database of an older release.
    ``check_user`` is given one of the users of that, if it has any, before anything is changed, and raises to
    leave it alone.
    """
    if on_connection(url, is_up_to_date, begin="BEGIN"):
        return
    user_id = on_connection(url, any_user, begin="BEGIN")
    if user_id is not None and check_user is not None:
        check_user(user_id)
    from palpo.db.migrations.upgrade import upgrade

    upgrade(url)


def take_over(url: str) -> None:
    """Give back what nobody can hold any more; raises DatabaseError.

    That is all in a SQLite file, which has one server at a time: only for who is that. Of other databases
    another process may be at work; but who held something in the database that this is a copy of is not.
    """
    dead = leases.c.holder != NOBODY if url.startswith("sqlite:") else held_elsewhere(url)

    def give_back(connection: Connection) -> None:
        connection.execute(update(leases).where(dead).values(holder=NOBODY, expires_ts=0))

    try:
        on_connection(url, give_back)
    except DBAPIError as error:
        raise DatabaseError(str(error.orig)) from error
