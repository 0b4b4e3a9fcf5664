"""Imports what a server imports; the processes of ``forked`` begin with that done."""

from __future__ import annotations

import importlib
import pkgutil

from palpo.api.modules import handlers
from palpo.cli import engines
from palpo.cli.main import command_line
from tests.support.collector import settle

LATER = (
    "uvloop",
    "uvicorn.lifespan.off",
    "palpo.cli.restoring",
    "palpo.cli.serving",
    "palpo.cli.waiting",
    "palpo.db.migrations.start",
    "palpo.db.migrations.upgrade",
    "palpo.db.sole_server",
    "palpo.streams.leases",
)
"""What a server imports when it is needed."""

command_line()
handlers()
for module in pkgutil.iter_modules(engines.__path__, f"{engines.__name__}."):
    importlib.import_module(module.name)
for name in LATER:
    importlib.import_module(name)
settle()
