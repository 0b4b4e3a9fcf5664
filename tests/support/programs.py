"""Programs that only some tests need, from Debian's packages."""

from __future__ import annotations

import os
import shutil

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where PALPO_REQUIRE_SERVICES is 1."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if found is not None:
        return found
    reason = f"not run: there is no {name} (scripts/services install)"
    if os.environ.get("PALPO_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
