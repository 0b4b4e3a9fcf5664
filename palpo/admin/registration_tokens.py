"""Tokens that let people register."""

from __future__ import annotations

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, count_of_pages, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.core.errors import InvalidParam
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire
from palpo.wire.pages.registration import REGISTRATION_PATH

blueprint = AdminPages("registration_tokens", __name__)

DAY_MS = 24 * 3600 * 1000
MAX_DAYS = 36_500


@blueprint.serves(wire.tokens)
async def tokens(call: Call, params: wire.ListParams) -> ResponseReturnValue:
    """GET /_palpo/admin/registration-tokens."""
    total, found = await call.services.accounts.registration_tokens.page(
        search=params.search.strip(), skipped=params.skipped, limit=wire.PAGE
    )
    return await show(
        "registration_tokens.html",
        call,
        tokens=found,
        now=call.services.server.clock.now_ms(),
        link=_link(call),
        search=params.search,
        page=params.page,
        pages_of=count_of_pages(total, wire.PAGE),
    )


@blueprint.action(wire.create_token)
async def create_token(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/registration-tokens."""
    days = _number(form, "days", MAX_DAYS)
    created = await call.services.accounts.registration_tokens.create(
        form.get("name", "").strip() or None,
        uses_allowed=_number(form, "uses", 2**31),
        valid_ms=None if days is None else days * DAY_MS,
    )
    return Done(text=f"The token is {created.token}", then="/registration-tokens", target=created.token)


@blueprint.action(wire.delete_token)
async def delete_token(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/registration-tokens/{name}/delete."""
    await call.services.accounts.registration_tokens.revoke(params.name)
    return Done(text=f"{params.name} is deleted", then="/registration-tokens", target=params.name)


def _link(call: Call) -> str:
    """The page on which accounts are made, where there is one; a token comes behind it."""
    config = call.services.server.config
    if not config.oauth_enabled or not config.passwords_enabled:
        return ""
    return f"{config.public_url.rstrip('/')}{REGISTRATION_PATH}?token="


def _number(form: Form, name: str, most: int) -> int | None:
    """A number of a form from 1 to ``most``, None where it is left empty; raises InvalidParam."""
    value = form.get(name, "").strip()
    if not value:
        return None
    if not value.isdecimal() or len(value) > 12 or not 1 <= int(value) <= most:
        raise InvalidParam(f"{name} is a whole number from 1 to {most}, or empty")
    return int(value)
