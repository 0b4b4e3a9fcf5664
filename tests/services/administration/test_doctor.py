"""``palpo doctor``: each check finds what it is for, and is content where that is mended."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from palpo.config.loader import convert
from palpo.config.model import Config
from palpo.core.records.jobs import JobState
from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import HttpClient
from palpo.net.tls import federation_tls
from palpo.services.administration.backups.backups import Backups
from palpo.services.administration.doctor.checks import Check, Verdict
from palpo.services.administration.doctor.checkup import ANYWHERE
from palpo.services.administration.doctor.database import skew
from palpo.services.administration.doctor.machine import look_at_machine
from palpo.services.administration.doctor.outside import Outside
from palpo.services.administration.doctor.settings import look_at_settings
from palpo.streams.clock import SystemClock
from tests.support.authority import Authority
from tests.support.homeserver import homeserver
from tests.support.web import Web, web


def verdicts(checks: list[Check]) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in checks}


def configured(**values: Any) -> Config:
    return convert({"server_name": "example.org", "data": "d", **values})


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(data=str(tmp_path))
    key, file = tmp_path / "signing.key", tmp_path / "palpo.toml"
    for path in (key, file):
        path.write_text("x")
        path.chmod(0o644)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    found = verdicts(list(look_at_machine(config, [file])))
    assert found["signing key"] is Verdict.PROBLEM
    assert found["data folder"] is found["configuration"] is found["open files"] is Verdict.WARNING

    monkeypatch.setattr(resource, "getrlimit", lambda _: (65_536, 65_536))
    key.chmod(0o600)
    file.chmod(0o640)
    tmp_path.chmod(0o700)
    del (found := verdicts(list(look_at_machine(config, [file]))))["disk"]
    assert set(found.values()) == {Verdict.OK}
    assert "configuration" not in found
    key.unlink()
    assert verdicts(list(look_at_machine(config, [])))["signing key"] is Verdict.WARNING


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 1 << 40, "used": 0, "free": 1 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert verdicts(list(look_at_machine(configured(data=str(tmp_path)), [])))["disk"] is Verdict.PROBLEM


@pytest.mark.parametrize(
    ("values", "name", "verdict"),
    [
        ({}, "proxy headers", Verdict.WARNING),
        ({"http": {"trusted_proxies": ["127.0.0.1"]}}, "proxy headers", Verdict.OK),
        ({"http": {"trusted_proxies": ["0.0.0.0/0"]}}, "proxy headers", Verdict.PROBLEM),
        ({"listeners": [{"bind": "0.0.0.0:8008"}]}, "proxy headers", Verdict.OK),
        ({"listeners": [{"bind": "unix:/run/palpo/palpo.sock"}]}, "proxy headers", Verdict.OK),
        ({}, "address policy", Verdict.OK),
        ({"network": {"allow": ["10.1.0.0/16"]}}, "address policy", Verdict.OK),
        ({"network": {"allow": ["::/0"]}}, "address policy", Verdict.PROBLEM),
        ({"network": {"allow": ["169.254.0.0/16"]}}, "address policy", Verdict.PROBLEM),
        ({"network": {"allow": ["127.0.0.0/8"]}}, "address policy", Verdict.WARNING),
        ({"server_name": "localhost"}, "server name", Verdict.WARNING),
        ({"server_name": "10.0.0.1"}, "server name", Verdict.WARNING),
        ({}, "server name", Verdict.OK),
        ({"registration": {"open": True}}, "registration", Verdict.WARNING),
        ({"rate_limits": {"enabled": False}}, "rate limits", Verdict.PROBLEM),
        ({"quotas": {"enabled": False}}, "quotas", Verdict.WARNING),
    ],
)
def test_settings(values: dict[str, Any], name: str, verdict: Verdict) -> None:
    assert verdicts(list(look_at_settings(configured(**values))))[name] is verdict


def test_clocks() -> None:
    assert [skew("", ms).verdict.value for ms in (-1000, 10_000, -90_000)] == ["ok", "warning", "problem"]


class Everywhere(AbstractResolver):
    """Finds each host at one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        return None


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Web]:
    async with web(tls=authority.serving("example.org", "localhost", "matrix.example.org")) as found:
        yield found


