"""Configuration files of a Synapse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palpo.config.errors import ConfigError
from palpo.config.synapse import read


def written(folder: Path, name: str = "homeserver.yaml", **values: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(values))
    return path


SQLITE = {"name": "sqlite3", "args": {"database": "/var/homeserver.db"}}
HOST = {"user": "synapse", "password": "a/b@c", "dbname": "matrix", "host": "db.example", "port": 5433}


@pytest.mark.parametrize(
    ("args", "url"),
    [
        (HOST, "postgresql://synapse:a%2Fb%40c@db.example:5433/matrix"),
        ({"user": "synapse", "database": "matrix"}, "postgresql://synapse@localhost/matrix"),
        (
            {"user": "s", "dbname": "m", "host": "/run/postgresql", "port": 5433},
            "postgresql://s@/m?host=/run/postgresql&port=5433",
        ),
    ],
)
def test_postgresql(tmp_path: Path, args: dict[str, Any], url: str) -> None:
    database = {"name": "psycopg2", "args": args}
    assert read([written(tmp_path, server_name="a.example", database=database)]).database_url == url


def test_what_is_not_said_is_where_synapse_looks(tmp_path: Path) -> None:
    (tmp_path / "media_store").mkdir()
    found = read([written(tmp_path, server_name="a.example", database=SQLITE)])
    assert found.database_url == "sqlite:////var/homeserver.db"
    assert found.signing_key == tmp_path / "a.example.signing.key"
    assert found.media == tmp_path / "media_store"


def test_later_files_win(tmp_path: Path) -> None:
    first = written(tmp_path, server_name="a.example", database=SQLITE, password_config={"pepper": "salt"})
    second = written(tmp_path, "more.yaml", server_name="b.example", public_baseurl="https://b.example/")
    found = read([first, second])
    assert (found.server_name, found.pepper, found.public_url) == ("b.example", "salt", "https://b.example/")


@pytest.mark.parametrize(
    "values", [{}, {"server_name": "a"}, {"server_name": "a", "database": {"name": "oracle"}}]
)
def test_what_is_none_is_said(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no configuration of a Synapse"):
        read([written(tmp_path, **values)])
