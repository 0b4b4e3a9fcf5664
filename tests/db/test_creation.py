"""An empty database is made without what upgrades older ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from palpo.db.migrations.start import bring_up_to_date
bring_up_to_date(sys.argv[1])
print("alembic" in sys.modules)
"""


@pytest.mark.sqlite
def test_alembic_is_not_needed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, f"sqlite:///{tmp_path / 'palpo.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False"]
