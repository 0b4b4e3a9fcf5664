"""The schema's revisions: :mod:`palpo.db.migrations.upgrade` brings a database to the newest."""

HEAD = "0001_initial"
"""The newest revision: what this release of the program works with."""
