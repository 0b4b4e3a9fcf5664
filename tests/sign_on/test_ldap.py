"""Logging in with a password that a directory knows: Debian's slapd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sign_on import slapd
from tests.sign_on.slapd import Slapd
from tests.sign_on.support import serving
from tests.support.authority import Authority
from tests.support.homeserver import PASSWORD, Homeserver

pytestmark = pytest.mark.one_database

WONDERLAND = "in wonderland"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    folder = tmp_path_factory.mktemp("slapd")
    with slapd.running(folder, Authority(folder)) as running:
        yield running


async def log_in(
    server: Homeserver, user: str, password: str = WONDERLAND, status: int = 200
) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    body = {"type": "m.login.password", "identifier": identifier, "password": password}
    answer: dict[str, Any] = await server.client().post("/login", body, status=status)
    return answer


WAYS: list[dict[str, Any]] = [
    {},
    {"bind_dn": "", "bind_password": ""},
    {"bind_dn_template": f"uid={{username}},{slapd.BASE}", "base": ""},
    {"uri": "plain", "start_tls": True},
    {"uri": "plain", "start_tls": False, "plain_text": True},
]


@pytest.mark.parametrize("settings", WAYS)
async def test_a_new_user_and_again(tmp_path: Path, directory: Slapd, settings: dict[str, Any]) -> None:
    given = directory.config(**settings)
    if given["uri"] == "plain":
        given["uri"] = directory.plain
    async with serving(tmp_path, ldap=[given]) as server:
        first = await log_in(server, "alice")
        assert first["user_id"] == "@alice:test.example"
        assert (await log_in(server, "@alice:test.example"))["user_id"] == first["user_id"]
        profile = await server.client().get("/profile/@alice:test.example")
        assert profile["displayname"] == "Alice"
        await log_in(server, "alice", "wrong", 403)


async def test_an_empty_password_is_nobodys(tmp_path: Path, directory: Slapd) -> None:
    """A directory says yes to who gives none: that is nobody in particular."""
    ways = [directory.config(), directory.config(id="b", bind_dn_template=f"uid={{username}},{slapd.BASE}")]
    async with serving(tmp_path, ldap=ways) as server:
        await log_in(server, "alice", "", 403)


async def test_ldap_injection(tmp_path: Path, directory: Slapd) -> None:
    ways = [directory.config(), directory.config(id="b", bind_dn_template=f"uid={{username}},{slapd.BASE}")]
    async with serving(tmp_path, ldap=ways) as server:
        for name in "*", "a*", "alice)(cn=*", "alice,ou=people", "alice\\2a", "(", "x" * 300, "alice\u0000":
            await log_in(server, name, status=403)


async def test_passwords_of_this_server_work_beside(tmp_path: Path, directory: Slapd) -> None:
    async with serving(tmp_path, ldap=[directory.config()]) as server:
        await server.register("carol")
        await log_in(server, "carol", PASSWORD)
        await log_in(server, "carol", "wrong", 403)


async def test_a_name_that_somebody_has_is_not_taken_over(tmp_path: Path, directory: Slapd) -> None:
    async with serving(tmp_path, ldap=[directory.config()]) as server:
        await server.register("alice")
        await log_in(server, "alice", status=403)
        await log_in(server, "alice", PASSWORD)


async def test_an_account_that_was_there_is_linked_where_that_is_allowed(
    tmp_path: Path, directory: Slapd
) -> None:
    settings = {"allow_existing_users": True, "localpart_template": "{{ user.uid }}"}
    async with serving(tmp_path, ldap=[directory.config(**settings)]) as server:
        await server.register("alice")
        assert (await log_in(server, "alice"))["user_id"] == "@alice:test.example"


async def test_who_lacks_an_attribute_is_refused(tmp_path: Path, directory: Slapd) -> None:
    settings = {"require": {"title": ["guest"]}, "attributes": ["uid", "cn", "title"]}
    async with serving(tmp_path, ldap=[directory.config(**settings)]) as server:
        await log_in(server, "alice", status=403)
        await log_in(server, "bob", "the builder")


async def test_who_may_search_is_wrong(tmp_path: Path, directory: Slapd) -> None:
    async with serving(tmp_path, ldap=[directory.config(bind_password="wrong")]) as server:
        await log_in(server, "alice", status=503)


async def test_a_directory_that_nobody_trusts(tmp_path: Path, directory: Slapd) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    for uri in directory.tls, directory.plain:
        settings = directory.config(uri=uri, ca_file=str(other.file))
        async with serving(tmp_path, ldap=[settings]) as server:
            await log_in(server, "alice", status=503)


async def test_a_directory_that_is_not_there(tmp_path: Path, directory: Slapd) -> None:
    settings = directory.config(uri="ldaps://localhost:1", timeout_seconds=1)
    async with serving(tmp_path, ldap=[settings]) as server:
        await server.register("carol")
        await log_in(server, "carol", PASSWORD)
        await log_in(server, "alice", status=503)


async def test_guesses_are_counted(tmp_path: Path, directory: Slapd) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.01, "burst": 3}}
    async with serving(tmp_path, ldap=[directory.config()], rate_limits=limits) as server:
        statuses = []
        for _ in range(5):
            identifier = {"type": "m.id.user", "user": "alice"}
            body = {"type": "m.login.password", "identifier": identifier, "password": "wrong"}
            statuses.append((await server.http.post("/_matrix/client/v3/login", json=body)).status_code)
        assert statuses[0] == 403
        assert statuses[-1] == 429


async def test_user_interactive_auth_by_the_directorys_password(tmp_path: Path, directory: Slapd) -> None:
    async with serving(tmp_path, ldap=[directory.config()]) as server:
        session = await log_in(server, "alice")
        alice = server.client()
        alice.token = session["access_token"]
        assert (await alice.post("/account/deactivate", {}, status=401))["flows"] == [
            {"stages": ["m.login.password"]}
        ]
        auth = {"type": "m.login.password", "password": "wrong"}
        await alice.post("/account/deactivate", {"auth": auth}, status=401)
        await alice.post("/account/deactivate", {"auth": {**auth, "password": WONDERLAND}})
        await log_in(server, "alice", status=403)
