"""Users: found by their names, and what is done with one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, count_of_pages, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.core.errors import Conflict, InvalidParam, NotFound
from palpo.core.identifiers import UserId, parse_user_id
from palpo.services.administration.redactions import Wanted
from palpo.services.administration.users import Change
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("users", __name__)

FLAGS = {
    "lock": ("locked", True, "is locked"),
    "unlock": ("locked", False, "is not locked any more"),
    "suspend": ("suspended", True, "is suspended"),
    "unsuspend": ("suspended", False, "is not suspended any more"),
    "shadow_ban": ("shadow_banned", True, "is shadow-banned"),
    "lift_shadow_ban": ("shadow_banned", False, "is not shadow-banned any more"),
}
SHOWN_ROOMS = 200
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("All", {}),
    "administrators": ("Administrators", {"admin": True}),
    "locked": ("Locked", {"locked": True}),
    "guests": ("Guests", {"guest": True}),
    "deactivated": ("Deactivated", {"deactivated": True}),
}
"""What a list may be of: what that is called, and which users are wanted."""


@blueprint.serves(wire.users)
async def users(call: Call, params: wire.UsersParams) -> ResponseReturnValue:
    """GET /_palpo/admin/users."""
    kind = params.kind if params.kind in KINDS else ""
    total, found = await call.services.administration.user_lists.page(
        skipped=params.skipped, limit=wire.PAGE, name=params.search.strip().lstrip("@"), **KINDS[kind][1]
    )
    return await show(
        "users.html",
        call,
        users=found,
        total=total,
        search=params.search,
        kind=kind,
        kinds={name: text for name, (text, _) in KINDS.items()},
        page=params.page,
        pages_of=count_of_pages(total, wire.PAGE),
    )


@blueprint.action(wire.create_user)
async def create_user(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/users: without a password the user can only sign on by a provider."""
    name = form.get("name", "").strip()
    user_id = parse_user_id(name if ":" in name else f"@{name}:{call.services.server.name}")
    if await call.services.accounts.accounts.find(user_id) is not None:
        raise Conflict(f"There is {user_id} already")
    change = Change(password=form.get("password") or None, admin="admin" in form)
    await call.services.administration.users.put(user_id, change, by=(await administrator(call)).user_id)
    return Done(text=f"{user_id} is made", then="/users" + path_of(user_id), target=user_id)


@blueprint.serves(wire.user)
async def user(call: Call, params: wire.UserParams) -> ResponseReturnValue:
    """GET /_palpo/admin/users/{name}."""
    administration, user_id = call.services.administration, params.name
    found = await administration.user_lists.whole(user_id)
    rooms = await administration.user_details.joined_rooms(user_id)
    media_count, _ = await administration.user_details.media(user_id, skipped=0, limit=1)
    return await show(
        "user.html",
        call,
        found=found,
        account=found.account,
        devices=await call.services.accounts.devices.list(user_id),
        rooms=rooms[:SHOWN_ROOMS],
        room_count=len(rooms),
        media_count=media_count,
        pushers=await administration.user_details.pushers(user_id),
        rate_limit=await administration.users.rate_limit(user_id),
        jobs=await call.services.server.jobs.find(target=user_id),
        is_self=user_id == (await administrator(call)).user_id,
    )


@blueprint.action(wire.change_user)
async def change_user(call: Call, params: wire.UserParams, form: Form) -> Done:
    """POST /_palpo/admin/users/{name}: does what the field ``do`` says."""
    what, user_id = form.get("do", ""), params.name
    if what in FLAGS:
        flag, value, said = FLAGS[what]
        await call.services.administration.users.set_flags(user_id, **{flag: value})
        text = f"{user_id} {said}"
    elif what in ACTIONS:
        text = await ACTIONS[what](call, user_id, form)
    else:
        raise InvalidParam("That cannot be done with a user")
    return Done(text=text, then="/users" + path_of(user_id), target=f"{user_id}")


async def _make_admin(call: Call, user_id: UserId, form: Form) -> str:
    wanted = form.get("do") == "make_admin"
    by = (await administrator(call)).user_id
    await call.services.administration.users.set_admin(user_id, wanted, by=by)
    return f"{user_id} is {'an' if wanted else 'no'} administrator{'' if wanted else ' any more'}"


