"""Writes down what commands have changed that are no actions (``actions.py``), such as ``config set``.

They work without a database too. So one that is not there yet is not made for this, and one that does not
answer costs the entry of the audit log, which is said.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import ACTIONS, Registered
from palpo.cli.asking import ask_server
from palpo.cli.failures import Failure
from palpo.cli.outcomes import Outcome
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.db.errors import DatabaseError
from palpo.db.sqlite_path import sqlite_path

if TYPE_CHECKING:
    from palpo.api.services import Services


def register_noted(words: str) -> None:
    """Have a running server take notes of the command ``words``: it does no more than write them down."""
    ACTIONS[words] = Registered(words=words, run=_nothing, target="target", changes=True)


def note(config: Config, words: str, *, target: str = "", **details: Any) -> None:
    """Write down that the command ``words`` was carried out, by the server that runs, or else here."""
    try:
        told = {"target": target, **details}
        if ask_server(config.data, words, told, tell=print) is None:
            asyncio.run(_write_down(config, words, told))
    except (Failure, ConfigError, DatabaseError, ImportError, OSError) as error:
        print(f"It is not in the audit log: {error}", file=sys.stderr)


async def _write_down(config: Config, words: str, told: Mapping[str, Any]) -> None:
    from palpo.app import audit_log_of, opened
    from palpo.db.copies.emptying import has_table
    from palpo.db.tables.audit_log import audit_log

    url = config.database_url
    if url.startswith("sqlite:") and not sqlite_path(url).exists():
        return
    if not await asyncio.to_thread(has_table, url, audit_log.name):
        return
    async with opened(config) as db:
        await audit_log_of(db).record(
            actor=getpass.getuser(), via="shell", action=words, target=told["target"], details=told
        )


async def _nothing(services: Services, options: argparse.Namespace) -> Outcome:
    return Outcome("", None)
