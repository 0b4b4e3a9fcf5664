"""Every text of the pages is there in every language."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import palpo
from palpo.api.pages.translations import texts
from palpo.wire.pages.languages import ENGLISH, LANGUAGES

PACKAGE = Path(palpo.__file__).parent
TEXT = re.compile(r'\b_m?\(\s*"((?:[^"\\]|\\.)*)"')
MARKUP = re.compile(r"</?\w[^>]*>")


def used() -> set[str]:
    """What templates and modules of pages ask to have translated."""
    found = set()
    for folder in (PACKAGE / "api" / "pages", PACKAGE / "admin"):
        for path in [*folder.rglob("*.html"), *folder.rglob("*.py")]:
            if path.parent.name != "translations":
                found |= {text.replace('\\"', '"') for text in TEXT.findall(path.read_text())}
    return found


def anywhere() -> str:
    """All source text, in which errors of services have theirs."""
    return "".join(path.read_text() for path in PACKAGE.rglob("*.py"))


def names(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != ENGLISH])
def test_no_text_is_missing_and_none_is_left_over(language: str) -> None:
    asked, there = used(), texts(language)
    assert len(asked) > 20
    assert asked - set(there) == set()
    source = anywhere()
    assert {text for text in set(there) - asked if text not in source} == set()
    for text, translation in there.items():
        assert translation.strip(), text
        assert names(text) == names(translation), text
        assert MARKUP.findall(text) == MARKUP.findall(translation), text
