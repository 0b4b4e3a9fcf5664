"""Room state as an immutable, content-addressed trie: ``(type, state_key)`` → event ID.

A state is named by a 16-byte *root*, the hash of a node. Nodes never change, so they may be cached
anywhere, and two states are equal exactly if their roots are: the form is canonical, whatever the
order of the changes that led there. A change writes the nodes on its path and no others.

The path of a key is its 64-bit hash, four bits a level. A subtree with at most ``LEAF_CAPACITY``
entries is one leaf, a larger one is a branch. Leaves keep full keys, so keys whose hashes collide
meet in one leaf below the last level, which alone may grow past the capacity.

Nodes live in storage, and this module does no I/O: each operation is a generator that yields the
hashes of the nodes it needs next, as a tuple, and is sent a mapping that has at least those, encoded
(``palpo.core.driving``). One that has much to do asks for AT_ONCE nodes at a time, or for none, so that
whoever answers may let others have their turn. Values travel as encoded bytes because reading a branch in
place is as fast as reading a decoded one.

    leaf     msgpack array of strings: type, state_key, event ID, and so on, sorted by key
    branch   0x01, bitmap of children (2 bytes), entries below (4 bytes), 16 bytes for each child
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

import msgspec

from palpo.core.events import StateKey

HASH_SIZE = 16
LEAF_CAPACITY = 16
PIECE = 1000
"""Entries of a large state that are worked on in one go."""
AT_ONCE = 250
"""Nodes that are asked for together."""
EMPTY_ROOT = bytes(HASH_SIZE)
"""The state with nothing in it; no node is stored for it."""

_DEPTH = 16
_HEADER = Struct(">BHI")
_HEADER_SIZE = _HEADER.size
_BRANCH = 1
_BARE = _HEADER.pack(_BRANCH, 0, 0)
_U32 = Struct(">I")

_T = TypeVar("_T")
Reading = Generator[tuple[bytes, ...], Mapping[bytes, bytes], _T]
"""An operation: yields the hashes it needs, is sent encoded nodes, and returns its result."""

_Change = tuple[int, StateKey, str | None]
_Changes = list[_Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A state made from another, and what to store so that it can be read."""

    root: bytes
    new_nodes: dict[bytes, bytes]
    """Hash → encoded node; may hold nodes that storage has already."""


def get(root: bytes, key: StateKey) -> Reading[str | None]:
    """The event ID at ``key``, or None."""
    if root == EMPTY_ROOT:
        return None
    path = _key_hash(key)
    found = yield (root,)
    node = found[root]
    depth = 0
    while node[0] == _BRANCH:
        child = _child(node, _slot(path, depth))
        if child is None:
            return None
        found = yield (child,)
        node = found[child]
        depth += 1
    return _entries(node).get(key)


def get_many(root: bytes, keys: Iterable[StateKey]) -> Reading[dict[StateKey, str]]:
    """The event IDs at those of ``keys`` that are set; one request a level."""
    wanted = yield from _hashed((key, None) for key in keys)
    result: dict[StateKey, str] = {}
    for number, (node, here) in enumerate((yield from _load_paths(root, wanted))[1], 1):
        if number % AT_ONCE == 0:
            yield ()
        entries = _entries(node)
        result.update((key, entries[key]) for _, key, _ in here if key in entries)
    return result


def items(root: bytes, type: str | None = None) -> Reading[dict[StateKey, str]]:
    """The whole state, or its entries of one event type; reads every node."""
    entries = yield from _collect(() if root == EMPTY_ROOT else (root,))
    if type is None:
        return entries
    return {key: event_id for key, event_id in entries.items() if key[0] == type}


def parts(root: bytes, most: int) -> Reading[list[bytes]]:
    """The roots of parts of the state, with up to ``most`` entries each, that together are all of it."""
    found_parts: list[bytes] = []
    level: tuple[bytes, ...] = () if root == EMPTY_ROOT else (root,)
    while level:
        found = yield from _nodes(level)
        deeper: list[bytes] = []
        for name in level:
            node = found[name]
            if node[0] == _BRANCH and _size(node) > most:
                deeper += child_hashes(node)
            else:
                found_parts.append(name)
        level = tuple(deeper)
    return found_parts


def count(root: bytes) -> Reading[int]:
    """How many keys are set; reads one node."""
    if root == EMPTY_ROOT:
        return 0
    return _size((yield (root,))[root])


