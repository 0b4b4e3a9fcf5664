"""The results of a suite: the model, Go's event stream, and the files. One place to import them from."""

from __future__ import annotations

from .files import (
    EXPECTATIONS_FILE,
    BadResults,
    IncompleteRun,
    PartialRun,
    load_results,
    log_path,
    read_run,
    write_results,
    write_run,
)
from .go_events import GoOutcome, PackageOutcome, parse_go_events, parse_go_stream
from .model import (
    Run,
    RunFooter,
    RunHeader,
    Status,
    Tally,
    TestResult,
    attribute_operations,
    build_run,
    count,
    merge_rerun,
    status_counts,
    summarise,
    summarise_packages,
)

__all__ = [
    "EXPECTATIONS_FILE",
    "BadResults",
    "GoOutcome",
    "IncompleteRun",
    "PackageOutcome",
    "PartialRun",
    "Run",
    "RunFooter",
    "RunHeader",
    "Status",
    "Tally",
    "TestResult",
    "attribute_operations",
    "build_run",
    "count",
    "load_results",
    "log_path",
    "merge_rerun",
    "parse_go_events",
    "parse_go_stream",
    "read_run",
    "status_counts",
    "summarise",
    "summarise_packages",
    "write_results",
    "write_run",
]
