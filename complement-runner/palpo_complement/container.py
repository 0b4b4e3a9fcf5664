"""The image's entry point: the homeserver under test with `/` as its state directory.

`python -m palpo_complement.container` serves; with the argument `prepare` it fills the state directory.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

MODULE = "palpo.cli.complement"


def main() -> None:
    """Call the homeserver's `prepare` or `main`, as the process engine does in a fork."""
    root = Path(os.environ.get("PALPO_COMPLEMENT_ROOT", "/"))
    name = "prepare" if sys.argv[1:] == ["prepare"] else "main"
    getattr(importlib.import_module(MODULE), name)(root)


if __name__ == "__main__":
    main()
