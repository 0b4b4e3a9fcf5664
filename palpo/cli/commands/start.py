"""``palpo start``: a homeserver at once, with its configuration made on the first start."""

from __future__ import annotations

import argparse
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from palpo.cli.options import PRIVATE, prepared_alone
from palpo.config.errors import ConfigError
from palpo.config.loader import convert
from palpo.config.model import Config
from palpo.config.sources import ConfigSource
from palpo.streams.made_up import made_up

FILE_NAME = "palpo.toml"
SERVER_NAME = "localhost"
"""A server's name where none is given."""
TEMPLATE = """\
# Palpo's configuration; docs/configuration.md says what else can be set.
server_name = "{server_name}"
data = "{data}"

[[listeners]]
bind = "{bind}"

[registration]
open = false
token = "{token}"

[log]
format = "text"
"""

DESCRIPTION = """\
Run a homeserver on one's own machine. The first start writes DIR/palpo.toml; later ones use it, as other
commands do by --config DIR/palpo.toml. For a server that others use, see "palpo serve"."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "start", help="run a homeserver on SQLite, configured on the first start", description=DESCRIPTION
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="where everything is kept"
    )
    parser.add_argument(
        "--server-name", metavar="NAME", help=f"on the first start: the domain in user IDs ({SERVER_NAME})"
    )
    parser.add_argument("--bind", default="127.0.0.1:8008", help="on the first start: where to listen")
    parser.add_argument(
        "--open-registration", action="store_true", help="anyone may register, without a token"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the configuration if there is none, say how to use the server, and serve."""
    from palpo.cli import serving
    from palpo.cli.restoring import carry_out_plan

    serving.ignore_hangups()
    file: Path = options.data / FILE_NAME
    if not file.exists():
        write_configuration(file, server_name=options.server_name or SERVER_NAME, bind=options.bind)
    overrides = {"registration.open": True} if options.open_registration else {}
    source = ConfigSource((file,), os.environ, overrides)
    config = source.load()
    if options.server_name not in (None, config.server_name):
        raise ConfigError(
            f"--server-name {options.server_name}: {options.data} is {config.server_name}'s, and a server "
            "never changes its name: leave the option out, or name a folder of its own by --data"
        )
    carry_out_plan(config)
    with prepared_alone(config):
        with suppress(BrokenPipeError):
            print(welcome(config, file), flush=True)
        again = serving.run(config, source)
    if again:
        serving.start_anew()
    return 0


def write_configuration(file: Path, *, server_name: str, bind: str) -> None:
    """Make ``file``, with a registration token of its own, readable by its owner only.

    Raises ConfigError where that cannot be, or the settings are of no use.
    """
    data = str(file.parent.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    text = TEMPLATE.format(server_name=server_name, data=data, bind=bind, token=made_up(16))
    try:
        convert(tomllib.loads(text))
        file.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text)
    except tomllib.TOMLDecodeError:
        raise ConfigError("--server-name or --bind is of no use") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error


def welcome(config: Config, file: Path) -> str:
    """What a person needs to know to use the server."""
    if config.registration.open:
        how = "Registration is open: anyone who reaches the server may register."
    else:
        how = f"To register, choose the server in a client and give the token {config.registration.token}"
    return "\n".join(
        (
            "",
            f"  Palpo is at      {config.base_url}",
            f"  Server name      {config.server_name}  (users are @name:{config.server_name})",
            f"  Data and config  {file.parent}/  ({file.name} is the configuration)",
            "",
            f"  {how}",
            "  From the shell:  palpo user create NAME --config " + str(file),
            "",
        )
    )
