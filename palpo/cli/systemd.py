"""What systemd is told of a service of ``Type=notify`` (sd_notify(3)); elsewhere nobody is."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

PATIENT_SECONDS = 60
"""How much longer systemd waits for a start that shows that it goes on."""


def notify(*lines: str) -> None:
    """Send ``lines``, such as ``READY=1``, to the socket that systemd has named, if it has."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto("\n".join(lines).encode(), address)


@contextmanager
def patient() -> Iterator[None]:
    """Tell systemd that a start takes its time, as long as it does."""
    if not os.environ.get("NOTIFY_SOCKET"):
        yield
        return
    over = threading.Event()

    def tell() -> None:
        while not over.wait(PATIENT_SECONDS / 4):
            notify("WATCHDOG=1", f"EXTEND_TIMEOUT_USEC={PATIENT_SECONDS * 1_000_000}")

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


def reloading() -> None:
    """Tell that a reload has begun."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Tell systemd that the event loop turns, twice as often as it wants to know, if it does.

    Where it hears nothing, it ends the process and starts another (``WatchdogSec=``, sd_watchdog_enabled(3)).
    """
    telling = asyncio.create_task(_tell()) if _is_watched() else None
    try:
        yield
    finally:
        if telling is not None:
            telling.cancel()


def _is_watched() -> bool:
    pid = os.environ.get("WATCHDOG_PID", "")
    return os.environ.get("WATCHDOG_USEC", "").isdecimal() and pid in ("", str(os.getpid()))


async def _tell() -> None:
    seconds = int(os.environ["WATCHDOG_USEC"]) / 1_000_000
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds / 2)
