"""The table, the JSON, and the bars."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.side_by_side.rows import Row
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


Outcomes = dict[str, dict[str, Outcome]]  # By row, by server.


def lines(row: Row) -> list[str]:
    """The names of the row's lines."""
    return [row.name, f"{row.name}_p95"] if row.p95 else [row.name]


def ratio(row: Row, line: str, outcomes: dict[str, Outcome]) -> float | None:
    """How many times as good as Synapse Palpo is."""
    found = [outcomes[name].figure(row, line) if name in outcomes else None for name in ("palpo", "synapse")]
    if found[0] is None or found[1] is None or not all(found):
        return None
    return found[0] / found[1] if row.unit == "1/s" else found[1] / found[0]


def table(rows: list[Row], servers: list[str], outcomes: Outcomes) -> str:
    """A Markdown table; CPU is a request's, the homeserver's + the database server's."""
    head = ["row", "unit", *servers, "ratio", *(f"{name} CPU ms" for name in servers)]
    out = [head, ["---", "---", *["--:"] * (len(head) - 2)]]
    for row in rows:
        found = outcomes[row.name]
        for line in lines(row):
            title = row.title if line == row.name else row.title.replace("p50", "p95")
            figures = [_number(found[name].figure(row, line), found[name].error) for name in servers]
            times = ratio(row, line, found)
            cpu = [_cpu(found[name].cpu_ms()) if line == row.name else "" for name in servers]
            out.append([title, row.unit, *figures, f"{times:.1f}×" if times else "", *cpu])
    widths = [max(len(line[column]) for line in out) for column in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in out
    )


def shortfalls(rows: list[Row], outcomes: Outcomes) -> list[str]:
    """The rows where Palpo misses its bar, or that did not count."""
    missed = []
    for row in rows:
        if row.bar is None:
            continue
        times = ratio(row, row.name, outcomes[row.name])
        if times is None:
            missed.append(f"{row.name}: not measured on both servers; {row.bar:g}× is wanted")
        elif times < row.bar:
            missed.append(f"{row.name}: {times:.1f}×; {row.bar:g}× is wanted")
    return missed


def as_json(rows: list[Row], servers: list[str], outcomes: Outcomes) -> dict[str, Any]:
    """Every round's figures."""
    return {row.name: {name: _detail(row, outcomes[row.name][name]) for name in servers} for row in rows}


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
