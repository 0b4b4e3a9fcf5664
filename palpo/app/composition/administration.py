"""What administrators do, made of all other areas."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.administration import AdministrationServices
from palpo.services.server import Server


def build_administration(server: Server) -> AdministrationServices:
    return assemble(AdministrationServices, server)
