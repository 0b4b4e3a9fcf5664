"""One run: find the suite, open an engine, run the packages, gather what was said, write it down."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from palpo_conformance.files import write_results, write_run
from palpo_conformance.go_events import GoOutcome, parse_go_stream
from palpo_conformance.model import (
    Run,
    RunHeader,
    Status,
    TestResult,
    attribute_operations,
    build_run,
    merge_rerun,
)
from palpo_conformance.suite import Suite, load_suite
from palpo_conformance.violations import operation_calls

from . import go, records
from .checkout import Checkout, cache_directory, find_checkout
from .engines import PACKAGE_VARIABLE, SHARE_PREFIX, Serving, serving
from .options import RunOptions
from .progress import Progress
from .selection import expected_rows, rerun_pattern, resolve_packages, wanted_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run needs besides servers: the suite's source, its binaries and Go's converter."""

    checkout: Checkout
    binaries: Mapping[str, Path]
    test2json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One pass over some packages: where it writes, and which tests it asks for."""

    directory: Path
    packages: tuple[str, ...]
    pattern: str | None


def clean_output(path: Path) -> None:
    """Make the output folder and remove what an earlier run left in it."""
    path.mkdir(parents=True, exist_ok=True)
    for name in ("raw", "rerun", records.SERVERS, "logs"):
        shutil.rmtree(path / name, ignore_errors=True)


async def conformance_run(options: RunOptions) -> Run:
    """Run what the options ask for and write `run.jsonl`, logs and records into the output folder.

    Raises NotRun, SetupFailed, and ValueError where there are no results to update.
    """
    suite = load_suite()
    asked = resolve_packages(options.packages, suite.packages())
    packages = wanted_packages(suite, asked, options.pattern)
    tools = await _tools(options, suite, packages)
    clean_output(options.output)
    progress = Progress(expected_rows(suite, packages, options.pattern))
    for line in unlisted(tools.checkout, suite):
        progress.say(line)
    attempt = Attempt(directory=options.output, packages=packages, pattern=options.pattern)
    async with serving(options) as servers:
        header = RunHeader(
            suite_commit=tools.checkout.label,
            server_name=servers.name,
            server_commit=servers.version,
            engine=options.engine,
            database=options.database,
            packages=asked,
            filter=options.pattern,
        )
        run = await _attempt(attempt, options, tools, servers, header, progress)
        failures = [result for result in run.results if result.status is Status.FAIL]
        if options.rerun_failures and failures:
            run = await _rerun(failures, run, options, tools, servers, header)
    progress.finish()
    write_run(options.output / "run.jsonl", run)
    if options.results is not None:
        write_results(options.results, run, merge=run.header.partial)
    return run


def unlisted(checkout: Checkout, suite: Suite) -> list[str]:
    """In what the checkout's packages and top-level tests differ from the suite's list, as lines to print."""
    lines = []
    packages = checkout.packages()
    for package in sorted({*packages, *suite.packages()}):
        known = {test.test for test in suite.tests if test.package == package}
        found = checkout.top_level_tests(package) if package in packages else frozenset()
        lines += [f"{package} {name} is not in the suite's list" for name in sorted(found - known)]
        lines += [f"{package} {name} is in the suite's list only" for name in sorted(known - found)]
    return lines


async def _tools(options: RunOptions, suite: Suite, packages: tuple[str, ...]) -> Tools:
    checkout = await asyncio.to_thread(find_checkout, options.complement, suite.commit)
    compiler = await go.find_go(go.required_version(checkout))
    binaries = await go.build(compiler, checkout, packages, cache_directory(os.environ))
    return Tools(checkout=checkout, binaries=binaries, test2json=await go.test2json(compiler))


async def _rerun(
    failures: list[TestResult],
    run: Run,
    options: RunOptions,
    tools: Tools,
    servers: Serving,
    header: RunHeader,
) -> Run:
    """Run the failed top-level tests once more, alone; what passes then is flaky."""
    packages = tuple(sorted({result.package for result in failures}))
    pattern = rerun_pattern(result.key for result in failures)
    progress = Progress(expected_rows(load_suite(), packages, pattern))
    progress.say(f"Running {len({(r.package, r.top) for r in failures})} failed tests again")
    attempt = Attempt(directory=options.output / "rerun", packages=packages, pattern=pattern)
    again = await _attempt(attempt, replace(options, jobs=1), tools, servers, header, progress)
    progress.finish()
    return merge_rerun(run, again)


async def _attempt(
    attempt: Attempt,
    options: RunOptions,
    tools: Tools,
    servers: Serving,
    header: RunHeader,
    progress: Progress,
) -> Run:
    (attempt.directory / "raw").mkdir(parents=True, exist_ok=True)
    (options.output / records.SERVERS).mkdir(parents=True, exist_ok=True)
    limit = asyncio.Semaphore(max(1, options.jobs))
    finished = False
    try:
        async with asyncio.TaskGroup() as group:
            for package in attempt.packages:
                group.create_task(_package(package, attempt, options, tools, servers, progress, limit))
        finished = True
    finally:
        run = _gather(attempt, options, servers, header, progress, finished=finished)
        if not finished:
            write_run(options.output / "run.jsonl", run)
    return run


async def _package(
    package: str,
    attempt: Attempt,
    options: RunOptions,
    tools: Tools,
    servers: Serving,
    progress: Progress,
    limit: asyncio.Semaphore,
) -> None:
    """Run one package's tests, writing their events as they come."""
    raw = _raw(attempt.directory, package)
    arguments = [f"-test.timeout={options.timeout}s"]
    if attempt.pattern is not None:
        arguments.append(f"-test.run={attempt.pattern}")
    async with limit:
        with tempfile.TemporaryDirectory(prefix="complement-") as scratch:
            process = await asyncio.create_subprocess_exec(
                tools.test2json,
                "-t",
                "-p",
                package,
                str(tools.binaries[package]),
                "-test.v=test2json",
                *arguments,
                cwd=tools.checkout.path / package,
                env=_environment(package, attempt, options, servers, Path(scratch)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                limit=16 << 20,
            )
            try:
                await _follow(process, raw, package, progress, options.timeout + 60)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _follow(
    process: asyncio.subprocess.Process, raw: Path, package: str, progress: Progress, timeout: float
) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout):
            with raw.open("wb") as file:
                async for line in process.stdout:
                    file.write(line)
                    progress.event(package, line.decode(errors="replace"))
    except TimeoutError:
        progress.say(f"{package} did not end in {timeout:.0f} seconds and was killed")


