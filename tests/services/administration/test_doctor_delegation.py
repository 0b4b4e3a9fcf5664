"""``palpo doctor`` where Matrix Authentication Service signs users in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palpo.config.sections.delegation import DelegationConfig
from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import HttpClient
from palpo.services.administration.doctor.checks import Check, Verdict
from palpo.services.administration.doctor.checkup import ANYWHERE
from palpo.services.administration.doctor.delegation import DelegationView
from tests.support.homeserver import homeserver
from tests.support.mas import SECRET, Mas, mas
from tests.support.web import web

SERVICE = "authentication service"
ISSUER, METADATA, TOLD = f"{SERVICE}'s issuer", f"{SERVICE}'s metadata", f"{SERVICE}'s secret"


@pytest.fixture
async def service() -> AsyncIterator[Mas]:
    async with mas() as running:
        running.public = f"{running.url}/"
        yield running


async def look(endpoint: str, secret: str = SECRET) -> dict[str, Check]:
    http = HttpClient(AddressPolicy(ANYWHERE), user_agent="test")
    try:
        view = DelegationView(DelegationConfig(endpoint=endpoint, secret=secret), http)
        return {check.name: check async for check in view.look()}
    finally:
        await http.close()


async def test_one_that_is_well(service: Mas) -> None:
    found = await look(service.url)
    issuer = found.pop(ISSUER)
    assert issuer.verdict is Verdict.WARNING
    assert "not HTTPS" in issuer.text
    assert {name: check.verdict for name, check in found.items()} == dict.fromkeys(
        (SERVICE, METADATA, TOLD), Verdict.OK
    )


async def test_the_secret_is_another(service: Mas) -> None:
    found = await look(service.url, "another")
    assert found[TOLD].verdict is Verdict.PROBLEM
    assert "refuses the secret" in found[TOLD].text
    assert "another" not in str(found)


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b"{}", b"[" * 100_000])
async def test_what_it_says_of_a_token_is_of_no_use(service: Mas, raw: bytes) -> None:
    service.raw = raw
    assert (await look(service.url))[TOLD].verdict is Verdict.PROBLEM


async def test_it_is_away(service: Mas) -> None:
    service.away = True
    found = await look(service.url)
    assert {name: check.verdict for name, check in found.items()} == dict.fromkeys(
        (SERVICE, TOLD), Verdict.PROBLEM
    )


async def test_another_is_at_its_issuer(service: Mas) -> None:
    async with mas() as other:
        service.public = f"{other.url}/"
        found = await look(service.url)
    assert found[ISSUER].verdict is Verdict.PROBLEM
    assert "https://auth.example/" in found[ISSUER].text
    service.public = "auth"
    assert (await look(service.url))[ISSUER].verdict is Verdict.PROBLEM


async def test_clients_miss_something(service: Mas, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = service.metadata()

    def without(key: str, value: Any) -> None:
        monkeypatch.setattr(service, "metadata", lambda: {**whole, key: value})

    for key, value in (("token_endpoint", None), ("code_challenge_methods_supported", ["plain"])):
        without(key, value)
        check = (await look(service.url))[METADATA]
        assert check.verdict is Verdict.PROBLEM
        assert key in check.text
    without("account_management_uri", None)
    assert (await look(service.url))[METADATA].verdict is Verdict.WARNING


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"\xff", b" " * 300_000])
async def test_something_else_is_there(body: bytes) -> None:
    async with web() as site:
        site.page("/.well-known/openid-configuration", body)
        found = await look(site.url(""))
    assert found[SERVICE].verdict is found[TOLD].verdict is Verdict.PROBLEM


async def test_it_is_among_all_checks(tmp_path: Path, service: Mas) -> None:
    async with homeserver(tmp_path, **service.settings()) as server:
        doctor = server.services.administration.doctor
        assert SERVICE not in {check.name async for check in doctor.look(outside=False)}
        found = {check.name async for check in doctor.look()}
        assert {SERVICE, ISSUER, METADATA, TOLD} <= found
