"""``palpo federation check``, between servers of ours."""

import asyncio
from pathlib import Path

import pytest

from palpo.cli.commands.federation import shown
from palpo.cli.main import main
from palpo.net.federation_check import Finding
from tests.support.pairs import Town

ONE, TWO = "hs1.test", "hs2.test"


def settings(town: Town, folder: Path) -> list[str]:
    """A configuration of ``hs1.test`` as a file."""
    hosts = ", ".join(f'"{name}" = "{place}"' for name, place in town.hosts.items())
    file = folder / "palpo.toml"
    file.write_text(
        f'server_name = "{ONE}"\ndata = "{folder / ONE}"\n[network]\nallow = ["127.0.0.0/8"]\n'
        f'[federation]\nca_file = "{town.authority.file}"\nhosts = {{ {hosts} }}\n'
    )
    return ["--config", str(file)]


async def check(town: Town, folder: Path, server: str) -> int:
    return await asyncio.to_thread(main, ["federation", "check", server, *settings(town, folder)])


async def test_a_server_that_answers_and_reaches_us(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town.of(tmp_path, ONE, TWO)
    async with town.homeserver(ONE), town.homeserver(TWO):
        assert await check(town, tmp_path, TWO) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"ok  {TWO} can be reached"
    assert f"    federation.hosts of {TWO}: {town.hosts[TWO].replace(':', ' at port ')}" in lines
    assert "ok        takes our signature" in lines


async def test_a_server_that_answers_and_does_not_reach_us(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town.of(tmp_path, ONE, TWO)
    async with town.homeserver(ONE):
        pass
    async with town.homeserver(TWO):
        assert await check(town, tmp_path, TWO) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"no  {TWO} cannot be reached"
    assert any(line.startswith("no        does not take our signature") for line in lines)


async def test_before_the_first_start_nothing_is_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town.of(tmp_path, ONE, TWO)
    async with town.homeserver(TWO):
        assert await check(town, tmp_path, TWO) == 0
    assert "no signed request" in capsys.readouterr().out
    assert not (tmp_path / ONE).exists()


async def test_a_server_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    town = Town.of(tmp_path, ONE, TWO)
    assert await check(town, tmp_path, TWO) == 1
    assert f"no  {TWO} cannot be reached" in capsys.readouterr().out


def test_what_others_say_does_not_move_the_terminals_cursor() -> None:
    assert shown(Finding("a\x1b[2J\u202e\nb", None, 1)) == "      a?[2J??b"
