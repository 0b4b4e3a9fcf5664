"""A connection to Docker, whose errors are one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from docker import DockerClient, from_env
from docker.errors import DockerException

from palpo_complement.errors import SetupFailed


class DockerFailed(SetupFailed):
    """Docker cannot be reached, or does not do what it is asked; the text is Docker's."""


@contextmanager
def connected() -> Iterator[DockerClient]:
    """A client of the daemon that the environment names. Raises DockerFailed."""
    try:
        with closing(from_env()) as client:
            yield client
    except (DockerException, OSError) as error:
        raise DockerFailed(f"Docker: {error}") from error
