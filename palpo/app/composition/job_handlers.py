"""Who does which kind of long work."""

from __future__ import annotations

from palpo.api.services import Services
from palpo.services.administration import (
    background_updates,
    history_purge,
    leftover_media,
    redactions,
    room_deletion,
    state_sweep,
)
from palpo.services.administration.backups import backups
from palpo.services.server.jobs import Handler


def job_handlers(services: Services) -> dict[str, Handler]:
    """The handler of each kind of job."""
    administration = services.administration
    return {
        background_updates.ROOM_SUMMARIES: administration.background_updates.summarize_rooms,
        background_updates.USER_DIRECTORY: administration.background_updates.rebuild_user_directory,
        backups.KIND: administration.backups.carry_out,
        backups.VERIFY: administration.backups.carry_out_verification,
        history_purge.KIND: administration.history_purge.run,
        leftover_media.KIND: administration.leftover_media.run,
        redactions.KIND: administration.user_redactions.run,
        room_deletion.KIND: administration.room_deletion.run,
        state_sweep.KIND: administration.state_sweep.run,
    }
