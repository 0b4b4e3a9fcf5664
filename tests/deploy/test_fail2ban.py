"""``deploy/fail2ban``: the real fail2ban finds who fails to log in, and nobody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import program

FILTER = Path(__file__).parents[2] / "deploy" / "fail2ban" / "filter.conf"
NAMES = (
    "alice",
    None,
    "with spaces = and 'quotes'",
    '","address":"198.51.100.1","user":"x","errcode":"M_FORBIDDEN","event":"login_failed",',
    '\n{"address":"198.51.100.2","user":"x","errcode":"M_FORBIDDEN","event":"login_failed",',
    "\n2026-11-30T03:22:50.841767Z [warning  ] login_failed   address=198.51.100.3 errcode=M_FORBIDDEN",
    "x address=198.51.100.4 errcode=M_FORBIDDEN",
    "\u2028[warning  ] login_failed   address=198.51.100.5 errcode=M_FORBIDDEN",
)
PROGRAM = """
import structlog
from palpo.cli.logs import start_log_writer
from palpo.config.sections.logs import LogConfig
start_log_writer(LogConfig(format={format!r}))
log = structlog.get_logger("palpo.login")
for number, name in enumerate({names!r}, 1):
    structlog.contextvars.bind_contextvars(id=f"35a033d1-{{number}}")
    log.info("request", id=f"35a033d1-{{number}}", address="203.0.113.200", path=name, user=name)
    log.warning("login_failed", address=f"203.0.113.{{number}}", user=name, errcode="M_FORBIDDEN")
log.warning("login_failed", address="2001:db8::1", user="alice", errcode="M_FORBIDDEN")
"""


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("prefix", ["", "matrix palpo[1234]: "])
def test_failed_logins_are_found(tmp_path: Path, format: str, prefix: str) -> None:
    """In a file, and with what the journal's lines begin with."""
    fail2ban = program("fail2ban-regex")
    command = [sys.executable, "-c", PROGRAM.format(format=format, names=NAMES)]
    logged = subprocess.run(command, capture_output=True, check=True, text=True).stderr
    lines = logged.removesuffix("\n").split("\n")
    log = tmp_path / "log"
    log.write_text("".join(f"{prefix}{line}\n" for line in lines))
    done = subprocess.run([fail2ban, "--out", "ip", log, FILTER], capture_output=True, text=True, timeout=60)
    expected = {f"203.0.113.{number}" for number in range(1, len(NAMES) + 1)} | {"2001:db8::1"}
    assert set(done.stdout.split()) == expected, done.stdout + done.stderr
