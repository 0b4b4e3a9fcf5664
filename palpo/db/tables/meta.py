"""The metadata and the column types that every table is made of.

Only types that no driver converts: integers, text and bytes. Text compares and sorts byte by byte
everywhere, case and trailing spaces included: on SQLite by itself, on PostgreSQL by the columns'
collation "C", on MySQL and MariaDB by the database's, which palpo.db.migrations sets. Text with
U+0000 in it is refused by each engine (BadValue): store it in a ``blob()``, or refuse it at the edge.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, MetaData, SmallInteger, String, Text
from sqlalchemy.dialects import mysql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identifier() -> String:
    """An ID or another short key of at most 255 bytes, which SQLite does not check.

    A key may have three of these and one integer: InnoDB's bound is 3,072 bytes at 4 a character.
    """
    return String(255).with_variant(String(255, collation="C"), "postgresql")


def state_key() -> String:
    """A state key: of up to 511 bytes in a room version with owned state (MSC3757). No part of an index."""
    return String(511).with_variant(String(511, collation="C"), "postgresql")


def text() -> Text:
    """Text of any length."""
    return (
        Text()
        .with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
        .with_variant(Text(collation="C"), "postgresql")
    )


def blob() -> LargeBinary:
    """Bytes of any length: JSON in its encoded form, mostly."""
    return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def digest(length: int) -> LargeBinary:
    """Exactly or at most ``length`` bytes, which may be a key."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def integer() -> BigInteger:
    """A signed 64-bit integer: positions, milliseconds, sizes."""
    return BigInteger()


def flag() -> SmallInteger:
    """0 or 1."""
    return SmallInteger()
