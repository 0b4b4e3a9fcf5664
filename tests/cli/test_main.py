"""What every command does before anything else."""

from __future__ import annotations

import subprocess
import sys

SERVER = (
    "aiohttp",
    "palpo.api",
    "palpo.app",
    "palpo.services",
    "palpo.storage",
    "quart",
    "sqlalchemy",
    "structlog",
)
"""Packages of what commands do: their import takes seconds, and 70 MiB."""


def test_what_is_typed_is_read_without_what_a_server_needs() -> None:
    code = "import sys; from palpo.cli.main import command_line; command_line(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.split()
    assert "palpo.cli.commands.user" in loaded
    assert [name for name in loaded if name in SERVER] == []
