"""Operations that need what is stored, in a layer that reads nothing.

Such an operation is a generator: it yields what it needs next, is sent the answer, and returns its result.
Whoever runs it says how to answer: from memory (``drive``), or from a database (``drive_async``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")
N = TypeVar("N")


def drive(operation: Generator[Q, A, T], answer: Callable[[Q], A]) -> T:
    """The result of ``operation``; ``answer`` gives what it asks for."""
    given: Any = None
    try:
        while True:
            given = answer(operation.send(given))
    except StopIteration as done:
        result: T = done.value
        return result


async def drive_async(operation: Generator[Q, A, T], answer: Callable[[Q], Awaitable[A]]) -> T:
    """The same where the answers are waited for."""
    given: Any = None
    try:
        while True:
            given = await answer(operation.send(given))
    except StopIteration as done:
        result: T = done.value
        return result


def together(operations: Sequence[Generator[tuple[N, ...], A, T]]) -> Generator[tuple[N, ...], A, list[T]]:
    """Several operations as one: each step asks for what any of them needs, and all are sent all of it."""
    results: dict[int, T] = {}
    given: Any = None
    due = list(range(len(operations)))
    while due:
        needed: dict[int, tuple[N, ...]] = {}
        for number in due:
            try:
                needed[number] = operations[number].send(given)
            except StopIteration as done:
                results[number] = done.value
        due = list(needed)
        if due:
            given = yield tuple({name for names in needed.values() for name in names})
    return [results[number] for number in range(len(operations))]
