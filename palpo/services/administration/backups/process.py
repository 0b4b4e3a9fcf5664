"""The process that makes or reads a backup for a running server: that takes a processor for a while.

    python -m palpo.services.administration.backups.process

It is told what to do in one line of JSON (``Order``, ``Verification``) on standard input, and answers with
lines of JSON: how far it is (``Progress``), and at last the folder that it has made or read, or what is wrong
(``Outcome``). It ends when standard input does: with the server that has begun it, and not before, though
systemd and terminals send both of them their signals.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from palpo.db.copies.archive import check
from palpo.db.copies.damaged import Damaged
from palpo.db.errors import DatabaseError
from palpo.services.administration.backups.checking import verify
from palpo.services.administration.backups.contents import DATABASE
from palpo.services.administration.backups.making import keep_newest, make
from palpo.services.administration.backups.orders import Order, Outcome, Progress, Verification

ANY: Any = Order | Verification
NICE = 10
TELL_SECONDS = 1.0


def main() -> None:
    """Do what is ordered; what is made is read too, and what is older than those to be kept removed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    order: Order | Verification = msgspec.json.Decoder(ANY).decode(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.nice(NICE)
    os.umask(0o077)
    _say(_outcome(order))


def _outcome(order: Order | Verification) -> Outcome:
    told = _Told()
    try:
        if isinstance(order, Verification):
            verify(Path(order.folder), told)
            return Outcome(folder=order.folder)
        folder = make(order.origin, Path(order.into), order.now_ms, told)
        check(folder / DATABASE, told)
        keep_newest(Path(order.into), order.keep)
    except (DatabaseError, Damaged, OSError) as error:
        return Outcome(error=str(error))
    return Outcome(folder=str(folder))


class _Told:
    """Says how far it is, now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: str, what: str, number: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= TELL_SECONDS:
            self._last = now
            _say(Progress(done=done, what=what, number=number, total=total))


def _say(what: Progress | Outcome) -> None:
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
