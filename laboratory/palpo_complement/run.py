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
from palpo_conformance.pairs import pair_tests, write_pair
from palpo_conformance.pin import read_tests
from palpo_conformance.suite import Suite, load_suite
from palpo_conformance.violations import operation_calls

from . import go, records
from .checkout import Checkout, cache_directory, find_checkout
from .engines import PACKAGE_VARIABLE, SHARE_PREFIX, Serving, serving
from .options import RunOptions
from .progress import Progress
from .selection import exactly, expected_rows, resolve_packages, wanted_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run needs besides servers: the suite's source, its binaries and Go's converter."""

    checkout: Checkout
    binaries: Mapping[str, Path]
    test2json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One pass over some packages: where it writes, which tests it asks for, and all that it needs."""

    directory: Path
    packages: tuple[str, ...]
    pattern: str | None
    options: RunOptions
    tools: Tools
    servers: Serving
    header: RunHeader
    progress: Progress

    def raw(self, package: str) -> Path:
        """The events of a package's tests."""
        return self.directory / "raw" / f"{package.replace('/', '.')}.jsonl"

    def post_log(self, package: str) -> Path:
        """What the post-test script writes of a package's containers."""
        return self.raw(package).with_suffix(".containers")


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
    pattern = wanted_tests(options, suite)
    packages = wanted_packages(suite, asked, pattern)
    tools = await _tools(options, suite, packages)
    clean_output(options.output)
    progress = Progress(expected_rows(suite, packages, pattern))
    for line in unlisted(tools.checkout.path, suite):
        progress.say(line)
    async with serving(options) as servers:
        header = RunHeader(
            suite_commit=tools.checkout.label,
            server_name=servers.name,
            server_commit=servers.version,
            engine=options.engine,
            database=options.database,
            packages=asked,
            filter=options.pattern,
            other=servers.other,
            other_commit=servers.other_version,
        )
        attempt = Attempt(
            directory=options.output,
            packages=packages,
            pattern=pattern,
            options=options,
            tools=tools,
            servers=servers,
            header=header,
            progress=progress,
        )
        run = await _attempt(attempt)
        failures = [result for result in run.results if result.status is Status.FAIL]
        if options.rerun_failures and failures:
            run = await _rerun(failures, run, attempt)
    progress.finish()
    write_run(options.output / "run.jsonl", run)
    if options.results is not None and run.header.other is not None:
        write_pair(options.results, run)
    elif options.results is not None:
        write_results(options.results, run, merge=run.header.partial)
    return run


def wanted_tests(options: RunOptions, suite: Suite) -> str | None:
    """What is given to `-run`: as it was asked for, or of a pair the tests of two homeservers."""
    if options.other is None or options.pattern is not None:
        return options.pattern
    return exactly(test.test for test in pair_tests(suite))


def unlisted(checkout: Path, suite: Suite) -> list[str]:
    """In what the checkout's top-level tests differ from the suite's list, as lines to print."""
    found = {(package, test) for package, tests in read_tests(checkout).items() for test in tests}
    known = {(test.package, test.test) for test in suite.tests}
    lines = [f"{package} {test} is not in the suite's list" for package, test in sorted(found - known)]
    return lines + [
        f"{package} {test} is in the suite's list only" for package, test in sorted(known - found)
    ]


async def _tools(options: RunOptions, suite: Suite, packages: tuple[str, ...]) -> Tools:
    checkout = await asyncio.to_thread(find_checkout, options.complement, suite.commit)
    compiler = await go.find_go(go.required_version(checkout))
    binaries = await go.build(compiler, checkout, packages, cache_directory(os.environ))
    return Tools(checkout=checkout, binaries=binaries, test2json=await go.test2json(compiler))


async def _rerun(failures: list[TestResult], run: Run, first: Attempt) -> Run:
    """Run the failed top-level tests once more, alone; what passes then is flaky."""
    packages = tuple(sorted({result.package for result in failures}))
    pattern = exactly(result.top for result in failures)
    progress = Progress(expected_rows(load_suite(), packages, pattern))
    progress.say(f"Running {len({(r.package, r.top) for r in failures})} failed tests again")
    attempt = replace(
        first,
        directory=first.directory / "rerun",
        packages=packages,
        pattern=pattern,
        options=replace(first.options, jobs=1),
        progress=progress,
    )
    again = await _attempt(attempt)
    progress.finish()
    return merge_rerun(run, again)


