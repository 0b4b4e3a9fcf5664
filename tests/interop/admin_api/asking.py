"""Asks a world all questions, and keeps what is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.interop.admin_api.operations import Operation, by_name
from tests.interop.admin_api.questions import QUESTIONS, Question
from tests.interop.admin_api.shapes import differences, shape_of
from tests.interop.admin_api.world import World

INVALID = {"M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM", "M_UNKNOWN"}
"""Errors by which Synapse says, one here and another there, that a request is not as it should be."""
WAIT_S = 120.0
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, with the world's names for its IDs."""

    status: int
    body: Any

    def against(self, theirs: Answer) -> Iterator[str]:
        """In what it differs from another server's."""
        if self.status != theirs.status:
            yield f"status: {self.status} {self._errcode}, theirs {theirs.status} {theirs._errcode}"
        elif self._errcode != theirs._errcode and theirs._errcode not in INVALID:
            yield f"errcode: {self._errcode}, theirs {theirs._errcode}"
        elif self.status < 400:
            yield from differences(shape_of(self.body), shape_of(theirs.body))

    @property
    def _errcode(self) -> str:
        return str(self.body.get("errcode", "")) if isinstance(self.body, dict) else ""


def asked() -> list[Question]:
    """The questions about what is served."""
    known = by_name()
    return [question for question in QUESTIONS if known[question.operation].endpoint() is not None]


async def ask_all(world: World) -> dict[str, Answer]:
    """The answers, by the names of the questions."""
    known = by_name()
    return {question.name: await _ask(world, known[question.operation], question) for question in asked()}


async def _ask(world: World, operation: Operation, question: Question) -> Answer:
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = await _ask_once(world, operation, question)
        if all(answer.body.get(name) == value for name, value in question.until.items()):
            return answer
        if time.monotonic() > deadline:
            return answer
        await asyncio.sleep(PAUSE_S)


async def _ask_once(world: World, operation: Operation, question: Question) -> Answer:
    # A parameter's value is put in as it is: no ID of these worlds needs quoting, but for "#" and "/".
    path = operation.full_path
    for name, value in question.params.items():
        path = path.replace(f"{{{name}}}", world.filled_in(value).replace("#", "%23"))
    query = world.filled_in(dict(question.query))
    answer = await world.ask(operation.method, path, world.filled_in(question.body), params=query)
    body = answer.json()
    for name, place in question.keeps.items():
        if answer.status_code == 200:
            world.known[name] = _at(body, place)
    return Answer(answer.status_code, world.named(body))


def _at(body: Any, place: str) -> str:
    for name in place.split("."):
        body = body[int(name) if name.isdigit() else name]
    return str(body)
