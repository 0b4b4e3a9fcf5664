"""Commands that act on the database themselves: ``palpo NOUN ACTION``, each with every service."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from palpo.api.services import Services
from palpo.app import built
from palpo.cli.options import add_config, config_of, prepare
from palpo.config.model import Config

Action = Callable[[Services, argparse.Namespace], Awaitable[str]]
"""What is done, and what is printed then; it raises MatrixError."""


def add_action(actions: Any, name: str, action: Action, help_text: str) -> argparse.ArgumentParser:
    """Add ``action`` to a command's ``actions``; its parser, for its own arguments."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text, description=help_text)
    add_config(parser)
    parser.set_defaults(run=_run, action=action)
    return parser


def _run(options: argparse.Namespace) -> int:
    config = config_of(options)
    prepare(config)
    print(asyncio.run(_act(config, options)))
    return 0


async def _act(config: Config, options: argparse.Namespace) -> str:
    async with built(config) as services:
        outcome: str = await options.action(services, options)
        return outcome
