"""Registration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palpo.config.appservices import load_registrations
from palpo.config.errors import ConfigError
from tests.support.appservices import registration


def load(*paths: str) -> Any:
    return load_registrations([Path(path) for path in paths], server_name="test.example")


def test_a_registration(tmp_path: Path) -> None:
    (found,) = load(registration(tmp_path, url="http://127.0.0.1:1/bridge/", rate_limited=False))
    assert (found.id, found.url, found.sender) == (
        "bridge",
        "http://127.0.0.1:1/bridge",
        "@_bridge:test.example",
    )
    assert not found.rate_limited
    assert not found.ephemeral
    assert found.has_user("@_irc_ann:test.example")
    assert found.owns_user("@_irc_ann:test.example")
    assert found.has_user("@_bridge:test.example")
    assert not found.has_user("@_irc_ann:other.example"), "only this server's users"
    assert not found.has_user("@ann:test.example")
    assert found.has_alias("#_irc_chat:test.example")
    assert not found.has_room("!_irc:test.example")
    assert "as-token" not in repr(found)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"receive_ephemeral": True}, (True, "ephemeral")),
        ({"de.sorunome.msc2409.push_ephemeral": True}, (True, "de.sorunome.msc2409.ephemeral")),
        ({"push_ephemeral": True, "receive_ephemeral": True}, (True, "ephemeral")),
        ({}, (False, "ephemeral")),
    ],
)
def test_ephemeral_data_by_any_name(tmp_path: Path, settings: Any, expected: Any) -> None:
    (found,) = load(registration(tmp_path, **settings))
    assert (found.ephemeral, found.ephemeral_key) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"as_token": ""},
        {"id": 5},
        {"id": ""},
        {"url": "ftp://somewhere"},
        {"sender_localpart": "x" * 300},
        {"sender_localpart": ""},
        {"namespaces": {"users": [{"regex": "("}]}},
        {"namespaces": None},
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, wrong: Any) -> None:
    path = Path(registration(tmp_path))
    import yaml

    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **wrong}))
    with pytest.raises(ConfigError, match=r"bridge\.yaml"):
        load(str(path))


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        load(str(tmp_path / "missing.yaml"))
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="broken"):
        load(str(tmp_path / "broken.yaml"))


def test_ids_and_tokens_are_unique(tmp_path: Path) -> None:
    first = registration(tmp_path)
    same_token = registration(tmp_path, id="b", sender_localpart="b")
    same_sender = registration(tmp_path, id="c", as_token="c")
    other = registration(tmp_path, id="d", as_token="d", sender_localpart="d")
    with pytest.raises(ConfigError, match="as_token"):
        load(first, same_token)
    with pytest.raises(ConfigError, match="sender"):
        load(first, same_sender)
    with pytest.raises(ConfigError, match="id"):
        load(first, first)
    assert [item.id for item in load(first, other)] == ["bridge", "d"]
