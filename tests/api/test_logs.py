"""What is logged of a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from palpo.api.client import login
from tests.support.homeserver import PASSWORD, homeserver


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What has been logged, as it would be written."""
    found: list[dict[str, Any]] = []

    def keep(logger: Any, name: str, event: Any) -> Any:
        found.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, keep], cache_logger_on_first_use=False
    )
    yield found
    structlog.configure(**before)


async def test_a_request_has_one_id_and_no_secrets(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    async with homeserver(tmp_path, log={"requests": True}) as server:
        alice = await server.register("alice")
        answer = await server.http.get(f"/_matrix/client/v3/account/whoami?access_token={alice.token}")
        line = lines[-1]
        assert line["event"] == "request"
        assert line["id"] == answer.headers["x-request-id"]
        assert (line["operation"], line["status"], line["user"]) == ("getTokenOwner", 200, alice.user_id)
        assert line["address"] == "127.0.0.1"
    assert len({line["id"] for line in lines}) == len(lines) == 2
    assert alice.token not in str(lines)
    assert PASSWORD not in str(lines)


async def test_what_nobody_expected_has_the_requests_id(
    tmp_path: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with homeserver(tmp_path) as server:
        monkeypatch.setattr(server.services.accounts.registration, "check_available", None)
        answer = await server.http.get("/_matrix/client/v3/register/available?username=x")
        assert (answer.status_code, answer.json()["errcode"]) == (500, "M_UNKNOWN")
    (line,) = lines
    assert line["event"] == "unhandled_exception"
    assert line["id"] == answer.headers["x-request-id"]


async def test_a_proxys_client_is_who_asks(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    options = {"log": {"requests": True}, "http": {"trusted_proxies": ["127.0.0.1"]}}
    async with homeserver(tmp_path, **options) as server:
        for path in ("/_matrix/client/versions", "/_matrix/client/v3/nothing"):
            await server.http.get(path, headers={"X-Forwarded-For": "203.0.113.7"})
            assert lines[-1]["address"] == "203.0.113.7"


async def test_a_failed_login_has_an_address_before_the_name(
    tmp_path: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loggers are kept from their first use on, which may have been in another test.
    monkeypatch.setattr(login, "log", structlog.get_logger("palpo.login"))
    async with homeserver(tmp_path) as server:
        await server.register("alice")
        for user in ("alice", '","address":"198.51.100.1'):
            body = {"type": "m.login.password", "user": user, "password": "wrong", "identifier": None}
            await server.client().post("/login", body, status=403)
            line = lines[-1]
            assert (line["event"], line["address"], line["user"]) == ("login_failed", "127.0.0.1", user)
            assert list(line).index("address") < list(line).index("user")
        body = {"type": "m.login.token", "token": "nobody's"}
        await server.client().post("/login", body, status=403)
        assert (lines[-1]["event"], lines[-1]["user"]) == ("login_failed", None)
        await server.login("alice")
        assert [line["event"] for line in lines] == ["login_failed"] * 3
    assert "wrong" not in str(lines)


async def test_what_holds_the_event_loop_is_logged_and_counted(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    def compute() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    async with homeserver(tmp_path, log={"held_ms": 40}) as server:
        await asyncio.sleep(0.02)
        compute()
        await asyncio.sleep(0.3)
        metrics = (await server.http.get("/_palpo/metrics")).text
    held = [line for line in lines if line["event"] == "event_loop_held"]
    (line,) = [line for line in held if "compute" in str(line["frames"])]
    assert line["ms"] >= 90
    assert "palpo_loop_held_seconds_count 0.0" not in metrics
    assert "palpo_loop_late_seconds_count" in metrics
