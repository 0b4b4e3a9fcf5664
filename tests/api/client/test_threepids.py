"""Email addresses of accounts, against a mail server and an identity server of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from palpo.core.errors import BadRequest
from palpo.services.accounts.logins import DeviceChoice
from palpo.services.accounts.registration import Proof
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver
from tests.support.mail import HANG_UP, Mailbox, link_in, mailbox, playing, text_of
from tests.support.post_server import post_server

ADDRESS = "alice@example.org"
NEW_PASSWORD = "another horse battery"


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as running:
        yield running


@pytest.fixture
async def server(tmp_path: Path, box: Mailbox) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, email=box.settings) as running:
        yield running


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")


async def request_token(
    client: Client,
    path: str,
    address: str = ADDRESS,
    *,
    secret: str = "secret",
    attempt: int = 1,
    **more: Any,
) -> dict[str, str]:
    """Ask for a message: the credentials that are good once its link was followed."""
    body = {"client_secret": secret, "email": address, "send_attempt": attempt, **more}
    answer = await client.post(f"{path}/email/requestToken", body)
    return {"sid": answer["sid"], "client_secret": secret}


async def follow(client: Client, link: str) -> Any:
    """Press the button of the page that a link leads to."""
    page = await client.http.get(link)
    assert page.status_code == 200
    assert "<form" in page.text
    return await client.http.post(link)


async def validated(client: Client, box: Mailbox, path: str, **options: Any) -> dict[str, str]:
    credentials = await request_token(client, path, **options)
    assert (await follow(client, link_in(await box.next()))).status_code == 200
    return credentials


def password_auth(client: Client, session: str) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": client.user_id}
    return {
        "type": "m.login.password",
        "identifier": identifier,
        "password": PASSWORD,
        "session": session,
    }


async def add_address(alice: Client, box: Mailbox, address: str = ADDRESS) -> None:
    credentials = await validated(alice, box, "/account/3pid", address=address)
    challenge = await alice.post("/account/3pid/add", credentials, status=401)
    auth = password_auth(alice, challenge["session"])
    assert await alice.post("/account/3pid/add", {**credentials, "auth": auth}) == {}


async def test_adding_and_deleting(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await add_address(alice, box, "Alice@Example.org")
    now = server.clock.now_ms()
    expected = {"medium": "email", "address": ADDRESS, "validated_at": now, "added_at": now}
    assert (await alice.get("/account/3pid"))["threepids"] == [expected]
    gone = await alice.post("/account/3pid/delete", {"medium": "email", "address": ADDRESS})
    assert gone == {"id_server_unbind_result": "no-support"}
    assert (await alice.get("/account/3pid"))["threepids"] == []


async def test_the_message(alice: Client, box: Mailbox) -> None:
    credentials = await request_token(alice, "/account/3pid", next_link="https://app.example/done")
    message = await box.next()
    assert message["To"] == ADDRESS
    assert message["From"] == "Palpo <noreply@test.example>"
    assert "test.example" in message["Subject"]
    add = {**credentials}
    error = await alice.post("/account/3pid/add", add, status=403)
    assert error["errcode"] == "M_THREEPID_AUTH_FAILED", "a link that nobody followed"
    response = await follow(alice, link_in(message))
    assert response.status_code == 303
    assert response.headers["location"] == "https://app.example/done"
    wrong = {**credentials, "client_secret": "another"}
    assert (await alice.post("/account/3pid/add", wrong, status=403))["errcode"] == "M_THREEPID_AUTH_FAILED"


async def test_a_hostile_next_link(alice: Client, box: Mailbox) -> None:
    link = 'https://app.example/"><script>alert(1)</script>'
    await request_token(alice, "/account/3pid", next_link=link)
    response = await follow(alice, link_in(await box.next()))
    assert (response.status_code, response.headers["location"]) == (303, link)
    assert response.content == b""
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_same_attempt_sends_nothing_more(alice: Client, box: Mailbox) -> None:
    first = await request_token(alice, "/account/3pid")
    assert await request_token(alice, "/account/3pid") == first
    assert await request_token(alice, "/account/3pid", attempt=2) == first
    await box.next()
    await box.next()
    assert box.received.empty()


async def test_an_address_is_not_flooded(alice: Client, box: Mailbox) -> None:
    for number in range(5):
        await request_token(alice, "/account/3pid", secret=f"s{number}")
    body = {"client_secret": "s", "email": ADDRESS, "send_attempt": 1}
    error = await alice.post("/account/3pid/email/requestToken", body, status=429)
    assert error["errcode"] == "M_LIMIT_EXCEEDED"


async def test_a_link_works_for_a_while_only(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await request_token(alice, "/account/3pid")
    link = link_in(await box.next())
    assert (await follow(alice, link.replace("token=", "token=x"))).status_code == 400
    server.clock.advance(3600 * 1000)
    assert (await follow(alice, link)).status_code == 400


async def test_an_address_of_somebody_else(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await add_address(alice, box)
    bob = await server.register("bob")
    credentials = await request_token(bob, "/account/3pid", secret="bobs")
    assert "already" in text_of(await box.next())
    error = await bob.post("/account/3pid/add", credentials, status=403)
    assert error["errcode"] == "M_THREEPID_AUTH_FAILED"


async def test_two_who_validate_the_same_address(server: Homeserver, alice: Client, box: Mailbox) -> None:
    bob = await server.register("bob")
    credentials = await validated(bob, box, "/account/3pid", secret="bobs")
    await add_address(alice, box)
    challenge = await bob.post("/account/3pid/add", credentials, status=401)
    auth = password_auth(bob, challenge["session"])
    error = await bob.post("/account/3pid/add", {**credentials, "auth": auth}, status=400)
    assert error["errcode"] == "M_THREEPID_IN_USE"


async def test_logging_in_by_address(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await add_address(alice, box)
    for address, status in (("ALICE@example.org", 200), ("bob@example.org", 403), ("@alice", 403)):
        identifier = {"type": "m.id.thirdparty", "medium": "email", "address": address}
        body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        answer = await server.client().post("/login", body, status=status)
        assert answer.get("user_id") == (alice.user_id if status == 200 else None)
    old = {"type": "m.login.password", "medium": "email", "address": ADDRESS, "password": PASSWORD}
    assert (await server.client().post("/login", old))["user_id"] == alice.user_id
    untyped = {"type": "m.login.password", "identifier": {"medium": "email", "address": ADDRESS}}
    answer = await server.client().post("/login", {**untyped, "password": PASSWORD})
    assert answer["user_id"] == alice.user_id


async def test_confirming_by_address(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await add_address(alice, box)
    body = {"new_password": NEW_PASSWORD, "logout_devices": False}
    for address, status in (("nobody@example.org", 401), (ADDRESS, 200)):
        identifier = {"type": "m.id.thirdparty", "medium": "email", "address": address}
        auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        answer = await alice.post("/account/password", {**body, "auth": auth}, status=status)
        assert answer.get("errcode") == (None if status == 200 else "M_FORBIDDEN")
    old = {"type": "m.login.password", "medium": "email", "address": ADDRESS, "password": NEW_PASSWORD}
    await alice.post("/account/password", {**body, "auth": old})
    bob = await server.register("bob")
    await bob.post("/account/password", {**body, "auth": old}, status=403)


async def test_a_password_is_reset(server: Homeserver, alice: Client, box: Mailbox) -> None:
    await add_address(alice, box)
    nobody = server.client()
    credentials = await validated(nobody, box, "/account/password", secret="reset")
    body = {"new_password": NEW_PASSWORD}
    challenge = await nobody.post("/account/password", body, status=401)
    assert challenge["flows"] == [{"stages": ["m.login.email.identity"]}]
    auth = {
        "type": "m.login.email.identity",
        "threepid_creds": credentials,
        "session": challenge["session"],
    }
    assert await nobody.post("/account/password", {**body, "auth": auth}) == {}
    await alice.get("/account/whoami", status=401)
    identifier = {"type": "m.id.user", "user": "alice"}
    login = {"type": "m.login.password", "identifier": identifier, "password": NEW_PASSWORD}
    assert (await nobody.post("/login", login))["user_id"] == alice.user_id
    again = await nobody.post("/account/password", {**body, "auth": {**auth, "session": None}}, status=401)
    assert again["errcode"] == "M_THREEPID_AUTH_FAILED", "it is good once"


async def test_a_validation_for_something_else_resets_nothing(
    server: Homeserver, alice: Client, box: Mailbox
) -> None:
    credentials = await validated(alice, box, "/account/3pid", secret="first")
    await add_address(alice, box)
    auth = {"type": "m.login.email.identity", "threepid_creds": credentials}
    body = {"new_password": NEW_PASSWORD, "auth": auth}
    error = await server.client().post("/account/password", body, status=403)
    assert error["errcode"] == "M_THREEPID_AUTH_FAILED"


async def test_an_unknown_address_is_told_so_by_mail_only(server: Homeserver, box: Mailbox) -> None:
    await request_token(server.client(), "/account/password", "nobody@example.org")
    assert "no account" in text_of(await box.next())


async def test_registering_with_an_address(server: Homeserver, box: Mailbox) -> None:
    client = server.client()
    credentials = await validated(client, box, "/register", address="bob@example.org")
    body = {"username": "bob", "password": PASSWORD}
    challenge = await client.post("/register", body, status=401)
    flows = [flow["stages"] for flow in challenge["flows"]]
    assert flows == [["m.login.dummy"], ["m.login.email.identity"]]
    auth = {
        "type": "m.login.email.identity",
        "threepid_creds": credentials,
        "session": challenge["session"],
    }
    answer = await client.post("/register", {**body, "auth": auth})
    bob = Client(server.http, answer["user_id"], answer["access_token"])
    assert [item["address"] for item in (await bob.get("/account/3pid"))["threepids"]] == ["bob@example.org"]
    challenge = await bob.post("/account/deactivate", {}, status=401)
    await bob.post("/account/deactivate", {"auth": password_auth(bob, challenge["session"])})
    again = await validated(client, box, "/register", address="bob@example.org", secret="again")
    assert again["sid"] != credentials["sid"], "the address is free again"


async def test_an_address_that_is_taken_meanwhile_makes_no_account(
    server: Homeserver, alice: Client, box: Mailbox
) -> None:
    credentials = await validated(alice, box, "/register")
    services = server.services
    address = await services.accounts.threepids.validated(credentials["sid"], credentials["client_secret"])
    await services.accounts.threepids.add(alice.user_id, address)
    proof = Proof(uia_session="session", address=address)
    with pytest.raises(BadRequest, match="in use"):
        await services.accounts.registration.register("bob", PASSWORD, DeviceChoice(), proof=proof)
    await server.register("bob")


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address"},
        {"email": "two@example.org, three@example.org"},
        {"email": "line@example.org\r\nBcc: x@example.org"},
        {"email": "a" * 300 + "@example.org"},
        {"email": "nul\0@example.org"},
        {"client_secret": ""},
        {"client_secret": "with space"},
        {"next_link": "javascript:alert(1)"},
        {"next_link": "https://example.org/\r\nX: y"},
    ],
)
async def test_odd_requests(alice: Client, body: dict[str, Any]) -> None:
    whole = {"client_secret": "s", "email": ADDRESS, "send_attempt": 1, **body}
    error = await alice.post("/account/3pid/email/requestToken", whole, status=400)
    assert error["errcode"] == "M_INVALID_PARAM"


async def test_a_mail_server_that_refuses(alice: Client, box: Mailbox) -> None:
    body = {"client_secret": "s", "email": ADDRESS, "send_attempt": 1}
    box.refuse = "550 No such mailbox"
    error = await alice.post("/account/3pid/email/requestToken", body, status=403)
    assert error["errcode"] == "M_THREEPID_DENIED"
    box.refuse = "451 Later"
    await alice.post("/account/3pid/email/requestToken", body, status=503)
    box.refuse = ""
    await alice.post("/account/3pid/email/requestToken", body)
    await box.next()


async def test_the_capability(alice: Client) -> None:
    capabilities = (await alice.get("/capabilities"))["capabilities"]
    assert capabilities["m.3pid_changes"] == {"enabled": True}


async def test_identity_servers(tmp_path: Path) -> None:
    async with post_server() as identity:
        settings = {
            "network": {"allow": ["127.0.0.0/8"]},
            "identity_servers": [{"name": "id.example", "url": identity.url}],
        }
        async with homeserver(tmp_path, **settings) as server:
            alice = await server.register("alice")
            creds = {"client_secret": "s", "sid": "1", "id_server": "id.example", "id_access_token": "t"}
            identity.answer = {"medium": "email", "address": ADDRESS, "mxid": alice.user_id}
            assert await alice.post("/account/3pid/bind", creds) == {}
            request = await identity.next()
            assert request.path == "/_matrix/identity/v2/3pid/bind"
            assert request.headers["authorization"] == "Bearer t"
            assert request.body == {"sid": "1", "client_secret": "s", "mxid": alice.user_id}
            gone = await alice.post("/account/3pid/unbind", {"medium": "email", "address": ADDRESS})
            assert gone == {"id_server_unbind_result": "success"}
            request = await identity.next()
            assert request.headers["authorization"].startswith('X-Matrix origin="test.example",')
            assert request.body["threepid"] == {"medium": "email", "address": ADDRESS}
            identity.status, identity.answer = 404, {"errcode": "M_NO_VALID_SESSION", "error": "No"}
            error = await alice.post("/account/3pid/bind", creds, status=404)
            assert error["errcode"] == "M_NO_VALID_SESSION"
            old = await alice.post("/account/3pid", {"three_pid_creds": creds}, status=403)
            assert old["errcode"] == "M_THREEPID_AUTH_FAILED"


@pytest.mark.parametrize(
    ("status", "id_server", "result"),
    [
        (200, None, "success"),
        (200, "id.example", "success"),
        (404, None, "no-support"),
        (500, None, "no-support"),
        (200, "unknown.example", "no-support"),
    ],
)
async def test_deactivating_unbinds(tmp_path: Path, status: int, id_server: str | None, result: str) -> None:
    async with post_server() as identity:
        settings = {
            "network": {"allow": ["127.0.0.0/8"]},
            "identity_servers": [{"name": "id.example", "url": identity.url}],
        }
        async with homeserver(tmp_path, **settings) as server:
            alice = await server.register("alice")
            creds = {"client_secret": "s", "sid": "1", "id_server": "id.example", "id_access_token": "t"}
            identity.answer = {"medium": "email", "address": ADDRESS, "mxid": alice.user_id}
            await alice.post("/account/3pid/bind", creds)
            await identity.next()
            identity.status = status
            body = {"auth": password_auth(alice, ""), "id_server": id_server}
            del body["auth"]["session"]
            assert await alice.post("/account/deactivate", body) == {"id_server_unbind_result": result}
            if id_server != "unknown.example":
                assert (await identity.next()).body["mxid"] == alice.user_id
            await alice.get("/account/whoami", status=401)


async def test_a_secret_that_is_no_ascii(alice: Client, box: Mailbox) -> None:
    credentials = await validated(alice, box, "/account/3pid")
    for secret in ("sëcret", ""):
        error = await alice.post("/account/3pid/add", {**credentials, "client_secret": secret}, status=403)
        assert error["errcode"] == "M_THREEPID_AUTH_FAILED"


async def test_a_message_that_perhaps_went_out_is_sent_again_and_its_link_is_good(tmp_path: Path) -> None:
    async with (
        playing(MESSAGE=HANG_UP) as (silent, messages),
        homeserver(tmp_path, email=silent.settings) as server,
    ):
        client = server.client()
        body = {"client_secret": "secret", "email": ADDRESS, "send_attempt": 1}
        for _ in range(2):
            await client.post("/register/email/requestToken", body, status=503)
        assert len(messages) == 2
        sent = message_from_bytes(messages[-1], policy=policy.default)
        assert isinstance(sent, EmailMessage)
        assert (await follow(client, link_in(sent))).status_code == 200
