"""The steps of an import from Synapse, in their order."""

from __future__ import annotations

from palpo.api.services import Services
from palpo.services.administration.synapse_import.events import EventStep
from palpo.services.administration.synapse_import.room_heads import RoomHeadStep
from palpo.services.administration.synapse_import.steps import Source, Step
from palpo.services.administration.synapse_import.synapse_import import SynapseImport


def synapse_import(services: Services, source: Source) -> SynapseImport:
    """The import of all there is."""
    server = services.server
    steps = [*_people(services, source), *_rooms(services, source), *_personal(services, source)]
    return SynapseImport(server.db, server.clock, steps)


def _people(services: Services, source: Source) -> list[Step]:
    """Accounts, and what does not need rooms to be here."""
    return []


def _rooms(services: Services, source: Source) -> list[Step]:
    """Rooms with all that is in them, and media."""
    db, history = services.server.db, services.history
    return [
        EventStep(
            source, db, history.room_writer, history.admission, history.beginnings, history.state_import
        ),
        RoomHeadStep(
            source, db, history.events, history.room_writer, history.admission, history.state_import
        ),
    ]


def _personal(services: Services, source: Source) -> list[Step]:
    """What belongs to users, and needs their rooms."""
    return []
