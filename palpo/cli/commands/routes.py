"""``palpo routes``: every endpoint that is served."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("routes", help="list the endpoints")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print them, one line each."""
    from palpo.wire.registry import endpoints

    for endpoint in endpoints():
        if options.jsonl:
            row = {
                "operation": endpoint.operation_id,
                "also": endpoint.also,
                "api": endpoint.api,
                "method": endpoint.method,
                "paths": endpoint.paths,
                "auth": endpoint.auth.value,
                "limit": endpoint.limit.value,
            }
            print(msgspec.json.encode(row).decode())
        else:
            print(f"{endpoint.method:7} {endpoint.paths[0]:80} {' '.join(endpoint.operation_ids)}")
    return 0
