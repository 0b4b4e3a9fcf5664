"""The routes for Matrix Authentication Service, and what its tokens are good for, beside a real Synapse's.

Both servers delegate to the same stand-in (``tests/support/mas.py``), which asks both the same. Where the
laboratory has not installed Synapse, this is not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interop.admin_api.shapes import differences, shape_of
from tests.support import two_servers
from tests.support.authority import Authority
from tests.support.mas import ADMIN, API, SECRET, Mas, MasClient, mas
from tests.support.mas import DEVICE as DEVICE_SCOPE

pytestmark = pytest.mark.one_database


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the service asks, or a client with a token of its."""

    name: str
    path: str
    body: dict[str, Any] | None = None
    token: str | None = None
    """A client's; None: the service asks."""

    def __str__(self) -> str:
        return self.name


def told(name: str, path: str, **body: Any) -> Step:
    return Step(name, path, body)


def client(name: str, path: str, token: str = "alice", body: dict[str, Any] | None = None) -> Step:
    return Step(name, f"/_matrix/client{path}", body, token)


DEVICE = {"localpart": "alice", "device_id": "PHONE12345"}
STEPS = (
    Step("nobody", "query_user?localpart=alice"),
    Step("free", "is_localpart_available?localpart=alice"),
    Step("no name", "is_localpart_available?localpart=Al%20ice"),
    told("provision", "provision_user", localpart="alice", set_displayname="Alice", locked=False),
    told("old device", "upsert_device", localpart="alice", device_id="LAPTOP 12345"),
    told("provision again", "provision_user", localpart="alice", set_emails=["a@example.org"]),
    Step("taken", "is_localpart_available?localpart=alice"),
    Step("somebody", "query_user?localpart=alice"),
    told("device", "upsert_device", **DEVICE, display_name="Phone"),
    told("device again", "upsert_device", **DEVICE),
    told("device of nobody", "upsert_device", localpart="nobody", device_id="PHONE12345"),
    told("device name", "update_device_display_name", **DEVICE, display_name="My phone"),
    client("whoami", "/v3/account/whoami"),
    client("devices", "/v3/devices"),
    client("old session", "/v3/account/whoami", "old"),
    client("newcomer", "/v3/account/whoami", "newcomer"),
    client("not for this", "/v3/account/whoami", "openid"),
    client("several devices", "/v3/account/whoami", "several"),
    client("administrator, no API", "/../../_synapse/admin/v2/users/@alice:{server}", "only admin"),
    client("no administrator", "/../../_synapse/admin/v2/users"),
    client("administrator", "/../../_synapse/admin/v2/users/@alice:{server}", "admin"),
    client("unknown token", "/v3/account/whoami", "unknown"),
    client("login flows", "/v3/login", "unknown"),
    client("password login", "/v3/login", "unknown", {"type": "m.login.password", "password": "x"}),
    client("registration", "/v3/register", "unknown", {"username": "x", "password": "yyyyyyyy"}),
    client("refresh", "/v3/refresh", "unknown", {"refresh_token": "x"}),
    client("logout", "/v3/logout", "alice", {}),
    client("new password", "/v3/account/password", "alice", {"new_password": "yyyyyyyy"}),
    client("deactivation", "/v3/account/deactivate", "alice", {}),
    client("metadata", "/v1/auth_metadata", "unknown"),
    told("all devices", "sync_devices", localpart="alice", devices=["PHONE12345", "LAPTOP12345"]),
    client("devices, then", "/v3/devices"),
    told("no device", "delete_device", **DEVICE),
    told("no device again", "delete_device", **DEVICE),
    told("display name", "set_displayname", localpart="alice", displayname="Ally"),
    Step("named", "query_user?localpart=alice"),
    told("no display name", "unset_displayname", localpart="alice"),
    Step("nameless", "query_user?localpart=alice"),
    told("new keys", "allow_cross_signing_reset", localpart="alice"),
    told("end", "delete_user", localpart="alice", erase=False),
    Step("ended", "query_user?localpart=alice"),
    told("back", "reactivate_user", localpart="alice"),
    Step("here again", "query_user?localpart=alice"),
    told("end of nobody", "delete_user", localpart="nobody", erase=False),
    told("without a name", "provision_user", set_displayname="x"),
)
DIFFERENT = {
    "administrator, no API": "the token is there, and it is not enough",
    "back": "Synapse fails",
    "newcomer": "Synapse fails; we say to come again",
    "not for this": "the token is good: a client need not forget it",
    "several devices": "Synapse fails",
}
"""Steps that are answered otherwise on purpose, and why."""


