"""Bodies that are forms."""

from __future__ import annotations

from urllib.parse import parse_qsl

from palpo.api.call import Call
from palpo.core.errors import BadRequest

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 60
MAX_FIELD = 8192
"""Characters."""


def form_fields(call: Call, *, once: bool = False) -> dict[str, str]:
    """The fields of a body that is a form, each the last of its name, or, with ``once``, the only one.

    Raises BadRequest.
    """
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadRequest("Not a form")
    try:
        pairs = parse_qsl(
            call.body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequest("Not a form") from None
    if any("\0" in value or len(value) > MAX_FIELD for pair in pairs for value in pair):
        raise BadRequest("A field of the form has a value that it cannot have")
    fields = dict(pairs)
    if once and len(fields) != len(pairs):
        raise BadRequest("A field of the form is given twice")
    return fields
