"""``docs/admin-api.md`` says what is served, and nothing is left out without a reason."""

from __future__ import annotations

from palpo.wire.registry import endpoints
from tests.interop.admin_api.operations import NOT_SERVED, PREFIX, by_name, pending
from tests.interop.admin_api.page import PAGE, page, still_pending

OURS: frozenset[str] = frozenset()
"""IDs of operations below Synapse's prefix that Synapse's documentation does not have."""
COMMAND = "run python -m tests.interop.admin_api.page"


def test_each_is_served_or_has_a_reason() -> None:
    known = by_name()
    served = {name for name, operation in known.items() if operation.endpoint() is not None}
    assert list(pending()) == still_pending(), f"where these are served now, {COMMAND}"
    assert served & set(NOT_SERVED) == set()
    assert set(NOT_SERVED) <= set(known)


def test_nothing_else_is_served() -> None:
    documented = {found.operation_id for each in by_name().values() if (found := each.endpoint())}
    declared = {
        each.operation_id for each in endpoints() if any(path.startswith(PREFIX) for path in each.paths)
    }
    assert declared - documented == OURS


def test_the_page_is_that_of_the_endpoints() -> None:
    assert PAGE.read_text() == page(), COMMAND
