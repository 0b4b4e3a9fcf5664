"""``palpo user``: make accounts and change them, in the database itself."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import Any

from palpo.api.services import Services
from palpo.cli.actions import Action, add_action
from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Account

WORDS = {"is_admin": "administrator", "is_guest": "guest"}
"""What flags of accounts are called, where not by their names."""


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
    add_action(actions, "list", _list, "show the accounts that are not deactivated")
    _add(actions, "lock", _lock, "keep someone out until the account is unlocked").set_defaults(lock=True)
    _add(actions, "unlock", _lock, "end that").set_defaults(lock=False)
    admin = _add(actions, "admin", _admin, "make someone a server administrator")
    admin.add_argument("--revoke", action="store_true", help="end that")


def _add(actions: Any, name: str, action: Action, help_text: str) -> argparse.ArgumentParser:
    parser = add_action(actions, name, action, help_text)
    parser.add_argument("name", metavar="NAME", help="alice, or @alice:example.org")
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from a line of input"
    )


async def _create(services: Services, options: argparse.Namespace) -> str:
    name = _localpart(services, options.name)
    await services.accounts.registration.check_available(name)
    password = _read_password(options)
    user_id, _ = await services.accounts.registration.register(name, password, None, admin=options.admin)
    return f"Created {user_id}"


async def _password(services: Services, options: argparse.Namespace) -> str:
    user_id = await _user_id(services, options.name)
    await services.accounts.accounts.set_password(
        user_id, _read_password(options), log_out=not options.keep_devices
    )
    return f"Changed the password of {user_id}"


async def _admin(services: Services, options: argparse.Namespace) -> str:
    user_id = await _user_id(services, options.name)
    await services.accounts.accounts.set_flags(user_id, is_admin=not options.revoke)
    if options.revoke and user_id in services.server.config.admins:
        raise InvalidParam(
            f"{user_id} is an administrator by the setting admins: take it out there, and restart the server"
        )
    return f"{user_id} is {'no' if options.revoke else 'now an'} administrator"


async def _lock(services: Services, options: argparse.Namespace) -> str:
    user_id = await _user_id(services, options.name)
    await services.accounts.accounts.set_flags(user_id, locked=options.lock)
    return f"{user_id} is {'locked' if options.lock else 'not locked'}"


async def _list(services: Services, options: argparse.Namespace) -> str:
    lines = [
        _line(account, services.server.config.admins) async for account in services.accounts.accounts.all()
    ]
    return "\n".join(lines) or "There are no accounts"


def _line(account: Account, admins: tuple[str, ...]) -> str:
    flags = {**account.flags(), "is_admin": account.is_admin or account.user_id in admins}
    kinds = {WORDS.get(flag, flag): is_so for flag, is_so in flags.items()}
    kinds[f"of {account.appservice_id}"] = account.appservice_id is not None
    return "  ".join((account.user_id, ", ".join(kind for kind, is_so in kinds.items() if is_so))).rstrip()


async def _user_id(services: Services, name: str) -> UserId:
    """The user ID of a localpart or user ID; raises NotFound where there is no such account."""
    account = await services.accounts.logins.find(_localpart(services, name))
    if account is None or account.deactivated:
        raise NotFound(f"There is no user {name!r}")
    return account.user_id


def _localpart(services: Services, name: str) -> str:
    """What is before the colon of a user ID, or ``name`` itself; raises InvalidParam for other servers'."""
    if not name.startswith("@"):
        return name
    localpart, _, server = name[1:].partition(":")
    if server not in ("", services.server.config.server_name):
        raise InvalidParam(
            f"{name} is not of this server, the users of which are @…:{services.server.config.server_name}"
        )
    return localpart


def _read_password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    try:
        password = getpass("Password: ")
        if getpass("Once more: ") != password:
            raise InvalidParam("The two passwords differ")
        return password
    except EOFError:
        raise InvalidParam("No password was given") from None
