"""Fixtures for every test."""

import os
import secrets
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support import collector, databases
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.yielding import SEED

LONG_WAITS = {"interop", "complement_runner", "deploy", "netsplit"}
"""Folders, by name."""

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("palpo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("palpo")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Every test runs on the server's own event loop: transports of asyncio's fail in other ways."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_configure(config: pytest.Config) -> None:
    """One seed for all processes of a run."""
    if databases.kind() == "yielding":
        os.environ.setdefault(SEED, secrets.token_hex(4))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what PALPO_TEST_DATABASE makes no difference to, and what is about another; order the rest.

    First what waits long for other programs: at the end, one worker would wait alone.
    """
    left_out = {"sqlite": (), "postgresql": ("sqlite", "one_database"), "yielding": ("one_database",)}
    marks = left_out[databases.kind()]
    gone = [item for item in items if any(item.get_closest_marker(mark) for mark in marks)]
    config.hook.pytest_deselected(items=gone)
    left = [item for item in items if item not in set(gone)]
    items[:] = sorted(left, key=lambda item: not LONG_WAITS.intersection(item.path.parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """All modules are there."""
    collector.settle()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say how a failure is had again."""
    report = yield
    if report.failed and databases.kind() != "sqlite":
        names = ("PALPO_TEST_DATABASE", SEED)
        how = " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
        report.sections.append(("database", how))
    return report


@pytest.fixture(scope="session", autouse=True)
def _all_databases() -> Iterator[None]:
    yield
    databases.drop()


@pytest.fixture(autouse=True)
def _databases(_all_databases: None) -> Iterator[None]:
    yield
    databases.give_back()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A homeserver with a fake clock, on PALPO_TEST_DATABASE."""
    async with homeserver(tmp_path) as running:
        yield running


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    """A registered user."""
    return await server.register("alice")


@pytest.fixture
async def bob(server: Homeserver) -> Client:
    """Another registered user."""
    return await server.register("bob")
