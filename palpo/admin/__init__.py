"""The pages with which administrators run the server: ``/_palpo/admin/``.

A module has the pages of one noun, a ``pages.AdminPages`` with a template for each, and is in ``BLUEPRINTS``.
What they do is done by ``palpo.services.administration`` and other services, as by the admin API and in the
shell.
"""

from palpo.admin import (
    backups,
    configuration,
    logs,
    media,
    overview,
    registration_tokens,
    reports,
    rooms,
    server,
    servers,
    users,
)
from palpo.admin.shown import FILTERS
from palpo.api.pages.blueprint import PageBlueprint

BLUEPRINTS: tuple[PageBlueprint, ...] = (
    overview.blueprint,
    users.blueprint,
    rooms.blueprint,
    configuration.blueprint,
    backups.blueprint,
    media.blueprint,
    reports.blueprint,
    registration_tokens.blueprint,
    servers.blueprint,
    server.blueprint,
    logs.blueprint,
)

for name, shown in FILTERS.items():
    overview.blueprint.add_app_template_filter(shown, name)
