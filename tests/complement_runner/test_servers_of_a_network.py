"""Servers in containers of the process engine find each other, and the suite's own, by name and over TLS."""

from __future__ import annotations

import asyncio
import io
import ssl
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from palpo_complement import certificates
from palpo_complement.process.databases import Databases
from palpo_complement.process.engine import Creation, Engine, Settings
from palpo_complement.process.launch import launcher_of
from palpo_complement.process.model import Container
from palpo_complement.process.subnets import Slot
from palpo_complement.recipe import load

from palpo.cli.main import main
from tests.complement_runner.test_recipes import authority
from tests.support.federation import peer
from tests.support.key_servers import make_key, signed


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return authority(tmp_path / "ca")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    settings = Settings(state=tmp_path / "state", logs=tmp_path / "logs")
    slot = Slot.acquire()
    engine = Engine(settings, slot, Databases(), {"palpo": launcher_of(load("palpo"))})
    await engine.open()
    engine.create_network("net", {})
    yield engine
    await engine.close()


async def started(engine: Engine, name: str, ca: Path) -> Container:
    """A server as Complement starts it: with the suite's CA in its folder."""
    container = await engine.create_container(
        Creation(
            name=f"deployment.{name}",
            image="palpo",
            labels={},
            env={"SERVER_NAME": name},
            network="net",
            aliases=(name,),
            extra_hosts=("host.docker.internal:host-gateway",),
        )
    )
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in (ca, ca.with_suffix(".key")):
            tar.add(file, f"complement/ca/{file.name}")
    await engine.put_archive(container.id, "/", archive.getvalue())
    await engine.start(container.id)
    return container


async def check(server: str, container: Container) -> int:
    config = str(container.root / "palpo.toml")
    return await asyncio.to_thread(main, ["federation", "check", server, "--config", config])


async def test_they_find_each_other(engine: Engine, ca: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = await started(engine, "hs1", ca), await started(engine, "hs2", ca)
    assert await check("hs2", one) == 0, capsys.readouterr().out
    assert await check("hs1", two) == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert f"ok      {two.address}: answers, as Palpo" in [line.rpartition(" ")[0] for line in lines]
    assert lines.count("ok        takes our signature") == 2
    await engine.stop(two.id)
    assert await check("hs2", one) == 1


@pytest.mark.parametrize("host", ["localhost", "host.docker.internal"])
async def test_they_find_the_suites_own_server(
    engine: Engine, ca: Path, tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "own.crt", tmp_path / "own.key"
    certificates.issue(ca, *files, name=host, address="127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*files)
    async with peer(tls) as suite:
        name = f"{host}:{suite.port}"

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/_matrix/key/v2/server":
                return web.json_response(signed(name, [make_key("1")], valid_until_ts=2_000_000_000_000))
            return web.json_response({})

        suite.answer = answer
        assert await check(name, await started(engine, "hs1", ca)) == 0, capsys.readouterr().out
