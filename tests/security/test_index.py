"""All tests that the index names are there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.security.index_of_federation import FEDERATION
from tests.security.index_of_identity import IDENTITY

TESTS = Path(__file__).parent.parent
ALL = {**FEDERATION, **IDENTITY}


@cache
def names(file: str) -> set[str]:
    """The tests in a file."""
    tree = ast.parse((TESTS / file).read_text())
    return {item.name for item in tree.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("what", ALL)
def test_what_is_to_be_withstood_is_tested(what: str) -> None:
    assert ALL[what]
    for test in ALL[what]:
        file, _, name = test.partition("::")
        assert name in names(file), test
