"""Options that several commands share, and what they do before anything else."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from palpo.cli.failures import Failure, told_of, without_password
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.config.sources import ConfigSource
from palpo.core.identifiers import server_name_of
from palpo.streams.clock import SystemClock

if TYPE_CHECKING:
    from palpo.db.engine import Database

PRIVATE = 0o700
"""The mode of a folder that nobody else looks into: there are messages in it."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Where the configuration comes from."""
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="TOML file, or folder of such; may be given several times, of which later ones win",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="override, such as log.level=debug"
    )


def config_of(options: argparse.Namespace) -> Config:
    """The configuration that the options describe; raises ConfigError."""
    return source_of(options).load()


def source_of(options: argparse.Namespace) -> ConfigSource:
    """Where the options say that the configuration is; raises ConfigError."""
    overrides = {}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item}: it is NAME=VALUE")
        overrides[name] = value
    return ConfigSource(tuple(options.config), os.environ, overrides)


def prepare(config: Config) -> None:
    """Set up logging, the data folder (its owner's only, if it is new), and the database's schema.

    Raises ConfigError for a folder that cannot be made and for another server's database, and Failure.
    """
    _make_folder(config)
    with told_of(config.database_url):
        _bring_up_to_date(config)


@contextmanager
def prepared_alone(config: Config) -> Iterator[None]:
    """``prepare`` for a server, which may be the only one on its database as long as it runs.

    A database server that does not answer yet is waited for. Raises ConfigError for another server's
    database, and Failure where another runs, before anything is changed.
    """
    from palpo.db.migrations.start import take_over

    with alone(config):
        with told_of(config.database_url):
            _bring_up_to_date(config)
            take_over(config.database_url)
        yield


@contextmanager
def alone(config: Config) -> Iterator[None]:
    """Be the only one on a SQLite file, and leave whatever is in the database as it is; raises Failure."""
    from palpo.cli.waiting import wait_for_database
    from palpo.db.sole_server import sole_server

    _make_folder(config)
    wait_for_database(config)
    with ExitStack() as held:
        with told_of(config.database_url):
            held.enter_context(sole_server(config.database_url))
        yield


async def check_unserved(config: Config, db: Database) -> None:
    """Raise Failure where another process serves the database, which is up to date.

    SQLite's file is locked; on a server, a process shows that it is there by renewing its leases.
    """
    from palpo.streams.leases import all_run_out

    if not config.database_url.startswith("sqlite:") and not await all_run_out(db, SystemClock()):
        url = without_password(config.database_url)
        raise Failure(f"database.url: {url} is served by another process: stop that one first")


def _bring_up_to_date(config: Config) -> None:
    from palpo.db.migrations.start import bring_up_to_date
    from palpo.services.server.server_identity import check_server_name

    def check_user(user_id: str) -> None:
        check_server_name(server_name_of(user_id), config.server_name)

    bring_up_to_date(config.database_url, check_user)


def _make_folder(config: Config) -> None:
    from palpo.cli.logs import configure_logging

    configure_logging(config.log)
    try:
        config.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"data: {config.data}: it is no folder") from error
    except OSError as error:
        raise ConfigError(f"data: {config.data}: {error.strerror}") from error
