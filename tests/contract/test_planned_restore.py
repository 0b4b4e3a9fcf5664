"""A backup that is put back at a start, as an administrator has planned it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from palpo.cli.failures import Failure
from palpo.cli.restoring import carry_out_plan
from palpo.core.errors import InvalidParam, NotFound
from palpo.db.engine import Database
from palpo.services.administration.backups import restoring
from palpo.services.administration.backups.contents import MANIFEST, whole
from palpo.services.administration.backups.planned import PLAN, Plan, plan, planned, restored
from tests.contract.test_backup import Place
from tests.support.homeserver import config, homeserver


@pytest.fixture
def place(database_url: str, database: Database, tmp_path: Path) -> Place:
    """A new server's."""
    (tmp_path / "data").mkdir()
    return Place(database_url, tmp_path)


async def users(place: Place) -> list[str]:
    async with homeserver(place.data, database={"url": place.url}) as server:
        _, found = await server.services.administration.user_lists.page()
        return [item.user.user_id for item in found]


async def start(place: Place) -> None:
    await asyncio.to_thread(carry_out_plan, place.config())


async def two_states(place: Place) -> tuple[Plan, list[str], list[str]]:
    """A plan to put a backup back, who was there when it was made, and who is there now."""
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
    backup, before = await place.backup(), await users(place)
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("bob")
    return Plan(folder=str(backup), requested_by="@alice:test.example"), before, await users(place)


async def test_what_is_planned_is_done_once_and_what_it_replaces_is_kept(place: Place) -> None:
    wanted, before, now = await two_states(place)
    plan(place.data, wanted)

    await start(place)
    await start(place)

    assert await users(place) == before != now
    outcome = restored(place.data)
    assert outcome is not None
    assert (outcome.error, outcome.rows > 0, planned(place.data)) == ("", True, None)
    assert [str(folder) for folder in whole(place.backups)] == [wanted.folder, outcome.plan.former]
    async with homeserver(place.data, database={"url": place.url}) as server:
        (entry,) = await server.services.server.audit_log.newest()
        assert (entry.action, entry.actor, entry.via) == ("restore", "@alice:test.example", "web")

    plan(place.data, Plan(folder=outcome.plan.former, requested_by="@alice:test.example", log_out=True))
    await start(place)
    assert await users(place) == now


@pytest.mark.one_database
async def test_a_backup_that_is_of_no_use_is_not_put_back(place: Place) -> None:
    wanted, _, now = await two_states(place)
    shutil.rmtree(Path(wanted.folder) / "database")
    plan(place.data, wanted)

    await start(place)

    assert await users(place) == now
    outcome = restored(place.data)
    assert outcome is not None
    assert "Nothing was changed" in outcome.error
    assert planned(place.data) is None


async def test_one_that_ended_halfway_is_gone_on_with(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, before, _ = await two_states(place)
    plan(place.data, wanted)
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "unarchive", _no_room)
        with pytest.raises(Failure, match=r"only half put back.*restore --replace"):
            await start(place)
    begun = planned(place.data)
    assert begun is not None
    assert begun.former

    await start(place)

    assert await users(place) == before
    assert len(whole(place.backups)) == 2  # What was there before is not kept a second time.


@pytest.mark.one_database
async def test_what_can_be_planned(place: Place) -> None:
    folder = Path((await two_states(place))[0].folder)
    backup = {"folder": str(place.backups)}
    async with homeserver(place.data, database={"url": place.url}, backup=backup) as server:
        backups = server.services.administration.backups
        for name in ("../data", "", "palpo-none"):
            with pytest.raises(NotFound):
                await backups.plan_restore(name, log_out=False, requested_by="@a:test.example")
        await backups.plan_restore(folder.name, log_out=True, requested_by="@a:test.example")
        assert planned(place.data) == Plan(folder=str(folder), log_out=True, requested_by="@a:test.example")
        assert (place.data / PLAN).stat().st_mode & 0o077 == 0
        backups.give_up_restore()
        with pytest.raises(NotFound):
            backups.give_up_restore()
        manifest = folder / MANIFEST
        manifest.write_text(manifest.read_text().replace(config(place.data).server_name, "other.example"))
        with pytest.raises(InvalidParam, match=r"other\.example's"):
            await backups.plan_restore(folder.name, log_out=False, requested_by="@a:test.example")


def _no_room(*_: object) -> int:
    raise OSError(28, "No space left on device")
