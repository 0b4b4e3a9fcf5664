"""What can go wrong in the database, told apart by what the caller can do about it.

DatabaseError
├── UniqueViolation      a row with that key is there already
├── BadValue             a value that its column cannot hold
├── Retriable            a conflict with another writer: the same unit of work may be run again
├── Unreachable          the server is away; nothing was written
└── OutcomeUnknown       the server went away during the commit; it may have been written
"""


class DatabaseError(Exception):
    """Something the database refused."""


class UniqueViolation(DatabaseError):
    """A row with that key is there already."""


class BadValue(DatabaseError):
    """A value that its column cannot hold: U+0000 or a lone surrogate in text, 65 bits."""


class Retriable(DatabaseError):
    """A conflict with another writer: the same unit of work may be run again."""


class Unreachable(DatabaseError):
    """The database server is away; nothing was written."""


class OutcomeUnknown(DatabaseError):
    """The server went away during the commit: what was to be written may be there, or not."""
