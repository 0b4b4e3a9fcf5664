"""Who guesses at accounts and passwords: nobody is told which there are, and nobody guesses for long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palpo.services.accounts.passwords import Passwords
from tests.support.browser import Browser
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

LOGIN = "/_palpo/account/login"
LIMITS = {
    "enabled": True,
    "login": {"per_second": 0.001, "burst": 3},
    "registration": {"per_second": 9, "burst": 9},
}


def by_password(user: str, password: str = "guess") -> dict[str, Any]:
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    }


async def test_enumeration_by_what_is_answered(tmp_path: Path) -> None:
    """Whether there is such an account, one without a password, or none: it is all the same."""
    async with homeserver(tmp_path) as server:
        await server.register("alice")
        found = [
            await server.client().post("/login", by_password(user), status=403)
            for user in (
                "alice",
                "nobody",
                "@nobody:test.example",
                "@alice:elsewhere.example",
                "ALICE",
                "a b",
            )
        ]
        assert all(answer == found[0] for answer in found)


async def test_enumeration_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash is computed for an account that is not there too; nothing is measured, it is counted."""
    computed: list[str] = []
    before = Passwords._verify

    def counted(self: Passwords, password: bytes, hash_: str | None) -> bool:
        right = before(self, password, hash_)
        computed.append("right" if right else "wrong")
        return right

    monkeypatch.setattr(Passwords, "_verify", counted)
    async with homeserver(tmp_path) as server:
        await server.register("alice")
        browser = Browser(server)
        for user in "alice", "nobody":
            computed.clear()
            await server.client().post("/login", by_password(user), status=403)
            await browser.sign_in(user, password="guess")
            assert computed == ["wrong", "wrong"], user


async def test_throttling_of_an_account_by_all_ways_together(tmp_path: Path) -> None:
    """What is guessed by the API and on the page comes from one budget, from wherever it is."""
    async with homeserver(tmp_path, rate_limits=LIMITS, http={"trusted_proxies": ["127.0.0.1"]}) as server:
        alice = await server.register("alice")
        await server.register("bob")
        statuses = []
        for number in range(4):
            address = {"X-Forwarded-For": f"192.0.2.{number}"}
            if number % 2:
                browser = Browser(server)
                browser.http.headers.update(address)
                statuses.append((await browser.sign_in("alice", password="guess")).status_code)
            else:
                user = "alice" if number else "@alice:test.example"
                answer = await server.http.post(
                    "/_matrix/client/v3/login", json=by_password(user), headers=address
                )
                statuses.append(answer.status_code)
        assert statuses == [403, 403, 403, 429]
        # Others, and whoever is logged in already, are not locked out by that.
        headers = {"X-Forwarded-For": "192.0.2.99"}
        await server.client().post("/login", by_password("bob", PASSWORD), headers=headers)
        auth = by_password("alice", PASSWORD)
        await alice.post(
            "/account/password", {"new_password": "a new password", "auth": auth}, headers=headers
        )


async def test_throttling_of_who_has_stolen_a_token(tmp_path: Path) -> None:
    """User-interactive auth asks for the password: guesses at it are counted too."""
    async with homeserver(tmp_path, rate_limits=LIMITS) as server:
        alice = await server.register("alice")
        statuses = []
        for _ in range(5):
            body = {"new_password": "mine from now on", "auth": by_password("alice")}
            answer = await alice.http.post(
                "/_matrix/client/v3/account/password",
                json=body,
                headers={"Authorization": f"Bearer {alice.token}"},
            )
            statuses.append(answer.status_code)
        assert statuses[:3] == [401, 401, 401]
        assert statuses[-1] == 429


async def test_throttling_of_an_address_by_the_api(tmp_path: Path) -> None:
    async with homeserver(tmp_path, rate_limits=LIMITS) as server:
        statuses = []
        for number in range(5):
            body = by_password(f"user{number}")
            statuses.append((await server.http.post("/_matrix/client/v3/login", json=body)).status_code)
        assert statuses == [403, 403, 403, 429, 429]
        # An address that a client makes up is not believed: it comes through no proxy of ours.
        headers = {"X-Forwarded-For": "192.0.2.7"}
        answer = await server.http.post("/_matrix/client/v3/login", json=by_password("x"), headers=headers)
        assert answer.status_code == 429


@pytest.mark.parametrize("what", ["//_synapse/admin/v2/users/{}", "//_synapse/admin/v1/whois/{}"])
async def test_enumeration_by_what_is_for_administrators(tmp_path: Path, what: str) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        found = [
            await alice.request("GET", what.format(user), status=403)
            for user in ("@bob:test.example", "@nobody:test.example")
        ]
        assert found[0] == found[1]


async def test_empty_passwords_and_such(tmp_path: Path) -> None:
    """Who has an account without a password signs in by none."""
    async with homeserver(tmp_path) as server:
        await without_password(server)
        for password in "", "\0", "None", "null", " ":
            await server.client().post("/login", by_password("alice", password), status=403)


async def without_password(server: Homeserver) -> Client:
    from palpo.db.transaction import WriteTransaction

    async def nothing(tx: WriteTransaction) -> None:
        """There is nothing to add."""

    registration = server.services.accounts.registration
    await registration.register_linked(registration.user_id("alice"), nothing)
    return server.client()
