"""What administrators do with users, rooms, media and the server, however they ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.administration.background_updates import BackgroundUpdateAdministration
from palpo.services.administration.backups.backups import Backups
from palpo.services.administration.configuration import ConfigurationAdministration
from palpo.services.administration.delegated_accounts import DelegatedAccounts
from palpo.services.administration.destinations import DestinationAdministration
from palpo.services.administration.doctor.checkup import Doctor
from palpo.services.administration.history_purge import HistoryPurge
from palpo.services.administration.leftover_media import LeftoverMedia
from palpo.services.administration.media import MediaAdministration
from palpo.services.administration.overview import ServerOverviews
from palpo.services.administration.redactions import UserRedactions
from palpo.services.administration.reports import ReportAdministration
from palpo.services.administration.retention_sweep import RetentionSweep
from palpo.services.administration.room_deletion import RoomDeletion
from palpo.services.administration.room_histories import RoomHistories
from palpo.services.administration.room_lists import RoomLists
from palpo.services.administration.rooms import RoomAdministration
from palpo.services.administration.server_checks import ServerChecks
from palpo.services.administration.state_sweep import StateSweep
from palpo.services.administration.statistics import Statistics
from palpo.services.administration.user_details import UserDetails
from palpo.services.administration.user_lists import UserLists
from palpo.services.administration.users import UserAdministration


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrationServices:
    """Those that the API, the web pages and the shell use."""

    configuration: ConfigurationAdministration
    background_updates: BackgroundUpdateAdministration
    backups: Backups
    delegated_accounts: DelegatedAccounts
    destinations: DestinationAdministration
    history_purge: HistoryPurge
    doctor: Doctor
    leftover_media: LeftoverMedia
    media: MediaAdministration
    overview: ServerOverviews
    reports: ReportAdministration
    server_checks: ServerChecks
    retention_sweep: RetentionSweep
    room_deletion: RoomDeletion
    room_histories: RoomHistories
    room_lists: RoomLists
    rooms: RoomAdministration
    state_sweep: StateSweep
    statistics: Statistics
    user_details: UserDetails
    user_lists: UserLists
    user_redactions: UserRedactions
    users: UserAdministration
