"""What application services are told and asked."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_queries import AppserviceQueries


@dataclass(frozen=True, slots=True, kw_only=True)
class AppserviceServices:
    """Those that other areas use, and the API."""

    appservice_client: AppserviceClient
    appservice_queries: AppserviceQueries
