"""``palpo user``, as an operator runs it."""

import io
import warnings
from getpass import GetPassWarning
from pathlib import Path

import pytest
import uvloop

from palpo.cli.main import main
from tests.support.homeserver import homeserver

NEW_PASSWORD = "staple battery horse"


def palpo(data: Path, *arguments: str, password: str = NEW_PASSWORD) -> int:
    settings = {
        "server_name": "test.example",
        "data": str(data),
        "password.time_cost": "1",
        "password.memory_kib": "8",
    }
    options = [option for item in settings.items() for option in ("--set", "=".join(item))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        return main(["user", *arguments, *options])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    settings = ["--set", "server_name=test.example", "--set", f"data={tmp_path}"]
    assert main(["migrate", *settings]) == 0
    return tmp_path


def login(password: str) -> dict[str, str]:
    return {"type": "m.login.password", "user": "carol", "password": password}


def test_create_and_password(data: Path, capsys: pytest.CaptureFixture[str]) -> None:

    assert palpo(data, "create", "Carol", "--admin", "--password-stdin") == 0
    assert "Created @carol:test.example" in capsys.readouterr().out
    assert palpo(data, "create", "carol", "--password-stdin") == 1
    assert "taken" in capsys.readouterr().err

    async def session() -> tuple[str, bool]:
        async with homeserver(data) as server:
            answer = await server.client().post("/login", login(NEW_PASSWORD))
            requester = await server.services.accounts.sessions.authenticate(answer["access_token"])
            return answer["access_token"], requester.is_admin

    token, is_admin = uvloop.run(session())
    assert is_admin

    assert palpo(data, "password", "carol", "--password-stdin", password="short") == 1
    assert palpo(data, "password", "carol", "--password-stdin", password="another password") == 0
    assert palpo(data, "admin", "@carol:test.example", "--revoke") == 0

    async def after() -> None:
        async with homeserver(data) as server:
            headers = {"Authorization": f"Bearer {token}"}
            await server.client().get("/account/whoami", headers=headers, status=401)
            await server.client().post("/login", login(NEW_PASSWORD), status=403)
            answer = await server.client().post("/login", login("another password"))
            assert not (await server.services.accounts.sessions.authenticate(answer["access_token"])).is_admin

    uvloop.run(after())


@pytest.mark.parametrize("name", ["nobody", "@nobody:test.example", "@carol:elsewhere.example", ""])
@pytest.mark.parametrize("action", [("password", "--password-stdin"), ("admin",), ("lock",), ("unlock",)])
def test_unknown_user(
    data: Path, capsys: pytest.CaptureFixture[str], action: tuple[str, ...], name: str
) -> None:
    assert palpo(data, action[0], name, *action[1:]) == 1
    said = "@…:test.example" if "elsewhere" in name else "There is no user"
    assert said in capsys.readouterr().err


def test_user_ids_and_localparts_are_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(data, "create", "@Dora:test.example", "--password-stdin") == 0
    assert capsys.readouterr().out == "Created @dora:test.example\n"
    assert palpo(data, "create", "@erin:elsewhere.example", "--password-stdin") == 1
    assert "@erin:elsewhere.example is not of this server" in capsys.readouterr().err
    assert palpo(data, "lock", "dora") == 0
    assert palpo(data, "admin", "@dora:test.example") == 0
    capsys.readouterr()
    assert palpo(data, "list") == 0
    assert capsys.readouterr().out == "@dora:test.example  administrator, locked\n"
    assert palpo(data, "unlock", "@dora:test.example") == 0
    assert palpo(data, "admin", "dora", "--revoke") == 0
    capsys.readouterr()
    assert palpo(data, "list") == 0
    assert capsys.readouterr().out == "@dora:test.example\n"


def test_an_administrator_by_the_configuration_stays_one(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert palpo(data, "create", "carol", "--password-stdin") == 0
    monkeypatch.setenv("PALPO_CONFIG_ADMINS", '["@carol:test.example"]')
    assert palpo(data, "admin", "carol", "--revoke") == 1
    assert "by the setting admins" in capsys.readouterr().err


def test_a_password_is_typed_twice(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["correct horse battery", "correct horse batter", *["correct horse battery"] * 2])
    monkeypatch.setattr("palpo.cli.commands.user.getpass", lambda _: next(typed))
    assert palpo(data, "create", "carol") == 1
    assert "differ" in capsys.readouterr().err
    assert palpo(data, "create", "carol") == 0


def test_a_password_without_a_terminal(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read in the clear, and nobody is asked in vain."""

    def no_terminal(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", GetPassWarning, stacklevel=2)
        raise AssertionError("the password is shown as it is typed")

    monkeypatch.setattr("palpo.cli.commands.user.getpass", no_terminal)
    assert palpo(data, "create", "carol") == 1
    assert capsys.readouterr().err == (
        "palpo: There is no terminal to ask for a password: --password-stdin reads it\n"
    )


def test_flags_and_the_end(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(data, "create", "carol", "--password-stdin") == 0
    capsys.readouterr()
    assert palpo(data, "shadow-ban", "carol") == 0
    assert palpo(data, "suspend", "carol") == 0
    assert palpo(data, "list") == 0
    assert palpo(data, "unshadow-ban", "carol") == 0
    assert palpo(data, "unsuspend", "carol") == 0
    assert palpo(data, "list", "--search", "CAR") == 0
    assert palpo(data, "list", "--admins") == 0
    assert capsys.readouterr().out.splitlines() == [
        "@carol:test.example is shadow-banned",
        "@carol:test.example is suspended",
        "@carol:test.example  suspended, shadow-banned",
        "@carol:test.example is not shadow-banned",
        "@carol:test.example is not suspended",
        "@carol:test.example",
        "There are no accounts",
    ]
    assert palpo(data, "log-out", "carol") == 0
    assert palpo(data, "devices", "carol") == 0
    assert palpo(data, "deactivate", "carol", "--erase") == 0
    assert palpo(data, "show", "carol") == 0
    assert "deactivated" in capsys.readouterr().out
    assert palpo(data, "lock", "carol") == 1
