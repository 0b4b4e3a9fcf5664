"""What can go wrong in the database, told apart by what the caller can do about it.

DatabaseError
├── UniqueViolation      a row with that key is there already
├── BadValue             a value that its column cannot hold
├── Retriable            a conflict with another writer: the same unit of work may be run again
├── Unreachable          the server is away, or does not answer in time; nothing was written
├── StorageFailed        its own storage fails, or may not be written; nothing was written
│   └── Full             its disk is full
└── OutcomeUnknown       the server went away during the commit; it may have been written

Misuse                   a mistake in our own code, which nobody catches
├── UnitError            a unit of work awaited something else than its transaction
└── ParameterError       a statement was given too few parameters, or too many
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
    """The database server is away, or does not answer in time; nothing was written."""


class StorageFailed(DatabaseError):
    """The database's own storage fails, or may not be written to; nothing was written."""


class Full(StorageFailed):
    """The database's disk is full, or what it may use of it; nothing was written."""


class OutcomeUnknown(DatabaseError):
    """The server went away during the commit: what was to be written may be there, or not."""


class Misuse(Exception):
    """A mistake in the code that uses the database."""


class UnitError(Misuse):
    """A unit of work awaited something else than its transaction."""


class ParameterError(Misuse):
    """A statement was given too few parameters, or too many."""


AWAY = (Unreachable, StorageFailed, OutcomeUnknown)
"""What is no fault of any unit of work: the next one is likely to meet with the same."""
