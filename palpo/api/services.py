"""The container of services: made once by ``palpo.app``, seen by handlers and by nothing below."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.accounts import AccountServices
from palpo.services.administration import AdministrationServices
from palpo.services.appservices import AppserviceServices
from palpo.services.encryption import EncryptionServices
from palpo.services.federation import FederationServices
from palpo.services.history import HistoryServices
from palpo.services.media import MediaServices
from palpo.services.oauth import OAuthServices
from palpo.services.personal import PersonalServices
from palpo.services.push import PushServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server
from palpo.services.sign_on import SignOnServices
from palpo.sync import SyncServices


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every use case that the API offers, by area."""

    server: Server
    accounts: AccountServices
    sign_on: SignOnServices
    history: HistoryServices
    media: MediaServices
    encryption: EncryptionServices
    personal: PersonalServices
    rooms: RoomServices
    reading: ReadingServices
    push: PushServices
    appservices: AppserviceServices
    federation: FederationServices
    oauth: OAuthServices
    administration: AdministrationServices
    sync: SyncServices
