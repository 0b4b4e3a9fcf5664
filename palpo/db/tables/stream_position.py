"""The table of the one stream position (``palpo.db.position``)."""

from sqlalchemy import BigInteger, Column, Integer, Table

from palpo.db.tables.meta import metadata

stream_position = Table(
    "stream_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row, ``id`` 1. Its lock, held until the commit, makes commit order position order."""
