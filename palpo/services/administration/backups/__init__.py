"""Backups: folders from which a server can be put back, whatever kind of database it was on.

palpo-2026-12-01T03-00-00Z/
    database/      every row as it was at one moment (``palpo.db.copies.archive``)
    media/         the media's content, as hard links where that is possible
    signing.key    with which the server signs
    backup.json    what it is; written last, so where it is there, all is

``making`` makes one beside a running server, ``checking`` reads all of one, ``restoring`` puts one back;
``backups`` has them made for a running server, as jobs, each in a ``process`` of its own.
"""
