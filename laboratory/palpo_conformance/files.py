"""The files of a run and of the committed results.

``run.jsonl`` (not committed) has a header line, a line for each test with its duration, and a footer line.
The committed folder has ``<feature>.jsonl``, sorted and free of times so that its diff is the report, and
``run.json`` with the header and the footer. A test stands in the file of its first feature.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from .model import Run, RunFooter, RunHeader, Status, TestResult, count
from .suite import Suite, load_suite

RUN_FILE = "run.json"
EXPECTATIONS_FILE = "expectations.jsonl"
_NO_FEATURE = "uncatalogued"

T = TypeVar("T")


class PartialRun(ValueError):
    """A run of a part of the suite was about to replace the results of the whole."""


class IncompleteRun(ValueError):
    """A run without its footer was about to be kept as results."""


class BadResults(ValueError):
    """A results file does not hold what it should; the message names the file and the line."""


def dump(record: Mapping[str, Any]) -> str:
    """Return one line of JSON, keys in the order given, without a newline."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, making its folder when there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def read_lines(path: Path, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return what ``parse`` makes of the object in each line of a JSONL file.

    Raises ``BadResults`` for any other line, and where ``parse`` finds a field missing or wrong.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
            found.append(parse(record))
        except (KeyError, TypeError, ValueError) as error:
            raise BadResults(f"{path}:{number}: {error}") from error
    return found


def log_path(package: str, test: str) -> str:
    """Return where the log of a row's top-level test is kept, relative to the run's output folder."""
    return f"logs/{package.replace('/', '.')}/{test.split('/', 1)[0]}.log"


def record_of(result: TestResult, *, times: bool) -> dict[str, Any]:
    """Return a result as a JSON object; with ``times`` also when it ran, as the run's own file has it."""
    record: dict[str, Any] = {
        "package": result.package,
        "test": result.test,
        "status": result.status.value,
        "features": list(result.features),
        "operations": list(result.operations),
    }
    if result.flaky:
        record["flaky"] = True
    if times:
        spans = {"duration": result.duration, "started": result.started, "ended": result.ended}
        record.update({name: value for name, value in spans.items() if value is not None})
    return record


def result_of(record: Mapping[str, Any]) -> TestResult:
    """Read a result back; raise KeyError, TypeError or ValueError when a field is missing or wrong."""
    return TestResult(
        package=record["package"],
        test=record["test"],
        status=Status(record["status"]),
        features=tuple(record.get("features", ())),
        operations=tuple(record.get("operations", ())),
        flaky=bool(record.get("flaky", False)),
        duration=record.get("duration"),
        started=record.get("started"),
        ended=record.get("ended"),
    )


def header_of(record: Mapping[str, Any]) -> RunHeader:
    """Read a header back; raise TypeError when a field is missing."""
    known = {name: record[name] for name in RunHeader.__dataclass_fields__ if name in record}
    return RunHeader(**{**known, "packages": tuple(known.get("packages", ()))})


def _footer_of(record: Mapping[str, Any]) -> RunFooter:
    return RunFooter(**{name: record[name] for name in RunFooter.__dataclass_fields__ if name in record})


def write_run(path: Path, run: Run) -> None:
    """Write a run's own file, with durations. A run that was cut short has no footer line."""
    lines = [dump({"type": "header", **asdict(run.header)})]
    lines += [dump({"type": "test", **record_of(result, times=True)}) for result in run.results]
    if run.footer is not None:
        lines.append(dump({"type": "footer", **asdict(run.footer)}))
    write_atomically(path, "\n".join(lines) + "\n")


def read_run(path: Path) -> Run:
    """Read a run's own file; raise ``BadResults`` when it is none."""
    header: RunHeader | None = None
    footer: RunFooter | None = None
    results: list[TestResult] = []
    for part in read_lines(path, _part_of):
        match part:
            case RunHeader():
                header = part
            case RunFooter():
                footer = part
            case TestResult():
                results.append(part)
    if header is None:
        raise BadResults(f"{path}: no header")
    return Run(header=header, results=tuple(results), footer=footer)


def _part_of(record: Mapping[str, Any]) -> RunHeader | TestResult | RunFooter:
    match record.get("type"):
        case "header":
            return header_of(record)
        case "test":
            return result_of(record)
        case "footer":
            return _footer_of(record)
        case other:
            raise ValueError(f"a line of type {other!r}")


def write_results(directory: Path, run: Run, *, merge: bool = False, suite: Suite | None = None) -> Run:
    """Write the committed results and return the run they now stand for.

    Raises ``IncompleteRun`` for a run without its footer, and ``PartialRun`` for a partial one unless
    ``merge`` is set: then only what it ran replaces what the folder has, and ``run.json`` notes whence.
    """
    if not run.complete:
        raise IncompleteRun("the run has no footer: it was cut short and does not count")
    updates: list[dict[str, Any]] = []
    if run.header.partial:
        if not merge:
            raise PartialRun("a run of a part of the suite replaces no results; merge it explicitly")
        updates = [*_updates(directory), asdict(run.header)]
        run = _merge(load_results(directory), run, suite or load_suite())
    _write_features(directory, run.results)
    document: dict[str, Any] = {
        "header": asdict(run.header),
        "footer": asdict(run.footer) if run.footer else None,
    }
    if updates:
        document["updates"] = _distinct(updates)
    text = json.dumps(document, ensure_ascii=False, indent=2)
    write_atomically(directory / RUN_FILE, text + "\n")
    return run


def _merge(base: Run, update: Run, suite: Suite) -> Run:
    if base.header.suite_commit != update.header.suite_commit:
        raise PartialRun("the committed results are of another commit of the suite; run all of it")
    ran = {result.key: result for result in update.results if result.status is not Status.NOT_RUN}
    merged = {**base.by_key(), **ran}
    results = tuple(merged[key] for key in sorted(merged))
    return replace(base, results=results, footer=count(results, suite))


def _updates(directory: Path) -> list[dict[str, Any]]:
    path = directory / RUN_FILE
    if not path.exists():
        raise PartialRun(f"{directory} has no results of a whole run to merge into")
    return list(json.loads(path.read_text(encoding="utf-8")).get("updates", []))


def _distinct(updates: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in dict.fromkeys(json.dumps(update) for update in updates)]


def _write_features(directory: Path, results: Iterable[TestResult]) -> None:
    groups: defaultdict[str, list[TestResult]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.key):
        groups[result.features[0] if result.features else _NO_FEATURE].append(result)
    for feature, members in groups.items():
        lines = "".join(dump(record_of(result, times=False)) + "\n" for result in members)
        write_atomically(directory / f"{feature}.jsonl", lines)
    for path in feature_files(directory):
        if path.stem not in groups:
            path.unlink()


def feature_files(directory: Path) -> list[Path]:
    """Return the feature files of a results folder, in order of name."""
    return sorted(path for path in directory.glob("*.jsonl") if path.name != EXPECTATIONS_FILE)


def load_results(directory: Path) -> Run:
    """Read the committed results; raise ``BadResults`` when the folder holds none or a wrong line."""
    path = directory / RUN_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        header = header_of(document["header"])
        footer = _footer_of(document["footer"]) if document.get("footer") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadResults(f"{path}: {error}") from error
    results = [result for file in feature_files(directory) for result in read_lines(file, result_of)]
    return Run(header=header, results=tuple(sorted(results, key=lambda r: r.key)), footer=footer)
