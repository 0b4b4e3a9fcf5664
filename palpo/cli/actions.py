"""Commands that act on a server's data: ``palpo NOUN ACTION``, each with every service.

A server that runs is asked to do it (``asking.py``, ``command_server.py``); where none does, the command
opens the database itself, and begins nothing of what a server does by itself. What is printed, and the exit
status, are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from palpo.cli.asking import ask_server
from palpo.cli.following import follow
from palpo.cli.options import add_config, config_of, prepare
from palpo.cli.outcomes import Outcome, Tell, add_json, show
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.core.errors import MatrixError

if TYPE_CHECKING:
    from palpo.api.services import Services

Action = Callable[["Services", argparse.Namespace], Awaitable[Outcome]]
"""Does it; it raises MatrixError. ``options.tell`` takes lines that say how far it is, ``options.actor`` is
who asks for it. Options are texts, numbers, truth values, and lists of them."""
Before = Callable[[argparse.Namespace], None]
"""Asks a person, or reads from the input, what else the action needs, and adds it to the options."""

MOST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An action, by the words that are typed."""

    words: str
    run: Action
    target: str
    """The option that says to what it is done; empty for the server as such."""
    changes: bool


ACTIONS: dict[str, Registered] = {}
"""All of them, once the command line is there: a server finds here what it is asked for."""
LOCAL = ("config", "set", "run", "command", "ask_first", "json", "tell", "actor")
"""Options that are about the command itself: no action has others of these names."""


def add_action(
    actions: Any,
    name: str,
    action: Action,
    help_text: str,
    *,
    target: str = "",
    changes: bool = True,
    before: Before | None = None,
) -> argparse.ArgumentParser:
    """Add ``action`` to a command's ``actions``; its parser, for its own arguments.

    What ``changes`` something is written to the audit log, with the option ``target``.
    """
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text, description=help_text)
    add_config(parser)
    add_json(parser)
    words = parser.prog.partition(" ")[2]
    ACTIONS[words] = Registered(words=words, run=action, target=target, changes=changes)
    parser.set_defaults(run=_run, command=words, ask_first=before)
    return parser


async def perform(
    services: Services, registered: Registered, options: argparse.Namespace, *, actor: str, tell: Tell
) -> Outcome:
    """Do it, and write down that it was done, or refused; raises MatrixError."""
    options.actor, options.tell = actor, tell
    if not registered.changes:
        return await registered.run(services, options)
    status = 500
    try:
        outcome = await registered.run(services, options)
        status = 200
    except MatrixError as error:
        status = error.status
        raise
    finally:
        target = getattr(options, registered.target, None) if registered.target else None
        await services.server.audit_log.record(
            actor=actor,
            via="shell",
            action=registered.words,
            target=str(target or ""),
            details=sendable(options),
            status=status,
        )
    return outcome


def sendable(options: argparse.Namespace) -> dict[str, Any]:
    """The action's own options; numbers are of 64 bits, however large they were. Raises ConfigError."""
    chosen = {name: value for name, value in vars(options).items() if name not in LOCAL}
    for name, value in chosen.items():
        if isinstance(value, str) and not value.isascii():
            _check_text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            chosen[name] = max(-MOST, min(value, MOST))
    return chosen


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError("an option is not UTF-8 text") from None


def _run(options: argparse.Namespace) -> int:
    config = config_of(options)
    if options.ask_first is not None:
        options.ask_first(options)
    wanted = sendable(options)
    outcome = ask_server(config.data, options.command, wanted, tell=tell_person)
    if outcome is None:
        prepare(config)
        outcome = asyncio.run(_act(config, options.command, argparse.Namespace(**wanted)))
    return show(outcome, as_json=options.json)


async def _act(config: Config, command: str, options: argparse.Namespace) -> Outcome:
    from palpo.app import built

    async with built(config) as services:
        outcome = await perform(
            services, ACTIONS[command], options, actor=getpass.getuser(), tell=tell_person
        )
        if outcome.job is None:
            return outcome
        return await follow(services, outcome.job, tell_person, served=False)


def tell_person(line: str) -> None:
    """Say how far it is, to who waits."""
    print(line, file=sys.stderr, flush=True)
