"""Several files, secrets from files, and files as they are changed."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from palpo.config.errors import ConfigError
from palpo.config.live import LiveConfig
from palpo.config.loader import convert
from palpo.config.marks import LIVE
from palpo.config.model import Config
from palpo.config.section import Section
from palpo.config.settings import HIDDEN, changed, settings, shown_value
from palpo.config.sources import ConfigSource, known, typed

SOUNDS = ("secret", "password", "private")
BASE = """\
# Who we are.
server_name = "a.example"  # for ever
data = "d"

[log]
level = "info"   # quiet

[[listeners]]
bind = "127.0.0.1:8008"
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "palpo.toml"
    file.write_text(BASE)
    return file


def test_later_files_win(tmp_path: Path, base: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "20-log.toml").write_text('log.level = "error"\n')
    (folder / "10-log.toml").write_text('[log]\nlevel = "debug"\nformat = "text"\n')
    (folder / "30-off.toml.disabled").write_text("nonsense")
    (folder / "40-listeners.toml").write_text('listeners = [{ bind = "127.0.0.1:1" }]\n')
    source = ConfigSource((base, folder))
    config = source.load()
    assert (config.log.level, config.log.format) == ("error", "text")
    assert [listener.bind for listener in config.listeners] == ["127.0.0.1:1"]
    origins = source.origins()
    assert origins["log", "level"] == str(folder / "20-log.toml")
    assert origins["log", "format"] == str(folder / "10-log.toml")
    assert origins["server_name",] == str(base)


