"""Logging in by a JSON Web Token."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.sign_on.support import serving
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.one_database

SECRET = "a secret that is long enough for HS256"
RSA = RSAKey.generate_key(2048)
NOW = int(time.time())


def token(key: Any = None, algorithm: str = "HS256", **claims: Any) -> str:
    given = {"sub": "alice", "exp": int(time.time()) + 300, **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode({"alg": algorithm}, given, key or OctKey.import_key(SECRET), algorithms=[algorithm])


async def log_in(server: Homeserver, made: str, status: int = 200) -> Any:
    body = {"type": "org.matrix.login.jwt", "token": made}
    return await server.client().post("/login", body, status=status)


def config(**settings: Any) -> dict[str, Any]:
    return {"enabled": True, "secret": SECRET, **settings}


async def test_a_new_user_and_again(tmp_path: Path) -> None:
    async with serving(tmp_path, jwt=config(display_name_claim="name")) as server:
        flows = (await server.client().get("/login"))["flows"]
        assert {"type": "org.matrix.login.jwt"} in flows
        first = await log_in(server, token(name="Alice"))
        assert first["user_id"] == "@alice:test.example"
        profile = await server.client().get("/profile/@alice:test.example")
        assert profile["displayname"] == "Alice"
        assert (await log_in(server, token()))["user_id"] == first["user_id"]
        await server.services.accounts.accounts.set_flags(first["user_id"], locked=True)
        await log_in(server, token(), status=401)


async def test_nobody_new_where_no_accounts_are_made(tmp_path: Path) -> None:
    async with serving(tmp_path, jwt=config(registration=False)) as server:
        await log_in(server, token(), status=403)


WRONG = [
    "",
    "a.b.c",
    "x" * 20_000,
    token(OctKey.import_key("another secret that is long enough for it")),
    token(sub=None),
    token(sub=""),
    token(sub=7),
    token(sub="@alice:test.example"),
    token(sub="Not/a name!"),
    token(exp=NOW - 100),
    token(exp="soon"),
    token(nbf=NOW + 1000),
    token(iat=NOW + 1000),
    token(aud="somebody"),
    # Its header says that it needs no signature.
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.",
    token(algorithm="HS512"),
]


@pytest.mark.parametrize("made", WRONG)
async def test_tokens_that_are_not_good(tmp_path: Path, made: str) -> None:
    async with serving(tmp_path, jwt=config()) as server:
        await log_in(server, made, status=403)


async def test_issuer_audience_and_age(tmp_path: Path) -> None:
    settings = config(issuer="us", audiences=["palpo", "other"], max_age_seconds=60)
    async with serving(tmp_path, jwt=settings) as server:
        good = {"iss": "us", "aud": ["x", "palpo"], "iat": int(time.time())}
        await log_in(server, token(**good))
        for wrong in (
            {"iss": "them"},
            {"iss": None},
            {"aud": "x"},
            {"aud": None},
            {"iat": NOW - 300},
            {"iat": None},
        ):
            await log_in(server, token(**{**good, **wrong}), status=403)


async def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    """Who signs with the public key as if it were a secret is refused."""
    file = tmp_path / "key.pem"
    file.write_bytes(RSA.as_pem(private=False))
    settings = config(secret="", key_file=str(file), algorithms=["RS256"])
    async with serving(tmp_path, jwt=settings) as server:
        await log_in(server, token(RSA, "RS256"))
        await log_in(server, token(OctKey.import_key(SECRET)), status=403)


async def test_it_is_off_unless_it_is_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await log_in(server, token(), status=400)
