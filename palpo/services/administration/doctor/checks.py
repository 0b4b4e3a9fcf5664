"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not for everybody."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    text: str
    """What was found."""
    advice: str = ""
    """What to do; empty where that is nothing."""


def ok(name: str, text: str) -> Check:
    """It is well."""
    return Check(name=name, verdict=Verdict.OK, text=text)


def warning(name: str, text: str, advice: str) -> Check:
    """It is not quite well."""
    return Check(name=name, verdict=Verdict.WARNING, text=text, advice=advice)


def problem(name: str, text: str, advice: str) -> Check:
    """It is not well."""
    return Check(name=name, verdict=Verdict.PROBLEM, text=text, advice=advice)
