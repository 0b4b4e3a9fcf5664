"""Benchmarks of Palpo alone, whose figures have bars of their own; what they print is read."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from pathlib import Path

BAR = re.compile(r"([\d.,]+) ([^\d(]*?)\s*\(bar: ([\d.,]+)\D*?\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A module of ``bench``, and what it is called with."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A figure that was printed beside its bar."""

    part: str
    said: str
    """The whole line."""
    value: float
    unit: str
    bar: float

    @property
    def kept(self) -> bool:
        """Whether it is as the bar has it: rates are at least that, all else at most."""
        return (
            self.value >= self.bar if "/s" in self.unit or "second" in self.unit else self.value <= self.bar
        )


PARTS = (
    Part(name="inbound"),
    Part(name="fan_out"),
    Part(name="joining"),
    Part(name="joining", arguments=("--partial",)),
    Part(name="conflicted"),
)


def there() -> list[Part]:
    """Those whose module there is."""
    return [part for part in PARTS if (Path(__file__).parents[1] / f"{part.name}.py").exists()]


async def run(part: Part, seconds: float) -> list[Found]:
    """Run one of them. Raises RuntimeError with what it printed if it fails, and TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.{part.name}", *part.arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"bench.{part.name} ended with {process.returncode}: {said[-1000:]}")
    return read(part.name, said)


def read(part: str, said: str) -> list[Found]:
    """The figures that have a bar behind them."""
    return [
        Found(part=part, said=line.strip(), value=_number(value), unit=unit, bar=_number(bar))
        for line in said.splitlines()
        for value, unit, bar in BAR.findall(line)
    ]


def _number(text: str) -> float:
    return float(text.replace(",", ""))
