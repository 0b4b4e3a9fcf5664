"""``palpo registration-token``: tokens that let people register."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from palpo.api.services import Services
from palpo.app import application
from palpo.cli.options import add_config, config_of
from palpo.config.model import Config
from palpo.core.errors import MatrixError
from palpo.storage.registration_tokens import RegistrationToken

Action = Callable[[Services, argparse.Namespace], Awaitable[str]]
DAY_MS = 24 * 3600 * 1000


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "registration-token", help="give out tokens that let people register"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = _add(actions, "create", _create, "make a token, and print it")
    create.add_argument("--token", help="the token, instead of one that is made up")
    create.add_argument("--uses", type=int, metavar="N", help="it is good for so many accounts")
    create.add_argument("--days", type=float, metavar="N", help="it is good for so many days")
    _add(actions, "list", _list, "show every token")
    revoke = _add(actions, "revoke", _revoke, "delete a token")
    revoke.add_argument("token", metavar="TOKEN")


def _add(actions: Any, name: str, action: Action, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text)
    add_config(parser)
    parser.set_defaults(run=run, action=action)
    return parser


def run(options: argparse.Namespace) -> int:
    """Carry out the action; the outcome is printed, an error on standard error."""
    config = config_of(options)
    try:
        print(asyncio.run(_run(config, options)))
    except MatrixError as error:
        print(f"palpo: {error.message}", file=sys.stderr)
        return 1
    return 0


async def _run(config: Config, options: argparse.Namespace) -> str:
    async with application(config) as app:
        outcome: str = await options.action(app.services, options)
        return outcome


async def _create(services: Services, options: argparse.Namespace) -> str:
    valid_ms = None if options.days is None else int(options.days * DAY_MS)
    created = await services.registration_tokens.create(
        options.token, uses_allowed=options.uses, valid_ms=valid_ms
    )
    return created.token


async def _list(services: Services, options: argparse.Namespace) -> str:
    tokens = await services.registration_tokens.all()
    return "\n".join(_line(token) for token in tokens) or "There are no tokens"


async def _revoke(services: Services, options: argparse.Namespace) -> str:
    await services.registration_tokens.revoke(options.token)
    return f"Revoked {options.token}"


def _line(token: RegistrationToken) -> str:
    allowed = "any number" if token.uses_allowed is None else str(token.uses_allowed)
    until = "never"
    if token.expires_ts is not None:
        until = datetime.fromtimestamp(token.expires_ts / 1000, UTC).isoformat(timespec="minutes")
    return f"{token.token}  used {token.completed} of {allowed}, expires {until}"
