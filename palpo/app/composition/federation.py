"""What servers ask each other."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.app.composition.remotes import Remotes
from palpo.services.federation import FederationServices
from palpo.services.server import Server


def build_federation(server: Server, remotes: Remotes) -> FederationServices:
    return assemble(FederationServices, server, remotes)