def test_the_file_that_is_wrong_is_named(tmp_path: Path, base: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[log]\nlevle = "debug"\n')
    with pytest.raises(ConfigError, match=r"other\.toml: log\.levle: .*did you mean log\.level\?"):
        ConfigSource((base, other)).load()
    other.write_text("log = 1\n")
    with pytest.raises(ConfigError, match=r"other\.toml: log: it has to be a table"):
        ConfigSource((base, other)).load()


def test_secrets_from_files(tmp_path: Path, base: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    with base.open("a") as file:
        file.write(f'[registration]\nshared_secret_file = "{tmp_path}/secret"\n')
    environment = {"PALPO_CONFIG_EMAIL__PASSWORD_FILE": f"{tmp_path}/secret"}
    source = ConfigSource((base,), environment)
    config = source.load()
    assert config.registration.shared_secret == config.email.password == "from a file"
    assert source.origins()["registration", "shared_secret"] == str(base)
    assert "in the environment" in source.origins()["email", "password"]
    with pytest.raises(ConfigError, match="only one of them"):
        ConfigSource((base,), environment, {"registration.shared_secret": "x"}).load()
    with pytest.raises(ConfigError, match="No such file"):
        ConfigSource((base,), {}, {"email.password_file": f"{tmp_path}/nothing"}).load()
    with pytest.raises(ConfigError, match="there is no such setting"):
        ConfigSource((base,), {}, {"server_name_file": f"{tmp_path}/secret"}).load()


def test_every_secret_is_hidden_and_every_name_that_sounds_like_one_is_marked(tmp_path: Path) -> None:
    config = Config(server_name="a", data=Path())
    for setting in settings().values():
        if setting.secret:
            assert shown_value(_with(config, setting.where, "x"), setting) == HIDDEN
        else:
            assert not any(word in setting.where[-1] for word in SOUNDS), setting.name
    provider = {"id": "x", "name": "X", "issuer": "https://x.example", "client_id": "c"}
    values = {
        "server_name": "a",
        "data": "d",
        "public_url": "https://a",
        "oidc": [{**provider, "client_secret": "s3cret"}],
    }
    (shown,) = shown_value(convert(values), settings()["oidc",])
    assert shown["client_secret"] == HIDDEN


def _with(section: Section, where: tuple[str, ...], value: str) -> Config:
    name, *rest = where
    inner = _with(getattr(section, name), tuple(rest), value) if rest else value
    replaced: Config = msgspec.structs.replace(section, **{name: inner})  # type: ignore[assignment]
    return replaced


def test_a_change_leaves_the_rest_of_the_file(base: Path) -> None:
    base.chmod(0o640)
    source = ConfigSource((base,))
    source.write({("log", "level"): "debug", ("registration", "open"): True})
    text = base.read_text()
    assert '# Who we are.\nserver_name = "a.example"  # for ever\n' in text
    assert 'level = "debug"   # quiet\n' in text
    assert source.load().registration.open
    assert stat.S_IMODE(base.stat().st_mode) == 0o640
    source.write({("log", "level"): None})
    assert source.load().log.level == "info"
    assert [file.name for file in base.parent.iterdir()] == ["palpo.toml"]


def test_what_cannot_be_used_is_not_written(base: Path) -> None:
    source = ConfigSource((base,), {"PALPO_CONFIG_LOG__FORMAT": "text"})
    for where, value, said in (
        (("log", "level"), "loud", "none of debug, info"),
        (("log", "level"), 3, "it has to be text"),
        (("server_name",), None, "it has to be set"),
        (("log", "format"), "json", "PALPO_CONFIG_LOG__FORMAT in the environment"),
    ):
        with pytest.raises(ConfigError, match=said):
            source.write({where: value})
    assert base.read_text() == BASE
    with pytest.raises(ConfigError, match="name one by --config"):
        ConfigSource((), {}, {"server_name": "a", "data": "d"}).write({("log", "level"): "debug"})


def test_the_file_that_has_a_setting_is_changed(tmp_path: Path, base: Path) -> None:
    other, secret = tmp_path / "other.toml", tmp_path / "secret"
    secret.write_text("old")
    other.write_text(f'[log]\nlevel = "error"\n[registration]\ntoken_file = "{secret}"\n')
    source = ConfigSource((base, other))
    assert source.write({("log", "level"): "debug"}) == [other]
    assert source.write({("log", "held_ms"): 50}) == [base]
    assert source.write({("registration", "token"): "new"}) == [other]
    assert source.load().registration.token == "new"
    assert "token_file" not in other.read_text()


def test_names_and_values_as_they_are_typed() -> None:
    with pytest.raises(ConfigError, match=r"did you mean log\.level\?"):
        known("log.levl")
    with pytest.raises(ConfigError, match="it is a table"):
        known("log")
    assert typed(known("registration.token"), "123") == "123"
    assert typed(known("registration.open"), "true") is True
    assert typed(known("caches.megabytes"), "64") == 64
    assert typed(known("admins"), '["@a:b"]') == ["@a:b"]
    assert typed(known("log.file"), "/var/log/palpo.log") == "/var/log/palpo.log"
    with pytest.raises(ConfigError, match="is not TOML"):
        typed(known("admins"), '["@a:b"')


def test_a_reload_takes_over_what_is_live_and_nothing_else(base: Path) -> None:
    source = ConfigSource((base,))
    live = LiveConfig(source.load())
    live.source = source
    seen: list[str] = []
    live.listen(lambda config: seen.append(config.log.level))
    before = live.config
    source.write({("log", "level"): "debug", ("log", "requests"): False, ("quotas", "devices", "user"): 7})
    change = live.reload()
    assert set(change.in_force) == {"log.level", "quotas.devices.user"}
    assert change.needs_restart == ("log.requests",)
    assert seen == ["debug"]
    assert live.config is before
    assert before.log.requests
    assert before.quotas.devices.user == 7
    assert live.change(source.load()).needs_restart == ("log.requests",)
    assert live.change(source.load()).in_force == ()


def test_a_reload_that_fails_changes_nothing(base: Path) -> None:
    source = ConfigSource((base,))
    live = LiveConfig(source.load())
    live.source = source
    source.write({("log", "level"): "debug"})

    def no() -> None:
        raise ConfigError("the certificate is of no use")

    live.check_first(no)
    with pytest.raises(ConfigError):
        live.reload()
    assert live.config.log.level == "info"
    assert [item.name for item in changed(live.config, source.load())] == ["log.level"]
    assert repr(LIVE) == "LIVE"
