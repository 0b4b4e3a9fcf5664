"""User-interactive auth, as a handler uses it."""

from collections.abc import Sequence
from typing import Any

import pytest

from palpo.core.errors import BadRequest, Forbidden, InteractiveAuth, InvalidParam
from palpo.services.accounts.user_interactive_auth import Auth, Flow, UserInteractiveAuth
from tests.support.homeserver import PASSWORD, Client, Homeserver

DUMMY = "m.login.dummy"
KNOCK = "org.example.knock"
TWO_STAGES: Sequence[Flow] = [(KNOCK, DUMMY), (KNOCK, "m.login.password")]


class Knock:
    """A stage that wants to be asked nicely, and says so in its parameters."""

    def params(self, user_id: str | None) -> dict[str, Any] | None:
        return {"hint": "please"}

    async def check(self, auth: Auth, user_id: str | None) -> None:
        if auth.get("word") != "please":
            raise Forbidden("Ask nicely")


@pytest.fixture
def uia(server: Homeserver) -> UserInteractiveAuth:
    service = server.services.accounts.interactive_auth
    service._stages[KNOCK] = Knock()
    return service


async def challenged(uia: UserInteractiveAuth, operation: str, auth: Auth | None) -> dict[str, Any]:
    with pytest.raises(InteractiveAuth) as caught:
        await uia.authorise(operation, auth, TWO_STAGES)
    assert caught.value.status == 401
    return caught.value.body()


async def test_stages_in_order(uia: UserInteractiveAuth) -> None:
    first = await challenged(uia, "op", None)
    assert first["flows"] == [{"stages": list(flow)} for flow in TWO_STAGES]
    assert first["params"] == {KNOCK: {"hint": "please"}}
    assert "completed" not in first
    session = first["session"]
    early = await challenged(uia, "op", {"type": DUMMY, "session": session})
    assert early["errcode"] == "M_FORBIDDEN"
    failed = await challenged(uia, "op", {"type": KNOCK, "session": session})
    assert failed["errcode"] == "M_FORBIDDEN"
    assert failed["session"] == session
    half = await challenged(uia, "op", {"type": KNOCK, "word": "please", "session": session})
    assert half["completed"] == [KNOCK]
    assert "errcode" not in half
    # A stage that is complete is not tried again.
    again = await challenged(uia, "op", {"type": KNOCK, "session": session})
    assert again["completed"] == [KNOCK]
    assert "errcode" not in again
    await uia.authorise("op", {"type": DUMMY, "session": session}, TWO_STAGES)
    spent = await challenged(uia, "op", {"session": session})
    assert "completed" not in spent


async def test_session_is_bound_to_its_operation(uia: UserInteractiveAuth) -> None:
    session = (await challenged(uia, "op", None))["session"]
    await challenged(uia, "op", {"type": KNOCK, "word": "please", "session": session})
    other = await challenged(uia, "another op", {"type": DUMMY, "session": session})
    assert other["errcode"] == "M_FORBIDDEN"
    assert other["session"] != session
    await uia.authorise("op", {"type": DUMMY, "session": session}, TWO_STAGES)


async def test_sessions_expire(server: Homeserver, uia: UserInteractiveAuth) -> None:
    session = (await challenged(uia, "op", None))["session"]
    await challenged(uia, "op", {"type": KNOCK, "word": "please", "session": session})
    server.clock.advance(15 * 60_000)
    late = await challenged(uia, "op", {"type": DUMMY, "session": session})
    assert late["errcode"] == "M_FORBIDDEN"
    assert "completed" not in late


@pytest.mark.parametrize("session", ["", "x", "é", "A" * 100, "A" * 10_000, "=" * 8])
async def test_made_up_sessions(uia: UserInteractiveAuth, session: str) -> None:
    answer = await challenged(uia, "op", {"type": KNOCK, "word": "please", "session": session})
    assert answer["session"] != session
    with pytest.raises(BadRequest):
        await uia.complete_elsewhere(session, DUMMY, {})


async def test_malformed_auth(uia: UserInteractiveAuth) -> None:
    with pytest.raises(InvalidParam):
        await uia.authorise("op", {"type": KNOCK, "session": 1}, TWO_STAGES)
    unknown: list[Any] = [1, [], "org.example.other"]
    for stage_type in unknown:
        assert (await challenged(uia, "op", {"type": stage_type}))["errcode"] == "M_UNRECOGNIZED"


async def test_without_a_session(uia: UserInteractiveAuth) -> None:
    half = await challenged(uia, "op", {"type": KNOCK, "word": "please"})
    assert half["completed"] == [KNOCK]
    await uia.authorise("op", {"type": DUMMY, "session": half["session"]}, TWO_STAGES)


async def test_password_of_somebody_else(server: Homeserver, alice: Client, bob: Client) -> None:
    auth = {"type": "m.login.password", "user": "bob", "password": PASSWORD}
    failed = await alice.post("/account/deactivate", {"auth": auth}, status=403)
    assert failed["errcode"] == "M_FORBIDDEN"
    assert "flows" not in failed
    await alice.get("/account/whoami")
    await bob.get("/account/whoami")


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "m.login.password", "identifier": {"type": "m.id.thirdparty"}, "password": PASSWORD},
        {"type": "m.login.password", "identifier": "alice", "password": 1},
        {"type": "m.login.password", "user": ["alice"]},
        {"type": "m.login.dummy"},
    ],
)
async def test_malformed_passwords(alice: Client, auth: dict[str, Any]) -> None:
    answer = await alice.post("/account/deactivate", {"auth": auth}, status=401)
    assert answer["errcode"] in ("M_FORBIDDEN", "M_UNRECOGNIZED")
    assert answer["flows"] == [{"stages": ["m.login.password"]}]


async def test_fallback_page(server: Homeserver) -> None:
    client = server.client()
    session = (await client.post("/register", {"username": "carol"}, status=401))["session"]
    path = "/auth/m.login.dummy/fallback/web"
    page = await client.get(path, params={"session": session})
    assert page.headers["content-type"].startswith("text/html")
    assert "<form" in page.text
    not_yet = await client.post("/register", {"username": "carol", "auth": {"session": session}}, status=401)
    assert "completed" not in not_yet
    done = await client.request("POST", f"/client/v3{path}", params={"session": session})
    assert "onAuthDone" in done.text
    answer = await client.post("/register", {"username": "carol", "auth": {"session": session}})
    assert answer["user_id"] == "@carol:test.example"
    await client.post("/register", {"username": "dave", "auth": {"session": session}}, status=401)


async def test_fallback_pages_refused(server: Homeserver) -> None:
    client = server.client()
    params = {"session": "<script>"}
    page = await client.request(
        "POST", "/client/v3/auth/m.login.dummy/fallback/web", params=params, status=400
    )
    assert "<script>" not in page.text
    await client.get("/auth/m.login.password/fallback/web", params=params, status=404)
    path = "/client/v3/auth/m.login.registration_token/fallback/web"
    session = (await client.post("/register", {}, status=401))["session"]
    await client.request("POST", path, params={"session": session}, content=b"token=x", status=403)
    await client.request("POST", path, params={"session": session}, content=b"\xff", status=400)
