"""The laboratory is a distribution of its own; whoever works on both has what both need."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9-]", requirement, maxsplit=1)[0] for requirement in requirements}


def test_the_laboratory_does_not_need_the_homeserver() -> None:
    laboratory = project(REPOSITORY / "laboratory")
    assert laboratory["project"]["name"] == "palpo-conformance"
    assert "palpo" not in names(laboratory["project"]["dependencies"])


def test_the_development_dependencies_have_all_that_the_laboratory_needs() -> None:
    homeserver = project(REPOSITORY)
    had = names([*homeserver["dependency-groups"]["dev"], *homeserver["project"]["dependencies"]])
    assert names(project(REPOSITORY / "laboratory")["project"]["dependencies"]) - had == set()


def test_the_homeservers_wheel_has_the_homeserver_only() -> None:
    assert project(REPOSITORY)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["palpo"]
