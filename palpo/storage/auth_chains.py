"""The index of auth chains: where state events stand in it, and the links between chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, null, select, union_all

from palpo.core.auth_chains import BLOCK, Block, Link, Placement, Placer, Position, Span
from palpo.core.events import SignedEvent, StateKey
from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.rooms import auth_chain_links, events
from palpo.db.transaction import Row, Transaction, WriteTransaction


class _Cited(NamedTuple):
    """An event of the index that new events refer to."""

    event_id: str
    key: StateKey
    position: Position
    is_last: bool
    """Nothing stands behind it in its chain."""


_next, _links = events.alias("next"), auth_chain_links
_IN_INDEX = (in_list(events.c.event_id, "ids"), events.c.chain.is_not(None))
_CITED = select(
    events.c.event_id,
    events.c.type,
    events.c.state_key,
    events.c.chain,
    events.c.chain_seq,
    _next.c.chain_seq.label("behind"),
    null().label("to_seq"),
)
_LINKS_AT = (
    select(null(), null(), null(), _links.c.from_chain, _links.c.from_seq, _links.c.to_chain, _links.c.to_seq)
    .distinct()
    .join_from(
        _links,
        events,
        and_(
            _links.c.from_chain == events.c.chain,
            _links.c.from_seq >= events.c.chain_seq - events.c.chain_seq % BLOCK,
            _links.c.from_seq <= events.c.chain_seq,
        ),
    )
    .where(*_IN_INDEX)
)
_AROUND = Statement(
    union_all(
        _CITED.outerjoin(
            _next, and_(_next.c.chain == events.c.chain, _next.c.chain_seq == events.c.chain_seq + 1)
        ).where(*_IN_INDEX),
        _LINKS_AT,
    )
)
"""Events of the index with what stands behind each, and, without an event, the links from there."""
_POSITIONS = Statement(select(events.c.event_id, events.c.chain, events.c.chain_seq).where(*_IN_INDEX))
_LINKS = Statement(
    select(_links.c.from_chain, _links.c.from_seq, _links.c.to_chain, _links.c.to_seq).where(
        in_list(_links.c.from_chain, "chains"),
        _links.c.from_seq >= bindparam("first"),
        _links.c.from_seq < bindparam("first") + BLOCK,
    )
)
_WITHIN = Statement(
    select(events.c.event_id).where(
        in_list(events.c.chain, "chains"),
        events.c.chain_seq >= bindparam("first"),
        events.c.chain_seq <= bindparam("last"),
    )
)
_INSERT_LINK = insert_row(auth_chain_links)


async def place(tx: WriteTransaction, new: Sequence[SignedEvent], first_position: int) -> dict[str, Position]:
    """Where the state events among ``new`` are to stand; stores the links from there.

    An event comes after those of its auth events that are new too; of the others, those that are not
    stored are left out. ``first_position`` is the first of the stream positions taken for ``new``, or of as
    many numbers that nobody else has: chains that begin have theirs of these. One statement reads, whatever
    there is to place.
    """
    own = {event.event_id: event for event in new if event.state_key is not None}
    if not own:
        return {}
    outside = list({name for event in own.values() for name in event.auth_events if name not in own})
    rows = await tx.all(_AROUND, ids=outside) if outside else ()
    known = [_cited(row) for row in rows if row[0] is not None]
    links = _by_chain(row[3:] for row in rows if row[0] is None)
    placed = _placed(own, known, links, first_position)
    fresh = [
        {"from_chain": position.chain, "from_seq": from_seq, "to_chain": to_chain, "to_seq": to_seq}
        for position, out in placed.values()
        for from_seq, to_chain, to_seq in out
    ]
    await tx.many(_INSERT_LINK, fresh)
    return {event_id: placement.position for event_id, placement in placed.items()}


async def positions(tx: Transaction, event_ids: Iterable[str]) -> dict[str, Position]:
    """Where those of the events stand that are in the index."""
    rows = await tx.all(_POSITIONS, ids=list(event_ids))
    return {event_id: Position(chain, seq) for event_id, chain, seq in rows}


async def links(tx: Transaction, blocks: Iterable[Block]) -> dict[int, list[Link]]:
    """The links out of blocks, by chain; those at the same height share a statement."""
    chains: dict[int, list[int]] = {}
    for chain, first in blocks:
        chains.setdefault(first, []).append(chain)
    rows: list[Row] = []
    for first, same in chains.items():
        rows += await tx.all(_LINKS, chains=same, first=first)
    return _by_chain(rows)


async def event_ids(tx: Transaction, spans: Iterable[Span]) -> set[str]:
    """The events that spans stand for; spans with the same ends share a statement."""
    chains: dict[tuple[int, int], list[int]] = {}
    for chain, first, last in spans:
        chains.setdefault((first, last), []).append(chain)
    found: set[str] = set()
    for (first, last), same in chains.items():
        found.update(row[0] for row in await tx.all(_WITHIN, chains=same, first=first, last=last))
    return found


def _placed(
    own: Mapping[str, SignedEvent],
    known: Sequence[_Cited],
    links: Mapping[int, Sequence[Link]],
    first_position: int,
) -> dict[str, Placement]:
    keys = {event_id: event.key for event_id, event in own.items()}
    tips: dict[int, int] = {}
    for item in known:
        keys[item.event_id] = item.key
        chain, seq = item.position
        tips[chain] = max(seq if item.is_last else seq + 1, tips.get(chain, 0))
    placer = Placer(
        positions={item.event_id: item.position for item in known},
        tips=tips,
        links=links,
        next_chain=first_position,
    )
    placed = {}
    for event_id, event in own.items():
        replaces = next((name for name in event.auth_events if keys.get(name) == event.key), None)
        placed[event_id] = placer.place(event_id, event.auth_events, replaces=replaces)
    return placed


def _cited(row: Row) -> _Cited:
    event_id, type_, state_key, chain, seq, behind, _ = row
    return _Cited(event_id, (type_, state_key), Position(chain, seq), behind is None)


def _by_chain(rows: Iterable[Sequence[int]]) -> dict[int, list[Link]]:
    found: dict[int, list[Link]] = {}
    for from_chain, from_seq, to_chain, to_seq in rows:
        found.setdefault(from_chain, []).append(Link(from_seq, to_chain, to_seq))
    return found
