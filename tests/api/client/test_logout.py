"""POST /logout and /logout/all."""

from tests.support.homeserver import Client, Homeserver


async def test_logout(server: Homeserver, alice: Client) -> None:
    other = await server.login("alice")
    await alice.post("/logout")
    assert (await alice.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    assert (await other.get("/account/whoami"))["device_id"] == other.device_id


async def test_logout_everywhere(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("alice")
    await other.get("/account/whoami")
    await alice.post("/logout/all")
    for client in (alice, other):
        assert (await client.get("/account/whoami", status=401))["errcode"] == "M_UNKNOWN_TOKEN"
    await bob.get("/account/whoami")


async def test_needs_a_token(server: Homeserver) -> None:
    assert (await server.client().post("/logout", status=401))["errcode"] == "M_MISSING_TOKEN"
    assert (await Client(server.http, token="x").post("/logout/all", status=401))[
        "errcode"
    ] == "M_UNKNOWN_TOKEN"
