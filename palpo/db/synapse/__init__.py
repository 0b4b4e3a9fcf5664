"""A Synapse's database, which is only read: its tables as far as an import needs them, each noun in a module.

Text is text, numbers are numbers; whatever Synapse has as a boolean is 0 or 1 on SQLite and a boolean on
PostgreSQL, so it is selected, and never compared.
"""

from palpo.db.synapse.connect import open_synapse

__all__ = ["open_synapse"]
