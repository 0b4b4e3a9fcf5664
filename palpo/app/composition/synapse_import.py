"""The steps of an import from Synapse, in their order."""

from __future__ import annotations

from palpo.api.services import Services
from palpo.services.administration.synapse_import.accounts import Accounts, AccountSettings
from palpo.services.administration.synapse_import.device_lists import DeviceLists, RemoteDeviceLists
from palpo.services.administration.synapse_import.devices import Devices, Tokens
from palpo.services.administration.synapse_import.events import EventStep
from palpo.services.administration.synapse_import.key_backups import BackedUpKeys, KeyBackups
from palpo.services.administration.synapse_import.keys import CrossSigning, DeviceKeys
from palpo.services.administration.synapse_import.media import LocalMediaStep, RemoteMediaStep
from palpo.services.administration.synapse_import.memberships import MembershipStep
from palpo.services.administration.synapse_import.personal import (
    AccountData,
    Filters,
    Pushers,
    ThreadSubscriptions,
)
from palpo.services.administration.synapse_import.push_rules import PushRules
from palpo.services.administration.synapse_import.registration_tokens import RegistrationTokens
from palpo.services.administration.synapse_import.room_heads import RoomHeadStep
from palpo.services.administration.synapse_import.room_steps import (
    AliasStep,
    BlockedRoomStep,
    DirectoryStep,
    EventReportStep,
    ReceiptStep,
    RoomReportStep,
    ServerKeyStep,
    UserReportStep,
)
from palpo.services.administration.synapse_import.steps import Source, Step
from palpo.services.administration.synapse_import.synapse_import import SynapseImport
from palpo.services.administration.synapse_import.their_rooms import TheirRooms
from palpo.services.administration.synapse_import.to_device import ToDevice
from palpo.services.administration.synapse_import.usage import Usage


def synapse_import(services: Services, source: Source) -> SynapseImport:
    """The import of all there is."""
    server = services.server
    steps = [*_people(services, source), *_rooms(services, source), *_personal(services, source)]
    return SynapseImport(server.db, server.clock, steps)


def _people(services: Services, source: Source) -> list[Step]:
    """Accounts, and what does not need rooms to be here."""
    server = services.server
    db = server.db
    return [
        Accounts(source, db),
        AccountSettings(source, db),
        RegistrationTokens(source, db, server.clock),
        Devices(source, db),
        Tokens(source, db, server.clock),
        DeviceKeys(source, db),
        CrossSigning(source, db),
        KeyBackups(source, db),
        BackedUpKeys(source, db),
        ToDevice(source, db),
    ]


def _rooms(services: Services, source: Source) -> list[Step]:
    """Rooms with all that is in them, and media."""
    db, history = services.server.db, services.history
    pages = (
        MembershipStep,
        AliasStep,
        DirectoryStep,
        BlockedRoomStep,
        ReceiptStep,
        EventReportStep,
        RoomReportStep,
        UserReportStep,
    )
    return [
        ServerKeyStep(source, db),
        EventStep(
            source,
            TheirRooms(source.db),
            db,
            history.room_writer,
            history.admission,
            history.beginnings,
            history.state_import,
        ),
        RoomHeadStep(
            source, db, history.events, history.room_writer, history.admission, history.state_import
        ),
        *(page(source, db) for page in pages),
        *_media(services, source),
    ]


def _media(services: Services, source: Source) -> list[Step]:
    """What is in files, if they are imported."""
    if source.media is None:
        return []
    server = services.server
    kinds = (LocalMediaStep, RemoteMediaStep)
    return [kind(source, source.media, server.db, server.blobs) for kind in kinds]


def _personal(services: Services, source: Source) -> list[Step]:
    """What belongs to users, and needs their rooms."""
    server = services.server
    db = server.db
    return [
        AccountData(source, db),
        Filters(source, db),
        PushRules(source, db, server.config.push),
        ThreadSubscriptions(source, db),
        DeviceLists(source, db),
        RemoteDeviceLists(source, db),
        Pushers(source, db),
        Usage(source, db),
    ]
