"""Running other programs to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path


async def run(*words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command; gives its exit code (127 where it cannot be run) and all its output."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=cwd,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return 127, str(error)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
