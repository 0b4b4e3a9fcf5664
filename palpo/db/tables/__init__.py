"""Every table, declared once, one module per noun. Importing this package registers them all."""

import importlib
import pkgutil

from palpo.db.tables.meta import metadata

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["metadata"]
