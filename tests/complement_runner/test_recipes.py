"""Recipes: what they may say, what a server finds, and Palpo's own from its file to an answer."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
import ssl
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from palpo_complement import container
from palpo_complement.environment import InstallFailed, search_path
from palpo_complement.process.databases import databases_for
from palpo_complement.process.launch import Launch, launcher_of
from palpo_complement.recipe import UNNAMED, BadRecipe, Fork, Place, Recipe, arrange, load, shipped

from palpo.config.loader import load as load_configuration

DUMMY = "tests.complement_runner.dummy_homeserver:main"


def place(root: Path, *, name: str = "hs1", address: str = "127.0.0.1") -> Place:
    return Place(root=root, name=name, address=address, database_url=f"sqlite:///{root / 'data' / 'd.db'}")


def written(folder: Path, text: str) -> str:
    path = folder / "recipe.toml"
    path.write_text(text)
    return str(path)


def test_those_that_are_shipped_can_be_read() -> None:
    assert shipped() == ["palpo", "synapse"]
    assert [load(name).name for name in shipped()] == shipped()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "Invalid value"),
        ('name = "x"', "either start or"),
        ('name = "x"\nstart = "y"\n[fork]\nentry = "m:f"\nstart = []', "either start or"),
        ('name = "x"\nstart = "y"\ncommand = "z"', "command"),
        ('start = "y"', "name"),
        ('name = "x"\npackages = ["y"]\n[fork]\nentry = "m:f"\nstart = []', "packages"),
        ('name = "x"\n[fork]\nstart = []', "entry"),
    ],
)
def test_one_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words) as refused:
        load(written(tmp_path, text))
    assert str(tmp_path) in str(refused.value)


def test_one_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BadRecipe, match="palpo, synapse"):
        load("none")


def test_files_are_made_from_templates_with_what_the_server_is_told(tmp_path: Path) -> None:
    (tmp_path / "conf.jinja").write_text(
        "{{ name|tojson }} {{ root }} {{ address }} {{ appservices|length }}\n"
    )
    recipe = load(written(tmp_path, 'name = "x"\nstart = "y"\n[files]\n"etc/conf" = "conf.jinja"'))
    root = tmp_path / "server"
    (root / "complement/appservice").mkdir(parents=True)
    (root / "complement/appservice/one.yaml").write_text("id: one")
    arrange(recipe, place(root))
    assert (root / "etc/conf").read_text() == f'"hs1" {root} 127.0.0.1 1\n'
    assert place(root).environment()["SERVER_CERTIFICATE"] == str(root / "server.crt")


@pytest.mark.parametrize("name", ["palpo", "synapse"])
def test_shipped_files_hold_names_that_need_quotes(tmp_path: Path, name: str) -> None:
    arrange(load(name), place(tmp_path, name='hs1"'))
    if name == "synapse":
        document = yaml.safe_load((tmp_path / "homeserver.yaml").read_text())
        assert (document["server_name"], document["listeners"][1]["port"]) == ('hs1"', 8448)
    else:
        assert 'server_name = "hs1\\""' in (tmp_path / "palpo.toml").read_text()


def test_palpos_file_is_a_configuration(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    arrange(load("palpo"), place(tmp_path))
    config = load_configuration(tmp_path / "palpo.toml")
    assert [listener.bind for listener in config.listeners] == ["127.0.0.1:8008", "127.0.0.1:8448"]
    assert config.registration.shared_secret == "complement"
    assert (config.federation.ca_file, config.federation.hosts_file) == (ca, Path("/etc/hosts"))


def test_palpos_file_is_one_before_there_is_an_authority(tmp_path: Path) -> None:
    arrange(load("palpo"), place(tmp_path, name=UNNAMED))
    assert load_configuration(tmp_path / "palpo.toml").federation.ca_file is None


def authority(folder: Path) -> Path:
    """A CA where Complement puts its own."""
    ca = folder / "complement/ca/ca.crt"
    ca.parent.mkdir(parents=True)
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    ca.write_bytes(certificate.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    ca.with_suffix(".key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return ca


async def test_palpo_serves_in_the_clear_and_by_its_cas_certificate(tmp_path: Path) -> None:
    root = tmp_path / "server"
    ca = authority(root)
    launcher = launcher_of(load("palpo"))
    where = place(root, address="127.93.0.2")
    launch = Launch(place=where, log=tmp_path / "log", env={"PATH": os.environ["PATH"]})
    await launcher.open()
    try:
        prepared = await launcher.prepare(launch)
        assert prepared is not None
        assert await prepared.exited == 0, launch.log.read_text()
        server = await launcher.spawn(launch)
        context = ssl.create_default_context(cafile=ca)
        for url in ("http://127.93.0.2:8008", "https://127.93.0.2:8448"):
            assert "v1.11" in (await answered(f"{url}/_matrix/client/versions", context))["versions"]
        os.killpg(server.pid, signal.SIGTERM)
        assert await server.exited == 0, launch.log.read_text()
    finally:
        await launcher.close()


async def answered(url: str, context: ssl.SSLContext | bool = True) -> Any:
    async with httpx.AsyncClient(verify=context) as client, asyncio.timeout(60):
        while True:
            try:
                return (await client.get(url)).json()
            except httpx.TransportError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_container_serves_behind_a_gate_and_keeps_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    recipe = Recipe(
        name="dummy", folder=tmp_path, fork=Fork(entry=DUMMY, prepare=("prepare",), start=("start",))
    )
    monkeypatch.setenv("CONFORMANCE_CHECK", "1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    records = tmp_path / "complement/records"
    folder = tmp_path / "postgresql"
    inside = databases_for(database, None, folder)
    assert await container.prepare(launcher_of(recipe), inside, tmp_path) == 0
    inside = databases_for(database, None, folder)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        serving = group.create_task(container.serve(launcher_of(recipe), inside, tmp_path, "127.93.0.3"))
        assert (await answered("http://127.93.0.3:8008/_matrix/client/versions"))["starts"] == 1
        await answered("http://127.93.0.3:8008/_matrix/client/v3/account/whoami")
        # A container is killed without a word, so what was wrong is written as soon as it is answered.
        (violation,) = (records / "violations.jsonl").read_text().splitlines()
        os.kill(os.getpid(), signal.SIGTERM)
    assert serving.result() == 0
    assert (tmp_path / "data/stopped").read_text() == "clean"
    line, _ = (records / "access.jsonl").read_text().splitlines()
    assert json.loads(line)["operation"] == "client-server/getVersions"
    assert json.loads(violation)["pointer"] == ""


def wheel(folder: Path) -> Path:
    """The least that pip installs with a program: `tiny`, which prints a word."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "def main():\n    print('installed')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntiny = tiny:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


async def test_packages_are_installed_once_in_an_environment_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(name="tiny", folder=tmp_path, start="tiny; exit 9", packages=(str(wheel(tmp_path)),))
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    path = await search_path(recipe, env)
    assert "Installing" in capsys.readouterr().out
    assert await search_path(recipe, env) == path
    assert capsys.readouterr().out == ""
    assert (Path(path.partition(":")[0]) / "tiny").exists()


async def test_packages_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    recipe = Recipe(name="none", folder=tmp_path, start="none", packages=(str(tmp_path / "none.whl"),))
    with pytest.raises(InstallFailed, match=r"none\.whl"):
        await search_path(recipe, {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
