"""The bench of federation: its rows can be measured, and its bars are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.federation import parts
from bench.federation.bench import QUICK, Bench
from bench.federation.report import Outcome, columns, kinds, missed, ratio, table
from bench.federation.rows import ROWS, Figures, Line, Row
from bench.federation.servers import Palpo, Synapse

RATE = Line(name="rate", title="rate", unit="1/s", more=True, times=10, bound=1000)
TIME = Line(name="time", title="time", unit="s", times=10, bound=3)


async def nothing() -> Figures:
    """What no test measures."""
    return Figures()


ROW = Row(name="row", title="A row", lines=(RATE, TIME), measure=nothing)


def outcome(*, unfinished: bool = False, **values: float) -> Outcome:
    return Outcome(rounds=[Figures(values=values, unfinished=unfinished)])


SOME = ("sends", "partial_60000", "extremities")


@pytest.mark.one_database
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in SOME], ids=lambda row: row.name)
async def test_a_row_can_be_measured_on_palpo(row: Row, tmp_path: Path) -> None:
    servers = [Palpo.name] * (2 if row.pairs else 1)
    figures = await row.measure(Bench(tmp_path, QUICK), *servers)
    assert not figures.unfinished
    assert {line.name for line in row.lines} <= figures.values.keys()
    assert figures.values["memory"] > 10
    report = table([row], {row.name: {Palpo.name: Outcome(rounds=[figures])}})
    assert len(report.splitlines()) == 2 + len(row.lines)


def test_a_pair_of_equals_has_their_name() -> None:
    found = columns([Palpo.name, Synapse.name], pairs=True)
    assert found == ["palpo", "palpo+synapse", "synapse+palpo", "synapse"]
    assert [kinds(name) for name in found][:2] == [["palpo", "palpo"], ["palpo", "synapse"]]


def test_more_is_better_of_rates_and_less_of_all_else() -> None:
    both = {"palpo": outcome(rate=200, time=2), "synapse": outcome(rate=10, time=10)}
    assert (ratio(RATE, both), ratio(TIME, both)) == (20, 5)


def test_bars_are_of_synapse_and_of_their_own() -> None:
    good = {"palpo": outcome(rate=1000, time=3), "synapse": outcome(rate=100, time=30)}
    assert missed([ROW], {"row": good}) == []
    bad = {"palpo": outcome(rate=900, time=4), "synapse": outcome(rate=100, time=30)}
    assert len(missed([ROW], {"row": bad})) == 4
    assert len(missed([ROW], {"row": {"palpo": bad["palpo"]}})) == 2


def test_synapse_may_be_given_up_and_palpo_may_not() -> None:
    late = outcome(rate=2000, time=600, unfinished=True)
    assert missed([ROW], {"row": {"palpo": outcome(rate=2000, time=2), "synapse": late}}) != []
    assert "row on palpo: not done in time" in missed([ROW], {"row": {"palpo": late}})
    assert "over 600" in table([ROW], {"row": {"synapse": late}})


def test_figures_are_read_where_a_bar_is_printed_beside_them() -> None:
    said = (
        "60000 events of state\n"
        "joined in 75.9 s, 70.5 s of the processor (bar: 60)\n"
        "many rooms: 1,200 events/s, 900 a processor's second (bar: 1000)\n"
        "acknowledged after 5.20 ms (bar: 20), told p50 0.20 s, p99 2.00 s (bar: 1.0 s)\n"
    )
    found = parts.read("joining", said)
    assert [(figure.value, figure.bar, figure.kept) for figure in found] == [
        (70.5, 60, False),
        (900, 1000, False),
        (5.2, 20, True),
        (2.0, 1.0, False),
    ]
