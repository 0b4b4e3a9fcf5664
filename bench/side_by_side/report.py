"""The table, the JSON, and the bars."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.side_by_side.rows import Row
from bench.side_by_side.servers import BEFORE, Palpo, Synapse
from bench.side_by_side.world import Sample


@dataclass(slots=True)
class Outcome:
    """What one server did in one row, all rounds together."""

    samples: list[Sample] = field(default_factory=list)
    error: str = ""

    def figure(self, row: Row, line: str) -> float | None:
        """The median of the rounds; None where the row did not count."""
        if self.error or not self.samples:
            return None
        return median(row.figures(sample)[line] for sample in self.samples)

    def cpu_ms(self) -> tuple[float, float] | None:
        """CPU milliseconds a request: the homeserver's, its database server's."""
        if self.error or not self.samples:
            return None
        count = sum(sample.count for sample in self.samples)
        server = sum(sample.server_cpu for sample in self.samples)
        database = sum(sample.database_cpu for sample in self.samples)
        return 1000 * server / count, 1000 * database / count


TOLERANCE = 0.05
Outcomes = dict[str, dict[str, Outcome]]  # By row, by server.


def lines(row: Row) -> list[str]:
    """The names of the row's lines."""
    return [row.name, f"{row.name}_p95"] if row.p95 else [row.name]


def ratio(row: Row, line: str, outcomes: dict[str, Outcome]) -> tuple[float, str] | None:
    """How many times as good as Synapse Palpo is, and with which engine, where it has two: the better."""
    figures = {name: outcome.figure(row, line) for name, outcome in outcomes.items()}
    other = figures.get(Synapse.name)
    palpo = {name: figure for name, figure in figures.items() if figure and name.startswith(Palpo.name)}
    if not other or not palpo:
        return None
    times = {name: _times(row, figure, other) for name, figure in palpo.items()}
    best = max(times, key=times.__getitem__)
    return times[best], best if len(times) > 1 else ""


def _times(row: Row, figure: float, other: float) -> float:
    """How many times as good as ``other`` ``figure`` is, whichever direction is better."""
    return figure / other if row.unit == "1/s" else other / figure


def progress(row: Row, line: str, outcomes: dict[str, Outcome]) -> dict[str, float]:
    """How many times as good as the checkout before Palpo is, by engine."""
    found = {}
    for name, outcome in outcomes.items():
        before = outcomes.get(f"{BEFORE}{name.removeprefix(Palpo.name)}")
        if name.startswith(Palpo.name) and before is not None:
            figure, other = outcome.figure(row, line), before.figure(row, line)
            if figure and other:
                found[name] = _times(row, figure, other)
    return found


def setbacks(rows: list[Row], outcomes: Outcomes) -> list[str]:
    """The rows that are worse by more than TOLERANCE than in the checkout before."""
    return [
        f"{row.name}: {times:.2f}× of before on {name}"
        for row in rows
        for name, times in progress(row, row.name, outcomes[row.name]).items()
        if times < 1 - TOLERANCE
    ]


def table(rows: list[Row], servers: list[str], outcomes: Outcomes) -> str:
    """A Markdown table; CPU is a request's, the homeserver's + the database server's."""
    servers = [name for name in servers if any(name in outcomes[row.name] for row in rows)]
    compared = any(name.startswith(BEFORE) for name in servers)
    head = [
        "row",
        "unit",
        *servers,
        *["of before"] * compared,
        "ratio",
        *(f"{name} CPU ms" for name in servers),
    ]
    out = [head, ["---", "---", *["--:"] * (len(head) - 2)]]
    for row in rows:
        found = outcomes[row.name]
        for line in lines(row):
            title = row.title if line == row.name else row.title.replace("p50", "p95")
            outcomes_ = [found.get(name, Outcome()) for name in servers]
            figures = [_number(outcome.figure(row, line), outcome.error) for outcome in outcomes_]
            times = ratio(row, line, found)
            cpu = [_cpu(outcome.cpu_ms()) if line == row.name else "" for outcome in outcomes_]
            if compared:
                figures.append(" ".join(f"{each:.2f}×" for each in progress(row, line, found).values()))
            out.append([title, row.unit, *figures, f"{times[0]:.1f}×" if times else "", *cpu])
    widths = [max(len(line[column]) for line in out) for column in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in out
    )


def shortfalls(rows: list[Row], outcomes: Outcomes) -> list[str]:
    """The rows where Palpo misses its bar, or that did not count."""
    missed = []
    for row in rows:
        times = ratio(row, row.name, outcomes[row.name])
        if times is None:
            missed.append(f"{row.name}: not measured on both servers; {row.bar:g}× is wanted")
        elif times[0] < row.bar:
            missed.append(f"{row.name}: {times[0]:.1f}×{_by(times[1])}; {row.bar:g}× is wanted")
    return missed


def reached(rows: list[Row], outcomes: Outcomes) -> list[str]:
    """The rows where Palpo reaches its bar."""
    found = [(row, ratio(row, row.name, outcomes[row.name])) for row in rows]
    return [
        f"{row.name}: {times[0]:.1f}×{_by(times[1])}; {row.bar:g}× is wanted"
        for row, times in found
        if times is not None and times[0] >= row.bar
    ]


def _by(column: str) -> str:
    return f" by {column}, the better" if column else ""


def as_json(rows: list[Row], outcomes: Outcomes) -> dict[str, Any]:
    """Every round's figures."""
    return {
        row.name: {name: _detail(row, outcome) for name, outcome in outcomes[row.name].items()}
        for row in rows
    }


def _detail(row: Row, outcome: Outcome) -> dict[str, Any]:
    if outcome.error:
        return {"error": outcome.error}
    cpu = outcome.cpu_ms()
    return {
        "unit": row.unit,
        "figures": {line: outcome.figure(row, line) for line in lines(row)},
        "cpu_ms": cpu[0] if cpu else None,
        "database_cpu_ms": cpu[1] if cpu else None,
        "rounds": [
            {
                **row.figures(sample),
                "requests": sample.count,
                "seconds": sample.elapsed,
                "p50_ms": sample.percentile_ms(0.5),
                "p95_ms": sample.percentile_ms(0.95),
                "received_bytes": sample.received,
            }
            for sample in outcome.samples
        ],
    }


def _number(value: float | None, error: str) -> str:
    if value is None:
        return "error" if error else ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cpu(cpu: tuple[float, float] | None) -> str:
    return "" if cpu is None else f"{_number(cpu[0], '')} + {_number(cpu[1], '')}"