async def _attempt(attempt: Attempt) -> Run:
    options = attempt.options
    (attempt.directory / "raw").mkdir(parents=True, exist_ok=True)
    (options.output / records.SERVERS).mkdir(parents=True, exist_ok=True)
    limit = asyncio.Semaphore(max(1, options.jobs))
    finished = False
    try:
        async with asyncio.TaskGroup() as group:
            for package in attempt.packages:
                group.create_task(_package(package, attempt, limit))
        finished = True
    finally:
        run = _gather(attempt, finished=finished)
        if not finished:
            write_run(options.output / "run.jsonl", run)
    return run


async def _package(package: str, attempt: Attempt, limit: asyncio.Semaphore) -> None:
    """Run one package's tests, writing their events as they come."""
    tools, timeout = attempt.tools, attempt.options.timeout
    arguments = [f"-test.timeout={timeout}s"]
    if attempt.pattern is not None:
        arguments.append(f"-test.run={attempt.pattern}")
    async with limit:
        with tempfile.TemporaryDirectory(prefix="complement-") as scratch:
            process = await asyncio.create_subprocess_exec(
                *(tools.test2json, "-t", "-p", package),
                *(str(tools.binaries[package]), "-test.v=test2json", *arguments),
                cwd=tools.checkout.path / package,
                env=_environment(package, attempt, Path(scratch)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                limit=16 << 20,
            )
            try:
                await _follow(process, package, attempt, timeout + 60)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _follow(
    process: asyncio.subprocess.Process, package: str, attempt: Attempt, timeout: float
) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout):
            with attempt.raw(package).open("wb") as file:
                async for line in process.stdout:
                    file.write(line)
                    attempt.progress.event(package, line.decode(errors="replace"))
    except TimeoutError:
        attempt.progress.say(f"{package} did not end in {timeout:.0f} seconds and was killed")


def _environment(package: str, attempt: Attempt, scratch: Path) -> dict[str, str]:
    servers, options = attempt.servers, attempt.options
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
        "PALPO_POST_TEST_LOG": str(attempt.post_log(package).resolve()),
        "PALPO_SERVERS": str((options.output / records.SERVERS).resolve()),
    }


def _gather(attempt: Attempt, *, finished: bool) -> Run:
    """Results from the events, operations from the servers' records, and the logs of what failed."""
    raw = {path: package for package in attempt.packages if (path := attempt.raw(package)).exists()}
    results: list[TestResult] = []
    for path in raw:
        results += (outcome := _outcome(path)).results
        for line in _trouble(outcome):
            attempt.progress.say(line)
    output, listed = attempt.options.output, list(_servers(attempt))
    calls = records.merge(attempt.directory, output, listed, records.Timeline(results))
    operations = {package: operation_calls(entries) for package, entries in calls.items()}
    records.keep_logs(
        attempt.directory,
        output,
        listed,
        {(result.package, result.top) for result in results if result.status is Status.FAIL},
        records.test_outputs(raw),
        everything=attempt.options.keep_logs,
    )
    return build_run(attempt.header, attribute_operations(results, operations), finished=finished)


def _outcome(path: Path) -> GoOutcome:
    with path.open(encoding="utf-8", errors="replace") as lines:
        return parse_go_stream(lines)


def _trouble(outcome: GoOutcome) -> list[str]:
    """Why a package ran no test at all."""
    ran = {result.package for result in outcome.results}
    silent = [p for p in outcome.packages if p.status is Status.FAIL and p.package not in ran]
    lines = [line for p in silent for line in (f"{p.package} ran no test:", *p.tail)]
    return lines if ran or silent else list(outcome.noise)


def _servers(attempt: Attempt) -> Iterable[records.Server]:
    containers = attempt.servers.containers
    for package in attempt.packages:
        tests = records.read_post_log(attempt.post_log(package))
        known = {
            identifier: env.get("SERVER_NAME", "")
            for identifier, env in containers.items()
            if env.get(PACKAGE_VARIABLE) == package
        }
        for identifier in (*known, *(other for other in tests if other not in known)):
            yield records.Server(
                id=identifier,
                package=package,
                name=known.get(identifier, "homeserver"),
                test=tests.get(identifier, ""),
            )
    containers.clear()
