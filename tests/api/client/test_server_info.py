"""What the server says of itself."""

import base64
import hashlib
import hmac
import re
from pathlib import Path

from tests.support.homeserver import Client, Homeserver, homeserver


async def test_versions(server: Homeserver) -> None:
    answer = await server.client().request("GET", "/client/versions")
    assert all(re.fullmatch(r"r0\.\d+\.\d+|v1\.\d+", version) for version in answer["versions"])
    assert {"r0.6.1", "v1.1", "v1.12"} <= set(answer["versions"])
    assert all(value is True for value in answer["unstable_features"].values())


async def test_proposals_that_clients_look_for(server: Homeserver) -> None:
    """matrix-js-sdk uses these only where they are announced."""
    answer = await server.client().request("GET", "/client/versions")
    assert {
        "org.matrix.msc3882",
        "org.matrix.msc4140",
        "org.matrix.simplified_msc3575",
        "uk.half-shot.msc2666.query_mutual_rooms",
    } <= set(answer["unstable_features"])


async def test_capabilities(server: Homeserver, alice: Client) -> None:
    capabilities = (await alice.get("/capabilities"))["capabilities"]
    assert capabilities["m.change_password"] == {"enabled": True}
    versions = capabilities["m.room_versions"]
    assert versions["available"][versions["default"]] == "stable"
    assert "m.account_moderation" not in capabilities
    delayed = capabilities["org.matrix.msc4140.delayed_events"]
    assert delayed == {"max_delay_ms": 24 * 3600 * 1000, "max_scheduled": 100}
    await server.client().get("/capabilities", status=401)


async def test_capabilities_of_guests(server: Homeserver) -> None:
    answer = await server.client().post("/register", params={"kind": "guest"})
    guest = Client(server.http, token=answer["access_token"])
    capabilities = (await guest.get("/capabilities"))["capabilities"]
    assert capabilities["m.change_password"] == {"enabled": False}
    assert capabilities["m.profile_fields"]["allowed"] == ["displayname"]


async def test_nothing_is_discovered_where_nothing_is_configured(server: Homeserver, alice: Client) -> None:
    for name in ("client", "server", "support", "policy_server"):
        answer = await server.client().request("GET", f"//.well-known/matrix/{name}", status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
    assert await alice.get("/voip/turnServer") == {}


async def test_discovery(tmp_path: Path) -> None:
    well_known = {
        "server": "matrix.test.example:443",
        "support_page": "https://test.example/help",
        "admin_email": "admin@test.example",
        "security_email": "security@test.example",
    }
    async with homeserver(tmp_path, well_known=well_known) as server:
        client = server.client()
        answer = await client.request("GET", "//.well-known/matrix/server")
        assert answer == {"m.server": "matrix.test.example:443"}
        assert await client.request("GET", "//.well-known/matrix/support") == {
            "contacts": [
                {"role": "m.role.admin", "email_address": "admin@test.example"},
                {"role": "m.role.security", "email_address": "security@test.example"},
            ],
            "support_page": "https://test.example/help",
        }


async def test_policy_server(tmp_path: Path) -> None:
    key = "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s"
    async with homeserver(tmp_path, well_known={"policy_server_key": key}) as server:
        answer = await server.client().request("GET", "//.well-known/matrix/policy_server")
        assert answer == {"public_keys": {"ed25519": key}}


async def test_rtc_transports(tmp_path: Path) -> None:
    path = "/client/unstable/org.matrix.msc4143/rtc/transports"
    livekit = {"type": "livekit", "livekit_service_url": "https://livekit.test.example"}
    rtc = {"transports": [livekit]}
    async with homeserver(tmp_path, rtc=rtc, public_url="https://test.example") as server:
        alice = await server.register("alice")
        assert await alice.request("GET", path) == {"rtc_transports": [livekit]}
        await server.client().request("GET", path, status=401)
        discovery = await server.client().request("GET", "//.well-known/matrix/client")
        assert discovery["m.homeserver"] == {"base_url": "https://test.example"}
        assert discovery["org.matrix.msc4143.rtc_foci"] == [livekit]


async def test_no_rtc_transports(alice: Client) -> None:
    path = "/client/unstable/org.matrix.msc4143/rtc/transports"
    assert await alice.request("GET", path) == {"rtc_transports": []}


async def test_turn(tmp_path: Path) -> None:
    turn = {"uris": ["turn:turn.test.example"], "shared_secret": "s", "lifetime_seconds": 600}
    async with homeserver(tmp_path, turn=turn) as server:
        alice = await server.register("alice")
        answer = await alice.get("/voip/turnServer")
        assert answer["username"] == f"{1_700_000_000 + 600}:{alice.user_id}"
        mac = hmac.new(b"s", answer["username"].encode(), hashlib.sha1).digest()
        assert base64.b64decode(answer["password"]) == mac
        assert answer["uris"] == ["turn:turn.test.example"]
        assert answer["ttl"] == 600


async def test_federation_version(server: Homeserver) -> None:
    answer = await server.client().request("GET", "/federation/v1/version")
    assert answer["server"]["name"] == "Palpo"
