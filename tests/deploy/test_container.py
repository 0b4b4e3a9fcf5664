"""``deploy/Dockerfile`` and ``deploy/compose`` fit each other and the program, and the image runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from palpo.config.loader import load
from tests.support.process import ANSWER_SECONDS, START_SECONDS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose"
BUILD_SECONDS = 900
BASE = "PALPO_TEST_BASE_IMAGE"
"""In the environment, an image that the container is built on: only then it is."""
pytestmark = pytest.mark.one_database

CONFIGURATION = """\
server_name = "example.org"
data = "/var/lib/palpo"
[[listeners]]
bind = "0.0.0.0:8008"
"""


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    return found


def test_the_configuration_is_that_of_the_containers(services: dict[str, Any]) -> None:
    variables = services["palpo"]["environment"]
    url = re.sub(r"\$\{.*?\}", "secret", variables["PALPO_CONFIG_DATABASE__URL"])
    config = load(COMPOSE / "palpo.toml", environment={"PALPO_CONFIG_DATABASE__URL": url})
    assert config.database_url.endswith("@postgres/palpo")
    assert {"POSTGRES_USER": "palpo", "POSTGRES_DB": "palpo"}.items() <= services["postgres"][
        "environment"
    ].items()
    (listener,) = config.listeners
    port = listener.bind.rpartition(":")[2]
    assert services["caddy"]["environment"] == {"PALPO": f"palpo:{port}"}
    image = DOCKERFILE.read_text()
    assert f"EXPOSE {port}\n" in image
    assert f"http://127.0.0.1:{port}/_palpo/health/live" in image
    networks = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["networks"]
    (network,) = networks["outside"]["ipam"]["config"]
    assert list(config.http.trusted_proxies) == [network["subnet"]]
    assert services["postgres"]["networks"] == ["inside"]
    assert networks["inside"] == {"internal": True}


def test_the_folders_are_those_of_the_image(services: dict[str, Any]) -> None:
    image = DOCKERFILE.read_text()
    config = load(COMPOSE / "palpo.toml")
    volumes = dict(item.split(":")[:2] for item in services["palpo"]["volumes"])
    assert volumes["data"] == str(config.data)
    assert f"VOLUME {config.data}\n" in image
    assert f'"--config", "{volumes["./palpo.toml"]}"' in image
    for service in services.values():
        for item in service.get("volumes", ()):
            source = item.split(":")[0]
            assert not source.startswith(".") or (COMPOSE / source).is_file()
    build = services["palpo"]["build"]
    assert (COMPOSE / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE


def test_what_is_copied_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists()
            assert f"!{name}" in ignored


def docker(*arguments: str, timeout: float = 60) -> str:
    """What docker says."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    base = os.environ.get(BASE)
    if not base:
        pytest.skip(f"not run: {BASE} names no image to build on")
    arguments = ["--build-arg", f"BASE_IMAGE={base}", "--build-arg", "EXTRAS=postgresql"]
    built = docker("build", "-q", *arguments, "-f", str(DOCKERFILE), ".", timeout=BUILD_SECONDS)
    yield built
    docker("rmi", "--force", built)


def test_it_runs_without_privileges(image: str, tmp_path: Path) -> None:
    file = tmp_path / "palpo.toml"
    file.write_text(CONFIGURATION)
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    shut_in = [
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges:true",
    ]
    mount = f"{file}:/etc/palpo/palpo.toml:ro"
    container = docker("run", "--detach", *shut_in, "-v", mount, "-p", "127.0.0.1::8008", image)
    try:
        port = docker("port", container, "8008/tcp").splitlines()[0].rpartition(":")[2]
        wait_for(f"http://127.0.0.1:{port}/_matrix/client/versions")
        assert docker("exec", container, "id", "-un") == "palpo"
        (check,) = json.loads(docker("inspect", "--format", "[{{json .Config.Healthcheck.Test}}]", container))
        docker("exec", container, *check[1:])
        docker("exec", container, "palpo", "user", "list", "--config", "/etc/palpo/palpo.toml")
        docker("stop", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    finally:
        docker("rm", "--force", "--volumes", container)


def wait_for(url: str) -> None:
    """Until it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=ANSWER_SECONDS).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")
