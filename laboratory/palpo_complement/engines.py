"""The two ways to give Complement its homeservers, behind one interface."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .checkout import describe
from .commands import run
from .docker import images, leftovers
from .docker.client import DockerFailed
from .environment import search_path
from .options import RECIPE, RunOptions
from .process.databases import databases_for
from .process.engine import Engine, Settings, state_directory
from .process.launch import launcher_of
from .process.server import docker_socket
from .process.store import remove_tree
from .process.subnets import Slot
from .recipe import Recipe, load
from .records import SERVERS

SHARE_PREFIX = "PALPO_SHARE_"
SECOND = "hs2"
PACKAGE_VARIABLE = "PALPO_COMPLEMENT_PACKAGE"


@dataclass(slots=True, kw_only=True)
class Serving:
    """What a package's tests need in their environment, and which containers there were.

    `name` and `version` say what is tested, `other` and `other_version` what hs2 is in a pair. `others` maps
    homeserver names to images of their own, and `containers` IDs to environments; in Docker the post-test
    script alone tells of containers.
    """

    name: str
    version: str
    image: str
    other: str | None = None
    other_version: str | None = None
    others: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    post_test: str = ""


@asynccontextmanager
async def serving(options: RunOptions) -> AsyncIterator[Serving]:
    """Open the engine that the options name.

    Raises SetupFailed.
    """
    async with (_docker if options.engine == "docker" else _process)(options) as value:
        yield value


@asynccontextmanager
async def _process(options: RunOptions) -> AsyncIterator[Serving]:
    recipe = load(options.recipe)
    others = {name: load(other) for name, other in images_of(options)}
    second = load(options.other) if options.other else None
    base = state_directory() / f"palpo-complement-{os.getpid()}-{secrets.token_hex(4)}"
    settings = Settings(
        state=base / "state",
        logs=(options.output / SERVERS).resolve(),
        schema_check=options.schema_check,
    )
    databases = databases_for(options.database, options.database_url, base / "postgresql")
    base.mkdir(parents=True)
    launchers = {item.name: launcher_of(item) for item in (recipe, *others.values())}
    engine = Engine(settings, Slot.acquire(), databases, launchers)
    try:
        async with docker_socket(engine, base / "docker.sock") as host:
            yield Serving(
                name=options.server_name or recipe.name,
                version=options.server_commit or await _version(recipe),
                image=recipe.name,
                other=second.name if second else None,
                other_version=await _version(second) if second else None,
                others={name: other.name for name, other in others.items()},
                env={"DOCKER_HOST": host, "COMPLEMENT_HOSTNAME_RUNNING_COMPLEMENT": "localhost"},
                containers=engine.environments,
                post_test=POST_TEST,
            )
    finally:
        remove_tree(base)


@asynccontextmanager
async def _docker(options: RunOptions) -> AsyncIterator[Serving]:
    if options.image is None and options.recipe != RECIPE:
        raise DockerFailed(f"the image that is built is {RECIPE}'s: name another with --image")
    image = options.image or await images.built(database=options.database)
    version = await (_commit() if options.image is None else images.identity(image))
    async with leftovers.removed():
        yield Serving(
            name=options.server_name or options.image or RECIPE,
            version=options.server_commit or version,
            image=image,
            other=options.other,
            other_version=await images.identity(options.other) if options.other else None,
            others=dict(images_of(options)),
            env={f"{SHARE_PREFIX}CONFORMANCE_CHECK": "1" if options.schema_check else ""},
            post_test=DOCKER_POST_TEST,
        )


def images_of(options: RunOptions) -> tuple[tuple[str, str], ...]:
    """What single servers are."""
    return (*options.images, (SECOND, options.other)) if options.other else options.images


async def _version(recipe: Recipe) -> str:
    """What is tested, in the recipe's own words, or as the commit of the working directory."""
    if recipe.version is None:
        return await _commit()
    env = {**os.environ, "PATH": await search_path(recipe, os.environ)}
    code, output = await run("sh", "-e", "-c", recipe.version, env=env)
    return "unknown" if code else output.strip()


async def _commit() -> str:
    """The commit of the repository in the working directory, with `-modified` where it has changes."""
    return (await asyncio.to_thread(describe, Path())).label


# Complement calls this with the container, the test's name and whether it failed, and removes the container.
POST_TEST = """#!/bin/sh
printf '%s\\t%s\\t%s\\n' "$1" "$2" "$3" >> "$PALPO_POST_TEST_LOG"
"""

DOCKER_POST_TEST = f"""{POST_TEST}
exec '{sys.executable}' -m palpo_complement.docker.collect "$1" "$PALPO_SERVERS"
"""
