"""All rows of one database in another, of whichever kind.

    copy ── filling ── sources      where the rows come from: a database, say
                    ├─ rows         rows of a table in batches, from where one has come on, and in at once
                    ├─ checkpoints  how far the copy of each table has come, in the copy itself
                    └─ digests      whether two tables have the same rows

Nothing here waits for an event loop: it is run by ``palpo.db.migrations.connection.driven``.
"""
