"""Operations and those who run them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

from palpo.core.driving import drive, drive_async, together

Adding = Generator[tuple[str, ...], Mapping[str, int], int]


def adding(*steps: tuple[str, ...]) -> Adding:
    """The sum of all that is asked for, a step at a time."""
    total = 0
    for names in steps:
        found = yield names
        total += sum(found[name] for name in names)
    return total


class Numbers:
    """Answers with a name's length, and no more than is asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def answer(self, names: Iterable[str]) -> dict[str, int]:
        self.asked.append(sorted(names))
        return {name: len(name) for name in names}

    async def later(self, names: Iterable[str]) -> dict[str, int]:
        return self.answer(names)


async def test_an_operation_is_answered_until_its_end() -> None:
    operations = [(), (("a",),), (("a", "bb"), ("ccc",), ("a",))]
    for steps, total in zip(operations, (0, 1, 7), strict=True):
        numbers, waited = Numbers(), Numbers()
        assert drive(adding(*steps), numbers.answer) == total
        assert await drive_async(adding(*steps), waited.later) == total
        assert numbers.asked == waited.asked == [sorted(names) for names in steps]


def test_together_they_ask_for_each_step_once() -> None:
    numbers = Numbers()
    operations = [adding(("a", "bb"), ("ccc",)), adding(), adding(("bb", "dddd"))]
    assert drive(together(operations), numbers.answer) == [6, 0, 6]
    assert numbers.asked == [["a", "bb", "dddd"], ["ccc"]]
    assert drive(together([]), numbers.answer) == []
