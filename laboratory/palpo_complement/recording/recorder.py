"""Writes what servers answered, and asked of others: which operation, and what its schema does not allow.

Schemas are checked in a process beside this one, so that no test waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

from palpo_conformance.schema_check import SchemaChecker
from palpo_spec import match

from .exchanges import Exchange

DELAYED = "org.matrix.msc4140.delay="
"""A request with this in its query is answered as the proposal says, not as the spec's operation."""

NICENESS = 10


def schema_process() -> ProcessPoolExecutor:
    """The process in which schemas are checked, to be shut down by whoever asks for it."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    os.nice(NICENESS)
    _checker()


@cache
def _checker() -> SchemaChecker:
    return SchemaChecker()


def broken(exchange: Exchange) -> list[dict[str, Any]]:
    """What the spec does not allow in a response, as records."""
    assert exchange.body is not None
    found = _checker().check(exchange.method, exchange.target, exchange.status, exchange.body)
    return [{**asdict(violation), "time": exchange.ended} for violation in found]


def broken_outside(exchange: Exchange) -> list[dict[str, Any]]:
    """What the spec does not allow in what was asked of another server, and in what that has answered."""
    request = (exchange.method, exchange.target, exchange.status)
    found = [(violation, "request") for violation in _checker().check_request(*request, exchange.asked)]
    if exchange.body is not None:
        found += [(violation, "received") for violation in _checker().check(*request, exchange.body)]
    return [{**asdict(violation), "of": of, "time": exchange.ended} for violation, of in found]


class Recorder:
    """The records of one server: a JSON line for each answer, each request of its own, each violation.

    `schemas` is the process that checks, or None where nothing is checked.
    """

    def __init__(self, access: Path, violations: Path, asked: Path, schemas: Executor | None) -> None:
        self._access = access.open("a", buffering=1, encoding="utf-8")
        self._violations = violations.open("a", buffering=1, encoding="utf-8")
        self._asked = asked.open("a", buffering=1, encoding="utf-8")
        self._schemas = schemas
        self._checks: set[asyncio.Future[list[dict[str, Any]]]] = set()

    def __call__(self, exchange: Exchange) -> None:
        if self._access.closed:
            return
        record = _record(exchange)
        _write(self._access, record)
        if record["operation"] and _is_checked(exchange):
            self._check(broken, exchange)

    def outside(self, exchange: Exchange, peer: str) -> None:
        """Record what the server has asked of another, by the name of its certificate."""
        record = _record(exchange)
        _write(self._asked, {**record, "peer": peer})
        if record["operation"]:
            self._check(broken_outside, exchange)

    def _check(self, find: Callable[[Exchange], list[dict[str, Any]]], exchange: Exchange) -> None:
        if self._schemas is not None:
            check = asyncio.wrap_future(self._schemas.submit(find, exchange))
            self._checks.add(check)
            check.add_done_callback(self._checked)

    def _checked(self, check: asyncio.Future[list[dict[str, Any]]]) -> None:
        self._checks.discard(check)
        for record in check.result():
            _write(self._violations, record)

    async def close(self) -> None:
        """Wait for the last check."""
        if self._checks:
            await asyncio.wait(self._checks)
        for file in (self._access, self._violations, self._asked):
            file.close()


def _record(exchange: Exchange) -> dict[str, Any]:
    found = match(exchange.method, exchange.target)
    return {
        "operation": found[0].key if found else None,
        "method": exchange.method,
        "path": exchange.target.partition("?")[0],
        "status": exchange.status,
        "time": exchange.ended,
    }


def _is_checked(exchange: Exchange) -> bool:
    return exchange.body is not None and DELAYED not in exchange.target


def _write(file: TextIO, record: dict[str, Any]) -> None:
    file.write(json.dumps(record) + "\n")
