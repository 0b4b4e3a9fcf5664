"""The table, and the bars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.federation.rows import Figures, Line, Row
from bench.federation.servers import Palpo, Synapse


@dataclass(slots=True)
class Outcome:
    """What a row's rounds were on a server, or on a pair."""

    rounds: list[Figures] = field(default_factory=list)
    error: str = ""

    def figure(self, line: Line) -> float | None:
        """The median; None where there is none."""
        values = [figures.values[line.name] for figures in self.rounds if line.name in figures.values]
        return median(values) if values and not self.error else None

    @property
    def unfinished(self) -> bool:
        """Whether any round was given up."""
        return any(figures.unfinished for figures in self.rounds)


Outcomes = dict[str, dict[str, Outcome]]  # By row, by server or pair.
HEAD = ("row", "unit", "bar")


def columns(servers: Iterable[str], *, pairs: bool) -> list[str]:
    """Whom a row is measured on; a server with another of its kind has the name of one."""
    chosen = list(servers)
    if not pairs:
        return chosen
    return [one if one == other else f"{one}+{other}" for one in chosen for other in chosen]


def kinds(column: str) -> list[str]:
    """The servers of a pair."""
    one, _, other = column.partition("+")
    return [one, other or one]


def ratio(line: Line, outcomes: dict[str, Outcome]) -> float | None:
    """How many times as good as Synapse Palpo is; at least, where Synapse was given up."""
    ours, theirs = (outcomes.get(name, Outcome()).figure(line) for name in (Palpo.name, Synapse.name))
    if ours is None or theirs is None:
        return None
    better, worse = (ours, theirs) if line.more else (theirs, ours)
    return better / worse if worse else None


def table(rows: list[Row], outcomes: Outcomes) -> str:
    """In Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in outcomes[row.name]))
    lines = [[*HEAD, *names, "ratio"], ["---", "---", "---", *["--:"] * (len(names) + 1)]]
    for row in rows:
        found = outcomes[row.name]
        for line in row.lines:
            times = ratio(line, found)
            cells = [_cell(line, found[name]) if name in found else "" for name in names]
            shown = "" if times is None else f"{times:.1f}×"
            lines.append([f"{row.title}: {line.title}", line.unit, _bar(line), *cells, shown])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def missed(rows: list[Row], outcomes: Outcomes) -> list[str]:
    """The bars that are missed, and what could not be measured."""
    return [reason for row in rows for reason in _missed(row, outcomes[row.name])]


def _missed(row: Row, outcomes: dict[str, Outcome]) -> Iterable[str]:
    for name, outcome in outcomes.items():
        if name != Synapse.name and (outcome.error or outcome.unfinished):
            yield f"{row.name} on {name}: {outcome.error or 'not done in time'}"
    for line in row.lines:
        ours, times = outcomes.get(Palpo.name, Outcome()).figure(line), ratio(line, outcomes)
        if line.times and times is not None and times < line.times:
            yield f"{row.name}, {line.title}: {times:.1f}× of Synapse; {line.times:g}× is wanted"
        if line.bound and ours is not None and (ours < line.bound if line.more else ours > line.bound):
            yield f"{row.name}, {line.title}: {_number(ours)} {line.unit}; {line.bound:g} is wanted"


def as_json(row: Row, column: str, outcome: Outcome) -> dict[str, Any]:
    """A line of the file."""
    return {
        "row": row.name,
        "servers": kinds(column) if row.pairs else [column],
        "error": outcome.error,
        "unfinished": outcome.unfinished,
        "rounds": [figures.values for figures in outcome.rounds],
    }


def _bar(line: Line) -> str:
    parts = [f"{line.times:g}×"] if line.times else []
    if line.bound:
        parts.append(f"{'≥' if line.more else '≤'} {line.bound:,g}")
    return ", ".join(parts)


def _cell(line: Line, outcome: Outcome) -> str:
    value = outcome.figure(line)
    if value is None:
        return "error" if outcome.error else ""
    given_up = outcome.unfinished and line.unit == "s"
    return f"{'over ' * given_up}{_number(value)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