def _environment(
    package: str, attempt: Attempt, options: RunOptions, servers: Serving, scratch: Path
) -> dict[str, str]:
    script = scratch / "post-test.sh"
    script.write_text(servers.post_test)
    script.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPLEMENT_")}
    return {
        **kept,
        **servers.env,
        "TMPDIR": str(scratch),
        "COMPLEMENT_BASE_IMAGE": servers.image,
        **{f"COMPLEMENT_BASE_IMAGE_{name}": image for name, image in servers.others.items()},
        "COMPLEMENT_DEBUG": "1" if options.debug else "0",
        "COMPLEMENT_SHARE_ENV_PREFIX": SHARE_PREFIX,
        f"{SHARE_PREFIX}{PACKAGE_VARIABLE}": package,
        "COMPLEMENT_POST_TEST_SCRIPT": str(script),
        "PALPO_POST_TEST_LOG": str(_post_log(attempt.directory, package).resolve()),
        "PALPO_SERVERS": str((options.output / records.SERVERS).resolve()),
    }


def _raw(directory: Path, package: str) -> Path:
    return directory / "raw" / f"{package.replace('/', '.')}.jsonl"


def _post_log(directory: Path, package: str) -> Path:
    return directory / "raw" / f"{package.replace('/', '.')}.containers"


def _gather(
    attempt: Attempt,
    options: RunOptions,
    servers: Serving,
    header: RunHeader,
    progress: Progress,
    *,
    finished: bool,
) -> Run:
    """Results from the events, operations from the servers' records, and the logs of what failed."""
    raw = {_raw(attempt.directory, package): package for package in attempt.packages}
    results: list[TestResult] = []
    for path in raw:
        if path.exists():
            results += (outcome := _outcome(path)).results
            for line in _trouble(outcome):
                progress.say(line)
    listed = list(_servers(attempt, servers))
    calls = records.merge(attempt.directory, options.output, listed, records.Timeline(results))
    operations = {package: operation_calls(entries) for package, entries in calls.items()}
    failed = {(result.package, result.top) for result in results if result.status is Status.FAIL}
    records.keep_logs(
        attempt.directory,
        options.output,
        listed,
        failed,
        records.test_outputs((path for path in raw if path.exists()), raw),
        everything=options.keep_logs,
    )
    return build_run(header, attribute_operations(results, operations), finished=finished)


def _outcome(path: Path) -> GoOutcome:
    with path.open(encoding="utf-8", errors="replace") as lines:
        return parse_go_stream(lines)


def _trouble(outcome: GoOutcome) -> list[str]:
    """Why a package ran no test at all."""
    ran = {result.package for result in outcome.results}
    silent = [p for p in outcome.packages if p.status is Status.FAIL and p.package not in ran]
    lines = [line for p in silent for line in (f"{p.package} ran no test:", *p.tail)]
    return lines if ran or silent else list(outcome.noise)


def _servers(attempt: Attempt, servers: Serving) -> Iterable[records.Server]:
    for package in attempt.packages:
        tests = records.read_post_log(_post_log(attempt.directory, package))
        known = {
            identifier: name for identifier, (owner, name) in servers.history.items() if owner == package
        }
        for identifier in (*known, *(other for other in tests if other not in known)):
            yield records.Server(
                id=identifier,
                package=package,
                name=known.get(identifier, "homeserver"),
                test=tests.get(identifier, ""),
            )
    servers.history.clear()
