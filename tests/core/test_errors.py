from __future__ import annotations

import pytest

from palpo.core.errors import (
    BadRequest,
    Forbidden,
    InsufficientStorage,
    InteractiveAuth,
    LimitExceeded,
    MatrixError,
    Unavailable,
    UnknownToken,
    WrongMethod,
)
from palpo.core.room_versions import ALL_ROOM_VERSIONS, room_version


def test_a_body_is_the_code_the_message_and_what_else_there_is() -> None:
    error = Forbidden("No", errcode="M_BAD_STATE", status=400, fields={"more": 1})
    assert (error.status, error.body()) == (400, {"errcode": "M_BAD_STATE", "error": "No", "more": 1})
    assert (Forbidden("No").status, Forbidden.errcode) == (403, "M_FORBIDDEN")


def test_whether_the_device_is_still_known() -> None:
    assert UnknownToken("Gone", soft_logout=True).body()["soft_logout"] is True
    assert "soft_logout" not in UnknownToken("Gone").body()


def test_when_to_come_back() -> None:
    error = LimitExceeded(retry_after_ms=1500)
    assert (error.status, error.retry_after_ms, error.body()["retry_after_ms"]) == (429, 1500, 1500)


def test_which_methods_there_are() -> None:
    error = WrongMethod("No", allowed=(name for name in ("GET", "PUT")))
    assert (error.status, error.errcode, error.allowed) == (405, "M_UNRECOGNIZED", ("GET", "PUT"))


def test_interactive_authentication_has_a_code_only_where_a_stage_failed() -> None:
    auth = {"session": "s", "flows": []}
    assert InteractiveAuth(auth).body() == auth
    failed = InteractiveAuth(auth, failure=Forbidden("Wrong password"))
    assert failed.body() == {**auth, "errcode": "M_FORBIDDEN", "error": "Wrong password"}
    assert failed.status == 401


def all_errors(kind: type[MatrixError] = MatrixError) -> list[type[MatrixError]]:
    return [kind, *(error for sub in kind.__subclasses__() for error in all_errors(sub))]


def test_every_error_says_what_the_client_did_or_that_it_may_try_again() -> None:
    in_core = [error for error in all_errors() if error.__module__ == MatrixError.__module__]
    assert len(in_core) > 10
    assert [error for error in in_core if not 400 <= error.status < 500] == [Unavailable, InsufficientStorage]


def test_room_versions_by_name() -> None:
    assert all(room_version(name).id == name for name in ALL_ROOM_VERSIONS)
    with pytest.raises(BadRequest) as raised:
        room_version("x" * 1000)
    assert (raised.value.status, raised.value.errcode) == (400, "M_UNSUPPORTED_ROOM_VERSION")
    assert len(raised.value.message) < 200
