"""Pages for administrators: who may open them, and what is written down of what they do there.

    blueprint = AdminPages("jobs", __name__)

    @blueprint.serves(wire.jobs)
    async def jobs(call: Call, params: NoParams) -> ResponseReturnValue:
        return await show("jobs.html", …)

    @blueprint.action(wire.cancel_job)
    async def cancel_job(call: Call, params: wire.NameParams, form: Form) -> Done:
        …
        return Done("Cancelled", then="/jobs")

An action is a form: it is checked to come from one of these pages (``palpo.api.pages.browsers``), carried
out, written into the audit log, refused or not, and then the browser is sent on to a page that says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import quote, unquote

from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint, View
from palpo.api.pages.browsers import (
    Form,
    SeeOther,
    cookie,
    here,
    safe_path,
    set_cookie,
    sign_in_path,
    visitor,
)
from palpo.core.errors import Forbidden, InvalidParam, MatrixError
from palpo.core.records.browser_sessions import BrowserSession
from palpo.wire.endpoint import Endpoint, NoBody, P, Page
from palpo.wire.pages.admin import PREFIX

SAID = "palpo_said"
"""The cookie with what the next page says of what was done."""
MAX_SAID = 500
SECTIONS = (
    ("", "Overview"),
    ("/check-up", "Check-up"),
    ("/users", "Users"),
    ("/rooms", "Rooms"),
    ("/media", "Media"),
    ("/reports", "Reports"),
    ("/registration-tokens", "Registration tokens"),
    ("/servers", "Other servers"),
    ("/appservices", "Application services"),
    ("/jobs", "Jobs"),
    ("/configuration", "Configuration"),
    ("/backups", "Backups"),
    ("/sessions", "Sessions"),
    ("/audit-log", "Audit log"),
    ("/logs", "Logs"),
    ("/slow-requests", "Slow requests"),
    ("/conformance", "Conformance"),
)
"""The pages' navigation: paths below the prefix, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, and the page below the prefix that says so."""

    text: str
    then: str
    target: str = ""
    """What it was done to, for the audit log."""
    page: ResponseReturnValue | None = None
    """What is shown at once, and in place of that page."""


Action = Callable[[Call, P, Form], Awaitable[Done]]
Told = Callable[[Form], Mapping[str, Any]]
"""What of a form is written into the audit log, where that is not all of it."""


class AdminPages(PageBlueprint):
    """Views that only administrators are shown."""

    def __init__(self, name: str, import_name: str) -> None:
        super().__init__(f"admin_{name}", import_name, has_forms=True)
        self.template_folder = "templates"

    def serves(self, endpoint: Endpoint[P, NoBody, Page]) -> Callable[[View[P]], View[P]]:
        """Register a view for an endpoint."""
        register = super().serves(endpoint)

        def registered(view: View[P]) -> View[P]:
            @wraps(view)
            async def admitted(call: Call, params: P) -> ResponseReturnValue:
                await administrator(call)
                return await view(call, params)

            return register(admitted)

        return registered

    def action(
        self, endpoint: Endpoint[P, NoBody, Page], *, told: Told = dict
    ) -> Callable[[Action[P]], Action[P]]:
        """Register what a form does; ``told`` leaves out of the audit log what is secret in it."""

        def registered(action: Action[P]) -> Action[P]:
            @wraps(action)
            async def view(call: Call, params: P, form: Form) -> ResponseReturnValue:
                return await _carry_out(action, call, params, form, told)

            self.form(endpoint)(view)
            return action

        return registered


async def administrator(call: Call) -> BrowserSession:
    """Who is signed in, an administrator; raises Forbidden, and sends who is not signed in to do that."""
    browser = await visitor(call)
    if browser is None:
        raise SeeOther(sign_in_path(here(call) if call.method == "GET" else f"{PREFIX}/"))
    if not browser.is_admin:
        raise Forbidden(
            "These pages are for administrators of this server. You are signed in as somebody else."
        )
    return browser


async def show(template: str, call: Call, **values: Any) -> ResponseReturnValue:
    """A page; ``template`` is below ``admin/``."""
    browser = await administrator(call)
    said = cookie(call, SAID)
    if said is not None:
        set_cookie(call, SAID, None)
    kind, _, text = unquote(said or "").partition(" ")
    path = call.raw_path.removeprefix(PREFIX).rstrip("/")
    section = next((name for name, _ in SECTIONS if name and path.startswith(name)), "")
    return await render_template(
        f"admin/{template}",
        user_id=browser.user_id,
        sections=SECTIONS,
        section=section,
        said=text[:MAX_SAID],
        said_kind="wrong" if kind == "no" else "done",
        prefix=PREFIX,
        **values,
    )


async def _carry_out(action: Action[P], call: Call, params: P, form: Form, told: Told) -> ResponseReturnValue:
    browser = await administrator(call)
    target, status, kind = "", 500, "no"
    page: ResponseReturnValue | None = None
    try:
        done = await action(call, params, form)
        target, status, kind = done.target, 200, "ok"
        text, then, page = done.text, done.then, done.page
    except MatrixError as error:
        status, text, then = error.status, error.message, form.get("back", "/")
    finally:
        await _write_down(call, browser, params, told(form), target, status)
    if page is not None:
        return page
    set_cookie(call, SAID, quote(f"{kind} {text}"[:MAX_SAID]), max_age=60)
    path = PREFIX + then
    if not then.startswith("/") or safe_path(path) != path:
        path = f"{PREFIX}/"
    return Response(status=303, headers={"Location": path})


async def _write_down(
    call: Call, browser: BrowserSession, params: Any, told: Mapping[str, Any], target: str, status: int
) -> None:
    given = {name: getattr(params, name) for name in params.__struct_fields__}
    filled_in = {name: value for name, value in told.items() if name not in ("csrf", "back")}
    await call.services.server.audit_log.record(
        actor=browser.user_id,
        via="web",
        action=call.endpoint.operation_id,
        target=target or str(next(iter(given.values()), "")),
        details={**given, **filled_in},
        status=status,
        address=call.client_address,
    )


def day_ms(text: str) -> int:
    """When a day of a form (``2026-12-01``) begins in UTC, in milliseconds; raises InvalidParam."""
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidParam("Give a day, as 2026-12-01") from error
    return max(0, int(day.timestamp() * 1000))


def path_of(*parts: str) -> str:
    """A path below the prefix, of parts that may have anything in them."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def count_of_pages(total: int, size: int) -> int:
    """How many pages a list has."""
    return max(1, -(-total // size))
