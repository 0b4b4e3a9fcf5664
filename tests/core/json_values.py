"""Hypothesis strategies for JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)


def values(*scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON values of ``scalars`` in arrays and objects."""
    return st.recursive(
        st.one_of(*scalars),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    )


CANONICAL = values(st.none(), st.booleans(), INTEGERS, TEXT)
LAX = values(st.none(), st.booleans(), st.integers(), TEXT, st.floats(allow_nan=False, allow_infinity=False))
CANONICAL_OBJECTS = st.dictionaries(TEXT, CANONICAL, max_size=5)
LAX_OBJECTS = st.dictionaries(TEXT, LAX, max_size=5)
