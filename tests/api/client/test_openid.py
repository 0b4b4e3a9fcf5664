"""OpenID tokens."""

from __future__ import annotations

import pytest

from palpo.core.errors import UnknownToken
from tests.support.homeserver import Client, Homeserver


async def test_a_token_is_who_asked_for_it(server: Homeserver, alice: Client, bob: Client) -> None:
    path = f"/user/{alice.user_id}/openid/request_token"
    token = await alice.post(path)
    assert (token["token_type"], token["matrix_server_name"]) == ("Bearer", "test.example")
    url = f"/federation/v1/openid/userinfo?access_token={token['access_token']}"
    nobody = server.client()
    assert await nobody.request("GET", url) == {"sub": alice.user_id}
    await bob.post(path, status=403)
    await Client(server.http, token=token["access_token"]).get("/account/whoami", status=401)
    server.clock.advance(token["expires_in"] * 1000)
    assert (await nobody.request("GET", url, status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    await nobody.request("GET", "/federation/v1/openid/userinfo", status=400)


async def test_tokens_of_who_is_locked_or_gone(server: Homeserver, alice: Client) -> None:
    token = (await alice.post(f"/user/{alice.user_id}/openid/request_token"))["access_token"]
    services = server.services
    assert await services.accounts.openid.user_of(token) == alice.user_id
    await services.accounts.accounts.set_flags(alice.user_id, locked=True)
    with pytest.raises(UnknownToken):
        await services.accounts.openid.user_of(token)
    await services.accounts.accounts.set_flags(alice.user_id, locked=False)
    await services.accounts.accounts.deactivate(alice.user_id, erase=False)
    with pytest.raises(UnknownToken):
        await services.accounts.openid.user_of(token)
