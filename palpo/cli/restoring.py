"""Puts a backup back: for ``palpo restore``, and before a start for which an administrator has planned it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from palpo.app import audit_log_of, identity_of, opened
from palpo.cli import systemd
from palpo.cli.failures import Failure, told_of
from palpo.cli.options import alone, check_unserved, prepared_alone
from palpo.cli.progress import Progress
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.db.tables.leases import leases
from palpo.services.administration.backups import planned
from palpo.services.administration.backups.planned import Plan, Restored
from palpo.services.server.server_identity import Stored, check_server_name
from palpo.storage import restoration
from palpo.streams.clock import SystemClock

if TYPE_CHECKING:
    from palpo.services.administration.backups.contents import Backup

ACTION = "restore"
"""In the audit log."""
log = structlog.get_logger("palpo.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """What was put back."""

    rows: int
    backup: Backup


def put_back(config: Config, folder: Path, *, replace: bool) -> PutBack:
    """Fill the database from a backup that has been read once, and found whole.

    For who is alone with it. Raises Failure.
    """
    from palpo.services.administration.backups.restoring import put_back as fill

    with Progress() as progress:
        found = check(config, folder, progress)
        with told_of(config.database_url):
            return PutBack(rows=fill(config, folder, progress.told, replace=replace), backup=found)


def check(config: Config, folder: Path, progress: Progress) -> Backup:
    """Read a backup, and see that it may be put back here, now; raises Failure, ConfigError."""
    from palpo.db.copies.damaged import Damaged
    from palpo.db.copies.emptying import has_table
    from palpo.services.administration.backups.checking import verify

    with told_of(config.database_url):
        try:
            found = verify(folder, progress.told)
        except Damaged as error:
            raise Failure(f"{error}. Nothing was changed") from error
        check_server_name(found.server_name, config.server_name)
        if has_table(config.database_url, leases.name):
            asyncio.run(_check_unserved(config))
    return found


async def begin_generation(config: Config, *, log_out: bool) -> Stored:
    """Have the database that was put back go on beyond all that was given out since; raises ConfigError."""
    async with opened(config) as db:
        await check_unserved(config, db)
        stored = await identity_of(config, db).restore()
        if log_out:
            await db.write(restoration.end_sessions)
    return stored


def carry_out_plan(config: Config) -> None:
    """Put back what an administrator wants put back at this start, if anything; else do nothing.

    What is in the database is kept in a backup first. A backup that cannot be used is not put back, and the
    server starts with what it has. Raises Failure where the database is half filled: the next start goes on.
    """
    wanted = planned.planned(config.data)
    if wanted is None:
        return
    with systemd.patient():
        with alone(config):
            wanted = wanted if wanted.former else _begin(config, wanted)
            if wanted is None:
                return
            rows = _fill(config, wanted)
        with prepared_alone(config):
            asyncio.run(_finish(config, wanted, rows))


def _begin(config: Config, wanted: Plan) -> Plan | None:
    """Read the backup, and keep what it replaces; None where it is given up."""
    from palpo.services.administration.backups.making import make
    from palpo.services.administration.backups.orders import Origin

    folder, now_ms = Path(wanted.folder), SystemClock().now_ms()
    log.info("putting_backup_back", backup=wanted.folder, requested_by=wanted.requested_by)
    try:
        with Progress() as progress, told_of(config.database_url):
            check(config, folder, progress)
            former = make(Origin.of(config), folder.parent, now_ms, progress.told)
    except (Failure, ConfigError, OSError) as error:
        log.error("backup_not_put_back", backup=wanted.folder, error=str(error))
        planned.finish(config.data, Restored(plan=wanted, ended_ts=now_ms, error=str(error)))
        return None
    begun = msgspec.structs.replace(wanted, former=str(former))
    planned.plan(config.data, begun)
    return begun


def _fill(config: Config, wanted: Plan) -> int:
    from palpo.db.copies.damaged import Damaged
    from palpo.services.administration.backups.restoring import put_back as fill

    try:
        with Progress() as progress, told_of(config.database_url):
            return fill(config, Path(wanted.folder), progress.told, replace=True)
    except (Failure, Damaged, OSError) as error:
        raise Failure(
            f"{wanted.folder} is only half put back: {error}. The next start goes on; or have "
            f"`palpo restore --replace {wanted.former}` put back what was there before"
        ) from error


async def _finish(config: Config, wanted: Plan, rows: int) -> None:
    await begin_generation(config, log_out=wanted.log_out)
    async with opened(config) as db:
        await audit_log_of(db).record(
            actor=wanted.requested_by,
            via="web",
            action=ACTION,
            target=Path(wanted.folder).name,
            details={"rows": rows, "before": wanted.former, "log_out": wanted.log_out},
            address=wanted.address,
        )
    planned.finish(config.data, Restored(plan=wanted, ended_ts=SystemClock().now_ms(), rows=rows))
    log.info("backup_put_back", backup=wanted.folder, rows=rows, before=wanted.former)


async def _check_unserved(config: Config) -> None:
    async with opened(config) as db:
        await check_unserved(config, db)
