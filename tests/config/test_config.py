"""The configuration: sources, checks, the reference page, the signing key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from palpo.config import signing_key
from palpo.config.loader import ConfigError, load
from palpo.config.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "palpo.toml"
    path.write_text(text)
    return path


def test_file_then_environment_then_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, 'server_name = "a"\ndata = "d"\n[registration]\ntoken = "t"\nopen = true\n')
    config = load(
        path,
        environment={"PALPO_CONFIG_REGISTRATION__TOKEN": "env", "PALPO_CONFIG_METRICS": "false", "HOME": "/"},
        overrides={"server_name": "b"},
    )
    assert config.server_name == "b"
    assert config.registration.token == "env"
    assert config.registration.open
    assert not config.metrics
    assert config.database_url == "sqlite:///d/palpo.db"


@pytest.mark.parametrize(
    "text",
    [
        "server_name = 1",
        'server_name = "a"\ndata = "d"\nunknown = 1',
        'server_name = "a"\ndata = "d"\n[log]\nlevel = "loud"',
        "not toml",
        'data = "d"',
    ],
)
def test_what_cannot_be_used_says_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")


def test_the_reference_page_is_up_to_date() -> None:
    assert (DOCS / "configuration.md").read_text() == reference()


def test_the_signing_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    key = signing_key.load_or_create(tmp_path)
    assert signing_key.load_or_create(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600
    (tmp_path / "signing.key").write_text("ed25519 x !!!")
    with pytest.raises(ConfigError):
        signing_key.load_or_create(tmp_path)
