"""What Complement makes in Docker and does not remove when it is ended early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from docker import DockerClient
from docker.errors import APIError

from .client import connected

LABELLED = {"label": "complement_pkg"}
"""Complement gives this label to its containers, networks and images."""


@asynccontextmanager
async def removed() -> AsyncIterator[None]:
    """Remove at the end what has Complement's label, and had not been there before. Raises DockerFailed."""
    before = await asyncio.to_thread(_labelled)
    try:
        yield
    finally:
        await asyncio.to_thread(_remove, before)


def _labelled() -> frozenset[str]:
    with connected() as client:
        kinds = (
            client.containers.list(all=True, filters=LABELLED),
            client.networks.list(filters=LABELLED),
            client.images.list(filters=LABELLED),
        )
        return frozenset(item.id for items in kinds for item in items)


def _remove(kept: frozenset[str]) -> None:
    with connected() as client:
        _remove_all(client, kept)


def _remove_all(client: DockerClient, kept: frozenset[str]) -> None:
    # An image goes after its containers, and so does a network. What somebody else removes is gone as well.
    for container in client.containers.list(all=True, filters=LABELLED):
        if container.id not in kept:
            with suppress(APIError):
                container.remove(force=True)
    for network in client.networks.list(filters=LABELLED):
        if network.id not in kept:
            with suppress(APIError):
                network.remove()
    for image in client.images.list(filters=LABELLED):
        if image.id not in kept:
            with suppress(APIError):
                client.images.remove(image.id, force=True)