class Palpo(two_servers.Palpo):
    """Ours."""

    def __init__(self, folder: Path, authority: Authority, service: Mas) -> None:
        super().__init__(folder, authority)
        self.more = (
            f'oauth.delegation.endpoint = "{service.url}/"\noauth.delegation.secret = "{SECRET}"\n'
            f'public_url = "{self.url}"\n'
        )


class Synapse(two_servers.Synapse):
    """Theirs."""

    def __init__(self, folder: Path, authority: Authority, service: Mas) -> None:
        super().__init__(folder, authority)
        self._service = service

    def _settings(self, logs: Path) -> dict[str, object]:
        delegation = {"enabled": True, "endpoint": f"{self._service.url}/", "secret": SECRET}
        found = super()._settings(logs) | {"matrix_authentication_service": delegation}
        return found | {"enable_registration": False, "password_config": {"enabled": False}}


Answers = dict[str, tuple[int, Any]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answers, Answers]:
    """Ours and theirs, by the names of the steps."""
    Synapse.python()
    return asyncio.run(_ask_both(tmp_path_factory.mktemp("delegation")))


async def _ask_both(folder: Path) -> tuple[Answers, Answers]:
    authority = Authority(folder)
    async with mas() as service:
        service.grant("alice", "alice", "PHONE12345")
        service.grant_compatible("old", "alice", "LAPTOP 12345")
        service.grant("newcomer", "newcomer")
        service.grant("openid", "alice", scope="openid")
        service.grant("several", "alice", scope=f"{API} {DEVICE_SCOPE}A123456789 {DEVICE_SCOPE}B123456789")
        service.grant("only admin", "alice", scope=ADMIN)
        service.grant("admin", "alice", scope=f"{API} {ADMIN}")
        servers = Palpo(folder / "palpo", authority, service), Synapse(folder / "synapse", authority, service)
        try:
            await asyncio.gather(*(server.start() for server in servers))
            ours, theirs = await asyncio.gather(*map(_ask, servers))
        finally:
            await asyncio.gather(*(server.stop() for server in servers))
    return ours, theirs


async def _ask(server: two_servers.Neighbour) -> Answers:
    found: Answers = {}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        service = MasClient(http)
        for step in STEPS:
            if step.token is None and step.body is None:
                name, _, query = step.path.partition("?localpart=")
                answer = await service.get(name, httpx.QueryParams(f"x={query}")["x"])
            elif step.token is None:
                answer = await service.post(step.path, **(step.body or {}))
            else:
                path = step.path.replace("/_matrix/client/../..", "").format(server=server.name)
                method = "GET" if step.body is None else "POST"
                headers = {"Authorization": f"Bearer {step.token}"}
                answer = await http.request(method, path, json=step.body, headers=headers)
            found[step.name] = (answer.status_code, answer.json() if answer.content else {})
    return found


def _differ(ours: tuple[int, Any], theirs: tuple[int, Any], *, whole: bool) -> Iterator[str]:
    said = ours[1].get("errcode"), theirs[1].get("errcode")
    if ours[0] != theirs[0] or said[0] != said[1]:
        yield f"{ours[0]} {said[0]}, theirs {theirs[0]} {said[1]}"
    elif whole and ours[0] < 400:
        yield from differences(shape_of(ours[1]), shape_of(theirs[1]))


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_both_answer_alike(answers: tuple[Answers, Answers], step: Step) -> None:
    found = list(_differ(answers[0][step.name], answers[1][step.name], whole=step.token is None))
    if step.name in DIFFERENT:
        assert found, "take it out of DIFFERENT"
    else:
        assert not found, found