def diff(before: bytes, after: bytes) -> Reading[dict[StateKey, tuple[str | None, str | None]]]:
    """Each key whose value differs, with both values; reads only nodes on which the two differ."""
    old: dict[StateKey, str] = {}
    new: dict[StateKey, str] = {}
    pairs = [(before, after)] if before != after else []
    while pairs:
        deeper: list[tuple[bytes, bytes]] = []
        for some in _cut(pairs, AT_ONCE // 2):
            found = yield tuple({node for pair in some for node in pair if node != EMPTY_ROOT})
            for one, other in some:
                deeper += _differing_children(_open(found, one, old), _open(found, other, new))
        pairs = deeper
    result: dict[StateKey, tuple[str | None, str | None]] = {}
    for number, key in enumerate(old.keys() | new.keys(), 1):
        if number % PIECE == 0:
            yield ()
        if old.get(key) != new.get(key):
            result[key] = old.get(key), new.get(key)
    return result


def fresh(before: bytes, after: bytes) -> Reading[list[bytes]]:
    """The nodes of ``after`` that ``before`` has not in the same place; reads only where the two differ."""
    added: list[bytes] = []
    pairs = [(before, after)] if before != after else []
    while pairs:
        deeper: list[tuple[bytes, bytes]] = []
        for some in _cut(pairs, AT_ONCE // 2):
            found = yield tuple({node for pair in some for node in pair if node != EMPTY_ROOT})
            for one, other in some:
                if other != EMPTY_ROOT:
                    added.append(other)
                    deeper += _differing_children(_branch(found, one), _branch(found, other))
        pairs = deeper
    return added


def update(root: bytes, changes: Mapping[StateKey, str | None]) -> Reading[Update]:
    """The state with ``changes`` made to it; None as the value unsets a key."""
    pending = yield from _hashed(changes.items())
    found, _ = yield from _load_paths(root, pending)
    written: dict[bytes, bytes] = {}
    before = found.get(root)
    after = yield from _apply(before, 0, pending, found, written)
    if after is before:
        return Update(root=root, new_nodes={})
    return Update(root=EMPTY_ROOT if after is None else _write(after, written), new_nodes=written)


def build(entries: Mapping[StateKey, str]) -> Update:
    """A state from scratch."""
    if not entries:
        return Update(root=EMPTY_ROOT, new_nodes={})
    written: dict[bytes, bytes] = {}
    node = _make([(_key_hash(key), key, value) for key, value in entries.items()], 0, written)
    return Update(root=_write(node, written), new_nodes=written)


def building(entries: Sequence[tuple[StateKey, str]]) -> Generator[None, None, Update]:
    """As ``build``, for a large state: yields after every few milliseconds of work."""
    if len(entries) <= PIECE:
        return build(dict(entries))
    groups: dict[int, _Changes] = {}
    for number, (key, value) in enumerate(entries):
        path = _key_hash(key)
        groups.setdefault(_slot(path, 0), []).append((path, key, value))
        if number % PIECE == PIECE - 1:
            yield
    written: dict[bytes, bytes] = {}
    children: dict[int, bytes | None] = {}
    for slot, below in groups.items():
        children[slot] = yield from _making(below, 1, written)
    root = _write(_replace_children(_BARE, children, len(entries), written), written)
    return Update(root=root, new_nodes=written)


def child_hashes(node: bytes) -> tuple[bytes, ...]:
    """The nodes right below an encoded node, for a sweep over what is still reachable."""
    if node[0] != _BRANCH:
        return ()
    return tuple(node[at : at + HASH_SIZE] for at in range(_HEADER_SIZE, len(node), HASH_SIZE))


def node_hash(node: bytes) -> bytes:
    """The name of an encoded node."""
    return blake2b(node, digest_size=HASH_SIZE).digest()


def _key_hash(key: StateKey) -> int:
    """64 bits of path; the length in front keeps ("a", "b") and ("ab", "") apart."""
    type_ = key[0].encode()
    digest = blake2b(_U32.pack(len(type_)) + type_ + key[1].encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _slot(path: int, depth: int) -> int:
    return path >> (60 - 4 * depth) & 15


def _bitmap(branch: bytes) -> int:
    return branch[1] << 8 | branch[2]


def _child(branch: bytes, slot: int) -> bytes | None:
    bitmap = _bitmap(branch)
    if not bitmap >> slot & 1:
        return None
    at = _HEADER_SIZE + HASH_SIZE * (bitmap & (1 << slot) - 1).bit_count()
    return branch[at : at + HASH_SIZE]


def _differing_children(left: bytes, right: bytes) -> list[tuple[bytes, bytes]]:
    """The children of two branches, paired by slot, where they are not the same."""
    if _bitmap(left) == _bitmap(right):
        pairs = zip(child_hashes(left), child_hashes(right), strict=True)
    else:
        slots = range(16)
        pairs = zip(
            [_child(left, slot) or EMPTY_ROOT for slot in slots],
            [_child(right, slot) or EMPTY_ROOT for slot in slots],
            strict=True,
        )
    return [pair for pair in pairs if pair[0] != pair[1]]


_encode_strings = msgspec.msgpack.Encoder().encode
_decode_strings: Callable[[bytes], list[str]] = msgspec.msgpack.Decoder(list[str]).decode


def _leaf(entries: Mapping[StateKey, str]) -> bytes:
    flat: list[str] = []
    for key in sorted(entries):
        flat += (key[0], key[1], entries[key])
    return _encode_strings(flat)


def _entries(leaf: bytes) -> dict[StateKey, str]:
    flat = iter(_decode_strings(leaf))
    return {(type_, state_key): event_id for type_, state_key, event_id in zip(flat, flat, flat, strict=True)}


def _size(node: bytes | None) -> int:
    """How many entries are in or below ``node``."""
    if node is None:
        return 0
    if node[0] == _BRANCH:
        return int.from_bytes(node[3:_HEADER_SIZE], "big")
    return len(_decode_strings(node)) // 3


def _write(node: bytes, written: dict[bytes, bytes]) -> bytes:
    name = node_hash(node)
    written[name] = node
    return name


def _open(found: Mapping[bytes, bytes], name: bytes, entries: dict[StateKey, str]) -> bytes:
    """The branch of that name; a leaf's entries are added to ``entries``, and it is a bare branch."""
    if name != EMPTY_ROOT:
        node = found[name]
        if node[0] == _BRANCH:
            return node
        entries.update(_entries(node))
    return _BARE


def _branch(found: Mapping[bytes, bytes], name: bytes) -> bytes:
    """The branch of that name; a bare one for a leaf, and for nothing."""
    node = _BARE if name == EMPTY_ROOT else found[name]
    return node if node[0] == _BRANCH else _BARE


def _collect(names: Iterable[bytes]) -> Reading[dict[StateKey, str]]:
    """Every entry in or below the nodes ``names``."""
    result: dict[StateKey, str] = {}
    level = tuple(names)
    while level:
        deeper: list[bytes] = []
        for some in _cut(level, AT_ONCE):
            found = yield tuple(some)
            for name in some:
                node = found[name]
                if node[0] == _BRANCH:
                    deeper += child_hashes(node)
                else:
                    result.update(_entries(node))
        level = tuple(deeper)
    return result


def _cut(items: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    """The items, as many at a time: all of them at once where they are few."""
    if len(items) <= most:
        yield items
        return
    for at in range(0, len(items), most):
        yield items[at : at + most]


def _nodes(names: tuple[bytes, ...]) -> Reading[Mapping[bytes, bytes]]:
    """The nodes of these names."""
    if len(names) <= AT_ONCE:
        return (yield names)
    found: dict[bytes, bytes] = {}
    for some in _cut(names, AT_ONCE):
        loaded = yield tuple(some)
        found.update((name, loaded[name]) for name in some)
    return found


def _hashed(changes: Iterable[tuple[StateKey, str | None]]) -> Reading[_Changes]:
    """Changes with the paths of their keys."""
    hashed: _Changes = []
    for number, (key, value) in enumerate(changes, 1):
        hashed.append((_key_hash(key), key, value))
        if number % PIECE == 0:
            yield ()
    return hashed


def _by_slot(changes: _Changes, depth: int) -> dict[int, _Changes]:
    groups: dict[int, _Changes] = {}
    for change in changes:
        groups.setdefault(_slot(change[0], depth), []).append(change)
    return groups


def _load_paths(
    root: bytes, changes: _Changes
) -> Reading[tuple[dict[bytes, bytes], list[tuple[bytes, _Changes]]]]:
    """Every node on the paths of ``changes``, and the leaves among them with the keys that end there."""
    loaded: dict[bytes, bytes] = {}
    leaves: list[tuple[bytes, _Changes]] = []
    level = [(root, changes)] if changes and root != EMPTY_ROOT else []
    depth = 0
    while level:
        names = tuple(name for name, _ in level)
        found = (yield names) if len(names) <= AT_ONCE else (yield from _nodes(names))
        deeper: list[tuple[bytes, _Changes]] = []
        for name, here in level:
            node = loaded[name] = found[name]
            if node[0] != _BRANCH:
                leaves.append((node, here))
                continue
            for slot, below in _by_slot(here, depth).items():
                child = _child(node, slot)
                if child is not None:
                    deeper.append((child, below))
        level = deeper
        depth += 1
    return loaded, leaves


def _apply(
    node: bytes | None,
    depth: int,
    changes: _Changes,
    found: Mapping[bytes, bytes],
    written: dict[bytes, bytes],
) -> Reading[bytes | None]:
    """``node`` with ``changes`` made; the same object if they change nothing, None if nothing is left."""
    if node is not None and node[0] == _BRANCH:
        return (yield from _apply_to_branch(node, depth, changes, found, written))
    before = {} if node is None else _entries(node)
    after = dict(before)
    for _, key, value in changes:
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    if after == before:
        return node
    if not after:
        return None
    if len(after) <= LEAF_CAPACITY or depth == _DEPTH:
        return _leaf(after)
    return _make([(_key_hash(key), key, value) for key, value in after.items()], depth, written)


def _apply_to_branch(
    node: bytes, depth: int, changes: _Changes, found: Mapping[bytes, bytes], written: dict[bytes, bytes]
) -> Reading[bytes | None]:
    size = _size(node)
    fresh: dict[int, bytes | None] = {}
    for slot, below in _by_slot(changes, depth).items():
        name = _child(node, slot)
        before = None if name is None else found[name]
        after = yield from _apply(before, depth + 1, below, found, written)
        if len(changes) > PIECE:
            yield ()
        if after is not before:
            fresh[slot] = after
            size += _size(after) - _size(before)
    if not fresh:
        return node
    if size <= LEAF_CAPACITY:
        return (yield from _merge(node, fresh))
    return _replace_children(node, fresh, size, written)


def _replace_children(
    node: bytes, fresh: Mapping[int, bytes | None], size: int, written: dict[bytes, bytes]
) -> bytes:
    """The branch with other children at the slots in ``fresh``; writes those children."""
    bitmap = _bitmap(node)
    hashes = node[_HEADER_SIZE:]
    for slot, child in fresh.items():
        bit = 1 << slot
        at = HASH_SIZE * (bitmap & bit - 1).bit_count()
        rest = hashes[at + HASH_SIZE :] if bitmap & bit else hashes[at:]
        if child is None:
            bitmap &= ~bit
            hashes = hashes[:at] + rest
        else:
            bitmap |= bit
            hashes = hashes[:at] + _write(child, written) + rest
    return _HEADER.pack(_BRANCH, bitmap, size) + hashes


def _merge(node: bytes, fresh: Mapping[int, bytes | None]) -> Reading[bytes | None]:
    """One leaf for what a branch too small to stay one has left; its children are leaves, then."""
    kept = (_child(node, slot) for slot in range(16) if slot not in fresh)
    entries = yield from _collect(name for name in kept if name is not None)
    for leaf in fresh.values():
        if leaf is not None:
            entries.update(_entries(leaf))
    return _leaf(entries) if entries else None


def _make(entries: _Changes, depth: int, written: dict[bytes, bytes]) -> bytes:
    """The canonical node for ``entries``; writes those below it, not the node itself."""
    if len(entries) <= LEAF_CAPACITY or depth == _DEPTH:
        return _leaf({key: value for _, key, value in entries if value is not None})
    groups = _by_slot(entries, depth).items()
    children = {slot: _make(below, depth + 1, written) for slot, below in groups}
    return _replace_children(_BARE, children, len(entries), written)


def _making(entries: _Changes, depth: int, written: dict[bytes, bytes]) -> Generator[None, None, bytes]:
    """As ``_make``, in pieces."""
    if len(entries) <= PIECE or depth == _DEPTH:
        yield
        return _make(entries, depth, written)
    children: dict[int, bytes | None] = {}
    for slot, below in _by_slot(entries, depth).items():
        children[slot] = yield from _making(below, depth + 1, written)
    return _replace_children(_BARE, children, len(entries), written)
