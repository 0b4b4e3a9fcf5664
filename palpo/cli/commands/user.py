"""``palpo user``: make accounts and change them, in the database itself."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import Any

from palpo.api.services import Services
from palpo.cli.actions import Action, add_action
from palpo.core.errors import InvalidParam, NotFound


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("user", help="make and change accounts")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = _add(actions, "create", _create, "make an account")
    create.add_argument("--admin", action="store_true", help="make it a server administrator's")
    _add_password(create)
    password = _add(actions, "password", _password, "replace a password and log out all devices")
    password.add_argument("--keep-devices", action="store_true", help="log nobody out")
    _add_password(password)
    admin = _add(actions, "admin", _admin, "make someone a server administrator")
    admin.add_argument("--revoke", action="store_true", help="end that")


def _add(actions: Any, name: str, action: Action, help_text: str) -> argparse.ArgumentParser:
    parser = add_action(actions, name, action, help_text)
    parser.add_argument("name", metavar="NAME", help="localpart or user ID")
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from a line of input"
    )


async def _create(services: Services, options: argparse.Namespace) -> str:
    password = _read_password(options)
    user_id, _ = await services.registration.register(options.name, password, None, admin=options.admin)
    return f"Created {user_id}"


async def _password(services: Services, options: argparse.Namespace) -> str:
    user_id = await _user_id(services, options.name)
    await services.accounts.set_password(user_id, _read_password(options), log_out=not options.keep_devices)
    return f"Changed the password of {user_id}"


async def _admin(services: Services, options: argparse.Namespace) -> str:
    user_id = await _user_id(services, options.name)
    await services.accounts.set_admin(user_id, not options.revoke)
    return f"{user_id} is {'no' if options.revoke else 'now an'} administrator"


async def _user_id(services: Services, name: str) -> str:
    """The user ID of a localpart or user ID; raises NotFound where there is no such account."""
    account = await services.logins.find(name)
    if account is None or account.deactivated:
        raise NotFound(f"There is no user {name}")
    return account.user_id


def _read_password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass("Password: ")
    except EOFError:
        raise InvalidParam("No password was given") from None
