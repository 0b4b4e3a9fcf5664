"""A server, and browsers at its pages for administrators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.homeserver import Client, Homeserver, homeserver


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as running:
        yield running


@pytest.fixture
async def admin(server: Homeserver) -> Client:
    return await server.register("admin")


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")


@pytest.fixture
async def browser(server: Homeserver, admin: Client) -> AsyncIterator[Browser]:
    """A browser in which the administrator is signed in."""
    browser = Browser(server)
    async with browser.http:
        page = await browser.sign_in("admin", "/_palpo/admin/")
        assert page.status_code == 200, page.text
        yield browser
