"""A real provider of OpenID Connect: npm's oidc-provider, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support import node
from tests.support.visitor import Visitor

SCRIPTS = Path(__file__).parent / "js"
CALLBACK = "http://test.example/_synapse/client/oidc/callback"
SECRET = "a secret that is long enough for HS256"
CLAIMS: dict[str, dict[str, Any]] = {
    "alice-1": {
        "name": "Alice of Wonderland",
        "preferred_username": "alice",
        "email": "alice@work.example",
        "email_verified": True,
        "groups": ["staff"],
    },
    "bob-2": {
        "name": "{{ 7 * 7 }}{% for x in y %}",
        "preferred_username": "Bob Möller",
        "groups": ["guests"],
    },
    "nameless-3": {},
}


class Provider:
    """A running provider."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        httpx.post(f"{self.issuer}/test/rotate")

    def logout_tokens(self) -> list[str]:
        """What clients were sent of who logged out."""
        found: list[str] = httpx.get(f"{self.issuer}/test/logouts").json()
        return found

    def config(self, **settings: Any) -> dict[str, Any]:
        """An entry of ``[[oidc]]``."""
        return {
            "id": "work",
            "name": "Work",
            "issuer": self.issuer,
            "client_id": "palpo",
            "client_secret": SECRET,
            "localpart_template": "{{ user.preferred_username }}",
            "display_name_template": "{{ user.name }}",
            "email_template": "{{ user.email }}",
            **settings,
        }


def client(client_id: str = "palpo", **settings: Any) -> dict[str, Any]:
    """A client as the provider knows it."""
    return {"client_id": client_id, "client_secret": SECRET, "redirect_uris": [CALLBACK], **settings}


@contextmanager
def running(*clients: dict[str, Any], claims: dict[str, Any] | None = None) -> Iterator[Provider]:
    """A provider for as long as it is needed."""
    folder = node.installed(SCRIPTS, "identity-provider")
    process = subprocess.Popen(
        ["node", "provider.js"],
        cwd=folder,
        env=node.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"clients": clients, "claims": claims or CLAIMS}) + "\n")
        process.stdin.flush()
        issuer = process.stdout.readline().strip()
        assert issuer, "the provider did not start"
        yield Provider(issuer)
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


async def sign_in(browser: Visitor, account: str) -> None:
    """Go through the provider's pages, as ``account`` there."""
    await browser.submit(login=account, password="any")
    if "/interaction/" in browser.at:
        await browser.submit()
