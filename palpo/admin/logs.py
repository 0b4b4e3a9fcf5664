"""What the server has written into its log lately, and what took long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from quart import current_app
from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, show
from palpo.api.app import PalpoApp
from palpo.api.call import Call
from palpo.services.server.recent import LEVELS, SLOW_S
from palpo.wire.pages import admin as wire

blueprint = AdminPages("logs", __name__)

SHOWN_LINES = 300
SHOWN_OPERATIONS = 25
FAMILY = "palpo_http_request_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How long requests of a kind took, since the process began."""

    name: str
    count: int
    seconds: float
    """Of all together."""

    @property
    def mean(self) -> float:
        """Seconds."""
        return self.seconds / self.count if self.count else 0.0


@blueprint.serves(wire.logs)
async def logs(call: Call, params: wire.LogParams) -> ResponseReturnValue:
    """GET /_palpo/admin/logs."""
    recent = call.services.server.recent
    found = recent.lines.newest(level=params.level, text=params.search.strip())
    log = call.services.server.config.log
    return await show(
        "logs.html",
        call,
        lines=found[:SHOWN_LINES],
        total=len(found),
        levels=LEVELS,
        level=params.level,
        search=params.search,
        file=log.file,
        lowest=log.level,
    )


@blueprint.serves(wire.slow_requests)
async def slow_requests(call: Call, params: wire.ListParams) -> ResponseReturnValue:
    """GET /_palpo/admin/slow-requests."""
    wanted = params.search.strip().lower()
    return await show(
        "slow_requests.html",
        call,
        requests=[
            request
            for request in call.services.server.recent.requests.slowest()
            if wanted in f"{request.operation} {request.path} {request.user_id or ''}".lower()
        ],
        operations=[item for item in _operations() if wanted in item.name.lower()][:SHOWN_OPERATIONS],
        search=params.search,
        slow_ms=round(1000 * SLOW_S),
    )


def _operations() -> list[Operation]:
    """The kinds of requests, those first that the server has spent the most time on."""
    seconds: dict[str, float] = {}
    counts: dict[str, int] = {}
    for family in cast(PalpoApp, current_app).registry.collect():
        for sample in family.samples if family.name == FAMILY else ():
            if sample.name == f"{FAMILY}_sum":
                seconds[sample.labels["operation"]] = sample.value
            elif sample.name == f"{FAMILY}_count":
                counts[sample.labels["operation"]] = int(sample.value)
    found = [Operation(name=name, count=counts[name], seconds=seconds[name]) for name in seconds]
    return sorted(found, key=lambda item: -item.seconds)
