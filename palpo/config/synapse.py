"""What a Synapse's own configuration says of the server that is to be imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from palpo.config.errors import ConfigError
from palpo.config.yaml_files import read_yaml

SQLITE, POSTGRESQL = "sqlite3", "psycopg2"
"""What Synapse calls its databases."""


@dataclass(frozen=True, slots=True)
class SynapseConfig:
    """What of it an import needs, or tells of."""

    server_name: str
    database_url: str = field(default="", repr=False)
    media: Path | None = None
    signing_key: Path | None = None
    pepper: str = field(default="", repr=False)
    public_url: str = ""
    appservices: tuple[str, ...] = ()
    has_old_keys: bool = False


def read(paths: Sequence[Path]) -> SynapseConfig:
    """Read ``homeserver.yaml``, and others that each change what those before say; raises ConfigError."""
    values: dict[str, Any] = {}
    for path in paths:
        values |= _values(path)
    try:
        return _config(values, paths[0].absolute().parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{paths[0]}: it is no configuration of a Synapse ({error!r})") from error


def _values(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: it is no configuration of a Synapse")
    return values


def _config(values: Mapping[str, Any], folder: Path) -> SynapseConfig:
    name = str(values["server_name"])
    key = folder / values.get("signing_key_path", f"{name}.signing.key")
    media = folder / values.get("media_store_path", "media_store")
    return SynapseConfig(
        server_name=name,
        database_url=_url(_database(values), folder),
        media=media if media.is_dir() else None,
        signing_key=key,
        pepper=str((values.get("password_config") or {}).get("pepper") or ""),
        public_url=str(values.get("public_baseurl") or ""),
        appservices=tuple(map(str, values.get("app_service_config_files") or ())),
        has_old_keys=bool(values.get("old_signing_keys")),
    )


def _database(values: Mapping[str, Any]) -> Mapping[str, Any]:
    if "databases" in values:
        if len(values["databases"]) > 1:
            raise ValueError("several databases")
        (only,) = values["databases"].values()
        return only  # type: ignore[no-any-return]
    return values["database"]  # type: ignore[no-any-return]


def _url(database: Mapping[str, Any], folder: Path) -> str:
    kind, args = database["name"], database.get("args") or {}
    if kind == SQLITE:
        # Its path is relative to where Synapse was started: mostly the configuration's folder.
        return f"sqlite:///{folder / args['database']}"
    if kind != POSTGRESQL:
        raise ValueError(f"a database of the kind {kind}")
    user, password = quote(str(args.get("user", "")), safe=""), quote(str(args.get("password", "")), safe="")
    name = args.get("dbname") or args.get("database") or args.get("user", "")
    host = str(args.get("host") or "")
    where = f"{host}:{args['port']}" if host and not host.startswith("/") and "port" in args else host
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    if host.startswith("/"):
        port = f"&port={args['port']}" if "port" in args else ""
        return f"postgresql://{login}/{quote(str(name))}?host={quote(host)}{port}"
    return f"postgresql://{login}{where or 'localhost'}/{quote(str(name))}"