async def clients_of(site: Web, authority: Authority, **values: Any) -> dict[str, Check]:
    config = configured(**values)
    client = HttpClient(
        AddressPolicy(ANYWHERE),
        user_agent="x",
        tls=federation_tls(authority.file),
        resolver=Everywhere(site.port),
    )
    try:
        found = [check async for check in Outside(config, SystemClock(), client).clients()]
    finally:
        await client.close()
    return {check.name: check for check in found}


async def test_what_clients_meet_with(site: Web, authority: Authority) -> None:
    public = f"https://localhost:{site.port}"
    found = await clients_of(site, authority, public_url=public)
    assert "no m.homeserver" in found["client well-known"].text
    assert "not Matrix that answers" in found["clients' address"].text
    # The authority's certificates are good for two days.
    assert found["clients' certificate"].verdict is Verdict.PROBLEM
    assert "good for 2 days" in found["clients' certificate"].text

    site.page("/_matrix/client/versions", b'{"versions": []}', "application/json")
    site.page("/.well-known/matrix/client", _json({"m.homeserver": {"base_url": "https://other"}}))
    found = await clients_of(site, authority, public_url=public)
    assert found["clients' address"].verdict is Verdict.OK
    assert "sends clients to https://other" in found["client well-known"].text

    site.page("/.well-known/matrix/client", _json({"m.homeserver": {"base_url": f"{public}/"}}))
    found = await clients_of(site, authority, public_url=public)
    assert "no CORS header" in found["client well-known"].text
    answer = site.answers["/.well-known/matrix/client"]
    with_cors = answer.replace(b"\r\n\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n", 1)
    site.answers["/.well-known/matrix/client"] = with_cors
    found = await clients_of(site, authority, public_url=public)
    assert found["client well-known"].verdict is Verdict.OK


async def test_a_certificate_for_another_name(site: Web, authority: Authority) -> None:
    found = await clients_of(site, authority, public_url=f"https://127.0.0.1:{site.port}")
    assert found["clients' certificate"].verdict is Verdict.PROBLEM
    assert "127.0.0.1" in found["clients' certificate"].text


async def test_application_services_and_clocks(site: Web, authority: Authority) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = HttpClient(AddressPolicy(ANYWHERE), user_agent="x", tls=federation_tls(authority.file))
    try:
        view = Outside(configured(), SystemClock(), client)
        urls = {"here": f"https://localhost:{site.port}", "gone": f"http://127.0.0.1:{port}"}
        found = verdicts([check async for check in view.appservices(urls)])
        assert found == {
            "application service here": Verdict.OK,
            "application service gone": Verdict.PROBLEM,
        }
        assert (await view.clock_of(urls["here"])).verdict is Verdict.WARNING  # It has no Date.
        dated = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
        site.answers["/"] = dated
        assert (await view.clock_of(f"{urls['here']}/")).verdict is Verdict.PROBLEM
    finally:
        await client.close()


@pytest.mark.sqlite  # A server that tests start writes nothing to the disk, and the doctor says so.
async def test_the_database_and_its_jobs(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        doctor = server.services.administration.doctor
        found = verdicts([check async for check in doctor.look(outside=False)])
        assert found["backups"] is Verdict.WARNING
        assert found["database"] is found["jobs"] is Verdict.OK
        job = await server.services.server.jobs.start("nothing does this", requested_by="x")
        while job.state is not JobState.FAILED:
            job = await server.services.server.jobs.follow(job)
        found = verdicts([check async for check in doctor.look(outside=False)])
        assert found["jobs"] is Verdict.WARNING


async def test_backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, SimpleNamespace]] = []

    async def all_(_self: Backups) -> Any:
        return made

    async def never(_self: Backups) -> bool:
        return False

    monkeypatch.setattr(Backups, "all", all_)
    monkeypatch.setattr(Backups, "due", never)
    async with homeserver(tmp_path, backup={"folder": str(tmp_path / "backups")}) as server:
        doctor, clock = server.services.administration.doctor, server.clock

        async def verdict() -> Verdict:
            return verdicts([check async for check in doctor.look(outside=False)])["backups"]

        assert await verdict() is Verdict.PROBLEM
        made.append((tmp_path, SimpleNamespace(created_ts=clock.now_ms())))
        assert await verdict() is Verdict.OK
        clock.advance(49 * 3_600_000)
        assert await verdict() is Verdict.PROBLEM


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
