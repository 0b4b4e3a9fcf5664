"""A large Synapse, imported: ``python -m tests.interop.synapse_import --users 50 --database postgresql``."""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.interop.synapse_import.belongings import answers, differences
from tests.interop.synapse_import.filling import Client, Size
from tests.interop.synapse_import.world import shown, world


async def run(kind: str, size: Size) -> None:
    """Fill, import, compare what users are shown, and print the figures."""
    with tempfile.TemporaryDirectory(prefix="palpo-import-") as folder:
        async with world(Path(folder), kind, size) as made:
            rows = {step["step"]: step["rows"] for step in made.report["steps"]}
            print(f"{kind}: {rows}")
            print(f"filled in {made.seconds['filled']:.0f} s, imported and compared in", end=" ")
            print(f"{made.seconds['imported']:.1f} s: {len(made.report['differences'])} differences")
            begun = time.monotonic()
            async with Client(made.new.url, made.town) as client:
                same = await shown(client) == made.before
            print(
                f"users are shown {'the same' if same else 'OTHER THINGS'}, {time.monotonic() - begun:.1f} s"
            )
            async with Client(made.new.url, made.town) as client:
                lines = differences(made.answered, await answers(client))
            print(
                f"users are answered {len(made.answered)} times, {len(lines)} differences", *lines, sep="\n"
            )
            await made.talk.go_on()
            print(f"{len(made.talk.pairs)} pairs have read what was encrypted, and gone on")
            await made.talk.close()
            print(f"a new login with a recovery key: {await made.recovery.login_again()}")


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--media", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    size = Size(
        users=options.users,
        rooms=options.rooms,
        events=options.events,
        media=options.media,
        pairs=options.pairs,
    )
    asyncio.run(run(options.database, size))


if __name__ == "__main__":
    main()
