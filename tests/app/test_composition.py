"""Who constructs what, and of how much."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

import pytest

import palpo
from palpo.api.services import Services
from palpo.app import built
from palpo.app.composition import build_services
from palpo.app.composition.assembly import assemble
from palpo.app.composition.hooks import Listeners
from palpo.db.migrations.upgrade import upgrade
from palpo.services.federation import Asking
from tests.support.homeserver import config

HOME = Path(palpo.__file__).parent
MOST_ARGUMENTS = 8


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((HOME / folder).rglob("*.py")):
            yield path.relative_to(HOME), ast.parse(path.read_text())


def constructors(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each class that has one, and how many arguments that takes."""
    for node in ast.walk(tree):
        for item in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                of = item.args
                yield node.name, len(of.posonlyargs) + len(of.args) + len(of.kwonlyargs) - 1


def test_no_constructor_takes_more_arguments_than_one_can_keep_in_mind() -> None:
    found = [
        f"{path}: {name} takes {count}"
        for path, tree in trees("")
        for name, count in constructors(tree)
        if count > MOST_ARGUMENTS
    ]
    assert found == []


RESOURCES = {"CacheBudget", "Database", "HttpClient", "Server", "Wakeups"}
"""Whoever takes one of these in the constructor is a service."""


def services_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for item in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                taken = {ast.unparse(of.annotation) for of in item.args.args if of.annotation is not None}
                if taken & RESOURCES:
                    yield node.name


def extended() -> set[tuple[str, str]]:
    """Services that others are made of, and that need not be made themselves."""
    return {
        imported(tree).get(name, (module_of(path), name))
        for path, tree in trees("services", "sync", "workers")
        for node in ast.walk(tree)
        for base in (node.bases if isinstance(node, ast.ClassDef) else ())
        for name in [ast.unparse(base).partition("[")[0]]
    }


def imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What a module calls each name that it imports: module, name there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
    return found


def called(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """The module and name of each class that is called by its name, or as a member of an imported module."""
    names = imported(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield names.get(name, (module, name))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=member)) if name in names:
                yield ".".join(names[name]), member


def module_of(path: Path) -> str:
    return ".".join(("palpo", *path.with_suffix("").parts)).removesuffix(".__init__")


def assembled() -> set[tuple[str, str]]:
    """The services that are fields of their areas, and those of the same areas that these ask for."""
    found: set[type] = set()
    for area in (*get_type_hints(Services).values(), Asking):
        waiting = list(get_type_hints(area).values())
        while waiting:
            kind = waiting.pop()
            if isinstance(kind, type) and kind.__module__.startswith(area.__module__) and kind not in found:
                found.add(kind)
                waiting += get_type_hints(kind.__init__).values()
    return {(kind.__module__, kind.__qualname__) for kind in found}


@dataclass
class Foundation:
    number: int
    place: Path


class Above:
    def __init__(self, below: Below, foundation: Foundation, *, limit: int = 8) -> None:
        self.made_of = (below, foundation, limit)


class Below:
    def __init__(self, place: Path) -> None:
        self.place = place


class Odd:
    def __init__(self, below: Below, unknown: int) -> None: ...


@dataclass
class Area:
    above: Above
    below: Below


@dataclass
class OddArea:
    below: Below
    odd: Odd


def test_a_service_is_made_of_what_its_constructor_asks_for() -> None:
    foundation = Foundation(3, HOME)
    area = assemble(Area, foundation)
    assert area.above.made_of == (area.below, foundation, 8)
    assert area.below.place == HOME
    below = Below(HOME.parent)
    assert assemble(Area, foundation, below=below).above.made_of == (below, foundation, 8)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(TypeError, match=r"Odd takes <class 'int'>, which OddArea has not"):
        assemble(OddArea, Foundation(3, HOME))


def test_services_are_constructed_by_the_composition_root_and_by_nobody_else() -> None:
    services = {
        (module_of(path), name)
        for path, tree in trees("services", "sync", "workers")
        for name in services_of(tree)
    }
    constructed = {(path, of) for path, tree in trees("") for of in called(tree, module_of(path))}
    by_app = {of for path, of in constructed if path.parts[0] == "app"} | assembled()
    by_others = [(str(path), of) for path, of in constructed if path.parts[0] != "app" and of in services]
    assert services - by_app - extended() <= NOT_IN_USE
    assert by_others == []


NOT_IN_USE = {("palpo.services.history.auth_chains", "AuthChains")}
"""It is federation's."""


def test_listeners_are_filled_once_and_not_asked_before() -> None:
    listeners: Listeners[str] = Listeners()
    with pytest.raises(RuntimeError):
        list(listeners)
    listeners.fill("first", "second")
    assert list(listeners) == ["first", "second"]
    with pytest.raises(RuntimeError):
        listeners.fill("third")


async def test_services_that_are_built_have_begun_nothing(tmp_path: Path) -> None:
    configuration = config(tmp_path)
    await asyncio.to_thread(upgrade, configuration.database_url)
    async with built(configuration) as services, AsyncExitStack() as closing:
        await asyncio.sleep(0)  # The room writer begins.
        before = asyncio.all_tasks()
        again = build_services(services.server)
        closing.push_async_callback(again.appservices.appservice_client.close)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before


def test_an_area_is_named_as_its_folder() -> None:
    assert {area.name for area in fields(Services)} == {
        *(path.name for path in (HOME / "services").iterdir() if path.is_dir() and path.name[0] != "_"),
        "sync",
    }
