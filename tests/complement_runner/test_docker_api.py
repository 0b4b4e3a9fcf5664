"""The emulated Docker Engine API over its Unix socket, with a dummy homeserver in the containers."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import signal
import struct
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from palpo_complement.process.databases import Databases
from palpo_complement.process.engine import Engine, Settings
from palpo_complement.process.launch import Launch, LaunchError, launcher_of
from palpo_complement.process.server import docker_socket
from palpo_complement.process.subnets import Slot
from palpo_complement.recipe import Fork, Place, Recipe

LABELS = {"complement_pkg": "csapi", "complement_blueprint": "1_servers", "complement_hs_name": "hs1"}


class Docker:
    """The few calls of Complement, as its SDK words them."""

    def __init__(self, client: httpx.AsyncClient, state: Path) -> None:
        self.client = client
        self.state = state

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.client.request(method, f"/v1.41{path}", **options)

    async def post(self, path: str, body: Any = None) -> Any:
        response = await self.call("POST", path, json=body)
        assert response.status_code in (201, 204), response.text
        return response.json() if response.content else None

    async def get(self, path: str, **filters: list[str]) -> Any:
        query = {"filters": json.dumps({key: dict.fromkeys(items, True) for key, items in filters.items()})}
        response = await self.call("GET", path, params={**query, "all": "1"})
        assert response.status_code == 200, response.text
        return response.json()

    async def create(self, image: str, name: str, server_name: str = "hs1", network: str = "net") -> str:
        body = {
            "Image": image,
            "Env": [f"SERVER_NAME={server_name}"],
            "Labels": {**LABELS, "complement_hs_name": server_name},
            "HostConfig": {"PublishAllPorts": True, "ExtraHosts": ["host.docker.internal:host-gateway"]},
            "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [server_name]}}},
        }
        identifier: str = (await self.post(f"/containers/create?name={name}", body))["Id"]
        return identifier

    async def start(self, container: str) -> dict[str, Any]:
        await self.post(f"/containers/{container}/start")
        details: dict[str, Any] = await self.get(f"/containers/{container}/json")
        return details

    def root(self, container: str) -> Path:
        return self.state / "containers" / container[:12]


def dummy(**arguments: tuple[str, ...]) -> Recipe:
    module = "tests.complement_runner.dummy_homeserver"
    fork = Fork(entry=f"{module}:main", preload=(f"{module}:preload",), **arguments)
    return Recipe(name="dummy", folder=Path(), fork=fork)


def by_script(start: str) -> Recipe:
    return Recipe(name="script", folder=Path(), start=start)


def place(root: Path) -> Place:
    return Place(root=root, name="hs9", address="127.0.0.1", database_url="sqlite://")


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[Docker]:
    launchers = {
        "palpo": launcher_of(dummy(start=("start",), prepare=("prepare",))),
        "broken": launcher_of(dummy(start=("fail",))),
    }
    slot = Slot.acquire()
    settings = Settings(state=tmp_path / "state", logs=tmp_path / "logs", schema_check=True)
    engine = Engine(settings, slot, Databases(), launchers)
    path = tmp_path / "docker.sock"
    async with docker_socket(engine, path) as host:
        assert host == f"unix://{path}"
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=30) as client:
            docker = Docker(client, settings.state)
            await docker.post("/networks/create", {"Name": "net", "Labels": LABELS})
            yield docker
    assert not settings.state.exists()


async def versions(port: str, address: str = "127.0.0.1") -> Any:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{address}:{port}/_matrix/client/versions")).json()


def port_of(details: dict[str, Any], inner: int = 8008) -> str:
    port: str = details["NetworkSettings"]["Ports"][f"{inner}/tcp"][0]["HostPort"]
    return port


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


async def test_ping_negotiates_the_version(docker: Docker) -> None:
    response = await docker.client.head("/_ping")
    assert response.status_code == 200
    assert response.headers["Api-Version"] == "1.41"
    assert response.content == b""


async def test_container_answers_at_its_address_and_at_its_published_ports(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    details = await docker.start(container)
    assert details["State"]["Running"] is True
    address = details["NetworkSettings"]["Networks"]["net"]["IPAddress"]
    assert address.startswith("127.10")
    for host, port in (
        ("127.0.0.1", port_of(details)),
        ("127.0.0.1", port_of(details, 8448)),
        (address, "8008"),
    ):
        assert await versions(port, host) == {"versions": ["v1.1"], "starts": 1}


async def test_preloading_is_done_once_in_the_parent(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    assert (docker.root(container) / "data/preloaded").read_text() == "True"


async def test_archive_is_unpacked_into_the_state_directory(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    url = f"/containers/{container}/archive?path=%2F"
    response = await docker.call("PUT", url, content=archive("/complement/ca/ca.crt", b"CERT"))
    assert response.status_code == 200
    assert (docker.root(container) / "complement/ca/ca.crt").read_bytes() == b"CERT"


async def test_archive_cannot_leave_the_state_directory(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    url = f"/containers/{container}/archive?path=%2F"
    response = await docker.call("PUT", url, content=archive("../escaped", b"x"))
    assert response.status_code == 400
    assert not (docker.root(container).parent / "escaped").exists()


async def test_commit_keeps_state_and_labels(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    await docker.post(f"/containers/{container}/stop?t=10")
    assert (docker.root(container) / "data/stopped").read_text() == "clean"
    changes = [
        r'LABEL "access_token_@a:hs1"="tok"',
        'LABEL "application_service_as"="id: as\\nurl: \'x\'\\n"',
    ]
    query = urlencode(
        {"container": container, "repo": "localhost/complement", "tag": "t", "changes": changes}, True
    )
    image = (await docker.post(f"/commit?{query}", {}))["Id"]
    (listed,) = await docker.get(
        "/images/json", label=["complement_blueprint=1_servers", "complement_pkg=csapi"]
    )
    assert listed["Id"] == image
    assert listed["RepoTags"] == ["localhost/complement:t"]
    assert listed["Labels"]["access_token_@a:hs1"] == "tok"
    assert listed["Labels"]["application_service_as"] == "id: as\\nurl: 'x'\\n"
    assert listed["Labels"]["complement_hs_name"] == "hs1"
    second = await docker.create(image, "c2")
    details = await docker.start(second)
    assert details["Config"]["Labels"]["access_token_@a:hs1"] == "tok"
    assert (await versions(port_of(details)))["starts"] == 2
    response = await docker.call("DELETE", f"/images/{quote(image)}?force=1")
    assert {"Deleted": image} in response.json()
    assert await docker.get("/images/json", label=["complement_pkg=csapi"]) == []


async def test_stopped_container_starts_again_on_its_own_files(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    await docker.post(f"/containers/{container}/stop?t=10")
    stopped = await docker.get(f"/containers/{container}/json")
    assert stopped["State"] | {"StartedAt": "", "FinishedAt": ""} == {
        "Status": "exited",
        "Running": False,
        "Paused": False,
        "Pid": 0,
        "ExitCode": 0,
        "StartedAt": "",
        "FinishedAt": "",
    }
    details = await docker.start(container)
    assert (await versions(port_of(details)))["starts"] == 2


async def test_kill_ends_a_server_at_once(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    await docker.post(f"/containers/{container}/kill?signal=KILL")
    details = await docker.get(f"/containers/{container}/json")
    assert (details["State"]["Status"], details["State"]["ExitCode"]) == ("exited", -signal.SIGKILL)
    again = await docker.call("POST", f"/containers/{container}/kill?signal=KILL")
    assert again.status_code == 409


async def test_paused_server_keeps_its_memory(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    port = port_of(await docker.start(container))
    await docker.post(f"/containers/{container}/pause")
    assert (await docker.get(f"/containers/{container}/json"))["State"]["Paused"] is True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(versions(port), 0.3)
    await docker.post(f"/containers/{container}/unpause")
    assert (await versions(port))["starts"] == 1


async def test_paused_server_can_be_stopped(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    await docker.post(f"/containers/{container}/pause")
    await docker.post(f"/containers/{container}/stop?t=5")
    assert (docker.root(container) / "data/stopped").exists()


async def test_server_that_dies_at_start_is_an_error_with_its_log(docker: Docker) -> None:
    container = await docker.create("broken", "c1")
    response = await docker.call("POST", f"/containers/{container}/start")
    assert response.status_code == 500
    assert "ended with code 3" in response.json()["message"]
    assert "cannot go on: no configuration" in response.json()["message"]


async def test_logs_are_multiplexed_frames(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    data = (await docker.call("GET", f"/containers/{container}/logs?stdout=1&stderr=1")).content
    stream, length = struct.unpack(">BxxxL", data[:8])
    assert (stream, data[8:]) == (1, b"start 1 of hs1\n")
    assert length == len(data) - 8


async def test_hosts_file_follows_the_deployment(docker: Docker) -> None:
    first = await docker.create("palpo", "c1", "hs1")
    second = await docker.create("palpo", "c2", "hs2")
    addresses = {
        name: (await docker.start(container))["NetworkSettings"]["Networks"]["net"]["IPAddress"]
        for name, container in (("hs1", first), ("hs2", second))
    }
    (path,) = docker.state.glob("networks/*/hosts")
    inode = path.stat().st_ino
    lines = path.read_text().split("\n")
    assert {f"{addresses['hs1']} hs1", f"{addresses['hs2']} hs2"} <= set(lines)
    assert "127.0.0.1 host.docker.internal" in lines
    await docker.post(f"/containers/{second}/stop?t=5")
    assert not any(line.endswith(" hs2") for line in path.read_text().split("\n"))
    assert path.stat().st_ino == inode


async def test_removal_leaves_the_log_and_frees_the_name(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    refused = await docker.call("DELETE", f"/containers/{container}")
    assert refused.status_code == 409
    removed = await docker.call("DELETE", f"/containers/{container}?force=1")
    assert removed.status_code == 204
    assert not docker.root(container).exists()
    assert await docker.get("/containers/json", label=["complement_pkg=csapi"]) == []
    gone = await docker.call("GET", f"/containers/{container}/json")
    assert (gone.status_code, gone.json()) == (404, {"message": f"No such container: {container}"})
    await docker.create("palpo", "c1")


async def test_names_are_taken_once(docker: Docker) -> None:
    await docker.create("palpo", "c1")
    with pytest.raises(AssertionError, match="already in use"):
        await docker.create("palpo", "c1")
    with pytest.raises(AssertionError, match="already exists"):
        await docker.post("/networks/create", {"Name": "net"})


async def test_network_is_removed_only_when_nobody_runs_in_it(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    await docker.start(container)
    (network,) = await docker.get("/networks", label=["complement_pkg=csapi"])
    assert (await docker.call("DELETE", f"/networks/{network['Id']}")).status_code == 403
    await docker.post(f"/containers/{container}/stop?t=5")
    assert (await docker.call("DELETE", f"/networks/{network['Id']}")).status_code == 204
    assert await docker.get("/networks", label=["complement_pkg=csapi"]) == []


async def test_label_filters_match_keys_and_values(docker: Docker) -> None:
    await docker.create("palpo", "c1")
    assert len(await docker.get("/containers/json", label=["complement_pkg"])) == 1
    assert len(await docker.get("/containers/json", label=["complement_pkg", "complement_hs_name=hs1"])) == 1
    assert await docker.get("/containers/json", label=["complement_hs_name=hs2"]) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/containers/none/json", 404),
        ("POST", "/containers/create?name=x", 400),
        ("GET", "/images/json?filters=%5B1%5D", 400),
        ("GET", "/swarm", 404),
        ("DELETE", "/images/palpo", 409),
        ("POST", "/commit?container=none", 404),
    ],
)
async def test_bad_calls_get_dockers_error_shape(docker: Docker, method: str, path: str, status: int) -> None:
    response = await docker.call(method, path)
    assert response.status_code == status
    assert set(response.json()) == {"message"}


async def test_a_failure_of_the_machine_is_a_500_with_its_words(docker: Docker) -> None:
    container = await docker.create("palpo", "c1")
    shutil.rmtree(docker.root(container))
    response = await docker.call("POST", f"/commit?container={container}&repo=r&tag=t")
    assert response.status_code == 500
    assert response.json()["message"].startswith("FileNotFoundError: ")


async def test_zygote_reports_a_failed_import() -> None:
    recipe = Recipe(name="none", folder=Path(), fork=Fork(entry="no_such_module:main", start=()))
    launcher = launcher_of(recipe)
    with pytest.raises(LaunchError, match="no_such_module"):
        await launcher.open()
    await launcher.close()


async def test_script_gets_the_place_and_the_environment(tmp_path: Path) -> None:
    launcher = launcher_of(by_script("echo $SERVER_NAME $SERVER_ROOT $EXTRA $(pwd); exit 7"))
    await launcher.open()
    env = {"EXTRA": "more"}
    process = await launcher.spawn(Launch(place=place(tmp_path), log=tmp_path / "log", env=env))
    assert await process.exited == 7
    assert (tmp_path / "log").read_text() == f"hs9 {tmp_path} more {tmp_path}\n"
    await launcher.close()


async def test_script_ends_at_the_first_command_that_fails(tmp_path: Path) -> None:
    launcher = launcher_of(by_script("/no/such/server; echo but on"))
    await launcher.open()
    process = await launcher.spawn(Launch(place=place(tmp_path), log=tmp_path / "log", env={}))
    assert await process.exited == 127
    assert "but on" not in (tmp_path / "log").read_text()
    await launcher.close()
