"""The Docker engine, as far as it goes without a Docker daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from palpo_complement.docker import collect, images
from palpo_complement.docker.client import DockerFailed
from palpo_complement.engines import serving
from palpo_complement.options import RunOptions

from tests.complement_runner.test_docker_api import Docker, docker
from tests.support.process import free_port

__all__ = ["docker"]


async def test_the_log_of_a_container_is_kept(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
    (tmp_path / "kept").mkdir()
    await asyncio.to_thread(collect.main, container, tmp_path / "kept")
    (log,) = (tmp_path / "kept").iterdir()
    assert (log.name, log.read_text()) == (f"{container}.log", "start 1 of hs1\n")


async def test_no_daemon_is_said_in_dockers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(DockerFailed, match=r"^Docker: "):
        await images.built()


async def test_no_image_has_mysql_inside() -> None:
    with pytest.raises(DockerFailed, match="--engine process"):
        await images.built(database="mysql")


async def test_only_palpos_image_is_built() -> None:
    with pytest.raises(DockerFailed, match="--image"):
        async with serving(RunOptions(engine="docker", recipe="synapse")):
            pass
