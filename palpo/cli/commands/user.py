"""``palpo user``: accounts, looked at and changed."""

from __future__ import annotations

import argparse
import sys
import warnings
from functools import partial
from getpass import GetPassWarning, getpass
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import Action, add_action
from palpo.cli.following import begun
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import account_of, localpart, minute, span_ms, table, user_id_of
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import RoomId, UserId, parse_user_id
from palpo.core.records.accounts import Account

if TYPE_CHECKING:
    from palpo.api.services import Services

WORDS = {"is_admin": "administrator", "is_guest": "guest", "shadow_banned": "shadow-banned"}
"""What flags of accounts are called, where not by their names."""
FLAGS = {
    "lock": ("locked", True, "keep someone out until the account is unlocked"),
    "unlock": ("locked", False, "end that"),
    "suspend": ("suspended", True, "let someone read and leave, and do nothing else"),
    "unsuspend": ("suspended", False, "end that"),
    "shadow-ban": ("shadow_banned", True, "have nobody see what someone does, who is not told"),
    "unshadow-ban": ("shadow_banned", False, "end that"),
}
"""Actions that set a flag: which, to what, and what for."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("user", help="look at accounts and change them")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = _add(actions, "create", _create, "make an account", before=_read_password)
    create.add_argument("--admin", action="store_true", help="make it a server administrator's")
    password = _add(
        actions, "password", _password, "replace a password and log out all devices", before=_read_password
    )
    password.add_argument("--keep-devices", action="store_true", help="log nobody out")
    for each in (create, password):
        each.add_argument(
            "--password-stdin", action="store_true", help="read the password from a line of input"
        )
    listing = add_action(actions, "list", _list, "show the accounts that are not deactivated", changes=False)
    listing.add_argument("--search", metavar="TEXT", default="", help="only those with this in the user ID")
    listing.add_argument("--admins", action="store_true", help="only administrators")
    _add(actions, "show", _show, "show an account and its devices", changes=False)
    _add(actions, "devices", _devices, "show someone's devices", changes=False)
    for name, (flag, value, help_text) in FLAGS.items():
        _add(actions, name, partial(_flag, flag=flag, value=value), help_text)
    admin = _add(actions, "admin", _admin, "make someone a server administrator")
    admin.add_argument("--revoke", action="store_true", help="end that")
    out = _add(actions, "log-out", _log_out, "log out someone's devices")
    out.add_argument("--device", metavar="ID", help="only this one")
    _add_redact(actions)
    acting = _add(
        actions, "login-as", _login_as, "make an access token with which an administrator acts as someone"
    )
    acting.add_argument("--by", required=True, metavar="ADMIN", help="who acts; it ends with their sessions")
    acting.add_argument(
        "--for", dest="span", default="1h", metavar="TIME", help="how long: 1h, 2d (default: 1h)"
    )
    end = _add(actions, "deactivate", _deactivate, "end an account for good: nobody can have it again")
    end.add_argument("--erase", action="store_true", help="have what they wrote hidden from who joins later")


def _add(actions: Any, name: str, action: Action, help_text: str, **more: Any) -> argparse.ArgumentParser:
    parser = add_action(actions, name, action, help_text, target="name", **more)
    parser.add_argument("name", metavar="NAME", help="alice, or @alice:example.org")
    return parser


def _add_redact(actions: Any) -> None:
    redact = add_action(
        actions, "redact", _redact, "redact what a user of any server has sent", target="name"
    )
    redact.add_argument("name", metavar="NAME", help="alice, or @alice:example.org")
    redact.add_argument(
        "--by", required=True, metavar="ADMIN", help="an administrator, in whose name it is done"
    )
    redact.add_argument(
        "--room", action="append", default=[], metavar="ROOM_ID", help="only there; may be repeated"
    )
    redact.add_argument("--reason", metavar="TEXT")
    redact.add_argument("--limit", type=int, metavar="N", help="events in each room (default: 1000)")
    redact.add_argument("--since", metavar="TIME", help="only what was sent within: 12h, 7d")


async def _redact(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.redactions import LIMIT, Wanted

    admin = await _admin_of(services, options.by)
    known = options.name.startswith("@") and ":" in options.name
    user_id = parse_user_id(options.name) if known else await user_id_of(services, options.name)
    after_ts = 0 if options.since is None else services.server.clock.now_ms() - span_ms(options.since)
    wanted = Wanted(
        rooms=[RoomId(room) for room in options.room],
        reason=options.reason,
        limit=LIMIT if options.limit is None else options.limit,
        after_ts=after_ts,
    )
    job_id = await services.administration.user_redactions.begin(user_id, wanted, by=admin)
    return begun(await services.server.jobs.get(job_id))


async def _login_as(services: Services, options: argparse.Namespace) -> Outcome:
    admin, user_id = await _admin_of(services, options.by), await user_id_of(services, options.name)
    until_ms = services.server.clock.now_ms() + span_ms(options.span)
    token = await services.administration.users.log_in_as(user_id, by=admin, valid_until_ms=until_ms)
    return Outcome(token, {"user_id": user_id, "access_token": token, "valid_until_ms": until_ms})


async def _admin_of(services: Services, name: str) -> UserId:
    """An administrator's user ID; raises InvalidParam for who is none."""
    account = await account_of(services, name)
    if not account.is_admin and account.user_id not in services.server.config.admins:
        raise InvalidParam(f"{account.user_id} is no administrator")
    return account.user_id


