"""The configuration: sources, checks, the reference page, the signing key."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from palpo.config import signing_key
from palpo.config.errors import ConfigError
from palpo.config.loader import load
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('server_name = "bad name"', "server_name"),
        ('admins = ["alice"]', "admins"),
        ('admins = ["@alice:elsewhere.example"]', "admins"),
        ('public_url = "chat.example.org"', "public_url"),
        ('redis_url = "localhost"', "redis_url"),
        ("listeners = []", "listeners"),
        ('listeners = [{bind = "8008"}]', "8008"),
        ('listeners = [{bind = "127.0.0.1:1x"}]', "1x"),
        ('listeners = [{bind = "127.0.0.1:99999"}]', "99999"),
        ('listeners = [{bind = "127.0.0.1:1", tls_certificate = "c.pem"}]', "tls_key"),
        ('listeners = [{bind = "127.0.0.1:1", tls_certificate = "c.pem", tls_key = "k.pem"}]', "c.pem"),
        ('database.url = "oracle://x"', "database.url"),
        ('database.url = "postgresql://127.0.0.1:abc/x"', "database.url"),
        ('http.trusted_proxies = ["10.0.0.0/99"]', "trusted_proxies"),
        ('network.allow = ["everything"]', "network.allow"),
        ('network.deny = ["10.0.0.0/99"]', "network.deny"),
        ('federation.allow = ["a b"]', "federation.allow"),
        ('federation.deny = ["https://a.example"]', "federation.deny"),
        ('federation.hosts = { hs2 = "elsewhere.example" }', "federation.hosts"),
        ('federation.hosts = { "hs2:8448" = "10.1.0.2" }', "federation.hosts"),
        ('federation.hosts = { "a b" = "10.1.0.2" }', "federation.hosts"),
        ("federation.hosts = { hs2 = 1 }", "federation.hosts"),
        ('federation.ca_file = "/nowhere/ca.pem"', "federation.ca_file"),
        ('federation.ca_file = "/dev/null"', "federation.ca_file"),
        ('rooms.default_version = "99"', "default_version"),
        ('email.host = "smtp.example.org"', "email.sender"),
        ('turn.uris = ["turn:turn.example.org"]', "turn.shared_secret"),
        ('registration.token = "with space"', "registration.token"),
        ('registration.captcha.public_key = "k"', "private_key"),
        ('rtc.transports = [{url = "https://example.org"}]', "rtc.transports"),
        ('well_known.admin_matrix_id = "alice"', "admin_matrix_id"),
    ],
)
def test_values_that_make_no_sense_are_named(tmp_path: Path, text: str, named: str) -> None:
    required = "" if text.startswith("server_name") else 'server_name = "a.example"\n'
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        load(write(tmp_path, f'{required}data = "d"\n{text}\n'))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = 'server_name = "a"\ndata = "d"\nlisteners = []\nrooms.default_version = "0"\n'
    with pytest.raises(ConfigError, match=r"listeners.*default_version"):
        load(write(tmp_path, text))


def test_lists_from_outside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'server_name = "a"\ndata = "d"\n')
    environment = {"PALPO_CONFIG_NETWORK__ALLOW": '["10.0.0.0/8"]'}
    config = load(path, environment=environment, overrides={"admins": '["@x:a", "@y:a"]'})
    assert config.network.allow == ("10.0.0.0/8",)
    assert config.admins == ("@x:a", "@y:a")
    with pytest.raises(ConfigError, match="admins"):
        load(path, overrides={"admins": "[@x:a]"})


def test_hosts_of_the_federation(tmp_path: Path) -> None:
    text = 'server_name = "a"\ndata = "d"\n[federation.hosts]\n"b.example" = "[2001:db8::2]:8448"\n'
    config = load(write(tmp_path, text), overrides={"federation.hosts.hs2": "127.0.1.2"})
    assert config.federation.hosts == {"b.example": "[2001:db8::2]:8448", "hs2": "127.0.1.2"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")


def test_the_reference_page_is_up_to_date() -> None:
    assert (DOCS / "configuration.md").read_text() == reference()


def test_the_signing_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    key = signing_key.load_or_create(tmp_path)
    assert signing_key.load_or_create(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600
    for content in (b"ed25519 x !!!", b"", b"\x9f" * 60):
        (tmp_path / "signing.key").write_bytes(content)
        with pytest.raises(ConfigError, match="not a signing key"):
            signing_key.load_or_create(tmp_path)


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(signing_key.load_or_create, [tmp_path] * 16))
    assert keys == [keys[0]] * 16
    assert [file.name for file in tmp_path.iterdir()] == ["signing.key"]
