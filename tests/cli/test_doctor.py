"""``palpo doctor`` and ``palpo db``, as an operator runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from palpo.cli.main import main


def palpo(data: Path, *arguments: str) -> int:
    return main([*arguments, "--set", "server_name=test.example", "--set", f"data={data}"])


def test_doctor_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path, "doctor", "--inside-only") == 1
    said = capsys.readouterr()
    assert "no  server: no server runs on this data folder\n      palpo serve\n" in said.out
    assert "ok  database: version" in said.out
    assert "database …" in said.err
    assert palpo(tmp_path, "doctor", "--inside-only", "--json") == 1
    checks = json.loads(capsys.readouterr().out)
    assert {"name", "verdict", "text", "advice"} == set(checks[0])
    assert checks[0]["verdict"] == "problem"


def test_db(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path, "db", "migrate") == 0
    assert palpo(tmp_path, "db", "check", "--json") == 0
    assert palpo(tmp_path, "db", "sizes") == 0
    said = capsys.readouterr().out
    assert '"journal_mode": "wal"' in said
    assert "the file" in said
