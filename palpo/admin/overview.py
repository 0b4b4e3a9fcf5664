"""The first page: whether the server is well."""

from __future__ import annotations

import platform
import time
from typing import cast

from quart import current_app
from quart.typing import ResponseReturnValue

from palpo import __version__
from palpo.admin.pages import AdminPages, show
from palpo.api.app import PalpoApp
from palpo.api.call import Call
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("overview", __name__)

SHOWN_TABLES = 12


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
    )


def _process() -> dict[str, float]:
    """What the metrics say of this process."""
    registry = cast(PalpoApp, current_app).registry

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

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
            (
                sample.value
                for family in registry.collect()
                if family.name == "palpo_consumer_behind"
                for sample in family.samples
            ),
            default=0.0,
        ),
    }