async def _create(services: Services, options: argparse.Namespace) -> Outcome:
    name = localpart(services, options.name)
    registration = services.accounts.registration
    user_id, _ = await registration.register(name, options.password, None, admin=options.admin)
    return done(f"Created {user_id}", user_id=user_id)


async def _password(services: Services, options: argparse.Namespace) -> Outcome:
    user_id = await user_id_of(services, options.name)
    await services.accounts.accounts.set_password(user_id, options.password, log_out=not options.keep_devices)
    return done(f"Changed the password of {user_id}", user_id=user_id)


async def _admin(services: Services, options: argparse.Namespace) -> Outcome:
    user_id = await user_id_of(services, options.name)
    await services.accounts.accounts.set_admin(user_id, not options.revoke)
    if options.revoke and user_id in services.server.config.admins:
        raise InvalidParam(
            f"{user_id} is an administrator by the setting admins: take it out there, and restart the server"
        )
    text = f"{user_id} is {'no' if options.revoke else 'now an'} administrator"
    return done(text, user_id=user_id, is_admin=not options.revoke)


async def _flag(services: Services, options: argparse.Namespace, *, flag: str, value: bool) -> Outcome:
    user_id = await user_id_of(services, options.name)
    await services.accounts.accounts.set_flags(user_id, **{flag: value})
    word = WORDS.get(flag, flag)
    return done(f"{user_id} is {word if value else f'not {word}'}", user_id=user_id, **{flag: value})


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    admins, wanted = services.server.config.admins, options.search.casefold()
    found = [
        account
        async for account in services.accounts.accounts.all()
        if wanted in account.user_id.casefold()
        and (not options.admins or account.is_admin or account.user_id in admins)
    ]
    lines = "\n".join(_line(account, admins) for account in found)
    return Outcome(lines or "There are no accounts", [_shown(account, admins) for account in found])


async def _show(services: Services, options: argparse.Namespace) -> Outcome:
    account = await account_of(services, options.name, deactivated=True)
    devices = await services.accounts.devices.list(account.user_id)
    profile = await services.accounts.profiles.look_up(account.user_id) if not account.deactivated else {}
    admins = services.server.config.admins
    facts = {**_shown(account, admins), "profile": profile, "devices": devices}
    rows = [
        (account.user_id, ", ".join(_kinds(account, admins))),
        ("name", str(profile.get("displayname", ""))),
        ("made", minute(account.created_ts)),
        ("devices", str(len(devices))),
    ]
    return Outcome(table(rows, empty=""), facts)


async def _devices(services: Services, options: argparse.Namespace) -> Outcome:
    found = await services.accounts.devices.list(await user_id_of(services, options.name))
    rows = [
        (
            item.device_id,
            item.display_name or "",
            "never seen" if item.last_seen_ts is None else f"seen {minute(item.last_seen_ts)}",
            item.last_seen_ip or "",
        )
        for item in found
    ]
    return Outcome(table(rows, empty="There are no devices"), found)


async def _log_out(services: Services, options: argparse.Namespace) -> Outcome:
    user_id = await user_id_of(services, options.name)
    if options.device is None:
        await services.accounts.logins.log_out_everywhere(user_id)
        return done(f"Logged out all devices of {user_id}", user_id=user_id)
    await services.accounts.devices.get(user_id, options.device)
    await services.accounts.devices.remove(user_id, [options.device])
    return done(f"Logged out {options.device} of {user_id}", user_id=user_id, device_id=options.device)


async def _deactivate(services: Services, options: argparse.Namespace) -> Outcome:
    user_id: UserId = await user_id_of(services, options.name)
    await services.administration.users.deactivate(user_id, erase=options.erase)
    return done(f"Deactivated {user_id}", user_id=user_id, erased=options.erase)


def _line(account: Account, admins: tuple[str, ...]) -> str:
    return "  ".join((account.user_id, ", ".join(_kinds(account, admins)))).rstrip()


def _kinds(account: Account, admins: tuple[str, ...]) -> list[str]:
    """What there is to say of an account, in words."""
    flags = {**account.flags(), "is_admin": account.is_admin or account.user_id in admins}
    kinds = {WORDS.get(flag, flag): is_so for flag, is_so in flags.items()}
    kinds[f"of {account.appservice_id}"] = account.appservice_id is not None
    kinds["deactivated"] = account.deactivated
    return [kind for kind, is_so in kinds.items() if is_so]


def _shown(account: Account, admins: tuple[str, ...]) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        **account.flags(),
        "is_admin": account.is_admin or account.user_id in admins,
        "appservice_id": account.appservice_id,
        "deactivated": account.deactivated,
        "erased": account.erased,
        "created_ts": account.created_ts,
    }


def _read_password(options: argparse.Namespace) -> None:
    if options.password_stdin:
        options.password = sys.stdin.readline().rstrip("\r\n")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            options.password = getpass("Password: ")
            if getpass("Once more: ") != options.password:
                raise InvalidParam("The two passwords differ")
    except GetPassWarning:
        raise InvalidParam("There is no terminal to ask for a password: --password-stdin reads it") from None
    except EOFError:
        raise InvalidParam("No password was given") from None
