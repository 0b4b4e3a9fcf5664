"""The reverse proxies of ``deploy/`` before a real server: what clients see through them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.proxies import COMMANDS, DEPLOY, Proxy
from tests.support.process import ServerProcess
from tests.support.programs import program

HOST = "Host: matrix.example.org"
MAX_UPLOAD = 3 * 1024 * 1024
CONFIGURATION = """\
server_name = "example.org"
data = "{data}"
public_url = "https://matrix.example.org"
[[listeners]]
bind = "127.0.0.1:{port}"
[http]
engine = "{engine}"
trusted_proxies = ["127.0.0.1"]
[registration]
open = true
shared_secret = "secret"
[password]
time_cost = 1
memory_kib = 8
[media]
max_upload_bytes = {max_upload}
"""


class Proxied:
    """A server, and a proxy before it."""

    def __init__(self, folder: Path, proxy: str, engine: str) -> None:
        self.palpo = ServerProcess(folder / "data")
        self.palpo.data.mkdir()
        text = CONFIGURATION.format(
            data=self.palpo.data, port=self.palpo.port, engine=engine, max_upload=MAX_UPLOAD
        )
        (self.palpo.data / "palpo.toml").write_text(text)
        self.palpo.start()
        try:
            self.proxy = Proxy(proxy, folder, self.palpo.port)
        except BaseException:
            self.palpo.kill()
            raise
        self.port, self.plain_port = self.proxy.port, self.proxy.plain_port

    def client(self, *, http2: bool = True) -> httpx.Client:
        """What a client that trusts the certificate would be."""
        headers = {"Host": "matrix.example.org", "Origin": "https://app.example.org"}
        base = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=base, http2=http2, verify=False, headers=headers, timeout=60)

    def stop(self) -> None:
        self.proxy.stop()
        self.palpo.kill()


KINDS = (("nginx", "hypercorn"), ("nginx", "uvicorn"), ("caddy", "uvicorn"), ("haproxy", "uvicorn"))


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    proxy, engine = request.param
    program(proxy)
    folder = tmp_path_factory.mktemp(proxy)
    # nginx's workers have another user, if it is started as root.
    for path in (folder, folder.parent):
        os.chmod(path, 0o755)
    running = Proxied(folder, proxy, engine)
    yield running
    running.stop()


@pytest.fixture
def http(proxied: Proxied) -> Iterator[httpx.Client]:
    with proxied.client() as client:
        yield client


def register(http: httpx.Client, name: str) -> dict[str, str]:
    """The headers of a new user."""
    body = {"username": name, "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
    answer = http.post("/_matrix/client/v3/register", json=body)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and errcode of an error that a client in a browser can read."""
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer.status_code, answer.json()["errcode"]


def test_a_client_registers_logs_in_and_syncs(http: httpx.Client) -> None:
    alice = register(http, "alice")
    body = {"type": "m.login.password", "password": "correct horse battery"}
    body["identifier"] = {"type": "m.id.user", "user": "alice"}  # type: ignore[assignment]
    answer = http.post("/_matrix/client/v3/login", json=body)
    assert answer.http_version == "HTTP/2"
    assert answer.json()["user_id"] == "@alice:example.org"
    first = http.get("/_matrix/client/v3/sync", headers=alice).json()
    # A long poll that nothing ends.
    began = time.monotonic()
    path = f"/_matrix/client/v3/sync?timeout=2000&since={first['next_batch']}"
    assert http.get(path, headers=alice).status_code == 200
    assert time.monotonic() - began > 1.9


def test_paths_arrive_as_they_were_sent(http: httpx.Client) -> None:
    bob = register(http, "bob")
    room = http.post("/_matrix/client/v3/createRoom", headers=bob, json={"preset": "private_chat"}).json()
    state = f"/_matrix/client/v3/rooms/{room['room_id']}/state/org.example.thing"
    for key in ("a%2Fb", "a%2F%2Fb", "..%2F..%2Fb", "100%25", "%C3%A9"):
        assert http.put(f"{state}/{key}", headers=bob, json={"key": key}).status_code == 200
        assert http.get(f"{state}/{key}", headers=bob).json() == {"key": key}


def test_uploads_and_those_that_are_too_large(proxied: Proxied) -> None:
    with proxied.client(http2=False) as http:
        carol = register(http, "carol")
        # nginx says that it keeps a connection, and closes it where it has not taken all of a body.
        close = {"Connection": "close"}
        upload = "/_matrix/media/v3/upload"
        content = b"x" * (MAX_UPLOAD - 1)
        uri = http.post(upload, headers=carol, content=content).json()["content_uri"]
        path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        assert http.get(path, headers=carol).content == content
        assert error_of(http.post(upload, headers=carol | close, content=content * 3)) == (413, "M_TOO_LARGE")
        too_large: Any = {"a": "x" * 1024 * 1024}
        answer = http.post("/_matrix/client/v3/createRoom", headers=carol | close, json=too_large)
        assert error_of(answer) == (413, "M_TOO_LARGE")
        assert error_of(http.post(upload, headers=close, content=content)) == (401, "M_MISSING_TOKEN")
        assert http.get("/_matrix/client/v3/account/whoami", headers=carol).status_code == 200


def test_what_is_too_large_over_http2(proxied: Proxied, tmp_path: Path) -> None:
    """By curl: httpx waits for ever to send a body that nobody wants any more."""
    with proxied.client() as http:
        dave = register(http, "dave")
    large = tmp_path / "large"
    large.write_bytes(b"x" * MAX_UPLOAD * 3)
    command = [program("curl"), "-sk", "--http2", "-i", "-H", HOST]
    command += ["-H", f"Authorization: {dave['Authorization']}"]
    url = f"https://127.0.0.1:{proxied.port}/_matrix/media/v3/upload"
    command += ["--max-time", "60", "--data-binary", f"@{large}", url]
    answer = subprocess.run(command, capture_output=True, text=True).stdout
    assert answer.startswith("HTTP/2 413"), answer
    assert "access-control-allow-origin: *" in answer
    assert "M_TOO_LARGE" in answer


