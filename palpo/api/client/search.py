"""Searching room events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec import Raw

from palpo.api.call import Call, Handlers
from palpo.api.client.timeline import rendered
from palpo.core.canonical_json import to_json
from palpo.core.errors import InvalidParam
from palpo.services.history.tokens import timeline_token
from palpo.services.reading.event_filters import parse_room_event_filter
from palpo.services.reading.search import Found, Hit, SearchQuery
from palpo.services.reading.search_context import Around
from palpo.wire.client import search as wire
from palpo.wire.client.filters import RoomEventFilter

DEFAULT_LIMIT, MAX_LIMIT = 10, 50
DEFAULT_CONTEXT, MAX_CONTEXT = 5, 20

Rendered = Mapping[str, Raw]

handlers = Handlers()


@handlers.serves(wire.search)
async def search(call: Call, params: wire.SearchParams, body: wire.Search) -> wire.SearchResults:
    """POST /search."""
    criteria = body.search_categories.room_events
    if criteria is None:
        return wire.SearchResults(search_categories=wire.ResultCategories())
    context = _context(criteria.event_context)
    found = await call.services.reading.search.search(_query(call, criteria, params.next_batch))
    around = await _around(call, found.hits, context) if context is not None else {}
    shown = await _rendered(call, found.hits, around)
    results = []
    for hit in found.hits:
        near = around.get(hit.event.event_id)
        told = None if near is None else await _told(call, hit, near, shown, criteria.event_context)
        results.append(wire.Result(rank=hit.rank, result=shown[hit.event.event_id], context=told))
    room_events = wire.RoomEventsResults(
        count=found.count,
        highlights=found.highlights,
        results=results,
        state=await _states(call, found.hits) if criteria.include_state else None,
        groups=_groups(found) or None,
        next_batch=found.next_batch,
    )
    return wire.SearchResults(search_categories=wire.ResultCategories(room_events=room_events))


def _query(call: Call, criteria: wire.RoomEventsCriteria, next_batch: str | None) -> SearchQuery:
    filter_ = _filter(criteria.filter)
    limit = DEFAULT_LIMIT if filter_ is None or filter_.limit is None else filter_.limit
    groupings = criteria.groupings.group_by if criteria.groupings is not None else None
    return SearchQuery(
        user_id=call.user_id,
        term=criteria.search_term,
        keys=get_args(wire.SearchKey) if criteria.keys is None else criteria.keys,
        limit=min(max(limit, 1), MAX_LIMIT),
        recent=criteria.order_by == "recent",
        group_by=tuple(dict.fromkeys(group.key for group in groupings or () if group.key is not None)),
        filter=filter_,
        next_batch=next_batch,
    )


def _filter(given: dict[str, Any] | None) -> RoomEventFilter | None:
    return None if given is None else parse_room_event_filter(to_json(given))


def _context(asked: wire.EventContext | None) -> tuple[int, int] | None:
    """How many events before and after each result are wanted; raises InvalidParam."""
    if asked is None:
        return None
    limits = [
        DEFAULT_CONTEXT if limit is None else limit for limit in (asked.before_limit, asked.after_limit)
    ]
    if min(limits) < 0:
        raise InvalidParam("A limit of the context is below 0")
    return min(limits[0], MAX_CONTEXT), min(limits[1], MAX_CONTEXT)


async def _around(call: Call, hits: Sequence[Hit], limits: tuple[int, int]) -> dict[str, Around]:
    before, after = limits
    context = call.services.reading.search_context
    return {
        hit.event.event_id: await context.around(hit.event, call.user_id, before=before, after=after)
        for hit in hits
    }


async def _rendered(call: Call, hits: Sequence[Hit], around: Mapping[str, Around]) -> Rendered:
    """Every event of the response, once."""
    every = {hit.event.event_id: hit.event for hit in hits}
    for near in around.values():
        every |= {item.event_id: item for item in [*near.before, *near.after]}
    return dict(zip(every, await rendered(call, list(every.values())), strict=True))


async def _told(
    call: Call, hit: Hit, near: Around, shown: Rendered, asked: wire.EventContext | None
) -> wire.ResultContext:
    profiles = None
    if asked is not None and asked.include_profile:
        profiles = await call.services.reading.search_context.profiles(hit.event, near)
    return wire.ResultContext(
        start=timeline_token(near.start),
        end=timeline_token(near.end),
        events_before=[shown[event.event_id] for event in near.before],
        events_after=[shown[event.event_id] for event in near.after],
        profile_info=profiles,
    )


async def _states(call: Call, hits: Sequence[Hit]) -> dict[str, list[Raw]]:
    rooms = [hit.event.event.room_id for hit in hits]
    states = await call.services.reading.search_context.states(rooms, call.user_id)
    return {room_id: await rendered(call, state) for room_id, state in states.items()}


def _groups(found: Found) -> dict[wire.GroupKey, dict[str, wire.Group]]:
    return {
        key: {
            value: wire.Group(order=group.order, results=group.event_ids, next_batch=group.next_batch)
            for value, group in groups.items()
        }
        for key, groups in found.groups.items()
    }
