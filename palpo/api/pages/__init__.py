"""Pages for browsers: Quart blueprints with Jinja templates.

A page is declared in ``wire`` like any endpoint, with ``Page`` as its response. So the dispatcher finds it,
also at a path of the spec's, and looks at its budgets and its body. Then a handler hands the call to Quart,
and what the blueprint makes goes back through the dispatcher.

A further page, of sign-on or of the admin pages, say, is a module with a ``PageBlueprint``, a template that
extends ``base.html``, and a line in ``BLUEPRINTS``. Templates escape what they show, and every page has the
headers of ``palpo.api.pages.security``, whether or not its module thinks of them.

Who is signed in, and what forms carry, is in ``browsers``; texts in other languages are in ``translations``.
"""

from palpo.api.pages import (
    account,
    auth_fallback,
    email_confirmation,
    emails,
    landing_page,
    login_fallback,
    oauth,
    recovery,
    registration,
    sign_in,
    sso,
)
from palpo.api.pages.blueprint import PageBlueprint

BLUEPRINTS: tuple[PageBlueprint, ...] = (
    landing_page.blueprint,
    login_fallback.blueprint,
    auth_fallback.blueprint,
    email_confirmation.blueprint,
    sign_in.blueprint,
    sso.blueprint,
    oauth.blueprint,
    account.blueprint,
    emails.blueprint,
    registration.blueprint,
    recovery.blueprint,
)