def test_browsers_may_ask(http: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    answer = http.options("/_matrix/client/v3/login", headers=asked)
    assert answer.status_code in (200, 204)
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    found = http.get("/.well-known/matrix/client")
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.json()["m.homeserver"] == {"base_url": "https://matrix.example.org"}
    assert error_of(http.get("/_matrix/client/v3/nothing")) == (404, "M_UNRECOGNIZED")


def test_users_sign_in_with_their_browser(http: httpx.Client) -> None:
    page = http.get("/_palpo/account/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["set-cookie"].startswith("__Host-palpo_visit=")
    metadata = http.get("/.well-known/oauth-authorization-server").json()
    assert metadata == http.get("/_matrix/client/v1/auth_metadata").json()
    asked = http.get(metadata["authorization_endpoint"].removeprefix("https://matrix.example.org"))
    assert asked.status_code == 401
    assert "The client is not registered here" in asked.text


def test_a_person_is_told_what_it_is(http: httpx.Client) -> None:
    answer = http.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert "example.org is a Matrix homeserver" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/_synapse/admin/v1/register",
        "/_synapse//admin/v1/register",
        "//_synapse/admin/v1/register",
        "/%5Fsynapse/admin/v1/register",
        "/_matrix/../_synapse/admin/v1/register",
        "/_matrix/..%2F_synapse/admin/v1/register",
        "/_palpo/metrics",
        "/_palpo/health",
        "/_matrix/%2E%2E/_palpo/metrics",
        "/_matrix/..%2F_palpo/metrics",
        "/_palpo/account/../metrics",
        "/_palpo/account/..%2Fmetrics",
        "/_palpo/admin/",
        "//_palpo/metrics",
        "/",
    ],
)
def test_what_is_for_operators_is_refused(proxied: Proxied, path: str) -> None:
    """Asked by curl, since clients tidy up paths."""
    command = [program("curl"), "-sk", "--path-as-is", "-H", HOST, "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"https://127.0.0.1:{proxied.port}{path}"
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    assert done.stdout in ("403", "404")


def test_operators_are_answered_on_the_machine_itself(proxied: Proxied) -> None:
    for path in ("/_synapse/admin/v1/register", "/_palpo/metrics", "/_palpo/health"):
        assert httpx.get(f"{proxied.palpo.url}{path}").status_code == 200


def test_the_clients_address_is_its_own(proxied: Proxied) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.9", verify=False)
    with httpx.Client(transport=transport, base_url=f"https://127.0.0.1:{proxied.port}") as http:
        headers = {"Host": "matrix.example.org", "X-Forwarded-For": "203.0.113.1"}
        http.get("/_matrix/client/versions", headers=headers)
    time.sleep(0.2)
    lines = [line for line in proxied.palpo.log.splitlines() if '"/_matrix/client/versions"' in line]
    assert '"address":"127.0.0.9"' in lines[-1]


def test_plain_http_is_sent_on_to_tls(proxied: Proxied) -> None:
    url = f"http://127.0.0.1:{proxied.plain_port}/_matrix/client/versions?a=%2F"
    answer = httpx.get(url, headers={"Host": "matrix.example.org"})
    assert answer.status_code in (301, 308)
    # Caddy names the port of TLS where it is not the usual one.
    location = answer.headers["location"].replace(f":{proxied.port}/", "/")
    assert location == "https://matrix.example.org/_matrix/client/versions?a=%2F"


@pytest.mark.parametrize("proxy", COMMANDS)
def test_a_server_that_is_away_is_told_of_readably(tmp_path: Path, proxy: str) -> None:
    program(proxy)
    for path in (tmp_path, tmp_path.parent):
        os.chmod(path, 0o755)
    running = Proxied(tmp_path, proxy, "uvicorn")
    try:
        running.palpo.kill()
        with running.client() as http:
            status, errcode = error_of(http.get("/_matrix/client/versions"))
            assert (status in (502, 503), errcode) == (True, "M_UNKNOWN")
    finally:
        running.stop()


def test_traefik_is_told_the_same() -> None:
    """It is in no distribution, so its example is held to what nginx's forwards."""
    told = yaml.safe_load((DEPLOY / "traefik-palpo.yaml").read_text())["http"]
    users, administrators = (told["routers"][name]["rule"] for name in ("palpo", "palpo-administration"))
    nginx = (DEPLOY / "nginx.conf").read_text()
    forwarded = set(re.findall(r"location (?:= )?(/\S*) \{\s+proxy_pass", nginx))
    guarded = set(re.findall(r"location (/\S*) \{\s+# allow", nginx))
    assert set(re.findall(r"Path(?:Prefix)?\(`(.*?)`\)", users)) == forwarded
    assert set(re.findall(r"PathPrefix\(`(.*?)`\)", administrators)) == guarded
    assert "ClientIP(" in administrators
    (server,) = told["services"]["palpo"]["loadBalancer"]["servers"]
    assert server["url"] == "http://127.0.0.1:8008"
    static = yaml.safe_load((DEPLOY / "traefik.yaml").read_text())
    assert all(static["entryPoints"]["websecure"]["http"]["encodedCharacters"].values())
    assert static["providers"]["file"]["filename"].endswith("/traefik-palpo.yaml")