async def _set_password(call: Call, user_id: UserId, form: Form) -> str:
    password = form.get("password", "")
    if not password:
        raise InvalidParam("Give a new password")
    await call.services.administration.users.set_password(user_id, password, log_out="log_out" in form)
    return f"{user_id} has a new password"


async def _log_out(call: Call, user_id: UserId, form: Form) -> str:
    devices = call.services.accounts.devices
    await devices.remove(user_id, [device.device_id for device in await devices.list(user_id)])
    await call.services.accounts.browser_sessions.end_all(user_id)
    return f"{user_id} is logged out everywhere"


async def _remove_device(call: Call, user_id: UserId, form: Form) -> str:
    device_id = form.get("device_id", "")
    if all(device.device_id != device_id for device in await call.services.accounts.devices.list(user_id)):
        raise NotFound(f"{user_id} has no such device")
    await call.services.accounts.devices.remove(user_id, [device_id])
    return f"{device_id} is logged out"


async def _deactivate(call: Call, user_id: UserId, form: Form) -> str:
    if form.get("confirm", "").strip() != user_id:
        raise InvalidParam(f"To be sure, enter {user_id}")
    erase = "erase" in form
    await call.services.administration.users.deactivate(user_id, erase=erase)
    return f"{user_id} is deactivated{' and erased' if erase else ''}"


async def _redact(call: Call, user_id: UserId, form: Form) -> str:
    by = (await administrator(call)).user_id
    job_id = await call.services.administration.user_redactions.begin(user_id, Wanted(use_admin=True), by=by)
    return f"The messages of {user_id} are being redacted: job {job_id}"


async def _set_rate_limit(call: Call, user_id: UserId, form: Form) -> str:
    users = call.services.administration.users
    if form.get("do") == "remove_rate_limit":
        await users.remove_rate_limit(user_id)
        return f"{user_id} may do as much as all others"
    per_second, burst = _number(form, "per_second"), _number(form, "burst")
    await users.set_rate_limit(user_id, per_second=per_second, burst=burst)
    return f"{user_id} has limits of their own"


async def _set_emails(call: Call, user_id: UserId, form: Form) -> str:
    """Those of a form, one on a line; numbers of telephones stay."""
    emails = [line.strip() for line in form.get("emails", "").splitlines() if line.strip()]
    wanted = await call.services.accounts.threepids.with_emails(user_id, emails)
    by = (await administrator(call)).user_id
    await call.services.administration.users.put(user_id, Change(threepids=wanted), by=by)
    return f"The email addresses of {user_id} are changed"


async def _set_external_ids(call: Call, user_id: UserId, form: Form) -> str:
    """Those of a form: on each line a provider, and the ID there."""
    ids = []
    for line in form.get("external_ids", "").splitlines():
        if line.strip():
            provider, _, external_id = line.strip().partition(" ")
            ids.append((provider, external_id.strip()))
    await call.services.administration.users.put(
        user_id, Change(external_ids=ids), by=(await administrator(call)).user_id
    )
    return f"The accounts of {user_id} elsewhere are changed"


async def _allow_cross_signing_reset(call: Call, user_id: UserId, form: Form) -> str:
    await call.services.encryption.cross_signing.allow_replacement(user_id)
    return f"{user_id} can replace their cross-signing keys once, for ten minutes"


def _number(form: Form, name: str) -> int:
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidParam("Give two numbers; both 0 mean: no limits")
    return int(text)


ACTIONS: dict[str, Callable[[Call, UserId, Form], Awaitable[str]]] = {
    "make_admin": _make_admin,
    "revoke_admin": _make_admin,
    "set_password": _set_password,
    "log_out": _log_out,
    "remove_device": _remove_device,
    "deactivate": _deactivate,
    "redact": _redact,
    "set_rate_limit": _set_rate_limit,
    "remove_rate_limit": _set_rate_limit,
    "set_emails": _set_emails,
    "set_external_ids": _set_external_ids,
    "allow_cross_signing_reset": _allow_cross_signing_reset,
}
"""What the field ``do`` may say beside ``FLAGS``; each says what it has done."""
