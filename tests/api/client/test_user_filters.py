"""Filters that are kept on the server."""

from __future__ import annotations

from typing import Any

from tests.support.homeserver import Client


async def kept(client: Client, filter_: dict[str, Any]) -> Any:
    path = f"/user/{client.user_id}/filter"
    filter_id = (await client.post(path, filter_))["filter_id"]
    return await client.get(f"{path}/{filter_id}")


async def test_what_the_spec_does_not_know_is_kept(alice: Client) -> None:
    filter_ = {"event_format": "client", "room": {"timeline": {"limit": 3}}, "org.example": {"a": [1, 2**70]}}
    assert await kept(alice, filter_) == filter_


async def test_nulls_are_left_out(alice: Client) -> None:
    filter_ = {"event_format": None, "room": {"timeline": {"types": None, "limit": 1}, "state": None}}
    assert await kept(alice, filter_) == {"room": {"timeline": {"limit": 1}}}
