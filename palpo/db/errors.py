"""What can go wrong in the database, told apart by what the caller can do about it.

DatabaseError
├── UniqueViolation      a row with that key is there already
├── Retriable            a conflict with another writer: the same unit of work may be run again
└── Unreachable          the server is away; nothing was written
"""


class DatabaseError(Exception):
    """Something the database refused."""


class UniqueViolation(DatabaseError):
    """A row with that key is there already."""


class Retriable(DatabaseError):
    """A conflict with another writer: the same unit of work may be run again."""


class Unreachable(DatabaseError):
    """The database server is away; nothing was written."""
