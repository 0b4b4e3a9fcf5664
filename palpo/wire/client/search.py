"""Searching room events (spec: client-server API, "Server Side Search")."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw

from palpo.wire.endpoint import Body, Endpoint, Limit, Params, Response, client

SearchKey = Literal["content.body", "content.name", "content.topic"]
GroupKey = Literal["room_id", "sender"]


class SearchParams(Params, frozen=True):
    """Which page of the results."""

    next_batch: str | None = None


class EventContext(Body, frozen=True):
    """What to tell of the surroundings of each result."""

    before_limit: int | None = None
    after_limit: int | None = None
    include_profile: bool | None = None


class GroupBy(Body, frozen=True):
    """One way to group the results."""

    key: GroupKey | None = None


class Groupings(Body, frozen=True):
    """How to group the results."""

    group_by: list[GroupBy] | None = None


class RoomEventsCriteria(Body, frozen=True):
    """What to search for in rooms."""

    search_term: str
    keys: list[SearchKey] | None = None
    filter: dict[str, Any] | None = None
    """A RoomEventFilter."""
    order_by: Literal["recent", "rank"] | None = None
    event_context: EventContext | None = None
    include_state: bool | None = None
    groupings: Groupings | None = None


class Categories(Body, frozen=True):
    """What to search in."""

    room_events: RoomEventsCriteria | None = None


class Search(Body, frozen=True):
    """A search."""

    search_categories: Categories


class ResultContext(Response, frozen=True):
    """The surroundings of a result."""

    start: str
    end: str
    events_before: list[Raw]
    """The newest first."""
    events_after: list[Raw]
    profile_info: dict[str, dict[str, Any]] | None = None


class Result(Response, frozen=True):
    """An event that was found."""

    rank: float
    result: Raw
    context: ResultContext | None = None


class Group(Response, frozen=True):
    """The results that have a room, or a sender, in common."""

    order: int
    results: list[str]
    next_batch: str | None = None


class RoomEventsResults(Response, frozen=True):
    """A page of results."""

    count: int
    highlights: list[str]
    results: list[Result]
    state: dict[str, list[Raw]] | None = None
    groups: dict[GroupKey, dict[str, Group]] | None = None
    next_batch: str | None = None


class ResultCategories(Response, frozen=True):
    """The results by category."""

    room_events: RoomEventsResults | None = None


class SearchResults(Response, frozen=True):
    """What was found."""

    search_categories: ResultCategories


search: Endpoint[SearchParams, Search, SearchResults] = Endpoint(
    operation_id="search",
    method="POST",
    paths=client("/search"),
    limit=Limit.SEARCH,
    params=SearchParams,
    body=Search,
    response=SearchResults,
    large_answer=True,
)
