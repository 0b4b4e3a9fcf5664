"""The command ``palpo`` in a process of its own, forked from one that has imported it already.

It is what ``python -m palpo.cli.main`` is but for the imports, which take more processor time than most tests
do with their server. What depends on how a process begins is tested with the real command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from tempfile import TemporaryFile
from typing import IO, Any

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.warm"])


class Forked:
    """A running ``palpo``, to be used as a ``subprocess.Popen``."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdout: IO[Any] | int,
        stderr: IO[Any] | int,
        env: Mapping[str, str] | None = None,
    ) -> None:
        output = _Descriptor(stdout), _Descriptor(stderr)
        environment = dict(os.environ if env is None else env)
        self._process = _FORKS.Process(target=_become, args=(tuple(arguments), environment, *output))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; raises TimeoutError where it is still running after so many seconds."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise TimeoutError(f"palpo is still running after {timeout} s")
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is still running."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without warning."""
        self.send_signal(signal.SIGKILL)


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run ``palpo`` to its end; raises TimeoutError where it does not come."""
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        process = Forked(arguments, stdout=stdout, stderr=stderr)
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, status, stdout.read(), stderr.read())


class _Descriptor:
    """An open file that another process is given."""

    def __init__(self, file: IO[Any] | int) -> None:
        self._number = file if isinstance(file, int) else file.fileno()

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _received, (DupFd(self._number),)


def _received(descriptor: Any) -> int:
    number: int = descriptor.detach()
    return number


def _become(arguments: tuple[str, ...], environment: Mapping[str, str], stdout: int, stderr: int) -> None:
    """Be the command: with its arguments, environment, output and errors."""
    for number, taken in ((1, stdout), (2, stderr)):
        os.dup2(taken, number)
    for taken in {stdout, stderr}:
        os.close(taken)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["palpo", *arguments]
    from palpo.cli.main import main

    sys.exit(main())
