"""The state tree against a dict."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palpo.core import state_tree
from palpo.core.driving import drive
from palpo.core.events import StateKey
from palpo.core.state_tree import EMPTY_ROOT, LEAF_CAPACITY, PIECE, Reading

T = TypeVar("T")
KEYS = st.one_of(
    st.tuples(st.sampled_from(["m.room.member", "m.room.topic", ""]), st.integers(0, 60).map(str)),
    st.tuples(st.text(max_size=3), st.text(max_size=3)),
)
STATES = st.dictionaries(KEYS, st.text(min_size=1, max_size=3), max_size=60)
CHANGES = st.dictionaries(KEYS, st.none() | st.sampled_from(["$x", "$y"]), max_size=60)


def read(operation: Reading[T], nodes: Mapping[bytes, bytes]) -> T:
    return drive(operation, lambda names: nodes)


class Store:
    """Nodes in memory, counting what is asked for."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, bytes] = {}
        self.reads = 0

    def build(self, entries: Mapping[StateKey, str]) -> bytes:
        return self.add(state_tree.build(entries))

    def change(self, root: bytes, changes: Mapping[StateKey, str | None]) -> bytes:
        return self.add(read(state_tree.update(root, changes), self))  # type: ignore[arg-type]

    def add(self, update: state_tree.Update) -> bytes:
        for name, node in update.new_nodes.items():
            assert state_tree.node_hash(node) == name
        self.nodes |= update.new_nodes
        return update.root

    def __contains__(self, name: bytes) -> bool:
        return name in self.nodes

    def __getitem__(self, name: bytes) -> bytes:
        self.reads += 1
        return self.nodes[name]


def members(number: int) -> dict[StateKey, str]:
    return {("m.room.member", f"@user{n}:example.org"): f"$event{n}" for n in range(number)}


