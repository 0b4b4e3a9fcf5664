"""What application services are told and asked."""

from __future__ import annotations

import time

from palpo.app.composition.server import USER_AGENT
from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import HttpClient
from palpo.services.accounts import AccountServices
from palpo.services.appservices import AppserviceServices
from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_queries import AppserviceQueries

ANYWHERE = AddressPolicy(("0.0.0.0/0", "::/0"))
"""The operator said where they are."""


def build_appservices(accounts: AccountServices) -> AppserviceServices:
    client = AppserviceClient(HttpClient(ANYWHERE, user_agent=USER_AGENT))
    return AppserviceServices(
        appservice_client=client,
        appservice_queries=AppserviceQueries(accounts.appservices, client, time.monotonic),
    )
