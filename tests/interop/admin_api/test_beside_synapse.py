"""Palpo's admin API beside that of a real Synapse, where the laboratory has installed one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.admin_api.asking import Answer, ask_all
from tests.interop.admin_api.differences import DIFFERENCES
from tests.interop.admin_api.filled import Palpo
from tests.interop.admin_api.operations import NOT_SERVED, by_name, pending
from tests.interop.admin_api.questions import QUESTIONS, Question
from tests.interop.admin_api.world import SECRET, World
from tests.support import two_servers
from tests.support.authority import Authority

pytestmark = pytest.mark.one_database

NAMES = [question.name for question in QUESTIONS]


class Synapse(two_servers.Synapse):
    """Theirs, likewise."""

    def _settings(self, logs: Path) -> dict[str, object]:
        fast = {"per_second": 9999, "burst_count": 9999}
        return super()._settings(logs) | {
            "registration_shared_secret": SECRET,
            "server_notices": {"system_mxid_localpart": "_server"},
            "room_list_publication_rules": [{"action": "allow"}],
            "rc_reports": fast,
            "rc_room_creation": fast,
            "rc_media_create": fast,
        }


@dataclass(frozen=True, slots=True)
class Both:
    """The answers of both servers, by the names of the questions."""

    ours: dict[str, Answer]
    theirs: dict[str, Answer]

    def differ(self, name: str) -> list[str]:
        """What is different in the answers to one question."""
        return list(self.ours[name].against(self.theirs[name]))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """All of it is asked before the first test."""
    Synapse.python()
    try:
        return asyncio.run(_ask_both(tmp_path_factory.mktemp("admin-api")))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said once for each test, so shortly
        pytest.fail(f"{type(error).__name__}: {str(error)[-1000:]}", pytrace=False)


async def _ask_both(folder: Path) -> Both:
    authority = Authority(folder)
    palpo, synapse = Palpo(folder / "palpo", authority), Synapse(folder / "synapse", authority)
    try:
        await asyncio.gather(palpo.start(), synapse.start())
        async with World(palpo, synapse) as ours, World(synapse, palpo) as theirs:
            await asyncio.gather(ours.fill(), theirs.fill())
            await ours.meet(theirs)
            await theirs.meet(ours)
            return Both(*await asyncio.gather(ask_all(ours), ask_all(theirs)))
    finally:
        await asyncio.gather(palpo.stop(), synapse.stop())


@pytest.mark.parametrize("question", QUESTIONS, ids=NAMES)
def test_the_answers_have_the_same_form(both: Both, question: Question) -> None:
    if question.operation in NOT_SERVED:
        pytest.skip(NOT_SERVED[question.operation])
    if by_name()[question.operation].endpoint() is None:
        pytest.xfail("missing: the operation is not served yet (pending.txt)")
    known = reasons(question)
    different = [said for said in both.differ(question.name) if said not in known]
    assert different == [], (both.ours[question.name], both.theirs[question.name])


def test_differences_that_are_known_are_there(both: Both) -> None:
    seen: dict[str, set[str]] = {}
    for question in QUESTIONS:
        if question.name in both.ours:
            for key in (question.operation, question.name):
                seen.setdefault(key, set()).update(both.differ(question.name))
    asked = [(key, said) for key in DIFFERENCES if key in seen for said in DIFFERENCES[key]]
    assert [(key, said) for key, said in asked if said not in seen[key]] == []


def reasons(question: Question) -> set[str]:
    """The differences that are known, of the operation and of the question."""
    found: set[str] = set()
    for key in {question.operation, question.name}:
        found |= DIFFERENCES.get(key, {}).keys()
    return found


def test_each_operation_is_asked_for() -> None:
    assert {question.operation for question in QUESTIONS} == set(by_name())
    assert set(pending()) <= set(by_name())
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("key", DIFFERENCES)
def test_differences_are_of_questions(key: str) -> None:
    names: Callable[[Question], set[str]] = lambda question: {question.operation, question.name}  # noqa: E731
    assert any(key in names(question) for question in QUESTIONS)
    assert all(DIFFERENCES[key].values())
