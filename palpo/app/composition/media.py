"""The media repository."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.app.composition.remotes import Remotes
from palpo.media.images import ImageWorkers
from palpo.services.media import MediaServices
from palpo.services.media.quarantine import Quarantine
from palpo.services.server import Server


def build_media(server: Server, remotes: Remotes) -> MediaServices:
    images = ImageWorkers(max_pixels=server.config.media.max_pixels)
    quarantine = Quarantine(server.db, server.clock, server_name=server.name)
    return assemble(MediaServices, server, server.config, remotes, images=images, quarantine=quarantine)
