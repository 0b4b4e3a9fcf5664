"""The database: its version, what a power cut would cost, its clock, and jobs that have failed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from palpo.core.records.jobs import JobState
from palpo.db.errors import DatabaseError
from palpo.db.server_settings import server_clock_ms, server_settings, unsafe
from palpo.services.administration.doctor.checks import Check, ok, problem, warning
from palpo.services.server import Server

SKEW_MS, FAR_MS = 5_000, 60_000
"""By how much a clock may be wrong; and by how much it must not."""


async def look_at_database(server: Server) -> AsyncIterator[Check]:
    """What is found."""
    for part, error in (await server.health.failing()).items():
        yield problem(part, error, "the server's log says more")
    try:
        settings = await server.db.read(server_settings)
        clock_ms = await server.db.read(server_clock_ms)
    except DatabaseError as error:
        yield problem("database", str(error), "see that it runs, and that database.url is right")
        return
    risks = unsafe(settings)
    if risks:
        text = f"a power cut may cost what was acknowledged: {', '.join(risks)}"
        yield problem("database", text, "change that in the database server's configuration")
    else:
        yield ok("database", ", ".join(f"{name} {value}" for name, value in settings.items()))
    if settings.get("encoding", "UTF8") != "UTF8":
        text = f"its encoding is {settings['encoding']}"
        yield problem("database encoding", text, "make a database with ENCODING 'UTF8', and copy it there")
    if clock_ms is not None:
        yield skew("database's clock", clock_ms - server.clock.now_ms())
    async for check in _jobs(server):
        yield check


def skew(name: str, off_ms: int) -> Check:
    """What to say of two clocks that differ by so much."""
    text = f"{abs(off_ms) / 1000:.1f} s {'before' if off_ms < 0 else 'after'} this machine's"
    advice = "have the clocks set by NTP: events and certificates are judged by them"
    if abs(off_ms) > FAR_MS:
        return problem(name, text, advice)
    return warning(name, text, advice) if abs(off_ms) > SKEW_MS else ok(name, text)


async def _jobs(server: Server) -> AsyncIterator[Check]:
    failed = await server.jobs.find(state=JobState.FAILED, limit=100)
    week_ago = server.clock.now_ms() - 7 * 86_400_000
    recent = [job for job in failed if job.changed_ts > week_ago]
    if recent:
        text = f"{len(recent)} of the last week have failed: {recent[0].kind}: {recent[0].error}"
        yield warning("jobs", text, "palpo jobs list --state failed")
    else:
        yield ok("jobs", "none of the last week has failed")
