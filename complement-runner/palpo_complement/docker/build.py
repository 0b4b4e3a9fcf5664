"""The Complement image of this project's own homeserver."""

from __future__ import annotations

import shutil
from pathlib import Path

from palpo_complement.go import run

DEFAULT_IMAGE = "localhost/palpo-complement:latest"
LOCAL_BASE = "localhost/palpo-complement-base:latest"


class ImageFailed(RuntimeError):
    """Docker is missing, or the image could not be built; the text is Docker's."""


def source_directory() -> Path | None:
    """The repository this package runs from, or None where it was installed without its source."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "complement-runner" / "Dockerfile").is_file():
            return parent
    return None


async def ensure_image(*, base: str | None = None, tag: str = DEFAULT_IMAGE, database: str = "sqlite") -> str:
    """Build the image from the source at hand; Docker's cache makes a second build quick. Raises ImageFailed.

    `base` replaces the public base image; a local one made by `base-image.sh` is used where it exists.
    """
    source = source_directory()
    if source is None:
        raise ImageFailed(
            "the image is built from the repository: name one with --image, or run from a checkout"
        )
    if database != "sqlite":
        raise ImageFailed("the image runs on SQLite; use --engine process for other databases")
    if shutil.which("docker") is None:
        raise ImageFailed("the docker command is not installed")
    chosen = base or await _local_base()
    arguments = ["--build-arg", f"BASE_IMAGE={chosen}"] if chosen else []
    dockerfile = source / "complement-runner" / "Dockerfile"
    code, output = await run(
        "docker", "build", *arguments, "--network=host", "-t", tag, "-f", str(dockerfile), str(source)
    )
    if code:
        raise ImageFailed(output[-4000:])
    return tag


async def _local_base() -> str | None:
    code, output = await run("docker", "image", "inspect", "--format", "{{.Id}}", LOCAL_BASE)
    return LOCAL_BASE if code == 0 and output.strip() else None
