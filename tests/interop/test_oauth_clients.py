"""Strangers sign in by OAuth 2.0: matrix-js-sdk's own functions on Node, and Authlib.

They talk to a real process; the person at the browser is played here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from tests.interop.test_js_sdk import stage, tools
from tests.support.browser import HEADERS, FormOf
from tests.support.homeserver import PASSWORD
from tests.support.process import ServerProcess

SECONDS = 60
CALLBACK = "https://app.example/callback"
API = "urn:matrix:client:api:*"
DEVICE = "urn:matrix:client:device:"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("oauth") / "data"
    running = ServerProcess(data)
    data.mkdir()
    (data / "palpo.toml").write_text(
        f'server_name = "localhost"\ndata = "{data}"\npublic_url = "{running.url}"\n'
        f'[[listeners]]\nbind = "127.0.0.1:{running.port}"\n'
        "[registration]\nopen = true\n[password]\ntime_cost = 1\nmemory_kib = 8\n"
        "[rate_limits]\nenabled = false\n"
    )
    with running:
        body = {"username": "alice", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        assert httpx.post(f"{running.url}/_matrix/client/v3/register", json=body).status_code == 200
        yield running


@pytest.fixture
def person(server: ServerProcess) -> Iterator[Person]:
    with httpx.Client(headers=HEADERS) as http:
        yield Person(server, http)


class Person:
    """Somebody at a browser, who signs in where they are asked to, and allows what is asked for."""

    def __init__(self, server: ServerProcess, http: httpx.Client) -> None:
        self.server = server
        self.http = http

    def allow(self, url: str) -> str:
        """Open an address, and do what it takes; where that leads in the end."""
        page = self.follow(self.http.get(url))
        if urlsplit(str(page.url)).path.endswith("/login"):
            page = self.submit(page, user="alice", password=PASSWORD)
        answer = self.submit(page, decision="allow")
        return str(answer.headers.get("location", answer.url))

    def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        action, values = FormOf(page.text).forms[0]
        return self.follow(self.http.post(urljoin(str(page.url), action), data={**values, **fields}))

    def follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.status_code == 303:
            target = urljoin(str(answer.url), answer.headers["location"])
            if not target.startswith(self.server.url):
                return answer
            answer = self.http.get(target)
        assert answer.status_code == 200, answer.text
        return answer


def test_matrix_js_sdk_signs_in(server: ServerProcess, person: Person, tmp_path: Path) -> None:
    environment = tools()
    stage(tmp_path / "js", environment)
    with subprocess.Popen(
        ["node", "oauth.js", server.url],
        cwd=tmp_path / "js",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        said: dict[str, Any] = {}
        for line in node.stdout:
            said = json.loads(line) if line.startswith("{") else {}
            if "open" in said:
                node.stdin.write(person.allow(said["open"]) + "\n")
                node.stdin.flush()
        assert node.wait(SECONDS) == 0
    assert said["state"] == "the-state"
    assert said["me"]["user_id"] == "@alice:localhost"
    assert said["me"]["device_id"] == said["device"]
    assert "[401]" in said["revoked"]
    assert said["refreshed"]
    assert said["other"]["device_id"] == said["otherDevice"]
    assert "org.matrix.device_delete" in said["actions"]


def test_authlib_signs_in(server: ServerProcess, person: Person) -> None:
    metadata = httpx.get(f"{server.url}/.well-known/oauth-authorization-server").json()
    said = {
        "client_name": "Authlib",
        "client_uri": "https://app.example/",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    registered = httpx.post(metadata["registration_endpoint"], json=said).json()
    with OAuth2Client(
        client_id=registered["client_id"],
        token_endpoint_auth_method="none",
        scope=f"{API} {DEVICE}AUTHLIBDEVICE",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
        revocation_endpoint_auth_method="none",
    ) as client:
        verifier = "v" * 64
        url, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier
        )
        callback = person.allow(url)
        token = client.fetch_token(
            metadata["token_endpoint"], authorization_response=callback, code_verifier=verifier, state=state
        )
        whoami = f"{server.url}/_matrix/client/v3/account/whoami"
        assert client.get(whoami).json()["device_id"] == "AUTHLIBDEVICE"

        renewed = client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert client.get(whoami).status_code == 200
        # Its sessions: another is made with the device grant, seen by the first, and ended.
        form = {"client_id": registered["client_id"], "scope": f"{API} {DEVICE}OTHERDEVICE"}
        codes = httpx.post(metadata["device_authorization_endpoint"], data=form).json()
        person.allow(codes["verification_uri_complete"])
        client.fetch_token(
            metadata["token_endpoint"], grant_type=DEVICE_GRANT, device_code=codes["device_code"]
        )
        other = client.token
        client.token = renewed
        devices = client.get(f"{server.url}/_matrix/client/v3/devices").json()["devices"]
        assert {"AUTHLIBDEVICE", "OTHERDEVICE"} <= {device["device_id"] for device in devices}
        client.revoke_token(metadata["revocation_endpoint"], token=other["refresh_token"])
        devices = client.get(f"{server.url}/_matrix/client/v3/devices").json()["devices"]
        assert "OTHERDEVICE" not in {device["device_id"] for device in devices}
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.fetch_token(
                metadata["token_endpoint"],
                authorization_response=callback,
                code_verifier=verifier,
                state=state,
            )
