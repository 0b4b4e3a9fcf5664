"""Finding users (spec: client-server API, "User Directory")."""

from __future__ import annotations

from palpo.wire.endpoint import Body, Endpoint, Limit, NoParams, Response, client


class Search(Body, frozen=True):
    """Whom to look for."""

    search_term: str
    limit: int | None = None


class User(Response, frozen=True):
    """A user who was found."""

    user_id: str
    display_name: str | None = None
    avatar_url: str | None = None


class Results(Response, frozen=True):
    """Who was found, the best first, and whether there are more."""

    results: list[User]
    limited: bool


search_user_directory: Endpoint[NoParams, Search, Results] = Endpoint(
    operation_id="searchUserDirectory",
    method="POST",
    paths=client("/user_directory/search"),
    limit=Limit.SEARCH,
    body=Search,
    response=Results,
)
