"""The table of long work that administrators have begun."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, identifier, integer, metadata, text

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", identifier(), primary_key=True),
    Column("kind", identifier(), nullable=False),
    Column("target", identifier(), nullable=False),
    Column("params", blob(), nullable=False),
    Column("requested_by", identifier(), nullable=False),
    Column("state", identifier(), nullable=False),
    Column("checkpoint", blob(), nullable=False),
    Column("progress", blob(), nullable=False),
    Column("result", blob(), nullable=False),
    Column("error", text(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Column("changed_ts", integer(), nullable=False),
    Index("ix_jobs_state_created_ts", "state", "created_ts"),
    Index("ix_jobs_target_kind", "target", "kind"),
    Index("ix_jobs_created_ts", "created_ts"),
    info=kept(Until.ALWAYS, user="requested_by", why="It is about the server"),
)
"""``params``, ``checkpoint``, ``progress`` and ``result`` are JSON. ``checkpoint`` is where its work goes on,
null before it has begun."""