@pytest.fixture
def colliding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key gets one of two hashes that differ only in the last four bits."""
    monkeypatch.setattr(state_tree, "_key_hash", lambda key: len(key[1]) % 2)


@settings(max_examples=150)
@given(STATES, st.lists(CHANGES, max_size=3))
def test_behaves_as_a_dict_and_is_canonical(entries: dict[StateKey, str], steps: list[dict]) -> None:
    store = Store()
    model: dict[StateKey, str] = dict(entries)
    root = store.build(entries)
    for changes in steps:
        before, earlier = dict(model), root
        root = store.change(root, changes)
        for key, value in changes.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        assert root == store.build(model)
        assert read(state_tree.items(root), store.nodes) == model
        assert read(state_tree.count(root), store.nodes) == len(model)
        expected = {
            key: (before.get(key), model.get(key))
            for key in before.keys() | model.keys()
            if before.get(key) != model.get(key)
        }
        assert read(state_tree.diff(earlier, root), store.nodes) == expected
        assert read(state_tree.get_many(root, changes), store.nodes) == {
            key: model[key] for key in changes if key in model
        }
    for key in [*model, ("absent", "")]:
        assert read(state_tree.get(root, key), store.nodes) == model.get(key)


@settings(max_examples=100)
@given(STATES, STATES)
def test_diff_of_unrelated_states(one: dict[StateKey, str], other: dict[StateKey, str]) -> None:
    store = Store()
    difference = read(state_tree.diff(store.build(one), store.build(other)), store.nodes)
    assert difference == {
        key: (one.get(key), other.get(key))
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    }


@settings(max_examples=50)
@given(st.permutations(sorted(members(40).items())), st.integers(0, 40))
def test_order_of_inserts_and_deletes_does_not_matter(order: list, deleted: int) -> None:
    store = Store()
    root = EMPTY_ROOT
    for key, value in order:
        root = store.change(root, {key: value})
    assert root == store.build(dict(order))
    for key, _ in order[:deleted]:
        root = store.change(root, {key: None})
    assert root == store.build(dict(order[deleted:]))


def test_the_empty_state_needs_no_node() -> None:
    assert state_tree.build({}) == state_tree.Update(root=EMPTY_ROOT, new_nodes={})
    key = ("m.room.topic", "")
    assert read(state_tree.get(EMPTY_ROOT, key), {}) is None
    assert read(state_tree.get_many(EMPTY_ROOT, [key]), {}) == {}
    assert read(state_tree.items(EMPTY_ROOT), {}) == {}
    assert read(state_tree.count(EMPTY_ROOT), {}) == 0
    assert read(state_tree.diff(EMPTY_ROOT, EMPTY_ROOT), {}) == {}
    assert read(state_tree.update(EMPTY_ROOT, {key: None}), {}).root == EMPTY_ROOT
    store = Store()
    assert store.change(store.build({key: "$a"}), {key: None}) == EMPTY_ROOT


def test_a_small_state_is_one_node() -> None:
    update = state_tree.build(members(LEAF_CAPACITY))
    assert list(update.new_nodes) == [update.root]
    assert state_tree.child_hashes(update.new_nodes[update.root]) == ()


def test_what_is_not_set_is_not_found_at_any_depth() -> None:
    for number in (1, 20, 300):
        store = Store()
        root = store.build(members(number))
        for other in range(100):
            key = ("m.room.other", str(other))
            assert read(state_tree.get(root, key), store) is None
            assert read(state_tree.get_many(root, [key]), store) == {}


def test_everything_can_be_unset_at_once() -> None:
    store = Store()
    root = store.build(members(LEAF_CAPACITY + 1))
    assert store.change(root, dict.fromkeys(members(LEAF_CAPACITY + 1))) == EMPTY_ROOT


def test_changes_that_change_nothing_write_nothing() -> None:
    store = Store()
    root = store.build(members(100))
    same = {("m.room.member", "@user5:example.org"): "$event5", ("absent", ""): None}
    assert read(state_tree.update(root, same), store.nodes) == state_tree.Update(root=root, new_nodes={})


def test_items_of_one_type() -> None:
    store = Store()
    root = store.build({**members(50), ("m.room.topic", ""): "$topic"})
    assert read(state_tree.items(root, "m.room.topic"), store.nodes) == {("m.room.topic", ""): "$topic"}


def test_child_hashes_reach_every_node() -> None:
    update = state_tree.build(members(500))
    reached, waiting = set(), [update.root]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += state_tree.child_hashes(update.new_nodes[name])
    assert reached == update.new_nodes.keys()


@pytest.mark.usefixtures("colliding")
def test_keys_with_equal_hashes_are_kept_apart() -> None:
    store = Store()
    entries = {("t", "x" * n): f"${n}" for n in range(4 * LEAF_CAPACITY)}
    root = store.build(entries)
    assert read(state_tree.items(root), store.nodes) == entries
    assert read(state_tree.get(root, ("t", "xx")), store.nodes) == "$2"
    changed = store.change(root, {("t", "xx"): "$new", ("t", "x"): None})
    assert read(state_tree.get_many(changed, [("t", "xx"), ("t", "x")]), store.nodes) == {("t", "xx"): "$new"}
    assert store.change(changed, {("t", "xx"): "$2", ("t", "x"): "$1"}) == root
    small = dict(list(entries.items())[:3])
    assert store.change(root, dict.fromkeys(entries.keys() - small.keys())) == store.build(small)


def test_costs_of_a_large_state_follow_what_changes() -> None:
    store = Store()
    root = store.build(members(20_000))
    key = ("m.room.member", "@user77:example.org")
    update = read(state_tree.update(root, {key: "$changed"}), store.nodes)
    assert len(update.new_nodes) <= 6
    assert sum(map(len, update.new_nodes.values())) < 1500
    changed = store.add(update)
    store.reads = 0
    assert read(state_tree.diff(root, changed), store) == {key: ("$event77", "$changed")}  # type: ignore[arg-type]
    assert store.reads <= 12


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 20 * PIECE])
def test_a_state_that_is_built_in_pieces(size: int) -> None:
    entries = [(("m.room.member", f"@{number}"), f"${number}") for number in range(size)]
    yields = 0

    def counted() -> Generator[None, None, state_tree.Update]:
        nonlocal yields
        work = state_tree.building(entries)
        while True:
            try:
                next(work)
            except StopIteration as done:
                update: state_tree.Update = done.value
                return update
            yields += 1
            yield

    update = drive(counted(), lambda _: None)
    assert update == state_tree.build(dict(entries))
    assert yields >= 2 * (size // PIECE) - 2


def test_a_large_state_is_read_in_small_steps() -> None:
    store = Store()
    root = store.build(members(20_000))
    other = store.change(root, {("m.room.member", f"@user{n}:example.org"): None for n in range(9_000)})
    keys = list(members(9_000))
    operations: list[Reading[object]] = [
        state_tree.items(root),
        state_tree.diff(root, other),
        state_tree.parts(root, 16),
        state_tree.get_many(root, keys),
        state_tree.update(root, dict.fromkeys(keys, "$other")),
    ]
    for operation in operations:
        asked: list[int] = []

        def answer(names: tuple[bytes, ...], asked: list[int] = asked) -> Mapping[bytes, bytes]:
            asked.append(len(names))
            return store.nodes

        drive(operation, answer)
        assert max(asked) <= state_tree.AT_ONCE
        assert len(asked) > 8
