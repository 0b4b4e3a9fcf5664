"""Templates that say what a new user is called, by what a provider says of them.

They are Jinja's expressions in its sandbox, with few filters and nothing else, as
``{{ user.email | localpart_from_email }}``. What users can choose is only ever a value in them, never a
template. What is not there is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

FILTERS = ("default", "first", "join", "last", "lower", "replace", "title", "trim", "upper")
"""Those of Jinja's own that there are; ``localpart_from_email`` is ours."""
MAX_RESULT = 2048
"""Characters that are kept of what comes of a template."""
_LOCALPART = re.compile(rb"[^a-z0-9._/+-]")

Template = Callable[[Mapping[str, Any]], str]
"""What comes of a template for the claims of a user."""


class TemplateError(ValueError):
    """A template that cannot be read."""


def compile_template(source: str) -> Template:
    """Read a template; raises TemplateError."""
    from jinja2 import TemplateError as JinjaError

    if not source:
        return lambda claims: ""
    try:
        template = _environment().from_string(source)
    except JinjaError as error:
        raise TemplateError(str(error)) from error

    def render(claims: Mapping[str, Any]) -> str:
        try:
            text = template.render(user=claims)
        except (JinjaError, TypeError, ValueError, ArithmeticError):
            # What the provider says is not of the kind that the template expects.
            return ""
        return text.replace("\0", "").strip()[:MAX_RESULT]

    return render


def to_localpart(text: str) -> str:
    """A localpart that stands for any text (spec: appendices, "Mapping from other character sets")."""
    return _LOCALPART.sub(lambda found: b"=%02x" % found[0][0], text.lower().encode()).decode()


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    """Loaded where there is a template only."""
    from jinja2 import ChainableUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(autoescape=False, undefined=ChainableUndefined)
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.filters["localpart_from_email"] = _before_at
    made.globals.clear()
    return made


def _before_at(address: object) -> str:
    return str(address).rpartition("@")[0] or str(address)
