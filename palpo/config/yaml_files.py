"""Files in YAML that others have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from palpo.config.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """What is in a file; raises ConfigError, which names it."""
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
