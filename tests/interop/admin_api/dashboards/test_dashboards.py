"""Dashboards and moderation tools on a server of ours: they may ask, and are answered as they read it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.interop.admin_api.dashboards.requests import REQUESTS, UNRECOGNIZED, Asked
from tests.interop.admin_api.expected import Each, missing
from tests.interop.admin_api.filled import Filled, filled

pytestmark = pytest.mark.one_database

WAIT_S = 60.0
PAUSE_S = 0.05
OPEN = {"/_synapse/admin/v1/server_version"}
"""What needs no token."""
ORIGIN = {"Origin": "https://dashboard.example.org"}


class Dashboard:
    """One that an administrator has signed in to."""

    def __init__(self, server: Filled) -> None:
        self._known = dict(server.known)
        self._token = {"Authorization": f"Bearer {server.tokens['admin']}"}
        self._http = httpx.Client(base_url=server.palpo.url, timeout=60, headers=ORIGIN)

    def close(self) -> None:
        """No more requests."""
        self._http.close()

    def ask(self, asked: Asked) -> list[str]:
        """What is wrong with the answer."""
        path = self._filled_in(asked.path, quoted=True)
        allowed = self._allowed(asked.method, path)
        answer = self._answer(asked, path)
        fine = {200, 201} if asked.status is None else {asked.status}
        if answer.status_code not in fine or answer.headers["access-control-allow-origin"] != "*":
            return [f"{answer.status_code} {answer.headers}: {answer.text}"]
        body = answer.json() if asked.reads is not ... else None
        for name, place in asked.keeps.items():
            self._known[name] = str(_at(body, place))
        there = asked.reads != UNRECOGNIZED
        refused = self._refused(asked.method, path) if there else []
        return [*allowed, *refused, *missing(body, self._filled_in(asked.reads))]

    def _answer(self, asked: Asked, path: str) -> httpx.Response:
        body = None if asked.body is None else self._filled_in(asked.body)
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        deadline = time.monotonic() + WAIT_S
        while True:
            found = self._http.request(asked.method, path, **sent, headers=self._token)
            if not asked.until or found.status_code != 200 or not list(missing(found.json(), asked.until)):
                return found
            assert time.monotonic() < deadline, found.text
            time.sleep(PAUSE_S)

    def _allowed(self, method: str, path: str) -> list[str]:
        """What a browser would find before it asks."""
        wanted = {
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        answer = self._http.options(path, headers=wanted)
        headers = answer.headers["access-control-allow-headers"].lower().split(", ")
        methods = answer.headers["access-control-allow-methods"].split(", ")
        allowed = answer.status_code in {200, 204} and answer.headers["access-control-allow-origin"] == "*"
        fine = allowed and method in methods and {"authorization", "content-type"} <= {*headers}
        return [] if fine else [f"not allowed: {answer.headers}"]

    def _refused(self, method: str, path: str) -> list[str]:
        """What is wrong with what a browser is told whose token is no longer good, or that has none."""
        if not path.startswith("/_synapse/") or path in OPEN:
            return []
        found = [
            self._http.request(method, path, headers=headers)
            for headers in ({}, {"Authorization": "Bearer gone"})
        ]
        told = [(item.status_code, item.headers.get("access-control-allow-origin")) for item in found]
        codes = [item.json().get("errcode") for item in found]
        fine = told == [(401, "*")] * 2 and codes == ["M_MISSING_TOKEN", "M_UNKNOWN_TOKEN"]
        return [] if fine else [f"without a token: {told}, {codes}"]

    def _filled_in(self, value: Any, *, quoted: bool = False) -> Any:
        if isinstance(value, str):
            value = re.sub(r"\{!(\w+)\}", lambda found: self._known[found[1]], value)
            return re.sub(r"\{(\w+)\}", lambda found: quote(self._known[found[1]], safe=""), value)
        if isinstance(value, dict):
            return {self._filled_in(key): self._filled_in(item) for key, item in value.items()}
        if isinstance(value, Each):
            return Each(self._filled_in(value.item))
        return [self._filled_in(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What is wrong with each answer."""
    folder: Path = tmp_path_factory.mktemp("dashboards")
    with filled(folder) as server:
        dashboard = Dashboard(server)
        found = []
        for asked in REQUESTS:
            try:
                found.append(dashboard.ask(asked))
            except Exception as error:  # noqa: BLE001 - the request's own test says it
                found.append([repr(error)])
        dashboard.close()
    return found


@pytest.mark.parametrize(
    "number", range(len(REQUESTS)), ids=[f"{item.who} {item.method} {item.path}" for item in REQUESTS]
)
def test_a_request(wrong: list[list[str]], number: int) -> None:
    assert wrong[number] == [], REQUESTS[number]


def _at(body: Any, place: str) -> Any:
    for name in place.split("."):
        body = body[int(name) if name.isdigit() else name]
    return body
