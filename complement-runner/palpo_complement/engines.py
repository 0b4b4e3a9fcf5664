"""The two ways to give Complement its homeservers, behind one interface."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .docker.build import ensure_image
from .options import RunOptions
from .process.databases import databases_for
from .process.engine import Engine, Settings, state_directory
from .process.launch import CommandLauncher, Launcher, ZygoteLauncher
from .process.model import Container
from .process.server import docker_socket
from .process.store import remove_tree
from .process.subnets import Slot
from .records import SERVERS

SHARE_PREFIX = "PALPO_SHARE_"
PACKAGE_VARIABLE = "PALPO_COMPLEMENT_PACKAGE"


@dataclass(slots=True, kw_only=True)
class Serving:
    """What a package's tests need in their environment, and which containers there were.

    `history` maps container IDs to (package, homeserver name); the docker engine learns of its
    containers from the post-test script alone.
    """

    image: str
    env: dict[str, str] = field(default_factory=dict)
    history: dict[str, tuple[str, str]] = field(default_factory=dict)
    post_test: str = ""


@asynccontextmanager
async def serving(options: RunOptions) -> AsyncIterator[Serving]:
    """Open the engine that the options name. Raises LaunchError, ImageFailed or NoFreeSlot."""
    if options.engine == "docker":
        yield await _docker(options)
        return
    async with _process(options) as value:
        yield value


@asynccontextmanager
async def _process(options: RunOptions) -> AsyncIterator[Serving]:
    image = options.image or options.server_name
    base = state_directory() / f"palpo-complement-{os.getpid()}-{secrets.token_hex(4)}"
    settings = Settings(
        state=base / "state",
        logs=(options.output / SERVERS).resolve(),
        schema_check=options.schema_check,
    )
    databases = databases_for(options.database, options.database_url, base / "postgresql")
    base.mkdir(parents=True)
    launchers: dict[str, Launcher] = {image: _launcher(options)}
    # A mixed pair names a second image; with processes its name is the command that runs it.
    for _, command in options.images:
        launchers[command] = CommandLauncher(command)
    engine = Engine(settings, Slot.acquire(), databases, launchers)
    try:
        async with docker_socket(engine, base / "docker.sock") as host:
            value = Serving(image=image, post_test=POST_TEST)
            value.env = {
                "DOCKER_HOST": host,
                "COMPLEMENT_HOSTNAME_RUNNING_COMPLEMENT": "localhost",
            }

            def remember(container: Container) -> None:
                env = container.env
                value.history[container.id] = (env.get(PACKAGE_VARIABLE, ""), env.get("SERVER_NAME", ""))

            engine.on_create = remember
            yield value
    finally:
        remove_tree(base)


def _launcher(options: RunOptions) -> Launcher:
    if options.server_command is not None:
        return CommandLauncher(options.server_command, prepare_command=options.prepare_command)
    return ZygoteLauncher(
        options.server_target, prepare_target=options.prepare_target, preload=options.preload
    )


async def _docker(options: RunOptions) -> Serving:
    image = options.image or await ensure_image(database=options.database)
    return Serving(
        image=image,
        post_test=DOCKER_POST_TEST,
        env={
            f"{SHARE_PREFIX}PALPO_ACCESS_LOG": "/complement/access.jsonl",
            **(
                {f"{SHARE_PREFIX}PALPO_SCHEMA_CHECK": "/complement/violations.jsonl"}
                if options.schema_check
                else {}
            ),
        },
    )


# Complement calls this with the container, the test's name and whether it failed, and removes the container.
POST_TEST = """#!/bin/sh
printf '%s\\t%s\\t%s\\n' "$1" "$2" "$3" >> "$PALPO_POST_TEST_LOG"
"""

DOCKER_POST_TEST = """#!/bin/sh
printf '%s\\t%s\\t%s\\n' "$1" "$2" "$3" >> "$PALPO_POST_TEST_LOG"
for kind in access violations; do
    docker cp "$1:/complement/$kind.jsonl" "$PALPO_SERVERS/$1.$kind.jsonl" >/dev/null 2>&1
done
docker logs "$1" > "$PALPO_SERVERS/$1.log" 2>&1
exit 0
"""
