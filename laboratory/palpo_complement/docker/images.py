"""The Complement image of this project's own homeserver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from docker import DockerClient
from docker.errors import BuildError, ImageNotFound

from .client import DockerFailed, connected

IMAGES = {
    "sqlite": "localhost/palpo-complement:latest",
    "postgresql": "localhost/palpo-complement-postgresql:latest",
}
"""By the database that is inside."""
LOCAL_BASE = "localhost/palpo-complement-base:latest"
DOCKERFILE = Path("laboratory", "Dockerfile")
LABEL = "palpo-conformance=image"
"""The Dockerfile's: what was built before is found by it, and removed."""


async def built(*, database: str = "sqlite", say: Callable[[str], None] = print) -> str:
    """Build the image from the source at hand; Docker's cache makes a second build quick.

    `say` gets a line for each step of the build. Raises DockerFailed.
    """
    source = _source()
    if database not in IMAGES:
        raise DockerFailed(f"no image has {database} inside; use --engine process for it")
    return await asyncio.to_thread(_built, source, database, say)


async def identity(image: str) -> str:
    """The ID of an image. Raises DockerFailed where there is none of that name."""
    return await asyncio.to_thread(_identity, image)


def _identity(image: str) -> str:
    with connected() as client:
        found: str = client.images.get(image).id
        return found


def _source() -> Path:
    """The repository that this package runs from."""
    for parent in Path(__file__).resolve().parents:
        if (parent / DOCKERFILE).is_file():
            return parent
    raise DockerFailed(
        "the image is built from the repository: name one with --image, or run from a checkout"
    )


def _built(source: Path, database: str, say: Callable[[str], None]) -> str:
    with connected() as client:
        _build(client, source, database, say)
        # The image that had the name until now, and what builds that failed came to, have none.
        client.images.prune(filters={"dangling": True, "label": LABEL})
    return IMAGES[database]


def _build(client: DockerClient, source: Path, database: str, say: Callable[[str], None]) -> None:
    """One build; raises BuildError with the end of what it printed."""
    printed: list[str] = []
    steps = client.api.build(
        path=str(source),
        dockerfile=str(DOCKERFILE),
        tag=IMAGES[database],
        buildargs={"DATABASE": database, **_base(client)},
        network_mode="host",
        forcerm=True,
        decode=True,
    )
    for step in steps:
        line = str(step.get("stream") or step.get("status") or "").rstrip()
        if line.startswith("Step "):
            say(line)
        printed.append(line)
        if "error" in step:
            raise BuildError("\n".join([*printed[-40:], step["error"]]), iter(()))


def _base(client: DockerClient) -> dict[str, str]:
    """The base that `base-image.sh` has made, where there is one; else the Dockerfile's own."""
    try:
        client.images.get(LOCAL_BASE)
    except ImageNotFound:
        return {}
    return {"BASE_IMAGE": LOCAL_BASE}
