"""The kinds of topics, and who publishes and hears them; and their form as text."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palpo
from palpo.db.topics import Kind, Topics, disjoint, from_texts, merged, to_texts
from palpo.streams import topics

ROOT = Path(palpo.__file__).parent
KINDS = {name: value for name, value in vars(topics).items() if isinstance(value, Kind)}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        if "topics" in text or "notify" in text:
            yield path.stem, ast.parse(text)


def named(node: ast.expr) -> str | None:
    """``ROOM`` for ``topics.ROOM``, if there is such a kind."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "topics":
        return node.attr if node.attr in KINDS else None
    return None


def publishing(tree: ast.Module) -> list[ast.expr]:
    """What units of work give to ``tx.notify`` as the kind."""
    return [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "notify"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "tx"
    ]


def test_every_kind_has_who_publishes_it_and_who_listens() -> None:
    published: defaultdict[str, set[str]] = defaultdict(set)
    heard: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in modules():
        kinds = publishing(tree)
        for kind in kinds:
            name = named(kind)
            assert name is not None, f"{module} publishes {ast.unparse(kind)}"
            published[name].add(module)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node not in kinds and (name := named(node)) is not None:
                heard[name].add(module)
    found = {KINDS[name]: (published[name], heard[name]) for name in KINDS}
    said = {kind: (set(use.published.split()), set(use.heard.split())) for kind, use in topics.USES.items()}
    assert found == said
    assert all(publishers and listeners for publishers, listeners in said.values())


def test_kinds_are_made_in_one_place() -> None:
    made = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Kind"
    }
    assert made == {"topics"}, "palpo.streams.topics declares them, palpo.db.topics reads them from text"


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_apart_as_text(name: str) -> None:
    assert KINDS[name] == name.lower()
    assert ":" not in KINDS[name]


some_topics = st.dictionaries(
    st.sampled_from(list(KINDS.values())), st.frozensets(st.text(max_size=4), min_size=1), max_size=4
)


@given(some_topics)
def test_text_says_the_same(some: Topics) -> None:
    assert from_texts(to_texts(some)) == some


@given(some_topics, some_topics)
def test_topics_of_two_commits(one: Topics, other: Topics) -> None:
    pairs = [{(kind, key) for kind, keys in some.items() for key in keys} for some in (one, other)]
    together = merged((one, other))
    assert {(kind, key) for kind, keys in together.items() for key in keys} == pairs[0] | pairs[1]
    assert disjoint(one, other) == pairs[0].isdisjoint(pairs[1])
