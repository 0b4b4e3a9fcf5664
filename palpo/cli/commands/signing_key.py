"""``palpo signing-key``: the key that the server signs events and requests with."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, config_of, prepare
from palpo.config import signing_key
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.core.signing import SigningKey
from palpo.streams.clock import SystemClock

HELP = "show or change the key that the server signs with"
ACTIONS = {
    "show": "show its ID and its public part",
    "adopt": "let the key that is in the data folder take the place of the database's",
    "new": "make another key and use it; the one before is kept beside it, and published as an old one",
}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("signing-key", help=HELP, description=HELP)
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, help_text in ACTIONS.items():
        action = actions.add_parser(name, help=help_text, description=help_text)
        add_config(action)
        action.set_defaults(run=run)
        if name != "show":
            register_noted(f"signing-key {name}")


def run(options: argparse.Namespace) -> int:
    """Do it; a server that runs takes another key over when it is started again."""
    config = config_of(options)
    prepare(config)
    key = _shown(config) if options.action == "show" else asyncio.run(_change(config, options.action))
    print(f"{key.key_id} {key.verify_key_base64}")
    if options.action != "show":
        note(config, f"signing-key {options.action}", target=key.key_id)
        print("If the server runs, start it again within the hour: until then it signs with the key before.")
    return 0


def _shown(config: Config) -> SigningKey:
    key = signing_key.load(config.data)
    if key is None:
        raise ConfigError(f"{config.data / signing_key.FILE_NAME} is missing")
    return key


async def _change(config: Config, action: str) -> SigningKey:
    from palpo.app import identity_of, opened

    async with opened(config) as db:
        now_ms = SystemClock().now_ms()
        return await identity_of(config, db).adopt_key(new=action == "new", now_ms=now_ms)
