"""Whether the server is well: the first page, at a glance, and the check-up, which looks at all."""

from __future__ import annotations

import platform
import time
from typing import cast

from quart import current_app
from quart.typing import ResponseReturnValue

from palpo import __version__
from palpo.admin.pages import AdminPages, administrator, show
from palpo.api.app import PalpoApp
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.services.administration.doctor.checks import Verdict
from palpo.services.administration.doctor.machine import LITTLE
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("overview", __name__)

SHOWN_TABLES = 12
VERDICTS = {
    Verdict.OK: ("ok", "good"),
    Verdict.WARNING: ("look at it", "warn"),
    Verdict.PROBLEM: ("no", "wrong"),
}
"""What is shown of each, and how."""


@blueprint.serves(wire.overview)
async def overview(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/."""
    found = await call.services.administration.overview.now()
    server, process = call.services.server, _process()
    return await show(
        "overview.html",
        call,
        overview=found,
        version=__version__,
        python=platform.python_version(),
        dialect=server.db.dialect,
        up_s=time.time() - process["started"],
        database_size=sum(table.size for table in found.tables),
        tables=[table for table in found.tables[:SHOWN_TABLES] if table.table],
        federates=server.config.federation.enabled,
        public_url=server.config.public_url,
        process=process,
        little=found.disk_free < LITTLE,
    )


@blueprint.serves(wire.check_up)
async def check_up(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/check-up."""
    return await show("check_up.html", call, checks=None, verdicts=VERDICTS)


@blueprint.form(wire.run_check_up)
async def run_check_up(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/admin/check-up: it changes nothing, so it is in no log."""
    await administrator(call)
    found = [check async for check in call.services.administration.doctor.look()]
    return await show("check_up.html", call, checks=found, verdicts=VERDICTS)


def _process() -> dict[str, float]:
    """What the metrics say of this process."""
    registry = cast(PalpoApp, current_app).registry

    samples = [sample for family in registry.collect() for sample in family.samples]

    def value(name: str) -> float:
        """Of a name, with all its labels together."""
        return sum(sample.value for sample in samples if sample.name == name)

    late, looks = value("palpo_loop_late_seconds_sum"), value("palpo_loop_late_seconds_count")
    commits = value("palpo_database_commit_seconds_count")
    return {
        "started": value("process_start_time_seconds"),
        "memory": value("process_resident_memory_bytes"),
        "late_ms": 1000 * late / looks if looks else 0.0,
        "commit_ms": 1000 * value("palpo_database_commit_seconds_sum") / commits if commits else 0.0,
        "waiters": value("palpo_stream_waiters"),
        "position": value("palpo_stream_position"),
        "behind": max(
            (sample.value for sample in samples if sample.name == "palpo_consumer_behind"), default=0.0
        ),
        "cached": value("palpo_cache_bytes"),
        "cache_budget": value("palpo_cache_budget_bytes"),
        "cache_hits": value("palpo_cache_hits_total"),
        "cache_misses": value("palpo_cache_misses_total"),
        "writes": value("palpo_database_waiting_units"),
    }
