"""Recipes: what turns a homeserver's program into a server that Complement can test.

`docs/conformance.md` describes the format. A recipe is data; those that come with the laboratory are in
`recipes/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import certificates
from .errors import SetupFailed

SHIPPED = Path(__file__).parent / "recipes"
FILE = "recipe.toml"
UNNAMED = "unnamed"
"""A server's name while the folder that all servers start from is prepared."""


class BadRecipe(SetupFailed):
    """A recipe that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A Python server, of which one process has all modules and forks a copy for each.

    `entry` is `module:function`, as console scripts have it; `prepare` and `start` are its arguments.
    `preload` has modules to import before any fork, and functions (`module:function`) to call.
    """

    entry: str
    start: tuple[str, ...]
    prepare: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to have a server: `fork`, or scripts for `sh -e`.

    `packages` are installed by pip, into an environment of the recipe's own, first. `files` maps paths below
    the server's folder to templates beside the recipe. `version` is a script that prints what is tested.
    """

    name: str
    folder: Path
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    prepare: str | None = None
    start: str | None = None
    fork: Fork | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one server is: its folder, the one address at which it listens, and what it finds there."""

    root: Path
    name: str
    address: str
    database_url: str
    hosts: Path = Path("/etc/hosts")

    @property
    def ca(self) -> Path:
        return self.root / "complement" / "ca" / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.root / "server.crt"

    @property
    def key(self) -> Path:
        return self.root / "server.key"

    def appservices(self) -> list[Path]:
        """The registrations of application services that Complement has put in place."""
        return sorted((self.root / "complement" / "appservice").glob("*.yaml"))

    def variables(self) -> dict[str, str]:
        """What templates know by these names, and programs as `SERVER_…` in their environment."""
        return {
            "name": self.name,
            "root": str(self.root),
            "address": self.address,
            "database_url": self.database_url,
            "hosts": str(self.hosts),
            "ca": str(self.ca),
            "certificate": str(self.certificate),
            "key": str(self.key),
        }

    def environment(self) -> dict[str, str]:
        return {f"SERVER_{name.upper()}": value for name, value in self.variables().items()}


def arrange(recipe: Recipe, place: Place) -> None:
    """Put into a server's folder what it finds at a start: its certificate, and the recipe's files."""
    certificates.issue(place.ca, place.certificate, place.key, name=place.name, address=place.address)
    templates = Environment(
        loader=FileSystemLoader(recipe.folder),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    known = {**place.variables(), "appservices": [str(path) for path in place.appservices()]}
    for target, template in recipe.files.items():
        path = place.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(templates.get_template(template).render(known), encoding="utf-8")


def shipped() -> list[str]:
    """The names of the recipes that come with the laboratory."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{FILE}"))


def load(name: str) -> Recipe:
    """A shipped recipe by its name, or one by its file. Raises BadRecipe."""
    path = SHIPPED / name / FILE if name in shipped() else Path(name)
    try:
        return _recipe(tomllib.loads(path.read_text(encoding="utf-8")), path.resolve().parent)
    except OSError as error:
        known = ", ".join(shipped())
        raise BadRecipe(f"recipe {name}: {error.strerror} (there are {known}, or name a file)") from error
    except (TypeError, ValueError, KeyError) as error:
        raise BadRecipe(f"recipe {name}: {error}") from error


def _recipe(document: dict[str, Any], folder: Path) -> Recipe:
    forked = document.pop("fork", None)
    values = {**document, "packages": tuple(document.get("packages", ()))}
    recipe = Recipe(folder=folder, fork=_fork(forked) if forked else None, **values)
    if (recipe.fork is None) == (recipe.start is None):
        raise ValueError("it needs either start or [fork]")
    if recipe.fork is not None and (recipe.prepare or recipe.packages):
        raise ValueError("with [fork], prepare is one of its own, and packages are the laboratory's")
    return recipe


def _fork(document: dict[str, Any]) -> Fork:
    words = {name: tuple(value) for name, value in document.items() if name != "entry"}
    return Fork(entry=document["entry"], **words)
