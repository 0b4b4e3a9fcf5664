"""The tests run on the event loop that the server runs on."""

from __future__ import annotations

import asyncio

import pytest
import uvloop


async def test_tests_run_on_the_servers_event_loop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


@pytest.fixture
async def loop_of_a_fixture() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_so_do_their_fixtures(loop_of_a_fixture: asyncio.AbstractEventLoop) -> None:
    assert loop_of_a_fixture is asyncio.get_running_loop()
