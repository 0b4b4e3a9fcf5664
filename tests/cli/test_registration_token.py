"""``palpo registration-token``, as an operator runs it."""

from pathlib import Path

import pytest

from palpo.cli.main import main


def test_create_list_and_revoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "server_name=test.example", "--set", f"data={tmp_path}"]
    assert main(["migrate", *settings]) == 0

    def palpo(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["registration-token", *arguments, *settings])
        captured = capsys.readouterr()
        return status, captured.out.strip(), captured.err.strip()

    assert palpo("list")[1] == "There are no tokens"
    made_up = palpo("create")[1]
    assert palpo("create", "--token", "party", "--uses", "3", "--days", "7")[:2] == (0, "party")
    lines = palpo("list")[1].splitlines()
    assert any(line.startswith(f"{made_up}  used 0 of any number, expires never") for line in lines)
    assert any(line.startswith("party  used 0 of 3, expires 20") for line in lines)
    assert palpo("create", "--token", "party")[0] == 1
    assert palpo("create", "--token", "no spaces please")[0] == 1
    assert palpo("create", "--uses", "0")[0] == 1
    assert palpo("revoke", "party")[0] == 0
    assert palpo("revoke", "party")[0] == 1
