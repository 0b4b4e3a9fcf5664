"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from palpo.config.loader import load
from palpo.config.model import Config


def add_config(parser: argparse.ArgumentParser) -> None:
    """Where the configuration comes from."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="override, such as log.level=debug"
    )


def config_of(options: argparse.Namespace, **defaults: Any) -> Config:
    """The configuration that the options describe; raises ConfigError."""
    overrides = dict(item.partition("=")[::2] for item in options.set)
    return load(options.config, environment=os.environ, overrides={**defaults, **overrides})
