"""What PALPO_TEST_DATABASE makes of a homeserver under test."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpo.streams.polling import read_position
from tests.support import databases
from tests.support.homeserver import homeserver
from tests.support.loop_turns import with_turns
from tests.support.yielding import SEED, order


@pytest.mark.parametrize(("kind", "yields"), [("sqlite", False), ("yielding", True)])
async def test_others_have_turns_between_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, yields: bool
) -> None:
    monkeypatch.setenv("PALPO_TEST_DATABASE", kind)

    async def reads() -> None:
        for _ in range(20):
            await server.services.server.db.read(read_position)

    async with homeserver(tmp_path) as server:
        _, turns = await with_turns(reads())
    assert (turns > 20) == yields


def test_a_seed_is_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(seed: str) -> list[float]:
        monkeypatch.setenv(SEED, seed)
        random = order()
        return [random.random() for _ in range(3)]

    assert drawn("one") == drawn("one") != drawn("two")


@pytest.mark.postgresql
async def test_a_database_of_postgresql_is_as_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALPO_TEST_DATABASE", "postgresql")
    for name in ("a", "b"):
        data = tmp_path / name
        data.mkdir()
        async with homeserver(data) as server:
            assert server.services.server.db.dialect == "postgresql"
            assert (await server.register("alice")).user_id == "@alice:test.example"
        async with homeserver(data) as server:
            await server.login("alice")
        databases.give_back()
