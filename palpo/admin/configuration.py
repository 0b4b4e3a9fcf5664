"""The configuration: what each setting means, where it is set, and changes, checked before they apply."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.config.errors import ConfigError
from palpo.config.settings import settings
from palpo.config.sources import known
from palpo.core.errors import InvalidParam
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("configuration", __name__)


@blueprint.serves(wire.configuration)
async def configuration(call: Call, params: wire.ListParams) -> ResponseReturnValue:
    """GET /_palpo/admin/configuration."""
    wanted = params.search.strip().lower()
    sections: dict[str, list[tuple[Any, str]]] = {}
    for shown in call.services.administration.configuration.shown():
        setting = shown.setting
        if wanted in setting.name or wanted in setting.description.lower():
            section = ".".join(setting.where[:-1]) or "Top level"
            sections.setdefault(section, []).append((shown, json.dumps(shown.value, ensure_ascii=False)))
    return await show(
        "configuration.html",
        call,
        settings=sections,
        search=params.search,
        can_restart=call.services.server.restarts.possible,
    )


def _told(form: Form) -> dict[str, Any]:
    """What is written down of a change: of a secret only that it was changed."""
    name, value = form.get("name", "").strip(), None
    try:
        if not settings()[known(name)].secret:
            value = _value(form.get("value", "").strip())
    except (ConfigError, InvalidParam):
        value = None
    return {"name": name, "value": value}


@blueprint.action(wire.change_setting, told=_told)
async def change_setting(call: Call, params: wire.ListParams, form: Form) -> Done:
    """POST /_palpo/admin/configuration: a setting's new value, as in TOML; empty takes it out of its file."""
    name, text = form.get("name", "").strip(), form.get("value", "").strip()
    value = _value(text)
    if name == "admins":
        await _check_stays_administrator(call, value)
    change = call.services.administration.configuration.apply({name: value})
    if name in change.needs_restart or change.needs_restart:
        said = f"{name} is written down, and in force after a restart"
    else:
        said = f"{name} is in force"
    return Done(text=said, then=f"/configuration?search={name}", target=name)


async def _check_stays_administrator(call: Call, admins: Any) -> None:
    """Raise InvalidParam where whoever asks would be kept out of these pages by it."""
    user_id = (await administrator(call)).user_id
    account = await call.services.accounts.accounts.find(user_id)
    if account is not None and not account.is_admin and user_id not in (admins or ()):
        raise InvalidParam(f"You are an administrator by this setting only: leave {user_id} in it")


@blueprint.action(wire.reload)
async def reload(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/configuration/reload: reads the files again."""
    change = call.services.administration.configuration.reload()
    said = "Read again"
    if change.in_force:
        said += f"; in force now: {', '.join(change.in_force)}"
    if change.needs_restart:
        said += f"; after a restart: {', '.join(change.needs_restart)}"
    return Done(text=said, then="/configuration")


def _value(text: str) -> Any:
    """What a text is in TOML: ``true``, ``5``, ``["a"]``; anything else is the text itself, empty None."""
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text[0] in "[{\"'":
            raise InvalidParam("The value cannot be read: it is written as in TOML") from None
        return text
