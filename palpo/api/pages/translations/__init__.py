"""The texts of pages in other languages: a TOML file for each, from the English text to the other one.

In templates and in modules of pages a text is ``_("…")``; a test holds the files to all of these. What has
a value in it is ``_("Signed in as {user}", user=user_id)``; one with markup in it is ``_m("…")``.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from markupsafe import Markup
from quart import g, request

from palpo.wire.pages.languages import ENGLISH, LANGUAGES

MAX_FIELDS = 100
"""Of the address of the page that follows."""
MAX_LOCALES = 10
"""Of those that a request asks for, how many are looked at."""


@cache
def texts(language: str) -> dict[str, str]:
    """All texts in a language, by the English ones; of English, none."""
    if language == ENGLISH:
        return {}
    return tomllib.loads((Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8"))


def translate(text: str, **values: object) -> str:
    """``text`` in the page's language, or as it is where there is none in that."""
    found = texts(language()).get(text, text)
    return found.format(**values) if values else found


def translate_markup(text: str, **values: object) -> Markup:
    """The same of a text with markup of ours in it; the values are escaped."""
    return Markup(texts(language()).get(text, text)).format(**values)


def language() -> str:
    """What the page is written in: as ``ui_locales`` asks (OpenID Connect Core, 3.1.2.1), or the browser."""
    if "language" not in g:
        accepted = " ".join(request.accept_languages.values())
        g.language = _asked(_ui_locales()) or _asked(accepted) or ENGLISH
    return str(g.language)


def _ui_locales() -> str:
    """What the address says, or, on the way to another page, that page's."""
    if locales := request.args.get("ui_locales"):
        return locales
    query = request.args.get("next", "").partition("?")[2].partition("#")[0]
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS).get("ui_locales", [""])[0]
    except ValueError:
        return ""


def _asked(locales: str) -> str | None:
    for locale in locales.split()[:MAX_LOCALES]:
        primary = locale.replace("_", "-").partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return None
