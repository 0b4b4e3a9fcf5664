"""``palpo registration-token``: tokens that let people register."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import minute
from palpo.core.errors import InvalidParam

if TYPE_CHECKING:
    from palpo.api.services import Services
    from palpo.storage.registration_tokens import RegistrationToken

DAY_MS = 24 * 3600 * 1000
MAX_DAYS = 36_500


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "registration-token", help="give out tokens that let people register"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = add_action(actions, "create", _create, "make a token, and print it")
    create.add_argument("--token", help="the token, instead of one that is made up")
    create.add_argument("--uses", type=int, metavar="N", help="it is good for so many accounts")
    create.add_argument("--days", type=float, metavar="N", help="it is good for so many days")
    add_action(actions, "list", _list, "show every token", changes=False)
    revoke = add_action(actions, "revoke", _revoke, "delete a token")
    revoke.add_argument("token", metavar="TOKEN")


async def _create(services: Services, options: argparse.Namespace) -> Outcome:
    if options.days is not None and not 0 < options.days <= MAX_DAYS:
        raise InvalidParam(f"--days is more than 0, and at most {MAX_DAYS}")
    if options.uses is not None and options.uses < 1:
        raise InvalidParam("--uses is a number of accounts, from 1 on")
    valid_ms = None if options.days is None else int(options.days * DAY_MS)
    created = await services.accounts.registration_tokens.create(
        options.token, uses_allowed=options.uses, valid_ms=valid_ms
    )
    return Outcome(created.token, created)


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    tokens = await services.accounts.registration_tokens.all()
    return Outcome("\n".join(_line(token) for token in tokens) or "There are no tokens", tokens)


async def _revoke(services: Services, options: argparse.Namespace) -> Outcome:
    await services.accounts.registration_tokens.revoke(options.token)
    return done(f"Revoked {options.token}", token=options.token)


def _line(token: RegistrationToken) -> str:
    allowed = "any number" if token.uses_allowed is None else str(token.uses_allowed)
    until = "never" if token.expires_ts is None else minute(token.expires_ts)
    return f"{token.token}  used {token.completed} of {allowed}, expires {until}"
